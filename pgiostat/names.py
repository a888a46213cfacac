"""What ids mean: statements by their texts, databases, roles and relations by their oids."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

__all__ = ["HIDDEN", "OTHER", "OWN", "Describe", "Names", "Statement", "StatementKey"]

StatementKey = tuple[int, int, int]
"""(userid, dbid, queryid)"""

OTHER = "other"
"""Category of what no rule knows."""
OWN = "pgiostat itself"
"""Category of our own statements: those that our role sends in our database."""
HIDDEN = "hidden"
"""Category of statements that our role may not see."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is known of a statement apart from its numbers.

    text: normalized.  opens, moves: the pseudonym of the cursor that it declares, or fetches from.
    holds: it declares a cursor WITH HOLD.  rolls_back: it is a ROLLBACK of a whole transaction.
    """

    text: str
    fingerprint: str
    category: str
    opens: str = ""
    moves: str = ""
    holds: bool = False
    rolls_back: bool = False


class Describe(Protocol):
    """Says what a statement is from its text."""

    def __call__(self, text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        """Return the normalized text, its fingerprint and its category."""


@lru_cache(maxsize=1024)
def _same(statement: Statement) -> Statement:
    """Return an equal statement; without their texts most are the same one."""
    return statement


@dataclass(slots=True)
class Names:
    """What ids mean: statements by (userid, dbid, queryid), the rest by oid.

    relations: (relid of the table, schemaname, relname, part).
    """

    statements: dict[tuple[int, int, int], Statement] = field(default_factory=dict)
    databases: dict[int, str] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)
    relations: dict[int, tuple[int, str, str, str]] = field(default_factory=dict)
    cursors: dict[tuple[int, int, str], set[str]] = field(default_factory=dict)

    def learn(self, key: tuple[int, int, int], statement: Statement) -> None:
        """Keep what is known of a statement; a cursor's categories outlive its DECLARE."""
        self.statements[key] = statement
        if statement.opens:
            userid, dbid, _ = key
            opened = self.cursors.setdefault((userid, dbid, statement.opens), set())
            opened.add(statement.category)

    def shorten(self, keys: Iterable[StatementKey]) -> None:
        """Keep of statements the category and cursor alone: somebody else has their texts."""
        for key in keys:
            if known := self.statements.get(key):
                self.statements[key] = _same(replace(known, text="", fingerprint=""))

    def forget(self, statements: Collection[StatementKey], relations: Collection[int]) -> None:
        """Keep what is known of these, and of the cursors that they name."""
        # Who reads meanwhile sees either what was there before or what is kept.
        self.statements = {k: v for k, v in self.statements.items() if k in statements}
        self.relations = {k: v for k, v in self.relations.items() if k in relations}
        named = {
            (userid, dbid, known.opens or known.moves)
            for (userid, dbid, _), known in self.statements.items()
        }
        self.cursors = {k: v for k, v in self.cursors.items() if k in named}

    def statement(self, key: tuple[int, int, int]) -> Statement | None:
        """Return what is known of a statement.

        The reads of a cursor are counted at its FETCH, which names nothing but the cursor: it is
        of the category of the DECLAREs of that name by the same role in the same database, if
        they all agree.
        """
        known = self.statements.get(key)
        if known is None or not known.moves or known.category != OTHER:
            return known
        userid, dbid, _ = key
        opened = self.cursors.get((userid, dbid, known.moves), set())
        return replace(known, category=next(iter(opened))) if len(opened) == 1 else known

    def database(self, oid: int) -> str:
        """Return a database's name, or what its oid says."""
        return self.databases.get(oid, "(shared catalogs)" if oid == 0 else f"oid {oid}")

    def role(self, oid: int) -> str:
        """Return a role's name, or its oid."""
        return self.roles.get(oid, f"oid {oid}")
