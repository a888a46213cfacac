"""Connect as libpq does, in a session that is read only."""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.postgres.driver import Connection, open_connection
from pgiostat.postgres.dsn import check_dsn, in_effect, redacted
from pgiostat.postgres.dsn_mistakes import HOST, invalid
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.refusal import refusal
from pgiostat.postgres.sent_sql import text_of
from pgiostat.postgres.session_settings import (
    READ_ONLY,
    SESSION_LIMITS,
    SESSION_SETTINGS,
    WORK_MEM,
    as_options,
)
from pgiostat.unexpected import as_error, has_descriptors, too_many_files

__all__ = ["database_beside", "is_pooled", "reach"]

APPLICATION_NAME = "pgiostat"
_ADDRESS = ("host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts")
"""Keywords that select one of several servers."""
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Time limits of libpq, in seconds; the last one in milliseconds.

A machine that disappears is noticed in half a minute. The system's defaults take two hours.
"""

_NO_OPTIONS = re.compile(
    r"(?:FATAL|ERROR):\s+(?:unsupported startup parameter"
    r"|Feature not supported: RDS Proxy currently doesn.t support command-line options)"
)
"""How PgBouncer and RDS Proxy refuse options that they do not pass on.

Only the beginning of a message is matched: a name in a message may contain the same words.
"""
_SETS_ROLE = re.compile(r"\brole\s*=")
_CONTEXT = "\nCONTEXT:  "
"""Header of a message from within a function, in English if no locale of messages is set."""
_NO_DESCRIPTOR = re.compile(r"Too many open files")
_ENDED = ("session-limit", "connection-lost")
"""A broken connection may have taken the server's last message with it."""


def is_pooled(conn: psycopg.Connection[Any]) -> bool:
    """Return whether the server did not apply our settings, as behind a pooler."""
    return conn.execute(text_of("pooled"), {"work_mem": WORK_MEM}).fetchone() == (True,)


def reach(dsn: str, **keywords: str | int) -> psycopg.Connection[Any]:
    """Connect, read only, without a check of the server.

    Args:
        dsn: URI or keywords, as for `pgiostat.connect`.
        keywords: Further keywords of libpq, in place of those of the string.

    Raises:
        PgiostatError: As for `pgiostat.connect`, without the errors of extensions.
    """
    parameters = check_dsn(dsn)
    found = in_effect(parameters)
    for name in _ADDRESS:
        # psycopg does not read services: it would neither try one host after the other, nor apply
        # the time limit to each.
        if name in found:
            parameters.setdefault(name, found[name])
    for name, value in PATIENCE.items():
        parameters.setdefault(name, value)
    # Read by poolers and pg_stat_activity; a name of the user's own wins.
    parameters.setdefault("fallback_application_name", APPLICATION_NAME)
    parameters.update(keywords)
    # Not a matter of the environment, the role or the database: names and texts are decoded here.
    parameters["client_encoding"] = "UTF8"
    return _reached(parameters)


def database_beside(
    conn: psycopg.Connection[Any],
    name: str,
    *,
    settings: Mapping[str, str] = SESSION_SETTINGS,
    **keywords: str | int,
) -> psycopg.Connection[Any]:
    """Connect to another database of the server that a connection leads to.

    All else is as for that connection: its string, service, password file and environment. Of
    several hosts it is the one that was connected to.

    Args:
        conn: A connection of `reach`.
        name: The database.
        settings: Settings of the session, in place of the usual ones.
        keywords: Further keywords of libpq, in place of those of the connection.

    Raises:
        PgiostatError: As for `reach`.
    """
    if not isinstance(conn, Connection):
        msg = "not a connection of reach()"
        raise TypeError(msg)
    here = {"host": conn.info.host, "hostaddr": conn.info.hostaddr, "port": conn.info.port}
    there = {name: value for name, value in here.items() if value}
    kept = {name: value for name, value in conn.parameters.items() if name not in _ADDRESS}
    kept["options"] = conn.their_options
    # The server is known: it is not chosen again.
    parameters = {**kept, **there, "target_session_attrs": "any", "dbname": name, **keywords}
    return _reached(parameters, settings)


def _reached(
    parameters: Mapping[str, Any], settings: Mapping[str, str] = SESSION_SETTINGS
) -> psycopg.Connection[Any]:
    theirs = str(parameters.get("options") or os.environ.get("PGOPTIONS") or "")
    try:
        try:
            return _with_settings(parameters, theirs, settings)
        except psycopg.OperationalError as error:
            if not has_descriptors() or _NO_DESCRIPTOR.search(str(error)):
                raise too_many_files() from None
            raise refusal(parameters, redacted(str(error))) from None
    except UnicodeError:  # psycopg resolves names itself, by a codec that refuses some
        raise invalid(HOST) from None
    except OSError as error:
        raise as_error(error) from None


def _with_settings(
    parameters: Mapping[str, Any], theirs: str, settings: Mapping[str, str]
) -> psycopg.Connection[Any]:
    """Connect with our settings, by options or, where these change what happens, afterwards.

    A limit of the role or the database may end the session before our first statement ends the
    limit. A second try has the limits as start-up options, for by then the version is known.
    """
    conn, later = _started(parameters, theirs, settings, {})
    version_num = conn.info.server_version
    try:
        return _settled(conn, later, theirs)
    except PgiostatError as error:
        limits = {name: "0" for name, since in SESSION_LIMITS.items() if version_num >= since}
        if error.slug not in _ENDED or not limits:
            raise
    return _settled(*_started(parameters, theirs, settings, limits), theirs)


def _started(
    parameters: Mapping[str, Any],
    theirs: str,
    settings: Mapping[str, str],
    limits: Mapping[str, str],
) -> tuple[Connection, Mapping[str, str]]:
    """Connect; return also the settings that are to be applied afterwards.

    Args:
        parameters: Keywords of libpq.
        theirs: Options that the user chose.
        settings: Settings of the session.
        limits: Settings that must be options, even if all others are made afterwards.
    """
    at_start, later = {**settings, **limits}, dict[str, str]()
    if _SETS_ROLE.search(theirs):
        del at_start["role"]
    if parameters.get("target_session_attrs", "any") != "any":
        later[READ_ONLY] = at_start.pop(READ_ONLY)
    try:
        return open_connection(_with_options(parameters, theirs, at_start)), later
    except psycopg.OperationalError as error:
        if _NO_OPTIONS.search(str(error)):
            return open_connection(parameters), {}
        if _CONTEXT not in str(error):
            raise
        # Only a login event trigger fails in a function, possibly because of our settings.
        conn = open_connection(_with_options(parameters, theirs, limits) if limits else parameters)
        conn.is_unsettled = True
        return conn, at_start | later


def _with_options(
    parameters: Mapping[str, Any], theirs: str, settings: Mapping[str, str]
) -> Mapping[str, Any]:
    return {**parameters, "options": f"{theirs} {as_options(settings)}".strip()}


def _settled(conn: Connection, later: Mapping[str, str], theirs: str) -> psycopg.Connection[Any]:
    """Return a connection with our settings, and without limits of the whole session."""
    conn.their_options = theirs
    try:
        with explain(conn):
            if later and (conn.is_unsettled or not is_pooled(conn)):
                conn.execute(text_of("session"), {"settings": json.dumps(later)})
            conn.execute(text_of("limits"), {"work_mem": WORK_MEM})
    except BaseException:
        conn.close()
        raise
    return conn
