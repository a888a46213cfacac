"""A session for statistics: a connection, and the facts about its server."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.postgres.connection import is_pooled, reach
from pgiostat.postgres.extension import (
    NO_KCACHE,
    Extension,
    Kcache,
    check_preloaded,
    find_extension,
    find_kcache,
)
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.sent_sql import SentSql, text_of
from pgiostat.statistics.counter_table import CounterTable
from pgiostat.statistics.counters import DATABASES, IO, STATEMENTS
from pgiostat.statistics.newest_version import differences, is_newer, lacking
from pgiostat.statistics.snapshot import Server

__all__ = ["ServerSession", "connect", "session_on", "who"]


@dataclass(slots=True)
class ServerSession:
    """One connection for snapshots, with its server and extensions.

    Attributes:
        pooled: The server did not apply our settings, as behind a pooler. Other clients use the
            same connections: nothing is set and nothing is prepared.
    """

    conn: psycopg.Connection[Any]
    server: Server
    extension: Extension
    pooled: bool = False
    kcache: Kcache = NO_KCACHE
    view_columns: Mapping[str, Collection[str]] = field(default_factory=dict)

    def sent_sql(self) -> SentSql:
        """Return the statements for the columns that this server has."""
        extension, kcache = self.extension, self.kcache
        return SentSql(
            version_num=self.server.version_num,
            schema=extension.schema,
            columns=extension.columns,
            has_info=extension.has_info,
            functions=extension.functions | kcache.functions,
            kcache_schema="" if kcache.missing else kcache.schema,
            kcache_columns=kcache.columns,
            view_columns=self.view_columns,
        )

    def close(self) -> None:
        """End the connection; a broken one too."""
        self.conn.close()


def connect(dsn: str = "", *, label: str = "") -> ServerSession:
    """Connect to a server, as libpq does, in a session that is read only.

    Args:
        dsn: URI or keywords; the PG* variables, the service file and .pgpass apply.
        label: Name of the server in output; host and port if empty.

    Returns:
        The session, with what is known of its server. Close it after use.

    Raises:
        PgiostatError: dsn-invalid, server-unreachable, password-wrong, role-missing,
            database-missing, connection-refused-by-server, extension-missing,
            extension-not-preloaded, extension-replaced, privilege-missing, schema-forbidden,
            superuser-unsafe, server-unknown.
    """
    conn = reach(dsn)
    try:
        return session_on(conn, label=label)
    except BaseException:
        conn.close()
        raise


def session_on(conn: psycopg.Connection[Any], *, label: str = "") -> ServerSession:
    """Return a session on a connection of `reach`; raises PgiostatError as connect does.

    Args:
        conn: Stays open if there is an error.
        label: The server's name in output; made of host and port if empty.
    """
    with explain(conn):
        pooled = is_pooled(conn)
        extension = find_extension(conn)
        kcache = find_kcache(conn)
        server = replace(_identify(conn, label, extension), kcache_missing=kcache.missing)
        check_preloaded(conn, extension)
        _check_columns(STATEMENTS, extension.columns, server)
        columns = _columns_of_newer(conn, server) if is_newer(server.version_num) else {}
    if columns:
        everything = {**columns, STATEMENTS.name: extension.columns}
        server = replace(server, unknown=differences(server.version, everything))
    return ServerSession(conn, server, extension, pooled, kcache, columns)


def _columns_of_newer(conn: psycopg.Connection[Any], server: Server) -> dict[str, Collection[str]]:
    """Return the columns of the views that a snapshot reads, by view."""
    columns = dict(conn.execute(text_of("columns")).fetchall())
    for table in (DATABASES, IO):
        _check_columns(table, columns.get(table.name, ()), server)
    return columns


def _check_columns(table: CounterTable, available: Collection[str], server: Server) -> None:
    missing = lacking(table, available)
    if missing:
        raise PgiostatError(
            f"pgiostat cannot read {table.name} of PostgreSQL {server.version}",
            detail=f"It lacks {', '.join(missing)}.",
            hint="Update pgiostat.",
            slug="server-unknown",
        )


def who(conn: psycopg.Connection[Any]) -> tuple[Any, ...]:
    """Return the row of sql/server.sql, then the system identifier, 0 where it is refused."""
    *found, is_identified = cast("tuple[Any, ...]", conn.execute(text_of("server")).fetchone())
    row = conn.execute(text_of("system_identifier")).fetchone() if is_identified else None
    return (*found, row[0] if row else 0)


def _identify(conn: psycopg.Connection[Any], label: str, extension: Extension) -> Server:
    version, version_num, dbname, dbid, user, userid, address, system_identifier = who(conn)
    host = conn.info.host or "local"
    return Server(
        label=label or f"{'local' if host.startswith(('/', '@')) else host}:{conn.info.port}",
        host=host,
        port=conn.info.port,
        dbname=dbname,
        dbid=dbid,
        user=user,
        userid=userid,
        system_identifier=system_identifier,
        address=address,
        version=version.split(" ")[0],
        version_num=version_num,
        extension_version=extension.version,
    )
