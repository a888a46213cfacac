"""What is kept for how long: whole days go, rows before hours, so that nothing looks empty."""

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.disk import Disk
from pgiostat.history.layout import Layout, Sealed
from pgiostat.history.schema import FACTS
from pgiostat.times import duration

__all__ = ["SHORTEST", "Keep", "retain"]

SHORTEST = timedelta(days=2)
"""Whole days go, and today is not sealed yet: less would not be kept as long as it says."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long rows of statements are kept, and all else; both are None for ever."""

    rows: timedelta | None = None
    hours: timedelta | None = None

    @classmethod
    def of(cls, keep: str | None, keep_hours: str | None) -> "Keep":
        """Return it from words; what is said of one alone holds for both.

        Raises PgiostatError time-invalid and option-invalid.
        """
        rows, hours = (
            None if words is None else timedelta(seconds=duration(words))
            for words in (keep, keep_hours)
        )
        # Rows of intervals that are gone would tell of nothing.
        rows, hours = rows or hours, hours or rows
        if any(span is not None and span < SHORTEST for span in (rows, hours)):
            raise _wrong(
                "rows would be kept for less than 2 days",
                "--keep must be 2d or longer: whole days go.",
            )
        if rows is not None and hours is not None and hours < rows:
            raise _wrong(
                "hours would be kept for a shorter time than the rows they are made of",
                "--keep-hours must be as long as --keep, or longer.",
            )
        return cls(rows, hours)


def _wrong(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)


def retain(layout: Layout, collector: str, keep: Keep, disk: Disk | None = None) -> int:
    """Remove what a collector sealed of days that are over for long enough; return how many files.

    Now is when its newest sealed sample is: a collector that was stopped for a month has lost
    nothing when it goes on.  Samples go before what was counted in them, so that an interval that
    is there has its hours, or its rows.  Raises OSError; the next turn goes on.
    """
    disk = disk or Disk()
    days = [file.day for file in layout.sealed_files("sample") if file.collector == collector]
    if not days:
        return 0
    now = max(days)  # when the newest day begins: it is not over, and nothing goes too early
    removed = 0
    for table, span in (
        ("sample", keep.hours),
        *((name, keep.hours) for name in FACTS if name != "stmt"),
        ("stmt_1h", keep.hours),
        ("stmt", keep.rows),
    ):
        for file in _over(layout, table, collector, now, span):
            disk.remove(file.path)
            with contextlib.suppress(OSError):  # not empty: another collector's day
                file.path.parent.rmdir()
            removed += 1
    return removed


def _over(
    layout: Layout, table: str, collector: str, now: datetime, span: timedelta | None
) -> list[Sealed]:
    """Return the files of days that ended before a span began."""
    if span is None:
        return []
    return [
        file
        for file in layout.sealed_files(table)
        if file.collector == collector and file.day + timedelta(days=1) <= now - span
    ]
