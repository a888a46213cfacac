"""Times and lengths of time as people write them."""

import re
from datetime import UTC, date, datetime, time, timedelta

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = ["EARLIEST", "Instant", "Length", "duration", "instant"]

Instant = str | date
Length = str | timedelta

_UNITS = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)")
_DAYS = {"today": 0, "yesterday": 1}
LONGEST_SECONDS = 100 * 365.25 * 86_400
"""A hundred years: no history is as long, and no clock of the system counts as far as 300 years."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between them an instant has a name in every time zone and in every engine."""


def duration(text: Length) -> float:
    """Return seconds, of words or of a length that is known already.

    Raises PgiostatError time-invalid.

    >>> duration("10"), duration("1h30m"), duration("7d"), duration("500ms")
    (10.0, 5400.0, 604800.0, 0.5)
    """
    seconds = text.total_seconds() if isinstance(text, timedelta) else _seconds(text)
    if abs(seconds) > LONGEST_SECONDS:
        raise _out_of_range("length of time", text, "The longest is 100 years, 36525d.")
    return seconds


def _seconds(text: str) -> float:
    bare = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", bare):
        return float(bare)
    if not bare or _PART.sub("", bare).strip():
        raise _invalid("length of time", text, "30s, 10m, 1h30m, 7d")
    return float(sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(bare)))


def instant(text: Instant, now: datetime) -> datetime:
    """Return an instant, of words or known already; what says no zone is in that of `now`.

    Raises PgiostatError time-invalid.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    >>> for text in ("-2h", "now", "yesterday 14:00", "10:30", "2026-11-20T08:00+02:00"):
    ...     print(instant(text, noon).astimezone(UTC))
    2026-11-23 10:00:00+00:00
    2026-11-23 12:00:00+00:00
    2026-11-22 14:00:00+00:00
    2026-11-23 10:30:00+00:00
    2026-11-20 06:00:00+00:00
    """
    found = _instant(text, now)
    try:
        is_within = EARLIEST <= found.astimezone(UTC) < LATEST
    except OverflowError:
        is_within = False
    if not is_within:
        span = f"from {EARLIEST:%Y-%m-%d} to {LATEST - timedelta(days=1):%Y-%m-%d}"
        raise _out_of_range("time", text, f"Times are {span}.")
    return found


def _instant(text: Instant, now: datetime) -> datetime:
    if isinstance(text, date):
        known = text if isinstance(text, datetime) else datetime.combine(text, time())
        return known if known.tzinfo else known.replace(tzinfo=now.tzinfo)
    bare = text.strip().lower()
    if bare == "now":
        return now
    if bare.startswith("-"):
        return now - timedelta(seconds=duration(bare[1:]))
    day, _, clock = bare.partition(" ")
    try:
        if day in _DAYS:
            at = time.fromisoformat(clock.strip()) if clock.strip() else time()
            on = now - timedelta(days=_DAYS[day])
            return datetime.combine(on, at, tzinfo=at.tzinfo or now.tzinfo)
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", bare):
            return datetime.combine(now.date(), time.fromisoformat(bare.zfill(5)), now.tzinfo)
        found = datetime.fromisoformat(bare.upper())
    except ValueError:
        examples = "-2h, yesterday 14:00, 10:30, 2026-11-23, 2026-11-23T10:00Z"
        raise _invalid("time", text, examples) from None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _out_of_range(what: str, value: Instant | Length, hint: str) -> PgiostatError:
    shown = str(value)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return PgiostatError(
        f'{what} out of range: "{shown}"', hint=hint, slug="time-invalid", status=ExitStatus.USAGE
    )


_LONGEST_SHOWN = 40


def _invalid(what: str, text: str, examples: str) -> PgiostatError:
    return PgiostatError(
        f'invalid {what}: "{text}"',
        hint=f"Write it like {examples}.",
        slug="time-invalid",
        status=ExitStatus.USAGE,
    )
