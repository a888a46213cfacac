"""What a supposed index, or rows in the order of an index, would do to a statement."""

from collections.abc import Sequence

from pgiostat.analysis.fixes.cluster import clustered
from pgiostat.analysis.fixes.index_choice import WantedIndex, finds_one_row, points_of
from pgiostat.analysis.fixes.model import Fix, FixKind
from pgiostat.analysis.fixes.new_index import index_on
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.why.access import Column, TableAccess
from pgiostat.analysis.why.index_definition import IndexColumns
from pgiostat.statistics.definitions import Definition

__all__ = ["supposed_index", "supposed_order"]

_NO_ACCESS = "its text does not show how it accesses the table"
_SEVERAL = "its text accesses the table in several places"
_OR = "a condition has OR"


def supposed_index(
    facts: TableFacts, columns: Sequence[Column], included: Sequence[Column] = ()
) -> Fix | None:
    """Return what an index does to a statement; None if the statement does not use it.

    Args:
        facts: The statement and the table.
        columns: The key columns of the index, in order.
        included: Columns that it carries.
    """
    access = facts.access
    if access is None or len(facts.table.accesses) > 1 or access.has_or:
        return _unreadable(facts, FixKind.CREATE_INDEX)
    if finds_one_row(facts.table, access):
        return None
    points = set(points_of(facts.table, access))
    names = [each.name for each in columns]
    matched = next((n for n, name in enumerate(names) if name not in points), len(names))
    following = names[matched] if matched < len(names) else ""
    gives_order = bool(following) and not access.listed
    gives_order &= following == access.extreme or following in access.order_by[:1]
    is_ordered = gives_order and (access.limit or bool(access.extreme))
    if not matched and following not in access.ranges and not is_ordered:
        return None
    compared = points | access.ranges
    rest = sorted(compared - {*names[:matched]} - ({following} & access.ranges))
    if rest:
        return _not_narrowed(facts, FixKind.CREATE_INDEX, rest)
    known = {each.name for each in (*columns, *included)}
    is_covering = access.mentioned is not None and access.mentioned <= known
    wanted = WantedIndex(matched, tuple(columns), tuple(included), is_covering, gives_order)
    return index_on(facts, wanted)


def supposed_order(facts: TableFacts, index: Definition, columns: IndexColumns) -> Fix | None:
    """Return what the order of an index does to a statement; None if it touches as much as now.

    Args:
        facts: The statement and the table.
        index: The index.
        columns: Its columns.
    """
    access = facts.access
    if access is None or len(facts.table.accesses) > 1 or access.has_or:
        return _unreadable(facts, FixKind.CLUSTER)
    points = set(points_of(facts.table, access))
    if finds_one_row(facts.table, access) or not points | access.ranges:
        return None
    matched = next((n for n, key in enumerate(columns.keys) if key not in points), None)
    leading = {*columns.keys[:matched]}
    if matched is not None and columns.keys[matched] in access.ranges:
        leading.add(columns.keys[matched])
    if not leading:
        return _unpredicted(
            facts, FixKind.CLUSTER, "its rows are not in this order, and may lie further apart"
        )
    if rest := sorted((points | access.ranges) - leading):
        return _not_narrowed(facts, FixKind.CLUSTER, rest)
    if facts.found_per_call() is None:
        return _unpredicted(
            facts, FixKind.CLUSTER, "how many rows a call finds is not known from counters"
        )
    return clustered(facts, index, columns)


def _unreadable(facts: TableFacts, kind: FixKind) -> Fix | None:
    """Return why a text has no prediction; None if it only inserts."""
    if facts.evidence.verb == "insert" and not facts.table.accesses:
        return None
    reason = _reason(facts.access, len(facts.table.accesses))
    return _unpredicted(facts, kind, reason)


def _reason(access: TableAccess | None, accesses: int) -> str:
    if access is None:
        return _NO_ACCESS
    return _SEVERAL if accesses > 1 else _OR


def _not_narrowed(facts: TableFacts, kind: FixKind, columns: Sequence[str]) -> Fix:
    return _unpredicted(
        facts,
        kind,
        f"it also compares {', '.join(columns)}: how many rows the index finds is not known",
    )


def _unpredicted(facts: TableFacts, kind: FixKind, reason: str) -> Fix:
    return Fix(kind, "", unpredicted=reason, table=facts.table.name)
