"""Intervals of a history as the regression of operations takes them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pgiostat.analysis.operations import Context, Intervals, StatementCounts, TableCounts
from pgiostat.analysis.server_reads import CLIENTS
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.tables import resolver, tables_of
from pgiostat.reports.steps import Ids
from pgiostat.statistics.names import Names

__all__ = ["Chunk", "ServerSettings", "intervals_of"]

LEAST_SHARE = 0.001
"""Share of the blocks from which a statement's tables are evidence."""
SLACK_US = 500_000
"""A read of the tables' counters comes after the snapshot that ends its interval."""
_SECOND_US = 1_000_000
_TABLE_COLUMNS = ("relid", "relpages", "reltuples", "seq_scan", "bitmap_tup_fetch")
_INDEX_COLUMNS = ("relid", "idx_tup_fetch")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of a server in bytes."""

    shared_buffers: int
    io_combine_limit: int


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Rows of one server in a part of a window, by table of the history.

    Attributes:
        dbid: The database with counters of tables.
    """

    samples: pa.Table
    statements: pa.Table
    io: pa.Table
    tables: pa.Table
    indexes: pa.Table
    dbid: int

    @classmethod
    def read(cls, history: History, window: Window, server_id: int, dbid: int) -> "Chunk":
        """Read the rows."""
        samples, statements, io, tables, indexes = (
            history.facts(table, window, [server_id])
            for table in ("sample", "stmt", "io", "table_stats", "index_stats")
        )
        return cls(samples, statements, io, tables, indexes, dbid)


def intervals_of(
    chunk: Chunk, names: Names, settings: ServerSettings
) -> tuple[Intervals, list[Ids]] | None:
    """Return the intervals of a chunk, and its statements; None without counters of tables.

    Args:
        chunk: The rows.
        names: What ids mean.
        settings: Of the server.
    """
    lengths = _numbers(chunk.samples, "dur_us")
    counted = np.flatnonzero(lengths > 0)
    if not len(counted) or not len(chunk.tables) or not len(chunk.statements):
        return None
    begins, lengths = _microseconds(chunk.samples)[counted], lengths[counted]
    block_size = int(_numbers(chunk.samples, "block_size")[counted[-1]])
    ids, counts = _statements(chunk.statements, begins)
    tables = _tables(chunk, (begins, lengths), _touched(ids, counts, names, chunk.dbid), names)
    if tables is None:
        return None
    bulk, normal = _contexts(chunk.io, begins, block_size)
    intervals = Intervals(
        seconds=lengths / _SECOND_US,
        statements=counts,
        bulk=bulk,
        normal=normal,
        buffers=settings.shared_buffers // block_size,
        combine=max(settings.io_combine_limit // block_size, 1),
        tables=tables,
    )
    return intervals, ids


def _numbers(rows: pa.Table, name: str) -> Ints:
    """Return a column of whole numbers; an unknown one is 0."""
    column = rows[name]
    known = column.fill_null(0) if column.null_count else column
    return np.asarray(known.to_numpy(), dtype=np.int64)


def _microseconds(rows: pa.Table) -> Ints:
    return np.asarray(rows["ts"].to_numpy().astype("datetime64[us]").astype(np.int64))


def _places(rows: pa.Table, begins: Ints) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the interval of each row, and whether there is one."""
    times = _microseconds(rows)
    places = np.minimum(np.searchsorted(begins, times), len(begins) - 1)
    return places, begins[places] == times


def _statements(rows: pa.Table, begins: Ints) -> tuple[list[Ids], StatementCounts]:
    """Return the statements that clients sent, and their counts in each interval."""
    places, inside = _places(rows, begins)
    _, first, who = np.unique(_numbers(rows, "sid"), return_index=True, return_inverse=True)
    one_each = rows.take(pa.array(first)).select(
        ["userid", "dbid", "queryid", "masked", "toplevel"]
    )
    known = one_each.to_pylist()
    sent = [i for i, row in enumerate(known) if row["toplevel"]]
    ids: list[Ids] = [
        (row["userid"], row["dbid"], None if row["masked"] else row["queryid"])
        for row in (known[i] for i in sent)
    ]

    def summed(name: str) -> npt.NDArray[np.float64]:
        found = np.zeros((len(begins), len(known)))
        np.add.at(found, (places[inside], who[inside]), _numbers(rows, name)[inside])
        return found[:, sent]

    read = summed("shared_blks_read")
    return ids, StatementCounts(summed("calls"), read, read + summed("shared_blks_hit"))


def _contexts(rows: pa.Table, begins: Ints, block_size: int) -> tuple[Context, Context]:
    """Return the reads of clients in bulkread, and in all other contexts."""
    places, inside = _places(rows, begins)
    clients = np.isin(np.array(rows["backend_type"].to_pylist(), dtype=object), CLIENTS)
    relation = np.array(rows["object"].to_pylist(), dtype=object) == "relation"
    bulkread = np.array(rows["context"].to_pylist(), dtype=object) == "bulkread"

    def context(chosen: npt.NDArray[np.bool_]) -> Context:
        where = np.flatnonzero(inside & clients & relation & chosen)
        operations, read_bytes = (
            np.bincount(places[where], _numbers(rows, name)[where], len(begins)).astype(float)
            for name in ("reads", "read_bytes")
        )
        return Context(operations, read_bytes / block_size)

    return context(bulkread), context(~bulkread)


def _touched(
    ids: Sequence[Ids], counts: StatementCounts, names: Names, dbid: int
) -> list[frozenset[int]]:
    """Return the tables of the connected database that each statement names."""
    find = resolver(
        {
            owner: (owner, schema, name) for owner, schema, name, _ in names.relations.values()
        }.values()
    )
    blocks = counts.blocks.sum(axis=0)
    least = LEAST_SHARE * float(blocks.sum())
    found = []
    for (userid, where, queryid), read in zip(ids, blocks.tolist(), strict=True):
        known = None if queryid is None else names.statement((userid, where, queryid))
        if known is None or where != dbid or read < least:
            found.append(frozenset[int]())
            continue
        found.append(find(tables_of(known.text) if known.tables is None else known.tables))
    return found


def _tables(
    chunk: Chunk, spans: tuple[Ints, Ints], touched: Sequence[frozenset[int]], names: Names
) -> TableCounts | None:
    """Return the counters of the tables that statements name; None if they were not read."""
    begins, lengths = spans
    middles, end = begins + lengths // 2, int(begins[-1] + lengths[-1])
    rows = _relation_rows(chunk.tables, chunk.dbid, _TABLE_COLUMNS)
    oids = sorted(frozenset().union(*touched) & {relid for _, (relid, *_) in rows})
    reads = sorted({span for span, _ in rows if sum(span) <= end + SLACK_US})
    if not oids or not reads:
        return None
    place = {oid: i for i, oid in enumerate(oids)}
    period = {span: i for i, span in enumerate(reads)}
    shape = (len(reads), len(oids))
    scans, bitmap_rows, index_rows = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    pages, live = np.zeros(len(oids)), np.zeros(len(oids))
    for span, (relid, relpages, reltuples, scanned, fetched) in rows:
        if (table := place.get(relid)) is not None:
            pages[table], live[table] = relpages, reltuples
            if span in period:
                scans[period[span], table] += scanned
                bitmap_rows[period[span], table] += fetched
    for span, (relid, fetched) in _relation_rows(chunk.indexes, chunk.dbid, _INDEX_COLUMNS):
        # The index of a TOAST table is evidence of what its table is read for.
        owner = names.relations.get(relid, (relid, "", "", ""))[0]
        if owner in place and span in period:
            index_rows[period[span], place[owner]] += fetched
    # An interval belongs to the time between two reads in which its middle is.
    borders = np.array([(since, since + length) for since, length in reads])
    first, last = (np.searchsorted(middles, borders[:, i]) for i in range(2))
    touches = np.array([[oid in each for oid in oids] for each in touched], dtype=bool)
    return TableCounts(first, last, pages, live, scans, bitmap_rows, index_rows, touches)


def _relation_rows(
    rows: pa.Table, dbid: int, columns: Sequence[str]
) -> list[tuple[tuple[int, int], tuple[int, ...]]]:
    """Return begin and length of the time of each row of a database, and some columns."""
    here = np.flatnonzero(_numbers(rows, "dbid") == dbid)
    times = zip(
        _microseconds(rows)[here].tolist(), _numbers(rows, "dur_us")[here].tolist(), strict=True
    )
    values = zip(*(_numbers(rows, name)[here].tolist() for name in columns), strict=True)
    return list(zip(times, values, strict=True))
