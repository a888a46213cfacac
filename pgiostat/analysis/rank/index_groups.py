"""The group of each relation in a ranking of indexes."""

from pgiostat.analysis.rank.groups import GroupIdentity, Groups
from pgiostat.analysis.rank.totals import Totals
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_names import RelationNames

__all__ = ["TABLES", "add_indexes", "index_key"]

TABLES = "(tables and TOAST tables)"
"""Row of the blocks that are in no index."""
GONE = "(relations that have gone)"
_PARTS = frozenset({"idx", "tidx"})


def index_key(prefix: str, index: int) -> tuple[str]:
    """Return the key of an index.

    Args:
        prefix: As of `group_of`.
        index: Its oid.
    """
    return (f"{prefix}{index}",)


def add_indexes(groups: Groups, counted: Totals, names: Names, prefix: str) -> None:
    """Group relations: each index alone, and all tables as one, so that the parts add up."""
    numbers = []
    own = RelationNames(names)
    for relid in counted.relations:
        known = names.relations.get(relid)
        if known is None or known[3] in _PARTS:
            key = index_key(prefix, relid)
            numbers.append(groups.number(key, _identity, names, own, (counted.dbid, relid), prefix))
        else:
            numbers.append(groups.number((TABLES,), GroupIdentity, TABLES))
    groups.join(numbers, counted.server_id, counted.relations)
    groups.add(numbers, counted.relation_amounts, counted.relation_uncertain)
    _add_dropped(groups, counted)


def _identity(names: Names, own: RelationNames, key: tuple[int, int], prefix: str) -> GroupIdentity:
    relid = key[1]
    if relid not in names.relations:
        return GroupIdentity(name=f"{prefix}oid {relid}")
    table = names.shown_relation(relid)
    return GroupIdentity(name=f"{prefix}{own.own(*key)} on {table}", relation=table)


def _add_dropped(groups: Groups, counted: Totals) -> None:
    """Group dropped relations: of an index the name is not kept."""
    dropped = counted.evicted
    numbers = []
    for _, part in dropped.relations:
        name = GONE if part in _PARTS else TABLES
        number = groups.number((name,), GroupIdentity, name)
        groups.add_members(number, 1)
        numbers.append(number)
    groups.add(numbers, dropped.relation_amounts, dropped.relation_uncertain)
