"""The collector's log: standard logging, with formats for people, for journald and for programs."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from pgiostat.errors import PgiostatError
from pgiostat.escape import line as one_line

__all__ = [
    "SERVICE_LABEL",
    "LineHandler",
    "LogFormat",
    "ServerLog",
    "configure",
    "error_line",
    "is_journal",
    "server_log",
    "status_line",
]

SERVICE_LABEL = "pgiostat"
"""The label of lines that belong to no server."""
PRIORITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""Of syslog, which journald reads: sd-daemon(3)."""
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""No reader will come back: the pipe or the descriptor is closed, or the terminal hung up."""

ServerLog = logging.LoggerAdapter[logging.Logger]
"""A logger that adds a server's label to its records."""


class LogFormat(StrEnum):
    """How a record of the log is written; each is one line."""

    TEXT = "text"
    JOURNALD = "journald"
    JSON = "json"


class LineFormatter(logging.Formatter):
    """Formats a record as one line of a format, whatever characters it has.

    Args:
        form: The format.
    """

    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self.form = form

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        label, message = getattr(record, "server", SERVICE_LABEL), record.getMessage()
        at = datetime.fromtimestamp(record.created, UTC)
        if self.form is LogFormat.JSON:
            # Rooms of reports come with it, and most services write text.
            from pgiostat.render.json import dumps  # noqa: PLC0415

            level = record.levelname.lower()
            parts = {"time": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "server": label}
            return dumps(parts | {"message": message})
        # journald reads a priority at the start of each line: no line begins within a record.
        text = one_line(f"{label}: {message}")
        if self.form is LogFormat.JOURNALD:
            return f"<{PRIORITIES[record.levelno]}>{text}"
        return f"{at:%Y-%m-%dT%H:%M:%SZ} {text}"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes records as lines; a log that cannot be written ends no collecting.

    Args:
        out: The stream.
        form: The format of a line.
    """

    def __init__(self, out: TextIO, form: LogFormat = LogFormat.TEXT) -> None:
        super().__init__(out)
        self.setFormatter(LineFormatter(form))
        self._has_status = form is LogFormat.TEXT
        self._print_above: Callable[[str, int], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, above the status line if there is one."""
        text = self.format(record)
        with self._unread():
            if self._print_above is not None:
                self._print_above(text, record.levelno)
            else:
                self.stream.write(f"{text}\n")
                self.stream.flush()

    @contextmanager
    def _unread(self) -> Iterator[None]:
        """Continue without a reader: a closed pipe, a closed terminal, a full disk."""
        try:
            yield
        except ValueError:  # it was closed
            return
        except OSError as error:
            if error.errno in _GONE:
                # For good: what is left in buffers must not fail once more when they are flushed.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    @contextmanager
    def status(self, line: Callable[[], str]) -> Iterator[None]:
        """Keep a line below all others up to date, on a terminal."""
        if not self._has_status or not self.stream.isatty():
            yield
            return
        # A service has no terminal: it need not hold this in memory.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(
            file=self.stream, highlight=False, markup=False, emoji=False, soft_wrap=True
        )

        def status() -> Text:
            return Text(one_line(line()), "dim", no_wrap=True, overflow="ellipsis")

        def print_above(text: str, level: int) -> None:
            console.print(Text(text, "yellow" if level > logging.INFO else ""))

        live = Live(console=console, get_renderable=status, refresh_per_second=1, transient=True)
        try:
            with self._unread():
                live.start()
            self._print_above = print_above
            yield
        finally:
            self._print_above = None
            with self._unread():
                live.stop()


def configure(out: TextIO, form: LogFormat | None = None, *, quiet: bool = False) -> logging.Logger:
    """Return the collector's logger, writing to one stream.

    Args:
        out: The stream.
        form: The format; None is journald's if the stream goes there, else text.
        quiet: Whether to write warnings and errors alone.
    """
    logger = logging.getLogger("pgiostat.collector")
    automatic = LogFormat.JOURNALD if is_journal(out) else LogFormat.TEXT
    logger.handlers = [LineHandler(out, form or automatic)]
    logger.propagate = False
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    return logger


def server_log(logger: logging.Logger, label: str) -> ServerLog:
    """Return the log of one server, or of the collector itself: SERVICE_LABEL."""
    return ServerLog(logger, {"server": label})


@contextmanager
def status_line(logger: logging.Logger, line: Callable[[], str]) -> Iterator[None]:
    """Keep a line below a logger's lines up to date, on a terminal."""
    handler = next((each for each in logger.handlers if isinstance(each, LineHandler)), None)
    if handler is None:
        yield
    else:
        with handler.status(line):
            yield


def error_line(error: PgiostatError) -> str:
    """Return an error as a line."""
    return " ".join(filter(None, (f"{error.message}.", error.detail, error.hint)))


def is_journal(out: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether a stream goes to journald: systemd.exec(5), $JOURNAL_STREAM."""
    stream = (os.environ if environment is None else environment).get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"
