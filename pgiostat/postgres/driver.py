"""psycopg's connections and cursors as pgiostat needs them: UTF-8, binary results, a deadline."""

import os
from collections.abc import Generator, Mapping
from functools import cache
from time import monotonic
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format

from pgiostat.postgres.loaders import checked_adapters

__all__ = ["NO_ENCODING", "Connection", "dbname_of", "open_connection", "user_of"]

SILENCE_SECONDS = 30.0
"""After this many seconds without a byte no answer will come: the server's limit is shorter.

A network or a proxy that swallows an answer, or one that a damaged length makes longer than it is,
would block us forever. TCP does not detect this: it has nothing to send.
"""
NO_ENCODING = "SQL_ASCII"
"""Encoding of a database that initdb made without a locale."""
_ABSTRACT = "/\1"
"""Prefix of an abstract socket: psycopg recognises a socket by a "/" at its start."""


class _Cursor(psycopg.Cursor[Any]):
    """Sends UTF-8 and requests binary results.

    How the session writes dates and numbers does not matter then, nor that psycopg takes a
    database without an encoding for ASCII.
    """

    def __init__(self, connection: psycopg.Connection[Any], **keywords: Any) -> None:
        super().__init__(connection, **keywords)
        self.format = Format.BINARY

    def execute(self, query: Any, *arguments: Any, **keywords: Any) -> Self:
        text = query.as_string() if isinstance(query, sql.Composable) else query
        sent = text.encode() if isinstance(text, str) else text
        return super().execute(sent, *arguments, **keywords)


_Answer = TypeVar("_Answer")


class Connection(psycopg.Connection[Any]):
    """A connection that closes when the server is silent for too long.

    Attributes:
        parameters: The keywords of libpq that made it, secrets among them: never shown.
        their_options: The start-up options that the user chose, without ours.
        is_unsettled: Whether none of our settings were start-up options.
    """

    parameters: Mapping[str, Any]
    their_options: str = ""
    is_unsettled: bool = False

    @classmethod
    def _connect_gen(cls, conninfo: str = "", *arguments: Any, **keywords: Any) -> Any:
        """Connect once; an abstract socket has its own name again."""
        if _ABSTRACT in conninfo:
            message = conninfo_to_dict(conninfo)
            message["host"] = str(message["host"]).removeprefix(_ABSTRACT)
            conninfo = make_conninfo("", **message)
        return super()._connect_gen(conninfo, *arguments, **keywords)

    def wait(self, gen: Generator[Any, Any, _Answer], *arguments: Any, **keywords: Any) -> _Answer:
        """Wait for an answer, and fail where the server is silent for SILENCE_SECONDS."""
        return super().wait(self._unless_silent(gen), *arguments, **keywords)

    def _unless_silent(self, gen: Generator[Any, Any, _Answer]) -> Generator[Any, Any, _Answer]:
        """Pass a generator of psycopg's on; it is sent 0 where nothing came meanwhile."""
        heard = monotonic()
        try:
            state = next(gen)
            while True:
                ready = yield state
                now = monotonic()
                if ready:
                    heard = now
                elif now - heard > SILENCE_SECONDS:
                    self.close()
                    message = f"the server has been silent for {SILENCE_SECONDS:g} s"
                    raise psycopg.OperationalError(message)
                state = gen.send(ready)
        except StopIteration as ended:
            return cast("_Answer", ended.value)


@cache
def _adapters() -> psycopg.adapt.AdaptersMap:
    return checked_adapters()


def open_connection(parameters: Mapping[str, Any]) -> Connection:
    """Connect in autocommit mode, without a conversion where the server has no encoding.

    Args:
        parameters: Keywords of libpq, client_encoding among them.

    Raises:
        psycopg.OperationalError: The server could not be reached, or refused the connection.
    """
    hosts = str(parameters.get("host") or os.environ.get("PGHOST") or "")
    if "@" in hosts:
        marked = [f"{_ABSTRACT}{h}" if h.startswith("@") else h for h in hosts.split(",")]
        made = {**parameters, "host": ",".join(marked)}
    else:
        made = dict(parameters)
    conn = Connection.connect(**made, autocommit=True, cursor_factory=_Cursor, context=_adapters())
    conn.parameters = parameters
    if (
        conn.info.parameter_status("server_encoding")
        == NO_ENCODING
        != parameters["client_encoding"]
    ):
        # Such a server converts nothing, and refuses to send as UTF-8 what is none.
        conn.close()
        return open_connection({**parameters, "client_encoding": NO_ENCODING})
    return conn


def dbname_of(conn: psycopg.Connection[Any]) -> str:
    """Return the name of the connected database, in any encoding."""
    return (conn.pgconn.db or b"").decode("utf-8", "replace")


def user_of(conn: psycopg.Connection[Any]) -> str:
    """Return the name of the role that connected."""
    return (conn.pgconn.user or b"").decode("utf-8", "replace")
