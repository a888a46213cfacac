"""How a statement accesses a table: the columns that it compares, orders by and returns."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["NO_COLUMNS", "Column", "TableAccess", "columns_of", "items_of"]

NO_COLUMNS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TableAccess:
    """How one query block of a statement accesses a table; columns by name.

    Attributes:
        table: The table, as the text names it.
        equal: Columns compared by = with a parameter.
        listed: Columns compared with a list of parameters.
        ranges: Columns compared with a parameter by an inequality.
        joined: Columns compared by = with a column of another table.
        order_by: Columns by which the rows are ordered, if all belong to this table.
        descending: Whether the first of them is ordered from the highest down.
        limit: Whether there is a LIMIT or FETCH.
        extreme: The column of which only the highest or lowest value is returned.
        mentioned: The columns that an index must have to answer without the table; None for all.
        is_reduced: Whether rows are aggregated or made distinct: fewer are returned than are found.
        has_or: Whether a condition has OR: no single index serves it.
        writes: Whether the block updates or deletes rows of it.
        assigned: Columns that an UPDATE sets.
    """

    table: str
    equal: frozenset[str] = NO_COLUMNS
    listed: frozenset[str] = NO_COLUMNS
    ranges: frozenset[str] = NO_COLUMNS
    joined: frozenset[str] = NO_COLUMNS
    order_by: tuple[str, ...] = ()
    descending: bool = False
    limit: bool = False
    extreme: str = ""
    mentioned: frozenset[str] | None = NO_COLUMNS
    is_reduced: bool = False
    has_or: bool = False
    writes: bool = False
    assigned: frozenset[str] = NO_COLUMNS

    @property
    def points(self) -> frozenset[str]:
        """Columns of which each execution or outer row has one value or a few."""
        return self.equal | self.listed | self.joined


_WIDTHS = {
    "boolean": 1,
    '"char"': 1,
    "smallint": 2,
    "integer": 4,
    "real": 4,
    "date": 4,
    "oid": 4,
    "bigint": 8,
    "double precision": 8,
    "money": 8,
    "timestamp without time zone": 8,
    "timestamp with time zone": 8,
    "time without time zone": 8,
    "time with time zone": 12,
    "interval": 16,
    "uuid": 16,
    "inet": 10,
    "numeric": 8,
}
"""Bytes of a value in an index entry: exact for types of a fixed length."""
_VARIABLE = 16
"""Assumed for other types: a name, a code, a short text."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: Its type, as the server writes it.
    """

    name: str
    type: str

    @property
    def width(self) -> int:
        """Bytes of a value in an index entry; an assumption for types of a variable length."""
        base = self.type.partition("(")[0].strip()
        rest = self.type.rpartition(")")[2] if "(" in self.type else ""
        return _WIDTHS.get(base + rest, _WIDTHS.get(base, _VARIABLE))

    @property
    def is_fixed(self) -> bool:
        """Whether all values have this width."""
        return self.width != _VARIABLE or self.type in _WIDTHS


def columns_of(definition: str) -> tuple[Column, ...]:
    """Return the columns of a table from their definition.

    >>> [each.name for each in columns_of('id bigint, "two words" text, n numeric(10,2)')]
    ['id', 'two words', 'n']
    >>> [each.width for each in columns_of('id bigint, "a, b" text, n numeric(10,2), t time(3)')]
    [8, 16, 8, 16]
    """
    return tuple(_column(part) for part in items_of(definition))


def _column(part: str) -> Column:
    if not part.startswith('"'):
        name, _, kind = part.partition(" ")
        return Column(name, kind)
    end = part.index('"', 1)
    while part[end + 1 : end + 2] == '"':
        end = part.index('"', end + 2)
    return Column(part[1:end].replace('""', '"'), part[end + 2 :])


def items_of(definition: str) -> Iterator[str]:
    """Yield the items between commas outside of quotes and parentheses."""
    depth, quoted, start = 0, False, 0
    for place, char in enumerate(definition):
        if char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
            if char == "," and not depth:
                yield definition[start:place].strip()
                start = place + 1
    if last := definition[start:].strip():
        yield last
