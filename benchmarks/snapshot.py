"""What a reading costs, beside other ways to read the same, interleaved in one run.

    python benchmarks/snapshot.py [--quick] [--json] [--strict] [--statements N ...]

It starts a PostgreSQL of its own and asks four things:

1. one snapshot beside the bare fetch of the same columns, COPY, SELECT * and count(*);
2. the difference of two snapshots, of which a fifth of the statements changed;
3. the start of the program;
4. how long other people's statements take while somebody takes readings.

CPU is that of the server's backend and of the client together.  Each round calls every candidate
once, in an order of its own; a ratio is the median of the ratios of the rounds, because what else
the machine does changes from round to round and is nearly the same within one.
"""

import argparse
import contextlib
import gc
import itertools
import json
import multiprocessing
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any, LiteralString

import numpy as np
import psycopg

from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.postgres.session import connect
from pgiostat.postgres.session_settings import SESSION_OPTIONS
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.counters import STATEMENTS
from pgiostat.statistics.difference import diff
from pgiostat.statistics.snapshot import Snapshot

ENTRIES = 60_000
SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": ENTRIES,
    "autovacuum": False,  # it would work in some rounds and not in others
    "fsync": False,
}

COLUMNS = 17
"""Each is a or b: 131,072 statements of different queryid."""
PADDING: LiteralString = "x" * 230
BATCH = 200
ACTIVE_SHARE = 5
NEW_PER_ROUND = 20

PGIOSTAT, BARE, COPY, STAR, FLOOR = (
    "pgiostat",
    "one bytea",
    "binary COPY",
    "SELECT *",
    "count(*)",
)
GOALS = {BARE: 1.15, STAR: 0.2}
DIFF_GOAL = 0.1
HELP_GOAL = 1.3
P99_GOAL = 1.05

WARM_UP = 2
WINDOW_SECONDS = 3.0
PAUSE_SECONDS = 0.001
MOST_PER_SECOND = 450
"""More pairs of statements than this never fit between the pauses."""


@dataclass
class Report:
    """What was found: for people as it comes, and in the end as one object.

    figures: by name, milliseconds by what they measure, or a ratio with its goal.
    """

    figures: dict[str, Mapping[str, float | bool]] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """Names of the figures that miss their goals."""
        return [name for name, figure in self.figures.items() if figure.get("met") is False]

    def heading(self, text: str, *columns: str) -> None:
        """Print what the next rows are."""
        print(f"\n{text}")
        if columns:
            print(f"  {'':<46}" + "".join(f"{column:>11}" for column in columns))

    def times(self, name: str, values: Mapping[str, float], key: str) -> None:
        """Print a row of milliseconds."""
        print(f"  {name:<46}" + "".join(f"{value:>11.2f}" for value in values.values()))
        self.figures[key] = {what: round(value, 4) for what, value in values.items()}

    def ratio(self, name: str, ratios: Sequence[float], goal: float | None, key: str) -> None:
        """Print the median of the ratios, where its middle half lies, and the goal."""
        ratio = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        line = f"  {name:<46}{ratio:>11.3f} × ({low:.2f}–{high:.2f})"
        figure: dict[str, float | bool] = {"ratio": round(ratio, 4)}
        if goal is not None:
            figure |= {"goal": goal, "met": ratio <= goal}
            line += f"   goal ≤ {goal:g}: {'met' if figure['met'] else 'MISSED'}"
        print(line)
        self.figures[key] = figure


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost, in milliseconds."""

    backend: float
    client: float
    wall: float

    @property
    def cpu(self) -> float:
        """CPU of both sides."""
        return self.backend + self.client

    @property
    def shown(self) -> dict[str, float]:
        """The columns of a table."""
        return {"backend": self.backend, "client": self.client, "CPU": self.cpu, "wall": self.wall}


class Candidate:
    """A way to read, on a connection of its own."""

    def __init__(self, connection: psycopg.Connection[Any], call: Callable[[], object]) -> None:
        self._schedstat = Path(f"/proc/{connection.info.backend_pid}/schedstat")
        self._call = call
        self.costs: list[Cost] = []

    def run(self) -> object:
        """Call once, note the cost and return the result."""
        with without_garbage():
            backend, client, wall = self._on_cpu(), time.process_time(), time.perf_counter()
            result = self._call()
            wall, client = time.perf_counter() - wall, time.process_time() - client
            backend = self._on_cpu() - backend
        self.costs.append(Cost(backend / 1e6, client * 1e3, wall * 1e3))
        return result

    @property
    def counted(self) -> list[Cost]:
        """The costs, without the first calls, which plan the query and fill caches."""
        return self.costs[WARM_UP:]

    def _on_cpu(self) -> int:
        """Return the nanoseconds that the backend has run."""
        return int(self._schedstat.read_text(encoding="ascii").split()[0])


@contextmanager
def without_garbage() -> Iterator[None]:
    """Collect garbage before and none inside: nobody pays for what another left."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def statement(number: int) -> LiteralString:
    """Return a statement of its own queryid for each number, of some 300 bytes."""
    columns = ", ".join("a" if number >> bit & 1 else "b" for bit in range(COLUMNS))
    return f"SELECT {columns} /* {PADDING} */ FROM t LIMIT 1"


def execute(connection: psycopg.Connection[Any], numbers: Sequence[int]) -> None:
    """Run these statements, many in one message; each gets an entry of its own."""
    for start in range(0, len(numbers), BATCH):
        batch = [statement(number) for number in numbers[start : start + BATCH]]
        connection.execute(";".join(batch))


def fill(dsn: str, statements: int) -> None:
    """Let pg_stat_statements hold so many entries, and a few of our own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        execute(connection, range(statements))
        counted = connection.execute("SELECT count(*) FROM pg_stat_statements(false)").fetchone()
    if counted is None or counted[0] < statements:
        sys.exit(f"pg_stat_statements holds {counted} entries instead of {statements}")


# 1 and 2: a snapshot and a difference


def candidates(dsn: str, stack: ExitStack) -> dict[str, Candidate]:
    """Return the ways to read, all with the settings of our own session but SELECT *."""
    session = connect(dsn)
    stack.callback(session.close)
    reading = STATEMENTS.select(session.extension.columns)
    source = "FROM public.pg_stat_statements(false) AS s"
    listed = ", ".join(f"{picked} AS c{i}" for i, (_, picked) in enumerate(reading.picked))

    def opened(options: str = SESSION_OPTIONS) -> psycopg.Connection[Any]:
        return stack.enter_context(psycopg.connect(dsn, autocommit=True, options=options))

    def fetching(query: str) -> Candidate:
        connection = opened()
        cursor = connection.cursor(binary=True)
        return Candidate(
            connection, lambda: cursor.execute(query.encode(), prepare=True).fetchone()
        )

    def copying(query: str) -> Candidate:
        connection = opened()

        def call() -> bytes:
            with connection.cursor().copy(query.encode()) as copy:
                return b"".join(copy)

        return Candidate(connection, call)

    def everything() -> Candidate:
        connection = opened(options="")
        return Candidate(
            connection, lambda: connection.execute("SELECT * FROM pg_stat_statements").fetchall()
        )

    return {
        PGIOSTAT: Candidate(session.conn, SnapshotReader(session).take),
        BARE: fetching(f"SELECT string_agg({reading.packed}, ''::bytea) {source}"),
        COPY: copying(f"COPY (SELECT {listed} {source}) TO STDOUT (FORMAT binary)"),
        STAR: everything(),
        FLOOR: fetching(f"SELECT count(*) {source}"),
    }


def snapshots(dsn: str, statements: int, rounds: int, report: Report) -> None:
    """Measure one snapshot beside the others, and its difference from the one before."""
    fill(dsn, statements)
    order = random.Random(statements)  # noqa: S311 - an order, not a secret
    older: Snapshot | None = None
    differences: list[float] = []
    with ExitStack() as stack:
        ways = candidates(dsn, stack)
        client = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        for turn in range(WARM_UP + rounds):
            new = statements + turn * NEW_PER_ROUND
            execute(client, range(turn % ACTIVE_SHARE, statements, ACTIVE_SHARE))
            execute(client, range(new, new + NEW_PER_ROUND))
            for name in order.sample(list(ways), len(ways)):
                result = ways[name].run()
                if isinstance(result, Snapshot):
                    newer = result
                del result
            differences.append(difference(older, newer))
            older = newer
    show_snapshots(ways, differences[WARM_UP:], statements, report)


def difference(older: Snapshot | None, newer: Snapshot) -> float:
    """Return the CPU of a difference in ms; the older one's keys are known from its own."""
    with without_garbage():
        began = time.process_time()
        delta = diff(older, newer)
        took = (time.process_time() - began) * 1e3
    if older and delta.appeared < NEW_PER_ROUND:
        sys.exit(f"the difference shows {delta.appeared} new statements")
    return took


def show_snapshots(
    ways: Mapping[str, Candidate], differences: list[float], statements: int, report: Report
) -> None:
    """Print medians, then ratios."""
    costs = {name: way.counted for name, way in ways.items()}
    ours = [cost.cpu for cost in costs[PGIOSTAT]]
    columns = list(costs[PGIOSTAT][0].shown)
    report.heading(f"A snapshot of {statements:,} statements, ms, medians of {len(ours)}", *columns)
    for name, noted in costs.items():
        medians = {
            column: statistics.median(cost.shown[column] for cost in noted) for column in columns
        }
        report.times(name, medians, f"snapshot {statements}: {name}")
    took = statistics.median(differences)
    without_server = {"backend": 0.0, "client": took, "CPU": took}
    report.times("difference from the one before", without_server, f"diff {statements}")
    report.heading("CPU, ratio (middle half)")
    for name, noted in costs.items():
        if name != PGIOSTAT:
            ratios = [cpu / cost.cpu for cpu, cost in zip(ours, noted, strict=True)]
            key = f"snapshot {statements} / {name}"
            report.ratio(f"snapshot ÷ {name}", ratios, GOALS.get(name), key)
    ratios = [taken / cpu for taken, cpu in zip(differences, ours, strict=True)]
    report.ratio("difference ÷ snapshot", ratios, DIFF_GOAL, f"diff {statements} / snapshot")


# 3: the start of the program


def start(pairs: int, cache: Path, report: Report) -> None:
    """Measure pgiostat --help beside the import of the library that prints it."""
    program = Path(sys.executable).with_name("pgiostat")
    ours = [program] if program.exists() else [sys.executable, "-m", "pgiostat"]
    commands: dict[str, list[str | Path]] = {
        "pgiostat --help": [*ours, "--help"],
        'python -c "import typer"': [sys.executable, "-c", "import typer"],
    }
    # Both compiled beforehand, as they are where pip installed them.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(WARM_UP + pairs):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            taken[name].append((time.perf_counter() - began) * 1e3)
    report.heading(f"Start, ms of wall, {pairs} pairs", "median", "least")
    for name, times in taken.items():
        shown = {"median": statistics.median(times[WARM_UP:]), "least": min(times[WARM_UP:])}
        report.times(name, shown, f"start: {name}")
    ratios = [ours / theirs for ours, theirs in zip(*taken.values(), strict=True)][WARM_UP:]
    report.ratio("--help ÷ import typer", ratios, HELP_GOAL, "start: --help / import typer")


# 4: other people's statements

Executed = tuple[float, bool, float]
"""(when it began, whether its text was new, how long it took in ms)."""


def write(pipe: Connection, dsn: str, numbers: range, seconds: float) -> None:
    """Execute a new and a known statement in turn: what a process of its own does."""
    pause = Event()
    executed: list[Executed] = []
    known = statement(0)
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        pipe.send("ready")
        gc.disable()
        end = time.monotonic() + seconds
        for number in numbers:
            for query, is_new in ((statement(number), True), (known, False)):
                began = time.monotonic()
                connection.execute(query)
                executed.append((began, is_new, (time.monotonic() - began) * 1e3))
                pause.wait(PAUSE_SECONDS)
            if time.monotonic() > end:
                break
    pipe.send(executed)


def latency(dsn: str, statements: int, rounds: int, report: Report) -> None:
    """Measure new and known statements in windows without and with a reading a second."""
    fill(dsn, statements)
    room = ENTRIES - statements - BATCH  # an eviction would be measured instead
    rounds = min(rounds, int((room / MOST_PER_SECOND / WINDOW_SECONDS - 1) / 2))
    if rounds < 1:
        report.heading(f"No room to measure latency beside {statements:,} entries")
        return
    windows = [number % 2 == 1 for number in range(2 * rounds + 1)]
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    numbers = range(statements, statements + room)
    seconds = (len(windows) + 0.5) * WINDOW_SECONDS
    writer = spawning.Process(target=write, args=(there, dsn, numbers, seconds), daemon=True)
    writer.start()
    there.close()  # so that the death of the writer ends our waiting
    with contextlib.closing(connect(dsn)) as session:
        collector = SnapshotReader(session)
        diff(None, collector.take())
        here.recv()
        began = [observe(collector, reading=reading) for reading in windows]
    executed: list[Executed] = here.recv()
    writer.join()
    for is_new in (True, False):
        mine = [(when, took) for when, new, took in executed if new == is_new]
        inside = [
            sorted(took for when, took in mine if start <= when < start + WINDOW_SECONDS)
            for start in began
        ]
        show_latency("new" if is_new else "known", inside, statements, report)


def observe(collector: SnapshotReader, *, reading: bool) -> float:
    """Let a window pass, with a reading each second or none; return when it began."""
    pause = Event()
    began = time.monotonic()
    older: Snapshot | None = None
    for tick in itertools.count():
        due = began + tick + 0.5
        if not reading or due >= began + WINDOW_SECONDS:
            break
        pause.wait(due - time.monotonic())
        newer = collector.take()
        diff(older, newer)
        older = newer
    pause.wait(began + WINDOW_SECONDS - time.monotonic())
    return began


def show_latency(kind: str, windows: list[list[float]], statements: int, report: Report) -> None:
    """Print percentiles: even windows are without readings, odd ones with."""
    report.heading(
        f"A {kind} statement beside {statements:,}, ms, medians of windows of {WINDOW_SECONDS:g} s",
        "without",
        "with",
    )
    for name, share, goal in (
        ("median", 0.5, None),
        ("p99", 0.99, P99_GOAL if kind == "known" else None),
        ("slowest", 1.0, None),
    ):
        values = [percentile(window, share) for window in windows]
        shown = {
            "without": statistics.median(values[::2]),
            "with": statistics.median(values[1::2]),
        }
        key = f"latency {statements}: {kind}, {name}"
        report.times(name, shown, key)
        around = [statistics.fmean(pair) for pair in zip(values[::2], values[2::2], strict=False)]
        ratios = [on / off for on, off in zip(values[1::2], around, strict=True)]
        report.ratio(f"{name}, with ÷ without", ratios, goal, f"{key}, with / without")


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that so large a share does not pass."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def server(**more: str) -> Iterator[tuple[str, Path]]:
    """Start a server with more settings; yield its connection string and a directory for it."""
    with tempfile.TemporaryDirectory(prefix="pgiostat-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # a server started by root runs as somebody else
        cluster = Cluster(embedded_binaries(), directory / "server", settings={**SETTINGS, **more})
        try:
            with cluster:
                dsn = cluster.dsn()
                with psycopg.connect(dsn, autocommit=True) as connection:
                    connection.execute("CREATE EXTENSION pg_stat_statements")
                    connection.execute("CREATE TABLE t (a int, b int)")
                versions = (
                    f"PostgreSQL {cluster.version}, Python {platform.python_version()}, "
                    f"numpy {np.__version__}, psycopg {psycopg.__version__}"
                )
                print(
                    f"{datetime.now(UTC):%Y-%m-%d}, {versions}, "
                    f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
                )
                yield dsn, directory / "cache"
        finally:
            cluster.destroy()


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, within 90 s")
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    parser.add_argument(
        "--statements", type=int, nargs="+", default=[5_000, 50_000], metavar="N", help="how many"
    )
    asked = parser.parse_args()
    sizes: list[int] = sorted(asked.statements)
    if sizes[0] < 100 or sizes[-1] > 50_000:
        parser.error("from 100 to 50000 statements can be measured")
    if not Path("/proc/self/schedstat").exists():
        sys.exit("the CPU of a backend is read from /proc, which only Linux has")
    report = Report()
    gc.freeze()
    with server() as (dsn, cache):
        for statements in sizes:
            rounds = 12 if statements > 20_000 else 40
            snapshots(dsn, statements, rounds if asked.quick else 3 * rounds, report)
        start(10 if asked.quick else 30, cache, report)
        for statements in sizes[:1] if asked.quick else sizes:
            latency(dsn, statements, 5 if asked.quick else 10, report)
    print(f"\nGoals missed: {', '.join(report.missed) or 'none'}")
    if asked.json:
        print(json.dumps(report.figures))
    if asked.strict and report.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
