"""Tables and statements on which fixes are predicted and then applied."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Case", "cases"]

ROWS = 60_000
ORDERS = ("strided", "random", "packed")
PER_KEY = (20, 200, 2000)
WIDTHS = (40, 200, 900)
FILL = (100, 60)


@dataclass(frozen=True, slots=True)
class Case:
    """A table, a statement of it, and what happens between the two windows.

    Attributes:
        name: What it is.
        setup: SQL that makes the table, with its load.
        statement: The statement, with $1 for a key from 0 on.
        keys: How many keys there are.
        fault: SQL between the windows; nothing for a table that was so before.
        text: A part of the statement's text that names it.
        settings: What its session sets.
    """

    name: str
    setup: tuple[str, ...]
    statement: str
    keys: int
    fault: tuple[str, ...] = ()
    text: str = "from t"
    settings: tuple[str, ...] = ()


def _table(order: str, per_key: int, width: int, fill: int) -> tuple[str, ...]:
    """Return SQL of a table of keys with rows in an order."""
    keys = ROWS // per_key
    ordered = {
        "strided": "i",
        "random": "hashint8(i::bigint * 7919)",
        "packed": f"(i % {keys}), i",
    }[order]
    return (
        (
            f"CREATE TABLE t (id bigint NOT NULL, k int NOT NULL, v bigint NOT NULL,"
            f" at timestamptz NOT NULL, n int NOT NULL, pad text) WITH (fillfactor = {fill},"
            " autovacuum_enabled = off)"
        ),
        (
            f"INSERT INTO t SELECT i, i % {keys}, i, timestamptz '2026-01-01' + i * interval '1 s',"
            f" i % 97, repeat('x', {width}) FROM generate_series(1, {ROWS}) AS i ORDER BY {ordered}"
        ),
        "CREATE UNIQUE INDEX t_id ON t (id)",
        "CREATE INDEX t_k ON t (k)",
    )


_KINDS: dict[str, tuple[str, bool]] = {
    "max": ("SELECT max(v) FROM t WHERE k = $1", True),
    "rows": ("SELECT id, pad FROM t WHERE k = $1", True),
    "sum": ("SELECT sum(n) FROM t WHERE k = $1", True),
    "newest": ("SELECT id, pad FROM t WHERE k = $1 ORDER BY at DESC LIMIT 10", True),
    "range": ("SELECT count(*) FROM t WHERE k = $1 AND v > 0", True),
    "list": ("SELECT max(n) FROM t WHERE k IN ($1, $1 + 1, $1 + 2)", True),
    "no index": ("SELECT id, pad FROM t WHERE k = $1", False),
    "no index, sum": ("SELECT sum(n) FROM t WHERE k = $1", False),
    "no index, max": ("SELECT max(v) FROM t WHERE k = $1", False),
}


def _layouts(rng: random.Random) -> Iterator[Case]:
    grid = [
        (kind, order, per_key, width, fill)
        for kind in _KINDS
        for order in ORDERS
        for per_key in PER_KEY
        for width in WIDTHS
        for fill in FILL
    ]
    rng.shuffle(grid)
    for kind, order, per_key, width, fill in grid:
        statement, has_index = _KINDS[kind]
        setup = _table(order, per_key, width, fill)
        yield Case(
            f"{kind}, {order}, {per_key} rows a key, {width} bytes, fillfactor {fill}",
            setup if has_index else (*setup, "DROP INDEX t_k"),
            statement,
            ROWS // per_key,
        )


def _faults() -> Iterator[Case]:
    """Yield cases of which the window before is healthy."""
    table = _table("strided", 20, 200, 100)
    keys = ROWS // 20
    rows = "SELECT id, pad FROM t WHERE k = $1"
    yield Case("index dropped", table, rows, keys, ("DROP INDEX t_k",))
    yield Case(
        "index replaced by another order",
        (*table, "DROP INDEX t_k", "CREATE INDEX t_kn ON t (k, n)"),
        "SELECT count(*) FROM t WHERE k = $1",
        keys,
        ("DROP INDEX t_kn", "CREATE INDEX t_nk ON t (n, k)"),
    )
    packed = _table("packed", 200, 200, 100)
    yield Case(
        "rows written again in another order",
        packed,
        "SELECT sum(n) FROM t WHERE k = $1",
        ROWS // 200,
        (
            "CREATE TABLE u AS SELECT * FROM t",
            "DELETE FROM t",
            "VACUUM t",
            "INSERT INTO t SELECT * FROM u ORDER BY hashint8(id * 7919)",
            "VACUUM ANALYZE t",
        ),
    )
    covering = (*packed, "CREATE INDEX t_kv ON t (k, v)")
    yield Case(
        "visibility map cleared",
        covering,
        "SELECT count(v) FROM t WHERE k = $1",
        ROWS // 200,
        ("UPDATE t SET n = n + 1 WHERE id % 20 = 0",),
    )
    yield Case(
        "dead rows",
        packed,
        "SELECT sum(n) FROM t WHERE k = $1",
        ROWS // 200,
        ("UPDATE t SET n = n + 1", "UPDATE t SET n = n + 1", "UPDATE t SET n = n + 1"),
    )
    toast = (
        "CREATE TABLE t (id int PRIMARY KEY, k int, n int, pad text STORAGE EXTERNAL)",
        (
            "INSERT INTO t SELECT i, i % 300, i, repeat(md5(i::text), 250)"
            " FROM generate_series(1, 3000) AS i"
        ),
        "CREATE INDEX t_k ON t (k)",
    )
    yield Case("TOAST", toast, "SELECT max(length(pad || '')) FROM t WHERE k = $1", 300)
    referenced = (
        "CREATE TABLE t (id int PRIMARY KEY, k int UNIQUE, pad text)",
        "INSERT INTO t SELECT i, i, repeat('x', 100) FROM generate_series(0, 3000) AS i",
        "CREATE TABLE child (id int PRIMARY KEY, t_id int REFERENCES t (id), pad text)",
        "INSERT INTO child SELECT i, NULL, repeat('x', 300) FROM generate_series(1, 30000) AS i",
    )
    yield Case(
        "foreign key without index", referenced, "DELETE FROM t WHERE k = $1", 3000, text="from t"
    )
    yield Case(
        "planner setting",
        _table("strided", 20, 200, 100),
        rows,
        keys,
        ("ALTER DATABASE {database} SET random_page_cost = 100000",),
    )


def cases(count: int, seed: int) -> list[Case]:
    """Return the faults, and some layouts chosen by a seed."""
    found = _layouts(random.Random(seed))  # noqa: S311 - a reproducible choice
    return [*_faults(), *(next(found) for _ in range(count))]
