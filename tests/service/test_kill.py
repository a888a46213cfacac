"""kill -9 at any instant: what was acknowledged is there, once, and totals go on."""

import os
import random
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from tests.conftest import MakeServer
from tests.support.traffic import Traffic, difference, intervals, kept, userid_of
from tests.support.workloads import client

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("KILLS", "15"))
SERVER_KILLS = KILLS * 2 // 5
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("together", [(), ("together",)], ids=["alone", "together"])
def test_no_kill_loses_or_doubles_what_was_acknowledged(
    tmp_path: Path, together: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.support.kill_loop",
            str(tmp_path / "history"),
            str(KILLS),
            *together,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(
        r"(\d+) kills, (\d+) within a seal, (\d+) intervals, (\d+) looks, (\d+) lists anew",
        done.stdout.strip(),
    )
    assert told is not None
    print(told[0])  # noqa: T201 - shown by -s: what was tried
    kills, sealing, found, looks, _ = map(int, told.groups())
    assert kills == KILLS
    assert (sealing > KILLS // 10, found > KILLS, looks > KILLS) == (True, True, True)
    # What a cloud tells again after each kill is there once.
    history = History.open(tmp_path / "history")
    (server,) = history.servers()
    (minutes,) = history.device(Window(server.since, server.until)).values()
    assert [each.reads for each in minutes] == list(range(1, server.samples + 1))


@dataclass
class Collecting:
    """A collector as a user starts it, and its log."""

    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stderr=log)

    def commits(self, root: Path, more: int) -> None:
        """Wait until so many more samples are committed."""
        wanted = last_of(root) + more
        for _ in range(2_000):
            if last_of(root) >= wanted:
                return
            if self.process.poll() is not None:
                break
            Event().wait(0.02)
        pytest.fail(f"no sample: {self.log.read_text()}")

    def end(self, number: int) -> int:
        """Send a signal, and return the status with which it ended."""
        self.process.send_signal(number)
        return self.process.wait(30)


def last_of(root: Path) -> int:
    """Return the number of the newest sample."""
    return max((sample.number for sample in Layout(root).hot_samples()), default=0)


@pytest.mark.once
def test_a_collector_killed_again_and_again_adds_up_to_the_servers_own_counts(
    make_server: MakeServer, tmp_path: Path
) -> None:
    dsn = make_server().dsn()
    root = tmp_path / "history"
    command = [
        *(sys.executable, "-m", "pgiostat", "collect", dsn),
        *("--interval", "0.2s", "--history", str(root), "--label", "prod"),
    ]
    dice = random.Random(12)  # noqa: S311 - about the same instants in each run
    traffic = Traffic.arranged(dsn)
    with client(dsn) as other:
        before = traffic.counted(other)
    collector = Collecting(command, tmp_path / "log")
    try:
        collector.commits(root, 1)  # now there is a reading to go on from, whatever happens
        with traffic.flowing():
            for number in range(SERVER_KILLS):
                if number % 3:
                    collector.commits(root, dice.choice([1, 2]))
                    Event().wait(dice.uniform(0, 0.2))
                else:  # it may not even have begun
                    Event().wait(dice.uniform(0, 1))
                if number % 2:
                    compact(Layout(root), "prod")
                assert collector.end(signal.SIGKILL) == -signal.SIGKILL
                collector = Collecting(command, tmp_path / "log")
            collector.commits(root, 1)
        assert collector.end(signal.SIGTERM) == 0
    finally:
        if collector.process.poll() is None:
            collector.end(signal.SIGKILL)
    said = (tmp_path / "log").read_text("utf-8").splitlines()
    assert sum("continuing from the snapshot" in line for line in said) == 1
    with client(dsn) as other:
        counted = difference(before, traffic.counted(other))
        assert traffic.by_text(other, counted) == traffic.sent
    whose = userid_of(counted)
    assert kept(root, whose) == counted
    compact(Layout(root), "prod")
    assert kept(root, whose) == kept(root, whose, "stmt_1h") == counted
    # One interval begins where another ends, whoever was killed in between.
    times = intervals(root)
    assert [until for _, until in times[:-1]] == [since for since, _ in times[1:]]
