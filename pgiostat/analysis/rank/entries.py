"""Entries of pg_stat_statements that are one fingerprint."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from pgiostat.analysis.cost import blocks_of
from pgiostat.analysis.rank.dimension import By
from pgiostat.analysis.rank.groups import OWN_KEY, GroupKey, group_of
from pgiostat.analysis.rank.lazy_sequence import LazySequence
from pgiostat.analysis.rank.ranking import Ranking, RankRow
from pgiostat.analysis.rank.totals import Totals
from pgiostat.statistics.names import Names

__all__ = ["places_of", "queryids_of", "with_databases", "with_queryids"]

_Ids = tuple[int, int, int | None]
_Key = TypeVar("_Key", int, str)


def queryids_of(counted: Totals, names: Names, fingerprint: GroupKey) -> list[int]:
    """Return the queryids of a fingerprint, those with the most reads first.

    Args:
        counted: The totals of a time.
        names: The meaning of their ids.
        fingerprint: The key of its row in a ranking by fingerprint.
    """
    entries = _entries(counted, names, fingerprint)
    return _by_reads((ids[2], read) for ids, read in entries if ids[2] is not None)


def with_queryids(ranking: Ranking, parts: Iterable[tuple[Totals, Names]]) -> Ranking:
    """Return a ranking by fingerprint with the queryids of each row's entries.

    A row has a user and a database if all of its entries have the same. It has its databases.

    Args:
        ranking: The ranking.
        parts: What it ranks, with the meaning of its ids.
    """
    parts = list(parts)
    queryids: dict[GroupKey, dict[int, int]] = {row.key: {} for row in ranking.rows}
    places: dict[GroupKey, set[tuple[str, str]]] = {key: set() for key in queryids}
    for counted, names in parts:
        blocks = blocks_of(counted.statement_amounts).tolist()
        for (userid, dbid, queryid), read in zip(counted.statements, blocks, strict=True):
            key = group_of(By.FINGERPRINT, (userid, dbid, queryid), names)
            if queryid is not None and key in queryids:
                queryids[key][queryid] = queryids[key].get(queryid, 0) + read
                places[key].add((names.shown_role(userid), names.shown_database(dbid)))
    rows = []
    for row in ranking.rows:
        of_row = places[row.key]
        user, database = next(iter(of_row)) if len(of_row) == 1 else (row.user, row.database)
        known = _most_first(queryids[row.key])
        rows.append(replace(row, queryids=known, user=user, database=database))
    return with_databases(replace(ranking, rows=rows), parts)


def with_databases(ranking: Ranking, parts: Iterable[tuple[Totals, Names]]) -> Ranking:
    """Return a ranking by fingerprint with the databases of each row's entries.

    Rows are without if all statements but pgiostat's own ran in one database.

    Args:
        ranking: The ranking.
        parts: What it ranks, with the meaning of its ids.
    """
    reads: dict[GroupKey, dict[str, int]] = {}
    parts = list(parts)
    if len({(each.server_id, ids[1]) for each, _ in parts for ids in each.statements}) < 2:  # noqa: PLR2004 - several
        return ranking
    for counted, names in parts:
        blocks = blocks_of(counted.statement_amounts).tolist()
        shown = {dbid: names.shown_database(dbid) for _, dbid, _ in counted.statements}
        for ids, read in zip(counted.statements, blocks, strict=True):
            of_row = reads.setdefault(group_of(By.FINGERPRINT, ids, names), {})
            of_row[shown[ids[1]]] = of_row.get(shown[ids[1]], 0) + read
    reads.pop(OWN_KEY, None)
    databases = {key: _most_first(of_row) for key, of_row in reads.items()}
    if len({name for each in databases.values() for name in each}) < 2:  # noqa: PLR2004 - several
        return ranking

    def with_those(place: int) -> RankRow:
        row = ranking.rows[place]
        return replace(row, databases=databases.get(row.key, ()))

    return replace(ranking, rows=LazySequence(len(ranking.rows), with_those))


def places_of(counted: Totals, names: Names, fingerprint: GroupKey) -> list[str]:
    """Return role and database of a fingerprint's entries, those with the most reads first.

    Args:
        counted: The totals of a time.
        names: The meaning of their ids.
        fingerprint: The key of its row in a ranking by fingerprint.
    """
    return _by_reads(
        (f"{names.shown_role(ids[0])}@{names.shown_database(ids[1])}", read)
        for ids, read in _entries(counted, names, fingerprint)
    )


def _entries(counted: Totals, names: Names, fingerprint: GroupKey) -> Iterator[tuple[_Ids, int]]:
    """Yield the ids of each entry of a fingerprint, with the blocks that it read."""
    blocks = blocks_of(counted.statement_amounts).tolist()
    for ids, read in zip(counted.statements, blocks, strict=True):
        if group_of(By.FINGERPRINT, ids, names) == fingerprint:
            yield ids, read


def _by_reads(found: Iterable[tuple[_Key, int]]) -> list[_Key]:
    """Return each key once, those with the most reads first."""
    reads: dict[_Key, int] = {}
    for key, read in found:
        reads[key] = reads.get(key, 0) + read
    return list(_most_first(reads))


def _most_first(reads: Mapping[_Key, int]) -> tuple[_Key, ...]:
    return tuple(sorted(reads, key=lambda key: (-reads[key], key)))
