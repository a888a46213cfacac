"""Corrections of an interval by the texts of its statements.

pg_stat_statements counts some reads of cursors twice, and the server counts a transaction that a
client rolled back like one that failed. Numbers alone show neither. Texts do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.row_deltas import RowDeltas

__all__ = ["client_rollbacks", "with_known_gaps", "without_repeats"]

_TWICE_SINCE = 180000
"""From PostgreSQL 18 on the query inside DECLARE CURSOR has a query identifier of its own."""
_KEPT = ("calls", "plans")
"""Counters of DECLARE that no FETCH counts."""


def without_repeats(delta: Delta, names: Names) -> Delta:
    """Return an interval without the reads of cursors that are counted twice.

    Under pg_stat_statements.track = all, PostgreSQL 18 counts the query of a cursor that is still
    open at COMMIT as a statement that a client sent, with all that its FETCHes have counted
    already, under the text of DECLARE. A cursor WITH HOLD is different: COMMIT reads the rest of
    it, and no FETCH counts that. Only the counts of FETCH in the same interval are subtracted from
    such a cursor.

    The setting may differ between roles, so that texts alone decide. A DECLARE that is counted once
    reads for planning alone.

    Entries without a known text stay unchanged. So does the query of a cursor that a client also
    sends by itself, if it did so first: both are one entry, with the client's text.
    """
    if delta.newer.server.version_num < _TWICE_SINCE:
        return delta
    rows, top = delta.statements.rows, delta.toplevel
    known = list(_described(rows, names))
    declared = {
        place: statement
        for place, statement in enumerate(known)
        if statement is not None and statement.declares_cursor and top[place]
    }
    if not declared:
        return delta
    counters = rows.counters.copy()
    repeated = np.array([name not in _KEPT for name in rows.counter_names])
    kept = np.ones(len(rows), dtype=bool)
    for place, statement in declared.items():
        if statement.holds:
            fetched = rows.counters[:, _fetches(rows, place, known)].sum(axis=1)
            counters[:, place] -= np.where(repeated, np.minimum(counters[:, place], fetched), 0)
        else:
            counters[repeated, place] = 0
            # The query inside is an entry of its own, which returned rows. DECLARE returns none.
            kept[place] = rows["rows"][place] == 0
    kept &= counters.max(axis=0, initial=0) > 0
    attributes = {name: array[kept] for name, array in rows.attributes.items()}
    corrected = Rows(rows.table, attributes, rows.counter_names, counters[:, kept])
    return replace(delta, statements=RowDeltas(corrected, delta.statements.basis[kept]))


def with_known_gaps(delta: Delta, names: Names) -> Delta:
    """Return an interval with the causes, by its texts, of reads that no statement counts.

    COMMIT fills a cursor WITH HOLD, and no statement counts that. Under pg_stat_statements.track =
    all, PostgreSQL 18 counts it under the text of DECLARE, in an entry that returned rows.
    A statement may have turned tracking off for a time without a snapshot.

    Args:
        delta: The interval, before anything is left out of it.
        names: Its statements.
    """
    rows = delta.statements.rows
    returned = rows["rows"] > 0
    # Utility statements return no rows: in most intervals that leaves few rows.
    untracked = any(
        statement is not None and statement.untracks
        for statement in _described(rows.take(np.flatnonzero(~returned)), names)
    )
    held: int | None = _held(delta, names, ~returned)
    if held and delta.newer.server.version_num >= _TWICE_SINCE:
        held = max(0, held - _held(delta, names, returned))
    if delta.settings.values.get("pg_stat_statements.track_utility") == "off":
        held = None
    return replace(delta, held=held, untracked=untracked)


def _held(delta: Delta, names: Names, chosen: npt.NDArray[np.bool_]) -> int:
    """Return how many cursors WITH HOLD the chosen statements of clients declared."""
    some = delta.statements.rows.take(np.flatnonzero(chosen & delta.toplevel))
    called: Sequence[int] = some["calls"].tolist()
    return sum(
        calls
        for calls, statement in zip(called, _described(some, names), strict=True)
        if statement is not None and statement.holds
    )


def client_rollbacks(delta: Delta, names: Names) -> int | None:
    """Return how many transactions clients may have rolled back themselves; None if not known.

    A statement with a hidden or unknown text may be a ROLLBACK if it returned and read nothing.
    """
    if delta.settings.values.get("pg_stat_statements.track_utility") == "off":
        return None
    rows = delta.statements.rows
    silent = (rows["rows"] + rows["shared_blks_hit"] + rows["shared_blks_read"]) == 0
    places = np.flatnonzero(silent & delta.toplevel)
    some = rows.take(places)
    called: Sequence[int] = some["calls"].tolist()
    return sum(
        calls
        for calls, statement in zip(called, _described(some, names), strict=True)
        if statement is None or statement.rolls_back
    )


def _described(rows: Rows, names: Names) -> Iterator[Statement | None]:
    """Yield the statement of each row; None where it is hidden or its text is missing."""
    columns = (rows[name].tolist() for name in ("userid", "dbid", "queryid", "masked"))
    for userid, dbid, queryid, masked in zip(*columns, strict=True):
        yield None if masked else names.statements.get((userid, dbid, queryid))


def _fetches(rows: Rows, place: int, known: Sequence[Statement | None]) -> list[int]:
    """Return the rows of the same role and database that use the cursor of a DECLARE."""
    statement = known[place]
    return [
        other
        for other, moved in enumerate(known)
        if statement is not None
        and moved is not None
        and moved.uses_cursor == statement.declares_cursor
        and rows["userid"][other] == rows["userid"][place]
        and rows["dbid"][other] == rows["dbid"][place]
    ]
