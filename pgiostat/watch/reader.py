"""Reads intervals until the user stops, and reconnects to a lost server."""

from collections.abc import Callable
from threading import Event

from pgiostat.clock import Backoff
from pgiostat.errors import PgiostatError
from pgiostat.unexpected import PASSING, as_error
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.sources.source import IntervalSource

__all__ = ["RETRY", "read_intervals"]

RETRY = Backoff(first=1.0, longest=30.0)


def read_intervals(
    feed: IntervalSource, stop: Event, on_interval: Callable[[Interval], object]
) -> PgiostatError | None:
    """Read intervals until the source ends; retry after a passing error.

    An error before the first interval ends the session: its cause is often a wrong name or
    password.

    Args:
        feed: The source of intervals.
        stop: Ends the reading, and the wait for the next attempt.
        on_interval: Receives each interval, and one with the error and the seconds to wait for
            each failed attempt.

    Returns:
        The error that ended it, if one did.
    """
    failures, is_first = 0, True
    while True:
        error = None
        try:
            for interval in feed.intervals(stop):
                on_interval(interval)
                failures, is_first = 0, False
        except Exception as raised:  # noqa: BLE001 - the session keeps what it shows
            error = as_error(raised)
        if error is None or is_first or error.slug not in PASSING:
            return error
        failures += 1
        seconds = RETRY.delay(failures)
        on_interval(Interval(error=error, retry_seconds=seconds))
        if stop.wait(seconds):
            return error
