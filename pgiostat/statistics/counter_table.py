"""A table of counters: its columns, their packed form, and the part that a server has."""

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from pgiostat.units import Unit

__all__ = ["NAME_BYTES", "ColumnKind", "CounterColumn", "CounterTable", "SelectedColumns"]

NAME_BYTES = 32
"""Room for a backend type, object or context of pg_stat_io; the longest has 19 bytes."""


class ColumnKind(Enum):
    """Type of a column: how it travels and whether two snapshots are subtracted.

    Each value is (SQL that makes fixed-width bytes, their layout, the layout kept, whether it
    only grows).
    """

    OID = ("pg_catalog.oidsend({})", ">u4", "i8", False)
    ID = ("pg_catalog.int8send({})", ">i8", "i8", False)
    FLAG = ("pg_catalog.boolsend({})", "?", "?", False)
    NAME = (
        f"pg_catalog.convert_to(pg_catalog.rpad({{}}, {NAME_BYTES}), 'UTF8')",
        f"S{NAME_BYTES}",
        f"S{NAME_BYTES}",
        False,
    )
    COUNT = ("pg_catalog.int8send(({})::pg_catalog.int8)", ">i8", "i8", True)
    GAUGE = ("pg_catalog.int8send(({})::pg_catalog.int8)", ">i8", "i8", False)
    # Kept as whole microseconds: integer sums do not depend on the order of their terms.
    TIME = ("pg_catalog.float8send({})", ">f8", "i8", True)
    EXTREME = ("pg_catalog.float8send({})", ">f8", "f8", False)
    INSTANT = ("pg_catalog.timestamptz_send({})", ">i8", "i8", False)
    # When something last happened, by the calendar: it is shown, and a history keeps it.
    EVENT = ("pg_catalog.timestamptz_send({})", ">i8", "M8[us]", False)

    @property
    def send(self) -> str:
        """SQL with one gap for the column; its result has always the same width."""
        return self.value[0]

    @property
    def wire(self) -> str:
        """Layout of those bytes, as numpy names it."""
        return self.value[1]

    @property
    def kept(self) -> str:
        """Layout in memory."""
        return self.value[2]

    @property
    def is_counter(self) -> bool:
        """Whether it only grows, so that two snapshots are subtracted."""
        return self.value[3]


@dataclass(frozen=True, slots=True)
class CounterColumn:
    """One column of a statistics view.

    Attributes:
        name: PostgreSQL's newest name.
        unit: Unit of the server's value.
        older: Earlier names, newest first.
        since: First version of the table's `versioned_by` that has it; empty if all supported
            versions have it.
        expression: What to select, if not the column itself.
        null: What NULL means, as SQL; a column without it is never NULL.
    """

    name: str
    kind: ColumnKind
    unit: Unit
    meaning: str
    older: tuple[str, ...] = ()
    since: str = ""
    expression: str = ""
    null: str = ""


@dataclass(frozen=True, slots=True)
class CounterTable:
    """A statistics view: its key first, then what it counts."""

    name: str
    versioned_by: str
    source: str
    key: tuple[str, ...]
    columns: tuple[CounterColumn, ...]

    def column(self, name: str) -> CounterColumn:
        """Return a column by its newest name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def select(self, available: Container[str] | None = None) -> "SelectedColumns":
        """Return what can be read where only these columns exist (None: all of them)."""
        picked: list[tuple[CounterColumn, str]] = []
        for column in self.columns:
            if column.expression:
                is_there = not column.since or available is None or column.name in available
                if is_there:
                    picked.append((column, column.expression))
                continue
            for name in (column.name, *column.older):
                if available is None or name in available:
                    picked.append((column, f"s.{name}"))
                    break
        return SelectedColumns(self, tuple(picked))


@dataclass(frozen=True, slots=True)
class SelectedColumns:
    """The columns of a table that one server has, with the SQL that selects each."""

    table: CounterTable
    picked: tuple[tuple[CounterColumn, str], ...]

    @property
    def columns(self) -> tuple[CounterColumn, ...]:
        """The columns, in the order in which they travel."""
        return tuple(column for column, _ in self.picked)

    @property
    def packed(self) -> str:
        """SQL for one row as bytes of fixed width."""
        return " OPERATOR(pg_catalog.||) ".join(
            column.kind.send.format(f"coalesce({sql}, {column.null})" if column.null else sql)
            for column, sql in self.picked
        )

    @property
    def listed(self) -> str:
        """SQL for one row as ordinary columns, for servers that cannot pack them."""
        count = "::pg_catalog.int8"
        casts = {
            ColumnKind.COUNT: count,
            ColumnKind.GAUGE: count,
            ColumnKind.NAME: "::pg_catalog.text",
        }
        return ", ".join(
            f"({sql}){casts.get(column.kind, '')} AS {column.name}" for column, sql in self.picked
        )

    @property
    def wire(self) -> npt.DTypeLike:
        """Layout of one packed row."""
        return np.dtype([(column.name, column.kind.wire) for column in self.columns])
