"""The version cache: a table with the newest version of each client's tables.

Without it a version query reads all rows of the client in the table.  The cache has a row for each
client and non-empty table.  There are two designs; neither ever returns an old version:

update: an upload's transaction raises the row to the version that it wrote.  The row stays locked
until that transaction ends: a second upload waits, and takes the greater of both.  A version query
sees the row of the last committed upload, in the same MVCC snapshot as the client's rows.

invalidate: an upload's transaction empties the row and increments its generation.  A version query
that finds an empty row reads all rows of the client, and fills the cache only if the generation is
the one from before that.  An upload in between has incremented it; an upload in progress that has
emptied the row holds its lock, so that the query waits, checks again, and leaves the row empty; an
upload that has not emptied the row yet will do so.

In both, the first upload to an empty table makes the row.  Versions of a table rise.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import psycopg

from pgiostat.lab.workload.schema import VERSION

__all__ = [
    "CACHE_TABLE",
    "Design",
    "cached_versions",
    "clear",
    "create",
    "fill",
    "record_upload",
    "version",
]

Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]

CACHE_TABLE = "table_version"

SELECT_VERSION = (
    f"SELECT row_version FROM {CACHE_TABLE}"  # noqa: S608 - our own names
    " WHERE client_id = %s AND table_name = %s /* sync:cached-version */"
)
SELECT_GENERATION = (
    f"SELECT row_version, generation FROM {CACHE_TABLE}"  # noqa: S608 - our own names
    " WHERE client_id = %s AND table_name = %s /* sync:cached-version */"
)
RAISE = (
    f"INSERT INTO {CACHE_TABLE} (client_id, table_name, row_version)"  # noqa: S608 - our own names
    " VALUES (%s, %s, %s) ON CONFLICT (client_id, table_name) DO UPDATE"
    f" SET row_version = greatest({CACHE_TABLE}.row_version, excluded.row_version)"
    " /* sync:raise-version */"
)
EMPTY = (
    f"INSERT INTO {CACHE_TABLE} (client_id, table_name, row_version)"  # noqa: S608 - our own names
    " VALUES (%s, %s, NULL) ON CONFLICT (client_id, table_name) DO UPDATE"
    f" SET row_version = NULL, generation = {CACHE_TABLE}.generation + 1"
    " /* sync:empty-version */"
)
REFILL = (
    f"UPDATE {CACHE_TABLE} SET row_version = %s"  # noqa: S608 - our own names
    " WHERE client_id = %s AND table_name = %s AND generation = %s AND row_version IS NULL"
    " /* sync:refill-version */"
)


class Design(StrEnum):
    """What an upload does to the cache."""

    UPDATE = "update"
    INVALIDATE = "invalidate"


def create(connection: Connection) -> None:
    """Make the cache, empty."""
    connection.execute(
        f"CREATE TABLE {CACHE_TABLE} (client_id int, table_name text, row_version bigint,"
        " generation bigint NOT NULL DEFAULT 0, PRIMARY KEY (client_id, table_name))"
        " WITH (fillfactor = 50)".encode()
    )


def clear(connection: Connection) -> None:
    """Empty the cache: required before uploads that do not update it."""
    connection.execute(f"TRUNCATE {CACHE_TABLE}".encode())


def cached_versions(connection: Connection) -> dict[tuple[int, str], int]:
    """Return all versions in the cache, by client and table."""
    found = connection.execute(
        f"SELECT client_id, table_name, row_version FROM {CACHE_TABLE}"  # noqa: S608 - our own
        " WHERE row_version IS NOT NULL".encode()
    )
    return {(client, table): version for client, table, version in found}  # type: ignore[misc]


def fill(connection: Connection, tables: Sequence[str]) -> None:
    """Fill the cache from all rows; no upload may run meanwhile."""
    clear(connection)
    for table in tables:
        connection.execute(
            f"INSERT INTO {CACHE_TABLE} (client_id, table_name, row_version)"  # noqa: S608
            f" SELECT client_id, '{table}', max(row_version)"
            f" FROM {table} GROUP BY client_id".encode()
        )


def record_upload(
    connection: Connection, design: Design, client: int, table: str, version: int
) -> None:
    """Apply an upload to the cache, within its transaction and after its rows."""
    if design is Design.UPDATE:
        connection.execute(RAISE.encode(), [client, table, version])
    else:
        connection.execute(EMPTY.encode(), [client, table])


def version(
    connection: Connection, design: Design, client: int, table: str
) -> tuple[int | None, bool]:
    """Return the newest version of a client's table.

    The connection is in autocommit mode: its MVCC snapshot must be no older than the request.

    Returns:
        The version, None without rows; and whether all rows were read for it.
    """
    if design is Design.UPDATE:
        row = connection.execute(SELECT_VERSION.encode(), [client, table]).fetchone()
        return None if row is None else _whole(row[0]), False
    row = connection.execute(SELECT_GENERATION.encode(), [client, table]).fetchone()
    if row is None or row[0] is not None:
        return None if row is None else _whole(row[0]), False
    found = connection.execute(VERSION.format(table=table).encode(), [client]).fetchone()
    newest = None if found is None else _whole(found[0])
    if newest is not None:
        connection.execute(REFILL.encode(), [newest, client, table, row[1]])
    return newest, True


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
