"""The device beside what the server read: how much the operating system's cache served."""

from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from pgiostat.analysis.rank import By
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import uncategorized
from pgiostat.render.report import document
from pgiostat.reports.ranking import rank_window
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.volume.device.interval import DeviceInterval, Origin
from pgiostat.volume.device.page_cache import DiskReads
from pgiostat.watch.screen.notices import SideInfo
from pgiostat.watch.screen.overview import draw_screen
from pgiostat.watch.screen.table import table_of
from pgiostat.watch.sources import disk
from pgiostat.watch.sources.replay import ReplaySource
from pgiostat.watch.state import ViewState
from tests.support.readings import Unsynced, at, reading
from tests.support.screens import snapshots

SECONDS = 10.0
BLOCKS = 1600
SERVER_BYTES = BLOCKS * 8192.0
DISK_BYTES = 65_536
LINE = "disk sda  99.5 % from the OS cache: 0.01 MiB/s of 1.25 MiB/s reached the disk"


def measured(number: int, seconds: float = SECONDS) -> DeviceInterval:
    """Return an interval of the device that begins with an interval of the server."""
    begin = at(SECONDS * number)
    return DeviceInterval(begin, seconds, Origin.DISKSTATS, "sda", 8, DISK_BYTES, 0, 0, 1600)


def recorded(root: Path, *, seconds: float = SECONDS) -> Path:
    """Make a history of three intervals, with what the device did in them."""
    writer = Writer.open(root, "prod", Unsynced())
    for number, (older, newer) in enumerate(pairwise(snapshots(4))):
        writer.append(diff(older, newer), Names(), [measured(number, seconds)])
    writer.close()
    return root


def of_disk(intervals: int) -> DiskReads:
    return DiskReads(
        "sda", SECONDS * intervals, 8.0 * intervals, float(DISK_BYTES * intervals),
        1600.0 * intervals, SERVER_BYTES * intervals,
    )  # fmt: skip


def test_a_replay_has_the_device_of_each_interval_and_of_all(tmp_path: Path) -> None:
    with closing(History.open(recorded(tmp_path))) as history:
        feed = ReplaySource(history, uncategorized, Window(at(0), at(40)), interval=0.0)
        stop = Event()
        for interval in feed.intervals(stop):
            feed.session.absorb(interval)
            if feed.session.shown == 3:
                stop.set()
        assert feed.session.disk(whole=False) == of_disk(1)
        assert feed.session.disk(whole=True) == of_disk(3)
        state = ViewState()
        table = table_of(state, feed.session.counted(whole=False), None, feed.session.names)
        for width, line in ((80, LINE), (100, f"{LINE}  0.80 read IOPS")):
            lines = draw_screen(state, feed.session, table, (width, 24), SideInfo()).lines
            assert "".join(text for text, _ in lines[2]) == line


def test_what_is_measured_in_part_is_unknown(tmp_path: Path) -> None:
    with closing(History.open(recorded(tmp_path, seconds=SECONDS / 2))) as history:
        feed = ReplaySource(history, uncategorized, Window(at(0), at(40)), interval=0.0)
        stop = Event()
        stop_after = next(feed.intervals(stop))
        stop.set()
        assert stop_after.disk is None


@pytest.mark.parametrize(
    ("seconds", "facts", "share"),
    [
        (
            SECONDS,
            [
                (
                    "device sda by diskstats: 0.80 read IOPS, 6.40 KiB/s read, 0 write IOPS,"
                    " r_await 0.20 ms"
                ),
                (
                    "99.5 % of these blocks came from the operating system's cache: 0.01 MiB/s of"
                    " 1.25 MiB/s reached the disk"
                ),
            ],
            0.995,
        ),
        (
            SECONDS / 2,
            [
                (
                    "device sda by diskstats: 1.60 read IOPS, 12.8 KiB/s read, 0 write IOPS,"
                    " r_await 0.20 ms, measured in 50.0 % of the time, OS cache –"
                )
            ],
            None,
        ),
    ],
)
def test_a_report_has_a_sentence_where_both_rates_are_known(
    tmp_path: Path, seconds: float, facts: list[str], share: float | None
) -> None:
    with closing(History.open(recorded(tmp_path, seconds=seconds))) as history:
        totals = history.totals(Window(at(0), at(30)), By.STATEMENT)
        names = history.names(uncategorized)
        page = document(totals, rank_window(history, totals, names))
    assert list(page.facts) == facts
    assert next(iter(page.objects))["devices"][0]["os_cache_share"] == share


class Device:
    """A device that counts when it is polled."""

    description = "sda"
    every = None

    def __init__(self) -> None:
        self.polls = 0

    def poll(self) -> list[DeviceInterval]:
        self.polls += 1
        return [] if self.polls == 1 else [measured(self.polls - 2)]


def test_a_live_session_measures_the_device_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = Device()
    monkeypatch.setattr(disk, "choose", lambda *_, **__: device)
    read = snapshots(3)
    deltas = [diff(None, read[0]), *(diff(a, b) for a, b in pairwise(read))]
    live = disk.LiveDisk(lambda: 0.0)
    try:
        found = [live.reads(delta, lambda: None) for delta in deltas]
    finally:
        live.end()
    assert found == [None, of_disk(1), of_disk(1)]


@pytest.mark.parametrize(
    "error",
    [
        PgiostatError("connection to the server was lost", slug="connection-lost"),
        ValueError("a line of the kernel that nobody expected"),
    ],
)
def test_a_session_goes_on_without_a_device(error: Exception) -> None:
    def lost() -> None:
        raise error

    live = disk.LiveDisk(lambda: 0.0)
    delta = diff(reading(0), reading(10))
    assert live.reads(delta, lost) is None
    assert live.reads(None, lost) is None
    live.end()


def test_a_device_that_read_more_than_the_server_tells_no_share() -> None:
    more = replace(of_disk(1), read_bytes=SERVER_BYTES * 2)
    assert (of_disk(1).cached_share, more.cached_share) == (0.995, None)
    assert replace(of_disk(1), server_bytes=None).cached_share is None
