"""The difference of two snapshots: diff(older, newer) -> Delta.

Each row has its basis, each interval its quality. What is unknown is counted as unknown.
"""

from dataclasses import replace

import numpy as np

from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.delta import INCOMPARABLE, Delta, Lost, Quality
from pgiostat.statistics.matching import is_other_server, is_renewed, marker_moved, pair_of
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.statistics.snapshot import RESUMED, Snapshot
from pgiostat.statistics.subtraction import statement_deltas, view_deltas

__all__ = ["diff", "since_reset"]

GAP_FACTOR = 2.0
"""An interval this many times as long as expected is a gap."""

CLOCK_TOLERANCE_SECONDS = 1.0
CLOCK_TOLERANCE_SHARE = 0.05


def diff(
    older: Snapshot | None, newer: Snapshot, *, expected_seconds: float | None = None
) -> Delta:
    """Subtract two snapshots of one server.

    Without an older snapshot, or with one of another server, the newer is only a baseline. Where
    the statements of both cannot be compared, only the server's own counters are subtracted.

    Args:
        older: The snapshot at the start of the interval, or None.
        newer: The snapshot at its end.
        expected_seconds: The configured interval; one more than twice as long is a gap.

    Returns:
        The interval, with the basis of each row and the qualities of the whole.
    """
    if older is None:
        return _baseline(newer, Quality.FIRST)
    if older.server.identity != newer.server.identity:
        return _of_other_server(older, newer)
    pair = pair_of(older, newer)
    if is_other_server(older, newer, pair):
        return _of_other_server(older, newer)
    seconds, jumped = _elapsed(older, newer)
    discarded = _discarded(older, newer)
    renewed = is_renewed(older, newer, pair)
    # Counts since a reset need no older snapshot.
    cause = None if renewed else pair.cause
    vanished = 0 if cause else pair.vanished
    dealloc = _dealloc(older, newer, renewed=renewed)
    evicting = not renewed and (vanished > 0 if dealloc is None else dealloc > 0)
    statements, unknown = _none_of(newer.statements), 0
    if cause is None:
        statements, unknown = statement_deltas(pair, renewed=renewed, evicting=evicting)
    databases = view_deltas(older.keyed_databases, newer.keyed_databases, discarded=discarded)
    io = None
    if older.keyed_io is not None and newer.keyed_io is not None:
        io = view_deltas(older.keyed_io, newer.keyed_io, discarded=discarded)
    # Without evictions an entry vanishes by pg_stat_statements_reset(userid, dbid, queryid).
    dropped = vanished > 0 and not evicting
    gap = older.session != newer.session or (
        expected_seconds is not None and seconds > GAP_FACTOR * expected_seconds
    )
    # After a killed backend the server restarts all others, without a new start time.
    restarted = older.markers.start_time != newer.markers.start_time or (
        renewed and marker_moved(older, newer)
    )
    rows_reset = np.concatenate([statements.basis, databases.basis]) == Basis.RESET
    reset = renewed or discarded or dropped or bool(rows_reset.any())
    found = {
        **{each: each is cause for each in INCOMPARABLE},
        Quality.RESTART: restarted,
        Quality.RESET: reset and not restarted,
        Quality.CLOCK_JUMP: jumped,
        Quality.GAP: gap,
        Quality.EVICTING: evicting,
    }
    qualities = [quality for quality, holds in found.items() if holds]
    lost = None
    if cause is not None:
        lost = Lost(older.taken_at, seconds, newer.server)
    elif renewed:
        until_reset = seconds if jumped else _until_reset(older, newer, seconds)
        lost = Lost(older.taken_at, until_reset, newer.server)
    return Delta(
        older=older,
        newer=newer,
        seconds=seconds,
        qualities=tuple(qualities) or (Quality.OK,),
        statements=statements,
        databases=databases,
        io=io,
        relations=view_deltas(older.keyed_relations, newer.keyed_relations, discarded=discarded),
        appeared=0 if cause else int((pair.place < 0).sum()),
        vanished=vanished,
        dealloc=dealloc,
        unknown=unknown,
        lost=lost,
        discarded=discarded,
    )


def since_reset(snapshot: Snapshot) -> Delta:
    """Return all that the statements of a snapshot have counted since their entries were made.

    The server's own counters are reset separately, so there is no total to compare with.

    Returns:
        An interval with the seconds since the last reset of all statements, 0 if unknown (before
        1.9).
    """
    everything = np.arange(len(snapshot.statements), dtype=np.intp)
    began = snapshot.markers.statements_reset
    seconds = (snapshot.taken_at - began).total_seconds() if began else 0.0
    baseline = _baseline(snapshot, Quality.FIRST)
    rows = snapshot.statements.take(everything)
    basis = np.full(len(rows), Basis.NEW, dtype=np.uint8)
    return replace(baseline, seconds=seconds, statements=RowDeltas(rows, basis))


def _of_other_server(older: Snapshot, newer: Snapshot) -> Delta:
    """Return the baseline of another server; what its predecessor did since is lost."""
    if older.session == RESUMED:
        seconds = (newer.taken_at - older.taken_at).total_seconds()
    else:
        seconds = newer.clock - older.clock
    lost = Lost(older.taken_at, max(seconds, 0.0), older.server)
    return replace(_baseline(newer, Quality.OTHER_SERVER), lost=lost)


def _none_of(rows: Rows) -> RowDeltas:
    """Return no rows."""
    return RowDeltas(rows.take(np.zeros(0, dtype=np.intp)), np.zeros(0, dtype=np.uint8))


def _baseline(newer: Snapshot, quality: Quality) -> Delta:
    return Delta(
        older=None,
        newer=newer,
        seconds=None,
        qualities=(quality,),
        statements=_none_of(newer.statements),
        databases=_none_of(newer.databases),
        io=None if newer.io is None else _none_of(newer.io),
        relations=_none_of(newer.relations),
        appeared=0,
        vanished=0,
        dealloc=None,
        unknown=0,
    )


def _elapsed(older: Snapshot, newer: Snapshot) -> tuple[float, bool]:
    """Return the measured seconds, and whether the server's clock was set meanwhile."""
    server = (newer.taken_at - older.taken_at).total_seconds()
    if older.session == RESUMED:  # the machine may have been restarted since
        return max(server, 0.0), server <= 0
    own = newer.clock - older.clock
    tolerance = CLOCK_TOLERANCE_SECONDS + CLOCK_TOLERANCE_SHARE * own
    if abs(server - own) > tolerance:
        return own, True
    return server, False


def _discarded(older: Snapshot, newer: Snapshot) -> bool:
    """Return whether all cumulative statistics were thrown away, as after a crash.

    The reset time of pg_stat_database stays NULL then from 15 on, so that of pg_stat_bgwriter
    decides; pg_stat_reset_shared('bgwriter') moves that one alone. The start time does not move
    when a single backend was killed.
    """
    if not marker_moved(older, newer):
        return False
    old, new = older.markers, newer.markers
    if old.start_time != new.start_time or old.statements_reset != new.statements_reset:
        return True
    place = newer.keyed_databases.places_in(older.keyed_databases)
    hit = place >= 0
    return bool(
        (newer.databases["blks_read"][hit] < older.databases["blks_read"][place[hit]]).any()
    )


def _until_reset(older: Snapshot, newer: Snapshot, seconds: float) -> float:
    """Return how long before a reset of all statements the older snapshot was taken.

    Extensions before 1.9 do not report its time. A restart that lost all entries did so before
    the server started. A reset at an unknown time may have been at the end of the interval.
    """
    old, new = older.markers, newer.markers
    if old.statements_reset is not None and new.statements_reset is not None:
        reset = new.statements_reset
    elif old.start_time != new.start_time:
        reset = new.start_time
    else:
        return seconds
    return min(max((reset - older.taken_at).total_seconds(), 0.0), seconds)


def _dealloc(older: Snapshot, newer: Snapshot, *, renewed: bool) -> int | None:
    then, now = older.markers.dealloc, newer.markers.dealloc
    if then is None or now is None:
        return None
    return now if renewed or now < then else now - then
