"""Entries of pg_stat_statements that are one fingerprint."""

from pgiostat.analysis.cost import blocks_of
from pgiostat.analysis.rank.groups import By, GroupKey, group_of
from pgiostat.analysis.rank.totals import Totals
from pgiostat.statistics.names import Names

__all__ = ["places_of", "queryids_of"]


def queryids_of(counted: Totals, names: Names, fingerprint: GroupKey) -> list[int]:
    """Return the queryids of a fingerprint, those with the most reads first.

    Args:
        counted: The totals of a time.
        names: The meaning of their ids.
        fingerprint: The key of its row in a ranking by fingerprint.
    """
    found: dict[int, int] = {}
    blocks = blocks_of(counted.statement_amounts).tolist()
    for ids, read in zip(counted.statements, blocks, strict=True):
        queryid = ids[2]
        if queryid is not None and group_of(By.FINGERPRINT, ids, names) == fingerprint:
            found[queryid] = found.get(queryid, 0) + read
    return sorted(found, key=lambda queryid: (-found[queryid], queryid))


def places_of(counted: Totals, names: Names, fingerprint: GroupKey) -> list[str]:
    """Return role and database of a fingerprint's entries, those with the most reads first.

    Args:
        counted: The totals of a time.
        names: The meaning of their ids.
        fingerprint: The key of its row in a ranking by fingerprint.
    """
    found: dict[str, int] = {}
    blocks = blocks_of(counted.statement_amounts).tolist()
    for ids, read in zip(counted.statements, blocks, strict=True):
        if group_of(By.FINGERPRINT, ids, names) == fingerprint:
            place = f"{names.shown_role(ids[0])}@{names.shown_database(ids[1])}"
            found[place] = found.get(place, 0) + read
    return sorted(found, key=lambda place: (-found[place], place))
