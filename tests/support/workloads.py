"""What tests let a server do, and how they read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.row_deltas import Basis

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def collecting(dsn: str, *, packed: bool = True) -> Iterator[SnapshotReader]:
    """Yield a collector on a connection of its own."""
    session = connect(dsn)
    try:
        yield SnapshotReader(session, packed=packed)
    finally:
        session.close()


@contextmanager
def client(dsn: str) -> Iterator[Connection]:
    """Yield a connection in autocommit that plans each statement as it comes."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def run(connection: Connection, statement: str, times: int = 1) -> None:
    """Run a statement so many times."""
    for _ in range(times):
        connection.execute(statement.encode())


def fill(connection: Connection, table: str, rows: int) -> None:
    """Make a table of some 15 rows a block, freshly vacuumed."""
    connection.execute(
        f"""
        CREATE TABLE {table} AS
        SELECT i AS id, i % 100 AS client_id, repeat('x', 480) AS pad
        FROM generate_series(1, {rows}) AS i
        """.encode()
    )
    connection.execute(f"CREATE INDEX ON {table} (id)".encode())
    connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}".encode())


def by_text(
    collector: SnapshotReader, delta: Delta, part: str
) -> dict[str, tuple[int, int, Basis]]:
    """Return (calls, shared_blks_read, basis) of rows whose text holds a part, by text.

    Rows of one text (two users, two databases) must not occur here.
    """
    rows = delta.statements.rows
    keys = list(
        zip(rows["userid"].tolist(), rows["dbid"].tolist(), rows["queryid"].tolist(), strict=True)
    )
    texts = collector.texts(keys).texts
    found: dict[str, tuple[int, int, Basis]] = {}
    for key, calls, reads, basis in zip(
        keys,
        rows["calls"].tolist(),
        rows["shared_blks_read"].tolist(),
        delta.statements.basis.tolist(),
        strict=True,
    ):
        text = str(texts.get(key, ""))
        if part in text and "pg_stat_statements" not in text:
            assert text not in found, f"two rows of {text}"
            found[text] = (calls, reads, Basis(basis))
    return found


def shown_by_the_server(connection: Connection, sent: str) -> str:
    """Return the only text that pg_stat_statements has after a statement was sent."""
    connection.execute("SELECT pg_stat_statements_reset()")
    with connection.cursor() as cursor:
        cursor.execute(sent.encode())
    query = "SELECT query FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'"
    (row,) = connection.execute(query).fetchall()
    return str(row[0])
