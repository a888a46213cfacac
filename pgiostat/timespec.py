"""Times and durations as people write them, and as pgiostat prints them."""

import re
from datetime import UTC, date, datetime, time, timedelta

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = ["EARLIEST", "Instant", "Length", "duration", "instant", "is_clock", "written"]

Instant = str | date
Length = str | timedelta

_UNITS = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
}
_NAMES = "ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?"
"""Units as systemd and PostgreSQL's intervals spell them; the first letter decides but for ms."""
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({_NAMES})(?![a-z])[\s,]*")
_DAYS = {"today": 0, "yesterday": 1}
_ZONE = r"\s*(?P<zone>z|utc|gmt|[+-]\d{2}(?::?\d{2})?)?"
_CLOCK = re.compile(rf"\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?{_ZONE}")
_MONTH_AND_DAY = re.compile(rf"(?P<day>\d{{2}}-\d{{2}}) (?P<clock>{_CLOCK.pattern})")
_NOW = re.compile(r"now(?:\s*(?P<sign>[+-])\s*(?P<length>.+))?")
_AGO = re.compile(r"(?P<length>.+?)\s+ago")
LONGEST_SECONDS = 100 * 365.25 * 86_400
"""A hundred years: no history is as long, and no clock of the system counts as far as 300 years."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between them an instant has a name in every time zone and in every engine."""
CLOCK_AHEAD = timedelta(minutes=5)
"""How much later than ours the clock of a server may be that printed a time of day."""


def duration(text: Length) -> float:
    """Return the seconds of a duration; a number without a unit is seconds.

    Raises:
        PgiostatError: time-invalid.

    >>> duration("10"), duration("1h30m"), duration("7d"), duration("500ms")
    (10.0, 5400.0, 604800.0, 0.5)
    >>> duration("1 hour"), duration("2 days 3 hours"), duration("1 min 30 s")
    (3600.0, 183600.0, 90.0)
    """
    seconds = text.total_seconds() if isinstance(text, timedelta) else _seconds(text)
    if abs(seconds) > LONGEST_SECONDS:
        raise _out_of_range("duration", text, "The longest is 100 years, 36525d.")
    return seconds


def written(seconds: float) -> str:
    """Return a length of time as `duration` accepts it, in its largest whole unit.

    >>> written(0.1), written(40), written(5400), written(86_400), written(1e7)
    ('0.1s', '40s', '90m', '1d', '10000000s')
    """
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS[unit] and not seconds % _UNITS[unit]:
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    return f"{seconds:.12g}s"


def _seconds(text: str) -> float:
    bare = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", bare):
        return float(bare)
    found = _sum_of_parts(bare)
    if found is None:
        raise _invalid("duration", text, "30s, 10m, 1h30m, 7d")
    return found


def _sum_of_parts(bare: str) -> float | None:
    """Return the seconds of numbers with units, None if there is anything else."""
    if not bare or _PART.sub("", bare):
        return None
    parts = ((float(amount), unit) for amount, unit in _PART.findall(bare))
    return float(
        sum(amount * _UNITS["ms" if _is_milli(unit) else unit[0]] for amount, unit in parts)
    )


def _is_milli(unit: str) -> bool:
    return unit.startswith(("ms", "milli"))


def is_clock(text: Instant | None) -> bool:
    """Return whether a text is a time of day without a date.

    >>> is_clock("04:51"), is_clock("04:51:00Z"), is_clock("today 04:51"), is_clock("1h")
    (True, True, False, False)
    """
    return isinstance(text, str) and _CLOCK.fullmatch(text.strip().lower()) is not None


def instant(text: Instant, now: datetime, *, has_passed: bool = True) -> datetime:
    """Return an instant.

    A duration is before now. A time of day is the latest one that has passed. A text without
    a time zone is in that of `now`.

    Args:
        text: Words, or an instant that is known already.
        now: The present, with a time zone.
        has_passed: Whether a time of day that is still to come is that of the day before.

    Returns:
        The instant, with a time zone.

    Raises:
        PgiostatError: time-invalid.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    >>> for text in ("2h", "1 hour ago", "now-30m", "yesterday 14:00", "04:51:00Z", "22:30"):
    ...     print(instant(text, noon).astimezone(UTC))
    2026-11-23 10:00:00+00:00
    2026-11-23 11:00:00+00:00
    2026-11-23 11:30:00+00:00
    2026-11-22 14:00:00+00:00
    2026-11-23 04:51:00+00:00
    2026-11-22 22:30:00+00:00
    """
    found = _instant(text, now, has_passed=has_passed)
    try:
        is_within = EARLIEST <= found.astimezone(UTC) < LATEST
    except OverflowError:
        is_within = False
    if not is_within:
        span = f"from {EARLIEST:%Y-%m-%d} to {LATEST - timedelta(days=1):%Y-%m-%d}"
        raise _out_of_range("time", text, f"Times are {span}.")
    return found


def _instant(text: Instant, now: datetime, *, has_passed: bool) -> datetime:
    if isinstance(text, date):
        known = text if isinstance(text, datetime) else datetime.combine(text, time())
        return known if known.tzinfo else known.replace(tzinfo=now.tzinfo)
    bare = " ".join(text.lower().split())
    before = _seconds_before(bare)
    try:
        if before is not None:
            return now - timedelta(seconds=before)
        ahead = CLOCK_AHEAD if has_passed else timedelta.max
        return _named(bare, now, ahead)
    except ValueError:
        examples = "1h, yesterday 14:00, 10:30, 2026-11-23 10:00, 2026-11-23T10:00Z"
        raise _invalid("time", text, examples) from None


def _seconds_before(bare: str) -> float | None:
    """Return how long before now a text is, None if it is of another form."""
    if found := _NOW.fullmatch(bare):
        length = found["length"]
        return 0.0 if length is None else duration(length) * (-1 if found["sign"] == "+" else 1)
    if bare.startswith("-"):
        return duration(bare[1:])
    if found := _AGO.fullmatch(bare):
        return duration(found["length"])
    # A number alone would be as good a year.
    return None if bare.isdigit() or _sum_of_parts(bare) is None else duration(bare)


def _named(bare: str, now: datetime, ahead: timedelta) -> datetime:
    """Return a day, a time of day, or both; raises ValueError for anything else.

    ahead: How much later than now a time of day may be before that of the day before is meant.
    """
    day, _, clock = bare.partition(" ")
    if day in _DAYS:
        at = _time_of_day(clock) if clock else time()
        zone = at.tzinfo or now.tzinfo
        on = now.astimezone(zone) - timedelta(days=_DAYS[day])
        return datetime.combine(on, at, tzinfo=zone)
    if _CLOCK.fullmatch(bare):
        at = _time_of_day(bare)
        zone = at.tzinfo or now.tzinfo
        found = datetime.combine(now.astimezone(zone), at, tzinfo=zone)
        return found if found - now <= ahead else found - timedelta(days=1)
    if _MONTH_AND_DAY.fullmatch(bare):
        found = _dated(f"{now.year}-{bare}", now)
        return found if found - now <= ahead else _dated(f"{now.year - 1}-{bare}", now)
    return _dated(bare, now)


def _dated(bare: str, now: datetime) -> datetime:
    found = datetime.fromisoformat(_with_iso_zone(bare).upper())
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _time_of_day(text: str) -> time:
    return time.fromisoformat(_with_iso_zone(text if text[1:2] != ":" else f"0{text}").upper())


def _with_iso_zone(text: str) -> str:
    """Return a text with its time zone as ISO 8601 writes it.

    >>> _with_iso_zone("10:00 utc"), _with_iso_zone("2026-11-23 10:00:00 +01")
    ('10:00z', '2026-11-23 10:00:00+01')
    """
    return re.sub(r"(?<=\d)\s*(?:utc|gmt)$", "z", re.sub(r"(?<=\d)\s+(?=z$|[+-]\d)", "", text))


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
