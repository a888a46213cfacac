"""Readings made by hand, for tests of what is computed from them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from logging import INFO, Handler, LogRecord, getLogger
from pathlib import Path
from typing import Any

import numpy as np

from pgiostat.collector.log import ServerLog, server_log
from pgiostat.history.format.durable_io import Disk
from pgiostat.postgres.sent_sql import SETTINGS
from pgiostat.statistics import counters
from pgiostat.statistics.columnar import Rows, to_pg_time
from pgiostat.statistics.counter_table import ColumnKind, CounterTable, SelectedColumns
from pgiostat.statistics.counters import INDEX_STATS, TABLE_STATS
from pgiostat.statistics.definitions import Definition
from pgiostat.statistics.relation_changes import RelationChanges, RelationInterval
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.statistics.snapshot import Markers, Server, Settings, Snapshot

BEGINNING = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
STARTED = BEGINNING - timedelta(days=3)
_numbers = count()

MODERN = counters.STATEMENTS.select()
"""Extension 1.11 and later."""
WITHOUT_SINCE = counters.STATEMENTS.select(
    {c.name for c in counters.STATEMENTS.columns} - {"stats_since", "local_blk_read_time"}
)
"""Extensions 1.9 and 1.10."""
WITHOUT_TOPLEVEL = counters.STATEMENTS.select(
    {c.name for c in counters.STATEMENTS.columns}
    - {"stats_since", "local_blk_read_time", "temp_blk_read_time", "toplevel"}
)
"""Extension 1.8, of PostgreSQL 13."""
IO_IN_BLOCKS = counters.IO.select({c.name for c in counters.IO.columns} - {"read_bytes"})
"""PostgreSQL 16 and 17."""


class Unsynced(Disk):
    """A disk that waits for nothing: for histories that no power failure will meet."""

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Write a file."""
        path.write_bytes(content)

    def sync(self, directory: Path) -> None:
        """Wait for nothing."""


class _Lines(Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: LogRecord) -> None:
        """Keep a line."""
        self._lines.append(record.getMessage())


def said_to(lines: list[str]) -> ServerLog:
    """Return a log that keeps its lines."""
    logger = getLogger(f"tests.{next(_numbers)}")
    logger.handlers, logger.propagate = [_Lines(lines)], False
    logger.setLevel(INFO)
    return server_log(logger, "test")


def at(seconds: float) -> datetime:
    """Return an instant of the server's clock."""
    return BEGINNING + timedelta(seconds=seconds)


def rows(
    reading: SelectedColumns, records: Sequence[Mapping[str, Any]], **defaults: object
) -> Rows:
    """Return rows; what a record does not say is 0, and times are in milliseconds."""
    zero: dict[ColumnKind, object] = {
        ColumnKind.FLAG: False,
        ColumnKind.NAME: "",
        ColumnKind.EXTREME: 0.0,
        ColumnKind.TIME: 0.0,
        ColumnKind.INSTANT: None,
        ColumnKind.EVENT: None,
    }
    full = [
        [record.get(c.name, defaults.get(c.name, zero.get(c.kind, 0))) for c in reading.columns]
        for record in records
    ]
    return Rows.from_records(reading, full)


def statements(records: Sequence[Mapping[str, Any]], reading: SelectedColumns = MODERN) -> Rows:
    """Return statements of one user and database, made when the server started."""
    return rows(reading, records, userid=10, dbid=5, toplevel=True, stats_since=STARTED)


def server(**changes: Any) -> Server:
    """Return a server."""
    given: dict[str, Any] = {
        "label": "prod",
        "host": "db",
        "port": 5432,
        "dbname": "app",
        "dbid": 5,
        "user": "pgiostat",
        "userid": 11,
        "system_identifier": 1,
        "address": "10.0.0.1",
        "version": "18.4",
        "version_num": 180004,
        "extension_version": "1.12",
    }
    return Server(**given | changes)


def settings(**changes: str | None) -> Settings:
    """Return settings; names with dots are given with __."""
    values: dict[str, str | None] = dict.fromkeys(SETTINGS)
    values |= {
        "block_size": "8192",
        "max_parallel_workers": "8",
        "track_io_timing": "on",
        "pg_stat_statements.max": "5000",
        "pg_stat_statements.track": "top",
        "pg_stat_statements.track_planning": "off",
    }
    return Settings(values | {name.replace("__", "."): value for name, value in changes.items()})


def reading(
    seconds: float,
    records: Sequence[Mapping[str, Any]] = (),
    *,
    table: SelectedColumns = MODERN,
    databases: Sequence[Mapping[str, Any]] = (),
    relations: Sequence[Mapping[str, Any]] = (),
    io: Sequence[Mapping[str, Any]] | None = None,
    start_time: datetime = STARTED,
    statements_reset: datetime | None = STARTED,
    bgwriter_reset: datetime | None = STARTED,
    dealloc: int | None = 0,
    session: int = 1,
    clock: float | None = None,
    **changes: Any,
) -> Snapshot:
    """Return a reading so many seconds after the beginning."""
    if table is WITHOUT_TOPLEVEL:
        statements_reset = dealloc = None  # no pg_stat_statements_info either
    return Snapshot(
        server=changes.get("server", server()),
        session=session,
        started_at=at(seconds),
        taken_at=at(seconds),
        clock=seconds if clock is None else clock,
        settings=changes.get("settings", settings()),
        markers=Markers(start_time, False, bgwriter_reset, statements_reset, dealloc),
        statements=statements(records, table),
        databases=rows(counters.DATABASES.select(), databases, stats_reset=STARTED),
        io=None if io is None else rows(changes.get("io_table", counters.IO.select()), io),
        relations=rows(counters.RELATIONS.select(), relations),
        own_queryid=changes.get("own_queryid"),
    )


def shown(table: Rows, *names: str) -> list[tuple[Any, ...]]:
    """Return columns of rows as tuples, in the order of the rows."""
    return list(zip(*(np.asarray(table[name]).tolist() for name in names), strict=True))


def since(seconds: float) -> int:
    """Return an instant as timestamptz travels."""
    return to_pg_time(at(seconds))


def relation_changes(
    since: datetime,
    seconds: float,
    tables: Sequence[Mapping[str, Any]] = (),
    indexes: Sequence[Mapping[str, Any]] = (),
    definitions: Sequence[Definition] = (),
) -> RelationChanges:
    """Return what tables and indexes of one database counted; each record has its changes."""

    def deltas(table: CounterTable, records: Sequence[Mapping[str, Any]]) -> RowDeltas:
        found = rows(table.select(), records)
        return RowDeltas(found, np.full(len(found), Basis.PREVIOUS, dtype=np.uint8))

    interval = RelationInterval(
        5, since, seconds, deltas(TABLE_STATS, tables), deltas(INDEX_STATS, indexes)
    )
    return RelationChanges((interval,), tuple(definitions))
