"""watch on a real terminal and a real server: from the first screen to a terminal left clean."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from pgiostat.history.read.history import History
from tests.conftest import MakeServer
from tests.support.syncing import syncing
from tests.support.workloads import client

pytestmark = pytest.mark.once

PATIENCE_SECONDS = 30.0
SAMPLE = Path(__file__).parents[2] / "sample_data" / "history"
LEFT = b"\x1b[?1049l"
"""What gives back the screen as it was."""
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|[@-_])")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(
        self, *arguments: str, columns: int = 100, lines: int = 24, errors: IO[bytes] | None = None
    ) -> None:
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""}
        environment.pop("COLUMNS"), environment.pop("LINES")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pgiostat", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs if errors is None else errors,
            env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.output = b""

    def read(self, until: bytes) -> bytes:
        """Read until something was printed; return all that was, without escapes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while until not in _ESCAPES.sub(b"", self.output):
            assert time.monotonic() < deadline, _ESCAPES.sub(b"", self.output)[-2000:]
            self._more()
        return _ESCAPES.sub(b"", self.output)

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
def terminal(*arguments: str, errors: IO[bytes] | None = None) -> Iterator[Terminal]:
    """Yield a program on a terminal; errors: where its standard error goes, if not there."""
    found = Terminal(*arguments, errors=errors)
    try:
        yield found
    finally:
        found.close()


def test_a_sitting_on_a_terminal_is_left_clean_and_recorded(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    with client(server.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    place = tmp_path / "history"
    with terminal("watch", server.dsn(), "-i", "0.5", "--record", str(place)) as shown:
        with syncing(server.dsn()):
            shown.read(b"version")
            shown.read(b"unattributed")
            shown.press("2")
            shown.read(b"max(row_version)")
        server.restart("immediate")
        shown.read(b"connection to the server was lost")
        shown.read(b"restart")
        shown.press("q")
        assert shown.ended() == 0
    assert LEFT in shown.output
    (watched,) = History.open(place).servers()
    assert watched.label.startswith("127.0.0.1_")
    assert watched.samples > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_terminal_is_left_clean(
    database: str, number: signal.Signals
) -> None:
    with terminal("watch", database, "-i", "0.5") as shown:
        shown.read(b"server")
        shown.process.send_signal(number)
        assert shown.ended() == 128 + number
    assert LEFT in shown.output


def test_an_error_is_told_on_the_terminal_that_was_left() -> None:
    with terminal("watch", "host=127.0.0.1 port=1 dbname=x") as shown:
        assert shown.ended() == 1
    told = _ESCAPES.sub(b"", shown.output.rpartition(LEFT)[2])
    assert b"pgiostat: error: could not connect" in told
    assert b"Traceback" not in shown.output


def test_a_replay_is_drawn_on_standard_output_and_leaves_nothing_on_standard_error(
    tmp_path: Path,
) -> None:
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        with terminal("watch", "--replay", str(SAMPLE), errors=file) as shown:
            shown.read(b"unattributed")
            shown.press("q")
            assert shown.ended() == 0
        assert LEFT in shown.output
    assert errors.read_bytes() == b""
