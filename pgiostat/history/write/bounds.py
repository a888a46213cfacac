"""The start and the length of an interval, robust against a wrong clock of the server."""

from dataclasses import replace
from datetime import datetime, timedelta

from pgiostat.history.format.clock_skew import MAX_CLOCK_SKEW
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.snapshot import RESUMED

__all__ = ["bounded", "start_of"]


def start_of(delta: Delta, ends: datetime | None, now: datetime) -> datetime:
    """Return when an interval begins in the history.

    By the server's clock, unless it is more than MAX_CLOCK_SKEW ahead of ours or was set back by
    more than that: then where the newest interval ended. A clock that is wrong for a while must
    not put intervals where no window looks for them, or where retention removes them.

    Args:
        delta: The interval.
        ends: When the newest interval in the history ended; None if there is none.
        now: The current time by our own clock.
    """
    since = delta.until if delta.since is None else delta.since
    since = since if delta.lost is None else delta.lost.since
    if since <= now + MAX_CLOCK_SKEW and (ends is None or since >= ends - MAX_CLOCK_SKEW):
        return since
    return now - timedelta(seconds=delta.seconds or 0.0) if ends is None else ends


def bounded(delta: Delta, start: datetime, now: datetime) -> Delta:
    """Return an interval with a plausible length.

    After a restart only the server's clock measures an interval. If that clock was set meanwhile,
    or if the interval would end more than MAX_CLOCK_SKEW ahead of our time, our own clock
    measures it.

    Args:
        delta: The interval.
        start: When it begins in the history.
        now: The current time by our own clock.
    """
    longest = (now + MAX_CLOCK_SKEW - start).total_seconds()
    by_our_clock = max((now - start).total_seconds(), 0.0)
    resumed = delta.older is not None and delta.older.session == RESUMED
    lost_all = delta.lost is not None and delta.lost.seconds == delta.seconds
    if delta.seconds is not None and (
        delta.seconds > longest or (resumed and Quality.CLOCK_JUMP in delta.qualities)
    ):
        qualities = [each for each in delta.qualities if each is not Quality.OK]
        if Quality.CLOCK_JUMP not in qualities:
            qualities.append(Quality.CLOCK_JUMP)
        delta = replace(delta, seconds=by_our_clock, qualities=tuple(qualities))
    if delta.lost is not None and (delta.seconds is not None or delta.lost.seconds > longest):
        length = by_our_clock if delta.seconds is None else delta.seconds
        if delta.seconds is not None and not lost_all:
            length = min(length, delta.lost.seconds)
        delta = replace(delta, lost=replace(delta.lost, seconds=length))
    return delta
