"""What is kept for how long: whole days go, and no interval is left without its hours."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.retention import Keep, retain
from tests.support.histories import MINUTE, intervals, write
from tests.support.readings import Unsynced, at

DAY = 24 * 60 * MINUTE


def listed(root: Path) -> dict[str, list[str]]:
    """Return the days of each table."""
    tables = ("sample", "stmt", "stmt_1h", "database", "relation")
    days = {
        table: [f"{file.day:%d}" for file in Layout(root).compacted_files(table)]
        for table in tables
    }
    return {table: sorted(set(found)) for table, found in days.items()}


def week(directory: Path) -> Layout:
    """Return a history of seven days."""
    root = directory / "history"
    write(root, intervals(7 * 4, DAY / 4))
    compact(Layout(root), "prod", Unsynced())
    return Layout(root)


LATER = at(365 * DAY)
DAYS = ["23", "24", "25", "26", "27", "28", "29"]


def test_rows_go_before_hours_and_whole_days_go(tmp_path: Path) -> None:
    layout = week(tmp_path)
    assert listed(layout.root) == dict.fromkeys(listed(layout.root), DAYS)
    assert retain(layout, "prod", Keep(), clock=LATER) == 0
    keep = Keep(timedelta(days=2), timedelta(days=5))
    (layout.root / "stmt" / f"date=2026-11-{DAYS[0]}" / "theirs").touch()
    (layout.root / "io" / "date=2026-11-01").mkdir()  # left by one that was cut short
    assert retain(layout, "other", keep, clock=LATER) == 0
    removed = retain(layout, "prod", keep, clock=LATER)
    # The newest day may have just begun, and is not counted.
    assert listed(layout.root) == {
        "sample": DAYS[1:], "stmt": DAYS[4:], "stmt_1h": DAYS[1:], "database": DAYS[1:],
        "relation": DAYS[1:],
    }  # fmt: skip
    assert removed == 1 * 5 + 4  # io has an empty file for each day too
    empty = [path for path in layout.root.glob("*/date=*") if not any(path.iterdir())]
    assert empty == []
    assert retain(layout, "prod", keep, clock=LATER) == 0


def test_a_server_whose_clock_is_ahead_costs_no_history(tmp_path: Path) -> None:
    layout = week(tmp_path)
    keep = Keep.of("2d", None)
    assert retain(layout, "prod", keep, clock=at(0)) == 0
    assert retain(layout, "prod", keep, clock=at(3 * DAY)) == 5 + 1
    assert listed(layout.root) == dict.fromkeys(listed(layout.root), DAYS[1:])


class Failing(Unsynced):
    """A disk on which a removal fails."""

    def __init__(self, after: int) -> None:
        self.left = after

    def remove(self, path: Path) -> None:
        """Remove, unless enough was removed."""
        if not self.left:
            raise OSError(5, "Input/output error")
        self.left -= 1
        super().remove(path)


def test_a_removal_that_was_interrupted_anywhere_leaves_no_interval_without_its_hours(
    tmp_path: Path,
) -> None:
    keep = Keep(timedelta(days=2), timedelta(days=4))
    made = week(tmp_path / "made")
    for after in range(2 * 5 + 4):
        layout = Layout(tmp_path / str(after))
        shutil.copytree(made.root, layout.root)
        with pytest.raises(OSError, match="Input/output error"):
            retain(layout, "prod", keep, Failing(after), clock=LATER)
        days = listed(layout.root)
        assert set(days["sample"]) <= set(days["stmt_1h"])
        retain(layout, "prod", keep, clock=LATER)
        assert listed(layout.root) == {
            "sample": DAYS[2:], "stmt": DAYS[4:], "stmt_1h": DAYS[2:], "database": DAYS[2:],
            "relation": DAYS[2:],
        }  # fmt: skip


def test_words_of_retention_that_make_no_sense_are_refused() -> None:
    for keep, hours, told in [
        ("1d", None, "history would be kept for less than 2 days"),
        ("30d", "0", "history would be kept for less than 2 days"),
        ("30d", "7d", "the hourly rollup would be kept for a shorter time"),
        (None, "30d", "the hourly rollup would be kept for a shorter time"),
        ("soon", None, "invalid duration"),
    ]:
        with pytest.raises(PgiostatError, match=told):
            Keep.of(keep, hours)
    assert Keep.of("30d", None) == Keep(timedelta(days=30), timedelta(days=30))
    assert Keep.of("30d", "60d") == Keep(timedelta(days=30), timedelta(days=60))
    assert Keep.of(None, None) == Keep(None, None)
