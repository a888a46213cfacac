"""Rows of one table of counters, kept by column."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from pgiostat.statistics.counter_table import (
    ColumnKind,
    CounterColumn,
    CounterTable,
    SelectedColumns,
)
from pgiostat.units import MICROSECOND, US_PER_MS

__all__ = ["Array", "Counts", "Mask", "Rows", "common_counters", "counter_matrix", "to_pg_time"]

Array = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_pg_time(instant: datetime) -> int:
    """Return microseconds since 2000-01-01 UTC, as timestamptz travels.

    >>> to_pg_time(datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (instant - _PG_EPOCH) // MICROSECOND


_NEVER = np.iinfo(np.int64).min
"""The instant -infinity; to numpy it is NaT."""


def _calendar(instants: Array) -> Array:
    """Return instants of PostgreSQL as datetime64 since 1970, NaT for -infinity."""
    whole = instants.astype("i8")
    since_1970 = whole + (_PG_EPOCH - _UNIX_EPOCH) // MICROSECOND
    return np.where(whole == _NEVER, _NEVER, since_1970)


class Rows:
    """Rows of one table of counters, kept by column.

    attributes: arrays of length n, by column name: key, marks, extremes.
    counters: int64 matrix of shape (number of counters, n); times in microseconds.
    counter_names: the names of its rows.
    """

    def __init__(
        self,
        table: CounterTable,
        attributes: Mapping[str, Array],
        counter_names: Sequence[str],
        counters: Counts,
    ) -> None:
        self.table = table
        self.attributes = dict(attributes)
        self.counter_names = tuple(counter_names)
        self.counters = counters
        self._index = {name: i for i, name in enumerate(self.counter_names)}

    @classmethod
    def unpack(cls, selected: SelectedColumns, packed: bytes | memoryview) -> "Rows":
        """Make rows from their packed bytes; ValueError if these are not whole rows."""
        wire = np.dtype(selected.wire)
        if len(packed) % wire.itemsize:
            msg = f"{len(packed)} bytes are not a whole number of rows of {wire.itemsize}"
            raise ValueError(msg)
        table = np.frombuffer(packed, dtype=wire)
        return cls._build(selected, len(table), lambda column: table[column.name])

    @classmethod
    def from_records(cls, selected: SelectedColumns, records: Sequence[Sequence[Any]]) -> "Rows":
        """Make rows from ordinary result rows, their columns in the order of the query."""
        place = {column.name: i for i, column in enumerate(selected.columns)}

        def values(column: CounterColumn) -> Array:
            cells = [record[place[column.name]] for record in records]
            if column.kind in {ColumnKind.INSTANT, ColumnKind.EVENT}:
                cells = [_NEVER if cell is None else to_pg_time(cell) for cell in cells]
            elif column.kind is ColumnKind.NAME:
                cells = [cell.ljust(0).encode() for cell in cells]
            else:
                cells = [0 if cell is None else cell for cell in cells]
            layout = np.dtype(column.kind.wire).newbyteorder("=")
            return np.array(cells, dtype=layout)

        return cls._build(selected, len(records), values)

    @classmethod
    def _build(
        cls, selected: SelectedColumns, n: int, values: Callable[[CounterColumn], Array]
    ) -> "Rows":
        counted = [column for column in selected.columns if column.kind.is_counter]
        counters = np.empty((len(counted), n), dtype=np.int64)
        scratch = np.empty(n)
        for i, column in enumerate(counted):
            if column.kind is ColumnKind.TIME:
                # No server counts a time that is no number: it was damaged on its way.
                with np.errstate(over="raise", invalid="raise"):
                    np.multiply(values(column), US_PER_MS, out=scratch)
                    np.rint(scratch, out=scratch)
                    counters[i] = scratch
            else:
                counters[i] = values(column)
        attributes = {}
        for column in selected.columns:
            if column.kind.is_counter:
                continue
            raw = values(column)
            dated = _calendar(raw) if column.kind is ColumnKind.EVENT else raw
            array = dated.astype(column.kind.kept)
            if column.kind is ColumnKind.NAME:
                array = np.char.rstrip(array)
                np.char.decode(array, "utf-8")  # damaged ones are found here, and not later
            attributes[column.name] = array
        return cls(selected.table, attributes, [column.name for column in counted], counters)

    def __len__(self) -> int:
        return int(self.counters.shape[1])

    def __contains__(self, name: str) -> bool:
        return name in self._index or name in self.attributes

    def __getitem__(self, name: str) -> Array:
        """Return a column; KeyError where this server does not have it."""
        row = self._index.get(name)
        return self.attributes[name] if row is None else self.counters[row]

    def get(self, name: str) -> Array | None:
        """Return a column, or None where this server does not have it: n/a is not zero."""
        row = self._index.get(name)
        return self.attributes.get(name) if row is None else self.counters[row]

    def beside(self, name: str, counter: Array, marks: Mapping[str, Array]) -> "Rows":
        """Return the rows with one more counter and more marks."""
        counters = np.vstack([self.counters, counter[np.newaxis]])
        attributes = self.attributes | dict(marks)
        return Rows(self.table, attributes, (*self.counter_names, name), counters)

    def take(self, chosen: Array) -> "Rows":
        """Return the rows that a mask or index array chooses."""
        return Rows(
            self.table,
            {name: array[chosen] for name, array in self.attributes.items()},
            self.counter_names,
            self.counters[:, chosen],
        )

    def total(self, name: str) -> int:
        """Return the sum of a counter over all rows."""
        return int(self[name].sum())


def common_counters(old: Rows, new: Rows) -> tuple[str, ...]:
    """Return the counters that both have: an extension may be updated between two snapshots."""
    return tuple(name for name in new.counter_names if name in old)


def counter_matrix(rows: Rows, names: Sequence[str]) -> Counts:
    """Return these counters, one a row of the matrix."""
    if tuple(names) == rows.counter_names:
        return rows.counters
    return np.stack([rows[name] for name in names])
