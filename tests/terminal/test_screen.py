"""watch on a real terminal and a real server: from the first screen to a terminal left clean."""

import signal
from pathlib import Path

import pytest

from pgiostat.history.read.history import History
from tests.conftest import MakeServer
from tests.support.syncing import syncing
from tests.support.terminals import ESCAPES, LEFT, terminal
from tests.support.workloads import client

pytestmark = pytest.mark.once

SAMPLE = Path(__file__).parents[2] / "sample_data" / "history"


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
        shown.read(b"total")
        shown.process.send_signal(number)
        assert shown.ended() == 128 + number
    assert LEFT in shown.output


def test_an_error_is_told_on_the_terminal_that_was_left() -> None:
    with terminal("watch", "host=127.0.0.1 port=1 dbname=x") as shown:
        assert shown.ended() == 1
    told = ESCAPES.sub(b"", shown.output.rpartition(LEFT)[2])
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
