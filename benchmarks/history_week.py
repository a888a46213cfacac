"""A week of a busy server: what it takes on disk, and how long its questions take."""

import multiprocessing
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import history_sqlite
from benchmarks.history_load import END, LABEL, Ticks, World, ticks
from benchmarks.history_report import PROGRAM, Figures, Runs, kept, measured
from pgiostat.history.format.checksum import to_parquet
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import name_table, named, texts
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import create
from pgiostat.history.format.schema import DIMENSIONS
from pgiostat.history.write.compacted_rows import hourly
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.names import Names

__all__ = ["week"]

STATEMENTS = 5_000
HOURS = 7 * 24
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = END - HOURS * HOUR
HOT = 6
"""Samples that are not sealed yet."""
ROUNDS, QUICK_ROUNDS = 5, 3
SQLITE_ROUNDS, QUICK_SQLITE_ROUNDS = 3, 1
MOST_MB = 1000
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Week:
    """What to make; seconds: between samples."""

    root: Path
    seconds: int

    @property
    def layout(self) -> Layout:
        """Where its files are."""
        return Layout(self.root)

    @property
    def each_hour(self) -> int:
        """Samples in an hour."""
        return round(HOUR.total_seconds()) // self.seconds

    @property
    def samples(self) -> int:
        """Samples in all."""
        return HOURS * self.each_hour

    @cached_property
    def ticks(self) -> Ticks:
        """Its intervals."""
        return ticks(BEGIN, END, self.seconds, 0)

    def part(self, first: int, last: int) -> Ticks:
        """Return intervals by their numbers, which begin with 1."""
        chosen = slice(first - 1, last)
        return Ticks(self.ticks.starts[chosen], self.ticks.durations[chosen])

    @property
    def is_there(self) -> bool:
        """Whether it has been made already."""
        hot = [sample.number for sample in self.layout.hot_samples()]
        return max(hot, default=0) == self.samples

    @property
    def rows(self) -> int:
        """Rows of statements."""
        files = [file.path for file in self.layout.compacted_files("stmt")]
        files += self.root.glob("hot/*/*/stmt.parquet")
        return sum(pq.read_metadata(path).num_rows for path in files)


@cache
def world() -> World:
    """Return the server, once in each process."""
    return World(STATEMENTS)


def write_hour(made: Week, hour: int) -> None:
    """Write the sealed files of an hour: the same tables, order and settings as seal's."""
    first, last = hour * made.each_hour + 1, (hour + 1) * made.each_hour
    if last == made.samples:
        last -= HOT
    tables = world().tables(made.part(first, last), hour)
    tables["stmt_1h"] = hourly(tables["stmt"])
    for name, table in tables.items():
        date = f"{BEGIN + hour * HOUR:%Y-%m-%d}"
        target = made.layout.compacted(name, date, LABEL, first, last)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(
            to_parquet(
                table, target.relative_to(made.root), compression="zstd", row_group_size=131_072
            )
        )


def write_told(made: Week) -> None:
    """Write texts and names."""
    everything = world().everything(made.part(1, 2))
    told = {
        "statement": texts(everything, world().names, set()),
        "name": name_table(everything, named(everything, world().names, {})),
    }
    for name, table in told.items():
        if table is not None:
            target = made.layout.dimension(name, LABEL)
            target.parent.mkdir(parents=True, exist_ok=True)
            ordered = table.sort_by([(key, "ascending") for key in DIMENSIONS[name]])
            target.write_bytes(
                to_parquet(ordered, target.relative_to(made.root), compression="zstd")
            )


def write_hot(made: Week) -> None:
    """Commit the newest samples the way that a collector does."""
    when = made.part(made.samples - HOT + 1, made.samples)
    with closing(Writer.open(made.root, LABEL)) as writer:
        for delta in world().deltas(when, HOURS):
            writer.append(delta, Names())


def make(made: Week, report: Figures) -> None:
    """Make the history, on all processors."""
    began = time.perf_counter()
    create(made.root, LABEL, Disk(), version=version("pgiostat"))
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawning) as pool:
        list(pool.map(partial(write_hour, made), range(HOURS)))
    write_told(made)
    write_hot(made)
    report.note(f"made in {time.perf_counter() - began:.0f} s")


def week(root: Path, directory: Path, report: Figures, *, quick: bool) -> None:
    """Make a week unless it is there, and ask it; then SQLite with the same rows."""
    made = Week(root, 100 if quick else 10)
    report.heading(
        f"A week, a sample every {made.seconds} s, {STATEMENTS:,} statements, a fifth active"
    )
    if not made.is_there:
        if root.exists() and any(root.iterdir()):
            sys.exit(f"{root} holds something else, or another week: choose another directory")
        make(made, report)
    size(made, report)
    ours = ask(made, report, QUICK_ROUNDS if quick else ROUNDS)
    rows = directory / "week.sqlite"
    load(made, rows, report)
    theirs = ask_sqlite(rows, report, QUICK_SQLITE_ROUNDS if quick else SQLITE_ROUNDS)
    report.heading("SQLite ÷ pgiostat, medians of wall")
    for name, mine in ours.items():
        if mine and name in theirs:
            ratio = theirs[name] / mine
            report.row(name, f"{ratio:.3g} ×")
            report.keep(f"week: SQLite / {name}", {"ratio": ratio})
    rows.unlink()


def size(made: Week, report: Figures) -> None:
    """Print what it takes on disk."""
    rows, whole = made.rows, kept(made.root)
    statements = kept(made.root / "stmt")
    rolled = kept(made.root / "stmt_1h")
    report.note(
        f"{made.samples:,} samples, {rows:,} rows of statements: {whole / 1e9:.3f} GB,"
        f" {whole / made.samples / 1e3:.1f} kB a sample"
    )
    report.note(
        f"{statements / rows:.1f} bytes a row, and {rolled / rows:.2f} of the hourly rollup,"
        f" {(whole - statements - rolled) / rows:.2f} of all else"
    )
    report.keep(
        "week: size",
        {
            "gb": whole / 1e9,
            "rows": rows,
            "kb_a_sample": whole / made.samples / 1e3,
            "bytes_a_row": statements / rows,
            "rollup_bytes_a_row": rolled / rows,
        },
    )


TOP, MINUTES, TWO_DAYS = "top 20 by fingerprint, 7 d", "series of 1 min, 1 d", "two days compared"


def questions() -> Iterator[tuple[str, float, list[str]]]:
    """Yield what is asked: its name, how many seconds it may take, and the command."""
    days = [f"{instant:%Y-%m-%dT%H:%MZ}" for instant in (END - 2 * DAY, END - DAY, END)]
    top = ["report", "--top", "20"]
    yield TOP, 1.0, [*top, "--last", "7d", "--by", "fingerprint"]
    yield "by category, 7 d", 1.0, [*top, "--last", "7d", "--by", "category"]
    edges = ["--until", f"{END - timedelta(minutes=17, seconds=30):%Y-%m-%dT%H:%M:%SZ}"]
    yield "by fingerprint, 6 d, not on the hour", 1.0, [
        *top, "--last", "6d", *edges, "--by", "fingerprint",
    ]  # fmt: skip
    yield MINUTES, 2.0, ["report", "--last", "1d", "--series", "1m"]
    two = [f"{LABEL}@{since}..{until}" for since, until in pairwise(days)]
    yield TWO_DAYS, 2.0, ["compare", *two]


def ask(made: Week, report: Figures, rounds: int) -> dict[str, float]:
    """Run the questions as commands, each in processes of its own; return seconds by name."""
    columns = ("first, s", "median, s", "CPU, s", "peak, MB")
    report.heading(f"Queries by a command, cold processes, medians of up to {rounds}", *columns)
    found: dict[str, float] = {}
    goals: list[tuple[str, str, float, float, str]] = []
    for name, seconds, command in questions():
        runs = measured([*PROGRAM, *command, "--history", str(made.root)], rounds)
        shown(name, runs, report)
        if not runs.trouble:
            found[name] = runs.wall
            goals.append((name, f"week: {name}, goal", runs.wall, seconds, "s"))
            goals.append(("  its peak", f"week: {name}, peak", runs.rss, MOST_MB, "MB"))
    for goal in goals:
        report.goal(*goal)
    return found


def shown(name: str, runs: Runs, report: Figures) -> None:
    """Print what the runs of a program took, or why there is nothing to tell."""
    if runs.trouble:
        report.row(name, runs.trouble)
        return
    times = [runs.first.wall, runs.wall, runs.cpu]
    report.row(name, *(f"{seconds:.2f}" for seconds in times), f"{runs.rss:.0f}")
    report.keep(
        f"week: {name}",
        {"first_s": runs.first.wall, "wall_s": runs.wall, "cpu_s": runs.cpu, "rss_mb": runs.rss},
    )


# the same rows in SQLite

_KEPT = {"read_us": "timed_read_us", "timed": "timed_blks"}


def load(made: Week, path: Path, report: Figures) -> None:
    """Give SQLite the rows in the order of time, as they came, with what the questions need."""
    began = time.perf_counter()
    names = history_sqlite.COLUMNS
    rows = 0
    files = [file.path for file in made.layout.compacted_files("stmt")]
    files += sorted(made.root.glob("hot/*/*/stmt.parquet"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE stmt ({', '.join(f'{name} INTEGER' for name in names)})")
        insert = f"INSERT INTO stmt VALUES ({', '.join('?' * len(names))})"
        for file in files:
            columns = [_KEPT.get(name, name) for name in names]
            table = pq.read_table(file, columns=columns, partitioning=None).sort_by("ts")
            lists = (table[name].cast(pa.int64()).to_pylist() for name in columns)
            connection.execute("BEGIN")
            connection.executemany(insert, zip(*lists, strict=True))
            connection.execute("COMMIT")
            rows += len(table)
        connection.execute("CREATE INDEX stmt_ts ON stmt (ts)")
        connection.execute("CREATE TABLE dim (sid INTEGER PRIMARY KEY, fingerprint, category)")
        connection.executemany("INSERT INTO dim VALUES (?, ?, ?)", described())
        connection.execute("ANALYZE")
    whole = path.stat().st_size
    report.heading(f"SQLite with the same {rows:,} rows, in {time.perf_counter() - began:.0f} s")
    report.note(
        f"{whole / 1e9:.3f} GB, {whole / rows:.1f} bytes a row: {len(names)} of"
        f" {len(pq.read_schema(files[0]).names)} columns, those that queries need, and an index"
    )
    report.keep("week: SQLite, size", {"gb": whole / 1e9, "bytes_a_row": whole / rows})


def described() -> Iterator[tuple[int, str, str]]:
    """Yield sid, fingerprint and category of each statement."""
    ids = (world().attributes["stmt"][name].tolist() for name in ("userid", "dbid", "queryid"))
    for sid, *key in zip(world().sids.tolist(), *ids, strict=True):
        statement = world().names.statements[key[0], key[1], key[2]]
        yield sid, statement.fingerprint, statement.category


def ask_sqlite(path: Path, report: Figures, rounds: int) -> dict[str, float]:
    """Ask the same of SQLite; return seconds by name."""
    report.heading(
        f"Queries on SQLite, cold processes, medians of up to {rounds}",
        "first, s", "median, s", "CPU, s", "peak, MB",
    )  # fmt: skip
    asked = {
        TOP: ("fingerprints", BEGIN, END),
        MINUTES: ("minutes", END - DAY, END),
        TWO_DAYS: ("days", END - 2 * DAY, END),
    }
    found: dict[str, float] = {}
    for name, (question, *window) in asked.items():
        times = [str((instant - _EPOCH) // _MICROSECOND) for instant in window]
        script = [sys.executable, str(history_sqlite.__file__), str(path), question, *times]
        runs = measured(script, rounds)
        shown(f"SQLite: {name}", runs, report)
        found[name] = runs.wall
    return found
