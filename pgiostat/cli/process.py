"""The end of this process, and savings: the garbage collector, and imports."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pgiostat.cli import streams

__all__ = ["collect_rarely", "forget_output", "frozen_imports", "importing", "leave", "only_reads"]

GARBAGE_AFTER = 50_000
"""Allocations, less deallocations, after which cycles are looked for; Python's default is 700."""


def only_reads() -> None:
    """Declare that this process answers one question and ends.

    An answer makes no cycles worth looking for: with that and with freeing every object at the end
    Python spends a fifth of the time of a week's report. `leave` ends such a process at once.
    """
    gc.disable()


def leave(status: int) -> NoReturn:
    """End the process; one that only reads does not free its memory first."""
    streams.flush(sys.stdout)
    streams.flush(sys.stderr)
    if not gc.isenabled():
        os._exit(status)
    sys.exit(status)


def forget_output() -> None:
    """Keep Python from flushing standard output once more at the end."""
    streams.forget(sys.stdout)


def collect_rarely() -> None:
    """Look for cycles rarely, in a process that shows a screen.

    Objects of imports stay, and reference counts free the rows of an update. To look for cycles
    among them takes a tenth of the time to the first screen, and as long as to make them.
    """
    gc.set_threshold(GARBAGE_AFTER, 20, 100)


@contextmanager
def frozen_imports() -> Iterator[None]:
    """Leave what was imported out of the search for cycles, until the end of the block."""
    gc.freeze()
    try:
        yield
    finally:
        # Libraries that count on being freed at the end complain about frozen objects.
        gc.unfreeze()


@contextmanager
def importing(*modules: str) -> Iterator[None]:
    """Import modules in a second thread while the block runs.

    DuckDB reads without Python: the imports take the time that a report waits for it.
    """
    from concurrent.futures import ThreadPoolExecutor
    from importlib import import_module

    with ThreadPoolExecutor(1) as executor:
        for module in modules:
            executor.submit(import_module, module)
        yield
