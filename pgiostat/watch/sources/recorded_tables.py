"""Tables and indexes of a replayed history: their own intervals beside those of statements."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import partial, reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pgiostat.analysis.rank import By, Totals
from pgiostat.history.format.schema import RELATION_STATS
from pgiostat.history.read import plan
from pgiostat.history.read.arrow import instants
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.statistics.columnar import Array, Rows
from pgiostat.statistics.counter_table import CounterTable
from pgiostat.statistics.counters import INDEX_STATS, TABLE_STATS
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import joined
from pgiostat.statistics.row_deltas import RowDeltas
from pgiostat.units import MICROSECOND
from pgiostat.watch.model.table_counts import SessionTables, TableNews

__all__ = ["RecordedTables"]

LONGEST = timedelta(days=1)
"""No interval of tables is longer."""
MOST_ADDED = 240
"""Intervals of tables that are added up after a seek: four hours of those of collect."""
SLACK = timedelta(seconds=0.5)
"""Tables are read after the statements: their interval ends by so much later at most."""


class _Span(NamedTuple):
    """When an interval of tables ended and began, of which server and database."""

    end: datetime
    begin: datetime
    server: int
    dbid: int

    @property
    def due(self) -> datetime:
        """An instant in the interval of statements with which it ended."""
        return self.end - min(SLACK, (self.end - self.begin) / 2)


class RecordedTables:
    """The intervals of tables and indexes in a history.

    Args:
        history: The history; one without counters of tables is as good.
        window: What is replayed.
        servers: The ids of its server.
        starts: When each interval of statements began.
    """

    def __init__(
        self,
        history: History,
        window: Window,
        servers: Sequence[int],
        starts: Sequence[datetime],
    ) -> None:
        self._history = history
        self._label = window.label
        self._starts = starts
        earlier = Window(window.since - LONGEST, window.until, window.label)
        spans = {
            _Span(begin + timedelta(microseconds=length), begin, server, dbid)
            for table in RELATION_STATS
            for begin, length, server, dbid in _spans(history, table, earlier, servers)
        }
        self._spans = sorted(each for each in spans if each.end > window.since)
        columns = [field.name for field in fields(Definition)]
        rows = history.dimension("definition") if self._spans else []
        found = [
            (row["since"], row["server_id"], Definition(**{name: row[name] for name in columns}))
            for row in rows
            if row["server_id"] in servers
        ]
        self._definitions = sorted(found, key=lambda each: each[0])

    def news(self, since: datetime, until: datetime, server: int, dbid: int) -> TableNews | None:
        """Return what an interval of statements brings of tables; None if none were recorded."""
        if not self._spans:
            return None
        found = [self._read(span) for span in self._ended(since, until, server, dbid)]
        one = reduce(joined, found) if found else None
        return TableNews(one, None, self._defined(until, server))

    def counts(self, base: datetime, at: datetime, server: int, dbid: int) -> SessionTables:
        """Return what is known of tables at an instant, with a baseline before it.

        Args:
            base: The baseline.
            at: The instant.
            server: The server's id.
            dbid: The connected database.
        """
        counts = SessionTables()
        for span in [*self._ended(base, at, server, dbid)][-MOST_ADDED:]:
            counts = counts.after(TableNews(self._read(span)))
            if span.begin < base - SLACK:
                counts = counts.from_here()
        return counts.with_server(partial(self._server_reads, server), at)

    def _server_reads(self, server: int, since: datetime, until: datetime) -> Totals | None:
        """Return what a server counted from one read of tables to another; None if nothing."""
        # Tables are read after the snapshot with which an interval begins.
        first, last = (bisect_left(self._starts, each - SLACK) for each in (since, until))
        if first >= last or last >= len(self._starts):
            return None
        window = Window(self._starts[first], self._starts[last], self._label)
        return self._history.totals(window, By.RELATION).counted.get(server)

    def _ended(self, since: datetime, until: datetime, server: int, dbid: int) -> Iterator[_Span]:
        for span in self._spans:
            if since < span.due <= until and (span.server, span.dbid) == (server, dbid):
                yield span

    def _defined(self, until: datetime, server: int) -> Mapping[DefinitionKey, Definition]:
        return {
            each.key: each
            for since, owner, each in self._definitions
            if since <= until and owner == server
        }

    def _read(self, span: _Span) -> RelationInterval:
        window = Window(span.begin, span.begin + MICROSECOND, self._label)
        tables, indexes = (
            _deltas(self._history.facts(name, window, [span.server]), table, span)
            for name, table in zip(RELATION_STATS, (TABLE_STATS, INDEX_STATS), strict=True)
        )
        seconds = (span.end - span.begin).total_seconds()
        return RelationInterval(span.dbid, span.begin, seconds, tables, indexes)


def _spans(
    history: History, table: str, window: Window, servers: Sequence[int]
) -> Iterator[tuple[datetime, int, int, int]]:
    """Yield the intervals of a table of RELATION_STATS that begin in a window.

    Of each its beginning, its length in microseconds, server_id and database.
    """
    columns = "DISTINCT f.ts, f.dur_us, f.server_id, f.dbid"
    query = plan.rows_in(
        history.engine, "facts", table, window, servers, columns=columns, order="f.dbid"
    )
    rows = history.query(query)
    others = (rows[name].to_pylist() for name in ("dur_us", "server_id", "dbid"))
    yield from zip(instants(rows["ts"]), *others, strict=True)


def _deltas(facts: pa.Table, table: CounterTable, span: _Span) -> RowDeltas:
    """Return rows of a history as those of an interval; a column without values is missing."""
    chosen = facts.filter(pa.array(facts["dbid"].to_numpy() == span.dbid))
    attributes: dict[str, Array] = {}
    names: list[str] = []
    counters: list[Array] = []
    for column in table.columns:
        if column.name not in chosen.column_names:
            continue
        values = chosen[column.name]
        if column.kind.is_counter:
            if values.null_count == len(chosen) and len(chosen):
                continue
            names.append(column.name)
            counters.append(values.fill_null(0).to_numpy().astype(np.int64))
        elif pa.types.is_timestamp(values.type):
            attributes[column.name] = values.to_numpy().astype("datetime64[us]")
        else:
            attributes[column.name] = values.fill_null(0).to_numpy()
    matrix = np.stack(counters) if counters else np.zeros((0, len(chosen)), dtype=np.int64)
    basis = chosen["basis"].to_numpy().astype(np.uint8)
    return RowDeltas(Rows(table, attributes, names, matrix), basis)
