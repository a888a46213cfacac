"""The names behind ids: statements by their texts, databases, roles and relations by oid."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from pgiostat.statistics.preset import FixedPreset, PresetInForce, preset_in_force
from pgiostat.statistics.statement import (
    HIDDEN,
    MANIFEST,
    OTHER,
    OWN,
    UNREAD,
    UNREADABLE,
    VERSION,
    Describe,
    IfSync,
    Statement,
    StatementKey,
    split_action,
)

__all__ = [
    "HIDDEN",
    "MANIFEST",
    "OTHER",
    "OWN",
    "UNREAD",
    "UNREADABLE",
    "VERSION",
    "Describe",
    "IfSync",
    "Names",
    "RelationName",
    "Renamed",
    "Statement",
    "StatementKey",
    "agree_on_preset",
    "preset_of",
    "split_action",
]


@dataclass(frozen=True, slots=True)
class Renamed:
    """A name that changed within the time that is shown.

    Attributes:
        kind: database, role or relation.
        before: What it was called.
        after: What it was called last in that time.
        since: When the new name first appeared.
    """

    kind: str
    before: str
    after: str
    since: datetime


RelationName = tuple[int, str, str, str, str]
"""Oid of the table, schema and name of the table, part (heap, idx, toast or tidx), own name."""
DeclaredAs = tuple[str, str, str, str]
"""Category, action, table and tag of a DECLARE."""
_MOST_TABLES = 1000
"""Tables that are noted for the preset."""


@lru_cache(maxsize=1024)
def _same(statement: Statement) -> Statement:
    """Return an equal statement; without their texts most are the same one."""
    return statement


@dataclass(slots=True)
class Names:
    """Names by id. A dropped object keeps its name.

    Attributes:
        statements: By (userid, dbid, queryid).
        databases: By oid.
        roles: By oid.
        relations: By oid of a table, index or TOAST table: relid of the table, schema, name, part.
        index_names: Own names of indexes and TOAST tables, by oid.
        elsewhere: Relations of databases beside the connected one, by (dbid, oid).
        cursors: By (userid, dbid, cursor): category, action, table and tag of its DECLAREs.
        unreadable: By statement: why its text cannot be read.
        renamed: Names that changed within the time window; the newest is used.
        version_tables: Tables of which a statement reads the version, by the preset sync.
        manifest_tables: Tables of which a statement reads a manifest, by the preset sync.
        is_sync: Whether the preset sync came into force: a table is in both of these.
        fixed: The preset, where an option or a rules file fixes it.
    """

    statements: dict[tuple[int, int, int], Statement] = field(default_factory=dict)
    databases: dict[int, str] = field(default_factory=dict)
    roles: dict[int, str] = field(default_factory=dict)
    relations: dict[int, tuple[int, str, str, str]] = field(default_factory=dict)
    index_names: dict[int, str] = field(default_factory=dict)
    elsewhere: dict[tuple[int, int], RelationName] = field(default_factory=dict)
    cursors: dict[tuple[int, int, str], set[DeclaredAs]] = field(default_factory=dict)
    unreadable: dict[StatementKey, str] = field(default_factory=dict)
    renamed: tuple[Renamed, ...] = ()
    version_tables: set[str] = field(default_factory=set)
    manifest_tables: set[str] = field(default_factory=set)
    is_sync: bool = False
    fixed: FixedPreset | None = None
    _repeated: dict[int, tuple[Mapping[int, object], int, frozenset[str]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def add(self, key: tuple[int, int, int], statement: Statement) -> None:
        """Add a statement; a cursor's categories outlive its DECLARE.

        Args:
            key: userid, dbid and queryid.
            statement: Its text, fingerprint and category.
        """
        self.fixed = statement.fixed or self.fixed
        self._note_preset(statement.if_sync)
        statement = self.by_preset(statement)
        before = self.statements.get(key)
        self.statements[key] = statement
        self.unreadable.pop(key, None)
        if statement.declares_cursor:
            userid, dbid, _ = key
            opened = self.cursors.setdefault((userid, dbid, statement.declares_cursor), set())
            if before is not None and before.category != statement.category:
                # Its role or database was renamed, and a rule depends on the name.
                opened.clear()
                opened |= _declared(self.statements)[userid, dbid, statement.declares_cursor]
            opened.add(_declared_as(statement))

    def _note_preset(self, if_sync: IfSync | None) -> None:
        """Note what speaks for the preset sync; it comes into force with enough of that."""
        if if_sync is None or not if_sync.tables:
            return
        noted = self.version_tables if if_sync.category == VERSION else self.manifest_tables
        if len(noted) < _MOST_TABLES:  # an application may make a table each minute
            noted |= if_sync.tables
        if self.version_tables & self.manifest_tables:
            self.apply_sync()

    def by_preset(self, statement: Statement) -> Statement:
        """Return a statement with its category under the preset in force.

        Args:
            statement: As its description has it.

        Returns:
            The statement itself where the preset sync is not in force.
        """
        return _under_sync(statement) if self.is_sync else statement

    def apply_sync(self) -> None:
        """Put the preset sync in force, for good: every statement gets its category under it."""
        if self.is_sync:
            return
        self.is_sync = True
        self.statements = {key: _under_sync(known) for key, known in self.statements.items()}
        self.cursors = _declared(self.statements)

    def drop_texts(self, keys: Iterable[StatementKey]) -> None:
        """Drop texts and fingerprints, and keep categories and cursors: a history has the texts.

        Args:
            keys: The statements, as (userid, dbid, queryid).
        """
        for key in keys:
            if known := self.statements.get(key):
                self.statements[key] = _same(
                    replace(known, text="", own_text="", fingerprint="", tables=None)
                )

    def retain(self, statements: Collection[StatementKey], relations: Collection[int]) -> None:
        """Retain some names and the cursors of these statements, and drop all others.

        Args:
            statements: What to retain, as (userid, dbid, queryid).
            relations: What to retain, as oids.
        """
        # A concurrent reader gets either the old mapping or the new one.
        self.statements = {k: v for k, v in self.statements.items() if k in statements}
        self.relations = {k: v for k, v in self.relations.items() if k in relations}
        self.index_names = {k: v for k, v in self.index_names.items() if k in relations}
        named = {
            (userid, dbid, known.declares_cursor or known.uses_cursor)
            for (userid, dbid, _), known in self.statements.items()
        }
        self.cursors = {k: v for k, v in self.cursors.items() if k in named}
        self.unreadable = {k: v for k, v in self.unreadable.items() if k in statements}

    def statement(self, key: tuple[int, int, int]) -> Statement | None:
        """Return what is known of a statement.

        The reads of a cursor are counted at its FETCH, which names only the cursor. FETCH gets the
        category of the DECLAREs of that name by the same role in the same database, if they all
        agree.

        Args:
            key: userid, dbid and queryid.

        Returns:
            Text, fingerprint and category; None if the text has not been read.
        """
        known = self.statements.get(key)
        if known is None or not known.uses_cursor or known.category != OTHER:
            return known
        userid, dbid, _ = key
        opened = self.cursors.get((userid, dbid, known.uses_cursor), set())
        categories, actions, tables, tags = ({each[n] for each in opened} for n in range(4))
        if len(categories) != 1:
            return known
        action = next(iter(actions)) if len(actions) == 1 else known.action
        table = next(iter(tables)) if len(tables) == 1 else ""
        tag = known.tag or (next(iter(tags)) if len(tags) == 1 else "")
        category = next(iter(categories))
        return replace(known, category=category, action=action, table_read=table, tag=tag)

    def described(self, key: StatementKey) -> Statement:
        """Return what is known of a statement, in any case.

        Args:
            key: userid, dbid and queryid.

        Returns:
            Text, fingerprint and category; without a text the category "no text yet" or "not
            readable".
        """
        known = self.statement(key)
        if known is not None:
            return known
        return _same(Statement("", "", UNREADABLE if key in self.unreadable else UNREAD))

    def placeholder(self, key: StatementKey) -> str:
        """Return what to show in place of a text that is missing.

        Args:
            key: userid, dbid and queryid.

        Returns:
            The reason and the queryid, in parentheses.
        """
        if key in self.unreadable:
            return f"({UNREADABLE}: {self.unreadable[key].rstrip('.')}; queryid {key[2]})"
        return f"({UNREAD}: queryid {key[2]})"

    def database(self, oid: int) -> str:
        """Return the name of a database.

        Args:
            oid: Its oid; 0 for shared catalogs.

        Returns:
            Its name, or "oid 5" if the name is unknown.
        """
        return self.databases.get(oid, "(shared catalogs)" if oid == 0 else f"oid {oid}")

    def role(self, oid: int) -> str:
        """Return the name of a role.

        Args:
            oid: Its oid.

        Returns:
            Its name, or "oid 5" if the name is unknown.
        """
        return self.roles.get(oid, f"oid {oid}")

    def shown_database(self, oid: int) -> str:
        """Return the name of a database for output.

        Args:
            oid: Its oid; 0 for shared catalogs.

        Returns:
            Its name, with the oid if another one had the same name.
        """
        pairs = self.databases.items()
        return self._apart(self.database(oid), oid, self.databases, lambda: pairs)

    def shown_role(self, oid: int) -> str:
        """Return the name of a role for output.

        Args:
            oid: Its oid.

        Returns:
            Its name, with the oid if another one had the same name.
        """
        pairs = self.roles.items()
        return self._apart(self.role(oid), oid, self.roles, lambda: pairs)

    def shown_relation(self, relid: int) -> str:
        """Return the name of a relation's table for output.

        Args:
            relid: Oid of a table, or of an index or TOAST table of it.

        Returns:
            Schema and name, with the oid if another one had the same name.
        """
        owner, *named, _ = self.relations.get(relid, (relid, "", f"oid {relid}", "heap"))
        pairs = ((each[0], _dotted(*each[1:3])) for each in self.relations.values())
        return self._apart(_dotted(*map(str, named)), owner, self.relations, lambda: pairs)

    def _apart(
        self,
        name: str,
        oid: int,
        source: Mapping[int, object],
        pairs: Callable[[], Iterable[tuple[int, str]]],
    ) -> str:
        """Return a name, with its oid if something else has it: one was dropped, one is new.

        Args:
            name: What it is called.
            oid: Of what.
            source: Where names are; it is replaced, or grows, when they change.
            pairs: Oids and names of all.
        """
        known = self._repeated.get(id(source))
        if known is None or known[0] is not source or known[1] != len(source):
            known = self._repeated[id(source)] = (source, len(source), _repeated(pairs()))
        return f"{name} (oid {oid})" if name in known[2] else name


def preset_of(several: Iterable[Names]) -> PresetInForce | None:
    """Return the preset in force for statements that are shown together.

    Args:
        several: What ids mean on each server, or in each window.

    Returns:
        The preset and the reason; None without a statement.
    """
    known = [names for names in several if names.statements]
    if not known:
        return None
    return preset_in_force(
        next((names.fixed for names in known if names.fixed is not None), None),
        {table for names in known for table in names.version_tables},
        {table for names in known for table in names.manifest_tables},
    )


def agree_on_preset(several: Iterable[Names]) -> None:
    """Put the preset sync in force for all, if it is in force for one: they are compared or added.

    Args:
        several: What ids mean on each server, or in each window.
    """
    known = list(several)
    if any(names.is_sync for names in known):
        for names in known:
            names.apply_sync()


def _under_sync(statement: Statement) -> Statement:
    if statement.if_sync is None or statement.category == OWN:
        return statement
    return replace(statement, category=statement.if_sync.category, if_sync=None)


def _declared(
    statements: Mapping[StatementKey, Statement],
) -> dict[tuple[int, int, str], set[DeclaredAs]]:
    """Return the DECLAREs of each cursor."""
    cursors: dict[tuple[int, int, str], set[DeclaredAs]] = {}
    for (userid, dbid, _), known in statements.items():
        if known.declares_cursor:
            opened = cursors.setdefault((userid, dbid, known.declares_cursor), set())
            opened.add(_declared_as(known))
    return cursors


def _declared_as(statement: Statement) -> DeclaredAs:
    return statement.category, statement.action, statement.table_read, statement.tag


def _dotted(schema: str, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _repeated(pairs: Iterable[tuple[int, str]]) -> frozenset[str]:
    """Return the names that several oids have."""
    first: dict[str, int] = {}
    return frozenset(name for oid, name in pairs if first.setdefault(name, oid) != oid)
