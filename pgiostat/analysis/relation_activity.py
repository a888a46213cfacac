"""What tables and indexes did in a time window, and every number derived from their counters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pgiostat.statistics.columnar import Array, Rows
from pgiostat.statistics.counter_table import ColumnKind, CounterTable
from pgiostat.statistics.counters import TABLE_STATS
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.row_deltas import Basis
from pgiostat.units import per_second

__all__ = ["IndexActivity", "RelationTotals", "TableActivity"]

Key = tuple[int, int]
"""(dbid, oid)."""


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(slots=True)
class _Counted:
    """Counters of one relation in a time window, and its newest sizes and times.

    Attributes:
        dbid: Its database.
        seconds: Length of the intervals in which it counted anything.
        counts: Amounts by column; a column that the server does not count is missing.
        newest: Sizes, times and oids as of the newest interval, by column.
        is_uncertain: Whether part of it was counted since a reset.
    """

    dbid: int
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    newest: dict[str, object] = field(default_factory=dict)
    is_uncertain: bool = False

    def __getitem__(self, name: str) -> int:
        """Return a counter; 0 where this server does not count it."""
        return self.counts.get(name, 0)

    def gauge(self, name: str) -> int:
        """Return a size."""
        value = self.newest.get(name, 0)
        return value if isinstance(value, int) else 0


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
    """

    dbid: int
    relid: int
    seconds: float
    counts: Mapping[str, int]
    newest: Mapping[str, object]
    indexes: tuple[IndexActivity, ...] = ()
    toast: "TableActivity | None" = None
    is_uncertain: bool = False

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
    def blocks_per_row(self) -> float | None:
        """Blocks of the table alone touched per row that scans fetched; None without a row."""
        return _ratio(self.heap_touched, self.count("seq_tup_read") + self.idx_tup_fetch)

    @property
    def relpages(self) -> int:
        """Size of the table alone in blocks, as of the last VACUUM or ANALYZE."""
        return _integer(self.newest.get("relpages"))

    @property
    def total_pages(self) -> int:
        """Size with indexes and TOAST table, those that counted anything, as of then."""
        toast = self.toast.total_pages if self.toast else 0
        return self.relpages + sum(each.relpages for each in self.indexes) + toast

    @property
    def live_rows(self) -> int | None:
        """Rows as of the last VACUUM or ANALYZE; None if they were never counted."""
        return _known_rows(self.newest.get("reltuples"))

    @property
    def dead_rows(self) -> int:
        """Estimated dead rows."""
        return _integer(self.newest.get("n_dead_tup"))

    @property
    def dead_share(self) -> float | None:
        """Dead rows as a share of all rows; None without any."""
        live = _integer(self.newest.get("n_live_tup"))
        return _ratio(self.dead_rows, live + self.dead_rows)

    @property
    def all_visible_share(self) -> float | None:
        """Share of its blocks that index-only scans need not look at; None for an empty table."""
        return _ratio(_integer(self.newest.get("relallvisible")), self.relpages)

    @property
    def hot_share(self) -> float | None:
        """Share of updates without new index entries; None without an update."""
        return _ratio(self.count("n_tup_hot_upd"), self.count("n_tup_upd"))


def _integer(value: object) -> int:
    return int(value) if isinstance(value, int | np.integer) else 0


def _known_rows(value: object) -> int | None:
    """Return reltuples; −1 is not yet counted (13: 0, which an empty table has too)."""
    rows = _integer(value)
    return rows if rows >= 0 else None


class RelationTotals:
    """Adds up what tables and indexes counted, live or from a history.

    Args:
        seconds: The length of the time; rates are per second of it.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._tables: dict[Key, _Counted] = {}
        self._indexes: dict[Key, _Counted] = {}

    def add(self, interval: RelationInterval) -> None:
        """Add an interval of one database; its length is not added to `seconds`."""
        for deltas, store in ((interval.tables, self._tables), (interval.indexes, self._indexes)):
            rows = deltas.rows
            uncertain = ~np.isin(deltas.basis, (Basis.PREVIOUS, Basis.NEW))
            self._add(interval.dbid, rows, uncertain, interval.seconds, store)

    def add_columns(
        self, table: CounterTable, columns: Mapping[str, Iterable[object]], seconds: float
    ) -> None:
        """Add rows of a history.

        Args:
            table: TABLE_STATS or INDEX_STATS.
            columns: Values by column, with dbid and uncertain; of counters the sums, of others the
                newest value. None is what the server did not count.
            seconds: The length of the time.
        """
        store = self._tables if table is TABLE_STATS else self._indexes
        names = [*columns]
        is_counter = {column.name: column.kind.is_counter for column in table.columns}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            dbid, uncertain = _integer(row.pop("dbid")), bool(row.pop("uncertain"))
            key = (dbid, _integer(row[table.key[0]]))
            counted = store.setdefault(key, _Counted(dbid))
            counted.seconds += seconds
            counted.is_uncertain |= uncertain
            for name, value in row.items():
                if value is None or name not in is_counter:
                    continue
                if is_counter[name]:
                    counted.counts[name] = counted[name] + _integer(value)
                else:
                    counted.newest[name] = value

    @staticmethod
    def _add(
        dbid: int, rows: Rows, uncertain: Array, seconds: float, store: dict[Key, _Counted]
    ) -> None:
        oids = rows[rows.table.key[0]].tolist()
        counters = rows.counters.T.tolist()
        kept = {
            column.name: rows[column.name].tolist()
            for column in rows.table.columns
            if not column.kind.is_counter
            and column.kind is not ColumnKind.INSTANT
            and column.name in rows
        }
        for place, (oid, amounts) in enumerate(zip(oids, counters, strict=True)):
            counted = store.setdefault((dbid, oid), _Counted(dbid))
            counted.seconds += seconds
            counted.is_uncertain |= bool(uncertain[place])
            for name, amount in zip(rows.counter_names, amounts, strict=True):
                counted.counts[name] = counted[name] + amount
            counted.newest.update({name: values[place] for name, values in kept.items()})

    def indexes(self) -> list[IndexActivity]:
        """Return the indexes that counted anything, those first that read most."""
        found = [self._index(key, each) for key, each in self._indexes.items()]
        return sorted(found, key=lambda each: (-each.blks_read, each.dbid, each.indexrelid))

    def _index(self, key: Key, counted: _Counted) -> IndexActivity:
        return IndexActivity(
            dbid=counted.dbid,
            indexrelid=key[1],
            relid=counted.gauge("relid"),
            seconds=self.seconds,
            idx_scan=counted["idx_scan"],
            idx_tup_read=counted["idx_tup_read"],
            idx_tup_fetch=counted["idx_tup_fetch"],
            blks_read=counted["idx_blks_read"],
            blks_hit=counted["idx_blks_hit"],
            relpages=counted.gauge("relpages"),
            reltuples=_known_rows(counted.newest.get("reltuples")),
            is_uncertain=counted.is_uncertain,
        )

    def tables(self, toast_of: Mapping[Key, int] | None = None) -> list[TableActivity]:
        """Return the tables that counted anything, or an index or TOAST table of which did.

        Args:
            toast_of: Oid of the table by (dbid, oid of its TOAST table).

        Returns:
            Those first that read most. A TOAST table is part of its table, if that is known.
        """
        owners = toast_of or {}
        of_table: dict[Key, list[IndexActivity]] = {}
        for index in self.indexes():
            of_table.setdefault((index.dbid, index.relid), []).append(index)
        made = {
            key: self._table(key, self._tables.get(key), of_table.get(key, ()))
            for key in {**self._tables, **dict.fromkeys(of_table)}
        }
        for key in [key for key in made if key in owners]:
            owner = (key[0], owners[key])
            toast = made.pop(key)
            table = made.get(owner) or self._table(owner, None, ())
            uncertain = table.is_uncertain or toast.is_uncertain
            made[owner] = replace(table, toast=toast, is_uncertain=uncertain)
        return sorted(made.values(), key=lambda each: (-each.blks_read, each.dbid, each.relid))

    def _table(
        self, key: Key, counted: _Counted | None, indexes: Iterable[IndexActivity]
    ) -> TableActivity:
        found = counted or _Counted(key[0])
        parts = tuple(indexes)
        return TableActivity(
            dbid=key[0],
            relid=key[1],
            seconds=self.seconds,
            counts=found.counts,
            newest=found.newest,
            indexes=parts,
            is_uncertain=found.is_uncertain or any(each.is_uncertain for each in parts),
        )
