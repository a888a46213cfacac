"""What a sample costs to commit and to seal, beside the same fsyncs alone, and SQLite."""

import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa

from benchmarks.history_load import END, LABEL, World, ticks
from benchmarks.history_report import Figures, run
from benchmarks.snapshot import percentile, without_garbage
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import encode
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.delta import Delta

__all__ = ["append"]

ACTIVE = (1_000, 10_000)
SAMPLES = 360
FEWER = 120
"""With many rows: a third of an hour is enough for a median."""
WARM_UP = 3
SECONDS = 10

Operation = tuple[Literal["make", "write", "sync", "rename", "remove"], Path, Path | None]


class Noted(Disk):
    """A disk that notes what is asked of it."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def make(self, directory: Path) -> None:
        """Make a directory."""
        self.operations.append(("make", directory, None))
        super().make(directory)

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Write a file."""
        self.operations.append(("write", path, None))
        super().write(path, content)

    def sync(self, directory: Path) -> None:
        """Sync a directory."""
        self.operations.append(("sync", directory, None))
        super().sync(directory)

    def rename(self, source: Path, target: Path) -> None:
        """Rename."""
        self.operations.append(("rename", source, target))
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        """Remove."""
        self.operations.append(("remove", path, None))
        super().remove(path)


def again(operations: Sequence[Operation], root: Path, other: Path) -> None:
    """Do the same below another directory, with files that are empty."""
    disk = Disk()
    for what, path, target in operations:
        there = other / path.relative_to(root)
        if what == "make":
            disk.make(there)
        elif what == "write":
            disk.write(there, b"")
        elif what == "sync":
            disk.sync(there)
        elif target is not None:
            disk.rename(there, other / target.relative_to(root))
        else:
            disk.remove(there)


class Rows:
    """An SQLite file that takes the same rows, each interval in a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._made: set[str] = set()

    def insert(self, delta: Delta) -> None:
        """Insert all tables of an interval: encoded alike, then row by row."""
        tables = encode(delta)
        for name in tables.keys() - self._made:
            self._connection.execute(
                f"CREATE TABLE {name} ({', '.join(tables[name].schema.names)})"
            )
            self._made.add(name)
        self._connection.execute("BEGIN IMMEDIATE")
        for name, table in tables.items():
            gaps = ", ".join("?" * table.num_columns)
            self._connection.executemany(f"INSERT INTO {name} VALUES ({gaps})", records(table))
        self._connection.execute("COMMIT")

    def close(self) -> int:
        """Return the bytes of its statements."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.execute("DROP TABLE IF EXISTS sample")
        for name in self._made - {"stmt", "sample"}:
            self._connection.execute(f"DROP TABLE {name}")
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        return self._path.stat().st_size


def records(table: pa.Table) -> Iterator[tuple[object, ...]]:
    """Return rows as SQLite takes them: instants are microseconds."""
    columns = (
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    )
    return zip(*(column.to_pylist() for column in columns), strict=True)


def timed(call: Callable[[], object]) -> float:
    """Return how many ms a call takes."""
    with without_garbage():
        began = time.perf_counter()
        call()
        return (time.perf_counter() - began) * 1e3


def append(directory: Path, report: Figures, *, quick: bool) -> None:
    """Measure samples of many rows and of very many."""
    for active in ACTIVE:
        samples = (SAMPLES if active == ACTIVE[0] else FEWER) // (10 if quick else 1)
        of_size(directory / f"append-{active}", active, samples, report)


def of_size(directory: Path, active: int, samples: int, report: Figures) -> None:
    """Commit samples of so many rows, one after the other, each way in turn; then seal."""
    world = World(5 * active)
    when = ticks(END - timedelta(seconds=SECONDS * samples), END, SECONDS, active)
    root, empty = directory / "history", directory / "empty"
    directory.mkdir(parents=True)
    disk = Noted()
    times: dict[str, list[float]] = {"append": [], "the same fsyncs": [], "SQLite": []}
    rows = 0
    sqlite = Rows(directory / "rows.sqlite")
    with closing(Writer.open(root, LABEL, disk)) as writer:
        for part in (writer.layout.tmp, writer.layout.hot(LABEL)):
            (empty / part.relative_to(root)).mkdir(parents=True)
        for number, delta in enumerate(world.deltas(when, active)):
            rows += len(delta.statements)
            # Texts are told in the first sample alone, which is left out below.
            disk.operations.clear()
            taken = timed(lambda delta=delta: writer.append(delta, world.names))  # type: ignore[misc]
            asked = list(disk.operations)
            floor = timed(lambda asked=asked: again(asked, root, empty))  # type: ignore[misc]
            beside = timed(lambda delta=delta: sqlite.insert(delta))  # type: ignore[misc]
            if number >= WARM_UP:
                for name, value in zip(times, (taken, floor, beside), strict=True):
                    times[name].append(value)
    show_times(times, active, samples, report)
    show_sealed(root, rows, samples, report, active=active, in_sqlite=sqlite.close())
    shutil.rmtree(directory)


def show_times(times: dict[str, list[float]], active: int, samples: int, report: Figures) -> None:
    """Print how long it took, and ratios of what was done in the same turn."""
    report.heading(
        f"A sample of {active:,} changed of {5 * active:,} statements, ms, of {samples}",
        "median",
        "p95",
    )
    for name, values in times.items():
        shown = {"median": statistics.median(values), "p95": percentile(sorted(values), 0.95)}
        report.times(name, shown, f"append {active}: {name}")
    ours = times["append"]
    for name, values in times.items():
        if name != "append":
            ratios = [mine / other for mine, other in zip(ours, values, strict=True)]
            report.ratio(f"append ÷ {name}", ratios, None, f"append {active} / {name}")


def show_sealed(
    root: Path, rows: int, samples: int, report: Figures, *, active: int, in_sqlite: int
) -> None:
    """Seal in a process of its own, as a collector does, and print what that costs and leaves."""
    sealing = run([sys.executable, "-m", "pgiostat.history", str(root), LABEL])
    if sealing.status:
        sys.exit(f"compaction failed: {sealing.said}")
    layout = Layout(root)
    files = layout.compacted_files("stmt")
    # The newest sample is not sealed.
    covered = sum(file.last - file.first + 1 for file in files) / samples * rows
    size = sum(file.path.stat().st_size for file in files) / covered
    rolled = sum(file.path.stat().st_size for file in layout.compacted_files("stmt_1h")) / covered
    share = sealing.cpu / (samples * SECONDS) * 100
    report.heading(f"Compacting {samples} of them in a process of its own")
    report.note(
        f"{sealing.cpu:.2f} s of CPU, {share:.2f} % of a core while they are collected,"
        f" peak {sealing.rss:.0f} MB"
    )
    report.note(
        f"{size:.1f} bytes a row, and {rolled:.1f} of the hourly rollup;"
        f" SQLite {in_sqlite / rows:.1f}, all columns and no index"
    )
    report.keep(
        f"seal {active}",
        {"cpu_s": sealing.cpu, "core_percent": share, "rss_mb": sealing.rss},
    )
    report.keep(
        f"bytes a row {active}",
        {"sealed": size, "rollup": rolled, "sqlite": in_sqlite / rows},
    )
