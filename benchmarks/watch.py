"""What watching costs: CPU of client and server, memory, time to the first screen and numbers.

    python benchmarks/watch.py [--quick] [--json] [--strict] [--seconds 60] [--statements 5000]

It starts a PostgreSQL of its own with so many statements, a fifth of which run, and then each
program in a pseudo-terminal of fixed size, one after the other, at an interval of one second;
before that each is started some times, in turns. pg_activity is taken where `pg_activity` is on the
PATH or --pg-activity says; it knows no statements, so that it reads less. At last an hour of
seconds is played through the application, with a clock of its own, on a made-up server where fifty
statements come and go in each.

server ms: the server's processes but the one that runs the statements. drawn: when the first screen
is there. server s: when what was read from the server is on it. numbers: when rates are. start CPU:
seconds of CPU until the server is, which a busy machine does not change. --quick is within 3
minutes: fewer starts, less time, and a quarter of the hour.
"""

import argparse
import asyncio
import fcntl
import json
import math
import os
import platform
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import psutil
import psycopg

from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries

COLUMNS = 13
"""Each is there or not: 8,192 statements of different queryid."""
SIZES = ((80, 24), (200, 60))
GOALS = {(80, 24): 25.0, (200, 60): 60.0}
RSS_GOAL_MB = 110.0
FIRST_GOAL = 2.0
"""Times as long as pg_activity's."""
GROWTH_GOAL_MB = 5.0
WARM_UP_SECONDS = 5.0
HOUR, STEADY = 3600, 600
"""Seconds that are played, and those of them in which what is kept fills."""
OURS = (b"pgiostat", b"baseline taken", b"unattributed")
"""What is on the screen when anything is, when the server is, and when numbers are."""
THEIRS = (b"PostgreSQL", b"PostgreSQL", b"PID")


Program: TypeAlias = tuple[str, Sequence[str], Sequence[bytes]]
"""Its name, its command, and what it shows."""


def statements(count: int) -> list[str]:
    """Return statements of different shape."""
    names = [f"c{n}" for n in range(COLUMNS)]
    return [
        f"SELECT {', '.join(name for bit, name in enumerate(names) if number >> bit & 1)} FROM wide"
        for number in range(1, count + 1)
    ]


@dataclass(frozen=True)
class Served:
    """A server: how to connect to it, its first process, and that which runs the statements."""

    dsn: str
    postmaster: int
    loaded: int

    def cpu(self) -> float:
        """Return the CPU seconds of all its processes but that one."""
        first = psutil.Process(self.postmaster)
        spent = 0.0
        for each in (first, *first.children(recursive=True)):
            try:
                spent += sum(each.cpu_times()[:2]) if each.pid != self.loaded else 0.0
            except psutil.NoSuchProcess:
                continue
        return spent


@contextmanager
def serving(count: int) -> Iterator[Served]:
    """Yield a server on which a fifth of the statements run."""
    place = Path(tempfile.mkdtemp(prefix="pgiostat-bench-"))
    place.chmod(0o711)
    settings: dict[str, Setting] = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.max": 10_000,
        "fsync": False,
        "autovacuum": False,
    }
    cluster = Cluster(embedded_binaries(), place / "server", settings=settings)
    cluster.initialise()
    stop = threading.Event()
    asked = statements(count)

    def work(connection: psycopg.Connection) -> None:
        while not stop.is_set():
            for text in asked[::5]:
                if stop.wait(0.0008):
                    return
                connection.execute(text.encode())

    try:
        with cluster:
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION pg_stat_statements")
                listed = ", ".join(f"c{n} int" for n in range(COLUMNS))
                connection.execute(f"CREATE TABLE wide ({listed})".encode())
                for text in asked:
                    connection.execute(text.encode())
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                worker = threading.Thread(target=work, args=(connection,))
                worker.start()
                try:
                    loaded = connection.info.backend_pid
                    yield Served(cluster.dsn(), psutil.Process(loaded).ppid(), loaded)
                finally:
                    stop.set()
                    worker.join()
        cluster.destroy()
    finally:
        shutil.rmtree(place, ignore_errors=True)


# What a program asks a terminal and waits for: capabilities, a version, where the cursor is.
QUESTIONS = {
    re.compile(rb"\x1bP\+q[0-9a-f;]*\x1b\\"): b"\x1bP0+r\x1b\\",
    re.compile(rb"\x1b\[>q"): b"\x1bP>|benchmark\x1b\\",
    re.compile(rb"\x1b\[6n"): b"\x1b[1;1R",
}


@dataclass(frozen=True)
class Start:
    """Seconds until a screen is drawn, until the server is on it, and until numbers are.

    server_cpu_s: of CPU until the server is: what a busy machine does not change.
    """

    drawn_s: float
    server_s: float
    numbers_s: float
    server_cpu_s: float


@dataclass(frozen=True)
class Cost:
    """What a program takes: CPU milliseconds of an update, in the client and in the server."""

    ms_an_update: float
    server_ms_an_update: float
    rss_mb: float


@contextmanager
def running(
    command: Sequence[str], size: tuple[int, int], signs: Sequence[bytes]
) -> Iterator[tuple[psutil.Process, int, Start]]:
    """Yield a program on a terminal, and when it showed its signs."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        watched = psutil.Process(process.pid)
        seen = b""
        came: list[float] = []
        spent: list[float] = []
        while len(came) < len(signs) and process.poll() is None:
            seen += _read(mine)
            if time.perf_counter() - began > 30:
                break
            while len(came) < len(signs) and signs[len(came)] in seen:
                came.append(time.perf_counter() - began)
                spent.append(sum(watched.cpu_times()[:2]))
        drawn, first, numbers = [*came, *[math.nan] * 3][:3]
        start = Start(drawn, first, numbers, spent[1] if len(spent) > 1 else math.nan)
        try:
            yield watched, mine, start
        finally:
            process.send_signal(signal.SIGTERM)
            _drain(mine, 1.0, process)
            process.kill()
    os.close(mine)


def started(commands: Sequence[Program], size: tuple[int, int], times: int) -> dict[str, Start]:
    """Return the median start of each program, all of them started in turns."""
    found: dict[str, list[Start]] = {}
    for _ in range(times):
        for name, command, signs in commands:
            with running(command, size, signs) as (_, _, start):
                found.setdefault(name, []).append(start)
    return {
        name: Start(*(statistics.median(each) for each in zip(*map(astuple, starts), strict=True)))
        for name, starts in found.items()
    }


def cost(
    command: Sequence[str],
    size: tuple[int, int],
    seconds: float,
    signs: Sequence[bytes],
    served: Served,
) -> Cost:
    """Return what a program takes while it is open, an update a second."""
    with running(command, size, signs) as (process, terminal, _):
        _drain(terminal, WARM_UP_SECONDS)
        before = sum(process.cpu_times()[:2]), served.cpu()
        _drain(terminal, seconds)
        client, server = sum(process.cpu_times()[:2]) - before[0], served.cpu() - before[1]
        memory = process.memory_info().rss / 1e6
    return Cost(client * 1000 / seconds, server * 1000 / seconds, memory)


def played(seconds: int) -> tuple[float, float]:
    """Return how far memory grew in an hour that was played, from its steady state on, and to what.

    In MB, by the highest of a tenth of the time: what is forgotten is so from time to time.
    """
    code = f"from benchmarks.watch import play; play({seconds})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    sizes = json.loads(done.stdout.splitlines()[-1])
    steady = sizes[STEADY:]
    part = len(steady) // 10
    return (max(steady[-part:]) - max(steady[:part])) / 1e6, max(steady) / 1e6


def play(seconds: int) -> None:
    """Play so many seconds through the application, and print the memory at the end of each."""
    # Who only measures programs needs none of this.
    from benchmarks.watch_load import World, watching  # noqa: PLC0415
    from pgiostat.watch.app import WatchApp  # noqa: PLC0415
    from pgiostat.watch.state import View, ViewState  # noqa: PLC0415

    process = psutil.Process()
    sizes: list[int] = []
    world = World(seconds, begin=lambda _: sizes.append(process.memory_info().rss))
    with watching(world) as feed:
        app = WatchApp(feed, ViewState(view=View.STATEMENT))

        async def sit() -> None:
            async with app.run_test(size=SIZES[0]) as pilot:
                while app.watch_session.shown < seconds:
                    await pilot.pause(0.1)

        asyncio.run(sit())
    print(json.dumps(sizes))


def _read(descriptor: int) -> bytes:
    if not select.select([descriptor], [], [], 0.02)[0]:
        return b""
    try:
        said = os.read(descriptor, 65_536)
        for question, answer in QUESTIONS.items():
            os.write(descriptor, answer * len(question.findall(said)))
    except OSError:
        return b""
    return said


def _drain(descriptor: int, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends and (process is None or process.poll() is None):
        _read(descriptor)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within 3 minutes")
    parser.add_argument("--seconds", type=float, help="of each program, 60 by default")
    parser.add_argument("--statements", type=int, default=5000)
    parser.add_argument("--pg-activity", default=shutil.which("pg_activity"), metavar="PATH")
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    asked = parser.parse_args()
    seconds = asked.seconds or (10.0 if asked.quick else 60.0)
    times = 3 if asked.quick else 7
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()}"
        f" processors, load {os.getloadavg()[0]:.1f}; {asked.statements:,} statements,"
        f" interval 1 s, {seconds:g} s each, started {times} times"
    )
    judge = _Judge()
    with serving(asked.statements) as served:
        for size in SIZES:
            _compare(judge, served, size, asked.pg_activity, seconds=seconds, times=times)
    played_seconds = HOUR // 4 if asked.quick else HOUR
    growth, most = played(played_seconds)
    judge.found["hour"] = {"seconds": played_seconds, "growth_mb": growth, "rss_mb": most}
    print(f"\n{played_seconds:,} seconds played, fifty statements come and go in each")
    judge.tell("  grown after the first ten minutes", growth, GROWTH_GOAL_MB, "MB")
    if asked.json:
        print(json.dumps(judge.found))
    if asked.strict and judge.missed:
        raise SystemExit(f"missed: {', '.join(judge.missed)}")


class _Judge:
    """What was found, and what of it is not as it should be."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self.missed: list[str] = []

    def tell(self, what: str, value: float, goal: float, unit: str) -> None:
        """Print a figure beside its goal."""
        met = value <= goal
        print(f"{what:<44}{value:>8.2f} {unit:<4} goal ≤ {goal:g}: {'met' if met else 'MISSED'}")
        if not met:
            self.missed.append(what.strip())


def _compare(
    judge: _Judge,
    served: Served,
    size: tuple[int, int],
    pg_activity: str | None,
    *,
    seconds: float,
    times: int,
) -> None:
    """Measure the programs on a terminal of a size."""
    at = f"{size[0]}×{size[1]}"
    watch = (sys.executable, "-m", "pgiostat", "watch", served.dsn, "-i", "1", "--by")
    programs: list[Program] = [
        (f"pgiostat, by {view}", (*watch, view), OURS) for view in ("category", "statement")
    ]
    if pg_activity:
        programs.append(("pg_activity", (pg_activity, "--refresh", "1", served.dsn), THEIRS))
    starts = started(programs, size, times)
    heads = ("CPU ms", "server ms", "RSS MB", "drawn s", "server s", "numbers s", "start CPU")
    print(f"\n{at:<26}" + "".join(f"{head:>11}" for head in heads))
    costs: dict[str, Cost] = {}
    for name, command, signs in programs:
        costs[name] = cost(command, size, seconds, signs, served)
        figures = {**asdict(costs[name]), **asdict(starts[name])}
        judge.found[f"{name}, {at}"] = figures
        print(
            f"  {name:<24}" + "".join(f"{value:>11.2f}" for value in figures.values()), flush=True
        )
    for name in [name for name, _, signs in programs if signs is OURS]:
        judge.tell(f"  {name}, client CPU", costs[name].ms_an_update, GOALS[size], "ms")
        judge.tell(f"  {name}, memory", costs[name].rss_mb, RSS_GOAL_MB, "MB")
        if "pg_activity" in starts:
            ours, theirs = starts[name], starts["pg_activity"]
            ratio = ours.drawn_s / theirs.drawn_s
            judge.tell(f"  {name}, first screen by pg_activity's", ratio, FIRST_GOAL, "×")
            later = f"{ours.server_s / theirs.server_s:>8.2f} ×"
            print(f"  {name + ', the server on it':<42}{later}    (no goal)")


if __name__ == "__main__":
    main()
