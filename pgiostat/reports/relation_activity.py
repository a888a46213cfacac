"""What the tables and indexes of a ranking did in its window, beside their reads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from pgiostat.analysis.rank import By, Ranking, Totals, group_of, index_key, server_prefix
from pgiostat.analysis.relation_activity import IndexActivity, RelationTotals, TableActivity
from pgiostat.history.read.definitions import Definitions, definitions_at
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
            activities = _tables(known, counted[server])
            of_server = {(f"{prefix}{each.relid}",): each for each in activities}
        else:
            definitions = definitions_at(history.dimension("definition"), totals.window.until)
            of_server = _indexes(counted[server], definitions.get(server, Definitions()), prefix)
        # Two servers of one label are one row: there is no activity of both.
        repeated |= found.keys() & of_server.keys()
        found |= of_server
    unique = {key: each for key, each in found.items() if key not in repeated}
    return replace(ranking, activity=unique)


def toast_owners(names: Names, dbids: Iterable[int]) -> dict[tuple[int, int], int]:
    """Return the table of each TOAST table, by (dbid, oid of the TOAST table).

    Args:
        names: The names of the relations of these databases.
        dbids: Oids of the databases.
    """
    toast = {oid: known[0] for oid, known in names.relations.items() if known[3] == "toast"}
    return {(dbid, oid): owner for dbid in dbids for oid, owner in toast.items()}


def _tables(names: Names, counted: RelationTotals) -> list[TableActivity]:
    return counted.tables(toast_owners(names, counted.dbids))


def _indexes(counted: RelationTotals, definitions: Definitions, prefix: str) -> Found:
    return {
        index_key(prefix, each.indexrelid): replace(
            each, definition=definitions.index(each.dbid, each.relid, each.indexrelid)
        )
        for each in counted.indexes()
    }


def _by_name(part: Totals, names: Names, counted: RelationTotals) -> Found:
    """Return what tables did by the name that statements give them, if that is one table's alone.

    A statement names a table with or without its schema, and a table of another database may have
    the same name.
    """
    of_oid = {each.relid: each for each in _tables(names, counted)}
    oids: dict[str, list[int]] = {}
    qualified: dict[str, set[str]] = {}
    for oid, (_, schema, name, which) in names.relations.items():
        if which != "heap":
            continue
        full = f"{schema}.{name}"
        for written in (name, full):
            qualified.setdefault(written, set()).add(full)
            oids.setdefault(written, []).append(oid)
    databases = _databases_of(part, names, lambda key: key in qualified)
    found: Found = {}
    for written, dbids in databases.items():
        # A table that was dropped and created again has two oids.
        there = [of_oid[oid] for oid in oids[written] if oid in of_oid]
        if len(qualified[written]) == len(there) == 1 and dbids == {there[0].dbid}:
            found[written,] = there[0]
    return found


def _databases_of(
    part: Totals, names: Names, is_named: Callable[[str], bool]
) -> dict[str, set[int]]:
    """Return the databases with statements about each table that has a known name."""
    found: dict[str, set[int]] = {}
    for ids in part.statements:
        name = group_of(By.TABLE, ids, names)[-1]
        if is_named(name):
            found.setdefault(name, set()).add(ids[1])
    return found
