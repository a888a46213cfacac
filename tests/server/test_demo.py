"""The demo: its data, its workload, and the whole of it without a terminal."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pandas as pd
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.lab.workload import load as workload
from pgiostat.lab.workload import schema
from tests.conftest import MakeServer
from tests.support.workloads import client

pytestmark = [pytest.mark.once, pytest.mark.long]  # it brings its own server
SMALL = schema.DataSize(clients=40, rows=100, tables=("customer", "visit"))


@pytest.fixture
def loaded(make_server: MakeServer) -> str:
    """Return a database with a small load."""
    dsn = make_server().dsn()
    schema.create(dsn, "secret")
    schema.load(dsn, SMALL)
    return dsn


def test_each_row_of_a_client_lies_in_a_block_of_its_own(loaded: str) -> None:
    with client(loaded) as connection:
        found = connection.execute(
            "SELECT count(*), count(DISTINCT (ctid::text::point)[0]) FROM customer"
            " WHERE client_id = 7"
        ).fetchone()
    assert found == (100, 100)


def test_the_load_is_the_same_each_time_and_told_to_be_done(loaded: str) -> None:
    digest = "SELECT md5(string_agg(c::text, ',' ORDER BY client_id, id)) FROM customer AS c"
    with client(loaded) as connection:
        first = connection.execute(digest).fetchone()
        assert schema.is_loaded(loaded, SMALL)
        assert not schema.is_loaded(loaded, schema.DataSize())
        told: list[int] = []
        schema.load(loaded, SMALL, progress=told.append)
        assert connection.execute(digest).fetchone() == first
    assert sum(told) == SMALL.total == 8000


def test_a_load_that_was_cut_short_is_not_taken_for_done(loaded: str) -> None:
    with client(loaded) as connection:
        connection.execute("DROP TABLE demo_loaded, visit")
    assert not schema.is_loaded(loaded, SMALL)
    schema.load(loaded, SMALL)
    assert schema.is_loaded(loaded, SMALL)


def test_the_workload_ends_when_its_parent_lets_go(loaded: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pgiostat.lab.workload.worker", "sync", loaded],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as worker:
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(timeout=20) == 0


class After(Event):
    """Set after so many waits, none of which lasts."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self._left = waits

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._left -= 1
        if not self._left:
            self.set()
        return self.is_set()


def test_the_workload_needs_no_superuser_and_writes_what_it_should(loaded: str) -> None:
    given = conninfo_to_dict(loaded) | {"user": schema.WRITER, "password": "secret"}
    dsn = make_conninfo("", **given)
    mix = workload.Mix(versions=200, manifests=100, uploads=100, manifest_rows=30)
    assert workload.run(dsn, After(400), mix=mix, size=SMALL) == 400
    with client(loaded) as connection:
        found = connection.execute(
            "SELECT calls FROM pg_stat_statements WHERE query LIKE 'SELECT max(row_version)%'"
        ).fetchall()
    assert sum(calls for (calls,) in found) == 200


def demo(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with a cache of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pgiostat", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        check=False,
    )


def test_without_a_terminal_the_demo_ends_with_rankings_and_csv_files(tmp_path: Path) -> None:
    done = demo(tmp_path, "--seconds", "6", "--out", str(tmp_path / "csv"))
    try:
        assert done.returncode == 0, done.stderr
        way_in = r"From another terminal: .* demo --attach, or psql 'postgresql://\S+'\n"
        assert re.search(way_in, done.stderr)
        assert done.stderr.endswith(
            "Next: pgiostat demo --scenario shop; or your own server, with pgiostat doctor\n"
        )
        places = re.findall(r"^(version|manifest|upload|other) ", done.stdout, re.MULTILINE)
        assert places[:3] == ["version", "manifest", "upload"]
        frame = pd.read_csv(tmp_path / "csv" / "category.csv")
        blocks = frame[frame["part"] == "row"].groupby("category")["blocks_read"].sum()
        assert blocks["version"] > blocks["manifest"] > blocks["upload"] > 0
        assert sorted(path.name for path in (tmp_path / "csv").iterdir()) == [
            "category.csv",
            "relation.csv",
            "statement.csv",
        ]
        again = demo(tmp_path, "--seconds", "2", "--out", str(tmp_path / "csv"))
        assert again.returncode == 0, again.stderr
        assert "Loading" not in again.stderr
    finally:
        cleaned = demo(tmp_path, "--clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert re.fullmatch(r"Removed \S+/demo(-[0-9a-f]{12})?\.\n", cleaned.stderr)
    assert demo(tmp_path, "--clean").stderr == "There is no demo to remove.\n"
    assert not (tmp_path / "pgiostat" / "demo").exists()


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pgiostat", "demo", "--seconds", "600"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as running:
        assert running.stderr is not None
        told = ""
        while "From another terminal" not in told:
            line = running.stderr.readline()
            assert line, told
            told += line
        place = re.search(r"PostgreSQL \S+ server in (\S+)", told)
        assert place is not None, told
        uri = re.search(r"psql '(\S+)'", told)
        assert uri is not None, told
        assert demo(tmp_path, "--dsn").stdout == f"{uri[1]}\n"
        joined = demo(tmp_path, "--attach", "--seconds", "4")
        assert joined.returncode == 0, joined.stderr
        assert len(re.findall("^version ", joined.stdout, re.MULTILINE)) == 2
        postmaster = int((Path(place[1]) / "data" / "postmaster.pid").read_text().split()[0])
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(postmaster, 0)
    assert demo(tmp_path, "--clean").returncode == 0
