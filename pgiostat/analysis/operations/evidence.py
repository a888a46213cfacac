"""How a statement reads, by the counters of the tables that it names.

PostgreSQL counts rows fetched by bitmap heap scans and by plain index scans, and the number of
sequential scans, of each table. Which of its statements caused them follows from a regression of
these counts on the blocks that the statements touched, or on their calls.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pgiostat.analysis.operations.intervals import Floats, Intervals, Mask, TableCounts
from pgiostat.analysis.operations.least_squares import Prior, fit

__all__ = ["AccessKind", "Evidence", "evidence_of"]

WHOLE = 0.9
"""Share of a table's blocks that a call must touch to be a scan of the whole table."""
MOST_ROWS = 200.0
"""Rows fetched for each block touched, at most."""
ROWS_SD = 4.0
SCANS_SD = 2.0
SCANS = 0.5
"""Sequential scans a call that make a statement one that scans."""
NO_SCANS = 0.1
CERTAIN_SD = 2.0
BITMAP_ROWS = 0.25
INDEX_ROWS = 0.15
NO_BITMAP_ROWS = 0.2
SHARE_OF_INDEX_ROWS = 0.3


class AccessKind(StrEnum):
    """How a statement reads.

    Attributes:
        BULK: By sequential scans of tables above a quarter of shared_buffers (bulkread).
        STREAM: By bitmap heap scans, which read several blocks in one operation.
        INDEX: By plain index scans: one block in each operation.
        SMALL_SCAN: By sequential scans of tables up to a quarter of shared_buffers.
        OPEN: Unknown, or in several ways.
    """

    BULK = "bulk"
    STREAM = "stream"
    INDEX = "index"
    SMALL_SCAN = "small scan"
    OPEN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of k statements, each attribute of shape (k,).

    Attributes:
        kinds: How each reads outside the context bulkread.
        packed: Rows by bitmap heap scans for each block that it touched, as a share of the rows
            that a block holds; NaN if unknown.
        pages: Blocks of the largest table that it names; 0 without a table.
        bulk_share: Expected share of its blocks that are read in the context bulkread.
        bulk_sd: Standard deviation of this share.
    """

    kinds: tuple[AccessKind, ...]
    packed: Floats
    pages: Floats
    bulk_share: Floats
    bulk_sd: Floats

    def kind(self, place: int) -> AccessKind:
        """Return how one statement reads."""
        return AccessKind.BULK if self.bulk_share[place] >= 1.0 else self.kinds[place]


@dataclass(frozen=True, slots=True, eq=False)
class _Rate:
    """A count for each block or call, and its standard deviation, of shape (k,)."""

    mean: Floats
    sd: Floats

    def above(self, least: float) -> Mask:
        """Return where the rate is larger, and certainly not zero."""
        return (self.mean > least) & (self.mean > CERTAIN_SD * self.sd)

    def below(self, most: Floats | float) -> Mask:
        """Return where the rate is certainly smaller."""
        return self.mean + CERTAIN_SD * self.sd < most


def evidence_of(intervals: Intervals) -> Evidence:
    """Return how the statements of some intervals read, by the counters of their tables."""
    tables = intervals.tables
    k = intervals.statements.blocks.shape[1]
    if tables is None or not len(tables.ends):
        open_kinds = (AccessKind.OPEN,) * k
        return Evidence(
            open_kinds, np.full(k, np.nan), np.zeros(k), np.full(k, 0.5), np.full(k, 0.5)
        )
    counts = intervals.statements
    calls = tables.summed(counts.calls)
    touched = tables.summed(counts.touched)
    each = _per(touched.sum(axis=0), calls.sum(axis=0))
    scans = [_by_statement(calls, tables, tables.scans, i, SCANS_SD) for i in range(_m(tables))]
    share, sd = _bulk(intervals.large, tables, scans, each)
    others = touched * (1.0 - share)
    bitmap = _over_tables(others, tables, tables.bitmap_rows)
    index = _over_tables(others, tables, tables.index_rows)
    small = _small_scans(intervals.large, tables, scans, each)
    kinds = tuple(_kinds(bitmap, index, small, each * (1.0 - share)))
    pages = (tables.touches * tables.pages).max(axis=1, initial=0.0)
    certain = np.array(
        [kind in {AccessKind.STREAM, AccessKind.INDEX} for kind in kinds], dtype=bool
    )
    # A statement that reads by an index and was not found to scan reads nothing in bulk.
    sd = np.where(certain & (share == 0.0), np.minimum(sd, 0.1), sd)
    density = _density(tables)
    packed = np.divide(bitmap.mean, density, out=np.full(k, np.nan), where=density > 0)
    return Evidence(kinds, packed, pages, share, sd)


def _m(tables: TableCounts) -> int:
    return len(tables.pages)


def _density(tables: TableCounts) -> Floats:
    """Return the rows in a block of the largest table that each statement names; 0 if unknown."""
    if not _m(tables):
        return np.zeros(len(tables.touches))
    each = _per(np.maximum(tables.rows, 0.0), tables.pages)
    largest = np.where(tables.touches, tables.pages, -1.0).argmax(axis=1)
    return np.where(tables.touches.any(axis=1), each[largest], 0.0)


def _per(amounts: Floats, counts: Floats) -> Floats:
    return np.divide(amounts, counts, out=np.zeros_like(amounts), where=counts > 0)


def _by_statement(
    causes: Floats, tables: TableCounts, counts: Floats, table: int, sd: float = ROWS_SD
) -> _Rate:
    """Return the counts of a table for each unit of what the statements that name it did.

    Args:
        causes: Blocks touched or calls, of shape (p, k).
        counts: Of all tables, of shape (p, m).
    """
    k = causes.shape[1]
    mean, deviation = np.zeros(k), np.zeros(k)
    who = np.flatnonzero(tables.touches[:, table] & (causes.sum(axis=0) > 0))
    total = float(counts[:, table].sum())
    if not len(who) or total <= 0:
        return _Rate(mean, deviation)
    design = causes[:, who]
    most = np.minimum(total / design.sum(axis=0), MOST_ROWS)
    found = fit(
        design,
        counts[:, table],
        Prior(np.zeros(len(who)), np.full(len(who), sd), np.zeros(len(who)), most),
    )
    mean[who] = found.values
    deviation[who] = np.minimum(np.sqrt(np.diag(found.covariance)), most)
    return _Rate(mean, deviation)


def _over_tables(causes: Floats, tables: TableCounts, counts: Floats) -> _Rate:
    """Return the counts of all tables for each unit of what the statements did."""
    mean, variance = np.zeros(causes.shape[1]), np.zeros(causes.shape[1])
    for i in range(_m(tables)):
        rate = _by_statement(causes, tables, counts, i)
        mean, variance = mean + rate.mean, variance + rate.sd**2
    return _Rate(mean, np.sqrt(variance))


def _bulk(
    large: float, tables: TableCounts, scans: list[_Rate], each: Floats
) -> tuple[Floats, Floats]:
    """Return the expected share of each statement's blocks read in bulkread, and its deviation.

    A statement can read there only by a sequential scan of a large table, of all of it or, under
    LIMIT, of a part.
    """
    k = len(each)
    share, sd = np.zeros(k), np.zeros(k)
    for i in np.flatnonzero(tables.pages > large):
        rate, pages = scans[i], float(tables.pages[i])
        named = tables.touches[:, i] & (tables.scans[:, i].sum() > 0)
        whole = named & (each >= WHOLE * pages) & ~rate.below(SCANS)
        partly = named & ~whole & rate.above(SCANS)
        maybe = named & ~whole & ~partly & ~rate.below(NO_SCANS)
        scanned = np.minimum(_per(np.full(k, pages), each), 1.0)
        share = np.where(whole, np.minimum(share + scanned, 1.0), share)
        exact = whole & (scanned >= WHOLE)
        sd = np.where(exact, np.maximum(sd, 0.005), np.where(whole, np.maximum(sd, 0.2), sd))
        share = np.where(partly, np.maximum(share, 0.7), share)
        sd = np.where(partly, np.maximum(sd, 0.4), sd)
        sd = np.where(maybe, np.maximum(sd, 0.3), sd)
    share = np.where(share >= WHOLE, 1.0, share)
    # What a statement reads that names no table of this database is unknown.
    nameless = ~tables.touches.any(axis=1)
    return np.where(nameless, 0.5, share), np.where(nameless, 0.5, sd)


def _small_scans(large: float, tables: TableCounts, scans: list[_Rate], each: Floats) -> Floats:
    """Return the blocks a call that sequential scans of small tables touch, of shape (k,)."""
    touched = np.zeros(len(each))
    for i in np.flatnonzero(tables.pages <= large):
        rate, pages = scans[i], float(tables.pages[i])
        whole = tables.touches[:, i] & (each >= WHOLE * pages) & ~rate.below(SCANS)
        touched += np.where(whole & (tables.scans[:, i].sum() > 0), pages, 0.0)
    return touched


def _kinds(bitmap: _Rate, index: _Rate, small: Floats, each: Floats) -> "list[AccessKind]":
    """Return the kind of each statement.

    Args:
        bitmap: Rows by bitmap heap scans for each block.
        index: Rows by plain index scans for each block.
        small: Blocks a call that are touched by sequential scans of small tables.
        each: Blocks a call that are touched outside bulkread.
    """
    stream = bitmap.above(BITMAP_ROWS) & (bitmap.mean > SHARE_OF_INDEX_ROWS * index.mean)
    no_bitmap = np.maximum(NO_BITMAP_ROWS, SHARE_OF_INDEX_ROWS * index.mean)
    scanned = _per(small, each)
    plain = bitmap.below(no_bitmap) & index.above(INDEX_ROWS) & (scanned < 1.0 - WHOLE)
    alone = ~stream & ~plain & (scanned >= WHOLE) & (scanned <= 1.0 / WHOLE)
    return [
        AccessKind.STREAM
        if stream[k]
        else AccessKind.INDEX
        if plain[k]
        else AccessKind.SMALL_SCAN
        if alone[k]
        else AccessKind.OPEN
        for k in range(len(each))
    ]
