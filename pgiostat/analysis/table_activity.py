"""What a table and an index did in a time window: every number derived from their counters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pgiostat.statistics.definitions import Definition
from pgiostat.units import per_second

__all__ = ["DEFAULT_BLOCK_SIZE", "IndexActivity", "TableActivity", "integer", "known_rows"]

DEFAULT_BLOCK_SIZE = 8192
_CONSTRAINTS = frozenset({"", "primary key", "unique", "invalid"})


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class IndexActivity:
    """What an index did in a time window.

    Attributes:
        dbid: Its database.
        indexrelid: Its oid.
        relid: Oid of its table.
        seconds: Length of the time.
        idx_scan: Scans.
        idx_tup_read: Entries returned by scans.
        idx_tup_fetch: Live rows fetched by plain index scans.
        blks_read: Blocks read, not found in shared_buffers.
        blks_hit: Blocks found in shared_buffers.
        relpages: Size in blocks, as of the last VACUUM, ANALYZE or build.
        reltuples: Entries as of then; None if they were never counted.
        is_uncertain: Whether part of it was counted since a reset.
        block_size: Bytes of a block.
        definition: Its definition, if that was read.
    """

    dbid: int
    indexrelid: int
    relid: int
    seconds: float
    idx_scan: int
    idx_tup_read: int
    idx_tup_fetch: int
    blks_read: int
    blks_hit: int
    relpages: int
    reltuples: int | None
    is_uncertain: bool
    block_size: int = DEFAULT_BLOCK_SIZE
    definition: Definition | None = None

    @property
    def size_bytes(self) -> int:
        """The size: relpages × block size, as of the last VACUUM, ANALYZE or build."""
        return self.relpages * self.block_size

    @property
    def constraint(self) -> str | None:
        """Either "primary key", "unique", "invalid" or empty; None if it was not read."""
        found = None if self.definition is None else self.definition.detail
        return found if found in _CONSTRAINTS else None

    @property
    def scans_per_s(self) -> float | None:
        """Scans per second."""
        return per_second(self.idx_scan, self.seconds)

    @property
    def blocks_per_s(self) -> float | None:
        """Blocks read per second."""
        return per_second(self.blks_read, self.seconds)

    @property
    def rows_per_scan(self) -> float | None:
        """Entries returned per scan; None without a scan."""
        return _ratio(self.idx_tup_read, self.idx_scan)

    @property
    def blocks_per_scan(self) -> float | None:
        """Blocks of the index touched per scan; None without a scan."""
        return _ratio(self.blks_read + self.blks_hit, self.idx_scan)

    @property
    def hit(self) -> float | None:
        """Share of block accesses found in shared_buffers; None without any."""
        return _ratio(self.blks_hit, self.blks_read + self.blks_hit)


@dataclass(frozen=True, slots=True)
class TableActivity:
    """What a table did in a time window, with its indexes and its TOAST table.

    Attributes:
        dbid: Its database.
        relid: Its oid.
        seconds: Length of the time.
        counts: Counters of pg_stat_all_tables by column.
        newest: Sizes and times of pg_stat_all_tables by column, as of the newest interval.
        indexes: Its indexes that counted anything, those first that read most.
        toast: Its TOAST table; None without one that counted anything.
        is_uncertain: Whether part of it was counted since a reset.
        block_size: Bytes of a block.
    """

    dbid: int
    relid: int
    seconds: float
    counts: Mapping[str, int]
    newest: Mapping[str, object]
    indexes: tuple[IndexActivity, ...] = ()
    toast: "TableActivity | None" = None
    is_uncertain: bool = False
    block_size: int = DEFAULT_BLOCK_SIZE

    def count(self, name: str) -> int:
        """Return a counter; 0 where this server does not count it."""
        return self.counts.get(name, 0)

    @property
    def heap_read(self) -> int:
        """Blocks of the table alone that were read."""
        return self.count("heap_blks_read")

    @property
    def heap_touched(self) -> int:
        """Blocks of the table alone that were read or found in shared_buffers."""
        return self.heap_read + self.count("heap_blks_hit")

    @property
    def blks_read(self) -> int:
        """Blocks read of the table, its indexes and its TOAST table."""
        toast = self.toast.blks_read if self.toast else 0
        return self.heap_read + sum(each.blks_read for each in self.indexes) + toast

    @property
    def touched(self) -> int:
        """Blocks read or found in shared_buffers of all of them."""
        toast = self.toast.touched if self.toast else 0
        return self.heap_touched + sum(e.blks_read + e.blks_hit for e in self.indexes) + toast

    @property
    def blocks_per_s(self) -> float | None:
        """Blocks read per second."""
        return per_second(self.blks_read, self.seconds)

    @property
    def hit(self) -> float | None:
        """Share of block accesses found in shared_buffers; None without any."""
        return _ratio(self.touched - self.blks_read, self.touched)

    @property
    def idx_scan(self) -> int:
        """Scans of its indexes."""
        return sum(each.idx_scan for each in self.indexes)

    @property
    def idx_tup_fetch(self) -> int:
        """Live rows fetched by index scans of every kind, as in pg_stat_all_tables."""
        plain = sum(each.idx_tup_fetch for each in self.indexes)
        return self.count("bitmap_tup_fetch") + plain

    @property
    def seq_scans_per_s(self) -> float | None:
        """Sequential scans per second."""
        return per_second(self.count("seq_scan"), self.seconds)

    @property
    def idx_scans_per_s(self) -> float | None:
        """Index scans per second."""
        return per_second(self.idx_scan, self.seconds)

    @property
    def rows_per_seq_scan(self) -> float | None:
        """Live rows read per sequential scan; None without one."""
        return _ratio(self.count("seq_tup_read"), self.count("seq_scan"))

    @property
    def rows_per_idx_scan(self) -> float | None:
        """Live rows fetched per index scan; None without one."""
        return _ratio(self.idx_tup_fetch, self.idx_scan)

    @property
    def rows_per_scan(self) -> float | None:
        """Live rows per scan, sequential or of an index; None without one."""
        return _ratio(self.rows_fetched, self.count("seq_scan") + self.idx_scan)

    @property
    def rows_fetched(self) -> int:
        """Live rows that scans of every kind read or fetched."""
        return self.count("seq_tup_read") + self.idx_tup_fetch

    @property
    def blocks_per_row(self) -> float | None:
        """Blocks of the table alone touched per row that scans fetched; None without a row."""
        return _ratio(self.heap_touched, self.rows_fetched)

    @property
    def relpages(self) -> int:
        """Size of the table alone in blocks, as of the last VACUUM or ANALYZE."""
        return integer(self.newest.get("relpages"))

    @property
    def size_bytes(self) -> int | None:
        """The size: relpages × block size, of the table without its indexes and TOAST table.

        None if only its indexes counted, or before the first VACUUM or ANALYZE.
        """
        is_never_counted = not self.relpages and self.live_rows is None
        if "relpages" not in self.newest or is_never_counted:
            return None
        return self.relpages * self.block_size

    @property
    def live_rows(self) -> int | None:
        """Rows as of the last VACUUM or ANALYZE; None if they were never counted."""
        return known_rows(self.newest.get("reltuples"))

    @property
    def dead_rows(self) -> int | None:
        """Estimated dead rows; None if only its indexes counted."""
        dead = self.newest.get("n_dead_tup")
        return None if dead is None else integer(dead)

    @property
    def dead_share(self) -> float | None:
        """Dead rows as a share of all rows; None without any.

        n_live_tup is 0 after a crash or a restored backup, until the table is analyzed.
        """
        dead = self.dead_rows
        live = max(integer(self.newest.get("n_live_tup")), self.live_rows or 0)
        return None if dead is None else _ratio(dead, live + dead)

    @property
    def all_visible_share(self) -> float | None:
        """Share of its blocks that index-only scans need not look at; None for an empty table."""
        return _ratio(integer(self.newest.get("relallvisible")), self.relpages)

    @property
    def hot_share(self) -> float | None:
        """Share of updates without new index entries; None without an update."""
        return _ratio(self.count("n_tup_hot_upd"), self.count("n_tup_upd"))


def integer(value: object) -> int:
    """Return a whole number; 0 for anything else."""
    return int(value) if isinstance(value, int | np.integer) else 0


def known_rows(value: object) -> int | None:
    """Return reltuples; −1 is not yet counted (13: 0, which an empty table has too)."""
    rows = integer(value)
    return rows if rows >= 0 else None
