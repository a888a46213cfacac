"""What the tables and indexes of a ranking did in its window, beside their reads."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from pgiostat.analysis.rank import By, Ranking, Totals, group_of, index_key, server_prefix
from pgiostat.analysis.relation_activity import IndexActivity, RelationTotals, TableActivity
from pgiostat.history.read.definitions import DefinitionHistory, Definitions
from pgiostat.history.read.history import History
from pgiostat.history.read.relation_totals import relation_totals
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.statistics.names import Names

__all__ = ["WITH_ACTIVITY", "toast_owners", "with_activity"]

WITH_ACTIVITY = frozenset({By.INDEX, By.RELATION, By.TABLE})
"""Dimensions with rows that are about one table or index."""

Found: TypeAlias = dict[tuple[str, ...], TableActivity | IndexActivity]


def with_activity(
    history: History, totals: WindowTotals, names: Mapping[int, Names], ranking: Ranking
) -> Ranking:
    """Return a ranking with what the tables or indexes of its rows did.

    Args:
        history: Where the window was read.
        totals: The window.
        names: What ids mean on each server.
        ranking: Its ranking; one by another dimension is returned as it is.

    Raises:
        PgiostatError: history-unreadable.
    """
    if ranking.by not in WITH_ACTIVITY:
        return ranking
    counted = relation_totals(history, totals.window, totals.counted)
    found: Found = {}
    repeated = set()
    for server, part in totals.counted.items():
        prefix = server_prefix(part, totals.counted)
        known = names.get(server, Names())
        if ranking.by is By.TABLE:
            of_server = _by_name(part, known, counted[server])
        elif ranking.by is By.RELATION:
            of_server = {
                (f"{prefix}{each.relid}",): each
                for each in _tables(part, known, counted[server])
                if each.dbid == part.dbid
            }
        else:
            recorded = DefinitionHistory(history.dimension("definition"), server)
            definitions = recorded.at(totals.window.until, or_first=True)
            here = [each for each in counted[server].indexes() if each.dbid == part.dbid]
            of_server = _indexes(here, definitions, prefix)
        # Two servers of one label are one row: there is no activity of both.
        repeated |= found.keys() & of_server.keys()
        found |= of_server
    unique = {key: each for key, each in found.items() if key not in repeated}
    return replace(ranking, activity=unique)


def toast_owners(names: Names, connected: int) -> dict[tuple[int, int], int]:
    """Return the table of each TOAST table, by (dbid, oid of the TOAST table).

    Args:
        names: The names of the relations of one server.
        connected: Oid of the connected database.
    """
    here = {(connected, oid): known for oid, known in names.relations.items()}
    elsewhere = {key: known[:4] for key, known in names.elsewhere.items()}
    found = {**here, **elsewhere}.items()
    return {key: owner for key, (owner, _, _, part) in found if part == "toast"}


def _tables(part: Totals, names: Names, counted: RelationTotals) -> list[TableActivity]:
    return counted.tables(toast_owners(names, part.dbid))


def _indexes(here: Iterable[IndexActivity], definitions: Definitions, prefix: str) -> Found:
    return {
        index_key(prefix, each.indexrelid): replace(
            each, definition=definitions.index(each.dbid, each.relid, each.indexrelid)
        )
        for each in here
    }


def _by_name(part: Totals, names: Names, counted: RelationTotals) -> Found:
    """Return what tables did by the name that statements give them, if that is one table's alone.

    A statement names a table with or without its schema. Its database is that in which it ran.
    """
    of_key = {(each.dbid, each.relid): each for each in _tables(part, names, counted)}
    tables = _tables_by_name(part.dbid, names)
    found: Found = {}
    for written, dbids in _databases_of(part, names).items():
        keys = [key for dbid in dbids for key in tables.get((dbid, written), {})]
        # A table that was dropped and created again has two oids.
        there = [of_key[key] for key in keys if key in of_key]
        full = {tables[key[0], written][key] for key in keys}
        if len(dbids) == len(full) == len(there) == 1:
            found[written,] = there[0]
    return found


def _tables_by_name(
    connected: int, names: Names
) -> dict[tuple[int, str], dict[tuple[int, int], str]]:
    """Return (dbid, oid) and the full name of tables, by database and by each of their names."""
    here = {(connected, oid): known for oid, known in names.relations.items()}
    elsewhere = {key: known[:4] for key, known in names.elsewhere.items()}
    found: dict[tuple[int, str], dict[tuple[int, int], str]] = {}
    for key, (_, schema, name, which) in {**here, **elsewhere}.items():
        if which == "heap":
            full = f"{schema}.{name}"
            for written in (name, full):
                found.setdefault((key[0], written), {})[key] = full
    return found


def _databases_of(part: Totals, names: Names) -> dict[str, set[int]]:
    """Return the databases in which statements about each table ran."""
    found: dict[str, set[int]] = {}
    for ids in part.statements:
        found.setdefault(group_of(By.TABLE, ids, names)[-1], set()).add(ids[1])
    return found
