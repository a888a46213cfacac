"""Counts of consecutive intervals of a server: the input of an estimate of operations."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["Context", "Floats", "Intervals", "Mask", "StatementCounts", "TableCounts"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StatementCounts:
    """Counts of k statements in n intervals, each of shape (n, k).

    Attributes:
        calls: Executions that ended.
        blocks: Blocks read (shared_blks_read).
        touched: Blocks read or hit (shared_blks_read + shared_blks_hit).
    """

    calls: Floats
    blocks: Floats
    touched: Floats

    def of(self, chosen: npt.NDArray[np.intp]) -> "StatementCounts":
        """Return the counts of some statements, by their places."""
        return StatementCounts(
            self.calls[:, chosen], self.blocks[:, chosen], self.touched[:, chosen]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Reads of relations by clients and background workers in one context of pg_stat_io.

    Attributes:
        operations: Read operations, of shape (n,).
        blocks: Blocks that these read, of shape (n,).
    """

    operations: Floats
    blocks: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TableCounts:
    """Counters of m tables, read once in one or more intervals.

    Attributes:
        begins: For each of the p times between two readings the number of intervals before its
            begin, of shape (p,).
        ends: The number of intervals before its end, of shape (p,).
        pages: Blocks of each table (relpages), of shape (m,).
        rows: Rows of each table (reltuples); not positive if unknown, of shape (m,).
        scans: Sequential scans (seq_scan), of shape (p, m).
        bitmap_rows: Rows fetched by bitmap heap scans, of shape (p, m).
        index_rows: Rows fetched by plain index scans, of shape (p, m); those of TOAST included.
        touches: Whether a statement names a table, of shape (k, m).
    """

    begins: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    pages: Floats
    rows: Floats
    scans: Floats
    bitmap_rows: Floats
    index_rows: Floats
    touches: Mask

    def summed(self, counts: Floats) -> Floats:
        """Return counts of intervals, of shape (n, k), as sums between readings, (p, k)."""
        before = np.vstack([np.zeros(counts.shape[1]), np.cumsum(counts, axis=0)])
        return np.asarray(before[self.ends] - before[self.begins], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Counts of n consecutive intervals of one server.

    Attributes:
        seconds: Length of each interval, of shape (n,).
        statements: Counts of k statements.
        bulk: Reads in the context bulkread.
        normal: Reads in all other contexts.
        buffers: Blocks of shared_buffers: a scan of a table larger than a quarter uses bulkread.
        combine: Blocks that one operation reads at most (io_combine_limit).
        tables: Counters of tables; None if unknown.
    """

    seconds: Floats
    statements: StatementCounts
    bulk: Context
    normal: Context
    buffers: int
    combine: int
    tables: TableCounts | None = None

    @property
    def large(self) -> float:
        """Blocks above which a sequential scan of a table uses bulkread."""
        return self.buffers / 4

    @property
    def blocks(self) -> float:
        """Blocks read in all intervals, by the server's count."""
        return float(self.bulk.blocks.sum() + self.normal.blocks.sum())

    @property
    def operations(self) -> float:
        """Read operations in all intervals, by the server's count."""
        return float(self.bulk.operations.sum() + self.normal.operations.sum())

    def part(self, begin: int, end: int) -> "Intervals":
        """Return the intervals from begin to before end, without the counters of tables."""
        of = slice(begin, end)
        counts = self.statements
        return replace(
            self,
            seconds=self.seconds[of],
            statements=StatementCounts(counts.calls[of], counts.blocks[of], counts.touched[of]),
            bulk=Context(self.bulk.operations[of], self.bulk.blocks[of]),
            normal=Context(self.normal.operations[of], self.normal.blocks[of]),
            tables=None,
        )
