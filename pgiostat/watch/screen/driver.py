"""The driver of the terminal."""

import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

__all__ = ["OutputDriver"]


class OutputDriver(LinuxDriver):
    """Draws on standard output, where the terminal is: standard error may be a file."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if sys.__stdout__ is not None:
            self._file = sys.__stdout__
