"""Retention: old days are removed whole, rows before hours, so that no interval looks empty."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgiostat.errors import invalid_option
from pgiostat.history.format.compacted import CompactedFile, day_of
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import COMPACTED
from pgiostat.timespec import duration

__all__ = ["SHORTEST", "Keep", "retain"]

SHORTEST = timedelta(days=2)
"""Days are removed whole: a limit in hours would act as one in days."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long a history keeps what it has.

    Attributes:
        rows: For rows of statements in single intervals; None to keep them all.
        hours: For everything else; None to keep it all.
    """

    rows: timedelta | None = None
    hours: timedelta | None = None

    @classmethod
    def of(
        cls,
        keep: str | None,
        keep_hours: str | None,
        names: tuple[str, str] = ("--keep", "--keep-hours"),
    ) -> "Keep":
        """Return it from the texts of two options; the first alone holds for both.

        Args:
            keep: Length for rows, for example "30d"; None to keep them all.
            keep_hours: Length for everything else; None is the same length.
            names: The names of both options, for messages.

        Raises:
            PgiostatError: time-invalid or option-invalid.
        """
        rows, hours = (
            None if text is None else timedelta(seconds=duration(text))
            for text in (keep, keep_hours)
        )
        for name, span in zip(names, (rows, hours), strict=True):
            if span is not None and span < SHORTEST:
                raise invalid_option(
                    f"history would be kept for less than {SHORTEST.days} days",
                    hint=f"{name} must be {SHORTEST.days}d or more: whole days are removed.",
                )
        if hours is not None and (rows is None or hours < rows):
            of_rows, of_hours = names
            raise invalid_option(
                "the hourly rollup would be kept for a shorter time than its rows",
                hint=f"{of_hours} must be as long as {of_rows}, or longer"
                + (f", and rows are never removed without {of_rows}." if rows is None else "."),
            )
        return cls(rows, rows if hours is None else hours)


def retain(
    layout: Layout,
    collector: str,
    keep: Keep,
    disk: Disk | None = None,
    *,
    clock: datetime,
    may: Callable[[CompactedFile], bool] = lambda _: True,
) -> int:
    """Remove compacted files of a collector that are older than the limits.

    Age counts from the day of the newest compacted sample: a collector that was stopped for a month
    loses nothing when it continues. It counts from today by our clock at the latest: a server with
    a clock a year ahead must not cost a year. Samples are removed before their counts, so that each
    interval that is left has its hours, or its rows.

    Args:
        layout: The history.
        collector: The name in the names of the files.
        keep: The limits.
        disk: What removes.
        clock: The current time by our own clock.
        may: Returns whether a file may be removed.

    Returns:
        How many files were removed.

    Raises:
        OSError: A file could not be removed; the next call continues.
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
            # A day of another collector is not empty.
            with contextlib.suppress(OSError):
                if _ended(day_of(directory), today - span):
                    disk.remove_empty(directory)
    return removed


def _ended(day: datetime, instant: datetime) -> bool:
    return day + timedelta(days=1) <= instant
