"""Match the statements of two snapshots: the same entry, a new one, or another server."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from pgiostat.statistics.columnar import Mask, Rows, common_counters, counter_matrix, to_pg_time
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.kcache import PHYSICAL
from pgiostat.statistics.keyed import Keyed, Places
from pgiostat.statistics.snapshot import Snapshot

__all__ = ["SINCE", "Pair", "is_other_server", "is_renewed", "marker_moved", "pair_of", "recreated"]

SHOWN_ONE_IN = 4
"""After a reset at least one entry in this many shows that it is new."""
CHANCE_OF_EQUAL_EXTREMES = 10

FULL_SHARE = 0.9
"""An eviction leaves 95 % of the entries; a reset leaves none."""

STATISTICS_LAG = timedelta(seconds=15)
"""How old the cumulative statistics of 13 and 14 may be: half a second by rule, and ten seconds
where the statistics collector does not keep up (pgstat.c)."""

SINCE = "stats_since"


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The statements of two snapshots under the same type of key.

    Attributes:
        before: Statements of the older snapshot.
        after: Statements of the newer one.
        place: For each newer statement its place among the older ones, or -1.
        cause: Why the statements cannot be compared.
    """

    before: Keyed
    after: Keyed
    place: Places
    cause: Quality | None = None

    @property
    def vanished(self) -> int:
        """Number of older statements without an entry in the newer snapshot."""
        return len(self.before.rows) - int((self.place >= 0).sum())


def pair_of(older: Snapshot, newer: Snapshot) -> Pair:
    """Return the statements of two snapshots by keys that both of them have."""
    before, after, cause = older.keyed, newer.keyed, None
    has_since = [SINCE in each.statements for each in (older, newer)]
    if older.has_toplevel != newer.has_toplevel:
        cause = Quality.EXTENSION_CHANGED  # what was one row may be two now
    elif (older.masked or newer.masked) and _privileges_changed(older, newer):
        if all(has_since):
            before, after = Keyed.by_birth(older.statements), Keyed.by_birth(newer.statements)
        else:
            cause = Quality.PRIVILEGES_CHANGED  # hidden statements have no key of their own
    elif older.masked and newer.masked and has_since[0] != has_since[1]:
        cause = Quality.EXTENSION_CHANGED  # hidden statements were one row, and are many now
    return Pair(before, after, after.places_in(before), cause)


def _privileges_changed(older: Snapshot, newer: Snapshot) -> bool:
    """Return whether statements of a role are hidden in one snapshot and not in the other."""
    hidden, shown = [], []
    for rows in (older.statements, newer.statements):
        hidden.append(np.unique(rows["userid"][rows["masked"]]))
        shown.append(np.unique(rows["userid"][~rows["masked"]]))
    return any(
        len(np.intersect1d(one, other, assume_unique=True))
        for one, other in ((hidden[0], shown[1]), (shown[0], hidden[1]))
    )


def is_other_server(older: Snapshot, newer: Snapshot, pair: Pair) -> bool:
    """Return whether another server answered behind the same address, as after a failover.

    A standby and a clone have the system identifier of their primary, and some managed services
    refuse it. But a start or a reset between two snapshots happened after the older one. A mark
    that moved to an earlier instant belongs to another server, and so does an entry that both
    snapshots have and that was made earlier, at another instant.
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
    since_old, since_new = pair.before.rows.get(SINCE), pair.after.rows.get(SINCE)
    if since_old is None or since_new is None:
        return False
    place = pair.place
    hit = place >= 0
    moved = since_new[hit] != since_old[place[hit]]
    return bool((moved & (since_new[hit] <= to_pg_time(older.started_at))).any())


def _came_back_as_another(older: Snapshot, newer: Snapshot, pair: Pair) -> bool:
    """Return whether a server that has no mark started since, with statements of another one.

    A clean restart keeps all entries, unless pg_stat_statements.save is off. A crash loses them
    all, and moves the reset time of pg_stat_bgwriter too: where that stayed, entries that were made
    again are another server's.
    """
    old, new = older.markers, newer.markers
    if "off" in (each.settings.values.get("pg_stat_statements.save") for each in (older, newer)):
        return False
    if old.start_time == new.start_time or marker_moved(older, newer) or pair.cause is not None:
        return False
    if old.statements_reset is not None and new.statements_reset is not None:
        return False
    return _renewed_without_mark(older, newer, pair)


def marker_moved(older: Snapshot, newer: Snapshot) -> bool:
    """Return whether pg_stat_bgwriter was reset: on every version a mark of a crash."""
    return older.markers.bgwriter_reset != newer.markers.bgwriter_reset


def recreated(before: Rows, after: Rows, place: Places) -> tuple[Mask, Mask]:
    """Return which rows are certainly new entries, and which certainly the same ones.

    Without stats_since: a counter that fell, a minimum that rose from above zero, or a maximum
    that fell shows a new entry, in 34 to 100 % of cases and never wrongly. Equal extremes and
    nothing that fell show the same entry. Statements hidden from us are one row for many entries:
    it shows neither.
    """
    now = np.flatnonzero((place >= 0) & ~after["masked"])
    then = place[now]
    # Physical reads are another extension's to count, and to reset.
    names = [name for name in common_counters(before, after) if name != PHYSICAL]
    fell = (counter_matrix(after, names)[:, now] < counter_matrix(before, names)[:, then]).any(
        axis=0
    )
    old_min, new_min = before["min_exec_time"][then], after["min_exec_time"][now]
    old_max, new_max = before["max_exec_time"][then], after["max_exec_time"][now]
    fell |= ((new_min > old_min) & (old_min > 0)) | (new_max < old_max)
    same = ~fell & (new_min == old_min) & (new_max == old_max) & (old_min > 0)
    made, goes_on = np.zeros(len(place), dtype=bool), np.zeros(len(place), dtype=bool)
    made[now], goes_on[now] = fell, same
    return made, goes_on


def is_renewed(older: Snapshot, newer: Snapshot, pair: Pair) -> bool:
    """Return whether all of pg_stat_statements was reset."""
    old, new = older.markers.statements_reset, newer.markers.statements_reset
    if old is not None and new is not None:
        return old != new
    return pair.cause is None and _renewed_without_mark(older, newer, pair)


def _renewed_without_mark(older: Snapshot, newer: Snapshot, pair: Pair) -> bool:
    """Return the same for server 13 and extensions before 1.9, which do not report it."""
    was_called, is_called = _own_calls(older), _own_calls(newer)
    # A reset drops our own query, which is counted only when it has ended. Evictions drop it too,
    # but they leave the table full: an entry that they created again shows it by itself, and
    # counting all the others whole would count their past again.
    if is_called > was_called > 0 or _is_full(newer):
        return False
    # After a reset all entries are new: at least a third of them shows it (34 to 100 % were
    # measured), and none goes on, but for quick statements with extremes that are equal by chance,
    # about one in a thousand.
    before, after, place = pair.before.rows, pair.after.rows, pair.place
    made, goes_on = recreated(before, after, place)
    in_both = int((place >= 0).sum())
    if not in_both:
        return len(before) > 0
    if is_called < was_called and not goes_on.any():
        return True  # our entry is new, and nothing shows that another stayed
    shown = int(made.sum())
    if older.markers.start_time != newer.markers.start_time:
        # A restart keeps all entries or none. If it kept them, most go on; if not, only quick ones
        # have the same extremes by chance.
        return shown > 0 and 2 * int(goes_on.sum()) < in_both
    return shown * SHOWN_ONE_IN >= in_both and shown > CHANCE_OF_EQUAL_EXTREMES * int(goes_on.sum())


def _is_full(snapshot: Snapshot) -> bool:
    """Return whether pg_stat_statements has about as many entries as it may have."""
    most = snapshot.settings.max_statements
    return most is not None and len(snapshot.statements) >= FULL_SHARE * most


def _own_calls(snapshot: Snapshot) -> int:
    """Return how often our own query has been called, 0 if unknown."""
    if snapshot.own_queryid is None:
        return 0
    rows = snapshot.statements
    server = snapshot.server
    own = (rows["queryid"] == snapshot.own_queryid) & (rows["userid"] == server.userid)
    return int(rows["calls"][own & (rows["dbid"] == server.dbid)].sum())
