"""What a history holds is told: times, gaps, rows, sizes, what is sealed and what is thinned."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.inventory import Inventory, TableSize, inventory
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from tests.support.halves import record
from tests.support.histories import MINUTE, intervals, write
from tests.support.program import pgiostat
from tests.support.readings import Unsynced, at, reading

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
DAY = 24 * 60 * MINUTE


def held(root: Path) -> Inventory:
    """Return what a history holds."""
    return inventory(History.open(root), NOW)


def test_each_label_has_its_time_its_rows_and_what_is_not_sealed(tmp_path: Path) -> None:
    write(tmp_path, intervals(12, 10 * MINUTE))
    compact(Layout(tmp_path), "prod")
    record(tmp_path, label="perf", intervals=3)
    perf, prod = held(tmp_path).kept
    assert (perf.label, perf.intervals, perf.unsealed, perf.rows) == ("perf", 3, 3, 9)
    assert (prod.label, prod.since, prod.until) == ("prod", at(0), at(120 * MINUTE))
    assert (prod.intervals, prod.unsealed, prod.rows, prod.gaps) == (12, 1, 48, 0)
    assert (prod.seconds, prod.missing_seconds, prod.servers) == (7200.0, 0.0, 1)
    assert prod.coverage == 1440 / 1596
    assert prod.age_seconds == (NOW - at(120 * MINUTE)).total_seconds()


def test_gaps_and_time_without_any_interval_are_told(tmp_path: Path) -> None:
    readings = [reading(n * MINUTE) for n in (0, 1, 5, 6)]
    writer = Writer.open(tmp_path, "prod", Unsynced())
    for older, newer in pairwise(readings):
        writer.append(diff(older, newer, expected_seconds=MINUTE), Names())
    later = [reading(n * MINUTE) for n in (16, 17)]
    writer.append(diff(*later, expected_seconds=MINUTE), Names())
    writer.close()
    (kept,) = held(tmp_path).kept
    assert (kept.intervals, kept.gaps, kept.rows) == (4, 1, 0)
    assert (kept.seconds, kept.missing_seconds) == (7 * MINUTE, 10 * MINUTE)
    assert kept.coverage is None


def test_days_of_which_whole_hours_are_left_alone_are_named(tmp_path: Path) -> None:
    write(tmp_path, intervals(8, DAY / 2))
    compact(Layout(tmp_path), "prod")
    assert held(tmp_path).kept[0].thin_days == ()
    for file in Layout(tmp_path).compacted_files("stmt"):
        if file.day.date() != date(2026, 11, 25):
            file.path.unlink()
    days = [date(2026, 11, 23) + timedelta(days=n) for n in (0, 1, 3, 4)]
    (kept,) = held(tmp_path).kept
    assert set(kept.thin_days) >= set(days[:3])
    shown = pgiostat("history", "--history", str(tmp_path)).stdout
    assert "  only hourly totals are left of 2026-11-23 – 2026-11-24, 2026-11-26" in shown


def test_tables_have_their_sizes_on_disk(tmp_path: Path) -> None:
    write(tmp_path, intervals(12, 10 * MINUTE))
    compact(Layout(tmp_path), "prod")
    found = held(tmp_path)
    files = [path for path in tmp_path.rglob("*.parquet") if path.parent.parent.name == "stmt"]
    taken = sum(path.stat().st_blocks * 512 for path in files)
    assert found.tables["stmt"] == TableSize(len(files), taken)
    every = sum(size.bytes for size in found.tables.values())
    assert found.size == TableSize(sum(size.files for size in found.tables.values()), every)


def test_a_history_is_told_in_lines_and_as_json(tmp_path: Path) -> None:
    write(tmp_path, intervals(3, MINUTE))
    done = pgiostat("history", "--history", str(tmp_path))
    head, _, text = done.stdout.partition("\n\n")
    first, second, _, heading, *tables, following = text.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert "".join(head.split()) == f"history{tmp_path}"
    assert first.startswith("prod  2026-11-23 10:00:00Z – 10:03:00Z  newest ")
    assert second == (
        "  3 intervals, 3 not compacted, 0 gaps, 12 rows of statements, coverage 88.2 %"
    )
    assert heading.split() == ["table", "files", "on", "disk", "what"]
    assert (tables[0].split()[0], tables[-1].split()[0]) == ("hot", "all")
    assert following == f"Next: pgiostat report {tmp_path}"
    told = json.loads(pgiostat("history", "--history", str(tmp_path), "--format", "json").stdout)
    (label,) = told["labels"]
    assert label.pop("age_seconds") > 0
    assert label == {
        "label": "prod", "since": "2026-11-23T10:00:00.000000Z",
        "until": "2026-11-23T10:03:00.000000Z", "servers": 1, "intervals": 3, "unsealed": 3,
        "gaps": 0, "seconds": 180.0, "lost_seconds": 0.0, "missing_seconds": 0.0,
        "coverage": 90 / 102, "rows": 12, "thin_days": [],
    }  # fmt: skip
    assert told["bytes"] == sum(size["bytes"] for size in told["tables"].values())


def test_a_history_without_a_sample_or_with_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    Writer.open(tmp_path, "prod").close()
    assert pgiostat("history", "--history", str(tmp_path)).returncode == 3
    write(tmp_path, intervals(2, MINUTE))
    next(tmp_path.glob("hot/prod/*/stmt.parquet")).write_bytes(b"damaged")
    with pytest.raises(PgiostatError) as raised:
        held(tmp_path)
    assert raised.value.slug == "history-unreadable"
    assert pgiostat("history", "--history", str(tmp_path), "--format", "csv").returncode == 2
    done = pgiostat("history", "--history", str(tmp_path), "--skip-bad")
    assert (done.returncode, "left out" in done.stderr) == (0, True)
