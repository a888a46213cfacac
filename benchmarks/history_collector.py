"""What `pgiostat collect` takes while it collects from one server, and from fifty."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil
import psycopg
import pyarrow.parquet as pq
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from benchmarks.history_report import PROGRAM, Figures, environment
from benchmarks.snapshot import execute, fill, server
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.file_index import files
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import create

__all__ = ["collector"]

STATEMENTS = 5_000
ACTIVE_SHARE = 5
SERVERS, FEWER_SERVERS = 50, 5
STARTED_SAMPLES = 2
"""Texts and names have been learnt by then."""
CPU_GOAL, MEMORY_GOAL = 1.0, 120.0
POLL_SECONDS = 0.1
MOST_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Plan:
    """What to collect; interval, seconds: between samples and in all."""

    dsns: Sequence[str]
    labels: Sequence[str]
    interval: int
    seconds: int
    root: Path

    @property
    def command(self) -> list[str]:
        """The program that does it."""
        labelled = [part for label in self.labels for part in ("--label", label)]
        times = ["--interval", f"{self.interval}s", "--for", f"{self.seconds}s"]
        return [*PROGRAM, "collect", *self.dsns, *labelled, *times, "--history", str(self.root)]

    @property
    def log(self) -> Path:
        """What it says."""
        return self.root.with_suffix(".log")


@dataclass(frozen=True, slots=True)
class Watched:
    """What a process took: until all servers had their first samples, and from then on.

    cpu: seconds of CPU, its sealing children's too.  rss: MB.
    """

    start_seconds: float
    start_cpu: float
    seconds: float
    cpu: float
    start_rss: float
    rss: float

    @property
    def core_percent(self) -> float:
        """Per cent of a core, once it had started."""
        return self.cpu / self.seconds * 100


def collector(directory: Path, report: Figures, *, quick: bool) -> None:
    """Collect from one server, then from databases of it in one process as from many servers."""
    servers = FEWER_SERVERS if quick else SERVERS
    databases = [f"s{number}" for number in range(1, servers + 1)]
    with server() as (dsn, _):
        fill(dsn, STATEMENTS)
        with psycopg.connect(make_conninfo(dsn, dbname="template1"), autocommit=True) as admin:
            for name in databases:
                admin.execute(SQL("CREATE DATABASE {} TEMPLATE postgres").format(Identifier(name)))
        one = Plan([dsn], ["s0"], *((2, 16) if quick else (10, 120)), directory / "one")
        dsns = [make_conninfo(dsn, dbname=name) for name in databases]
        many = Plan(dsns, databases, *((4, 28) if quick else (10, 300)), directory / "many")
        for plan in (one, many):
            with working(dsn, plan.interval):
                show(watched(plan), plan, report)


@contextmanager
def working(dsn: str, interval: float) -> Iterator[None]:
    """Let a fifth of the statements run again and again, half an interval apart from each other."""
    stop = Event()

    def work() -> None:
        turn = 0
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not stop.wait(interval / 2):
                execute(connection, range(turn % ACTIVE_SHARE, STATEMENTS, 2 * ACTIVE_SHARE))
                turn += 1

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def watched(plan: Plan) -> Watched:
    """Run the program, and look at it until it ends."""
    create(plan.root, "bench", Disk(), version=version("pgiostat"))
    began = time.monotonic()
    with plan.log.open("wb") as out:
        child = subprocess.Popen(plan.command, stdout=out, stderr=out, env=environment())
    try:
        found = look(child, began, plan)
    finally:
        child.kill()
        status = child.wait()
    if found is None or status:
        sys.exit(f"the collector ended with {status}:\n{plan.log.read_text('utf-8')[-2000:]}")
    return found


def look(child: "subprocess.Popen[bytes]", began: float, plan: Plan) -> Watched | None:
    """Return what a process took until it ended; None if it ended before all had samples."""
    process = psutil.Process(child.pid)
    pause = Event()
    start: tuple[float, float, float] | None = None
    last = (0.0, 0.0, 0.0)
    while child.poll() is None and time.monotonic() < began + MOST_SECONDS:
        try:
            last = (time.monotonic() - began, spent(process), peak(child.pid))
        except (psutil.Error, OSError, IndexError):
            break  # it has just ended
        if start is None and all(committed(plan.root, label) for label in plan.labels):
            start = last
        pause.wait(POLL_SECONDS)
    child.wait(MOST_SECONDS)
    if start is None:
        return None
    return Watched(
        start_seconds=start[0],
        start_cpu=start[1],
        seconds=last[0] - start[0],
        cpu=last[1] - start[1],
        start_rss=start[2],
        rss=last[2],
    )


def spent(process: psutil.Process) -> float:
    """Return seconds of CPU, those of its children that have ended too."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def peak(pid: int) -> float:
    """Return the most memory that a process had at once, in MB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def committed(root: Path, label: str) -> bool:
    """Tell whether a collector has its first samples."""
    layout = Layout(root)
    return layout.sample(label, STARTED_SAMPLES).exists() or any(
        file.collector == label for file in layout.compacted_files("sample")
    )


@dataclass(frozen=True, slots=True)
class Punctuality:
    """How a server's samples kept to their schedule.

    lags: seconds of each behind its turn.  left_out: turns without a sample.
    """

    lags: Sequence[float]
    left_out: int


def punctuality(root: Path, interval: float) -> list[Punctuality]:
    """Return how punctual the samples of each server are, by their ts.

    The schedule is not written down: turns are an interval apart, and the sample after the
    longest time of the interval in which there is none is the most punctual one.
    """
    instants: dict[str, list[float]] = {}
    for path in files(Layout(root), "sample").paths:
        table = pq.read_table(path, columns=["label", "ts"], partitioning=None)
        for label, at in zip(*(column.to_pylist() for column in table.columns), strict=True):
            instants.setdefault(label, []).append(at.timestamp())
    found = []
    for given in instants.values():
        at = np.sort(given)
        phases = np.sort((at - at[0]) % interval)
        pauses = np.diff(phases, append=phases[0] + interval)
        punctual = phases[(int(pauses.argmax()) + 1) % len(phases)]
        turns = round((at[-1] - at[0]) / interval) + 1
        found.append(Punctuality(((phases - punctual) % interval).tolist(), turns - len(at)))
    return found


def show(found: Watched, plan: Plan, report: Figures) -> None:
    """Print what collecting took."""
    servers, interval = len(plan.dsns), plan.interval
    kept = punctuality(plan.root, interval)
    samples = statistics.median(len(of_server.lags) for of_server in kept)
    worst = max(max(of_server.lags) for of_server in kept)
    middle = statistics.median(lag for of_server in kept for lag in of_server.lags)
    left_out = sum(of_server.left_out for of_server in kept)
    changed = sum(
        pq.read_metadata(path).num_rows for path in files(Layout(plan.root), "stmt").paths
    )
    changed //= sum(len(of_server.lags) for of_server in kept)
    each = found.cpu / (found.seconds / interval) / servers
    of_core = found.core_percent
    key = f"collector {servers}"
    report.heading(
        f"Collecting from {servers} {'server' if servers == 1 else 'databases as servers'},"
        f" {STATEMENTS:,} statements, {changed:,} changed, every {interval} s,"
        f" {samples:g} samples each"
    )
    report.note(
        f"start: {found.start_seconds:.1f} s until all had {STARTED_SAMPLES} samples,"
        f" {found.start_cpu:.2f} s of CPU, {found.start_cpu / servers:.2f} a server,"
        f" peak {found.start_rss:.0f} MB"
    )
    report.note(
        f"then for {found.seconds:.0f} s: {of_core:.2f} % of a core, {each * 1e3:.0f} ms of CPU"
        f" a server and sample, peak {found.rss:.0f} MB in all"
    )
    report.note(
        f"samples behind their turns: median {middle:.3f} s, latest {worst:.3f} s;"
        f" {left_out} turns left out"
    )
    report.keep(
        key,
        {
            "start_s": found.start_seconds,
            "start_cpu_s": found.start_cpu,
            "start_rss_mb": found.start_rss,
            "core_percent": of_core,
            "cpu_s_a_server_and_sample": each,
            "rss_mb": found.rss,
            "lag_median_s": middle,
            "lag_latest_s": worst,
            "turns_left_out": left_out,
        },
    )
    if servers == 1:
        # What a sample costs does not depend on the pause between two.
        at_ten = each / 10 * 100
        report.goal("CPU at one sample in 10 s", f"{key}, CPU", at_ten, CPU_GOAL, "% core")
        report.goal("memory", f"{key}, memory", found.rss, MEMORY_GOAL, "MB")
