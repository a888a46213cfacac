"""The definitions of a history as they changed: of columns, indexes, partitions and settings."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from pgiostat.history.read.names import END
from pgiostat.history.read.windows import Window
from pgiostat.statistics.definitions import OF_TABLES, Definition, DefinitionKey, Kind
from pgiostat.statistics.relation_names import RelationNames

__all__ = ["DefinitionHistory", "Definitions", "named_definition"]

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
        found = (each for each in self.of_kind(kind) if (each.dbid, each.owner) == (dbid, table))
        return sorted(found, key=lambda each: (each.name, each.oid))

    def columns(self, dbid: int, table: int) -> Definition | None:
        """Return the columns of a table; None if they were never read, or the table was dropped."""
        found = self.by_key.get((dbid, Kind.COLUMNS, table, table, ""))
        return None if found is None or found.text is None else found

    def referencing(self, dbid: int, table: int) -> list[Definition]:
        """Return the foreign keys that reference a table."""
        there = self.of_kind(Kind.FOREIGN_KEY)
        return [each for each in there if (each.dbid, each.detail) == (dbid, str(table))]

    def settings(self) -> list[Definition]:
        """Return the settings that decide plans and reads, by name.

        The oid is the database and the owner the role for which one is set, 0 for all.
        """
        found = self.of_kind(Kind.SETTING)
        return sorted(found, key=lambda each: (each.name, each.oid, each.owner))

    def of_server(self) -> dict[str, str]:
        """Return the settings for all roles and databases, and start_time, by name."""
        found = (*self.of_kind(Kind.SETTING), *self.of_kind(Kind.SERVER))
        return {each.name: each.text or "" for each in found if not each.oid and not each.owner}

    def of_kind(self, kind: Kind) -> Iterator[Definition]:
        """Yield the definitions of a kind that are in force."""
        return (e for e in self.by_key.values() if e.kind == kind and e.text is not None)


class DefinitionHistory:
    """The definitions of one server over time.

    Args:
        rows: Rows of the table definition, as `History.dimension("definition")` returns them.
        server_id: The server.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], server_id: int) -> None:
        own = [row for row in rows if row["server_id"] == server_id]
        self._rows: list[tuple[datetime, Definition]] = sorted(
            ((row["since"], Definition(**{name: row[name] for name in _FIELDS})) for row in own),
            key=lambda pair: pair[0],
        )

    def at(self, instant: datetime = END, *, or_first: bool = False) -> Definitions:
        """Return the definitions at an instant.

        Args:
            instant: The instant.
            or_first: Whether the first definitions of a table also hold before they were read: they
                are read when it is first in use. A later one of it is new.
        """
        found: dict[DefinitionKey, Definition] = {}
        first: dict[tuple[int, int], datetime] = {}
        for since, each in self._rows:
            began = first.setdefault((each.dbid, each.owner), since)
            if since <= instant or (or_first and since == began and each.key not in found):
                found[each.key] = each
        return Definitions(found)

    def indexes_in(self, window: Window, dbid: int, table: int) -> tuple[Definition, ...] | None:
        """Return the indexes that a table had at any time of a window.

        Returns:
            Their definitions; None if no index of that database was known yet.
        """
        known = [
            (since, each)
            for since, each in self._rows
            if since <= window.until and each.kind == Kind.INDEX and each.dbid == dbid
        ]
        if not known:
            return None
        found: dict[DefinitionKey, Definition] = {}
        for since, each in known:
            if each.owner != table:
                continue
            if each.text is not None:
                found[each.key] = each
            elif since <= window.since:
                found.pop(each.key, None)
        return tuple(found.values())


def named_definition(row: Mapping[str, Any], relations: RelationNames) -> dict[str, Any]:
    """Return a row of the table definition with names in place of ids.

    Args:
        row: The row.
        relations: What ids mean on its server.

    Returns:
        database (None for the whole server), kind, relation (the table of columns, an index or a
        foreign key), role (of a setting), name, oid (of a table, index or foreign key), text (None
        if it was dropped) and detail.
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
