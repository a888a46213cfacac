"""Read the counters and definitions of tables and indexes of one database."""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.postgres.connection import database_beside
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.sent_sql import SentSql, text_of
from pgiostat.postgres.session import who
from pgiostat.postgres.snapshot_query import unpack
from pgiostat.statistics.definitions import PLANNER_SETTINGS, Definition, Kind
from pgiostat.statistics.names import RelationName
from pgiostat.statistics.relation_stats import RelationRead
from pgiostat.statistics.snapshot import Server

__all__ = ["RelationReader", "without_constants"]

CONNECT_SECONDS = 2
UNCHANGED = (Kind.COLUMNS, Kind.PARTITION)
"""Kinds of definitions without constants."""
_PART = re.compile(
    r"""(?P<kept>"(?:[^"]|"")*"|->>?\s*'(?:[^']|'')*'|\ WITH\ \([^)]*\))|E?'(?:[^']|'')*'""",
    re.VERBOSE,
)
"""Parts of a definition: names, keys of JSON and options of storage stay; constants do not."""
_NUMBER = re.compile(r"(?<![\w$\"?])\d+(?:\.\d+)?(?![\w\"])")


class RelationReader:
    """Reads the tables and indexes of the database of one connection.

    Args:
        conn: The connection.
        sent: The statements for its server.
        dbid: Its database.
        prepare: Whether the server may prepare the statements: not behind a pooler.
    """

    def __init__(
        self, conn: psycopg.Connection[Any], sent: SentSql, dbid: int, *, prepare: bool
    ) -> None:
        self._conn = conn
        self._sent = sent
        self._prepare = prepare
        self.dbid = dbid

    def stats(self, relids: Collection[int] | None = None) -> RelationRead:
        """Return the counters of tables and indexes.

        Args:
            relids: Oids of relations that may have moved; None reads all that have counted
                anything.

        Returns:
            Their counters. A relation that was dropped is missing.

        Raises:
            PgiostatError: connection-lost, reading-timed-out, query-failed, reply-unreadable.
        """
        sent = self._sent
        query = sent.all_relation_stats if relids is None else sent.relation_stats
        arguments = None if relids is None else {"relids": sorted(relids)}
        began = time.perf_counter()
        with explain(self._conn):
            with self._conn.cursor(binary=True) as cursor:
                row = cursor.execute(query, arguments, prepare=self._prepare).fetchone()
            if row is None:
                raise PgiostatError("the server sent no row", slug="query-failed")
            tables, indexes, taken_at = row
            found = RelationRead(
                dbid=self.dbid,
                taken_at=taken_at,
                tables=unpack(sent.table_stats, tables),
                indexes=unpack(sent.index_stats, indexes),
                own_seconds=time.perf_counter() - began,
            )
            found.check()
        return found

    def definitions(self, tables: Collection[int]) -> list[Definition]:
        """Return the columns, indexes and foreign keys of tables, and of what they are partitions.

        A table that was dropped has none.

        Args:
            tables: Oids of the tables.

        Raises:
            PgiostatError: As stats does.
        """
        rows = self._rows("definitions", {"relids": sorted(tables)})
        return [
            Definition(
                self.dbid,
                kind,
                oid,
                owner,
                name,
                text if kind in UNCHANGED else without_constants(text),
                detail,
            )
            for kind, oid, owner, name, text, detail in rows
            if text is not None  # it was dropped just now
        ]

    def settings(self) -> list[Definition]:
        """Return the settings that decide plans and reads, and when the server was started.

        Raises:
            PgiostatError: As stats does.
        """
        rows = self._rows("settings", {"names": list(PLANNER_SETTINGS)})
        return [
            Definition(0, kind, oid, owner, name, text) for kind, oid, owner, name, text in rows
        ]

    def names(self, relids: Collection[int]) -> dict[int, RelationName]:
        """Return the names of relations by oid: table, schema, name, part, own name.

        Args:
            relids: Oids of tables, indexes and TOAST tables.

        Raises:
            PgiostatError: As stats does.
        """
        rows = self._rows("relations", {"relids": sorted(relids)})
        return {relid: (*table, own) for relid, *table, own in rows}

    def databases(self) -> list[tuple[int, str, bool, str]]:
        """Return the databases: oid, name, whether we may connect, and encoding.

        Raises:
            PgiostatError: As stats does.
        """
        with explain(self._conn):
            return self._conn.execute(text_of("databases")).fetchall()

    @contextmanager
    def beside(self, name: str, dbid: int, server: Server) -> Iterator["RelationReader"]:
        """Yield a reader of another database of the server, on a connection of its own.

        Args:
            name: The database.
            dbid: Its oid.
            server: The server of this connection.

        Raises:
            PgiostatError: As `connection.reach` does; other-server if another one answered.
        """
        other = database_beside(self._conn, name, connect_timeout=CONNECT_SECONDS)
        try:
            with explain(other):
                _, version_num, _, oid, _, _, address, system_identifier = who(other)
            if (version_num, oid, address, system_identifier) != (
                server.version_num,
                dbid,
                server.address,
                server.system_identifier,
            ):
                raise PgiostatError("another server answered", slug="other-server")
            yield RelationReader(other, self._sent, dbid, prepare=False)
        finally:
            other.close()

    def _rows(self, statement: str, arguments: dict[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        with explain(self._conn):
            return self._conn.execute(text_of(statement), arguments).fetchall()


def without_constants(definition: str) -> str:
    """Return a definition without constants: these may be secrets.

    Keys of JSON stay, and numbers outside of a predicate.

    >>> without_constants("CREATE INDEX i ON public.t USING btree (a) WHERE (b = 'x'::text)")
    'CREATE INDEX i ON public.t USING btree (a) WHERE (b = ?::text)'
    >>> without_constants("CREATE INDEX i ON t USING btree ((d ->> 'k'::text), md5(a || 'salt'))")
    "CREATE INDEX i ON t USING btree ((d ->> 'k'::text), md5(a || ?))"
    """
    masked = _PART.sub(lambda found: found["kept"] or "?", definition)
    head, where, predicate = masked.partition(" WHERE ")
    return head + where + _NUMBER.sub("?", predicate)
