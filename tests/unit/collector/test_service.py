"""Collecting many servers, seen from within: who waits for whom, what is said, and how often."""

import math
import os
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Event
from types import FrameType

import pytest

from pgiostat.analysis.covered_reads import CoveredReads
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.clock import Backoff
from pgiostat.collector import fleet as fleets
from pgiostat.collector import schedule as schedules
from pgiostat.collector.fleet import Fleet
from pgiostat.collector.incidents import IncidentLog
from pgiostat.collector.interval_log import EVICTING_HINT, IntervalLog, _Hour
from pgiostat.collector.log import configure
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.systemd import notify
from pgiostat.collector.targets import Plan, Target
from pgiostat.errors import PgiostatError
from pgiostat.history.write import background
from pgiostat.history.write.background import BackgroundCompaction
from pgiostat.history.write.retention import Keep
from pgiostat.postgres.sampler import IntervalResult
from pgiostat.queries.describe import uncategorized
from pgiostat.signals import Wake
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.difference import diff
from pgiostat.volume.device.discover import DeviceOption
from tests.support.readings import at, reading, said_to

NOWHERE = "host=/nowhere"
REPORT = "This is a bug in pgiostat. Report it with this reference; docs/errors.md describes how."


class Here:
    """A fleet in this process, and what it said."""

    def __init__(self, root: Path, ends: float | None = None) -> None:
        self.out = StringIO()
        self.wake = Wake()
        self.fleet = Fleet(root, configure(self.out), self.wake, ends)

    def said(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.out.getvalue().splitlines()]

    def until(self, holds: Callable[[], bool]) -> None:
        waiting = Event()
        for _ in range(3_000):
            self.fleet.reap()
            if holds():
                return
            waiting.wait(0.01)
        pytest.fail(f"it never came to that: {self.said()}")

    def samples(self, label: str) -> int:
        return self.fleet._collected[label].recorder.samples


@contextmanager
def fleet(root: Path, ends: float | None = None) -> Iterator[Here]:
    """Yield a fleet, and end it at last."""
    here = Here(root, ends)
    try:
        yield here
    finally:
        here.fleet.end()


def plan(**dsns: str) -> Plan:
    return Plan(tuple(Target(dsn, label, 0.1) for label, dsn in dsns.items()))


@pytest.mark.once
def test_a_server_that_never_answers_delays_no_other_no_change_and_no_end(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, fleet(tmp_path) as here:
        hanging = f"host=127.0.0.1 port={deaf.getsockname()[1]} connect_timeout=20"
        here.fleet.follow(plan(deaf=hanging, good=database))
        here.until(lambda: here.samples("good") > 5)
        # Gone, or with connection changed: what is new does not wait for it.
        here.fleet.follow(plan(deaf=database, good=database, new=database))
        here.until(lambda: here.samples("new") > 1)
        there = here.fleet._collected["deaf"]
        assert (there.target.dsn, there.thread.is_alive()) == (hanging, True)
        good = here.fleet._collected["good"]
        assert good.recorder.samples > 5
        monkeypatch.setattr(fleets, "PATIENCE_SECONDS", 1.5)
        here.fleet.end()
        assert (there.thread.is_alive(), good.thread.is_alive()) == (True, False)
        assert here.said()[-1] == "deaf: does not respond; ending without it"
        deaf.close()
    there.thread.join(30)
    assert not there.thread.is_alive()


def test_an_unexpected_error_is_logged_once_and_collecting_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def run(recorder: Recorder) -> None:
        runs.append(recorder.label)
        if recorder.label == "bad" and runs.count("bad") <= 3:
            raise KeyError("password=s3cret")
        recorder.schedule.stop.wait(30)

    monkeypatch.setattr(Recorder, "run", run)
    monkeypatch.setattr(schedules, "RETRY", Backoff(0.01, 0.01))
    with fleet(tmp_path) as here:
        here.fleet.describe = uncategorized
        here.fleet.follow(plan(bad=NOWHERE, good=NOWHERE))
        here.until(lambda: runs.count("bad") == 4)
        line = re.sub(r"error [0-9a-f]{8}", "error REF", here.said()[0])
        assert re.sub(r":\d+ ", ":LINE ", line) == (
            "bad: unexpected error REF: KeyError in pgiostat/collector/fleet.py:LINE (_supervise),"
            f" at collector/test_service.py:LINE (run); trying again. {REPORT}"
        )
        assert here.said()[1:] == []
        assert (here.fleet.failed, here.fleet.is_over) == (set(), False)
        assert here.fleet.status() == "2 servers · 1 failing: bad · 0 intervals"
        counted = {name: value for name, labels, value in here.fleet.metrics()[0].samples()
                   if name.endswith("_total") or labels == ("bad",)}  # fmt: skip
        assert counted["pgiostat_errors_total"] == 3.0
        assert counted["pgiostat_up"] == 0.0
    assert here.fleet.is_over
    # It was in trouble when it ended.
    assert here.fleet.failed == {"bad"}


def test_what_cannot_be_collected_from_the_start_ends_and_what_fails_later_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = PgiostatError("no room", slug="history-unwritable")
    raised: dict[str, list[Exception]] = {"start": [full], "later": [KeyError("x"), full]}

    def run(recorder: Recorder) -> None:
        if raised[recorder.label]:
            raise raised[recorder.label].pop(0)

    monkeypatch.setattr(Recorder, "run", run)
    monkeypatch.setattr(Schedule, "pause", lambda _: None)
    with fleet(tmp_path) as here:
        here.fleet.follow(plan(start=NOWHERE, later=NOWHERE))
        here.until(lambda: here.fleet.is_over)
    assert here.fleet.failed == {"start", "later"}
    assert raised == {"start": [], "later": []}
    assert "start: no room." in here.said()
    assert "later: no room; trying again" in here.said()


@pytest.mark.once
def test_the_time_is_over_for_all_at_once_and_nothing_begins_after_it(
    database: str, tmp_path: Path
) -> None:
    with fleet(tmp_path, 1.0) as here:
        here.fleet.follow(plan(a=database))
        here.until(lambda: here.samples("a") > 1)
        here.fleet.follow(plan(a=database, late=database))
        here.until(lambda: here.fleet.is_over)
        here.fleet.follow(plan(a=database, late=database))
        here.until(lambda: here.fleet.is_over)
    ends = [line for line in here.said() if " committed" in line]
    assert sorted(line.partition(":")[0] for line in ends) == ["a", "late"]
    assert here.fleet.failed == set()


def test_how_long_it_is_kept_is_read_again_for_who_goes_on(tmp_path: Path) -> None:
    with fleet(tmp_path) as here:
        here.fleet.follow(plan(prod=NOWHERE))
        recorder = here.fleet._collected["prod"].recorder
        month = Keep(timedelta(days=30), timedelta(days=30))
        here.fleet.follow(Plan(plan(prod=NOWHERE).targets, keep=month))
        assert here.fleet._collected["prod"].recorder is recorder
        assert recorder.keep == month


def test_another_device_is_a_change(tmp_path: Path) -> None:
    with fleet(tmp_path) as here:
        here.fleet.follow(plan(a=NOWHERE, b=NOWHERE))
        other = Plan((Target(NOWHERE, "a", 0.1, DeviceOption("sda")), Target(NOWHERE, "b", 0.1)))
        assert list(here.fleet.changes(other)) == ["device changed: a"]


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_trouble_is_said_when_it_begins_and_when_it_ends() -> None:
    said: list[str] = []
    clock = Clock()
    trouble = IncidentLog(said_to(said), clock)
    assert not trouble.end("server")
    for what in ("lost", "refused", "refused", "lost"):
        trouble.begin("server", what, "Why.")
        clock.now += 30
    trouble.begin("history", "no room")
    assert (trouble.now(), trouble.now("history"), trouble.now("texts")) == ("lost", "no room", "")
    clock.now += 10
    assert trouble.end("history")
    assert trouble.end("server")
    trouble.begin("server", "lost", None, "Look there.")
    assert said == [
        "lost: Why; trying again",
        "refused: Why; trying again",
        "no room; trying again",
        "recovered after 10.0 s: no room",
        "recovered after 2 min 10 s: lost",
        "lost; trying again. Look there.",
    ]


def fail(error: Exception) -> None:
    raise error


def test_an_error_with_a_reference_is_logged_once_in_all_incidents_and_counted() -> None:
    lines: list[str] = []
    failures: list[str] = []
    clock = Clock()
    incidents = IncidentLog(said_to(lines), clock, lambda error: failures.append(error.slug))
    fault = PgiostatError("the fault 1", detail="It is here.", slug="unexpected-error")
    for _ in range(3):
        incidents.begin_error("server", fault)
        assert incidents.now("server") == "the fault 1"
        assert incidents.end("server")
    for error in (fault, PgiostatError("no room", slug="history-unwritable")):
        with incidents.guard("device"):
            fail(error)
        assert incidents.now() == error.message
        clock.now += 10
    with incidents.guard("device"):
        pass
    assert incidents.now() == ""
    for _ in range(2):
        incidents.log_repeated()
    assert failures == ["unexpected-error", "history-unwritable"]
    assert lines == [
        "the fault 1: It is here; trying again",
        "recovered after 0.00 s: the fault 1",
        "no room; trying again",
        "recovered after 20.0 s: no room",
        "the fault 1: It is here: 3 more times",
    ]


class Stop(Event):
    """An event that notes for how long somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(-1.0 if timeout is None else timeout)
        return self.is_set()


def test_a_schedule_waits_longer_after_each_failure_and_never_past_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedules, "RETRY", Backoff(1.0, 60.0))
    clock, stop = Clock(), Stop()
    schedule = Schedule(stop, ends=100.0, delay=7.0, clock=clock)
    assert (schedule.left, schedule.is_over) == (100.0, False)
    clock.now = 50.0
    schedule.begin()
    schedule.wait_to_begin()
    clock.now = 60.0
    schedule.begin()  # another attempt has no time of its own
    assert schedule.left == 90.0
    for _ in range(3):
        schedule.pause()
    schedule.succeeded()
    schedule.pause()
    schedule.stop_if_over()
    assert not schedule.is_over
    clock.now = 149.5
    schedule.pause()
    clock.now = 151.0
    schedule.pause()
    assert stop.waits == [7.0, 1.0, 2.0, 4.0, 1.0, 0.5, 0.0]
    assert [schedule.left, schedule.is_over, stop.is_set()] == [-1.0, True, False]
    schedule.stop_if_over()
    assert stop.is_set()
    endless = Schedule(Stop())
    assert (endless.left, endless.is_over) == (math.inf, False)


def test_texts_that_are_missing_are_trouble(tmp_path: Path) -> None:
    said: list[str] = []
    target, schedule = Target(NOWHERE, "prod"), Schedule(Event(), clock=Clock())
    made = Recorder(target, tmp_path, uncategorized, schedule, said_to(said))
    delta = diff(reading(0), reading(10))
    unreadable = PgiostatError("a text cannot be shown", slug="texts-unreadable")
    for error in (None, unreadable, unreadable, None):
        made._log_result(IntervalResult(delta, texts_error=error))
    assert said == [
        "texts are missing: a text cannot be shown; trying again",
        "recovered after 0.00 s: texts are missing: a text cannot be shown",
    ]


@pytest.mark.parametrize(
    ("statements", "server", "shown"),
    [(0, 0, "–"), (50, 100, "50.0 %"), (100, 100, "100 %"), (134, 100, "100 %")],
)
def test_the_last_line_tells_no_coverage_above_all(
    statements: int, server: int, shown: str
) -> None:
    covered = CoveredReads(None, statements, ServerReads(blocks=server))
    hour = _Hour(0.0, 10.0, 3, Counter([Quality.OK]), covered)
    assert (
        hour.summary(committed=True) == f"1 interval committed in 10.0 s, 3 rows, coverage {shown}"
    )


HOUR = "6 intervals in 3 min, 0 rows, coverage –, 3 × gap, 2 × evicting (at least 1,500 entries)"


def test_how_intervals_are_flawed_is_said_once_an_hour_and_counted() -> None:
    said: list[str] = []
    clock = Clock()
    made = IntervalLog(said_to(said), clock)
    gap = diff(reading(0), reading(50), expected_seconds=10)
    evicting = diff(reading(50), reading(60, dealloc=3), expected_seconds=10)
    fine = diff(reading(60, dealloc=3), reading(70, dealloc=3), expected_seconds=10)
    for n in range(2):
        # What happened before the beginning is no news.
        for delta in (gap, evicting, fine, evicting, gap, gap):
            made.add(delta)
        due = [made.is_due]
        clock.now += 3600 * (n + 1)
        assert [*due, made.is_due] == [False, True]
        made.log_summary()
    assert said == [
        f"interval ending at 10:01:00Z: evicting (at least 750 entries); {EVICTING_HINT}",
        "interval ending at 10:00:50Z: gap",
        HOUR,
        "interval ending at 10:00:50Z: gap",
        f"interval ending at 10:01:00Z: evicting (at least 750 entries); {EVICTING_HINT}",
        HOUR,
    ]


def test_a_seal_that_fails_says_why_and_waits_ever_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    hours = iter([at(0), at(3600), at(7200)])
    made = BackgroundCompaction(tmp_path, "prod", clock, now=lambda: next(hours))
    for _ in range(3):
        made.add(1)
    running = []
    for step in (made.poll, made.finish, made.poll):
        step()
        running.append(made.is_running)
    assert running == [True, False, False]
    assert made.trouble == (
        f'could not compact: "{tmp_path}" is not a history: There is no "format.json".'
    )
    monkeypatch.setattr(subprocess, "Popen", no_process)
    for wait in (60, 120, 240):
        clock.now += wait - 1
        made.poll()
        made.trouble = ""
        clock.now += 1
        made.poll()
        assert made.trouble == "could not start compaction: Cannot allocate memory"
    turns = [background._slots.acquire(blocking=False) for _ in range(background.MAX_AT_ONCE)]
    for _ in turns:
        background._slots.release()
    assert turns == [True, True]


def no_process(*_given: object, **_options: object) -> None:
    raise OSError(12, "Cannot allocate memory")


def test_a_wake_may_be_set_where_it_is_waited_for() -> None:
    wake = Wake()
    assert not wake.wait(0)

    def heard(_signal: int, _frame: FrameType | None) -> None:
        wake.set()

    before = signal.signal(signal.SIGALRM, heard)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert wake.wait(30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not wake.wait(0)


def test_a_wake_hears_a_signal_that_came_before_it_waits() -> None:
    wake, told = Wake(), list[int]()
    before = signal.signal(signal.SIGHUP, lambda number, _frame: told.append(number))
    try:
        with wake.by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            for _ in range(100_000):  # more words than there is room for
                wake.set()
            assert wake.wait(30)
        assert told == [signal.SIGHUP]
        while wake.wait(0):
            pass
        os.kill(os.getpid(), signal.SIGHUP)
        assert not wake.wait(0)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_log_whose_disk_is_full_goes_on_when_there_is_room() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with Path("/dev/full").open("w", buffering=1, encoding="utf-8") as full:
        configure(full).info("nobody hears this")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_systemd_is_told_by_either_kind_of_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("nobody asked")
    name = f"pgiostat-test-{os.getpid()}"
    for address, told in ((str(tmp_path / "s"), str(tmp_path / "s")), (f"\0{name}", f"@{name}")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(address)
            monkeypatch.setenv("NOTIFY_SOCKET", told)
            notify("READY=1")
            assert systemd.recv(100) == b"READY=1"
    notify("nobody is there any more")
