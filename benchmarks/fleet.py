"""What a fleet costs: the same report over 1, 10, 100 and 1,000 servers, and collecting from many.

    python benchmarks/fleet.py [--quick] [--json] [--only report|collector] [--history DIR]

report     a day of so many servers, 200 statements each and a sample a minute, made up, the same
           each time; asked in cold processes, of DuckDB and, if it is installed, of Spark
collector  `pgiostat collect` on 50 and on 200 targets, all of them one server of our own with 5,000
           statements: CPU, memory, and the latest sample

--history keeps the days for the next time. --quick has 1 and 20 servers, and shorter runs.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.history_collector import STATEMENTS as WATCHED_STATEMENTS
from benchmarks.history_collector import Plan, show, watched, working
from benchmarks.history_load import END, World, ticks
from benchmarks.history_report import PROGRAM, Figures, kept, measured
from benchmarks.snapshot import fill, server
from pgiostat.history.format.checksum import to_parquet
from pgiostat.history.format.compacted import together
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import name_table, named, texts
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import create
from pgiostat.history.format.schema import DIMENSIONS, SORTED_BY
from pgiostat.history.write.compacted_rows import hourly

STATEMENTS, SECONDS, HOURS = 200, 60, 24
SHARING = 100
"""Servers whose rows share files: about as many as one process seals together."""
BEGIN = END - timedelta(hours=HOURS)
SMALL = 20
"""Relations of a server that are read at all."""
REPORTS = {
    "by category, a day": ["--by", "category"],
    "by server, a day": ["--by", "server"],
    "by fingerprint, 6 h and 50 min": ["--by", "fingerprint", "--last", "410m"],
}


@cache
def world() -> World:
    """Return the server that all are like, once in each process."""
    return World(STATEMENTS)


def number_of(which: int) -> int:
    """Return the server_id of a server, from 0."""
    digest = blake2b(f"fleet {which}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@dataclass(frozen=True)
class Day:
    """A day of some servers."""

    root: Path
    servers: int

    def write(self, part: tuple[int, int]) -> None:
        """Write an hour of the servers that share files."""
        hour, first = part
        at = BEGIN + timedelta(hours=hour)
        when = ticks(at, at + timedelta(hours=1), SECONDS, hour)
        made = world().tables(when, hour)
        made["relation"] = made["relation"].filter(
            pc.less(made["relation"]["relid"], pc.min(made["relation"]["relid"]).as_py() + SMALL)
        )
        for name, table in made.items():
            rows = pa.concat_tables(
                _of(table, which) for which in range(first, min(first + SHARING, self.servers))
            ).sort_by([(key, "ascending") for key in SORTED_BY[name]])
            self._put(name, rows, hour, first)
            if name == "stmt":
                self._put("stmt_1h", hourly(rows), hour, first)

    def _put(self, name: str, rows: pa.Table, hour: int, first: int) -> None:
        date = f"{BEGIN + timedelta(hours=hour):%Y-%m-%d}"
        shared = together(f"s{first}", self.root)
        target = Layout(self.root).compacted(name, date, shared, hour + 1, hour + 1)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(
            to_parquet(
                rows, target.relative_to(self.root), compression="zstd", row_group_size=131_072
            )
        )

    def tell(self) -> None:
        """Write texts and names."""
        when = ticks(BEGIN, BEGIN + timedelta(hours=1), SECONDS, 0)
        all_of_one = world().everything(when)
        tables = {
            "statement": texts(all_of_one, world().names, set()),
            "name": name_table(all_of_one, named(all_of_one, world().names, {})),
        }
        for name, table in tables.items():
            for first in range(0, self.servers, SHARING):
                target = Layout(self.root).dimension(name, together(f"s{first}", self.root))
                target.parent.mkdir(parents=True, exist_ok=True)
                rows = pa.concat_tables(
                    _of(table, which) for which in range(first, min(first + SHARING, self.servers))
                ).sort_by([(key, "ascending") for key in DIMENSIONS[name]])
                target.write_bytes(
                    to_parquet(rows, target.relative_to(self.root), compression="zstd")
                )

    def make(self) -> float:
        """Make it, on all processors; return how many seconds that took."""
        began = time.perf_counter()
        create(self.root, "bench", Disk(), version=version("pgiostat"))
        parts = [
            (hour, first) for hour in range(HOURS) for first in range(0, self.servers, SHARING)
        ]
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=spawning) as pool:
            list(pool.map(partial(Day.write, self), parts))
        self.tell()
        (self.root / "made").touch()
        return time.perf_counter() - began


def _of(table: pa.Table, which: int) -> pa.Table:
    """Return the rows of the one server as those of another, by its numbers and its label."""
    columns = {"server_id": pa.array(np.full(len(table), number_of(which)))}
    if "sid" in table.column_names:
        # About as good as a hash: no two of a fleet are the same.
        odd = np.uint64((2 * which + 1) * 0x9E3779B97F4A7C15 % 2**64)
        columns["sid"] = pa.array((table["sid"].to_numpy().view(np.uint64) * odd).view(np.int64))
    if "label" in table.column_names:
        columns["label"] = pa.array([f"db{which:04}"] * len(table))
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), values)
    return table


def reports(directory: Path, report: Figures, counts: list[int]) -> None:
    """Ask days of ever more servers the same."""
    engines = ["duckdb"]
    if find_spec("pyspark") and shutil.which("java"):
        engines.append(f"local[{os.cpu_count()}]")
    else:
        report.note("Spark is not installed: not asked")
    for servers in counts:
        day = Day(directory / f"day{servers}", servers)
        took = 0.0 if (day.root / "made").exists() else day.make()
        files = sum(1 for _ in day.root.rglob("*.parquet"))
        rows = sum(pq.read_metadata(path).num_rows for path in day.root.glob("stmt/*/*.parquet"))
        report.heading(f"A day of {servers:,} {'server' if servers == 1 else 'servers'}")
        report.note(
            f"{rows:,} rows of statements, {kept(day.root) / 1e6:.0f} MB in {files:,} files"
            + (f", made in {took:.0f} s" if took else "")
        )
        report.row("", "wall, s", "CPU, s", "peak, MB")
        for name, words in REPORTS.items():
            for engine in engines:
                command = [*PROGRAM, "report", "--history", str(day.root), *words]
                runs = measured([*command, "--engine", engine], 3 if engine == "duckdb" else 1)
                if runs.trouble:
                    report.row(f"{name}, {engine}", runs.trouble)
                    continue
                cells = (runs.wall, runs.cpu, runs.rss)
                report.row(f"{name}, {engine}", *(f"{cell:.3g}" for cell in cells))
                key = f"{servers} servers: {name}, {engine}"
                report.keep(key, dict(zip(("wall_s", "cpu_s", "rss_mb"), cells, strict=True)))


def collectors(directory: Path, report: Figures, counts: list[int], seconds: int) -> None:
    """Collect from many targets at once."""
    with server(max_connections=str(max(counts) + 20)) as (dsn, _):
        fill(dsn, WATCHED_STATEMENTS)
        for count in counts:
            labels = [f"s{number:03}" for number in range(count)]
            plan = Plan([dsn] * count, labels, 10, seconds, directory / f"fleet{count}")
            with working(dsn, plan.interval):
                show(watched(plan), plan, report)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer servers, shorter runs")
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    parser.add_argument("--only", choices=("report", "collector"), help="one of the two")
    parser.add_argument("--history", type=Path, metavar="DIR", help="where to keep the days")
    asked = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},"
        f" duckdb {duckdb.__version__}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    )
    report = Figures()
    with tempfile.TemporaryDirectory(prefix="pgiostat-bench-") as name:
        directory = Path(name)
        if asked.only != "collector":
            reports(
                asked.history or directory, report, [1, 20] if asked.quick else [1, 10, 100, 1000]
            )
        if asked.only != "report":
            collectors(
                directory, report, [2, 8] if asked.quick else [50, 200], 30 if asked.quick else 110
            )
    if asked.json:
        print(json.dumps(report.figures))


if __name__ == "__main__":
    main()
