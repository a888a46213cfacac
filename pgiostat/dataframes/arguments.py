"""Times and steps as a notebook passes them."""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.timespec import Length, duration

__all__ = ["plainly", "step_of", "wrong"]

SHORTEST_STEP = timedelta(seconds=1)


def plainly(given: Any) -> Any:
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
    step = timedelta(seconds=duration(plainly(every)))
    if step < SHORTEST_STEP:
        raise wrong(f'invalid value for every: "{every}"', "A step is 1s or longer.")
    return step


def wrong(message: str, hint: str) -> PgiostatError:
    """Return what is wrong with an argument."""
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)
