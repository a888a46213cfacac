"""Cost of reads: counts of one row, and every number derived from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgiostat.analysis.server_reads import PerBlock
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.kcache import PHYSICAL, TRACED
from pgiostat.units import blocks_to_bytes, per_second, us_to_milliseconds

if TYPE_CHECKING:
    from pgiostat.statistics.delta import Delta
    from pgiostat.statistics.row_deltas import RowDeltas

__all__ = [
    "FIELDS",
    "Overhead",
    "ReadCost",
    "blocks_of",
    "relation_amounts",
    "statement_amounts",
]

FIELDS = (
    "calls",
    "rows",
    "shared_blks_hit",
    "shared_blks_read",
    "local_blks_read",
    "temp_blks_read",
    "total_exec_us",
    "read_us",
    "timed_blocks",
    "physical_bytes",
    "traced_blocks",
)
"""Counts of a ReadCost, in the order of the rows of a matrix of FIELDS."""
_BLOCKS = [FIELDS.index(name) for name in ("shared_blks_read", "local_blks_read")]

OPERATIONS_BY = "pg_stat_io"
IMPOSSIBLE_SLACK_US = 1000
_UNCOUNTED = PerBlock()

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Overhead:
    """Cost of pgiostat's own statements in an interval; time in ms."""

    calls: float
    exec_ms: float
    blocks_read: float
    temp_blks_read: float


@dataclass(frozen=True, slots=True)
class ReadCost:
    """Counts over an interval; all other numbers are derived from them, here and nowhere else.

    Shared, local and temp blocks are kept apart. Source: pg_stat_statements, if no other is named.

    Attributes:
        seconds: Measured length.
        block_size: Bytes of a block.
        calls: Calls; None for relations, which are not called.
        rows: Rows returned; None for relations.
        shared_blks_hit: Blocks found in shared_buffers.
        shared_blks_read: Blocks of tables and indexes that were not.
        local_blks_read: Blocks of temporary tables read.
        temp_blks_read: Blocks of spill files read.
        total_exec_us: Time executing, in microseconds; None for relations.
        read_us: Time reading timed_blocks, in microseconds.
        timed_blocks: Blocks of statements with timed reads (track_io_timing).
        physical_bytes: Bytes read from storage for traced_blocks (pg_stat_kcache).
        traced_blocks: Blocks of statements that pg_stat_kcache traced.
        per_block: Read operations of clients for each block (pg_stat_io).
    """

    seconds: float
    block_size: int
    calls: int | None = 0
    rows: int | None = 0
    shared_blks_hit: int = 0
    shared_blks_read: int = 0
    local_blks_read: int = 0
    temp_blks_read: int = 0
    total_exec_us: int | None = 0
    read_us: int = 0
    timed_blocks: int = 0
    physical_bytes: int = 0
    traced_blocks: int = 0
    per_block: PerBlock = _UNCOUNTED

    @property
    def blocks(self) -> int:
        """Blocks not found in shared_buffers: blks_read of pg_stat_database."""
        return self.shared_blks_read + self.local_blks_read

    @property
    def bytes(self) -> int:
        """These blocks in bytes."""
        return blocks_to_bytes(self.blocks, self.block_size)

    @property
    def blocks_per_s(self) -> float | None:
        """Blocks read per second."""
        return per_second(self.blocks, self.seconds)

    @property
    def bytes_per_s(self) -> float | None:
        """Bytes read per second."""
        return per_second(self.bytes, self.seconds)

    @property
    def operations(self) -> float | None:
        """Read operations of these blocks by the server's mean per block; None if not counted."""
        if not self.per_block.counted:
            return None
        shared = _scaled(self.shared_blks_read, self.per_block.shared)
        local = _scaled(self.local_blks_read, self.per_block.local)
        return None if shared is None or local is None else shared + local

    @property
    def operations_by(self) -> str | None:
        """Source of `operations`; None without one."""
        return OPERATIONS_BY if self.per_block.counted else None

    @property
    def operations_per_s(self) -> float | None:
        """Read operations per second."""
        return per_second(self.operations, self.seconds)

    @property
    def physical_bytes_per_s(self) -> float | None:
        """Bytes read from storage per second; None if blocks were read and none was traced."""
        if self.blocks and not self.traced_blocks:
            return None
        return per_second(self.physical_bytes, self.seconds) if self.traced_blocks else None

    @property
    def physical_share(self) -> float | None:
        """Share of the traced blocks that came from storage, not from the OS page cache.

        Read-ahead of the operating system may make it more than 1.
        """
        traced = blocks_to_bytes(self.traced_blocks, self.block_size)
        return self.physical_bytes / traced if traced else None

    @property
    def temp_blocks_per_s(self) -> float | None:
        """Blocks of spill files read per second."""
        return per_second(self.temp_blks_read, self.seconds)

    @property
    def calls_per_s(self) -> float | None:
        """Calls per second; None for a relation."""
        return per_second(self.calls, self.seconds)

    @property
    def blocks_per_call(self) -> float | None:
        """Blocks read per call; None without calls."""
        return self.blocks / self.calls if self.calls else None

    @property
    def hit_ratio(self) -> float | None:
        """Share of block accesses found in shared_buffers; None without accesses."""
        accesses = self.shared_blks_hit + self.shared_blks_read
        return self.shared_blks_hit / accesses if accesses else None

    @property
    def timed_share(self) -> float | None:
        """Share of the blocks with read times; None if nothing was read."""
        return self.timed_blocks / self.blocks if self.blocks else None

    @property
    def read_ms(self) -> float | None:
        """Time of reads in ms; None if blocks were read and none was timed."""
        if self.blocks and not self.timed_blocks:
            return None
        return us_to_milliseconds(self.read_us)

    @property
    def reading_sessions(self) -> float | None:
        """Mean number of sessions that were reading."""
        read_ms = self.read_ms
        return None if read_ms is None else per_second(read_ms / 1000, self.seconds)

    @property
    def rd_await_ms(self) -> float | None:
        """Mean time of reading a timed block, in ms; None without any."""
        return us_to_milliseconds(self.read_us) / self.timed_blocks if self.timed_blocks else None

    @property
    def exec_ms(self) -> float | None:
        """Time of execution in ms; None for a relation."""
        return None if self.total_exec_us is None else us_to_milliseconds(self.total_exec_us)

    @property
    def exec_ms_per_s(self) -> float | None:
        """Milliseconds of execution per second."""
        return per_second(self.exec_ms, self.seconds)

    @property
    def mean_exec_ms(self) -> float | None:
        """Mean time of a call, in ms."""
        if self.total_exec_us is None or not self.calls:
            return None
        return us_to_milliseconds(self.total_exec_us) / self.calls

    def spent(self, intervals: int = 1) -> Overhead:
        """Return the mean cost of an interval.

        Args:
            intervals: Number of intervals; less than 1 counts as 1.

        Returns:
            Calls, milliseconds executing, blocks and temporary blocks read, for each interval.
        """
        each = max(intervals, 1)
        return Overhead(
            (self.calls or 0) / each,
            (self.exec_ms or 0.0) / each,
            self.blocks / each,
            self.temp_blks_read / each,
        )

    def __add__(self, other: "ReadCost") -> "ReadCost":
        """Return the sum, so that no total disagrees with its rows."""
        return self.with_all([other])

    def with_all(self, others: Sequence["ReadCost"]) -> "ReadCost":
        """Add up costs over the same time; what is None in one of them is None in the sum.

        Args:
            others: The costs to add.

        Returns:
            The sum, with this one's seconds and block size.
        """
        summed: dict[str, Any] = {}
        for name in FIELDS:
            amounts = [getattr(self, name), *map(attrgetter(name), others)]
            summed[name] = None if None in amounts else sum(amounts)
        return replace(self, **summed)


def _scaled(blocks: int, each: float | None) -> float | None:
    return 0.0 if not blocks else None if each is None else blocks * each


def blocks_of(amounts: Counts) -> Counts:
    """Return the blocks of a matrix of FIELDS, without its first axis: as ReadCost.blocks."""
    blocks: Counts = amounts[_BLOCKS].sum(axis=0)
    return blocks


def statement_amounts(delta: "Delta") -> tuple[Counts, int]:
    """Return the counts of each statement.

    A row with reads and no time was not timed: track_io_timing is set by session, role and
    database.  The read time of a row is implausible, and left out, if it exceeds the time of its
    executions with all their parallel workers.

    Returns:
        A matrix (FIELDS, rows), and how many rows had implausible times.
    """
    rows = delta.statements.rows

    def column(name: str) -> Ints:
        values = rows.get(name)
        return np.zeros(len(rows), dtype=np.int64) if values is None else values

    blocks = column("shared_blks_read") + column("local_blks_read")
    read_us = column("shared_blk_read_time") + column("local_blk_read_time")
    exec_us = column("total_exec_time")
    absurd = np.zeros(len(rows), dtype=bool)
    if not delta.settings.is_on("pg_stat_statements.track_planning"):
        workers = delta.settings.integer("max_parallel_workers") or 0
        absurd = read_us > exec_us * (1 + workers) + IMPOSSIBLE_SLACK_US
    timed = (read_us > 0) & ~absurd
    marks = rows.get(TRACED)
    traced = np.zeros(len(rows), dtype=bool) if marks is None or PHYSICAL not in rows else marks
    amounts = {
        "calls": column("calls"),
        "rows": column("rows"),
        "shared_blks_hit": column("shared_blks_hit"),
        "shared_blks_read": column("shared_blks_read"),
        "local_blks_read": column("local_blks_read"),
        "temp_blks_read": column("temp_blks_read"),
        "total_exec_us": exec_us,
        "read_us": np.where(timed, read_us, 0),
        "timed_blocks": np.where(timed, blocks, 0),
        "physical_bytes": np.where(traced, column(PHYSICAL), 0),
        "traced_blocks": np.where(traced, blocks, 0),
    }
    return np.stack([amounts[name] for name in FIELDS]), int(absurd.sum())


def relation_amounts(relations: "RowDeltas") -> Counts:
    """Return a matrix (FIELDS, relations): a relation has hits and reads, no calls and no times."""
    amounts = np.zeros((len(FIELDS), len(relations)), dtype=np.int64)
    amounts[FIELDS.index("shared_blks_hit")] = relations.rows["blks_hit"]
    amounts[FIELDS.index("shared_blks_read")] = relations.rows["blks_read"]
    return amounts
