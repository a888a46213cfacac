"""The definitions of a history: indexes, foreign keys, partitions and settings as they changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from pgiostat.history.read.names import END
from pgiostat.statistics.definitions import OF_TABLES, Definition, DefinitionKey, Kind
from pgiostat.statistics.relation_names import RelationNames

__all__ = ["Definitions", "definitions_at", "named_definition"]

_FIELDS = tuple(each.name for each in fields(Definition))


@dataclass(frozen=True, slots=True)
class Definitions:
    """The definitions of one server at an instant.

    Attributes:
        by_key: Each definition; the text of one that was dropped by then is None.
    """

    by_key: Mapping[DefinitionKey, Definition] = field(default_factory=dict)

    def index(self, dbid: int, table: int, index: int) -> Definition | None:
        """Return the definition of an index, also of a dropped one; None if it was never read.

        Args:
            dbid: Its database.
            table: Oid of its table.
            index: Its oid.
        """
        return self.by_key.get((dbid, Kind.INDEX, index, table, ""))

    def of_table(self, dbid: int, table: int, kind: Kind) -> list[Definition]:
        """Return the indexes or the foreign keys that a table has, by name.

        Args:
            dbid: Its database.
            table: Its oid.
            kind: Kind.INDEX or Kind.FOREIGN_KEY.
        """
        found = (each for each in self._there(kind) if (each.dbid, each.owner) == (dbid, table))
        return sorted(found, key=lambda each: (each.name, each.oid))

    def settings(self) -> list[Definition]:
        """Return the settings that decide plans and reads, by name.

        The oid is the database and the owner the role for which one is set, 0 for all.
        """
        found = self._there(Kind.SETTING)
        return sorted(found, key=lambda each: (each.name, each.oid, each.owner))

    def _there(self, kind: Kind) -> Iterator[Definition]:
        return (e for e in self.by_key.values() if e.kind == kind and e.text is not None)


def definitions_at(rows: Iterable[Mapping[str, Any]], at: datetime = END) -> dict[int, Definitions]:
    """Return the definitions at an instant, by server_id, from rows of the table definition.

    Args:
        rows: The rows, as `History.dimension("definition")` returns them.
        at: The instant. The first definition of an index also holds before it was read: it is read
            when its table is first in use.
    """
    newest: dict[int, dict[DefinitionKey, Definition]] = {}
    for row in sorted(rows, key=lambda row: row["since"]):
        found = newest.setdefault(row["server_id"], {})
        definition = Definition(**{name: row[name] for name in _FIELDS})
        if row["since"] <= at or definition.key not in found:
            found[definition.key] = definition
    return {server: Definitions(found) for server, found in newest.items()}


def named_definition(row: Mapping[str, Any], relations: RelationNames) -> dict[str, Any]:
    """Return a row of the table definition with names in place of ids.

    Args:
        row: The row.
        relations: What ids mean on its server.

    Returns:
        database (None for the whole server), kind, relation (the table of an index or a foreign
        key), role (of a setting), name, oid (of an index or a foreign key), text (None if it was
        dropped) and detail.
    """
    names = relations.names
    is_setting = row["kind"] == Kind.SETTING
    is_of_table = row["kind"] in OF_TABLES
    dbid, owner = row["oid"] if is_setting else row["dbid"], row["owner"]
    return {
        "database": names.shown_database(dbid) if dbid else None,
        "kind": row["kind"],
        "relation": relations.table(dbid, owner) if is_of_table else None,
        "role": names.shown_role(owner) if is_setting and owner else None,
        "name": row["name"],
        "oid": row["oid"] if is_of_table else None,
        "text": row["text"],
        "detail": row["detail"],
    }
