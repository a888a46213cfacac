"""Take a snapshot: counters of all statements and of the server. Texts and names are apart.

Nothing is subtracted here, and nothing is written to the server.
"""

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from types import NoneType

import psycopg

from pgiostat.clock import monotonic
from pgiostat.postgres.activity import Backend
from pgiostat.postgres.extension import find_extension, find_kcache
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.relation_reader import RelationReader
from pgiostat.postgres.sent_sql import SETTINGS, text_of
from pgiostat.postgres.session import ServerSession
from pgiostat.postgres.snapshot_query import SnapshotQuery, unpack
from pgiostat.postgres.texts import TEXT_CHARACTERS, UNCONVERTIBLE, TextBatch, TextReader
from pgiostat.statistics import counters
from pgiostat.statistics.kcache import beside
from pgiostat.statistics.names import StatementKey
from pgiostat.statistics.snapshot import Markers, Settings, Snapshot
from pgiostat.volume.device.backend_process import Whereabouts

__all__ = ["Relation", "SnapshotReader"]

SHOWN_RUNNING = 20

Relation = tuple[int, str, str, str]
"""(relid of the table, schemaname, relname, part: heap, idx, toast or tidx)."""

_sessions = itertools.count(1)


class SnapshotReader:
    """Takes snapshots over one connection.

    Args:
        session: The connection, from `connect`.
        packed: Read all statements as one value; if False, or if the server or a pooler cannot,
            row by row.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self, session: ServerSession, *, packed: bool = True, clock: Callable[[], float] = monotonic
    ) -> None:
        self._session = session
        self._clock = clock
        self._number = next(_sessions)
        self._query = SnapshotQuery(session, packed=packed)
        self._own_queryid: int | None = None
        self._texts = TextReader(session, clock)
        self._arrange()

    @property
    def session(self) -> ServerSession:
        """The connection and what is known of its server."""
        return self._session

    @property
    def is_packed(self) -> bool:
        """Whether the statements of a snapshot travel as one value; if not, row by row."""
        return self._query.is_packed

    def _arrange(self) -> None:
        """Make the statements for the columns that this extension and this server have."""
        self._sql = self._session.sent_sql()
        self._own: Own | None = None

    @property
    def own(self) -> Own:
        """What recognises our own statements among the others."""
        if self._own is None:
            server = self._session.server
            self._own = Own.of(server.userid, server.dbid, self._sql)
        return self._own

    def take(self) -> Snapshot:
        """Take a snapshot of the server's counters.

        Returns:
            The snapshot; `diff` subtracts two of them.

        Raises:
            PgiostatError: connection-lost, reading-timed-out, extension-missing,
                extension-not-preloaded, query-failed, reply-unreadable.
        """
        with explain(self._session.conn):
            try:
                self._guard()
                return self._take()
            except (
                psycopg.errors.InvalidSqlStatementName,
                psycopg.errors.DuplicatePreparedStatement,
            ):
                # A pooler switched the server connection: prepare no more.
                self._query.is_prepared = False
                self._guard()
                return self._take()
            except (
                psycopg.errors.UndefinedTable,
                psycopg.errors.UndefinedColumn,
                psycopg.errors.UndefinedFunction,
                psycopg.errors.InvalidSchemaName,
                psycopg.errors.FeatureNotSupported,  # cached plan must not change result type
                psycopg.errors.InternalError_,
            ):
                # The extension was dropped, moved, or is of another version now.
                self._find_again()
                return self._take()

    def _guard(self) -> None:
        """Make sure that the next statement calls the extension's functions and no others.

        An extension may be moved or created again elsewhere, and somebody may have a function of
        its old name waiting.
        """
        if self._query.one(self._sql.guard) != (True,):
            self._find_again()

    def _find_again(self) -> None:
        self._session.extension = find_extension(self._session.conn)
        self._session.kcache = find_kcache(self._session.conn)
        self._arrange()

    def _take(self) -> Snapshot:
        began = time.perf_counter()
        for _ in range(3):
            statements, row = self._query.read(self._sql)
            clock = self._clock()
            started_at, reset_before, _, taken_at, reset_after = row[:5]
            # A reset in between would combine old rows with a new mark, or the reverse.
            if reset_before == reset_after:
                break
        dealloc, start_time, in_recovery, bgwriter_reset, oldest, settings = row[5:11]
        _check_times((started_at, taken_at, start_time), (reset_after, bgwriter_reset, oldest))
        if not (isinstance(in_recovery, bool) and isinstance(dealloc, int | NoneType)):
            msg = "a marker of an unexpected type"
            raise TypeError(msg)
        if not self._session.extension.has_info and self._own_queryid is None:
            self._own_queryid = self._find_own()
        tables = {
            selected.table.name: unpack(selected, packed)
            for selected, packed in zip(self._sql.views, row[11:], strict=True)
        }
        kcache = tables.get(counters.KCACHE.name)
        if kcache is not None:
            statements = beside(statements, kcache)
        snapshot = Snapshot(
            server=self._session.server,
            session=self._number,
            started_at=started_at,
            taken_at=taken_at,
            clock=clock,
            settings=Settings(dict(zip(SETTINGS, settings, strict=True))),
            markers=Markers(start_time, in_recovery, bgwriter_reset, reset_after, dealloc, oldest),
            statements=statements,
            databases=tables[counters.DATABASES.name],
            io=tables.get(counters.IO.name),
            relations=tables[counters.RELATIONS.name],
            own_queryid=self._own_queryid,
            own_seconds=time.perf_counter() - began,
        )
        snapshot.check()
        return snapshot

    def _find_own(self) -> int | None:
        """Return the queryid of our own query, or None if its text is not available."""
        server = self._session.server
        owner = {"userid": server.userid, "dbid": server.dbid}
        try:
            found = self._session.conn.execute(self._sql.own, owner).fetchone()
        except UNCONVERTIBLE:
            return None
        return found[0] if found else None

    def texts(self, keys: Collection[StatementKey]) -> TextBatch:
        """Return the texts of statements, as many as one batch carries.

        Args:
            keys: The statements, as (userid, dbid, queryid).

        Returns:
            Texts by statement, without those of vanished entries. A text that the server cannot
            convert costs that text alone, if the server lets us read around it.

        Raises:
            PgiostatError: texts-unreadable if none can be read; no counter is lost then.
        """
        with explain(self._session.conn):
            self._guard()
        return self._texts.read(keys)

    def running(self, seconds: float) -> list[Backend]:
        """Return statements that have been running for some time, the longest first.

        Args:
            seconds: For how long at least.

        Returns:
            Their backends; those of others are missing where the role lacks pg_read_all_stats.
        """
        limits = {"seconds": seconds, "characters": TEXT_CHARACTERS, "most": SHOWN_RUNNING}
        with explain(self._session.conn):
            rows = self._session.conn.execute(self._sql.running, limits).fetchall()
        return [Backend(*row) for row in rows]

    def databases(self) -> dict[int, str]:
        """Read the names of databases.

        Returns:
            Names by oid.
        """
        with explain(self._session.conn):
            rows = self._session.conn.execute(text_of("databases")).fetchall()
        return {oid: name for oid, name, *_ in rows}

    def roles(self) -> dict[int, str]:
        """Read the names of roles.

        Returns:
            Names by oid.
        """
        with explain(self._session.conn):
            return dict(self._session.conn.execute(text_of("roles")).fetchall())

    def relation_reader(self) -> RelationReader:
        """Return what reads the tables and indexes of the connected database.

        Returns:
            A reader on the same connection.
        """
        session = self._session
        return RelationReader(
            session.conn, self._sql, session.server.dbid, prepare=not session.pooled
        )

    def whereabouts(self) -> Whereabouts | None:
        """Return where the server runs, as it reports.

        Returns:
            Host, process and data directory; None if the server does not show our own session, for
            example because it works under another role than at its start.
        """
        conn = self._session.conn
        with explain(conn):
            row = conn.execute(text_of("whereabouts")).fetchone()
        if row is None or row[1] is None:
            return None
        return Whereabouts(self._session.server.host, *row)

    def relations(self, relids: Sequence[int]) -> tuple[dict[int, Relation], dict[int, str]]:
        """Return the relations of tables, indexes and TOAST tables.

        Args:
            relids: Their oids.

        Returns:
            By oid: relid of the table, schema, name, and part (heap, idx, toast or tidx). Then the
            own names of indexes and TOAST tables by oid.
        """
        with explain(self._session.conn):
            rows = self._session.conn.execute(
                text_of("relations"), {"relids": list(relids)}
            ).fetchall()
        return (
            {relid: (owner, schema, name, part) for relid, owner, schema, name, part, _ in rows},
            {relid: own for relid, *_, part, own in rows if part != "heap"},
        )

    def base_tables(self, names: Sequence[str]) -> list[tuple[str, str, str, str]]:
        """Return the tables behind relations of these names, a row for each table.

        Args:
            names: Names without a schema.

        Returns:
            Schema and name of a relation, and of a table that it is, reads or is a partition of.
        """
        with explain(self._session.conn):
            found = self._session.conn.execute(text_of("base_tables"), {"names": list(names)})
            return found.fetchall()


def _check_times(known: Iterable[object], perhaps: Iterable[object]) -> None:
    """Raise TypeError for what is no instant: a type that was damaged on its way."""
    found = (*known, *(each for each in perhaps if each is not None))
    if not all(isinstance(each, datetime) and each.tzinfo is not None for each in found):
        msg = "a time of an unexpected type"
        raise TypeError(msg)
