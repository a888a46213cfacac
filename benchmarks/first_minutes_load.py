"""Loads of first_minutes.py: steady ones, some with a small loss, and a statement that fails."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Event as ProcessEvent
from multiprocessing import Process
from multiprocessing.synchronize import Event
from typing import Any

import psycopg

__all__ = [
    "FAILED_ROWS",
    "LOADS",
    "LONG",
    "LOSING",
    "PAUSE",
    "SCHEMA",
    "Load",
    "fail",
    "furnished",
    "loaded",
]

Connection = psycopg.Connection[tuple[Any, ...]]

PAUSE = threading.Event()
"""Never set: it is waited for."""

SCHEMA = "pgiostat_first_minutes"
ROWS = 300_000
"""Some 23,000 blocks."""
FAILED_ROWS = 50_000
"""A block each."""
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


SOME = (
    "SELECT sum(length(pad)) FROM pgiostat_first_minutes.rows WHERE id = ANY (ARRAY("
    "SELECT (random() * 299999)::int FROM generate_series(1, 8)))"
)
"""Some 16 blocks, of the table and of its index."""


def uncounted(connections: Sequence[Connection]) -> None:
    """Read a little, in a session with statements that are not tracked."""
    connections[0].execute(SOME)
    PAUSE.wait(random.uniform(0.5, 2.5))  # noqa: S311


def prepared_utility(connections: Sequence[Connection]) -> None:
    """Run a prepared utility statement: pg_stat_statements counts its first execution alone."""
    connections[0].execute(f"EXPLAIN (ANALYZE) {SOME}", prepare=True)
    PAUSE.wait(random.uniform(0.5, 2.5))  # noqa: S311


def failing(connections: Sequence[Connection]) -> None:
    """Read a little, and fail."""
    with suppress(psycopg.errors.DivisionByZero):
        connections[0].execute(f"SELECT 1 / (n - n) FROM ({SOME}) AS found (n)")
    PAUSE.wait(random.uniform(0.5, 2.5))  # noqa: S311


def held_cursor(connections: Sequence[Connection]) -> None:
    """Fill a cursor WITH HOLD, which no statement counts."""
    connection = connections[0]
    connection.execute("BEGIN")
    connection.execute(f"DECLARE held CURSOR WITH HOLD FOR {SOME}")
    connection.execute("COMMIT")
    connection.execute("CLOSE held")
    PAUSE.wait(random.uniform(0.5, 2.5))  # noqa: S311


def reconnecting(connections: Sequence[Connection]) -> None:
    """Connect for each lookup: parsing and planning read the catalogs."""
    with psycopg.connect(connections[0].info.dsn, autocommit=True) as connection:
        connection.execute(LOOKUP, (anywhere(),))
    PAUSE.wait(0.2)


def rarely(connections: Sequence[Connection]) -> None:
    """Do the same for a load that reads little."""
    connections[0].execute(SOME)
    PAUSE.wait(random.uniform(5, 15))  # noqa: S311


def failing_rarely(connections: Sequence[Connection]) -> None:
    """Read a little and fail, for a load that reads little."""
    failing(connections)
    PAUSE.wait(random.uniform(1, 5))  # noqa: S311


def bursts(connections: Sequence[Connection]) -> None:
    """Read much at once, in a session with statements that are not tracked."""
    for _ in range(12):
        connections[0].execute(SOME)
    PAUSE.wait(random.uniform(5, 15))  # noqa: S311


@dataclass(frozen=True, slots=True)
class Load:
    """Processes that each do something over and over, with some sessions each.

    options: Of their sessions.
    """

    work: Callable[[Sequence[Connection]], None]
    processes: int = 1
    sessions: int = 1
    options: str = ""


LOADS = {
    "pgbench 1": (Load(pgbench),),
    "pgbench 4": (Load(pgbench, processes=4),),
    "pgbench 16": (Load(pgbench, processes=16),),
    "pool": (Load(pool, sessions=10),),
    "orm": (Load(orm, processes=2, sessions=3),),
}
UNTRACKED = "-c pg_stat_statements.track=none"
LOSING = {
    "untracked": (*LOADS["pgbench 4"], Load(uncounted, options=UNTRACKED)),
    "untracked in a pool": (*LOADS["pool"], Load(rarely, options=UNTRACKED)),
    "untracked bursts": (*LOADS["pgbench 4"], Load(bursts, options=UNTRACKED)),
    "prepared utility": (*LOADS["pgbench 4"], Load(prepared_utility)),
    "failing": (*LOADS["orm"], Load(failing_rarely)),
    "held cursors": (*LOADS["pgbench 4"], Load(held_cursor)),
    "reconnecting": (*LOADS["pgbench 4"], Load(reconnecting, processes=2)),
}
"""Steady loads with a small loss: some 1 % of the reads belong to no statement."""
LONG = (Load(long_transaction, processes=4), Load(pgbench, processes=4))


def work_until(stop: Event, dsn: str, load: Load) -> None:
    """Do the work of one process of a load until it is stopped."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(dsn, autocommit=True, options=load.options or None))
            for _ in range(load.sessions)
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


@contextmanager
def furnished(dsn: str, *, large: bool) -> Iterator[None]:
    """Make the tables, and drop them at the end.

    Before PostgreSQL 16 no counter has the reads of autovacuum: it leaves them alone.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        connection.execute(
            f"CREATE UNLOGGED TABLE {SCHEMA}.rows"
            " WITH (fillfactor = 90, autovacuum_enabled = off) AS"
            " SELECT id, 0 AS n, repeat('x', 500) AS pad"
            f" FROM generate_series(0, {ROWS} - 1) AS id ORDER BY md5(id::text)"
        )
        connection.execute(f"CREATE UNIQUE INDEX ON {SCHEMA}.rows (id)")
        if large:
            connection.execute(
                f"CREATE UNLOGGED TABLE {SCHEMA}.large (id int, pad text)"
                " WITH (autovacuum_enabled = off)"
            )
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
