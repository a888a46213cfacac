"""Supposed indexes and orders of rows, and what the same statements touch once they are made."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.recorded_minutes import RecordedMinutes
from tests.conftest import MakeServer
from tests.support.program import pgiostat
from tests.support.servers import Server
from tests.support.workloads import client

pytestmark = [pytest.mark.server, pytest.mark.pg(">= 18")]

ROWS, CLIENTS, CALLS = 40_000, 400, 20
SETUP = f"""
CREATE EXTENSION pg_stat_statements;
CREATE TABLE events (id int PRIMARY KEY, client int, at bigint, pad text)
    WITH (autovacuum_enabled = off);
INSERT INTO events
    SELECT i, i * 7919 % {CLIENTS}, i, repeat('x', 160) FROM generate_series(1, {ROWS}) AS i;
CREATE INDEX events_client ON events (client);
CREATE TABLE other (id int PRIMARY KEY, n int)
"""
NEWEST = "SELECT max(at) FROM events WHERE client = %s"
ALL = "SELECT pad FROM events WHERE client = %s"
ONE = "SELECT pad FROM events WHERE id = %s"
EITHER = "SELECT pad FROM events WHERE client = %s OR at = %s"


class Log:
    """Events of clients, and minutes that are not waited for."""

    def __init__(self, server: Server, history: Path) -> None:
        self.server = server
        self.run(SETUP)
        self.run("VACUUM (FREEZE, ANALYZE)")
        self.recorded = RecordedMinutes(server.dsn(), history, "log")

    def run(self, statements: str) -> None:
        with client(self.server.dsn()) as admin:
            for statement in statements.split(";"):
                admin.execute(statement.encode())

    def minutes(self, count: int) -> None:
        self.recorded.minutes(count, self._minute)

    def _minute(self, minute: int) -> None:
        with client(self.server.dsn()) as reader:
            for n in range(CALLS):
                number = (minute * CALLS + n) * 37 % CLIENTS
                reader.execute(NEWEST, (number,))
                reader.execute(ALL, (number,))
                reader.execute(ONE, (1 + number,))
            reader.execute(EITHER, (1, 1))
            reader.execute("SELECT pg_stat_force_next_flush()")
            reader.execute("SELECT")

    def touched(self, text: str) -> float:
        """Return the blocks that a call has touched since the server's counters were reset."""
        with client(self.server.dsn()) as admin:
            row = admin.execute(
                "SELECT sum(shared_blks_hit + shared_blks_read) / sum(calls)"
                " FROM pg_stat_statements WHERE query = %s",
                (text.replace("%s", "$1"),),
            ).fetchone()
        assert row is not None
        return float(row[0])


@contextmanager
def _log(make_server: MakeServer, history: Path) -> Iterator[Log]:
    log = Log(make_server(shared_buffers="16MB", autovacuum="off"), history)
    try:
        yield log
    finally:
        log.recorded.close()


def _whatif(history: Path, *arguments: str) -> Any:
    done = pgiostat("whatif", str(history), *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _by_text(record: Any) -> dict[str, Any]:
    (layout,) = record["layouts"]
    return {each["statement"]: each for each in layout["statements"]}


def test_a_supposed_index_touches_what_the_real_one_touches(
    make_server: MakeServer, tmp_path: Path
) -> None:
    history = tmp_path / "h"
    with _log(make_server, history) as log:
        log.minutes(3)
        record = _whatif(history, "--index", "events(client, at)", "--volume", "gp2:100")
        text = pgiostat(
            "whatif", str(history), "--index", "events(client, at)", COLUMNS="100"
        ).stdout
        (newest, every, either) = _statements(record, NEWEST, ALL, EITHER)
        # A call finds 100 rows, each in a block of its own.
        assert newest["touched_per_call"] == pytest.approx(102, abs=1)
        assert (newest["at_least"], newest["expected"]) == (2.0, 3.0)
        assert every["expected"] == pytest.approx(every["touched_per_call"], rel=0.1)
        assert either["unpredicted"] == "a condition has OR"
        (layout,) = record["layouts"]
        assert layout["run"] == ["CREATE INDEX CONCURRENTLY ON public.events (client, at);"]
        assert layout["unchanged_statements"] == 1  # by its primary key
        reads = record["measures"][0]
        assert reads["at_least"] <= reads["expected"] <= reads["at_most"]
        assert "not predicted, counted as it is now: " in text
        assert "with an index on events (client, at): blocks read change by " in text
        log.run("CREATE INDEX ON events (client, at)")
        log.run("VACUUM ANALYZE events")
        log.run("SELECT pg_stat_statements_reset()")
        log.minutes(3)
        assert log.touched(NEWEST) == pytest.approx(newest["expected"], abs=1)
        with_name = pgiostat("whatif", str(history), "--index", "events(client, at)")
        assert with_name.returncode == 2
        assert with_name.stderr.splitlines()[0] == (
            'pgiostat: error: index "events_client_at_idx" of table "events" has these columns'
            " already"
        )


def test_a_supposed_order_touches_what_the_real_one_touches(
    make_server: MakeServer, tmp_path: Path
) -> None:
    history = tmp_path / "h"
    with _log(make_server, history) as log:
        log.minutes(3)
        record = _whatif(history, "--cluster", "events:events_client")
        (newest, every, either) = _statements(record, NEWEST, ALL, EITHER)
        assert every["touched_per_call"] == pytest.approx(102, abs=1)
        assert every["expected"] == newest["expected"] < 8
        assert either["unpredicted"] == "a condition has OR"
        (layout,) = record["layouts"]
        assert layout["run"][0] == "CLUSTER public.events USING events_client;"
        other = _by_text(_whatif(history, "--cluster", "events:events_pkey"))
        assert {each["unpredicted"] for each in other.values()} == {
            "its rows are not in this order, and may lie further apart", "a condition has OR"
        }  # fmt: skip
        log.run("CLUSTER events USING events_client")
        log.run("VACUUM ANALYZE events")
        log.run("SELECT pg_stat_statements_reset()")
        log.minutes(3)
        assert log.touched(ALL) == pytest.approx(every["expected"], rel=0.2)
        assert log.touched(NEWEST) == pytest.approx(newest["expected"], rel=0.2)


def _statements(record: Any, *texts: str) -> list[Any]:
    known = {" ".join(name.lower().split()): each for name, each in _by_text(record).items()}
    return [known[text.lower().replace("%s", "?")] for text in texts]


def test_what_does_not_exist_is_named_with_what_does(
    make_server: MakeServer, tmp_path: Path
) -> None:
    history = tmp_path / "h"
    with _log(make_server, history) as log:
        log.minutes(1)

        def refused(*arguments: str) -> list[str]:
            done = pgiostat("whatif", str(history), *arguments)
            assert done.returncode == 2
            return done.stderr.splitlines()

        assert refused("--index", "event(client)") == [
            'pgiostat: error: table "event" does not exist in this history',
            "HINT:  Tables there: events.",
        ]
        assert refused("--index", "events(clients)") == [
            'pgiostat: error: column "clients" of table "events" does not exist',
            "HINT:  Columns there: at, client, id, pad.",
        ]
        assert refused("--cluster", "events:events_at") == [
            'pgiostat: error: index "events_at" of table "events" does not exist',
            "HINT:  Indexes there: events_client, events_pkey.",
        ]
