"""What is kept for how long: whole days go, rows before hours, so that nothing looks empty."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import COMPACTED
from pgiostat.history.format.sealed import CompactedFile, day_of
from pgiostat.timespec import duration

__all__ = ["SHORTEST", "Keep", "retain"]

SHORTEST = timedelta(days=2)
"""Whole days go: who asks for hours would get days."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long rows of statements are kept, and all else: None for ever."""

    rows: timedelta | None = None
    hours: timedelta | None = None

    @classmethod
    def of(
        cls,
        keep: str | None,
        keep_hours: str | None,
        names: tuple[str, str] = ("--keep", "--keep-hours"),
    ) -> "Keep":
        """Return it from words; what is said of rows alone holds for all.

        names: what both are called where they were said.
        Raises PgiostatError time-invalid and option-invalid.
        """
        rows, hours = (
            None if words is None else timedelta(seconds=duration(words))
            for words in (keep, keep_hours)
        )
        for name, span in zip(names, (rows, hours), strict=True):
            if span is not None and span < SHORTEST:
                raise _wrong(
                    f"history would be kept for less than {SHORTEST.days} days",
                    f"{name} must be {SHORTEST.days}d or more: whole days go.",
                )
        if hours is not None and (rows is None or hours < rows):
            of_rows, of_hours = names
            raise _wrong(
                "hours would be kept for a shorter time than the rows they are made of",
                f"{of_hours} must be as long as {of_rows}, or longer"
                + (f", and rows are kept for ever without {of_rows}." if rows is None else "."),
            )
        return cls(rows, rows if hours is None else hours)


def _wrong(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="option-invalid", status=ExitStatus.USAGE)


def retain(
    layout: Layout,
    collector: str,
    keep: Keep,
    disk: Disk | None = None,
    *,
    clock: datetime,
    may: Callable[[CompactedFile], bool] = lambda _: True,
) -> int:
    """Remove what a collector sealed of days that are over for long enough; return how many files.

    The span ends with the day of its newest sealed sample, as it began: a collector that was
    stopped for a month has lost nothing when it goes on.  It ends today by our clock at the latest:
    a server whose clock is set a year ahead must not cost a year.  Samples go before what was
    counted in them, so that an interval that is there has its hours, or its rows.  may: tells of
    each file whether it may go.  Raises OSError; the next turn goes on.
    """
    disk = (disk or Disk()).below(layout.root)
    days = [file.day for file in layout.compacted_files("sample") if file.collector == collector]
    if not days:
        return 0
    today = min(max(days), clock)
    removed = 0
    for table, span in (
        ("sample", keep.hours),
        *((name, keep.hours) for name in COMPACTED if name not in {"sample", "stmt"}),
        ("stmt_1h", keep.hours),
        ("stmt", keep.rows),
    ):
        if span is None:
            continue
        over = [file for file in layout.compacted_files(table) if _ended(file.day, today - span)]
        for file in over:
            if file.collector == collector and may(file):
                disk.remove(file.path)
                removed += 1
        for directory in layout.days(table):
            # Not empty: another collector's day.
            with contextlib.suppress(OSError):
                if _ended(day_of(directory), today - span):
                    disk.remove_empty(directory)
    return removed


def _ended(day: datetime, instant: datetime) -> bool:
    return day + timedelta(days=1) <= instant
