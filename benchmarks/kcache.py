"""What reading pg_stat_kcache costs beside reading pg_stat_statements, interleaved in one run.

    python benchmarks/kcache.py DSN [--statements 5000] [--rounds 40] [--json]

DSN: a superuser's, to a database with pg_stat_statements and pg_stat_kcache of a server of its
own: its statements are filled up with ones of ours.  Wall time, client and server together.  A
snapshot with it may cost twice what it costs without: as if pg_stat_statements were read again.
"""

import argparse
import json
import platform
import random
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.postgres.extension import Kcache
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader

WARM_UP = 3
COLUMNS = 14
"""Each is there or not: 16,384 statements of different queryid."""


def fill(dsn: str, statements: int) -> None:
    """Run statements until so many are known."""
    columns = [f"c{n}" for n in range(COLUMNS)]
    with psycopg.connect(dsn, autocommit=True) as connection:
        listed = ", ".join(f"{column} int" for column in columns)
        connection.execute(f"CREATE TEMP TABLE wide ({listed})".encode())
        for number in range(1, statements + 1):
            chosen = [name for bit, name in enumerate(columns) if number >> bit & 1]
            connection.execute(f"SELECT {', '.join(chosen)} FROM wide".encode())


def main() -> None:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dsn")
    parser.add_argument("--statements", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="end with all figures as one object")
    asked = parser.parse_args()
    fill(asked.dsn, asked.statements)
    with_it, without = connect(asked.dsn), connect(asked.dsn)
    if with_it.kcache.missing:
        raise SystemExit(f"kcache: {with_it.kcache.missing}")
    without.kcache = Kcache(missing="left out")
    without.server = replace(without.server, kcache_missing="left out")
    candidates = {
        "snapshot with pg_stat_kcache": SnapshotReader(with_it).take,
        "snapshot without": SnapshotReader(without).take,
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for number in range(WARM_UP + asked.rounds):
        random.shuffle(order)
        for name in order:
            began = time.perf_counter()
            candidates[name]()
            if number >= WARM_UP:
                times[name].append((time.perf_counter() - began) * 1000)
    version = without.conn.info.parameter_status("server_version")
    entries = len(SnapshotReader(without).take().statements)
    print(f"{datetime.now(UTC):%Y-%m-%d}, PostgreSQL {version}, Python {platform.python_version()}")
    print(f"\nWall ms of {asked.rounds} rounds, {entries:,} statements\n{'':36}    median")
    for name, values in times.items():
        print(f"  {name:<36}{statistics.median(values):>8.2f}")
    whole, less = times.values()
    more = statistics.median(a - b for a, b in zip(whole, less, strict=True))
    budget = statistics.median(less)
    met = more <= budget
    told = f"goal ≤ {budget:.2f}: {'met' if met else 'MISSED'}"
    print(f"  {'pg_stat_kcache costs':<36}{more:>8.2f}   {told}")
    if asked.json:
        medians = {name: statistics.median(values) for name, values in times.items()}
        print(json.dumps({"ms": medians, "kcache_ms": more, "goal_ms": budget, "met": met}))


if __name__ == "__main__":
    try:
        main()
    except PgiostatError as error:
        raise SystemExit(error.report()) from None
