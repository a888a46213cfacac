"""The demo on a terminal: its screen, its incidents, and the way in from another terminal."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pgiostat.lab.postgres.cluster import Cluster, embedded_binaries
from pgiostat.lab.postgres.processes import processes
from tests.support.program import pgiostat
from tests.support.terminals import ESCAPES, LEFT, Terminal, terminal

pytestmark = [pytest.mark.once, pytest.mark.long]  # it brings its own server

LOADING_SECONDS = 120.0
MOST = 0.5
INDEXES = "SELECT count(*) FROM pg_class WHERE relname = 'ix_order_items_order_id'"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """Yield a cache of its own for the demo, and remove the demo's servers at the end."""
    yield tmp_path
    assert pgiostat("demo", "--clean", XDG_CACHE_HOME=str(tmp_path)).returncode == 0


def printed(shown: Terminal) -> str:
    """Return what was printed, without the screens of the application."""
    before, _, after = shown.output.partition(b"\x1b[?1049h")
    return ESCAPES.sub(b"", before + after.rpartition(LEFT)[2]).decode().replace("\r\n", "\n")


def psql(uri: str, statement: str) -> str:
    """Run a statement in psql, with no other way to a password."""
    done = subprocess.run(
        [embedded_binaries() / "psql", uri, "-AtX", "-c", statement],
        capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    return done.stdout.strip()


def wait_for_first(shown: Terminal, directory: Path, wanted: str, blocks_per_call: float) -> None:
    """Wait until the first row of the screen is a category with most of the reads."""

    def comes_first() -> bool:
        exported = list(directory.glob("*.csv"))
        if not exported:
            shown.press("e")  # exports the screen
            return False
        frame = pd.read_csv(exported[0]) if exported[0].stat().st_size else pd.DataFrame()
        for path in exported:
            path.unlink()
        if frame.empty:
            return False
        first = frame.iloc[0]
        each = first["blocks_read"] / first["calls"]
        return bool(
            first["category"] == wanted and first["share"] > MOST and each > blocks_per_call
        )

    shown.wait_until(comes_first)


def running(cache: Path, folder: str) -> dict[int, str]:
    """Return the processes of a demo's server and workload, and their command lines.

    Root's server has its files elsewhere.
    """
    place = str(Cluster(embedded_binaries(), cache / "pgiostat" / folder).directory)
    return {pid: each.command for pid, each in processes().items() if place in each.command}


def test_the_shop_on_a_terminal_shows_an_incident_and_lets_others_in(
    cache: Path, tmp_path: Path
) -> None:
    place = {"XDG_CACHE_HOME": str(cache)}
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with terminal(
        "demo", "--scenario", "shop", columns=120, lines=36, cwd=here, variables=place
    ) as shown:
        shown.read(b"unattributed", LOADING_SECONDS)
        uri = re.search(r"psql '(\S+)'", printed(shown))
        assert uri is not None
        assert psql(uri[1], "SELECT current_user, current_database()") == "pgiostat|shop"
        assert pgiostat("demo", "--dsn", **place).stdout == f"{uri[1]}\n"
        watched = pgiostat("watch", uri[1], "--once", "--format", "csv")
        assert watched.returncode == 0, watched.stderr
        refused = pgiostat("demo", "--scenario", "shop", **place)
        assert refused.returncode == 1
        assert "HINT:  Join it with: pgiostat demo --attach." in refused.stderr

        shown.press("!")
        shown.read(b"Enter or a number selects")
        shown.press("1")
        shown.read(b"caused: index dropped")
        wait_for_first(shown, here, "preload order_items", 5_000)

        with terminal(
            "demo", "--attach", columns=120, lines=36, cwd=there, variables=place
        ) as joined:
            joined.read(b"Incident since")
            joined.press("!")
            joined.read(b"in force: select it to take it back")
            joined.press("1")
            joined.read(b"taken back: index dropped")
            joined.press("q")
            assert joined.ended() == 0
        assert "Next: pgiostat doctor" in printed(joined)
        assert psql(uri[1], "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'") != "0"
        wait_for_first(shown, here, "select products", 0)
        assert psql(uri[1], INDEXES) == "1"

        with terminal("demo", "--attach", columns=80, cwd=there, variables=place) as left:
            left.read(b"pgiostat demo --scenario shop --dsn")
            shown.press("q")
            assert shown.ended() == 0
            left.read(b"the demo has ended; q quits")
            left.press("q")
            assert left.ended() == 0
    assert printed(shown).endswith(
        "The server and the workload of the demo have stopped; the data are kept.\n"
        "Next: pgiostat demo --scenario sync; or pgiostat doctor with your own server\n"
    )
    assert running(cache, "demo-shop") == {}
    for scenario in ([], ["--scenario", "shop"]):
        gone = pgiostat("demo", "--attach", *scenario, **place)
        assert gone.returncode == 1
        assert gone.stderr == (
            "pgiostat: error: no demo is running\n"
            "HINT:  Start one in another terminal with: "
            f"{' '.join(['pgiostat', 'demo', *scenario])}\n"
        )


def test_however_the_demo_ends_nothing_is_left_running(cache: Path) -> None:
    place = {"XDG_CACHE_HOME": str(cache)}
    with terminal("demo", variables=place) as shown:
        shown.read(b"Loading rows")
        shown.process.send_signal(signal.SIGINT)
        assert shown.ended() == 0
    assert "The server and the workload of the demo have stopped" in printed(shown)
    assert running(cache, "demo") == {}
    with terminal("demo", columns=140, variables=place) as shown:
        shown.read(b"preset sync: fixed by the demo", LOADING_SECONDS)
        shown.read(b"unattributed")
        assert len(running(cache, "demo")) == 3  # server, its watchdog, workload
        shown.press("\x03")
        assert shown.ended() == 0
    assert "Next: pgiostat demo --scenario shop;" in printed(shown)
    assert running(cache, "demo") == {}
    with terminal("demo", columns=140, variables=place) as shown:
        shown.read(b"unattributed", LOADING_SECONDS)
        shown.process.send_signal(signal.SIGHUP)  # the terminal was closed
        assert shown.ended() == 128 + signal.SIGHUP
    assert running(cache, "demo") == {}


def test_a_workload_that_ends_early_is_an_error_of_the_demo(cache: Path) -> None:
    place = {"XDG_CACHE_HOME": str(cache)}
    with terminal("demo", "--scenario", "shop", variables=place) as shown:
        shown.read(b"unattributed", LOADING_SECONDS)
        uri = pgiostat("demo", "--dsn", **place).stdout.strip()
        psql(uri.replace("pgiostat@", "postgres@"), "DROP TABLE shop.orders CASCADE")
        shown.read(b"The workload has stopped")
        shown.press("q")
        assert shown.ended() == 1
    assert (
        "pgiostat: error: the workload of the demo ended early\n"
        'DETAIL:  A statement of the workload failed: relation "orders" does not exist.\n'
    ) in printed(shown)
    assert running(cache, "demo-shop") == {}
