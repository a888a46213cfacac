"""By what is ranked, and to which row of a ranking something counted belongs."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TypeAlias

import numpy as np

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank.totals import EvictedTotals, Totals
from pgiostat.statistics import counters
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import HIDDEN, OWN, UNREAD, UNREADABLE, Names, Statement

__all__ = [
    "OWN_KEY",
    "By",
    "GroupIdentity",
    "GroupKey",
    "Groups",
    "Unread",
    "add_relations",
    "add_statements",
    "group_of",
    "hour_of",
]


GroupKey: TypeAlias = tuple[str, ...]
"""What tells the row of a ranking from the others."""

_WITHOUT_TEXT = frozenset({UNREAD, UNREADABLE})
_BLOCKS = [FIELDS.index(name) for name in ("shared_blks_read", "local_blks_read")]
_BLKS_READ = counters.RELATIONS.column("blks_read").name

OWN_KEY: GroupKey = ("", OWN)
"""Of our own cost, by whatever is ranked."""


class By(StrEnum):
    """What a row of a ranking is.

    Attributes:
        CATEGORY: A category of queries, by the rules.
        FINGERPRINT: Statements of the same normalized shape.
        STATEMENT: An entry of pg_stat_statements: user, database and queryid.
        RELATION: A table, index or TOAST table.
        DATABASE: A database.
        USER: A role.
        SERVER: A server of a history, by its label.
        HOUR: An hour of a history.
    """

    CATEGORY = "category"
    FINGERPRINT = "fingerprint"
    STATEMENT = "statement"
    RELATION = "relation"
    DATABASE = "database"
    USER = "user"
    SERVER = "server"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class GroupIdentity:
    """What a group of rows is, apart from its numbers."""

    name: str
    category: str = ""
    text: str = ""
    queryid: int | None = None
    fingerprint: str = ""
    server: str = ""
    database: str = ""
    user: str = ""


class Groups:
    """Amounts added up by group, each a column; what a group is, is told when it is asked for."""

    def __init__(self) -> None:
        self._numbers: dict[GroupKey, int] = {}
        self._tell: list[Callable[[], GroupIdentity]] = []
        self._members: list[tuple[Sequence[int], int, Sequence[Hashable]]] = []
        self._sizes: list[int] | None = None
        self._more: dict[int, int] = {}
        self._parts: dict[int, dict[str, int]] = {}
        self._amounts: Counts = np.zeros((len(FIELDS), 0), dtype=np.int64)
        self._uncertain = np.zeros(0, dtype=bool)

    @property
    def keys(self) -> list[GroupKey]:
        """The groups, in the order in which they were met."""
        return list(self._numbers)

    @property
    def amounts(self) -> Counts:
        """A matrix of FIELDS with a column for each."""
        return self._amounts

    def identity(self, number: int) -> GroupIdentity:
        """Return what a group is: what the first of its members said."""
        return self._tell[number]()

    def parts(self, number: int) -> tuple[tuple[str, int], ...]:
        """Return what of it was read of which parts of a relation."""
        return tuple(sorted(self._parts.get(number, {}).items()))

    def members(self, number: int) -> int:
        """Return of how many it is made; counted when it is first asked, for few rankings are."""
        if self._sizes is None:
            self._sizes = [self._more.get(each, 0) for each in range(len(self._tell))]
            seen = {
                (each, whose, member)
                for numbers, whose, members in self._members
                for each, member in zip(numbers, members, strict=True)
            }
            for each, _, _ in seen:
                self._sizes[each] += 1
        return self._sizes[number]

    def is_uncertain(self, number: int) -> bool:
        """Return whether any of its numbers is."""
        return bool(self._uncertain[number])

    def number(self, key: GroupKey) -> int | None:
        """Return the number of a group, None if there is none yet."""
        return self._numbers.get(key)

    def open(self, key: GroupKey, tell: Callable[[], GroupIdentity]) -> int:
        """Begin a group; tell says what it is."""
        number = self._numbers[key] = len(self._tell)
        self._tell.append(tell)
        return number

    def grow(self, number: int, members: int) -> None:
        """Tell of members that are not told apart."""
        self._more[number] = self._more.get(number, 0) + members

    def add_part(self, number: int, part: str, blocks: int) -> None:
        """Add to a part of a relation."""
        parts = self._parts.setdefault(number, {})
        parts[part] = parts.get(part, 0) + blocks

    def join(self, numbers: Sequence[int], owners: int, members: Sequence[Hashable]) -> None:
        """Tell which members the groups of these numbers have."""
        self._members.append((numbers, owners, members))
        self._sizes = None

    def add(self, numbers: Sequence[int], amounts: Counts, uncertain: Sequence[bool]) -> None:
        """Add the columns of a matrix of FIELDS to the groups of these numbers."""
        missing = len(self._tell) - self._amounts.shape[1]
        self._amounts = np.pad(self._amounts, ((0, 0), (0, missing)))
        self._uncertain = np.pad(self._uncertain, (0, missing))
        at = np.array(numbers, dtype=np.intp)
        for sums, values in zip(self._amounts, amounts, strict=True):
            np.add.at(sums, at, values)
        self._uncertain[at[np.array(uncertain, dtype=bool)]] = True


@dataclass(frozen=True, slots=True)
class Unread:
    """Statements without a text.

    Attributes:
        category: UNREAD or UNREADABLE.
        reason: Why the texts cannot be read; empty if they have not been read yet.
        statements: How many they are.
        blocks: What they read.
    """

    category: str
    reason: str
    statements: int
    blocks: int


def add_statements(
    groups: Groups, counted: Totals, names: Names, by: By, where: str
) -> list[Unread]:
    """Group statement rows; return those that have no text."""
    unread: dict[tuple[str, str], list[int]] = {}
    numbers = []
    blocks = counted.statement_amounts[_BLOCKS].sum(axis=0).tolist()
    part = {By.SERVER: (counted.server,), By.HOUR: (hour_of(counted),)}.get(by)
    for ids, read in zip(counted.statements, blocks, strict=True):
        known = _known(ids, names)
        if known is not None and known.category in _WITHOUT_TEXT:
            reason = names.unreadable.get((ids[0], ids[1], ids[2] or 0), "")
            unread.setdefault((known.category, reason), []).append(read)
        key = _key(by, ids, known, where) if part is None or _is_own(known) else part
        number = groups.number(key)
        if number is None:
            # What is known of it now: a text that comes later is of another ranking.
            tell = partial(_statement_place, by, ids, known, names, where)
            number = groups.open(
                key, tell if key is not part else partial(GroupIdentity, name=part[0])
            )
        numbers.append(number)
    groups.join(numbers, counted.server_id, counted.statements)
    groups.add(numbers, counted.statement_amounts, counted.statement_uncertain)
    _add_gone(groups, counted.evicted, names, by, where)
    return [Unread(*kind, len(reads), sum(reads)) for kind, reads in unread.items()]


def _add_gone(groups: Groups, gone: EvictedTotals, names: Names, by: By, where: str) -> None:
    """Group statements that have gone: what they were is known, and which they were is not."""
    numbers = []
    for (userid, dbid, category), size in zip(gone.statements, gone.sizes, strict=True):
        ids, known = (userid, dbid, 0), Statement("", "", category)
        tell = partial(_statement_place, by, ids, known, names, where)
        key = _key(by, ids, known, where)
        if by in {By.FINGERPRINT, By.STATEMENT} and key != OWN_KEY:
            key = (f"gone {category}", *key[1:])
            tell = partial(_gone_place, tell)
        number = groups.number(key)
        if number is None:
            number = groups.open(key, tell)
        groups.grow(number, size)
        numbers.append(number)
    groups.add(numbers, gone.statement_amounts, gone.statement_uncertain)


def _gone_place(tell: Callable[[], GroupIdentity]) -> GroupIdentity:
    place = tell()
    return replace(place, name=f"(statements that have gone: {place.category})", queryid=None)


def group_of(by: By, ids: tuple[int, int, int | None], names: Names, where: str = "") -> GroupKey:
    """Return the key of the row to which a statement (userid, dbid, queryid) belongs.

    where: as the key of a ranking over several servers has it, "label/".
    """
    return _key(by, ids, _known(ids, names), where)


def _known(ids: tuple[int, int, int | None], names: Names) -> Statement | None:
    """Return what is known of a statement, None if it is hidden."""
    userid, dbid, queryid = ids
    return None if queryid is None else names.described((userid, dbid, queryid))


def _is_own(known: Statement | None) -> bool:
    return known is not None and known.category == OWN


def _category(known: Statement | None) -> str:
    return HIDDEN if known is None else known.category


def _key(by: By, ids: tuple[int, int, int | None], known: Statement | None, where: str) -> GroupKey:
    """Return the key of the group of a statement (userid, dbid, queryid)."""
    userid, dbid, queryid = ids
    if _is_own(known):
        return OWN_KEY
    if by is By.CATEGORY:
        return (_category(known),)
    if by is By.DATABASE:
        return (f"{where}{dbid}",)
    if by is By.USER:
        return (f"{where}{userid}",)
    if by is By.FINGERPRINT and queryid is not None:
        return ((known.fingerprint if known else "") or f"queryid {queryid}",)
    return (HIDDEN if queryid is None else str(queryid), f"{where}{dbid}", str(userid))


def _statement_place(
    by: By, ids: tuple[int, int, int | None], known: Statement | None, names: Names, where: str
) -> GroupIdentity:
    """Return what the group of a statement (userid, dbid, queryid) is."""
    userid, dbid, queryid = ids
    category = _category(known)
    if _is_own(known) or by is By.CATEGORY:
        return GroupIdentity(name=category, category=category)
    database, user = names.shown_database(dbid), names.shown_role(userid)
    server = where.removesuffix("/")
    if by is By.DATABASE:
        return GroupIdentity(name=where + database, server=server, database=database)
    if by is By.USER:
        return GroupIdentity(name=where + user, user=user, server=server)
    text, fingerprint = (known.text, known.fingerprint) if known else ("", "")
    if queryid is None:
        name = f"(statements of {user}, hidden: no privilege)"
    else:
        name = text or names.placeholder((userid, dbid, queryid))
    place = GroupIdentity(name=name, category=category, text=text, fingerprint=fingerprint)
    if by is By.FINGERPRINT and queryid is not None:
        return place
    return replace(place, queryid=queryid, server=server, database=database, user=user)


def add_relations(groups: Groups, counted: Totals, names: Names, where: str) -> None:
    """Group the relations, each with its indexes and its TOAST table."""
    numbers = []
    blocks_read = counted.relation_amounts[FIELDS.index("shared_blks_read")].tolist()
    for relid, blocks in zip(counted.relations, blocks_read, strict=True):
        owner, _, _, part = names.relations.get(relid, (relid, "", "", "heap"))
        key = (f"{where}{owner}",)
        number = groups.number(key)
        if number is None:
            number = groups.open(
                key, partial(GroupIdentity, name=where + names.shown_relation(relid))
            )
        groups.add_part(number, f"{part}_{_BLKS_READ}", blocks)
        numbers.append(number)
    groups.join(numbers, counted.server_id, counted.relations)
    groups.add(numbers, counted.relation_amounts, counted.relation_uncertain)
    _add_gone_relations(groups, counted.evicted, names, where)


def _add_gone_relations(groups: Groups, gone: EvictedTotals, names: Names, where: str) -> None:
    """Group relations that have gone: with their table, if that is still there."""
    numbers = []
    blocks_read = gone.relation_amounts[FIELDS.index("shared_blks_read")].tolist()
    for (owner, part), blocks in zip(gone.relations, blocks_read, strict=True):
        key, label = ("gone",), "(relations that have gone)"
        if owner is not None:
            key, label = (f"{where}{owner}",), where + names.shown_relation(owner)
        number = groups.number(key)
        if number is None:
            number = groups.open(key, partial(GroupIdentity, name=label))
        groups.grow(number, 1)  # how many they were is not kept
        groups.add_part(number, f"{part}_{_BLKS_READ}", blocks)
        numbers.append(number)
    groups.add(numbers, gone.relation_amounts, gone.relation_uncertain)


def hour_of(counted: Totals) -> str:
    """Return which hour was counted, empty if none by itself."""
    return "" if counted.hour is None else f"{counted.hour:%Y-%m-%dT%H:%M:%SZ}"
