"""What tables and indexes did in a time window: counters added up, live or from a history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pgiostat.analysis.table_activity import (
    DEFAULT_BLOCK_SIZE,
    IndexActivity,
    TableActivity,
    integer,
    known_rows,
)
from pgiostat.statistics.columnar import Array, Rows
from pgiostat.statistics.counter_table import ColumnKind, CounterTable
from pgiostat.statistics.counters import TABLE_STATS
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.row_deltas import Basis

__all__ = ["IndexActivity", "RelationTotals", "TableActivity"]

Key = tuple[int, int]
"""(dbid, oid)."""


@dataclass(slots=True)
class _Counted:
    """Counters of one relation in a time window, and its newest sizes and times.

    Attributes:
        dbid: Its database.
        counts: Amounts by column; a column that the server does not count is missing.
        newest: Sizes, times and oids as of the newest interval, by column.
        is_uncertain: Whether part of it was counted since a reset.
    """

    dbid: int
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


class RelationTotals:
    """Adds up what tables and indexes counted, live or from a history.

    Args:
        seconds: The length of the time; rates are per second of it.
        block_size: Bytes of a block.
    """

    def __init__(self, seconds: float = 0.0, block_size: int = DEFAULT_BLOCK_SIZE) -> None:
        self.seconds = seconds
        self.block_size = block_size
        self._tables: dict[Key, _Counted] = {}
        self._indexes: dict[Key, _Counted] = {}

    def add(self, interval: RelationInterval) -> None:
        """Add an interval of one database; its length is not added to `seconds`."""
        for deltas, store in ((interval.tables, self._tables), (interval.indexes, self._indexes)):
            rows = deltas.rows
            uncertain = ~np.isin(deltas.basis, (Basis.PREVIOUS, Basis.NEW))
            self._add(interval.dbid, rows, uncertain, store)

    def add_columns(self, table: CounterTable, columns: Mapping[str, Iterable[object]]) -> None:
        """Add rows of a history.

        Args:
            table: TABLE_STATS or INDEX_STATS.
            columns: Values by column, with dbid and uncertain; of counters the sums, of others the
                newest value. None is what the server did not count.
        """
        store = self._tables if table is TABLE_STATS else self._indexes
        names = [*columns]
        is_counter = {column.name: column.kind.is_counter for column in table.columns}
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            dbid, uncertain = integer(row.pop("dbid")), bool(row.pop("uncertain"))
            key = (dbid, integer(row[table.key[0]]))
            counted = store.setdefault(key, _Counted(dbid))
            counted.is_uncertain |= uncertain
            for name, value in row.items():
                if value is None or name not in is_counter:
                    continue
                if is_counter[name]:
                    counted.counts[name] = counted[name] + integer(value)
                else:
                    counted.newest[name] = value

    @staticmethod
    def _add(dbid: int, rows: Rows, uncertain: Array, store: dict[Key, _Counted]) -> None:
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
            counted.is_uncertain |= bool(uncertain[place])
            for name, amount in zip(rows.counter_names, amounts, strict=True):
                counted.counts[name] = counted[name] + amount
            counted.newest.update({name: values[place] for name, values in kept.items()})

    @property
    def dbids(self) -> set[int]:
        """The databases of which anything was counted."""
        return {dbid for dbid, _ in (*self._tables, *self._indexes)}

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
            reltuples=known_rows(counted.newest.get("reltuples")),
            is_uncertain=counted.is_uncertain,
            block_size=self.block_size,
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
            block_size=self.block_size,
        )
