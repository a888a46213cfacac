"""What tables and indexes did in a window of a history, and their definitions at an instant."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import pyarrow as pa

from pgiostat.analysis.rank import Totals
from pgiostat.analysis.relation_activity import RelationTotals
from pgiostat.history.format.schema import FACTS, RELATION_STATS
from pgiostat.history.read import plan
from pgiostat.history.read.arrow import rows_by_server
from pgiostat.history.read.names import END
from pgiostat.history.read.query_runner import QueryRunner
from pgiostat.history.read.windows import Window
from pgiostat.statistics.definitions import Definition, DefinitionKey, Kind

__all__ = ["Definitions", "definitions_at", "relation_totals"]

_FIELDS = tuple(each.name for each in fields(Definition))


def relation_totals(
    history: QueryRunner, window: Window, counted: Mapping[int, Totals]
) -> dict[int, RelationTotals]:
    """Return what tables and indexes of servers counted in a window, by server_id.

    Tables and indexes have intervals of their own, longer than those of statements. An interval
    belongs to the window in which it starts. The sums are made by the engine: memory grows with the
    relations, not with the window.

    Args:
        history: Where the intervals are.
        window: From when to when.
        counted: The servers, with the seconds that their samples cover: rates are per second of
            them.

    Returns:
        The totals of each server; without a row where nothing was collected, as in a history of an
        earlier version.

    Raises:
        PgiostatError: history-unreadable.
    """
    ids = sorted(counted)
    found = {
        server: RelationTotals(totals.seconds, totals.block_size)
        for server, totals in counted.items()
    }
    for name in RELATION_STATS:
        rows = history.query(plan.relation_stats(history.engine, name, window, ids))
        for server, of_server in rows_by_server(rows, ids).items():
            columns = _columns(of_server)
            del columns["server_id"]
            found[server].add_columns(FACTS[name], columns, counted[server].seconds)
    return found


def _columns(rows: pa.Table) -> dict[str, list[Any]]:
    """Return rows as lists by column; times are in UTC, without a zone."""
    return {
        name: values.to_numpy().astype("datetime64[us]").tolist()
        # Arrow's own way imports pandas, which takes longer than most reports.
        if pa.types.is_timestamp(values.type)
        else values.to_pylist()
        for name, values in zip(rows.column_names, rows.columns, strict=True)
    }


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
