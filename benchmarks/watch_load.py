"""A made-up server whose statements come and go, and a clock of its own, for watching an hour."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from unittest.mock import patch

import numpy as np

from pgiostat.postgres.activity import Backend
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.texts import TextBatch
from pgiostat.statistics import counters
from pgiostat.statistics.columnar import Rows, to_pg_time
from pgiostat.statistics.counter_table import ColumnKind, SelectedColumns
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.names import Describe, Statement
from pgiostat.statistics.relation_stats import RelationRead
from pgiostat.statistics.snapshot import Markers, Server, Settings, Snapshot
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.sources.live import LiveSource

__all__ = ["CATEGORIES", "World", "describe", "watching"]

BEGAN = datetime(2026, 11, 23, 10, tzinfo=UTC)
STARTED = BEGAN - timedelta(days=3)
CATEGORIES = ("version", "manifest", "upload", "other")
LIVING = 1_000
COMING = 50
RETURNING, RETURN_EVERY, STAY = 10, 400, 20
RELATIONS = 40
SERVER = Server("prod", "db", 5432, "app", 5, "pgiostat", 11, 1, "10.0.0.1", "18.4", 180004, "1.12")
SETTINGS = Settings({
    "block_size": "8192", "track_io_timing": "on", "pg_stat_statements.max": "5000",
    "pg_stat_statements.track": "top", "pg_stat_statements.track_planning": "off",
})  # fmt: skip

Key = tuple[int, int, int]


def describe(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:  # noqa: ARG001 - a Describe
    """Return a statement of a category that its number decides."""
    told = text if isinstance(text, str) else text.decode()
    return Statement(told, f"1:{queryid % 100:02}", CATEGORIES[queryid % len(CATEGORIES)])


def _rows(reading: SelectedColumns, count: int, **columns: Any) -> Rows:
    """Return rows in which what is not given is 0."""
    attributes = {}
    counted = [column.name for column in reading.columns if column.kind.is_counter]
    amounts = np.zeros((len(counted), count), dtype=np.int64)
    for column in reading.columns:
        value = columns.get(column.name, "" if column.kind is ColumnKind.NAME else 0)
        if column.kind.is_counter:
            amounts[counted.index(column.name)] = value
        else:
            attributes[column.name] = np.full(count, value, dtype=column.kind.kept)
    return Rows(reading.table, attributes, counted, amounts)


@dataclass
class World:
    """A server, a session and a collector; waiting moves its clock, a second at a time.

    seconds: when it ends.  shown: how many intervals have been shown, which waiting waits for.
    begin: called at each turn.
    """

    seconds: int
    shown: Callable[[], int] = lambda: 0
    begin: Callable[[int], None] = lambda _turn: None
    now: int = 0
    own: Own = field(default_factory=lambda: Own(11, 5))
    _statements: SelectedColumns = field(default_factory=counters.STATEMENTS.select)
    _relations: SelectedColumns = field(default_factory=counters.RELATIONS.select)
    _tables: SelectedColumns = field(default_factory=counters.TABLE_STATS.select)
    _indexes: SelectedColumns = field(default_factory=counters.INDEX_STATS.select)

    def clock(self) -> float:
        """Return our time."""
        return float(self.now)

    def take(self) -> Snapshot:
        """Return a reading: of a thousand entries fifty are new, and each is called now and then.

        Those of the lowest numbers return every now and then, and stay for a while.
        """
        now = self.now
        self.begin(now)
        born = RETURNING + np.arange(now * COMING, now * COMING + LIVING, dtype=np.int64)
        since = np.maximum((born - RETURNING - LIVING) // COMING + 1, 0)
        if now % RETURN_EVERY < STAY:
            began = now - now % RETURN_EVERY
            born = np.concatenate([np.arange(RETURNING, dtype=np.int64), born])
            since = np.concatenate([np.full(RETURNING, began, dtype=np.int64), since])
        calls = 1 + (now - since + born % 5) // 5
        read = calls * (1 + born % 97)
        at = BEGAN + timedelta(seconds=now)
        statements = _rows(
            self._statements, len(born), userid=10, dbid=5, queryid=born, toplevel=True,
            calls=calls, shared_blks_read=read, shared_blk_read_time=read * 100,
            total_exec_time=read * 200, max_exec_time=1.0, min_exec_time=0.5,
            stats_since=to_pg_time(BEGAN) + (since - 1) * 1_000_000,
        )  # fmt: skip
        oids = 20_000 + np.arange(now * 2, now * 2 + RELATIONS)
        relations = _rows(self._relations, RELATIONS, relid=oids, blks_read=10 * (oids % 7 + now))
        total = int(now * 10_000)
        databases = _rows(counters.DATABASES.select(), 1, datid=5, blks_read=total)
        return Snapshot(
            SERVER, 1, at, at, float(now), SETTINGS,
            Markers(STARTED, False, STARTED, STARTED, now), statements, databases, None, relations,
        )  # fmt: skip

    def texts(self, keys: Collection[Key]) -> TextBatch:
        """Return texts, each of its own."""
        return TextBatch(
            {key: f"select {key[2]} from a_table_with_quite_a_long_name" for key in keys}
        )

    def databases(self) -> dict[int, str]:
        """Return their names."""
        return {5: "app"}

    def roles(self) -> dict[int, str]:
        """Return their names."""
        return {10: "api"}

    def relations(
        self, relids: Collection[int]
    ) -> tuple[dict[int, tuple[int, str, str, str]], dict[int, str]]:
        """Return tables, and no index."""
        return {relid: (relid, "public", f"t{relid}", "heap") for relid in relids}, {}

    def base_tables(self, names: Sequence[str]) -> list[tuple[str, str, str, str]]:  # noqa: ARG002 - as of a reader
        """Return no table: there are neither views nor partitions."""
        return []

    def relation_reader(self) -> "World":
        """Return what reads tables and indexes."""
        return self

    def stats(self, relids: Collection[int] | None = None) -> RelationRead:
        """Return tables that were scanned, and an index of each."""
        oids = 20_000 + np.arange(self.now * 2, self.now * 2 + RELATIONS)
        if relids is not None:
            oids = oids[np.isin(oids, [*relids])]
        at = BEGAN + timedelta(seconds=self.now)
        tables = _rows(
            self._tables, len(oids), relid=oids, seq_scan=self.now, seq_tup_read=9 * self.now,
            heap_blks_read=10 * self.now, relpages=1000, reltuples=10_000,
        )  # fmt: skip
        indexes = _rows(
            self._indexes, len(oids), indexrelid=oids + 1_000_000, relid=oids, idx_scan=self.now
        )
        return RelationRead(5, at, tables, indexes)

    def definitions(self, tables: Collection[int]) -> list[Definition]:
        """Return an index of each table."""
        return [
            Definition(5, Kind.INDEX, table + 1_000_000, table, f"i{table}", "CREATE INDEX")
            for table in tables
        ]

    def settings(self) -> list[Definition]:
        """Return nothing."""
        return []

    def running(self, seconds: float) -> list[Backend]:  # noqa: ARG002 - as of a collector
        """Return nothing."""
        return []

    def whereabouts(self) -> None:
        """Return where the server runs: not on this machine."""

    def close(self) -> None:
        """Be a session."""


class _Turns(Event):
    """Waiting takes no time, but goes on only when what was read before is shown."""

    def __init__(self, stop: Event, world: World) -> None:
        super().__init__()
        self._stop, self._world = stop, world

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - a second each
        world = self._world
        while world.shown() < world.now and not self._stop.wait(0.0002):
            pass
        world.now += 1
        return self._stop.is_set() or world.now > world.seconds


class _Feed(LiveSource):
    """A feed that reads the made-up server."""

    def __init__(self, world: World, describer: Callable[[], Describe]) -> None:
        super().__init__("", describer, 1.0, tables_interval=10.0, clock=world.clock)
        self._world = world
        world.shown = lambda: self.session.shown

    def intervals(self, stop: Event) -> Iterator[Interval]:
        return super().intervals(_Turns(stop, self._world))


@contextmanager
def watching(world: World) -> Iterator[LiveSource]:
    """Yield a feed of the made-up server: all else is as it is when a real one is watched."""
    with patch.multiple(
        "pgiostat.postgres.sampler",
        connect=lambda _dsn, **_more: world,
        SnapshotReader=lambda session, **_more: session,
    ):
        yield _Feed(world, lambda: describe)
