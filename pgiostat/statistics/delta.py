"""What happened between two readings: diff(older, newer) -> Delta.

The only place where counters are subtracted.  Each row says against what (its basis), each
interval how good it is (its quality), and what could not be told is counted, not made up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pgiostat.statistics.columnar import Counts, Rows, to_pg_time
from pgiostat.statistics.kcache import PHYSICAL
from pgiostat.statistics.keyed import Keyed, Places
from pgiostat.statistics.snapshot import RESUMED, Server, Settings, Snapshot

__all__ = [
    "INCOMPARABLE",
    "LOST",
    "Basis",
    "Delta",
    "Lost",
    "Quality",
    "RowDeltas",
    "diff",
    "since_reset",
]

Mask = npt.NDArray[np.bool_]


class Basis(IntEnum):
    """What the numbers of a row were subtracted from.

    Attributes:
        PREVIOUS: The same entry in the older snapshot.
        NEW: Nothing: the entry was made in the interval, and all it has counted happened in it.
        RESET: Nothing: the entry was reset in the interval, and what came before is lost.
        REINSERTED: Nothing: the entry was evicted and came back, and what came before is lost.
        UNKNOWN: Which part of the numbers belongs to the interval is unknown: a lower bound.
    """

    PREVIOUS = 0
    NEW = 1
    RESET = 2
    REINSERTED = 3
    UNKNOWN = 4


class Quality(StrEnum):
    """What to know about an interval before its numbers are used.

    Attributes:
        OK: Nothing happened to the counters.
        FIRST: The first snapshot: nothing to subtract, no length.
        OTHER_SERVER: Another server answered at the address; the reads between are lost.
        BASELINE_LOST: The older snapshot was damaged; the reads of statements are lost.
        EXTENSION_CHANGED: pg_stat_statements was updated or created again.
        PRIVILEGES_CHANGED: pg_read_all_stats was granted or revoked.
        RESTART: The server was restarted.
        RESET: Statistics were reset.
        CLOCK_JUMP: The server's clock was set.
        GAP: More than twice as long as expected.
        EVICTING: Entries of pg_stat_statements were evicted.
    """

    OK = "ok"
    FIRST = "first"
    OTHER_SERVER = "other server"
    BASELINE_LOST = "baseline lost"
    EXTENSION_CHANGED = "extension changed"
    PRIVILEGES_CHANGED = "privileges changed"
    RESTART = "restart"
    RESET = "reset"
    CLOCK_JUMP = "clock jump"
    GAP = "gap"
    EVICTING = "evicting"


INCOMPARABLE = (
    Quality.OTHER_SERVER,
    Quality.BASELINE_LOST,
    Quality.EXTENSION_CHANGED,
    Quality.PRIVILEGES_CHANGED,
)
"""Why all reads of statements in an interval are lost."""

LOST = (*INCOMPARABLE, Quality.RESTART, Quality.RESET)
"""Why the reads of statements in an interval, or in its first part, are lost."""

GAP_FACTOR = 2.0
"""An interval this many times as long as was asked for is a gap."""

CLOCK_TOLERANCE_SECONDS = 1.0
CLOCK_TOLERANCE_SHARE = 0.05

LEAST_SHOWN = 4
CHANCE_OF_EQUAL_EXTREMES = 10

FULL_SHARE = 0.9
"""An eviction leaves 95 % of the entries; a reset leaves none."""

STATISTICS_LAG = timedelta(seconds=15)
"""How old the cumulative statistics of 13 and 14 may be: half a second by rule, and ten seconds
where the statistics collector does not keep up (pgstat.c)."""

EVICTED_SHARE = 20
EVICTED_AT_LEAST = 10
"""One eviction drops max(10, 5 % of pg_stat_statements.max) entries (pg_stat_statements.c)."""


@dataclass(frozen=True, slots=True, eq=False)
class RowDeltas:
    """Rows that changed in the interval; basis: one Basis a row, as uint8."""

    rows: Rows
    basis: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def total(self, name: str) -> int:
        """Return the sum of a counter."""
        return self.rows.total(name)


@dataclass(frozen=True, slots=True)
class Lost:
    """A time whose statements cannot be counted: an interval, or its part before a reset.

    Attributes:
        since: When it began, by the server's clock.
        seconds: Its length, as far as it is known; of a reset at an unknown time the longest
            that is possible.
        server: The server whose reads are lost.
    """

    since: datetime
    seconds: float
    server: Server


@dataclass(frozen=True, eq=False)
class Delta:
    """An interval: what happened between two snapshots.

    Attributes:
        older: The snapshot at its begin; None in the first interval.
        newer: The snapshot at its end.
        seconds: Measured length in seconds; None in the first interval.
        qualities: What to know about it; (Quality.OK,) if nothing.
        statements: Rows of pg_stat_statements in which anything happened.
        databases: The same of pg_stat_database.
        io: The same of pg_stat_io; None before PostgreSQL 16.
        relations: The same of pg_statio_all_tables.
        appeared: Entries of pg_stat_statements that are new.
        vanished: Entries that are gone.
        dealloc: How often entries were evicted; None before version 1.9 of the extension.
        unknown: Rows whose numbers belong to no known interval; they are not counted.
        ahead: Blocks that statements had counted at its begin and the server had not.
        failures: Transactions that failed or were cancelled; None if unknown.
        held: Cursors WITH HOLD that were declared and that no statement counts; None if unknown.
        untracked: Whether a statement may have turned tracking off.
        lost: The time whose statements are not counted; qualities has the cause.

    ahead, failures, held and untracked need texts, or the intervals before: `Sampler` sets them,
    `diff` does not.
    """

    older: Snapshot | None
    newer: Snapshot
    seconds: float | None
    qualities: tuple[Quality, ...]
    statements: RowDeltas
    databases: RowDeltas
    io: RowDeltas | None
    relations: RowDeltas
    appeared: int
    vanished: int
    dealloc: int | None
    unknown: int
    ahead: int = 0
    failures: int | None = None
    held: int | None = None
    untracked: bool = False
    lost: Lost | None = None

    @property
    def quality(self) -> Quality:
        """The gravest of its qualities."""
        return self.qualities[0]

    @property
    def settings(self) -> Settings:
        """The settings that decide what the numbers mean."""
        return self.newer.settings

    @property
    def since(self) -> datetime | None:
        """When the interval began, by the server's clock."""
        return self.older.taken_at if self.older else None

    @property
    def until(self) -> datetime:
        """When it ended."""
        return self.newer.taken_at

    @property
    def lost_seconds(self) -> float | None:
        """How long its statements were not counted; None if they always were."""
        return None if self.lost is None else self.lost.seconds

    @property
    def evicted(self) -> int | None:
        """At least how many entries were evicted; None if that is not known.

        Before extension 1.9 only entries that did not come back can be counted.
        """
        if self.dealloc is None or self.settings.max_statements is None:
            return self.vanished if Quality.EVICTING in self.qualities else None
        each = max(EVICTED_AT_LEAST, self.settings.max_statements // EVICTED_SHARE)
        return self.dealloc * each

    @property
    def is_complete(self) -> bool:
        """Whether the server's own counters were counted from end to end."""
        lost = {Quality.FIRST, Quality.OTHER_SERVER, Quality.RESTART, Quality.RESET}
        return not lost.intersection(self.qualities)

    @cached_property
    def toplevel(self) -> Mask:
        """Which statement rows count in totals: nested ones are in their callers' rows too."""
        flags = self.statements.rows.get("toplevel")
        return np.ones(len(self.statements), dtype=bool) if flags is None else flags.astype(bool)

    @property
    def statement_blocks(self) -> int:
        """Shared and local blocks read by statements that clients sent."""
        rows = self.statements.rows
        blocks = rows["shared_blks_read"] + rows["local_blks_read"]
        return int(blocks[self.toplevel].sum())


def diff(
    older: Snapshot | None, newer: Snapshot, *, expected_seconds: float | None = None
) -> Delta:
    """Subtract two snapshots of one server.

    Without an older snapshot, or with one of another server, the newer is only a baseline. Where
    the statements of both cannot be compared, only the server's own counters are subtracted.

    Args:
        older: The snapshot at the begin of the interval, or None.
        newer: The snapshot at its end.
        expected_seconds: The interval asked for; one more than twice as long is a gap.

    Returns:
        The interval, with the basis of each row and the qualities of the whole.
    """
    if older is None:
        return _baseline(newer, Quality.FIRST)
    if older.server.identity != newer.server.identity:
        return _of_other_server(older, newer)
    pair = _pair_of(older, newer)
    if _is_other_server(older, newer, pair):
        return _of_other_server(older, newer)
    seconds, jumped = _elapsed(older, newer)
    discarded = _discarded(older, newer)
    renewed = _renewed(older, newer, pair)
    # What was counted since a reset needs no older reading.
    cause = None if renewed else pair.cause
    vanished = 0 if cause else pair.vanished
    dealloc = _dealloc(older, newer, renewed=renewed)
    evicting = not renewed and (vanished > 0 if dealloc is None else dealloc > 0)
    statements, unknown = _none_of(newer.statements), 0
    if cause is None:
        statements, unknown = _statements(pair, renewed=renewed, evicting=evicting)
    databases = _view(older.keyed_databases, newer.keyed_databases, discarded=discarded)
    io = None
    if older.keyed_io is not None and newer.keyed_io is not None:
        io = _view(older.keyed_io, newer.keyed_io, discarded=discarded)
    # Without evictions an entry vanishes by pg_stat_statements_reset(userid, dbid, queryid).
    dropped = vanished > 0 and not evicting
    gap = older.session != newer.session or (
        expected_seconds is not None and seconds > GAP_FACTOR * expected_seconds
    )
    # A killed backend makes the server start all others anew, but not with a new start time.
    restarted = older.markers.start_time != newer.markers.start_time or (
        renewed and _marker_moved(older, newer)
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
        relations=_view(older.keyed_relations, newer.keyed_relations, discarded=discarded),
        appeared=0 if cause else int((pair.place < 0).sum()),
        vanished=vanished,
        dealloc=dealloc,
        unknown=unknown,
        lost=lost,
    )


def since_reset(reading: Snapshot) -> Delta:
    """Return all that a reading's statements have counted, since whenever each was made.

    The server's own counters are reset apart from them, so there is no whole to compare with.
    seconds: since the last reset of all statements; 0 where that is not told (before 1.9).
    """
    everything = np.arange(len(reading.statements), dtype=np.intp)
    began = reading.markers.statements_reset
    seconds = (reading.taken_at - began).total_seconds() if began else 0.0
    baseline = _baseline(reading, Quality.FIRST)
    rows = reading.statements.take(everything)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """The statements of two readings under the same kind of key.

    Attributes:
        before: Those of the older reading.
        after: Those of the newer one.
        place: Of each newer one its place among the older ones, or -1.
        cause: Why the statements cannot be compared.
    """

    before: Keyed
    after: Keyed
    place: Places
    cause: Quality | None = None

    @property
    def vanished(self) -> int:
        """How many of the older ones are gone."""
        return len(self.before.rows) - int((self.place >= 0).sum())


_SINCE = "stats_since"


def _pair_of(older: Snapshot, newer: Snapshot) -> _Pair:
    """Return the statements of two readings by keys that both of them have."""
    before, after, cause = older.keyed, newer.keyed, None
    has_since = [_SINCE in each.statements for each in (older, newer)]
    if older.has_toplevel != newer.has_toplevel:
        cause = Quality.EXTENSION_CHANGED  # what was one row may be two now
    elif (older.masked or newer.masked) and _privileges_changed(older, newer):
        if all(has_since):
            before, after = Keyed.by_birth(older.statements), Keyed.by_birth(newer.statements)
        else:
            cause = Quality.PRIVILEGES_CHANGED  # hidden statements have no key of their own
    elif older.masked and newer.masked and has_since[0] != has_since[1]:
        cause = Quality.EXTENSION_CHANGED  # hidden statements were one row, and are many now
    return _Pair(before, after, after.places_in(before), cause)


def _privileges_changed(older: Snapshot, newer: Snapshot) -> bool:
    """Return whether statements of a role are hidden in one reading and not in the other."""
    hidden, shown = [], []
    for rows in (older.statements, newer.statements):
        hidden.append(np.unique(rows["userid"][rows["masked"]]))
        shown.append(np.unique(rows["userid"][~rows["masked"]]))
    return any(
        len(np.intersect1d(one, other, assume_unique=True))
        for one, other in ((hidden[0], shown[1]), (shown[0], hidden[1]))
    )


def _is_other_server(older: Snapshot, newer: Snapshot, pair: _Pair) -> bool:
    """Return whether another server answered behind the same address, as after a failover.

    A standby and a clone have the system identifier of their primary, and some managed services
    refuse it. But what started or was reset between two readings did so after the older one. A
    mark that moved to an earlier instant belongs to another server, and so does an entry that both
    readings have and that was made earlier, at another instant.
    """
    old, new = older.markers, newer.markers
    at = older.started_at
    for was, now, known_by in (
        (old.start_time, new.start_time, at),
        (old.bgwriter_reset, new.bgwriter_reset, at - STATISTICS_LAG),
        (old.statements_reset, new.statements_reset, at),
    ):
        if was is not None and now is not None and was != now and now <= known_by:
            return True
    if _came_back_as_another(older, newer, pair):
        return True
    since_old, since_new = pair.before.rows.get(_SINCE), pair.after.rows.get(_SINCE)
    if since_old is None or since_new is None:
        return False
    place = pair.place
    hit = place >= 0
    moved = since_new[hit] != since_old[place[hit]]
    return bool((moved & (since_new[hit] <= to_pg_time(older.started_at))).any())


def _came_back_as_another(older: Snapshot, newer: Snapshot, pair: _Pair) -> bool:
    """Return whether a server that has no mark started since, with statements of another one.

    A clean restart keeps all entries, unless pg_stat_statements.save is off. A crash loses them
    all, and moves the reset time of pg_stat_bgwriter too: where that stayed, entries that were made
    again are another server's.
    """
    old, new = older.markers, newer.markers
    if "off" in (each.settings.values.get("pg_stat_statements.save") for each in (older, newer)):
        return False
    if old.start_time == new.start_time or _marker_moved(older, newer) or pair.cause is not None:
        return False
    if old.statements_reset is not None and new.statements_reset is not None:
        return False
    return _renewed_without_mark(older, newer, pair)


def _elapsed(older: Snapshot, newer: Snapshot) -> tuple[float, bool]:
    """Return the measured seconds, and whether the server's clock was set meanwhile."""
    server = (newer.taken_at - older.taken_at).total_seconds()
    if older.session == RESUMED:  # the machine may have been started anew since
        return max(server, 0.0), server <= 0
    own = newer.clock - older.clock
    tolerance = CLOCK_TOLERANCE_SECONDS + CLOCK_TOLERANCE_SHARE * own
    if abs(server - own) > tolerance:
        return own, True
    return server, False


def _common(old: Rows, new: Rows) -> tuple[str, ...]:
    """Return the counters that both have: an extension may be updated between two readings."""
    return tuple(name for name in new.counter_names if name in old)


def _matrix(rows: Rows, names: Sequence[str]) -> Counts:
    """Return these counters, one a row of the matrix."""
    if tuple(names) == rows.counter_names:
        return rows.counters
    return np.stack([rows[name] for name in names])


def _marker_moved(older: Snapshot, newer: Snapshot) -> bool:
    """Return whether pg_stat_bgwriter began anew, on every version a mark of a crash."""
    return older.markers.bgwriter_reset != newer.markers.bgwriter_reset


def _discarded(older: Snapshot, newer: Snapshot) -> bool:
    """Return whether all cumulative statistics were thrown away, as after a crash.

    The reset time of pg_stat_database stays NULL then from 15 on, so pg_stat_bgwriter's tells;
    pg_stat_reset_shared('bgwriter') moves that one alone.  The start time does not move when a
    single backend was killed.
    """
    if not _marker_moved(older, newer):
        return False
    old, new = older.markers, newer.markers
    if old.start_time != new.start_time or old.statements_reset != new.statements_reset:
        return True
    place = newer.keyed_databases.places_in(older.keyed_databases)
    hit = place >= 0
    return bool(
        (newer.databases["blks_read"][hit] < older.databases["blks_read"][place[hit]]).any()
    )


def _recreated(before: Rows, after: Rows, place: Places) -> tuple[Mask, Mask]:
    """Return which rows were surely made anew, and which surely go on.

    Without stats_since: a counter that fell, a minimum that rose from above zero, or a maximum
    that fell shows a new entry; it is seen in 34 to 100 % of cases, and never wrongly.  Equal
    extremes and nothing that fell show the same entry.  Statements hidden from us are one row
    for many entries: it shows neither.
    """
    now = np.flatnonzero((place >= 0) & ~after["masked"])
    then = place[now]
    # Physical reads are another extension's to count, and to reset.
    names = [name for name in _common(before, after) if name != PHYSICAL]
    fell = (_matrix(after, names)[:, now] < _matrix(before, names)[:, then]).any(axis=0)
    old_min, new_min = before["min_exec_time"][then], after["min_exec_time"][now]
    old_max, new_max = before["max_exec_time"][then], after["max_exec_time"][now]
    fell |= ((new_min > old_min) & (old_min > 0)) | (new_max < old_max)
    same = ~fell & (new_min == old_min) & (new_max == old_max) & (old_min > 0)
    made, goes_on = np.zeros(len(place), dtype=bool), np.zeros(len(place), dtype=bool)
    made[now], goes_on[now] = fell, same
    return made, goes_on


def _renewed(older: Snapshot, newer: Snapshot, pair: _Pair) -> bool:
    """Return whether all of pg_stat_statements began anew."""
    old, new = older.markers.statements_reset, newer.markers.statements_reset
    if old is not None and new is not None:
        return old != new
    return pair.cause is None and _renewed_without_mark(older, newer, pair)


def _renewed_without_mark(older: Snapshot, newer: Snapshot, pair: _Pair) -> bool:
    """Return the same for server 13 and extensions before 1.9, which do not say it."""
    was_called, is_called = _own_calls(older), _own_calls(newer)
    # A reset drops our own reading, which is counted only when it has ended. Evictions drop it too,
    # but they leave the table full: an entry that they created again shows it by itself, and
    # counting all the others whole would count their past again.
    if is_called > was_called > 0 or _is_full(newer):
        return False
    # After a reset all entries are new: at least a third of them shows it (34 to 100 % were
    # measured), and none goes on, but for quick statements whose extremes happen to be the same,
    # about one in a thousand.
    before, after, place = pair.before.rows, pair.after.rows, pair.place
    made, goes_on = _recreated(before, after, place)
    in_both = int((place >= 0).sum())
    if not in_both:
        return len(before) > 0
    if is_called < was_called and not goes_on.any():
        return True  # ours began anew, and nothing shows that another went on
    shown = int(made.sum())
    if older.markers.start_time != newer.markers.start_time:
        # A restart keeps all entries or none. If it kept them, most go on; if not, only quick ones
        # have the same extremes by chance.
        return shown > 0 and 2 * int(goes_on.sum()) < in_both
    return shown * LEAST_SHOWN >= in_both and shown > CHANCE_OF_EQUAL_EXTREMES * int(goes_on.sum())


def _until_reset(older: Snapshot, newer: Snapshot, seconds: float) -> float:
    """Return how long before a reset of all statements the older snapshot was taken.

    Extensions before 1.9 do not tell when it was. A restart that lost all entries did so before
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


def _is_full(snapshot: Snapshot) -> bool:
    """Return whether pg_stat_statements has about as many entries as it may have."""
    most = snapshot.settings.max_statements
    return most is not None and len(snapshot.statements) >= FULL_SHARE * most


def _own_calls(snapshot: Snapshot) -> int:
    """Return how often our reading has been called, 0 where that is not known."""
    if snapshot.own_queryid is None:
        return 0
    rows = snapshot.statements
    server = snapshot.server
    own = (rows["queryid"] == snapshot.own_queryid) & (rows["userid"] == server.userid)
    return int(rows["calls"][own & (rows["dbid"] == server.dbid)].sum())


def _dealloc(older: Snapshot, newer: Snapshot, *, renewed: bool) -> int | None:
    then, now = older.markers.dealloc, newer.markers.dealloc
    if then is None or now is None:
        return None
    return now if renewed or now < then else now - then


def _statements(pair: _Pair, *, renewed: bool, evicting: bool) -> tuple[RowDeltas, int]:
    """Return what each statement did, and how many rows could not be assigned."""
    before, after, place = pair.before.rows, pair.after.rows, pair.place
    hit = place >= 0
    basis = np.full(len(after), Basis.NEW, dtype=np.uint8)
    reinserted = Basis.REINSERTED if evicting and not renewed else Basis.RESET
    since_old, since_new = before.get(_SINCE), after.get(_SINCE)
    # An entry that was not there has begun to count since: one that is older waited for the end of
    # its first call.
    if since_old is not None and since_new is not None:
        # Extension 1.11 and later: the entry itself says when it was made.
        same = since_old[place[hit]] == since_new[hit]
        basis[hit] = np.where(same, np.uint8(Basis.PREVIOUS), np.uint8(reinserted))
    elif renewed:
        basis[hit] = Basis.RESET
    else:
        made, _ = _recreated(before, after, place)
        basis[hit] = Basis.PREVIOUS
        basis[made] = reinserted
    names = _common(before, after)
    current = _matrix(after, names)
    whole = np.flatnonzero(basis != Basis.PREVIOUS)
    if len(whole) == len(after):
        amounts = current.copy()
    else:
        amounts = _matrix(before, names).take(place, axis=1, mode="clip")
        np.subtract(current, amounts, out=amounts)
        amounts[:, whole] = current[:, whole]
    # Statements hidden from us are one row before 1.11: if it fell, one of them has gone, and
    # what is left is a lower bound.
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
    """Return what aligned rows counted; None if any of them began anew."""
    names = _common(before, after)
    amounts = _matrix(after, names) - _matrix(before, names)
    reset = after.get("stats_reset")
    moved = reset is not None and not np.array_equal(reset, before["stats_reset"])
    if moved or amounts.min(initial=0) < 0:
        return None
    rows, changed = _changed(after, names, amounts)
    return RowDeltas(rows, np.full(len(changed), Basis.PREVIOUS, dtype=np.uint8))


def _view(older: Keyed, newer: Keyed, *, discarded: bool) -> RowDeltas:
    """Return what a cumulative view counted, by its key; a row that began anew says so."""
    before, after = older.rows, newer.rows
    if newer.is_aligned(older) and not discarded:
        counted = _counted(before, after)
        if counted is not None:
            return counted
    place = newer.places_in(older)
    hit = place >= 0
    then = place[hit]
    names = _common(before, after)
    old = _matrix(before, names)[:, then]
    amounts = _matrix(after, names).copy()
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
