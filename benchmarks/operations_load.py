"""Loads of which each class runs in one dedicated session, so that the server counts it alone.

Tables have eight rows a block. With shared_buffers of 2,048 blocks `big` and `med` are scanned in
the context bulkread, `small` in normal.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import psycopg

__all__ = ["FIRST_KIND", "LOADS", "SECOND_KIND", "Clients", "Load", "Task", "prepare"]

Connection = psycopg.Connection[tuple[Any, ...]]

ROWS_PER_BLOCK = 8
BIG, MED, SMALL = 10_000, 1_500, 400
"""Blocks of the tables."""
DOCUMENTS = 1_500
MANY = 100
INDEX_SCANS = ("SET enable_bitmapscan = off", "SET enable_seqscan = off")
BITMAP_SCANS = ("SET enable_indexscan = off", "SET enable_seqscan = off")
NESTED_LOOPS = (*INDEX_SCANS, "SET enable_hashjoin = off", "SET enable_mergejoin = off")
SERIAL = ("SET max_parallel_workers_per_gather = 0",)
PARALLEL = (
    "SET max_parallel_workers_per_gather = 2",
    "SET min_parallel_table_scan_size = 0",
    "SET parallel_setup_cost = 0",
    "SET parallel_tuple_cost = 0",
)

Parameters = Callable[[random.Random], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Task:
    """A class of statements, all of one text.

    Attributes:
        text: The statement, with placeholders of psycopg. Its column is named `c_` and the class.
        every: Mean seconds between two calls.
        parameters: Makes the parameters of a call.
        settings: Statements that its session runs first.
    """

    text: str
    every: float
    parameters: Parameters = lambda _: ()
    settings: Sequence[str] = SERIAL


@dataclass(frozen=True, slots=True)
class Load:
    """Classes that run at the same time.

    Attributes:
        tasks: The classes by name. Each gets as many constants more as its place, because names of
            columns do not distinguish statements.
        helped: The class for which parallel workers read; empty without one.
        schema: Statements that make tables besides those of `prepare`.
    """

    tasks: Mapping[str, Task]
    helped: str = ""
    schema: Sequence[str] = ()

    def texts(self) -> dict[str, str]:
        """Return the statement of each class, which is no other's."""
        return {
            name: task.text.replace(" FROM", f"{', 1' * place} FROM", 1)
            for place, (name, task) in enumerate(self.tasks.items())
        }


def _table(name: str, blocks: int) -> tuple[str, ...]:
    rows = blocks * ROWS_PER_BLOCK
    return (
        f"CREATE TABLE {name} (id int, scattered int, pad text) WITH (autovacuum_enabled = off)",
        f"""INSERT INTO {name} SELECT i, (i * 7919::bigint) % {rows}, repeat('x', 900)
            FROM generate_series(0, {rows - 1}) AS i""",
        f"CREATE INDEX ON {name} (id)",
        f"CREATE INDEX ON {name} (scattered)",
        f"VACUUM (FREEZE, ANALYZE) {name}",
    )


def prepare(connection: Connection, load: Load) -> None:
    """Make the tables of a load."""
    for name, blocks in (("big", BIG), ("med", MED), ("small", SMALL)):
        for text in _table(name, blocks):
            connection.execute(text.encode())
    for text in load.schema:
        connection.execute(text.encode())


def _between(rows: int, low: int, high: int) -> Parameters:
    def parameters(dice: random.Random) -> Sequence[Any]:
        length = dice.randint(low, high)
        first = dice.randrange(rows - length)
        return first, first + length

    return parameters


def _one(first: int, end: int) -> Parameters:
    return lambda dice: (dice.randrange(first, end),)


def _some(rows: int, count: int) -> Parameters:
    return lambda dice: ([dice.randrange(rows) for _ in range(count)],)


_BIG_ROWS = BIG * ROWS_PER_BLOCK


def _scan(name: str, table: str, every: float) -> dict[str, Task]:
    return {name: Task(f"SELECT sum(length(pad)) AS c_{name} FROM {table}", every)}


def _lookup(name: str, every: float, table: str = "big", blocks: int = BIG) -> dict[str, Task]:
    text = (
        f"SELECT sum(length(t.pad)) AS c_{name}"
        f" FROM unnest(%s::int[]) AS wanted JOIN {table} AS t ON t.id = wanted"
    )
    return {name: Task(text, every, _some(blocks * ROWS_PER_BLOCK, 100), (*SERIAL, *NESTED_LOOPS))}


def _ranged(
    name: str,
    every: float,
    column: str,
    lengths: tuple[int, int],
    settings: Sequence[str],
    *,
    table: str = "big",
    blocks: int = BIG,
) -> dict[str, Task]:
    text = f"SELECT sum(length(pad)) AS c_{name} FROM {table} WHERE {column} BETWEEN %s AND %s"
    parameters = _between(blocks * ROWS_PER_BLOCK, *lengths)
    return {name: Task(text, every, parameters, (*SERIAL, *settings))}


def _pk(every: float) -> dict[str, Task]:
    text = "SELECT length(pad) AS c_pk FROM big WHERE id = %s"
    return {"pk": Task(text, every, _one(0, _BIG_ROWS), (*SERIAL, *INDEX_SCANS))}


def _mix(**every: float) -> Load:
    """Return a load of the eight classes, by the seconds between two calls of each."""
    tasks = (
        _scan("scan", "big", every["scan"])
        | _scan("med", "med", every["med"])
        | _scan("small", "small", every["small"])
        | _lookup("lookup", every["lookup"])
        | _pk(every["pk"])
        | _ranged("range", every["range"], "id", (600, 2400), INDEX_SCANS)
        | _ranged("bitmap", every["bitmap"], "scattered", (300, 2500), BITMAP_SCANS)
        | _ranged("dense", every["dense"], "id", (1500, 3000), BITMAP_SCANS)
    )
    return Load(tasks)


FIRST_KIND: dict[str, Load] = {
    "even": _mix(
        scan=20.0, med=3.0, small=0.8, lookup=0.25, pk=0.05, range=0.4, bitmap=2.5, dense=0.6
    ),
    "scan-heavy": _mix(
        scan=4.0, med=6.0, small=3.0, lookup=0.8, pk=0.1, range=1.5, bitmap=8.0, dense=2.0
    ),
    "lookup-heavy": _mix(
        scan=40.0, med=10.0, small=2.0, lookup=0.1, pk=0.05, range=0.2, bitmap=6.0, dense=1.5
    ),
}
"""Loads as those on which the method was developed."""


def _parallel() -> Load:
    scan = Task("SELECT sum(length(pad)) AS c_parallel FROM big", 8.0, settings=PARALLEL)
    tasks = (
        {"parallel": scan}
        | _scan("small", "small", 1.0)
        | _lookup("lookup", 0.3)
        | _ranged("bitmap", 3.0, "scattered", (300, 2500), BITMAP_SCANS)
        | _ranged("range", 0.6, "id", (600, 2400), INDEX_SCANS)
    )
    return Load(tasks, helped="parallel")


def _toast() -> Load:
    schema = (
        "CREATE TABLE docs (id int PRIMARY KEY, body text) WITH (autovacuum_enabled = off)",
        "ALTER TABLE docs ALTER body SET STORAGE EXTERNAL",
        f"INSERT INTO docs SELECT i, repeat('y', 20000) FROM generate_series(0, {DOCUMENTS - 1}) i",
        "VACUUM (FREEZE, ANALYZE) docs",
    )
    tasks = (
        {
            "document": Task(
                "SELECT sum(length(d.body || '')) AS c_document"
                " FROM unnest(%s::int[]) AS wanted JOIN docs AS d ON d.id = wanted",
                0.3,
                _some(DOCUMENTS, 30),
                (*SERIAL, *NESTED_LOOPS),
            ),
            "export": Task("SELECT sum(length(body || '')) AS c_export FROM docs", 10.0),
        }
        | _scan("scan", "big", 15.0)
        | _ranged("dense", 0.8, "id", (1500, 3000), BITMAP_SCANS)
        | _ranged("bitmap", 3.0, "scattered", (300, 2500), BITMAP_SCANS)
    )
    return Load(tasks, schema=schema)


def _limit() -> Load:
    tasks = (
        {
            "page": Task(
                "SELECT count(*) AS c_page FROM"
                " (SELECT pad FROM big WHERE pad > 'a' LIMIT %s) AS t",
                1.5,
                _one(4_000, 24_000),
            ),
            "join": Task(
                "SELECT sum(length(b.pad)) AS c_join FROM med AS m"
                " JOIN big AS b ON b.id = m.scattered * 6 WHERE mod(m.scattered, 40) = %s",
                3.0,
                _one(0, 40),
                (
                    *SERIAL,
                    "SET enable_bitmapscan = off",
                    "SET enable_hashjoin = off",
                    "SET enable_mergejoin = off",
                ),
            ),
        }
        | _scan("scan", "big", 20.0)
        | _lookup("lookup", 0.3)
        | _ranged("dense", 1.0, "id", (1500, 3000), BITMAP_SCANS)
        | _scan("small", "small", 1.5)
    )
    return Load(tasks)


def _many() -> Load:
    """Return a hundred statements on twenty tables, their rates by Zipf's law."""
    dice = random.Random(7)  # noqa: S311
    sizes = [dice.choice((120, 250, 400, 700, 1_200, 2_500)) for _ in range(20)]
    schema = [text for i, blocks in enumerate(sizes) for text in _table(f"t{i}", blocks)]
    tasks: dict[str, Task] = {}
    for rank, number in enumerate(dice.sample(range(MANY), MANY), start=1):
        name, which = f"q{number}", dice.randrange(20)
        table, blocks = f"t{which}", sizes[which]
        rows = blocks * ROWS_PER_BLOCK
        every = 1.2 * rank
        kind = dice.choice(("scan", "lookup", "lookup", "range", "range", "bitmap", "dense"))
        if kind == "scan":
            tasks |= _scan(name, table, every)
        elif kind == "lookup":
            tasks |= _lookup(name, every / 4, table, blocks)
        else:
            column = "scattered" if kind == "bitmap" else "id"
            settings = INDEX_SCANS if kind == "range" else BITMAP_SCANS
            lengths = (rows // 20, rows // 4)
            tasks |= _ranged(name, every / 2, column, lengths, settings, table=table, blocks=blocks)
    return Load(tasks, schema=schema)


SECOND_KIND: dict[str, Load] = {
    "parallel": _parallel(),
    "toast": _toast(),
    "limit": _limit(),
    "hundred": _many(),
}
"""Loads of another kind than those on which the method was developed."""

LOADS = FIRST_KIND | SECOND_KIND


@dataclass(slots=True)
class Clients:
    """The sessions of a load, each in a thread, until `close`."""

    dsn: str
    load: Load
    pids: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Connect each session, and let them run."""
        texts = self.load.texts()
        for seed, (name, task) in enumerate(self.load.tasks.items()):
            # Literals: a parameter's type, and so the queryid, would depend on its value.
            connection = psycopg.connect(
                self.dsn, autocommit=True, cursor_factory=psycopg.ClientCursor
            )
            for text in task.settings:
                connection.execute(text.encode())
            self.pids[name] = connection.info.backend_pid
            thread = Thread(
                target=self._run, args=(connection, texts[name], task, seed), daemon=True
            )
            self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def _run(self, connection: Connection, text: str, task: Task, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311
        # The first call comes at a random instant of its period, as any other.
        wait = dice.uniform(0.0, task.every)
        while not self._stop.wait(wait):
            try:
                connection.execute(text.encode(), task.parameters(dice)).fetchall()
            except psycopg.Error as error:
                self.errors.append(str(error))
                return
            wait = dice.expovariate(1.0 / task.every)

    def close(self) -> None:
        """End all sessions."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30.0)
