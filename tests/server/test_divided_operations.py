"""Operations of categories, from real servers over a history to the division by regression."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pgiostat.clock import monotonic
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.relation_sampler import RelationSampler
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.reports.operations import divisions
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Statement
from tests.conftest import MakeServer
from tests.support.readings import Unsynced
from tests.support.workloads import client

ROUNDS = 40
ROWS = 60_000
TABLE = f"""
CREATE TABLE big (id int, pad text) WITH (autovacuum_enabled = off);
INSERT INTO big SELECT i, repeat('x', 900) FROM generate_series(0, {ROWS - 1}) AS i;
CREATE INDEX ON big (id)
"""
SCAN = "SELECT sum(length(pad)) FROM big"
LOOKUPS = """
SELECT max(length(b.pad)) FROM unnest(%s::int[]) AS wanted JOIN big AS b ON b.id = wanted
"""
NESTED_LOOPS = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off"
TRUTH = """
SELECT coalesce(sum(reads), 0)::float8, coalesce(sum(read_bytes), 0)::float8 / 8192
FROM pg_stat_get_backend_io(pg_backend_pid()) WHERE object = 'relation'
"""


class Sessions:
    """A session that scans, and one that looks rows up."""

    def __init__(self, dsn: str) -> None:
        self.dice = random.Random(5)  # noqa: S311
        self.scans = psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor)
        self.lookups = psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor)
        self.scans.execute("SET max_parallel_workers_per_gather = 0")
        self.lookups.execute(NESTED_LOOPS)

    def work(self) -> None:
        """Do some of both, and have the server count it now."""
        for _ in range(self.dice.choice((0, 0, 1, 2))):
            self.scans.execute(SCAN)
        for _ in range(self.dice.randint(1, 9)):
            self.lookups.execute(LOOKUPS, [[self.dice.randrange(ROWS) for _ in range(60)]])
        for session in (self.scans, self.lookups):
            session.execute("SELECT pg_stat_force_next_flush()")

    @staticmethod
    def per_block(session: "psycopg.Connection[tuple[float, float]]") -> float:
        """Return the operations for each block of a session."""
        row = session.execute(TRUTH).fetchone()
        assert row is not None
        return row[0] / row[1]

    def close(self) -> None:
        self.scans.close()
        self.lookups.close()


def described(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
    """Return the category of a statement: what it does."""
    known = describer()(text, user=user, database=database, queryid=queryid)
    words = text.decode() if isinstance(text, bytes) else text
    for word, category in (("sum(length", "scan"), ("unnest", "lookup")):
        if word in words and "big" in words:
            return replace(known, category=category)
    return known


@pytest.mark.pg(">= 18")
def test_scans_and_lookups_are_told_apart(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(shared_buffers="16MB")
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        other.execute(TABLE.encode())
        other.execute("VACUUM (FREEZE, ANALYZE) big")
    sessions = Sessions(server.dsn())
    writer = Writer.open(tmp_path, "prod", Unsynced())

    def accept(delta: Delta) -> bool:
        if delta.seconds is not None:
            writer.append(delta, sampler.names)
        return True

    def wait(seconds: float) -> bool:
        del seconds
        sessions.work()
        return False

    sampler = Sampler(
        server.dsn(),
        0.01,
        described,
        wait,
        label="prod",
        on_interval=accept,
        relations=RelationSampler(0.0, monotonic),
    )
    results = sampler.intervals()
    for _ in range(ROUNDS):
        assert next(results).error is None
    results.close()  # type: ignore[attr-defined]
    writer.close()
    scan, lookup = map(sessions.per_block, (sessions.scans, sessions.lookups))
    sessions.close()
    history = History.open(tmp_path)
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=1), now + timedelta(hours=1))
    totals = history.totals(window)
    [division] = divisions(history, totals, history.names(described, window))
    assert lookup == 1.0
    for name, truth in (("scan", scan), ("lookup", lookup)):
        found = division.of(name)
        assert found.low <= truth <= found.high
        assert found.value == pytest.approx(truth, rel=0.1)
    # By blocks both have the same.
    assert scan < 0.5 < lookup
    assert scan < division.usual < lookup
