"""By what is ranked, and to which row of a ranking something counted belongs."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from pgiostat import counters
from pgiostat.cost import FIELDS
from pgiostat.names import HIDDEN, OTHER, OWN, Names, Statement
from pgiostat.rank.counted import Counted
from pgiostat.rows import Counts

__all__ = ["By", "Groups", "Key", "Place", "add_relations", "add_statements", "group_of", "hour_of"]


Key: TypeAlias = tuple[str, ...]
"""What tells the row of a ranking from the others."""


class By(StrEnum):
    """What is ranked."""

    CATEGORY = "category"
    FINGERPRINT = "fingerprint"
    STATEMENT = "statement"
    RELATION = "relation"
    DATABASE = "database"
    USER = "user"
    SERVER = "server"
    HOUR = "hour"


@dataclass(slots=True)
class Place:
    """What a group of rows is, before it is ranked."""

    name: str
    category: str = ""
    text: str = ""
    queryid: int | None = None
    fingerprint: str = ""
    server: str = ""
    database: str = ""
    user: str = ""
    members: set[Hashable] = field(default_factory=set)
    parts: dict[str, int] = field(default_factory=dict)
    uncertain: bool = False
    own: bool = False


class Groups:
    """Amounts added up by group."""

    def __init__(self) -> None:
        self.places: dict[Key, Place] = {}
        self.amounts: dict[Key, list[int]] = {}

    def add(self, keys: Sequence[Key], amounts: Counts) -> None:
        """Add the columns of a matrix of FIELDS to the groups named by keys."""
        index: dict[Key, int] = {}
        group = np.array([index.setdefault(key, len(index)) for key in keys], dtype=np.intp)
        summed = np.zeros((len(FIELDS), len(index)), dtype=np.int64)
        for i, values in enumerate(amounts):
            np.add.at(summed[i], group, values)
        for key, place in index.items():
            before = self.amounts.get(key, [0] * len(FIELDS))
            self.amounts[key] = [
                a + b for a, b in zip(before, summed[:, place].tolist(), strict=True)
            ]


def add_statements(groups: Groups, counted: Counted, names: Names, by: By, where: str) -> int:
    """Group statement rows; return how many have no text."""
    untexted = 0
    keys = []
    for ids, uncertain in zip(counted.statements, counted.statement_uncertain, strict=True):
        userid, dbid, queryid = ids
        known = None if queryid is None else names.statement((userid, dbid, queryid))
        untexted += known is None and queryid is not None
        if by in {By.SERVER, By.HOUR}:
            key, place = _part_place(by, counted, known)
        else:
            key, place = _statement_place(by, ids, known, names, where)
        kept = groups.places.setdefault(key, place)
        kept.members.add((counted.whose, *ids))
        kept.uncertain |= uncertain
        keys.append(key)
    groups.add(keys, counted.statement_amounts)
    return untexted


def group_of(by: By, ids: tuple[int, int, int | None], names: Names, where: str = "") -> Key:
    """Return the key of the row to which a statement (userid, dbid, queryid) belongs.

    where: as the key of a ranking over several servers has it, "label/".
    """
    userid, dbid, queryid = ids
    known = None if queryid is None else names.statement((userid, dbid, queryid))
    key, _ = _statement_place(by, ids, known, names, where)
    return key


def _part_place(by: By, counted: Counted, known: Statement | None) -> tuple[Key, Place]:
    """Return the server or hour of a statement."""
    if known and known.category == OWN:
        return ("", OWN), Place(name=OWN, category=OWN, own=True)
    name = counted.server if by is By.SERVER else hour_of(counted)
    return (name,), Place(name=name)


def _statement_place(
    by: By, ids: tuple[int, int, int | None], known: Statement | None, names: Names, where: str
) -> tuple[Key, Place]:
    """Return the group of a statement (userid, dbid, queryid) and what that group is."""
    userid, dbid, queryid = ids
    hidden = queryid is None
    category = HIDDEN if hidden else known.category if known else OTHER
    if category == OWN:
        return ("", OWN), Place(name=OWN, category=OWN, own=True)
    if by is By.CATEGORY:
        return (category,), Place(name=category, category=category)
    database, user, server = names.database(dbid), names.role(userid), where.removesuffix("/")
    if by is By.DATABASE:
        place = Place(name=where + database, server=server, database=database)
        return (f"{where}{dbid}",), place
    if by is By.USER:
        return (f"{where}{userid}",), Place(name=where + user, user=user, server=server)
    text, fingerprint = (known.text, known.fingerprint) if known else ("", "")
    place = Place(
        name=text or f"(no text: queryid {queryid})",
        category=category,
        text=text,
        fingerprint=fingerprint,
    )
    if hidden:
        place.name = f"(statements of {user}, hidden: no privilege)"
    if by is By.FINGERPRINT and not hidden:
        return (fingerprint or f"queryid {queryid}",), place
    place.queryid, place.server, place.database, place.user = queryid, server, database, user
    return (HIDDEN if hidden else str(queryid), f"{where}{dbid}", str(userid)), place


def add_relations(groups: Groups, counted: Counted, names: Names, where: str) -> None:
    """Group the relations, each with its indexes and its TOAST table."""
    keys = []
    blocks_read = counted.relation_amounts[FIELDS.index("shared_blks_read")].tolist()
    for relid, blocks, uncertain in zip(
        counted.relations, blocks_read, counted.relation_uncertain, strict=True
    ):
        owner, schema, name, part = names.relations.get(relid, (relid, "", f"oid {relid}", "heap"))
        key = (f"{where}{owner}",)
        label = where + (f"{schema}.{name}" if schema else name)
        place = groups.places.setdefault(key, Place(name=label))
        place.members.add((counted.whose, relid))
        column = f"{part}_{counters.RELATIONS.column('blks_read').name}"
        place.parts[column] = place.parts.get(column, 0) + blocks
        place.uncertain |= uncertain
        keys.append(key)
    groups.add(keys, counted.relation_amounts)


def hour_of(counted: Counted) -> str:
    """Return which hour was counted, empty if none by itself."""
    return "" if counted.hour is None else f"{counted.hour:%Y-%m-%dT%H:%M:%SZ}"
