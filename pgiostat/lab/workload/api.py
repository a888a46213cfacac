"""The sync API: sends a statement or a transaction to the server for each request."""

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
"""Holds all objects of the lab in a database."""
REQUESTED = (Operation.VERSION, Operation.MANIFEST, Operation.FETCH, Operation.UPLOAD)
"""The requests, which can be switched off."""

Rows = tuple[int, int]
"""A range of ids, the last one excluded."""
OnRequest = Callable[[Operation, int, str, Rows], object]


@contextmanager
def connected(dsn: str) -> Iterator[version_cache.Connection]:
    """Yield a connection with the lab's schema alone on its search path, in autocommit mode."""
    with psycopg.connect(
        dsn,
        autocommit=True,
        application_name="sync_api",
        prepare_threshold=None,  # each execution is planned, so that all runs have the same plans
        options=f"-c search_path={SCHEMA}",
    ) as connection:
        yield connection


FLUSH_VERSION = 150_000
"""From PostgreSQL 15 on a session reports its counts on request."""
FLUSH_SECONDS = 1.1
"""Before, a session reports when it was idle for a second (PGSTAT_STAT_INTERVAL, pgstat.c)."""


def flush_statistics(connection: version_cache.Connection) -> None:
    """Make a session report its counts, which the server otherwise gets late."""
    if connection.info.server_version >= FLUSH_VERSION:
        connection.execute("SELECT pg_stat_force_next_flush()")
        return
    for _ in range(2):
        Event().wait(FLUSH_SECONDS)
        connection.execute("SELECT 1")


@dataclass(slots=True)
class Api:
    """Answers clients from the database.

    Attributes:
        off: requests that are not sent; their answer is None.
        cache: how versions are cached, None without a cache.
        on_request: called for each request, also for one that is not sent.
        looked: version requests that read all rows of a client's table.
    """

    connection: version_cache.Connection
    size: DataSize
    off: frozenset[Operation] = frozenset()
    cache: version_cache.Design | None = None
    on_request: OnRequest = field(default=lambda *_: None)
    looked: int = 0

    def version(self, client: int, table: str) -> int | None:
        """Return the newest version of a client's table."""
        self.on_request(Operation.VERSION, client, table, (0, 0))
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
        self.on_request(Operation.MANIFEST, client, table, rows)
        if Operation.MANIFEST in self.off:
            return None
        found = self.connection.execute(MANIFEST.format(table=table).encode(), [client, *rows])
        return {_id: version for _id, version in found}  # type: ignore[misc] # noqa: C416 - ints

    def fetch(self, client: int, table: str, rows: Rows) -> int:
        """Return the number of rows of a range."""
        self.on_request(Operation.FETCH, client, table, rows)
        if Operation.FETCH in self.off:
            return 0
        return len(
            self.connection.execute(FETCH.format(table=table).encode(), [client, *rows]).fetchall()
        )

    def upload(self, client: int, table: str, rows: Rows, version: int) -> None:
        """Write rows, all with one version, and update the cache in the same transaction."""
        self.on_request(Operation.UPLOAD, client, table, rows)
        if Operation.UPLOAD in self.off:
            return
        payload = self.size.payload_of(version)
        statement = UPLOAD.format(table=table).encode()
        with self.connection.transaction():
            for row in range(*rows):
                self.connection.execute(statement, [client, row, version, payload])
            if self.cache is not None:
                version_cache.record_upload(self.connection, self.cache, client, table, version)


def inconsistent(what: str) -> PgiostatError:
    """Return the error of an answer that contradicts the data that were written."""
    return PgiostatError(
        "the lab's server does not return what the sync system wrote",
        detail=what,
        hint="Another client changed its data: create the environment again.",
        slug="lab-inconsistent",
    )
