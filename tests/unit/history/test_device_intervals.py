"""What devices did is kept with the sample that brings it, and found by its own time."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pgiostat.analysis.rank import rank_totals
from pgiostat.dataframes import open_history
from pgiostat.export import export
from pgiostat.history.format.encode import server_id
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.retention import Keep, retain
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.render.report import device_lines, document
from pgiostat.reports.burst import burst_report, load_in
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.volume.device.align import align
from pgiostat.volume.device.interval import DeviceInterval, Origin
from pgiostat.volume.models import volume_of
from tests.support.readings import Unsynced, at, reading, server

WHOSE = server_id(server())
HOUR = 3600.0


def minute(seconds: float, reads: int | None = 60, **more: Any) -> DeviceInterval:
    """Return a minute of CloudWatch that begins so many seconds after the beginning."""
    return DeviceInterval(at(seconds), 60.0, Origin.CLOUDWATCH, "db-1", reads, **more)


def second(seconds: float, reads: int) -> DeviceInterval:
    """Return a second of the kernel's."""
    return DeviceInterval(at(seconds), 1.0, Origin.DISKSTATS, "sda", reads, reads * 8192, 0, 0, 9)


def write(
    root: Path, samples: list[list[DeviceInterval]], first: float = 0, every: float = 60
) -> None:
    """Append samples, each with what devices did as far as it is told by then."""
    writer = Writer.open(root, "prod", Unsynced())
    times = [first + every * n for n in range(len(samples) + 1)]
    for (begin, end), measured in zip(pairwise(times), samples, strict=True):
        writer.append(diff(reading(begin), reading(end)), Names(), measured)
    writer.close()


def kept(root: Path, since: float = -48 * HOUR, until: float = 48 * HOUR) -> list[DeviceInterval]:
    """Return what a reader sees."""
    found = History.open(root).device(Window(at(since), at(until)))
    assert found.keys() <= {WHOSE}
    return found.get(WHOSE, [])


MINUTES = [minute(60.0 * n, n, burst_balance=99.25 - n, read_bytes=n * 4096) for n in range(6)]


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_kept_is_what_was_told(tmp_path: Path, sealed: bool) -> None:  # noqa: FBT001
    write(tmp_path, [[], MINUTES[:3], [second(90, 5)], MINUTES[3:], []])
    if sealed:
        assert compact(Layout(tmp_path), "prod", Unsynced()) == 4
    assert kept(tmp_path) == [*MINUTES[:2], second(90, 5), *MINUTES[2:]]
    assert kept(tmp_path, 60, 120) == [MINUTES[1], second(90, 5)]


def test_a_history_without_devices_has_no_such_file_and_reads(tmp_path: Path) -> None:
    write(tmp_path, [[], [], []])
    assert kept(tmp_path) == []
    compact(Layout(tmp_path), "prod", Unsynced())
    assert kept(tmp_path) == []
    assert not (tmp_path / "device").exists()
    assert list((tmp_path / "hot").rglob("device.parquet")) == []
    frame = open_history(tmp_path).device()
    assert (len(frame), frame["reads"].dtype) == (0, pd.Int64Dtype())


@pytest.mark.parametrize("sealed", [False, True])
def test_what_was_written_is_not_written_again_by_a_collector_that_is_started_anew(
    tmp_path: Path,
    sealed: bool,  # noqa: FBT001
) -> None:
    write(tmp_path, [MINUTES[:2], MINUTES[:3]])
    if sealed:
        compact(Layout(tmp_path), "prod", Unsynced())
    write(tmp_path, [MINUTES[:5], [replace(MINUTES[4], reads=7)]], 120)
    assert kept(tmp_path) == MINUTES[:5]


def test_a_sample_that_could_not_be_written_leaves_its_minutes_to_the_next(tmp_path: Path) -> None:
    class Full(Unsynced):
        full = True

        def rename(self, source: Path, target: Path) -> None:
            if self.full and target.parent.name == "prod":
                raise OSError(28, "No space left on device")
            super().rename(source, target)

    disk = Full()
    writer = Writer.open(tmp_path, "prod", disk)
    with pytest.raises(Exception, match="No space left"):
        writer.append(diff(reading(0), reading(60)), Names(), MINUTES[:1])
    disk.full = False
    writer.append(diff(reading(0), reading(120)), Names(), MINUTES[:2])
    writer.close()
    assert kept(tmp_path) == MINUTES[:2]


def test_a_minute_that_a_sample_of_the_next_day_brings_is_found_on_its_own(tmp_path: Path) -> None:
    midnight = 14 * HOUR
    late = minute(midnight - 120)
    write(tmp_path, [[late], [minute(midnight)], []], midnight + 60)
    compact(Layout(tmp_path), "prod", Unsynced())
    assert [path.parent.name for path in (tmp_path / "device").rglob("*.parquet")] == [
        "date=2026-11-24"
    ]
    assert kept(tmp_path, 0, midnight) == [late]
    window = Window(at(midnight - 600), at(midnight))
    export(History.open(tmp_path), window, describer(), tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out" / "devices.csv")
    assert rows["interval_start"].tolist() == ["2026-11-23T23:58:00.000000Z"]


def test_devices_go_with_the_hours(tmp_path: Path) -> None:
    write(tmp_path, [MINUTES, [], []])
    write(tmp_path, [[], []], 5 * 24 * HOUR)
    layout = Layout(tmp_path)
    compact(layout, "prod", Unsynced())
    two, four = timedelta(days=2), timedelta(days=4)
    retain(layout, "prod", Keep(two, timedelta(days=30)), clock=at(5 * 24 * HOUR))
    assert kept(tmp_path) == MINUTES
    retain(layout, "prod", Keep(two, four), clock=at(5 * 24 * HOUR))
    assert kept(tmp_path) == []


def test_frames_and_exports_tell_units_and_leave_the_unknown_empty(tmp_path: Path) -> None:
    root, out = tmp_path / "history", tmp_path / "out"
    write(root, [[minute(0, None, burst_balance=12.5), second(3, 4)], []])
    frame = open_history(root).device(label="prod")
    assert list(frame.columns) == [
        "seconds", "server", "source", "device", "reads", "read_bytes", "writes", "write_bytes",
        "read_time_ms", "burst_balance", "io_balance", "byte_balance",
    ]  # fmt: skip
    assert frame["reads"].tolist() == [pd.NA, 4]
    assert frame["burst_balance"].tolist()[0] == 12.5
    assert frame["read_time_ms"].tolist()[1] == 0.009
    assert frame.attrs["units"]["read_bytes"] == "bytes"
    assert frame.attrs["units"]["burst_balance"] == "%"
    export(History.open(root), Window(at(0), at(60)), describer(), out)
    lines = (out / "devices.csv").read_text().splitlines()
    names = (
        "schema_version", "interval_start", "seconds", "server", "source", "device", "reads",
        "read_bytes", "writes", "write_bytes", "read_time_ms", "burst_balance", "io_balance",
        "byte_balance",
    )  # fmt: skip
    assert lines == [
        ",".join(f'"{name}"' for name in names),
        '1,"2026-11-23T10:00:00.000000Z",60,"prod","cloudwatch","db-1",,,,,,12.5,,',
        '1,"2026-11-23T10:00:03.000000Z",1,"prod","diskstats","sda",4,32768,0,0,0.009,,,',
    ]
    assert "| read_time_ms | ms | total time of all reads" in (out / "README.md").read_text()


def test_a_report_says_what_the_device_did(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, [[second(n * 60.0, 300)] for n in range(3)])
    history = History.open(root)
    seen = history.totals(Window(at(0), at(180)))
    (line,) = device_lines(seen)
    told, _, known = line.rpartition(", ")
    assert told == (
        "device sda by diskstats: 300 read IOPS, 2.34 MiB/s read, 0 write IOPS, r_await 0.03 µs,"
        " measured in 1.67 % of the time"
    )
    assert known == "OS cache –"
    devices = next(iter(document(seen, rank_totals([])).objects))["devices"]
    assert [(each["name"], each["reads"], each["reads_per_s"]) for each in devices] == [
        ("sda", 900, 300.0)
    ]


def test_a_burst_begins_with_what_cloudwatch_told_of_the_middle_of_its_minute(
    tmp_path: Path,
) -> None:
    # 500 + 100 operations a second of gp2:100, whose bucket so loses 300: its balance at 30 s.
    def told(number: int) -> DeviceInterval:
        balance = 80 - 100 * 300 * (60 * number + 45) / 5_400_000
        return minute(60.0 * number - 15, 30_000, writes=6000, burst_balance=balance)

    write(tmp_path, [[told(n)] for n in range(5)])
    history, volume = History.open(tmp_path), volume_of("gp2:100")
    window = Window(at(0), at(300))
    found = burst_report(history, window, uncategorized, volume).burst
    # The first minute began before the time does, and of the last a quarter is not told.
    assert [moment.provenance for moment in found.steps] == ["cloudwatch"] * 4 + ["estimated"]
    rates = [moment.balance.rate for moment in found.steps]
    assert rates == pytest.approx([600] * 5)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.bucket.low == pytest.approx(0.8 - 300 * 330 / 5_400_000)
    # What would be read is no reason for another balance at the start.
    half = load_in(history, history.totals(window), {}, volume).replay(reads=0.5)
    assert half.bucket.low == pytest.approx(0.8 - 300 * 30 / 5_400_000 - 50 * 300 / 5_400_000)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_source_of_a_later_version_is_shown_and_not_used(
    tmp_path: Path,
    sealed: bool,  # noqa: FBT001
) -> None:
    told = [minute(60.0 * n, 600, writes=0) for n in range(3)]
    later = [
        DeviceInterval(at(60.0 * n), 60.0, "later", "db-1", 9**9, writes=9**9, burst_balance=1.0)
        for n in range(3)
    ]
    root, known = tmp_path / "both", tmp_path / "known"
    write(root, [[a, b] for a, b in zip(told, later, strict=True)])
    write(known, [[each] for each in told])
    if sealed:
        compact(Layout(root), "prod", Unsynced())
    assert kept(root) == [each for pair in zip(told, later, strict=True) for each in pair]
    window = Window(at(0), at(180))
    history, plain = History.open(root), History.open(known)
    seen = history.totals(window)
    assert [(each.source, each.reads.total) for each in seen.devices] == [
        ("cloudwatch", 1800), ("later", 3 * 9**9)
    ]  # fmt: skip
    assert [line.partition(":")[0] for line in device_lines(seen)] == [
        "device db-1 by cloudwatch", "device db-1 by later"
    ]  # fmt: skip
    volume = volume_of("gp2:100")
    bursts = [burst_report(each, window, uncategorized, volume).burst for each in (history, plain)]
    assert bursts[0] == bursts[1]
    assert align(later, [(at(0), at(180))]) == [None]
