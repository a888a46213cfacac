"""The tables of statements: found by their texts, with definitions and what they counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pgiostat.analysis.why.access import Column, TableAccess, columns_of
from pgiostat.analysis.why.evidence import TableEvidence
from pgiostat.analysis.why.index_definition import quoted, referencing_columns
from pgiostat.history.read.definitions import DefinitionHistory
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.queries.access import accesses
from pgiostat.queries.tables import resolver, tables_of
from pgiostat.reports.relation_history import RelationWindow, TableKey
from pgiostat.reports.why_groups import Groups, StatementGroup
from pgiostat.statistics.definitions import Kind
from pgiostat.statistics.names import Names

__all__ = ["NamedTables", "Sources"]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the evidence comes from.

    Attributes:
        history: The history.
        server_id: The server.
        names: What its ids mean.
        before: The totals of the window before; None without one.
        after: The totals of the window after.
        groups: The statements of both, without our own.
        definitions: The definitions of indexes, foreign keys and settings.
    """

    history: History
    server_id: int
    names: Names
    before: WindowTotals | None
    after: WindowTotals
    groups: Groups
    definitions: DefinitionHistory

    @property
    def whole(self) -> Window:
        """From the start of the window before to the end of the window after."""
        first = self.after if self.before is None else self.before
        return Window(first.window.since, self.after.window.until)


class _How(NamedTuple):
    """How a table belongs to a statement."""

    partition_of: str = ""
    foreign_key: str = ""
    foreign_key_columns: tuple[str, ...] = ()
    accesses: tuple[TableAccess, ...] = ()


class NamedTables:
    """The tables of a server by name, as statements use them."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._after = sources.definitions.at(sources.after.window.until)
        here, names = sources.after.sampled.dbid, sources.names
        relations = {(here, oid): each for oid, each in names.relations.items()}
        relations |= {key: each[:4] for key, each in names.elsewhere.items()}
        self.named: dict[TableKey, tuple[str, str]] = {
            (dbid, owner): (schema, name)
            for (dbid, _), (owner, schema, name, _) in relations.items()
        }
        self.toast_of = {key: each[0] for key, each in relations.items() if each[3] == "toast"}
        self._keys = [*self.named]
        self._named_by: dict[str, list[TableKey]] = {}
        named = [(number, *self.named[key]) for number, key in enumerate(self._keys)]
        roots = {(e.dbid, e.oid): e.text or "" for e in self._after.of_kind(Kind.PARTITION)}
        behind = [
            (number, *_schema_and_name(roots[key]))
            for number, key in enumerate(self._keys)
            if key in roots
        ]
        self._find = resolver([*named, *behind])

    def name(self, key: TableKey) -> str:
        """Return schema and name of a table."""
        schema, name = self.named.get(key, ("", f"oid {key[1]}"))
        return f"{schema}.{name}" if schema and schema != "public" else name

    def _updated(self, key: TableKey, texts: Iterable[str]) -> frozenset[str]:
        """Return the columns of a table that any of some statements sets."""
        return frozenset(
            column
            for text in texts
            for each in accesses(text)
            if each.assigned and key in map(self._keys.__getitem__, self._find([each.table]))
            for column in each.assigned
        )

    def sql_name(self, key: TableKey) -> str:
        """Return the name of a table as SQL has it."""
        return ".".join(map(quoted, self.named.get(key, ("", str(key[1])))))

    def columns(self, key: TableKey) -> tuple[Column, ...]:
        """Return the columns of a table; nothing if they are not known."""
        found = self._after.columns(*key)
        return columns_of(found.text or "") if found is not None else ()

    def touched(self, group: StatementGroup) -> dict[TableKey, _How]:
        """Return the tables of a statement, and those that reference them."""
        found: dict[TableKey, _How] = {}
        keys = {
            written: [
                key for n in self._find([written]) if (key := self._keys[n])[0] in group.dbids
            ]
            for written in tables_of(group.text)
        }
        columns = {
            written: [each.name for key in here[:1] for each in self.columns(key)]
            for written, here in keys.items()
        }
        known = {name: each for name, each in columns.items() if each}
        used = accesses(group.text, known)
        for written, here in keys.items():
            for key in here:
                is_part = written.rpartition(".")[2] != self.named[key][1]
                found[key] = _How(
                    partition_of=written if is_part else "",
                    accesses=tuple(each for each in used if each.table == written),
                )
        for table in [*found]:
            for each in self._after.referencing(*table):
                columns_in_key = referencing_columns(each.text or "")
                key = (each.dbid, each.owner)
                found.setdefault(
                    key, _How(foreign_key=each.name, foreign_key_columns=columns_in_key)
                )
        return found

    def users(
        self, groups: Groups, wanted: Iterable[TableKey]
    ) -> dict[TableKey, list[tuple[str, str]]]:
        """Return the statements that name each of some tables: key and text."""
        found: dict[TableKey, list[tuple[str, str]]] = {key: [] for key in wanted}
        for group in groups.values():
            for key in self.named_by(group):
                if key in found:
                    found[key].append((group.key, group.text))
        return found

    def named_by(self, group: StatementGroup) -> list[TableKey]:
        """Return the tables that the text of a statement names, and their partitions."""
        if group.key not in self._named_by:
            numbers = self._find(tables_of(group.text))
            keys = map(self._keys.__getitem__, sorted(numbers))
            self._named_by[group.key] = [key for key in keys if key[0] in group.dbids]
        return self._named_by[group.key]

    def evidence(
        self,
        key: TableKey,
        how: _How,
        windows: Sequence[RelationWindow],
        users: Sequence[tuple[str, str]],
        statement: str,
    ) -> TableEvidence:
        """Return what is known of a table, for the statement with a key."""
        definitions, names = self._sources.definitions, self._sources.names
        before, after, whole = (each.of(key) for each in windows)
        oids = {each.indexrelid for side in (before, after) for each in side.indexes}
        first = self._sources.before
        indexes_before = None if first is None else definitions.indexes_in(first.window, *key)
        indexes_after = tuple(self._after.of_table(*key, Kind.INDEX))
        own = {each.oid: each.name for each in (*(indexes_before or ()), *indexes_after)}
        index_names = {oid: names.index_names[oid] for oid in oids if oid in names.index_names}
        columns = self.columns(key)
        return TableEvidence(
            name=self.name(key),
            before=before,
            after=after,
            whole=whole,
            partition_of=how.partition_of,
            foreign_key=how.foreign_key,
            foreign_key_columns=how.foreign_key_columns,
            index_names=index_names | own,
            indexes_before=indexes_before,
            indexes_after=indexes_after,
            shared_with=tuple(text for user, text in users if user != statement),
            columns=columns,
            accesses=how.accesses,
            updated=self._updated(key, (text for _, text in users)),
            sql_name=self.sql_name(key),
        )


def _schema_and_name(table: str) -> tuple[str, str]:
    schema, _, name = table.partition(".")
    return schema, name
