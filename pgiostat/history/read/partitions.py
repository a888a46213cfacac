"""The partitioned tables behind the partitions that statements of a history name."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pgiostat.statistics.bases import BaseRow, bases_of
from pgiostat.statistics.definitions import Kind
from pgiostat.statistics.names import Names

__all__ = ["tables_behind"]

Row = Mapping[str, Any]


def tables_behind(
    names: Mapping[int, Names], definitions: Iterable[Row], until: datetime
) -> dict[tuple[int, int], dict[str, str]]:
    """Return the partitioned table behind each name, by (server_id, dbid).

    Args:
        names: The names of relations of each server: a name may be that of another table as well.
        definitions: Rows of the table definition; a history of an earlier version has none.
        until: The partitioned table is the last one until then, else the first one. A partition
            that was dropped keeps it.
    """
    found: dict[tuple[int, int], dict[int, Row]] = {}
    for row in sorted(definitions, key=lambda row: row["since"]):
        if row["kind"] != Kind.PARTITION or row["text"] is None:
            continue
        partitions = found.setdefault((row["server_id"], row["dbid"]), {})
        if row["since"] <= until or row["oid"] not in partitions:
            partitions[row["oid"]] = row
    return {
        key: bases_of([*_partitions(rows), *_others(names.get(key[0], Names()), key[1], rows)])
        for key, rows in found.items()
    }


def _partitions(rows: Mapping[int, Row]) -> Iterable[BaseRow]:
    for row in rows.values():
        schema, _, name = row["name"].partition(".")
        base_schema, _, base_name = row["text"].partition(".")
        yield schema, name, base_schema, base_name


def _others(names: Names, dbid: int, partitions: Mapping[int, Row]) -> Iterable[BaseRow]:
    """Yield the tables that are no partitions, each with itself."""
    there = [each[:3] for (where, _), each in names.elsewhere.items() if where == dbid]
    # Without tables in it by name it is the connected database.
    for owner, schema, name in there or [each[:3] for each in names.relations.values()]:
        if owner not in partitions:
            yield schema, name, schema, name
