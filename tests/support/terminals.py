"""pgiostat on a terminal of its own, as a person uses it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE_SECONDS = 30.0
LEFT = b"\x1b[?1049l"
"""The escape sequence that restores the terminal."""
ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|[@-_])")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 100,
        lines: int = 24,
        errors: IO[bytes] | None = None,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", **(variables or {})}
        environment.pop("COLUMNS", None), environment.pop("LINES", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pgiostat", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs if errors is None else errors,
            env=environment, start_new_session=True, cwd=cwd,
        )  # fmt: skip
        os.close(theirs)
        self.output = b""

    def read(self, until: bytes, patience: float = PATIENCE_SECONDS) -> bytes:
        """Read until something was printed, for some seconds; return all without escapes."""
        deadline = time.monotonic() + patience
        while until not in ESCAPES.sub(b"", self.output):
            assert time.monotonic() < deadline, ESCAPES.sub(b"", self.output)[-2000:]
            self._more()
        return ESCAPES.sub(b"", self.output)

    def wait_until(self, holds: Callable[[], bool], patience: float = PATIENCE_SECONDS) -> None:
        """Read until something holds, for some seconds."""
        deadline = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < deadline, ESCAPES.sub(b"", self.output)[-2000:]
            self._more()

    def ended(self) -> int:
        """Return the exit status, all output read."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self._more()
        while self._more():
            pass
        return self.process.returncode

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._mine, keys.encode())

    def close(self) -> None:
        """End it, if it has not."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._mine)

    def _more(self) -> bool:
        if not select.select([self._mine], [], [], 0.1)[0]:
            return False
        try:
            found = os.read(self._mine, 65_536)
        except OSError:  # nobody writes any more
            return False
        self.output += found
        return bool(found)


@contextmanager
def terminal(
    *arguments: str,
    columns: int = 100,
    lines: int = 24,
    errors: IO[bytes] | None = None,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """Yield pgiostat on a terminal.

    Args:
        arguments: Those of the command line.
        columns: Width of the terminal.
        lines: Height of the terminal.
        errors: The file for standard error, if it is not the terminal.
        cwd: The directory that it starts in; None is this process's.
        variables: Further variables of the environment.
    """
    found = Terminal(
        *arguments, columns=columns, lines=lines, errors=errors, cwd=cwd, variables=variables
    )
    try:
        yield found
    finally:
        found.close()
