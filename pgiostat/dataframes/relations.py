"""Tables, indexes and definitions of a history as frames."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.dtypes import shown_in
from pgiostat.dataframes.tables import TableFrames
from pgiostat.history.format.schema import FACTS, SCHEMAS, columns_of
from pgiostat.history.read.definitions import named_definition
from pgiostat.history.read.names import restore_names
from pgiostat.history.read.windows import Window
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_names import RelationNames
from pgiostat.statistics.row_deltas import Basis
from pgiostat.timespec import Instant, Length

__all__ = ["RelationFrames"]

_INSTANTS = "datetime64[us, UTC]"


@dataclass(slots=True, repr=False)
class RelationFrames(TableFrames):
    """What tables and indexes counted, row by row, and their definitions."""

    def tables(
        self,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return what each table counted in each interval of the tables.

        Args:
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each interval and table, materialized view or TOAST table that counted
            anything, by the start of the interval (UTC). First come seconds (float64), server,
            database, relation (its table) and part ("heap" or "toast"), all string. The columns of
            pg_stat_all_tables follow (docs/counters.md). Counters and sizes are Int64, times of
            events datetime64[us, UTC], other times float64 in ms. basis is in words. Sizes and
            times of events are as of the end of the interval.

        Raises:
            PgiostatError: option-invalid, time-invalid, label-unknown, history-empty,
                history-unreadable.
        """
        return self._relations("table_stats", self._window(label, since, until, last))

    def indexes(
        self,
        *,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return what each index counted in each interval of the tables.

        Args:
            label: One server; all if empty.
            since: Start of the window; the start of the history if None.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each interval and index that counted anything, by the start of the interval
            (UTC). First come seconds (float64), server, database, relation (its table), part ("idx"
            or "tidx") and index, all string. The columns of pg_stat_all_indexes follow, as for
            tables.

        Raises:
            PgiostatError: As tables does.
        """
        return self._relations("index_stats", self._window(label, since, until, last))

    def definitions(self, *, label: str = "") -> pd.DataFrame:
        """Return the definitions of columns, indexes, foreign keys, partitions and settings.

        Args:
            label: One server; all if empty.

        Returns:
            A row for each change, by the time at which it was found (UTC). server, database, kind,
            relation, role, name, text and detail are string, oid is Int64. kind is "columns",
            "index", "foreign key", "partition", "setting" or "server". database is NA for the whole
            server, text NA if it was dropped; of a partition it is the partitioned table at the
            top. relation and oid are of the first four, role of settings. attrs is empty.

        Raises:
            PgiostatError: label-unknown, history-empty, history-unreadable.
        """
        labels = {each.server_id: each.label for each in self.history.choose(label)}
        names = restore_names(self.history.dimension("name"), [], self.describe)
        relations = {server: RelationNames(names.get(server, Names())) for server in labels}
        rows = [row for row in self.history.dimension("definition") if row["server_id"] in labels]
        rows.sort(key=lambda row: row["since"])
        records = [
            {
                "since": row["since"],
                "server": labels[row["server_id"]],
                **named_definition(row, relations[row["server_id"]]),
            }
            for row in rows
        ]
        columns = [
            *("since", "server", "database", "kind", "relation", "role", "name", "oid"),
            *("text", "detail"),
        ]
        frame = pd.DataFrame(records, columns=columns, dtype=object)
        kinds = {"since": _INSTANTS, "oid": "Int64"}
        typed = frame.astype({name: kinds.get(name, "string") for name in columns})
        return typed.set_index("since")

    def _relations(self, table: str, span: Window) -> pd.DataFrame:
        frame = self._plain(table, span)
        (key,) = FACTS[table].key
        found = shown_in(frame, {column.name: column.unit for column in columns_of(FACTS[table])})
        words = {basis.value: basis.name.lower() for basis in Basis}
        frame["basis"] = frame["basis"].map(words).astype("string")
        for name in SCHEMAS[table].names:
            if name in frame and pd.api.types.is_datetime64_any_dtype(frame[name]):
                frame[name] = frame[name].astype(_INSTANTS)
        self._name(frame, span, key)
        watched = self._watched(span)
        described = with_attrs(frame.drop(columns=["server_id", "dbid"]), span, watched)
        described.attrs["units"] |= found
        return described

    def _name(self, frame: pd.DataFrame, span: Window, key: str) -> None:
        """Insert the names of databases, tables and indexes, those at the end of the window."""
        of_server = restore_names(
            self.history.dimension("name"), [], self.describe, span.since, span.until
        )
        known = {
            server: RelationNames(of_server.get(server, Names()))
            for server in set(frame["server_id"])
        }
        ids = zip(frame["server_id"], frame["dbid"], frame[key], strict=True)
        rows = [(known[server], dbid, oid) for server, dbid, oid in ids]
        named: dict[str, list[Any]] = {
            "database": [each.names.shown_database(dbid) for each, dbid, _ in rows],
            "relation": [each.table(dbid, oid) for each, dbid, oid in rows],
            "part": [each.part(dbid, oid) for each, dbid, oid in rows],
        }
        if key == "indexrelid":
            named["index"] = [each.own(dbid, oid) for each, dbid, oid in rows]
        place = list(frame.columns).index("server") + 1
        for name, values in reversed(named.items()):
            frame.insert(place, name, pd.Series(values, index=frame.index, dtype="string"))
