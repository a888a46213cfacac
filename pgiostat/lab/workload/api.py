"""The sync API: what is asked of the server, a statement or a transaction for each request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.lab.workload import version_cache
from pgiostat.lab.workload.schema import FETCH, MANIFEST, UPLOAD, VERSION, DataSize
from pgiostat.lab.workload.trace import Operation

__all__ = ["REQUESTED", "SCHEMA", "Api", "Rows", "connected", "flush_statistics"]

SCHEMA = "pgiostat_lab"
"""All that the lab makes in a database is in it."""
REQUESTED = (Operation.VERSION, Operation.MANIFEST, Operation.FETCH, Operation.UPLOAD)
"""The classes of requests, which can be switched off."""

Rows = tuple[int, int]
"""Ids, the last one excluded."""
Heard = Callable[[Operation, int, str, Rows], object]


@contextmanager
def connected(dsn: str) -> Iterator[version_cache.Connection]:
    """Yield a connection that sees the lab's schema alone, and commits each statement."""
    with psycopg.connect(
        dsn,
        autocommit=True,
        application_name="sync_api",
        prepare_threshold=None,  # a plan of its own each time, so that each run has the same
        options=f"-c search_path={SCHEMA}",
    ) as connection:
        yield connection


FLUSHES = 150_000
"""From PostgreSQL 15 on a session can be told to hand its counts over."""
FLUSH_SECONDS = 1.1
"""Before, it does so when it has been idle for a second (PGSTAT_STAT_INTERVAL, pgstat.c)."""


def flush_statistics(connection: version_cache.Connection) -> None:
    """Let a session hand over what it has counted: the server's counts lag behind statements'."""
    if connection.info.server_version >= FLUSHES:
        connection.execute("SELECT pg_stat_force_next_flush()")
        return
    for _ in range(2):
        Event().wait(FLUSH_SECONDS)
        connection.execute("SELECT 1")


@dataclass(slots=True)
class Api:
    """Answers clients from the database.

    off: requests that are not sent; they are answered by None.  cache: how versions are cached, if
    they are.  heard: told of each request, also of one that is not sent.  looked: versions that all
    rows of a table were looked at for.
    """

    connection: version_cache.Connection
    size: DataSize
    off: frozenset[Operation] = frozenset()
    cache: version_cache.Design | None = None
    heard: Heard = field(default=lambda *_: None)
    looked: int = 0

    def version(self, client: int, table: str) -> int | None:
        """Return the newest version of a client's table."""
        self.heard(Operation.VERSION, client, table, (0, 0))
        if Operation.VERSION in self.off:
            return None
        if self.cache is not None:
            newest, looked = version_cache.version(self.connection, self.cache, client, table)
            self.looked += looked
            return newest
        self.looked += 1
        row = self.connection.execute(VERSION.format(table=table).encode(), [client]).fetchone()
        found = row[0] if row else None
        return found if isinstance(found, int) else None

    def manifest(self, client: int, table: str, rows: Rows) -> dict[int, int] | None:
        """Return the versions of the rows of a range, by id."""
        self.heard(Operation.MANIFEST, client, table, rows)
        if Operation.MANIFEST in self.off:
            return None
        found = self.connection.execute(MANIFEST.format(table=table).encode(), [client, *rows])
        return {_id: version for _id, version in found}  # type: ignore[misc] # noqa: C416 - ints

    def fetch(self, client: int, table: str, rows: Rows) -> int:
        """Return how many rows came."""
        self.heard(Operation.FETCH, client, table, rows)
        if Operation.FETCH in self.off:
            return 0
        return len(
            self.connection.execute(FETCH.format(table=table).encode(), [client, *rows]).fetchall()
        )

    def upload(self, client: int, table: str, rows: Rows, version: int) -> None:
        """Write rows, all with one version, and tell the cache in the same transaction."""
        self.heard(Operation.UPLOAD, client, table, rows)
        if Operation.UPLOAD in self.off:
            return
        payload = f"{version:032d}" * (self.size.payload // 32 + 1)
        statement = UPLOAD.format(table=table).encode()
        with self.connection.transaction():
            for row in range(*rows):
                self.connection.execute(statement, [client, row, version, payload])
            if self.cache is not None:
                version_cache.uploaded(self.connection, self.cache, client, table, version)


def inconsistent(what: str) -> PgiostatError:
    """Return that the server answered what cannot be."""
    return PgiostatError(
        "the lab's server does not answer what the sync system has written",
        detail=what,
        hint="Somebody else has changed its data meanwhile: make the environment anew.",
        slug="lab-inconsistent",
    )
