"""The table-version cache: what is the newest version of a client's table, kept by the database.

Without it a version query looks at every row that the client has in the table.  The cache has a
row for each client and table that has rows.  Two designs, and why each is never wrong:

update: an upload's transaction raises the row to what it wrote.  The row stays locked until that
transaction ends: a second upload waits, and takes the greater of both.  Who asks sees the row as
the last committed upload left it, in the same snapshot as the rows themselves.

invalidate: an upload's transaction empties the row and counts its generation up.  Who asks and
finds it empty looks at all rows, and fills it only if the generation is still the one that it had
read before it looked.  An upload that came between has counted it up; one that is still under way
and has emptied the row holds it locked, so that who fills waits, looks again, and leaves it; one
that has not emptied it yet will do so.  A version that is too old is never kept.

In both, who uploads to a table that had no rows makes the row.  Versions of a table rise.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import psycopg

from pgiostat.lab.workload.schema import VERSION

__all__ = ["CACHE_TABLE", "Design", "clear", "create", "fill", "known", "uploaded", "version"]

Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]

CACHE_TABLE = "table_version"

ASK = (
    f"SELECT row_version FROM {CACHE_TABLE}"  # noqa: S608 - our own names
    " WHERE client_id = %s AND table_name = %s /* sync:cached-version */"
)
ASK_GENERATION = (
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
    """Let the cache tell nothing: whoever uploads without telling it must do so before."""
    connection.execute(f"TRUNCATE {CACHE_TABLE}".encode())


def known(connection: Connection) -> dict[tuple[int, str], int]:
    """Return what the cache tells, by client and table."""
    found = connection.execute(
        f"SELECT client_id, table_name, row_version FROM {CACHE_TABLE}"  # noqa: S608 - our own
        " WHERE row_version IS NOT NULL".encode()
    )
    return {(client, table): version for client, table, version in found}  # type: ignore[misc]


def fill(connection: Connection, tables: Sequence[str]) -> None:
    """Let the cache tell of the rows that there are; while nobody uploads."""
    clear(connection)
    for table in tables:
        connection.execute(
            f"INSERT INTO {CACHE_TABLE} (client_id, table_name, row_version)"  # noqa: S608
            f" SELECT client_id, '{table}', max(row_version)"
            f" FROM {table} GROUP BY client_id".encode()
        )


def uploaded(connection: Connection, design: Design, client: int, table: str, version: int) -> None:
    """Tell the cache of an upload, within its transaction and after its rows."""
    if design is Design.UPDATE:
        connection.execute(RAISE.encode(), [client, table, version])
    else:
        connection.execute(EMPTY.encode(), [client, table])


def version(
    connection: Connection, design: Design, client: int, table: str
) -> tuple[int | None, bool]:
    """Return the newest version of a client's table, None if it has no rows; and if all were read.

    The connection commits each statement by itself: what is read here must be no older than the
    question.
    """
    if design is Design.UPDATE:
        row = connection.execute(ASK.encode(), [client, table]).fetchone()
        return None if row is None else _whole(row[0]), False
    row = connection.execute(ASK_GENERATION.encode(), [client, table]).fetchone()
    if row is None or row[0] is not None:
        return None if row is None else _whole(row[0]), False
    found = connection.execute(VERSION.format(table=table).encode(), [client]).fetchone()
    newest = None if found is None else _whole(found[0])
    if newest is not None:
        connection.execute(REFILL.encode(), [newest, client, table, row[1]])
    return newest, True


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
