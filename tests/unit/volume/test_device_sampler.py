"""Measuring beside a collector: nobody waits for it, and nothing it told is told twice."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest

from pgiostat.collector import recorder as record
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import uncategorized
from pgiostat.volume.device.discover import AUTOMATIC, DeviceOption
from pgiostat.volume.device.interval import DeviceInterval, DeviceSource, Origin
from pgiostat.volume.device.sampler import DeviceSampler
from tests.support.clouds import REGION, cloud
from tests.support.collectors import collecting
from tests.support.readings import at, said_to


@dataclass
class Disk:
    """A device that is looked at, and how."""

    name: str = "sda"
    every: float | None = None
    looks: int = 0
    error: Exception | None = None
    goes_on: Event = field(default_factory=Event)

    @property
    def description(self) -> str:
        return self.name

    def poll(self) -> list[DeviceInterval]:
        self.looks += 1
        self.goes_on.wait(30)
        if self.error is not None:
            raise self.error
        return [DeviceInterval(at(self.looks), 1.0, Origin.DISKSTATS, self.name, self.looks)]


@dataclass
class Here:
    """What measures a disk, with a clock that is set."""

    disk: Disk = field(default_factory=Disk)
    now: float = 0.0
    chosen: int = 0
    error: PgiostatError | None = None
    measuring: DeviceSampler = field(init=False)

    def __post_init__(self) -> None:
        self.disk.goes_on.set()
        self.measuring = DeviceSampler(AUTOMATIC, lambda *_: self.choose(), lambda: self.now)
        self.measuring.retarget(None)

    def choose(self) -> DeviceSource | None:
        self.chosen += 1
        if self.error is not None:
            raise self.error
        return self.disk

    def turn(self) -> list[int | None]:
        """Return the reads that wait to be written, when the thread has done what it was asked."""
        self.measuring.poll()
        assert self.measuring._idle.wait(30)
        return [each.reads for each in self.measuring._waiting]

    def written(self) -> None:
        self.measuring.acknowledge(len(self.measuring._waiting))


@pytest.fixture
def here() -> Iterator[Here]:
    made = Here()
    yield made
    made.disk.goes_on.set()
    made.measuring.end()


def test_a_kernel_is_looked_at_again_when_what_it_told_is_written(here: Here) -> None:
    assert here.turn() == [1]
    assert here.turn() == [1]
    here.written()
    assert here.turn() == [2]
    assert (here.disk.looks, here.chosen, here.measuring.description) == (2, 1, "sda")


def test_a_cloud_is_asked_at_its_own_times_whether_anything_is_written_or_not(here: Here) -> None:
    here.disk.every = 300.0
    assert here.turn() == [1]
    here.now = 299.0
    assert here.turn() == [1]
    here.now = 300.0
    assert here.turn() == [1, 2]
    here.written()
    assert here.turn() == []


def test_what_hangs_is_not_waited_for_and_asked_once(here: Here) -> None:
    assert here.turn() == [1]
    here.written()
    here.disk.goes_on.clear()
    assert [here.measuring.poll() for _ in range(50)] == [[]] * 50
    here.disk.goes_on.set()
    assert here.measuring._idle.wait(30)
    assert here.disk.looks == 2
    assert here.turn() == [2]


def test_a_failure_is_told_until_it_is_over_and_tried_again_after_a_while(here: Here) -> None:
    wrong = PgiostatError("device sda cannot be read", slug="device-missing")
    here.disk.error = wrong
    assert here.turn() == []
    assert (here.measuring.trouble, here.measuring.is_expected) == (wrong, True)
    here.disk.error = None
    assert here.turn() == []
    here.now = 61.0
    assert here.turn() == [2]
    assert here.measuring.trouble is None


def test_an_error_that_nobody_expected_ends_nothing(here: Here) -> None:
    here.disk.error = KeyError("x")
    assert here.turn() == []
    assert here.measuring.trouble is not None
    assert here.measuring.trouble.detail == "KeyError: 'x'"
    here.disk.error, here.now = None, 61.0
    assert here.turn() == [2]


def test_a_new_connection_looks_for_the_device_anew_and_the_same_one_goes_on(here: Here) -> None:
    assert here.turn() == [1]
    here.written()
    before, here.disk = here.disk, Disk()
    here.measuring.retarget(None)
    assert here.turn() == [2]
    assert (before.looks, here.disk.looks, here.chosen) == (2, 0, 2)
    here.written()
    here.disk = Disk("sdb")
    here.disk.goes_on.set()
    here.measuring.retarget(None)
    assert here.turn() == [1]
    assert here.measuring.description == "sdb"


def test_a_device_that_is_not_found_is_looked_for_again_but_not_on_another_machine(
    here: Here,
) -> None:
    here.error = PgiostatError("unknown", slug="device-unknown")
    here.turn()
    here.turn()
    assert (here.chosen, here.measuring.is_expected, here.measuring.description) == (1, False, "")
    here.now = 61.0
    here.error = PgiostatError("the server is on another machine", slug="device-elsewhere")
    here.turn()
    here.now = 1000.0
    here.turn()
    assert here.chosen == 2
    here.error = None
    here.measuring.retarget(None)
    assert here.turn() == [1]


# with a collector


def recorded(
    database: str, root: Path, said: list[str], until: Callable[[Recorder], bool],
    asked: DeviceOption = AUTOMATIC,
) -> Recorder:  # fmt: skip
    """Collect until something holds, then end."""
    stop = Event()
    recorder = Recorder(
        Target(database, "prod", 0.1, asked),
        root,
        uncategorized,
        Schedule(stop),
        said_to(said),
    )
    worker = Thread(target=recorder.run)
    worker.start()
    for _ in range(600):
        if until(recorder):
            break
        stop.wait(0.05)
    stop.set()
    worker.join(30)
    assert not worker.is_alive()
    return recorder


def measured(root: Path) -> list[DeviceInterval]:
    """Return what a history says that devices did."""
    history = History.open(root)
    day, now = timedelta(days=1), datetime.now(UTC)
    return [
        each for found in history.device(Window(now - day, now + day)).values() for each in found
    ]


@pytest.mark.once
def test_a_device_that_hangs_delays_no_sample(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    monkeypatch.setattr(record, "choose", lambda *_, **__: disk)
    said: list[str] = []
    recorder = recorded(database, tmp_path, said, lambda running: running.samples >= 10)
    assert (recorder.samples >= 10, disk.looks) == (True, 1)
    assert measured(tmp_path) == []
    assert said[0] == "device: sda"
    disk.goes_on.set()


@pytest.mark.once
def test_a_device_that_cannot_be_read_is_said_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(error=PgiostatError("device sda cannot be read", slug="device-missing"))
    disk.goes_on.set()
    monkeypatch.setattr(record, "choose", lambda *_, **__: disk)
    said: list[str] = []
    recorded(database, tmp_path, said, lambda running: running.samples >= 5)
    told = [line for line in said if "sda" in line]
    assert told[-1] == "device sda cannot be read; trying again"
    assert len(told) == len(set(told))


@pytest.mark.once
def test_samples_and_what_the_device_did_go_side_by_side(database: str, tmp_path: Path) -> None:
    said: list[str] = []
    recorded(database, tmp_path, said, lambda running: running.samples >= 5)
    found = measured(tmp_path)
    if not found:
        pytest.skip(f"the data directory is on no block device: {said}")
    assert {each.source for each in found} == {Origin.DISKSTATS}
    assert len(found) >= 4
    gaps = [abs((newer.begin - older.end).total_seconds()) for older, newer in pairwise(found)]
    assert max(gaps) < 0.1  # begins where the one before ended, by two clocks


@pytest.mark.once
def test_a_collector_that_is_killed_writes_no_minute_twice(database: str, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    root = tmp_path / "history"
    arguments = (
        database, "--label", "prod", "--history", str(root), "--interval", "200ms",
        "--cloudwatch", f"{REGION}/db-1",
    )  # fmt: skip
    begins = [now - timedelta(minutes=n) for n in (5, 4, 3, 2)]
    with cloud() as there:
        there.tell("ReadIOPS", dict.fromkeys(begins[:2], 1.0))
        with collecting(tmp_path / "a", *arguments) as one:
            one.until(f"device: db-1 in {REGION}, by CloudWatch")
            until(lambda: _count(root) == 2)
            one.process.send_signal(signal.SIGKILL)
            one.process.wait(30)
        there.tell("ReadIOPS", dict.fromkeys(begins[2:], 2.0))
        with collecting(tmp_path / "b", *arguments) as two:
            until(lambda: _count(root) >= 4)
            assert two.end() == 0
    assert [(each.begin, each.reads) for each in measured(root)] == list(
        zip(begins, [60, 60, 120, 120], strict=True)
    )


def _count(root: Path) -> int:
    try:
        return len(measured(root))
    except PgiostatError:
        return 0


def until(holds: Callable[[], bool]) -> None:
    waiting = Event()
    for _ in range(600):
        if holds():
            return
        waiting.wait(0.05)
    pytest.fail("it never came to that")
