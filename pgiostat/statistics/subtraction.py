"""Subtract the counters of matched rows, or find that an entry was evicted or reset.

Counters are subtracted in no other module.
"""

import numpy as np

from pgiostat.statistics.columnar import Counts, Rows, common_counters, counter_matrix
from pgiostat.statistics.keyed import Keyed, Places
from pgiostat.statistics.matching import SINCE, Pair, recreated
from pgiostat.statistics.row_deltas import Basis, RowDeltas

__all__ = ["statement_deltas", "view_deltas"]


def statement_deltas(pair: Pair, *, renewed: bool, evicting: bool) -> tuple[RowDeltas, int]:
    """Return what each statement did, and how many rows could not be assigned."""
    before, after, place = pair.before.rows, pair.after.rows, pair.place
    hit = place >= 0
    basis = np.full(len(after), Basis.NEW, dtype=np.uint8)
    reinserted = Basis.REINSERTED if evicting and not renewed else Basis.RESET
    since_old, since_new = before.get(SINCE), after.get(SINCE)
    # An entry that was not there has begun to count since: one that is older waited for the end of
    # its first call.
    if since_old is not None and since_new is not None:
        # Extension 1.11 and later: stats_since is the time when the entry was made.
        same = since_old[place[hit]] == since_new[hit]
        basis[hit] = np.where(same, np.uint8(Basis.PREVIOUS), np.uint8(reinserted))
    elif renewed:
        basis[hit] = Basis.RESET
    else:
        made, _ = recreated(before, after, place)
        basis[hit] = Basis.PREVIOUS
        basis[made] = reinserted
    names = common_counters(before, after)
    current = counter_matrix(after, names)
    whole = np.flatnonzero(basis != Basis.PREVIOUS)
    if len(whole) == len(after):
        amounts = current.copy()
    else:
        amounts = counter_matrix(before, names).take(place, axis=1, mode="clip")
        np.subtract(current, amounts, out=amounts)
        amounts[:, whole] = current[:, whole]
    # Statements hidden from us are one row before 1.11: if it fell, one of them has vanished, and
    # the rest is a lower bound.
    fell = amounts.min(axis=0, initial=0) < 0
    if fell.any():
        basis[fell] = Basis.UNKNOWN
        np.maximum(amounts, 0, out=amounts)
    rows, changed = _changed(after, names, amounts)
    return RowDeltas(rows, basis[changed]), int(fell.sum())


def _changed(rows: Rows, names: tuple[str, ...], amounts: Counts) -> tuple[Rows, Places]:
    """Return the rows in which anything happened, and their places."""
    changed = np.flatnonzero(amounts.max(axis=0, initial=0))
    attributes = {name: array[changed] for name, array in rows.attributes.items()}
    return Rows(rows.table, attributes, names, amounts[:, changed]), changed


def _counted(before: Rows, after: Rows) -> RowDeltas | None:
    """Return what aligned rows counted; None if any of them was reset."""
    names = common_counters(before, after)
    amounts = counter_matrix(after, names) - counter_matrix(before, names)
    reset = after.get("stats_reset")
    moved = reset is not None and not np.array_equal(reset, before["stats_reset"])
    if moved or amounts.min(initial=0) < 0:
        return None
    rows, changed = _changed(after, names, amounts)
    return RowDeltas(rows, np.full(len(changed), Basis.PREVIOUS, dtype=np.uint8))


def view_deltas(older: Keyed, newer: Keyed, *, discarded: bool) -> RowDeltas:
    """Return what a cumulative view counted, by its key; a reset row has the basis RESET."""
    before, after = older.rows, newer.rows
    if newer.is_aligned(older) and not discarded:
        counted = _counted(before, after)
        if counted is not None:
            return counted
    place = newer.places_in(older)
    hit = place >= 0
    then = place[hit]
    names = common_counters(before, after)
    old = counter_matrix(before, names)[:, then]
    amounts = counter_matrix(after, names).copy()
    reset_rows = hit & discarded
    reset = after.get("stats_reset")
    if reset is not None:
        reset_rows[hit] |= reset[hit] != before["stats_reset"][then]
    reset_rows[hit] |= (amounts[:, hit] < old).any(axis=0)
    # What had counted nothing has lost nothing: 13 and 14 give a database its reset time late.
    reset_rows[hit] &= old.any(axis=0)
    basis = np.where(hit, np.uint8(Basis.PREVIOUS), np.uint8(Basis.NEW))
    basis[reset_rows] = Basis.RESET
    amounts[:, hit & ~reset_rows] -= old[:, ~reset_rows[hit]]
    rows, changed = _changed(after, names, amounts)
    return RowDeltas(rows, basis[changed])
