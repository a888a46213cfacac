"""What watch shows of tables and indexes of a real server, live and from its own record."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.statement_tables import StatementTables, tables_of_statement
from pgiostat.watch.sources.live import LiveSource
from pgiostat.watch.sources.replay import ReplaySource
from tests.support.workloads import client

TABLE = """
CREATE TABLE visits (id int PRIMARY KEY, ward int, note text) WITH (autovacuum_enabled = off);
INSERT INTO visits SELECT g, g % 100, repeat('x', 200) FROM generate_series(1, 4000) AS g;
CREATE INDEX visits_ward ON visits (ward) WHERE note <> 'secret';
"""
SCAN = "SELECT count(note) FROM visits WHERE id + 0 > 0"
LOOKUP = "SELECT note FROM visits WHERE id = 7"
MOST = 300
"""Intervals of a fifth of a second within which a server has reported what a session counted."""


def watched(feed: LiveSource, dsn: str, is_over: Callable[[], bool]) -> Iterator[Interval]:
    """Yield intervals between which a session scans; absorbed, and until something is there."""
    stop = Event()
    for number, interval in enumerate(feed.intervals(stop)):
        feed.session.absorb(interval)
        yield interval
        assert number < MOST, "the server reported nothing"
        if is_over():
            stop.set()
            continue
        with client(dsn) as other:
            other.execute("SET enable_bitmapscan = off")
            other.execute(SCAN)
            for _ in range(5):
                other.execute(LOOKUP)


def tables_of(feed: LiveSource | ReplaySource, text: str) -> StatementTables:
    """Return the tables of a statement since the baseline."""
    session = feed.session
    key = next(
        (userid, dbid, queryid)
        for (userid, dbid, queryid), each in session.names.statements.items()
        if text in each.text
    )
    counted = session.counted(whole=True)
    row = (str(key[2]), str(key[1]), str(key[0]))
    now = None if session.latest is None else session.latest.until
    return tables_of_statement(counted, session.tables, session.names, row, "", whole=True, now=now)


def test_the_tables_of_a_statement_live_and_from_the_record(database: str, tmp_path: Path) -> None:
    with client(database) as setup:
        setup.execute(TABLE.encode())
        setup.execute("DELETE FROM visits WHERE id % 4 = 0")
        setup.execute("ANALYZE visits")
    feed = LiveSource(database, describer, 0.2, record=tmp_path, tables_interval=1.0)

    def scans() -> int:
        whole = feed.session.tables.whole
        return 0 if whole is None else int(whole.interval.tables.total("seq_scan"))

    for _ in watched(feed, database, lambda: scans() >= 3):
        pass
    found = tables_of(feed, "visits where id = ")
    (table,) = found.tables
    assert (table.name, table.read.is_known) == ("public.visits", True)
    assert table.statements >= 2
    assert table.activity is not None
    assert table.activity.rows_per_seq_scan == 3000
    assert (table.activity.dead_rows, table.activity.live_rows) == (1000, 3000)
    assert (table.last_vacuum, table.last_analyze is not None) == (None, True)
    assert "scans and rows since the baseline, over" in found.times
    indexes = {each.name: each for each in table.indexes}
    primary = indexes["visits_pkey"].activity
    assert primary is not None
    assert primary.rows_per_scan == 1.0
    assert indexes["visits_ward"].definition.endswith("WHERE (note <> ?::text)")
    replay = ReplaySource(
        opened := History.open(tmp_path),
        uncategorized,
        Window(opened.servers()[0].since, opened.servers()[0].until),
        interval=0.001,
    )
    stop = Event()
    for interval in replay.intervals(stop):
        replay.session.absorb(interval)
        if replay.position[0] == replay.position[1]:
            stop.set()
    live, recorded = feed.session.tables.whole, replay.session.tables.whole
    assert live is not None
    assert recorded is not None
    for name in ("seq_scan", "seq_tup_read", "heap_blks_hit"):
        assert recorded.interval.tables.total(name) == live.interval.tables.total(name)
    assert recorded.interval.indexes.total("idx_scan") == live.interval.indexes.total("idx_scan")
    (again,) = tables_of(replay, "visits where id = ").tables
    assert (again.last_vacuum, again.last_analyze) == (table.last_vacuum, table.last_analyze)
    assert {each.name for each in again.indexes} == set(indexes)
