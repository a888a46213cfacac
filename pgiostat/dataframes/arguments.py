"""Times and steps as a notebook passes them."""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.timespec import Length, duration

__all__ = ["normalize_time", "step_of", "usage_error"]

SHORTEST_STEP = timedelta(seconds=1)


def normalize_time(value: Any) -> Any:
    """Return a time or a length without pandas' types: words, datetime or timedelta.

    Raises:
        PgiostatError: time-invalid.
    """
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)  # no clock here has nanoseconds
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    if value is pd.NaT or not isinstance(value, str | date | timedelta | None):
        raise PgiostatError(
            f"invalid time: {value!r}",
            hint='Use text such as "-2h", a datetime or a timedelta.',
            slug="time-invalid",
            status=ExitStatus.USAGE,
        )
    return value


def step_of(every: Length) -> timedelta:
    """Return the length of a step.

    Raises:
        PgiostatError: time-invalid, and option-invalid below a second.
    """
    step = timedelta(seconds=duration(normalize_time(every)))
    if step < SHORTEST_STEP:
        raise usage_error(f'invalid value for every: "{every}"', "A step must be 1s or longer.")
    return step


def usage_error(message: str, hint: str) -> PgiostatError:
    """Return the error option-invalid for an argument."""
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)
