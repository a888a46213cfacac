"""What a reading costs, beside other ways to read the same, interleaved in one run.

    python benchmarks/snapshot.py [--quick] [--json] [--strict] [--statements N ...]

Starts a PostgreSQL of its own. Times are CPU, of the server's backend and of the client together
unless said otherwise; ratios are of medians. With --json the last line is one object.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
from psycopg import sql

from pgiostat.collector import Collector
from pgiostat.counters import STATEMENTS
from pgiostat.delta import diff
from pgiostat.lab.cluster import Cluster, embedded_binaries
from pgiostat.server import SESSION_OPTIONS, connect

COLUMNS = 17
PADDING = "x" * 230
LATENCY_WINDOW_SECONDS = 3.0
DBNAME = "postgres"


@dataclass
class Figures:
    """One object for --json, and whether goals are met."""

    values: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def row(self, name: str, value: float, unit: str, goal: float | None = None) -> None:
        """Print a figure and keep it."""
        self.values[name] = round(value, 4)
        verdict = ""
        if goal is not None:
            met = value <= goal
            verdict = f"   goal ≤ {goal:g}: {'met' if met else 'MISSED'}"
            if not met:
                self.missed.append(name)
        print(f"  {name:<52}{value:>10.3f} {unit}{verdict}")


def statement(number: int) -> str:
    """Return a statement of its own queryid for each number, of some 300 bytes."""
    columns = ", ".join("a" if number >> i & 1 else "b" for i in range(COLUMNS))
    return f"SELECT {columns} /* {PADDING} */ FROM t LIMIT 1"


def fill(dsn: str, statements: int) -> None:
    """Let pg_stat_statements hold so many entries."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        for number in range(statements):
            connection.execute(statement(number).encode())


@dataclass
class Cost:
    """What one call cost, in milliseconds."""

    backend: float
    client: float
    wall: float

    @property
    def cpu(self) -> float:
        """CPU of both sides."""
        return self.backend + self.client


class Candidate:
    """A way to read, on a connection of its own."""

    def __init__(self, connection: psycopg.Connection[Any], call: Callable[[], object]) -> None:
        self._schedstat = Path(f"/proc/{connection.info.backend_pid}/schedstat")
        self._call = call
        self.costs: list[Cost] = []

    def _backend_ms(self) -> float:
        return int(self._schedstat.read_text().split()[0]) / 1e6

    def run(self) -> None:
        """Call once and note the cost; garbage of others is not billed to it."""
        gc.collect()
        gc.disable()
        backend, client, wall = self._backend_ms(), time.process_time(), time.perf_counter()
        result = self._call()
        wall, client = time.perf_counter() - wall, time.process_time() - client
        self.costs.append(Cost(self._backend_ms() - backend, client * 1e3, wall * 1e3))
        gc.enable()
        del result

    def median(self, of: Callable[[Cost], float]) -> float:
        """Return the median of what was noted, but for the first calls, which warm up."""
        return statistics.median(of(cost) for cost in self.costs[2:])


@contextmanager
def candidates(dsn: str) -> Iterator[dict[str, Candidate]]:
    """Yield the ways to read one snapshot."""
    reading = STATEMENTS.reading()
    source = "FROM pg_stat_statements(false) AS s"
    bare = f"SELECT string_agg({reading.packed}, ''::bytea) {source}"
    columns = ", ".join(f"{column} AS c{i}" for i, (_, column) in enumerate(reading.picked))

    with ExitStack() as stack:

        def connection(*, tuned: bool = True) -> psycopg.Connection[Any]:
            options = SESSION_OPTIONS if tuned else ""
            return stack.enter_context(psycopg.connect(dsn, autocommit=True, options=options))

        def binary(connection: psycopg.Connection[Any], query: str) -> Callable[[], object]:
            cursor = connection.cursor(binary=True)
            return lambda: cursor.execute(query.encode(), prepare=True).fetchall()

        def copied(connection: psycopg.Connection[Any]) -> Callable[[], object]:
            query = f"COPY (SELECT {columns} {source}) TO STDOUT (FORMAT binary)".encode()

            def call() -> object:
                with connection.cursor().copy(query) as copy:
                    return b"".join(copy)

            return call

        session = connect(dsn)
        stack.callback(session.close)
        floor, one, copying, star = (
            connection(),
            connection(),
            connection(),
            connection(tuned=False),
        )
        yield {
            "count(*)": Candidate(floor, binary(floor, f"SELECT count(*) {source}")),
            "bare bytea": Candidate(one, binary(one, bare)),
            "pgiostat": Candidate(session.conn, Collector(session).take),
            "binary COPY": Candidate(copying, copied(copying)),
            "SELECT *": Candidate(
                star, lambda: star.execute("SELECT * FROM pg_stat_statements").fetchall()
            ),
        }


def snapshots(dsn: str, statements: int, rounds: int, figures: Figures) -> None:
    """Measure one snapshot, and the difference of two."""
    fill(dsn, statements)
    with candidates(dsn) as ways:
        for _ in range(rounds + 2):
            for way in ways.values():
                way.run()
        print(f"\nOne snapshot of {statements:,} statements, ms (medians of {rounds})")
        print(f"  {'':<20}{'backend':>10}{'client':>10}{'CPU':>10}{'wall':>10}")
        for name, way in ways.items():
            shown = [
                way.median(of)
                for of in (
                    lambda c: c.backend,
                    lambda c: c.client,
                    lambda c: c.cpu,
                    lambda c: c.wall,
                )
            ]
            print(f"  {name:<20}" + "".join(f"{value:>10.2f}" for value in shown))
        cpu = {name: way.median(lambda cost: cost.cpu) for name, way in ways.items()}
        print()
        ours = cpu["pgiostat"]
        for name, goal in (
            ("bare bytea", 1.15),
            ("SELECT *", 0.2),
            ("binary COPY", None),
            ("count(*)", None),
        ):
            figures.row(f"{statements} snapshot / {name}", ours / cpu[name], "×", goal)
        figures.values[f"{statements} snapshot cpu ms"] = round(ours, 3)
    figures.row(f"{statements} diff / snapshot", difference(dsn, rounds) / ours, "×", 0.1)


def difference(dsn: str, rounds: int) -> float:
    """Return the median CPU of a difference, ms; some entries changed, some are new."""
    session = connect(dsn)
    taken = []
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as other:
        collector = Collector(session)
        older = collector.take()
        for turn in range(rounds + 2):
            for number in range(200):
                other.execute(statement(number).encode())
            other.execute(f"SELECT a FROM t GROUP BY {', '.join('a' * (turn + 1))}".encode())
            newer = collector.take()
            began = time.process_time()
            diff(older, newer)
            taken.append((time.process_time() - began) * 1e3)
            older = newer
    session.close()
    return statistics.median(taken[2:])


def help_time(pairs: int, figures: Figures) -> None:
    """Measure pgiostat --help against importing the library that prints it."""
    program = str(Path(sys.executable).with_name("pgiostat"))
    commands = {
        "--help": [program, "--help"],
        "import typer": [sys.executable, "-c", "import typer"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(pairs + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken[name].append((time.perf_counter() - began) * 1e3)
    medians = {name: statistics.median(times[1:]) for name, times in taken.items()}
    print(f"\nStart, ms of wall (medians of {pairs} pairs)")
    for name, value in medians.items():
        figures.row(name, value, "ms")
    figures.row("--help / import typer", medians["--help"] / medians["import typer"], "×", 1.3)


WRITER = """
import json, sys, time, psycopg
sys.path.insert(0, sys.argv[3])
from snapshot import statement
done = []
with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as connection:
    until = time.time() + float(sys.argv[2])
    number = int(sys.argv[4])
    while time.time() < until:
        number += 1
        for kind, query in (("new", statement(number)), ("known", "SELECT a FROM t LIMIT 1")):
            began = time.perf_counter()
            connection.execute(query)
            done.append((time.time(), kind, (time.perf_counter() - began) * 1e3))
            time.sleep(0.001)
json.dump(done, sys.stdout)
"""


def latency(dsn: str, statements: int, rounds: int, figures: Figures) -> None:
    """Measure how long new and known statements take, with and without a reading a second."""
    fill(dsn, statements)
    seconds = 2 * rounds * LATENCY_WINDOW_SECONDS
    here = str(Path(__file__).parent)
    arguments = [dsn, str(seconds), here, str(statements)]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    )
    session = connect(dsn)
    collector = Collector(session)
    stop, reading = Event(), Event()

    def read() -> None:
        older = collector.take()
        while not stop.wait(1.0):
            if reading.is_set():
                newer = collector.take()
                diff(older, newer)
                older = newer

    thread = Thread(target=read)
    thread.start()
    windows: list[tuple[float, float, bool]] = []
    for window in range(2 * rounds):
        on = bool(window % 2)
        (reading.set if on else reading.clear)()
        began = time.time()
        stop.wait(LATENCY_WINDOW_SECONDS)
        windows.append((began, time.time(), on))
    stop.set()
    thread.join()
    session.close()
    written = json.loads(writer.communicate()[0])
    print(
        f"\nLatency of statements beside {statements:,} entries, ms (a reading a second, or none)"
    )
    for kind in ("new", "known"):
        sides = {
            on: [
                took
                for when, what, took in written
                if what == kind and any(a <= when < b and on == w for a, b, w in windows)
            ]
            for on in (False, True)
        }
        p99 = {on: percentile(taken, 0.99) for on, taken in sides.items()}
        figures.row(f"p99 of {kind} statements without readings", p99[False], "ms")
        figures.row(f"p99 of {kind} statements with readings", p99[True], "ms")
        figures.row(f"p99 of {kind} statements, with / without", p99[True] / p99[False], "×")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of the values does not pass."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="one object of figures last")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    parser.add_argument("--statements", type=int, nargs="+", default=[5_000, 50_000])
    asked = parser.parse_args()
    figures = Figures()
    settings: dict[str, str | int | bool] = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.max": 70_000,
        "fsync": False,
        "autovacuum": False,
    }
    with (
        tempfile.TemporaryDirectory(prefix="pgiostat-bench-") as directory,
        Cluster(embedded_binaries(), Path(directory) / "server", settings=settings) as cluster,
    ):
        dsn = cluster.dsn(DBNAME)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            connection.execute(sql.SQL("CREATE TABLE t (a int, b int)"))
        print(f"PostgreSQL {cluster.version}, Python {sys.version.split()[0]}")
        for statements in asked.statements:
            large = statements > 20_000
            snapshots(dsn, statements, (7 if large else 15) * (1 if asked.quick else 3), figures)
        help_time(7 if asked.quick else 20, figures)
        latency(dsn, asked.statements[0], 3 if asked.quick else 10, figures)
        cluster.destroy()
    if figures.missed:
        print(f"\nmissed: {', '.join(figures.missed)}")
    if asked.json:
        print(json.dumps(figures.values))
    if asked.strict and figures.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
