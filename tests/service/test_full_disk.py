"""A disk that fills up and is freed costs resolution: nothing else, whoever was writing."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from pgiostat.clock import Backoff
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.history.format.layout import Layout
from pgiostat.queries.describe import uncategorized
from tests.conftest import MakeServer
from tests.support.disks import small_disk
from tests.support.readings import said_to
from tests.support.traffic import Totals, Traffic, difference, intervals, kept, userid_of
from tests.support.workloads import Connection, client

MEGABYTES = 4
FULL = 'could not write to the history in "{}": No space left on device'
SAID_WHEN_FULL = (
    'could not write to the history in "{}": No space left on device; trying again.'
    " Nothing is lost: the next interval includes this one."
)
SAID_WHEN_NOT_SEALED = "could not compact: No space left on device"
SAID_WHEN_FREED = "recovered after"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of a few megabytes."""
    with small_disk(tmp_path / "disk", MEGABYTES) as place:
        yield place


@dataclass
class Run:
    """A collector at work, an application, and the disk of the one."""

    dsn: str
    disk: Path
    traffic: Traffic
    before: Totals
    other: Connection
    said: list[str] = field(default_factory=list)
    stop: Event = field(default_factory=Event)
    intervals: list[tuple[datetime, datetime]] = field(default_factory=list)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(
            Target(self.dsn, "prod", 0.1),
            self.root,
            uncategorized,
            Schedule(self.stop),
            said_to(self.said),
        )

    @property
    def root(self) -> Path:
        return self.disk / "history"

    @property
    def failures(self) -> int:
        writer = self.recorder._committer._writer
        return writer.failures if writer else 0

    def now(self) -> datetime:
        """Return the server's time."""
        row = self.other.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment

    def until(self, holds: Callable[[], bool], meanwhile: Callable[[], object] = bool) -> None:
        """Wait until something holds."""
        for _ in range(4_000):
            if holds():
                return
            meanwhile()
            self.stop.wait(0.005)
        pytest.fail(f"it never came to that: {self.said}")

    def more(self, count: int) -> None:
        """Wait for so many samples."""
        wanted = self.recorder.samples + count
        self.until(lambda: self.recorder.samples >= wanted)

    def fill(self) -> None:
        """Take all room that is left."""
        with (self.disk / "filler").open("ab", buffering=0) as file:
            for size in (65_536, 4_096):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError as error:
                    assert error.strerror == "No space left on device"  # noqa: PT017 - this alone

    def full(self) -> tuple[datetime, datetime]:
        """Fill the disk and hold it; return two instants between which nothing was committed."""
        while True:
            self.fill()
            committed, begin = self.recorder.samples, self.now()
            self._fail()
            end = self.now()
            self._fail()
            # What a failed sample gave back may have been enough for the next.
            if self.recorder.samples == committed:
                return begin, end

    def _fail(self) -> None:
        """Wait for a sample that began from now on and could not be written."""
        wanted = self.failures + 2
        self.until(lambda: self.failures >= wanted, self.fill)

    def free(self) -> None:
        """Give the room back."""
        (self.disk / "filler").unlink()

    def check(self) -> list[tuple[datetime, datetime]]:
        """Compare what is kept with what the server counted, and return the intervals."""
        counted = difference(self.before, self.traffic.counted(self.other))
        assert self.traffic.by_text(self.other, counted) == self.traffic.sent
        whose = userid_of(counted)
        assert kept(self.root, whose) == kept(self.root, whose, "stmt_1h") == counted
        assert list(Layout(self.root).tmp.iterdir()) == []
        times = intervals(self.root)
        assert [until for _, until in times[:-1]] == [since for since, _ in times[1:]]
        return times


@contextmanager
def running(make_server: MakeServer, disk: Path) -> Iterator[Run]:
    """Yield a collector that has begun, while an application sends statements."""
    dsn = make_server().dsn()
    traffic = Traffic.arranged(dsn)
    with client(dsn) as other:
        run = Run(dsn, disk, traffic, traffic.counted(other), other)
        worker = Thread(target=run.recorder.run)
        worker.start()
        try:
            run.more(1)
            with traffic.flowing():
                yield run
        finally:
            run.stop.set()
            worker.join()
        # It took one more reading when it was told to stop.
        run.intervals = run.check()


@pytest.mark.once
def test_a_disk_that_was_full_costs_resolution_and_no_count(
    make_server: MakeServer, disk: Path
) -> None:
    with running(make_server, disk) as run:
        run.more(2)
        begin, end = run.full()
        run.free()
        run.more(2)
    # A busy machine may be late.
    other = re.compile(r"\d+ intervals? (committed )?in |interval ending at |device: ")
    said = [line for line in run.said if not other.match(line)]
    full = SAID_WHEN_FULL.format(run.root)
    assert said[::2] == [full] * (len(said) // 2)
    assert all(line.startswith(SAID_WHEN_FREED) for line in said[1::2])
    covering = [(since, until) for since, until in run.intervals if since <= begin < end <= until]
    assert len(covering) == 1


@pytest.mark.once
def test_a_seal_without_room_is_done_when_there_is_some(
    make_server: MakeServer, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = Event()
    monkeypatch.setattr("pgiostat.history.write.background.is_due", lambda *_: due.is_set())
    monkeypatch.setattr("pgiostat.history.write.background.RETRY", Backoff(0.2, 3.0))
    with running(make_server, disk) as run:
        layout = Layout(run.root)
        run.more(3)
        run.full()
        due.set()
        run.until(lambda: f"{SAID_WHEN_NOT_SEALED}; trying again" in run.said, run.fill)
        due.clear()
        assert min(sample.number for sample in layout.hot_samples()) == 1
        run.free()
        run.more(2)
        due.set()
        run.until(lambda: min(sample.number for sample in layout.hot_samples()) > 1)
        due.clear()
        run.more(1)
    assert len([line for line in run.said if SAID_WHEN_NOT_SEALED in line]) == 2
    assert [line for line in run.said if line.startswith(SAID_WHEN_FREED)][-1].endswith(
        f": {SAID_WHEN_NOT_SEALED}"
    )


@pytest.mark.once
def test_the_last_line_tells_what_could_not_be_written(make_server: MakeServer, disk: Path) -> None:
    dsn = make_server().dsn()
    traffic = Traffic.arranged(dsn)
    with client(dsn) as other:
        run = Run(dsn, disk, traffic, traffic.counted(other), other)
        worker = Thread(target=run.recorder.run)
        worker.start()
        try:
            run.more(1)
            run.full()
        finally:
            run.stop.set()
            while worker.is_alive():
                run.fill()
                worker.join(0.01)
    newest = intervals(run.root)[-1][1]
    why = FULL.format(run.root)
    told = re.compile(r"\d+ intervals? (committed )?in [^;]*; not committed: (.*)")
    found = [match[2] for line in run.said if (match := told.fullmatch(line))]
    since = f"{newest:%Y-%m-%d %H:%M:%S} UTC"
    lost = f"statement activity since {since} ({why}); the next run continues from there"
    assert found == [lost]
    assert not run.recorder.is_collecting
