"""Which index an access needs, and which of the existing ones serves it."""

from collections.abc import Iterable
from dataclasses import dataclass

from pgiostat.analysis.why.access import Column, TableAccess
from pgiostat.analysis.why.evidence import TableEvidence
from pgiostat.analysis.why.index_definition import IndexColumns, index_columns
from pgiostat.statistics.definitions import Definition

__all__ = ["WantedIndex", "finds_one_row", "points_of", "serving_index", "wanted_index"]

MOST_KEYS = 4
MOST_INCLUDED, MOST_INCLUDED_BYTES = 3, 24
_UNKNOWN_TYPE = ""


@dataclass(frozen=True, slots=True)
class WantedIndex:
    """An index for an access.

    Attributes:
        points: How many of the keys have one value or a few for each execution.
        keys: Its key columns in order.
        included: Columns that it carries, so that the table need not be read.
        is_covering: Whether it has all columns that the statement mentions.
        gives_order: Whether its order is that of the rows.
    """

    points: int
    keys: tuple[Column, ...]
    included: tuple[Column, ...] = ()
    is_covering: bool = False
    gives_order: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(each.name for each in self.keys)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns."""
        return self.keys + self.included


def wanted_index(table: TableEvidence, access: TableAccess) -> WantedIndex | None:
    """Return the index that an access needs; None if no single one serves it.

    Columns with one value come first, then the column of the order or the range.
    """
    if access.has_or:
        return None
    points = points_of(table, access)
    keys, last = [*points], _last(access)
    gives_order = bool(last) and (last == access.extreme or last in access.order_by[:1])
    gives_order &= not access.listed
    if last and last not in keys:
        keys.append(last)
    keys = keys[:MOST_KEYS]
    if not keys:
        return None
    known = {each.name: each for each in table.columns}
    columns = tuple(known.get(name, Column(name, _UNKNOWN_TYPE)) for name in keys)
    rest = None if access.mentioned is None else sorted(access.mentioned - {*keys})
    included = tuple(known[name] for name in rest or () if name in known)
    is_covering = (
        rest is not None
        and len(included) == len(rest) <= MOST_INCLUDED
        and all(each.is_fixed for each in included)
        and sum(each.width for each in included) <= MOST_INCLUDED_BYTES
    )
    return WantedIndex(
        len(points), columns, included if is_covering else (), is_covering, gives_order
    )


def finds_one_row(table: TableEvidence, access: TableAccess) -> bool:
    """Return whether an execution has the whole key of a unique index, and so finds one row."""
    return any(
        {*unique.keys} <= access.equal for unique in _indexes(table.indexes_after, unique=True)
    )


def points_of(table: TableEvidence, access: TableAccess) -> list[str]:
    """Return the columns with one value or a few, those first that choose most."""
    compared = access.equal | access.listed
    joined = access.joined
    if compared and any(
        {*unique.keys} <= joined for unique in _indexes(table.indexes_after, unique=True)
    ):
        joined = frozenset()  # the other table refers to this one
    order = {each.name: place for place, each in enumerate(table.columns)}

    def by_place(names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    first = [*by_place(joined - compared), *by_place(access.equal)]
    return [*first, *by_place(access.listed - access.equal)]


def _last(access: TableAccess) -> str:
    """Return the column after those with one value: of the extreme, the order or a range."""
    if access.extreme:
        return access.extreme
    ordered = access.order_by[:1]
    if ordered and (access.limit or not access.ranges) and not access.is_reduced:
        return ordered[0]
    return min(access.ranges, default=ordered[0] if ordered and access.limit else "")


def _indexes(definitions: Iterable[Definition], *, unique: bool = False) -> list[IndexColumns]:
    return [
        found
        for each in definitions
        if (found := index_columns(each)) is not None
        and not found.is_partial
        and each.detail != "invalid"
        and (not unique or each.detail in {"primary key", "unique"})
    ]


def serving_index(table: TableEvidence, wanted: WantedIndex) -> Definition | None:
    """Return an existing index with the wanted keys, in any order of those with one value."""
    points, rest = {*wanted.names[: wanted.points]}, wanted.names[wanted.points :]
    for each in table.indexes_after:
        found = index_columns(each)
        if found is None or found.is_partial or found.method != "btree":
            continue
        if each.detail == "invalid" or each.text is None:
            continue
        after = found.keys[wanted.points : len(wanted.keys)]
        covers = {*wanted.names} | {each.name for each in wanted.included}
        is_covering = covers <= {*found.keys, *found.included}
        if {*found.keys[: wanted.points]} == points and after == rest:
            return each if is_covering or not wanted.is_covering else None
    return None
