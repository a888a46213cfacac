"""The group of each statement and relation in a ranking."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from pgiostat.analysis.cost import FIELDS, blocks_of
from pgiostat.analysis.rank.dimension import By, table_of, tag_of, verb_of
from pgiostat.analysis.rank.totals import EvictedTotals, Totals
from pgiostat.statistics import counters
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import (
    HIDDEN,
    OWN,
    UNREAD,
    UNREADABLE,
    Names,
    Statement,
)

__all__ = [
    "OWN_KEY",
    "GroupKey",
    "Groups",
    "Unread",
    "add_relations",
    "add_statements",
    "group_of",
    "hour_of",
]


GroupKey: TypeAlias = tuple[str, ...]
"""Unique key of a row in a ranking."""

StatementIds: TypeAlias = tuple[int, int, int | None]
"""(userid, dbid, queryid); queryid is None if hidden."""

_WITHOUT_TEXT = frozenset({UNREAD, UNREADABLE})
_BLKS_READ = counters.RELATIONS.column("blks_read").name

OWN_KEY: GroupKey = ("", OWN)
"""The key of pgiostat's own cost in every ranking."""


_BY_TEXT = frozenset({By.VERB, By.TABLE, By.TAG, By.FINGERPRINT, By.STATEMENT})
"""Dimensions in which an evicted statement has no group, as its text is gone."""


@dataclass(frozen=True, slots=True)
class GroupIdentity:
    """Description of a group, apart from its numbers."""

    name: str
    category: str = ""
    text: str = ""
    queryid: int | None = None
    fingerprint: str = ""
    server: str = ""
    database: str = ""
    user: str = ""
    action: str = ""
    table_read: str = ""
    tag: str = ""
    own_text: str = ""
    relation: str = ""


@dataclass(slots=True)
class RankGroup:
    """A group, apart from its amounts.

    Attributes:
        describe: Makes its identity, from its first member.
        arguments: Of that function.
        members: How many statements or relations it has.
        uncertain: Whether any of its amounts is a lower bound or was counted since a reset.
        parts: Blocks by part of a relation.
    """

    describe: Callable[..., GroupIdentity]
    arguments: tuple[object, ...]
    members: int = 0
    uncertain: bool = False
    parts: dict[str, int] = field(default_factory=dict)

    @property
    def identity(self) -> GroupIdentity:
        """What the group is, made at each use: most groups of a ranking are never shown."""
        return self.describe(*self.arguments)


class Groups:
    """Groups by key, with their amounts as columns of one matrix.

    Attributes:
        numbers: The number of each group, in order.
    """

    def __init__(self) -> None:
        self.numbers: dict[GroupKey, int] = {}
        self._groups: list[RankGroup] = []
        self._joined: list[tuple[Sequence[int], int, Sequence[Hashable]]] = []
        self._amounts: Counts = np.zeros((len(FIELDS), 0), dtype=np.int64)

    @property
    def amounts(self) -> Counts:
        """A matrix (FIELDS, groups)."""
        return self._amounts

    def __getitem__(self, number: int) -> RankGroup:
        """Return a group.

        The first call counts the members, which few rankings need: nothing may be added after it.
        """
        joined = {
            (group, server_id, member)
            for numbers, server_id, members in self._joined
            for group, member in zip(numbers, members, strict=True)
        }
        for group, _, _ in joined:
            self._groups[group].members += 1
        self._joined.clear()
        return self._groups[number]

    def number(
        self, key: GroupKey, describe: Callable[..., GroupIdentity], *arguments: object
    ) -> int:
        """Return the number of a group, which is new if no other has the key."""
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self._groups)
            self._groups.append(RankGroup(describe, arguments))
        return number

    def add_members(self, number: int, count: int) -> None:
        """Add members that are known by their number alone."""
        self._groups[number].members += count

    def add_part(self, number: int, part: str, blocks: int) -> None:
        """Add blocks to a part of a relation."""
        parts = self._groups[number].parts
        parts[part] = parts.get(part, 0) + blocks

    def join(self, numbers: Sequence[int], server_id: int, members: Sequence[Hashable]) -> None:
        """Add members to the groups of these numbers; each counts once, however often it comes."""
        self._joined.append((numbers, server_id, members))

    def add(self, numbers: Sequence[int], amounts: Counts, uncertain: Sequence[bool]) -> None:
        """Add the columns of a matrix of FIELDS to the groups of these numbers."""
        missing = len(self._groups) - self._amounts.shape[1]
        self._amounts = np.pad(self._amounts, ((0, 0), (0, missing)))
        at = np.array(numbers, dtype=np.intp)
        for sums, values in zip(self._amounts, amounts, strict=True):
            np.add.at(sums, at, values)
        for number in at[np.array(uncertain, dtype=bool)].tolist():
            self._groups[number].uncertain = True


@dataclass(frozen=True, slots=True)
class Unread:
    """Statements without a text.

    Attributes:
        reason: Why the texts cannot be read; empty if they have not been read yet.
    """

    category: str
    reason: str
    statements: int
    blocks: int


def add_statements(
    groups: Groups, counted: Totals, names: Names, by: By, prefix: str
) -> list[Unread]:
    """Group statements.

    Args:
        prefix: Of its keys, "label/"; empty if one server alone is ranked.

    Returns:
        The statements without a text, by category and reason.
    """
    unread: dict[tuple[str, str], list[int]] = {}
    numbers = []
    blocks = blocks_of(counted.statement_amounts).tolist()
    common = {By.SERVER: (counted.server,), By.HOUR: (hour_of(counted),)}.get(by)
    for ids, read in zip(counted.statements, blocks, strict=True):
        known = _described(ids, names)
        if known is not None and known.category in _WITHOUT_TEXT:
            reason = names.unreadable.get((ids[0], ids[1], ids[2] or 0), "")
            unread.setdefault((known.category, reason), []).append(read)
        key = common if common and not _is_own(known) else _key(by, ids, known, prefix)
        number = groups.numbers.get(key)
        if number is None and key is common:
            number = groups.number(key, GroupIdentity, key[0])
        elif number is None:
            # The identity is that of the text known now; a later text belongs to a later ranking.
            number = groups.number(key, _statement_identity, by, ids, known, names, prefix)
        numbers.append(number)
    groups.join(numbers, counted.server_id, counted.statements)
    groups.add(numbers, counted.statement_amounts, counted.statement_uncertain)
    _add_evicted(groups, counted.evicted, names, by, prefix)
    return [Unread(*which, len(reads), sum(reads)) for which, reads in unread.items()]


def _add_evicted(groups: Groups, evicted: EvictedTotals, names: Names, by: By, prefix: str) -> None:
    """Group evicted statements, of which user, database and category are known."""
    numbers = []
    for (userid, dbid, category), size in zip(evicted.statements, evicted.sizes, strict=True):
        ids, known = (userid, dbid, 0), Statement("", "", category)
        describe = _statement_identity
        key = _key(by, ids, known, prefix)
        if by in _BY_TEXT and key != OWN_KEY:
            key = (f"gone {category}", *key[1:])
            describe = _evicted_identity
        number = groups.number(key, describe, by, ids, known, names, prefix)
        groups.add_members(number, size)
        numbers.append(number)
    groups.add(numbers, evicted.statement_amounts, evicted.statement_uncertain)


def _evicted_identity(
    by: By, ids: StatementIds, known: Statement | None, names: Names, prefix: str
) -> GroupIdentity:
    identity = _statement_identity(by, ids, known, names, prefix)
    name = f"(statements that have gone: {identity.category})"
    return replace(identity, name=name, queryid=None)


def group_of(by: By, ids: StatementIds, names: Names, prefix: str = "") -> GroupKey:
    """Return the key of a statement's group."""
    return _key(by, ids, _described(ids, names), prefix)


def _described(ids: StatementIds, names: Names) -> Statement | None:
    """Return the description of a statement; None if it is hidden."""
    userid, dbid, queryid = ids
    return None if queryid is None else names.described((userid, dbid, queryid))


def _is_own(known: Statement | None) -> bool:
    return known is not None and known.category == OWN


def _category(known: Statement | None) -> str:
    return HIDDEN if known is None else known.category


def _of_text(by: By, known: Statement | None) -> str:
    """Return the verb, the table or the tag of a statement; without a text, its category."""
    action = "" if known is None else known.action
    if by is By.TAG:
        return tag_of("" if known is None else known.tag, action, _category(known))
    if by is By.TABLE:
        return table_of("" if known is None else known.table_read, action, _category(known))
    return verb_of(action, _category(known))


def _key(by: By, ids: StatementIds, known: Statement | None, prefix: str) -> GroupKey:
    userid, dbid, queryid = ids
    if _is_own(known):
        return OWN_KEY
    if by is By.FINGERPRINT and queryid is not None:
        return ((known.fingerprint if known else "") or f"queryid {queryid}",)
    if by is By.STATEMENT or by is By.FINGERPRINT:
        return (HIDDEN if queryid is None else str(queryid), f"{prefix}{dbid}", str(userid))
    if by in {By.DATABASE, By.USER}:
        return (f"{prefix}{dbid if by is By.DATABASE else userid}",)
    return (_category(known) if by is By.CATEGORY else _of_text(by, known),)


def _statement_identity(
    by: By, ids: StatementIds, known: Statement | None, names: Names, prefix: str
) -> GroupIdentity:
    userid, dbid, queryid = ids
    category = _category(known)
    if _is_own(known) or by is By.CATEGORY:
        return GroupIdentity(name=category, category=category)
    if by in {By.VERB, By.TABLE, By.TAG}:
        return GroupIdentity(name=_of_text(by, known))
    database, user = names.shown_database(dbid), names.shown_role(userid)
    server = prefix.removesuffix("/")
    if by is By.DATABASE:
        return GroupIdentity(name=prefix + database, server=server, database=database)
    if by is By.USER:
        return GroupIdentity(name=prefix + user, user=user, server=server)
    text, fingerprint = (known.text, known.fingerprint) if known else ("", "")
    if queryid is None:
        name = f"(statements of {user}, hidden: no privilege)"
    else:
        name = text or names.placeholder((userid, dbid, queryid))
    identity = GroupIdentity(
        name=name,
        category=category,
        text=text,
        fingerprint=fingerprint,
        action=known.action if known else "",
        table_read=known.table_read if known else "",
        tag=known.tag if known else "",
        own_text=known.own_text if known else "",
    )
    if by is By.FINGERPRINT and queryid is not None:
        return identity
    return replace(identity, queryid=queryid, server=server, database=database, user=user)


def add_relations(groups: Groups, counted: Totals, names: Names, prefix: str) -> None:
    """Group relations: each table with its indexes and its TOAST table."""
    numbers = []
    for relid, blocks in zip(
        counted.relations, blocks_of(counted.relation_amounts).tolist(), strict=True
    ):
        owner, _, _, part = names.relations.get(relid, (relid, "", "", "heap"))
        key = (f"{prefix}{owner}",)
        number = groups.number(key, _relation_identity, names, relid, prefix)
        groups.add_part(number, f"{part}_{_BLKS_READ}", blocks)
        numbers.append(number)
    groups.join(numbers, counted.server_id, counted.relations)
    groups.add(numbers, counted.relation_amounts, counted.relation_uncertain)
    _add_dropped_relations(groups, counted.evicted, names, prefix)


def _relation_identity(names: Names, relid: int, prefix: str) -> GroupIdentity:
    return GroupIdentity(name=prefix + names.shown_relation(relid))


def _add_dropped_relations(
    groups: Groups, evicted: EvictedTotals, names: Names, prefix: str
) -> None:
    """Group dropped relations, with their table if that still exists."""
    numbers = []
    for (owner, part), blocks in zip(
        evicted.relations, blocks_of(evicted.relation_amounts).tolist(), strict=True
    ):
        if owner is None:
            number = groups.number(("gone",), GroupIdentity, "(relations that have gone)")
        else:
            key = (f"{prefix}{owner}",)
            number = groups.number(key, _relation_identity, names, owner, prefix)
        groups.add_members(number, 1)  # how many they were is not kept
        groups.add_part(number, f"{part}_{_BLKS_READ}", blocks)
        numbers.append(number)
    groups.add(numbers, evicted.relation_amounts, evicted.relation_uncertain)


def hour_of(counted: Totals) -> str:
    """Return the start of the hour of these totals; empty if they are of no single hour."""
    return "" if counted.hour is None else f"{counted.hour:%Y-%m-%dT%H:%M:%SZ}"
