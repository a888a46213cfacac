"""A multi-tenant sync system: its tables, their rows, and its clients' queries.

Rows of all clients arrive interleaved, so that one client's rows are scattered over the whole heap.
A version query finds a client's rows by the prefix of the primary key, but the version is not in
that key: each row costs a heap block of its own.  That is the story's expensive query.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg import sql

__all__ = [
    "DEMO",
    "FETCH",
    "MANIFEST",
    "READER",
    "UPLOAD",
    "VERSION",
    "WRITER",
    "DataSize",
    "create",
    "is_loaded",
    "load",
]

WRITER = "sync_api"
"""The role of the sync API."""
READER = "pgiostat"
"""The observer's role, with the least privileges."""

TABLES = ("customer", "product", "price", "invoice", "invoice_line", "visit")

VERSION = "SELECT max(row_version) FROM {table} WHERE client_id = %s /* sync:version */"
"""The newest version of a client's table."""
MANIFEST = (
    "SELECT id, row_version FROM {table} WHERE client_id = %s AND id >= %s AND id < %s ORDER BY id"
    " /* sync:manifest */"
)
"""Keys and versions of a range, for the differencing engine."""
FETCH = (
    "SELECT id, row_version, payload FROM {table}"
    " WHERE client_id = %s AND id >= %s AND id < %s ORDER BY id /* sync:fetch */"
)
"""Rows that changed elsewhere."""
UPLOAD = (
    "INSERT INTO {table} (client_id, id, row_version, payload) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (client_id, id) DO UPDATE"
    " SET row_version = excluded.row_version, payload = excluded.payload /* sync:upload */"
)
"""A changed row."""

BATCH_ROWS = 20_000
MARKER = "demo_loaded"

Progress = Callable[[int], None]
"""Called with each number of further rows."""


@dataclass(frozen=True, slots=True)
class DataSize:
    """The amount of data.

    Attributes:
        rows: of each client in each table.
        payload: bytes per row, in steps of 32.
    """

    clients: int = 100
    rows: int = 2_000
    tables: tuple[str, ...] = TABLES
    payload: int = 190

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Return the size that a record of JSON describes; `dataclasses.asdict` makes records.

        Raises:
            KeyError, TypeError: the record has other fields.
        """
        return cls(**(record | {"tables": tuple(record["tables"])}))

    def payload_of(self, version: int) -> str:
        """Return the payload of a row, which depends on its version."""
        return f"{version:032d}" * (self.payload // 32 + 1)

    @property
    def total(self) -> int:
        """Rows in all tables."""
        return self.clients * self.rows * len(self.tables)


DEMO = DataSize()
"""About 300 MB with indexes."""


def create(dsn: str, password: str, application: str = WRITER) -> None:
    """Create the roles of an application and of the observer, and pg_stat_statements here."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for role in (application, READER):
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
            if known.fetchone() is None:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(role), sql.Literal(password)
                    )
                )
        connection.execute(sql.SQL("GRANT pg_read_all_stats TO {}").format(sql.Identifier(READER)))


def is_loaded(dsn: str, size: DataSize = DEMO) -> bool:
    """Return whether all data of this size are loaded."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass(%s)", [MARKER]).fetchone() == (None,):
            return False
        row = connection.execute("SELECT size FROM demo_loaded").fetchone()
        return row == (repr(size),)


def load(
    dsn: str, size: DataSize = DEMO, *, progress: Progress | None = None, grantee: str = WRITER
) -> None:
    """Make the tables and their rows, always the same ones; the marker comes last.

    Args:
        grantee: a role with access beside the owner.
    """
    progress = progress or (lambda _rows: None)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS demo_loaded")
    # One after the other on one processor, two at once on two.
    with ThreadPoolExecutor(max_workers=2) as pool:
        loading = [
            pool.submit(_load_table, dsn, table, size, progress, grantee) for table in size.tables
        ]
        for done in loading:
            done.result()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE demo_loaded AS SELECT %s::text AS size", [repr(size)])
        with suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("CHECKPOINT")


def _load_table(dsn: str, table: str, size: DataSize, progress: Progress, grantee: str) -> None:
    name = sql.Identifier(table)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} (client_id int NOT NULL, id int NOT NULL,"
                " row_version bigint NOT NULL, payload text NOT NULL) WITH (fillfactor = 95)"
            ).format(name)
        )
        rows = size.clients * size.rows
        for first in range(0, rows, BATCH_ROWS):
            last = min(first + BATCH_ROWS, rows)
            # Each row is another client's: that scatters them.
            connection.execute(
                sql.SQL(
                    "INSERT INTO {} SELECT i %% %s::int, i / %s::int, i,"
                    " repeat(md5(i::text), %s::int)"
                    " FROM generate_series(%s::int, %s::int) AS i"
                ).format(name),
                [size.clients, size.clients, size.payload // 32 + 1, first, last - 1],
            )
            progress(last - first)
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (client_id, id)").format(name))
        if grantee:
            connection.execute(
                sql.SQL("GRANT SELECT, INSERT, UPDATE ON {} TO {}").format(
                    name, sql.Identifier(grantee)
                )
            )
        connection.execute(sql.SQL("VACUUM (FREEZE, ANALYZE) {}").format(name))
