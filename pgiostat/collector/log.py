"""What a collector says: lines for people, for journald, and a status line on a terminal."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from threading import Lock
from typing import TextIO

from pgiostat.errors import PgiostatError
from pgiostat.escape import line as one_line

__all__ = ["Level", "Log", "is_journal", "stderr", "told"]

_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""Nobody will ever read: a pipe or a descriptor that was closed, a terminal that hung up."""


class Level(IntEnum):
    """How grave a line is: the numbers of syslog."""

    ERROR = 3
    WARNING = 4
    INFO = 6


@dataclass(slots=True)
class Log:
    """Says lines, one at a time, from many threads.

    journal: without the time, which journald has, and with the priority that it reads.
    quiet: trouble alone.
    """

    out: TextIO
    journal: bool = False
    quiet: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _lock: Lock = field(default_factory=Lock)
    _above: Callable[[str, Level], None] | None = None

    def say(self, label: str, line: str, level: Level = Level.INFO) -> None:
        """Say a line of a server, or of the collector itself.

        A log that cannot be written ends no collecting.
        """
        if self.quiet and level is Level.INFO:
            return
        # One record is one line: what journald reads as a priority is ours at each beginning.
        text = one_line(f"{label}: {line}")
        if self.journal:
            text = f"<{level.value}>{text}"
        else:
            text = f"{self.clock():%Y-%m-%dT%H:%M:%SZ} {text}"
        with self._lock, self._unread():
            if self._above is not None:
                self._above(text, level)
            else:
                print(text, file=self.out, flush=True)

    @contextlib.contextmanager
    def _unread(self) -> Iterator[None]:
        """Go on when nobody reads: a closed pipe, a terminal that has gone, a full disk."""
        try:
            yield
        except ValueError:  # it was closed
            return
        except OSError as error:
            if error.errno in _GONE:
                # For good: what is left in buffers must not fail once more when they are flushed.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.out.fileno())

    @contextlib.contextmanager
    def status(self, line: Callable[[], str]) -> Iterator[None]:
        """Keep a line below all others up to date, on a terminal."""
        if not self.out.isatty() or self.journal:
            yield
            return
        # Of no use to a service, which need not hold it in memory.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(file=self.out, highlight=False, markup=False, emoji=False, soft_wrap=True)

        def drawn() -> Text:
            return Text(one_line(line()), "dim", no_wrap=True, overflow="ellipsis")

        def above(text: str, level: Level) -> None:
            console.print(Text(text, "" if level is Level.INFO else "yellow"))

        live = Live(console=console, get_renderable=drawn, refresh_per_second=1, transient=True)
        try:
            with self._unread():
                live.start()
            self._above = above
            yield
        finally:
            self._above = None
            with self._unread():
                live.stop()


def told(error: PgiostatError) -> str:
    """Return an error as a line."""
    return " ".join(filter(None, (f"{error.message}.", error.detail, error.hint)))


def is_journal(out: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether a stream goes to journald: systemd.exec(5), $JOURNAL_STREAM."""
    told = (os.environ if environment is None else environment).get("JOURNAL_STREAM", "")
    try:
        there = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{there.st_dev}:{there.st_ino}"


def stderr(*, quiet: bool) -> Log:
    """Return the log on standard error."""
    return Log(sys.stderr, is_journal(sys.stderr), quiet)
