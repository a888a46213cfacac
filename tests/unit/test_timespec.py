"""Times and lengths of time: each form that is documented, and each that pgiostat prints."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.render.csv import timestamp
from pgiostat.timespec import duration, instant
from pgiostat.units import format_duration

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=BERLIN)
"""11:30 in UTC."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600),
        ("0.5", 0.5),
        ("2s", 2),
        ("500ms", 0.5),
        ("500 msec", 0.5),
        ("250 milliseconds", 0.25),
        ("10m", 600),
        ("10 min", 600),
        ("90 seconds", 90),
        ("1h", 3600),
        ("1 hour", 3600),
        ("1H30M", 5400),
        ("2 hours, 5 minutes", 7500),
        ("2 days", 172_800),
        ("1 week", 604_800),
    ],
)
def test_a_length_of_time_has_units_or_is_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("seconds", [0.25, 2.0, 61, 3700, 45_000])
def test_a_length_that_is_printed_is_accepted_back(seconds: float) -> None:
    printed = format_duration(seconds)
    assert format_duration(duration(printed)) == printed


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("now", timedelta(0)),
        ("1h", timedelta(hours=1)),
        ("-1h", timedelta(hours=1)),
        ("1 hour ago", timedelta(hours=1)),
        ("1h30m ago", timedelta(minutes=90)),
        ("2 days ago", timedelta(days=2)),
        ("now-1h", timedelta(hours=1)),
        ("now - 90 min", timedelta(minutes=90)),
        ("now+10m", timedelta(minutes=-10)),
        ("-90", timedelta(seconds=90)),
        ("90 ago", timedelta(seconds=90)),
    ],
)
def test_a_time_is_relative_to_now(text: str, ago: timedelta) -> None:
    assert instant(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", datetime(2026, 11, 23, tzinfo=BERLIN)),
        ("yesterday", datetime(2026, 11, 22, tzinfo=BERLIN)),
        ("Yesterday 14:00", datetime(2026, 11, 22, 14, tzinfo=BERLIN)),
        ("today 09:00Z", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("today 18:00", datetime(2026, 11, 23, 18, tzinfo=BERLIN)),
        ("04:51", datetime(2026, 11, 23, 4, 51, tzinfo=BERLIN)),
        ("9:05:30", datetime(2026, 11, 23, 9, 5, 30, tzinfo=BERLIN)),
        ("04:51:00Z", datetime(2026, 11, 23, 4, 51, tzinfo=UTC)),
        ("04:51:00 UTC", datetime(2026, 11, 23, 4, 51, tzinfo=UTC)),
        ("04:51 +05:30", datetime(2026, 11, 22, 23, 21, tzinfo=UTC)),
        ("18:00", datetime(2026, 11, 22, 18, tzinfo=BERLIN)),
        ("12:34", datetime(2026, 11, 23, 12, 34, tzinfo=BERLIN)),
        ("12:36", datetime(2026, 11, 22, 12, 36, tzinfo=BERLIN)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=BERLIN)),
        ("20261120", datetime(2026, 11, 20, tzinfo=BERLIN)),
        ("2026-11-20 08:00", datetime(2026, 11, 20, 8, tzinfo=BERLIN)),
        ("2026-11-20T08:00+02:00", datetime(2026, 11, 20, 6, tzinfo=UTC)),
        ("2026-11-20 08:00:00 +02", datetime(2026, 11, 20, 6, tzinfo=UTC)),
        ("2026-11-20 08:00:00 UTC", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("11-20 08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("12-31 23:59:00Z", datetime(2025, 12, 31, 23, 59, tzinfo=UTC)),
    ],
)
def test_a_time_of_day_or_a_date_is_in_our_zone_or_in_its_own(
    text: str, expected: datetime
) -> None:
    assert instant(text, NOW) == expected


def test_a_time_of_day_may_be_to_come_in_a_replay() -> None:
    evening = datetime(2026, 11, 23, 18, tzinfo=BERLIN)
    assert instant("18:00", NOW, has_passed=False) == evening
    assert instant("12-31 23:59:00Z", NOW, has_passed=False) == datetime(
        2026, 12, 31, 23, 59, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "form",
    ["%H:%M:%SZ", "%H:%M:%S UTC", "%m-%d %H:%M:%SZ", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC",
     "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f+00", "%Y-%m-%d %H:%M:%S.%f+00:00"],
)  # fmt: skip
@pytest.mark.parametrize("ago", [timedelta(seconds=-20), timedelta(seconds=1), timedelta(hours=23)])
def test_a_time_that_is_printed_is_accepted_back(form: str, ago: timedelta) -> None:
    when = (NOW - ago).astimezone(UTC)
    assert instant(when.strftime(form), NOW) == when


def test_a_timestamp_of_csv_and_json_is_accepted_back() -> None:
    when = datetime(2026, 11, 22, 4, 51, 0, 250_000, tzinfo=UTC)
    printed = timestamp(when)
    assert printed is not None
    assert instant(printed, NOW) == when


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "2026-13-01", "yesterday noon", "3600", "tomorrow", "1 hour hence"],
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(PgiostatError) as raised:
        instant(text, NOW)
    assert (raised.value.message, raised.value.hint, raised.value.status) == (
        f'invalid time: "{text}"',
        "Write it like 1h, yesterday 14:00, 10:30, 2026-11-23 10:00, 2026-11-23T10:00Z.",
        2,
    )
