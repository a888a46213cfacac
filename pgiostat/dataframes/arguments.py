"""Times and steps as somebody gives them in Python, and the steps that suit a window."""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.timespec import Length, duration

__all__ = ["normalize_time", "step_for", "step_of", "usage_error"]

WISHED_STEPS = 120
SHORTEST_STEP = timedelta(seconds=1)
_NICE = (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400)


def normalize_time(given: Any) -> Any:
    """Return a time or its length as words or as Python has it, of what pandas has too.

    Raises PgiostatError time-invalid.
    """
    if isinstance(given, pd.Timestamp):
        return given.to_pydatetime(warn=False)  # nanoseconds are nobody's
    if isinstance(given, pd.Timedelta):
        return given.to_pytimedelta()
    if given is pd.NaT or not isinstance(given, str | date | timedelta | None):
        raise PgiostatError(
            f"invalid time: {given!r}",
            hint='Give words as "-2h", a datetime or a timedelta.',
            slug="time-invalid",
            status=ExitStatus.USAGE,
        )
    return given


def step_of(every: Length) -> timedelta:
    """Return the length of a step.

    Raises PgiostatError time-invalid and option-invalid.
    """
    step = timedelta(seconds=duration(normalize_time(every)))
    if step < SHORTEST_STEP:
        raise usage_error(f'invalid value for every: "{every}"', "A step is 1s or longer.")
    return step


def step_for(seen: WindowTotals) -> timedelta:
    """Return steps of which a window has about 120, none shorter than its intervals."""
    interval = seen.sampled.seconds / seen.sampled.samples
    wished = max(seen.window.seconds / WISHED_STEPS, interval * 0.99)
    return timedelta(seconds=next((nice for nice in _NICE if nice >= wished), _NICE[-1]))


def usage_error(message: str, hint: str) -> PgiostatError:
    """Return what is wrong with an argument."""
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)
