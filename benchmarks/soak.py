"""Whether what runs for days grows: watch and collect beside a load, and their sessions.

    python benchmarks/soak.py [--seconds N] [--interval S] [--json] [--strict]

A PostgreSQL of its own runs point reads, scans of many forms, temporary tables and short sessions.
`pgiostat watch` and `pgiostat collect`, with its metrics page, read it meanwhile. Memory,
descriptors and threads of both, and the memory of their sessions on the server, are looked at every
second. What counts is growth: the median of the last quarter of the time less that of the second.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.history_report import PROGRAM, Figures, environment
from benchmarks.snapshot import server

SECONDS, INTERVAL = 900.0, 0.5
LOOK_SECONDS = 1.0
WORKERS = 2
ROWS = 40_000
FORMS = 60
"""Kinds of scans: each has an entry of its own, and no more come."""
PAUSE_SECONDS = 0.02
LATE_INTERVALS = 3
MEGABYTE = 1 << 20
GOALS: Mapping[str, tuple[float, str]] = {
    "memory": (4.0, "MB"),
    "descriptors": (1.0, ""),
    "threads": (1.0, ""),
    "session's memory": (1.0, "MB"),
}
"""What each may grow by, and in which unit."""

Look = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that runs, and the name that its sessions have."""

    name: str
    process: "subprocess.Popen[bytes]"

    @property
    def application(self) -> str:
        """Return its application_name."""
        return f"soak_{self.name}"

    def look(self, sessions: Mapping[str, list[int]]) -> dict[str, float]:
        """Return what it has now."""
        of = psutil.Process(self.process.pid)
        return {
            "memory": _private(self.process.pid),
            "descriptors": of.num_fds(),
            "threads": of.num_threads(),
            "session's memory": sum(_private(pid) for pid in sessions.get(self.application, [])),
        }


def _private(pid: int) -> float:
    """Return the memory of a process that it shares with nobody, in MB; buffers are shared."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text("ascii")
        return int(status.split("RssAnon:")[1].split()[0]) / 1024
    return 0.0


def work(dsn: str, number: int, stop: Event) -> None:
    """Send statements until told to stop."""
    rng = random.Random(number)  # noqa: S311 - nothing secret
    turn = 0
    while not stop.is_set():
        with psycopg.connect(dsn, autocommit=True) as connection:
            for _ in range(300):
                turn += 1
                connection.execute("SELECT pad FROM t WHERE id = %s", [rng.randrange(ROWS)])
                if turn % 20 == 0:
                    more = " AND ".join(["pad IS NOT NULL"] * rng.randrange(1, FORMS))
                    connection.execute(f"SELECT count(*) FROM t WHERE {more}".encode())
                if turn % 200 == 0:
                    connection.execute("CREATE TEMP TABLE scratch AS SELECT * FROM t LIMIT 99")
                    connection.execute("SELECT count(*) FROM scratch")
                    connection.execute("DROP TABLE scratch")
                if stop.wait(PAUSE_SECONDS):
                    break


@contextmanager
def working(dsn: str) -> Iterator[None]:
    """Let the load run."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE filled AS SELECT g AS id, repeat('x', 500) AS pad"
            f" FROM generate_series(1, {ROWS}) AS g".encode()
        )
        connection.execute("DROP TABLE t")
        connection.execute("ALTER TABLE filled RENAME TO t")
        connection.execute("CREATE INDEX ON t (id)")
    stop = Event()
    threads = [
        Thread(target=work, args=(dsn, number, stop), daemon=True) for number in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def reading(dsn: str, directory: Path, interval: float, port: int) -> Iterator[list[Reader]]:
    """Let watch and collect run."""

    def started(name: str, *words: str) -> Reader:
        with (directory / f"{name}.out").open("wb") as out:
            command = [*PROGRAM, name, make_conninfo(dsn, application_name=f"soak_{name}"), *words]
            return Reader(
                name, subprocess.Popen(command, stdout=out, stderr=out, env=environment())
            )

    readers = [
        started("watch", "--interval", str(interval), "--format", "csv"),
        started(
            "collect", "--interval", f"{interval * 1e3:g}ms", "--label", "soak",
            "--history", str(directory / "history"), "--metrics", str(port),
        ),
    ]  # fmt: skip
    try:
        yield readers
    finally:
        for reader in readers:
            reader.process.send_signal(signal.SIGTERM)
        for reader in readers:
            reader.process.wait(60)


@dataclass(slots=True)
class Soak:
    """What each reader had at each look.

    open, locks: how often a session was idle in a transaction, or held a lock while it was idle.
    """

    looks: dict[str, list[Look]]
    open: int = 0
    locks: int = 0

    def growth(self, reader: str, what: str) -> tuple[float, float]:
        """Return the median of the second quarter, and by how much that of the last is greater."""
        values = [look[what] for look in self.looks[reader]]
        quarter = max(1, len(values) // 4)
        begin = statistics.median(values[quarter : 2 * quarter])
        return begin, statistics.median(values[-quarter:]) - begin


def soak(dsn: str, readers: Sequence[Reader], port: int, seconds: float) -> Soak:
    """Look at the readers until the time is over."""
    found = Soak({reader.name: [] for reader in readers})
    ends = time.monotonic() + seconds
    with psycopg.connect(dsn, autocommit=True) as monitor:
        while time.monotonic() < ends:
            for reader in readers:
                if reader.process.poll() is not None:
                    sys.exit(f"{reader.name} ended with {reader.process.returncode}")
            sessions: dict[str, list[int]] = {}
            for name, pid, state, locks in monitor.execute(
                "SELECT application_name, pid, state, (SELECT count(*) FROM pg_locks AS l"
                " WHERE l.pid = a.pid AND l.locktype <> 'virtualxid') FROM pg_stat_activity AS a"
                " WHERE application_name LIKE 'soak%'"
            ):
                sessions.setdefault(name, []).append(pid)
                found.open += state.startswith("idle in transaction")
                found.locks += state == "idle" and locks > 0
            for reader in readers:
                if reader.application in sessions:
                    found.looks[reader.name].append(reader.look(sessions))
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()
            Event().wait(LOOK_SECONDS)
    return found


def show(found: Soak, report: Figures) -> None:
    """Print by how much each of it grew."""
    for reader in found.looks:
        report.heading(f"{reader}: growth, from the second quarter of the time to the last")
        for what, (goal, unit) in GOALS.items():
            begin, growth = found.growth(reader, what)
            report.goal(f"{what}, of {begin:.3g}", f"{reader}, {what}", growth, goal, unit)
    report.heading("sessions of both")
    report.goal("looks at one that was idle in a transaction", "open", found.open, 1, "")
    report.goal("looks at one that was idle and held a lock", "locks", found.locks, 1, "")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        port: int = one.getsockname()[1]
    return port


def intervals_of(out: Path, key: Callable[[str], str]) -> int:
    """Return how many different keys the lines of a file have."""
    return len({key(line) for line in out.read_text("utf-8").splitlines()})


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long; default 900")
    parser.add_argument("--interval", type=float, default=INTERVAL, help="default 0.5")
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    asked = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    report, port = Figures(), free_port()
    with server(max_connections="30") as (dsn, _), tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with working(dsn), reading(dsn, directory, asked.interval, port) as readers:
            Event().wait(5)
            found = soak(dsn, readers, port, asked.seconds)
        shown = intervals_of(directory / "watch.out", lambda line: line.partition(",")[0]) - 1
        files = sum(1 for path in (directory / "history").rglob("*") if path.is_file())
        report.note(
            f"{asked.seconds:g} s at {asked.interval:g} s: {shown:,} intervals of watch,"
            f" {files:,} files of the history, load {os.getloadavg()[0]:.1f}"
        )
        show(found, report)
    if asked.json:
        print(json.dumps(report.figures))
    if asked.strict and report.missed:
        sys.exit(f"missed: {', '.join(report.missed)}")


if __name__ == "__main__":
    main()
