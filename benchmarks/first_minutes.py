"""Does anything alarm that is no loss, and is a loss shown?  Steady loads, interval by interval.

    python benchmarks/first_minutes.py DSN... [--seconds N] [--loads NAME,...] [--losses] [--json]

Each server is loaded in a schema of its own that is dropped afterwards: never name a server in use.
It is read once a second, as by `watch`.  `unattributed` must be within -1 ... +2 % of the reads in
99.9 % of the intervals of a steady load, without a notice of a loss.  With --losses a statement
that has read 50,000 blocks fails beside other loads: 80 % of it must be shown within 15 seconds,
beside transactions of a minute 25 % within two minutes, with a notice.  The exit status is 1 if any
of this does not hold.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import Event as ProcessEvent
from multiprocessing import Process
from multiprocessing.synchronize import Event
from typing import Any

import psycopg

from pgiostat.analysis.notices import notices
from pgiostat.analysis.rank import rank
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta

Connection = psycopg.Connection[tuple[Any, ...]]

PAUSE = threading.Event()
"""Never set: it is waited for."""

SCHEMA = "pgiostat_first_minutes"
ROWS = 300_000
"""Some 23,000 blocks."""
FAILED_ROWS = 50_000
"""A block each."""
LOW, HIGH, LEAST_SHARE = -0.01, 0.02, 0.999
LEAST_READS = 0.1
"""Intervals with fewer reads than this share of the mean are counted apart: one block is much."""
ALARMS = frozenset({"reads-unexplained", "coverage-low"})
LOSS_SECONDS, LOSS_SHARE = 15.0, 0.8
BESIDE_TRANSACTIONS_SECONDS, BESIDE_TRANSACTIONS_SHARE = 120.0, 0.25
"""What open transactions hold hides as much of a loss."""
SETTLING_SECONDS = 45.0
LONGEST_WAIT_SECONDS = 150.0
LOOKUP = "SELECT pad FROM pgiostat_first_minutes.rows WHERE id = %s"
RANGE = "SELECT sum(length(pad)) FROM pgiostat_first_minutes.rows WHERE id BETWEEN %s AND %s"
UPDATE = "UPDATE pgiostat_first_minutes.rows SET n = n + 1 WHERE id = %s"


def anywhere() -> int:
    """Return the id of a row."""
    return random.randrange(ROWS)  # noqa: S311 - a load, no secret


def transaction(connection: Connection, *, statements: int, end: str = "COMMIT") -> None:
    """Run a short transaction."""
    connection.execute("BEGIN")
    for _ in range(statements):
        connection.execute(LOOKUP, (anywhere(),))
    connection.execute(UPDATE, (anywhere(),))
    connection.execute(end)


def pgbench(connections: Sequence[Connection]) -> None:
    """Run a transaction as pgbench's, on one session."""
    transaction(connections[0], statements=4)
    PAUSE.wait(0.01)


def pool(connections: Sequence[Connection]) -> None:
    """Use any session of a pool for a short burst: between them sessions are idle."""
    chosen = random.choice(connections)  # noqa: S311
    for _ in range(random.randrange(1, 12)):  # noqa: S311
        transaction(chosen, statements=3)
    PAUSE.wait(random.expovariate(4))


def orm(connections: Sequence[Connection]) -> None:
    """Read in transactions that end with ROLLBACK, as SQLAlchemy's sessions do; some commit."""
    chosen = random.choice(connections)  # noqa: S311
    transaction(chosen, statements=4, end=random.choice(["ROLLBACK"] * 5 + ["COMMIT"]))  # noqa: S311
    PAUSE.wait(0.02)


def long_transaction(connections: Sequence[Connection]) -> None:
    """Read for up to a minute in one transaction, some 250 blocks a second."""
    connection, ends = connections[0], time.monotonic() + random.uniform(5, 60)  # noqa: S311
    connection.execute("BEGIN")
    while time.monotonic() < ends:
        first = anywhere()
        connection.execute(RANGE, (first, first + 24))
        PAUSE.wait(0.1)
    connection.execute("COMMIT")


@dataclass(frozen=True, slots=True)
class Load:
    """Processes that each do something over and over, with some sessions each."""

    work: Callable[[Sequence[Connection]], None]
    processes: int = 1
    sessions: int = 1


LOADS = {
    "pgbench 1": (Load(pgbench),),
    "pgbench 4": (Load(pgbench, processes=4),),
    "pgbench 16": (Load(pgbench, processes=16),),
    "pool": (Load(pool, sessions=10),),
    "orm": (Load(orm, processes=2, sessions=3),),
}
LONG = (Load(long_transaction, processes=4), Load(pgbench, processes=4))


def work_until(stop: Event, dsn: str, load: Load) -> None:
    """Do the work of one process of a load until it is stopped."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(load.sessions)
        ]
        while not stop.is_set():
            load.work(connections)


@contextmanager
def loaded(dsn: str, loads: Sequence[Load]) -> Iterator[None]:
    """Load a server."""
    stop = ProcessEvent()
    processes = [
        Process(target=work_until, args=(stop, dsn, load))
        for load in loads
        for _ in range(load.processes)
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        stop.set()
        for process in processes:
            process.join(5)
            process.terminate()


@dataclass(slots=True)
class Tick:
    """One interval: blocks by the server's count, in transit and unattributed, and alarms."""

    at: float
    seconds: float
    reads: int
    in_transit: int
    unattributed: int
    share: float
    coverage: float | None
    alarms: list[str]


@dataclass(slots=True)
class Steady:
    """A steady load: how far `unattributed` was from zero, and what alarmed."""

    load: str
    seconds: float
    intervals: int
    small: int
    outside: int
    lowest: float
    highest: float
    lowest_in_transit: float
    highest_in_transit: float
    alarms: list[str]

    @property
    def holds(self) -> bool:
        """Whether it is within the bounds."""
        return not self.alarms and self.outside <= self.intervals * (1 - LEAST_SHARE)


@dataclass(slots=True)
class Loss:
    """A failed statement: after how many seconds it was shown, and how much of it.

    noticed: seconds until a notice named the loss.  shown: blocks in all, of `lost`.
    """

    load: str
    lost: int
    noticed: float | None
    seconds: float | None
    shown: int
    bound: float

    @property
    def holds(self) -> bool:
        """Whether it was shown in time."""
        return all(
            seconds is not None and seconds <= self.bound
            for seconds in (self.noticed, self.seconds)
        )


@dataclass(slots=True)
class Watch:
    """Intervals of a server, as `watch` has them."""

    dsn: str
    names: Any = None
    ticks: list[Tick] = field(default_factory=list)
    _covered: list[int] = field(default_factory=lambda: [0, 0])

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Read once a second until that is over."""

        def wait(seconds: float) -> bool:
            PAUSE.wait(seconds)
            return not goes_on()

        sampler = Sampler(self.dsn, 1.0, describer(), wait)
        for result in sampler.intervals():
            if result.delta is not None and result.delta.seconds is not None:
                self._add(result.delta, sampler)

    def _add(self, delta: Delta, sampler: Sampler) -> None:
        ranking = rank([delta], sampler.names)
        reads, in_transit = ranking.server_blocks or 0, ranking.in_transit or 0
        self._covered[0] += delta.statement_blocks
        self._covered[1] += reads - in_transit
        coverage = self._covered[0] / self._covered[1] if self._covered[1] else None
        found = notices(delta, ranking, coverage=coverage)
        unattributed = ranking.unattributed or 0
        self.ticks.append(
            Tick(
                time.monotonic(), delta.seconds or 0.0, reads, in_transit, unattributed,
                unattributed / reads if reads else 0.0, coverage,
                [notice.slug for notice in found if notice.slug in ALARMS],
            )
        )  # fmt: skip


def steady(dsn: str, name: str, seconds: float) -> Steady:
    """Watch a steady load from its start."""
    watch = Watch(dsn)
    with loaded(dsn, LOADS[name]):
        ends = time.monotonic() + seconds
        watch.run(lambda: time.monotonic() < ends)
    mean = sum(tick.reads for tick in watch.ticks) / len(watch.ticks)
    judged = [tick for tick in watch.ticks if tick.reads >= LEAST_READS * mean]
    shares = [tick.share for tick in judged]
    transits = [tick.in_transit / tick.reads for tick in judged]
    return Steady(
        name,
        sum(tick.seconds for tick in watch.ticks),
        len(judged),
        len(watch.ticks) - len(judged),
        sum(not LOW <= share <= HIGH for share in shares),
        min(shares),
        max(shares),
        min(transits),
        max(transits),
        [alarm for tick in watch.ticks for alarm in tick.alarms],
    )


def fail(dsn: str, wait: float, ended: Any) -> None:
    """Read a block of each row after a while, and fail at the end; say when that was."""
    PAUSE.wait(wait)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET max_parallel_workers_per_gather = 0")
        with suppress(psycopg.Error):
            connection.execute(
                "SELECT 1 / (count(*) - count(*)) FROM pgiostat_first_minutes.large WHERE pad > ''"
            )
        ended.value = time.monotonic()
        PAUSE.wait(1)  # a session that ends at once reports at once, and so may others later


def loss(dsn: str, name: str, loads: Sequence[Load], share: float, bound: float) -> Loss:
    """Let a statement fail beside a load, and wait until a share of it is shown."""
    from multiprocessing import Value  # noqa: PLC0415

    ended = Value("d", 0.0)
    failing = Process(target=fail, args=(dsn, SETTLING_SECONDS, ended))
    watch = Watch(dsn)

    def goes_on() -> bool:
        began = ended.value
        shown = sum(tick.unattributed for tick in watch.ticks if began and tick.at > began)
        waited = time.monotonic() - began
        return not began or (shown < LOSS_SHARE * FAILED_ROWS and waited < LONGEST_WAIT_SECONDS)

    with loaded(dsn, loads):
        failing.start()
        watch.run(goes_on)
        failing.join()
    shown, noticed, seconds = 0, None, None
    for tick in watch.ticks:
        if tick.at <= ended.value:
            continue
        shown += tick.unattributed
        if noticed is None and "reads-unexplained" in tick.alarms:
            noticed = tick.at - ended.value
        if seconds is None and shown >= share * FAILED_ROWS:
            seconds = tick.at - ended.value
    return Loss(name, FAILED_ROWS, noticed, seconds, shown, bound)


@contextmanager
def furnished(dsn: str, *, large: bool) -> Iterator[None]:
    """Make the tables, and drop them at the end."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        connection.execute(
            f"CREATE UNLOGGED TABLE {SCHEMA}.rows WITH (fillfactor = 90) AS"
            " SELECT id, 0 AS n, repeat('x', 500) AS pad"
            f" FROM generate_series(0, {ROWS} - 1) AS id ORDER BY md5(id::text)"
        )
        connection.execute(f"CREATE UNIQUE INDEX ON {SCHEMA}.rows (id)")
        if large:
            connection.execute(f"CREATE UNLOGGED TABLE {SCHEMA}.large (id int, pad text)")
            connection.execute(f"ALTER TABLE {SCHEMA}.large ALTER pad SET STORAGE PLAIN")
            connection.execute(
                f"INSERT INTO {SCHEMA}.large SELECT id, repeat('x', 7000)"
                f" FROM generate_series(1, {FAILED_ROWS}) AS id"
            )
        connection.execute(f"VACUUM ANALYZE {SCHEMA}.rows")
        connection.execute("CHECKPOINT")
    try:
        yield
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def measured(
    dsn: str, names: Sequence[str], seconds: float, *, losses: bool
) -> Iterator[Steady | Loss]:
    """Yield what was found on a server, load by load."""
    for name in names:
        yield steady(dsn, name, seconds)
    if losses:
        for name in ("pgbench 4", "orm"):
            yield loss(dsn, name, LOADS[name], LOSS_SHARE, LOSS_SECONDS)
        bounds = (BESIDE_TRANSACTIONS_SHARE, BESIDE_TRANSACTIONS_SECONDS)
        yield loss(dsn, "transactions of a minute", LONG, *bounds)


def summary(found: Steady | Loss) -> str:
    """Return a line for people."""
    if isinstance(found, Loss):
        noticed, seconds = (
            "never" if each is None else f"after {each:.0f} s"
            for each in (found.noticed, found.seconds)
        )
        return (
            f"loss beside {found.load}: noticed {noticed}, most of it shown {seconds}"
            f" ({found.shown:,} of {found.lost:,} blocks)"
        )
    return (
        f"{found.load}: {found.intervals} intervals in {found.seconds:.0f} s, {found.outside}"
        f" outside; unattributed {found.lowest:+.2%} to {found.highest:+.2%}, in transit"
        f" {found.lowest_in_transit:+.0%} to {found.highest_in_transit:+.0%};"
        f" {len(found.alarms)} notices; {found.small} intervals with few reads"
    )


def main() -> int:
    """Run all, print it, and return 1 if anything is outside of its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dsn", nargs="+")
    parser.add_argument("--seconds", type=float, default=300.0, help="of each steady load")
    parser.add_argument("--loads", default=",".join(LOADS), help="names, separated by commas")
    parser.add_argument("--losses", action="store_true", help="let statements fail as well")
    parser.add_argument("--json", action="store_true", help="one object of figures at the end")
    options = parser.parse_args()
    figures: dict[str, list[dict[str, Any]]] = {}
    good = True
    for dsn in options.dsn:
        with psycopg.connect(dsn) as connection:
            version = connection.info.parameter_status("server_version") or "?"
        with furnished(dsn, large=options.losses):
            names = [name for name in options.loads.split(",") if name]
            for found in measured(dsn, names, options.seconds, losses=options.losses):
                good &= found.holds
                figures.setdefault(version, []).append(asdict(found))
                print(f"{version}  {summary(found)}", flush=True)
    if options.json:
        print(json.dumps(figures))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
