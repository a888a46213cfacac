"""What watching costs: client CPU an update, memory, time to the first screen, beside pg_activity.

    python benchmarks/watch.py [--seconds 60] [--statements 5000] [--json] [--strict]

It starts a PostgreSQL of its own with so many statements, a fifth of which run, and then each
program in a pseudo-terminal of fixed size, one after the other, at an interval of one second.
pg_activity is taken where `pg_activity` is on the PATH or --pg-activity says; it knows no
statements, so that it reads less.
"""

import argparse
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
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from pgiostat.lab.cluster import Cluster, Setting, embedded_binaries

COLUMNS = 13
"""Each is there or not: 8,192 statements of different queryid."""
SIZES = ((80, 24), (200, 60))
GOALS = {(80, 24): 25.0, (200, 60): 60.0}
RSS_GOAL_MB = 110.0
WARM_UP_SECONDS = 5.0


def statements(count: int) -> list[str]:
    """Return statements of different shape."""
    names = [f"c{n}" for n in range(COLUMNS)]
    return [
        f"SELECT {', '.join(name for bit, name in enumerate(names) if number >> bit & 1)} FROM wide"
        for number in range(1, count + 1)
    ]


@contextmanager
def serving(count: int) -> Iterator[str]:
    """Yield the connection string of a server on which a fifth of the statements run."""
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

    def work() -> None:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
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
            worker = threading.Thread(target=work)
            worker.start()
            try:
                yield cluster.dsn()
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


def measure(
    command: list[str], size: tuple[int, int], seconds: float, signs: tuple[bytes, bytes]
) -> dict[str, float]:
    """Return what a program on a terminal costs; signs: of its first screen, and of its numbers."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        seen = b""
        came: list[float] = []
        while len(came) < len(signs) and process.poll() is None:
            seen += _read(mine)
            if time.perf_counter() - began > 30:
                break
            while len(came) < len(signs) and signs[len(came)] in seen:
                came.append(time.perf_counter() - began)
        _drain(mine, WARM_UP_SECONDS)
        watched = psutil.Process(process.pid)
        before = sum(watched.cpu_times()[:2])
        _drain(mine, seconds)
        spent = sum(watched.cpu_times()[:2]) - before
        memory = watched.memory_info().rss / 1e6
        process.send_signal(signal.SIGTERM)
        _drain(mine, 1.0)
        process.kill()
    os.close(mine)
    first, numbers = [*came, math.nan, math.nan][:2]
    return {
        "ms_an_update": spent * 1000 / seconds,
        "rss_mb": memory,
        "first_s": first,
        "numbers_s": numbers,
    }


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


def _drain(descriptor: int, seconds: float) -> None:
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        _read(descriptor)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--statements", type=int, default=5000)
    parser.add_argument("--pg-activity", default=shutil.which("pg_activity"), metavar="PATH")
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    asked = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},"
          f" {asked.statements:,} statements, interval 1 s, {asked.seconds:g} s each")  # fmt: skip
    print(f"\n{'':34}{'CPU ms':>10}{'RSS MB':>10}{'first s':>10}{'numbers':>10}")
    found: dict[str, dict[str, float]] = {}
    missed = []
    with serving(asked.statements) as dsn:
        watch = [sys.executable, "-m", "pgiostat", "watch", dsn, "-i", "1"]
        for size in SIZES:
            at = f"{size[0]}×{size[1]}"
            for view in ("category", "statement"):
                name = f"pgiostat, by {view}, {at}"
                found[name] = measure(
                    [*watch, "--by", view], size, asked.seconds, (b"pgiostat", b"unattributed")
                )
                met = found[name]["ms_an_update"] <= GOALS[size]
                met = met and found[name]["rss_mb"] <= RSS_GOAL_MB
                _tell(name, found[name], f"goal ≤ {GOALS[size]:g} ms: {'met' if met else 'MISSED'}")
                missed += [] if met else [name]
            if asked.pg_activity:
                name = f"pg_activity, {at}"
                other = [asked.pg_activity, "--refresh", "1", dsn]
                found[name] = measure(other, size, asked.seconds, (b"PostgreSQL", b"PID"))
                _tell(name, found[name])
    if asked.json:
        print(json.dumps(found))
    if asked.strict and missed:
        raise SystemExit(f"missed: {', '.join(missed)}")


def _tell(name: str, figures: dict[str, float], more: str = "") -> None:
    numbers = "".join(f"{value:>10.2f}" for value in figures.values())
    print(f"  {name:<32}{numbers}  {more}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
