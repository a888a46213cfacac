"""What reading the counters of tables and indexes costs, and what a history of them takes.

    python -m benchmarks.relations [--relations N ...] [--rounds N]

It starts a PostgreSQL of its own with tables of one index each, touches all of them, and measures
in one run, interleaved:

1. CPU time of one snapshot, and of a read where all relations moved, a tenth of them, and none:
   that of the server's backend and of the client together, the mean of the rounds;
2. what the reads of a minute cost beside the snapshots of that minute, where a tenth and where all
   moved, as watch (1 s and 10 s) and collect (10 s and 60 s) take them by default;
3. the bytes that a minute adds to a history: idle, a tenth of the relations busy, and all.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg

from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.layout import Layout
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.statistics.relation_stats import RelationRead, interval_between

SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "autovacuum": False,
    "fsync": False,
    "max_locks_per_transaction": 1024,
}
MINUTES = 30
TICKS = os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str]) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--relations", type=int, nargs="*", default=[200, 2_000, 20_000])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    costs, sizes = [], []
    for count in options.relations:
        with tempfile.TemporaryDirectory(prefix="relations-", dir="/var/tmp") as place:
            Path(place).chmod(0o755)  # the server runs under another user
            cluster = Cluster(embedded_binaries(), Path(place) / "data", settings=SETTINGS)
            cluster.initialise()
            cluster.start()
            try:
                _fill(cluster.dsn(), count // 2)
                costs.append((count, _costs(cluster.dsn(), options.rounds)))
                sizes.append((count, _sizes(cluster.dsn(), Path(place))))
            finally:
                cluster.stop()
    print("| relations | snapshot, ms | all moved, ms | a tenth, ms | none, ms | watch | collect |")
    print("|---|---|---|---|---|---|---|")
    for count, found in costs:
        snapshot, everything, tenth, _ = found
        figures = " | ".join(f"{each * 1000:.1f}" for each in found)
        shares = (
            f"{_percent(tenth, reads, snapshot, n)} … {_percent(everything, reads, snapshot, n)} %"
            for reads, n in ((6, 60), (1, 6))
        )
        print(f"| {count:,} | {figures} | " + " | ".join(shares) + " |")
    print()
    print("| relations | idle | a tenth busy | all busy |")
    print("|---|---|---|---|")
    for count, bytes_a_minute in sizes:
        print(f"| {count:,} | " + " | ".join(f"{each:,.0f}" for each in bytes_a_minute) + " |")


def _percent(read: float, reads: int, snapshot: float, snapshots: int) -> str:
    return f"{100 * read * reads / (snapshot * snapshots):.0f}"


def _fill(dsn: str, tables: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        for first in range(0, tables, 500):
            names = range(first, min(first + 500, tables))
            other.execute(
                "; ".join(
                    f"CREATE TABLE t{n} (id int PRIMARY KEY, n int); INSERT INTO t{n} VALUES (1, 1)"
                    for n in names
                ).encode()
            )
        for number in range(2_000):  # statements to snapshot
            other.execute(f"SELECT 1 AS c{number}, n FROM t{number % tables}".encode())
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("SELECT pg_stat_force_next_flush()")


def _costs(dsn: str, rounds: int) -> tuple[float, ...]:
    session = connect(dsn)
    try:
        collector = SnapshotReader(session)
        reader = collector.relation_reader()
        pid = session.conn.info.backend_pid
        everything = collector.take().relations["relid"].tolist()
        calls: list[Callable[[], object]] = [
            collector.take,
            reader.stats,
            lambda: reader.stats(everything[::10]),
            lambda: reader.stats([]),
        ]
        taken: list[list[float]] = [[] for _ in calls]
        for number in range(rounds + 2):
            for call, found in zip(calls, taken, strict=True):
                repeats = 3
                began = _cpu(pid)
                for _ in range(repeats):
                    call()
                if number >= 2:  # prepared, and in the caches
                    found.append((_cpu(pid) - began) / repeats)
    finally:
        session.close()
    # A tick is 10 ms: the mean of many, not one.
    return tuple(statistics.mean(found) for found in taken)


def _cpu(pid: int) -> float:
    """Return the CPU seconds of the backend and of this process."""
    with Path(f"/proc/{pid}/schedstat").open(encoding="ascii") as found:
        nanoseconds = int(found.read().split()[0])
    return nanoseconds / 1e9 + time.process_time()


def _sizes(dsn: str, place: Path) -> tuple[float, ...]:
    session = connect(dsn)
    try:
        collector = SnapshotReader(session)
        reader = collector.relation_reader()
        before = collector.take()
        delta = diff(before, collector.take())
        known = reader.stats()
    finally:
        session.close()
    without = _bytes(place / "without", delta, known, 0.0)
    return tuple(
        _bytes(place / f"h{share}", delta, known, share) - without for share in (0.0, 0.1, 1.0)
    )


def _bytes(place: Path, delta: Delta, known: RelationRead, share: float) -> float:
    """Return the bytes that a minute adds, after compaction; share: of relations that are busy."""
    rng = np.random.default_rng(1)
    disk = Disk()
    writer = Writer.open(place, "prod", disk, now=lambda: delta.until + timedelta(days=1))
    for minute in range(MINUTES + 1):
        newer = replace(
            known,
            taken_at=known.taken_at + timedelta(minutes=1),
            tables=_busy(known.tables, share, rng),
            indexes=_busy(known.indexes, share, rng),
        )
        changes = RelationChanges((interval_between(known, newer),))
        start = delta.until + timedelta(minutes=minute)
        moved = replace(
            delta,
            older=replace(delta.older or delta.newer, taken_at=start),
            newer=replace(delta.newer, taken_at=start + timedelta(minutes=1)),
            seconds=60.0,
            relation_changes=changes if share else None,
        )
        writer.append(moved, Names())
        known = newer
    writer.close()
    compact(Layout(place), "prod")
    files = [
        path
        for name in ("table_stats", "index_stats")
        for path in place.glob(f"{name}/*/*.parquet")
    ]
    return sum(path.stat().st_size for path in files) / MINUTES


def _busy(rows: Rows, share: float, rng: np.random.Generator) -> Rows:
    """Return rows of which a share counted something, as a busy minute does."""
    counters = rows.counters.copy()
    chosen = rng.random(len(rows)) < share
    amounts = rng.geometric(0.001, counters.shape) * (rng.random(counters.shape) < 0.6)
    counters[:, chosen] += amounts[:, chosen]
    return Rows(rows.table, rows.attributes, rows.counter_names, counters)


if __name__ == "__main__":
    main(sys.argv[1:])
