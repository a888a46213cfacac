"""Connect as libpq does, find pg_stat_statements, and say what this server can tell and why not."""

import json
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from time import monotonic
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format

from pgiostat.errors import PgiostatError
from pgiostat.escape import identifier
from pgiostat.postgres.dsn import (
    HOST,
    check_dsn,
    in_effect,
    invalid,
    redacted,
    refused_value,
    where,
)
from pgiostat.postgres.loaders import checked_adapters
from pgiostat.postgres.sent_sql import Function, SentSql, quoted_schema, text_of
from pgiostat.statistics.snapshot import Server
from pgiostat.unexpected import as_error, has_descriptors, too_many_files, unreadable_reply

__all__ = [
    "NO_ENCODING",
    "STATEMENT_TIMEOUT",
    "Extension",
    "Kcache",
    "ServerSession",
    "check_dsn",
    "connect",
    "database_beside",
    "dbname_of",
    "explain",
    "find_extension",
    "find_kcache",
    "is_pooled",
    "not_preloaded",
    "reach",
    "redacted",
    "session_on",
    "who",
    "with_extension",
]

APPLICATION_NAME = "pgiostat"
STATEMENT_TIMEOUT = "10s"
SILENCE_SECONDS = 30.0
"""After so long without a byte an answer will not come: the server's own limit is much shorter.

A network or a proxy that swallows an answer, or one that a damaged length makes longer than it is,
would keep us waiting for good. TCP does not notice: it has nothing to send.
"""
WORK_MEM = "64MB"
"""pg_stat_statements() needs some 30 MB at 50,000 entries, or it spills to disk at each call."""

READ_ONLY = "default_transaction_read_only"
SESSION_SETTINGS = {
    READ_ONLY: "on",
    "statement_timeout": STATEMENT_TIMEOUT,
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "work_mem": WORK_MEM,
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
    # What we send is qualified, for poolers drop these options. This is the second lock.
    "search_path": "pg_catalog,pg_temp",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    # A hot standby refuses serializable transactions.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # A database's owner can set these for everybody who connects to it.
    "role": "none",
    "exit_on_error": "off",
    "local_preload_libraries": "",
}
"""Settings of our own session: read only by construction, and bounded.

They are asked for when connecting, not by SET: a pooler would hand a connection on to others with
our SET still in force, and their writes would fail. Two exceptions connect as psql does with the
same string, and set them afterwards: target_session_attrs, for which libpq looks at
default_transaction_read_only, and a login event trigger that fails with our settings.
"""


SESSION_LIMITS = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
"""Limits that end a whole session, by the first version that has them.

A role or a database may have them, and we end them with the first statement. They are no start-up
options at the first try: older servers refuse names that they do not know.
"""
LIMITS_BY_SQLSTATE = {
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "57P05": "idle_session_timeout",
}
"""The setting for which a server ends a session, by the SQLSTATE of its last message."""
_ENDED = ("session-limit", "connection-lost")
"""A broken connection may have taken the server's last message with it."""


def _as_options(settings: Mapping[str, str]) -> str:
    """Return settings as the start-up option that libpq calls options."""
    return " ".join(
        "-c " + f"{name}={value}".replace("\\", "\\\\").replace(" ", "\\ ")
        for name, value in settings.items()
    )


SESSION_OPTIONS = _as_options(SESSION_SETTINGS)
NO_ENCODING = "SQL_ASCII"
"""What initdb gives a database where there is no locale."""
_ADDRESS = ("host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts")
"""Keywords that say which server, of perhaps several."""
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Of libpq, in seconds and the last in milliseconds: a machine that has gone without a word is
noticed in half a minute, and not in the two hours of the system's defaults."""

_NO_OPTIONS = re.compile(
    r"(?:FATAL|ERROR):\s+(?:unsupported startup parameter"
    r"|Feature not supported: RDS Proxy currently doesn.t support command-line options)"
)
"""PgBouncer's and RDS Proxy's words for options that they do not pass on: from the beginning of a
message, for names that others chose stand within messages."""

_SETS_ROLE = re.compile(r"\brole\s*=")
_FAILED = re.compile(r"connection to server (?:at|on socket) .*? failed: ([^\n]+)")
_SEVERITY = re.compile(r"[^\W\d_]+:  (.*)")
"""How the server's own words begin, in any language: FATAL and two spaces."""
_CONTEXT = "\nCONTEXT:  "
"""libpq's word, in English where no locale of messages is set: the server was in a function."""
_OTHER_MODE = re.compile(r"session is (?:not )?read-only|server is (?:not )?in hot standby mode")
_NO_DESCRIPTOR = re.compile(r"Too many open files")
_ABSTRACT = "/\1"
"""Before the name of an abstract socket: psycopg takes only what begins with "/" for a socket."""
_REFUSED = re.compile(r"invalid .*(?:connection option|value|number)|may not be used")
_ANSWERED = re.compile(r"FATAL|connection to server")
_LOGIN_HINT = "Put the password in ~/.pgpass (mode 0600) or PGPASSWORD, and check the user."
_SLOTS_HINT = "Raise max_connections, or find who holds the connections: pg_stat_activity."


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a server's reason for letting nobody in means.

    Attributes:
        pattern: How the reason begins; names that others chose stand within it. A group is the name
            of a role or a database.
        message: With places for the server, the name, and the name as SQL (role).
        hint: As message.
        slug: Of docs/errors.md.
    """

    pattern: str
    message: str
    hint: str
    slug: str


_REFUSALS = (
    _Refusal(
        r"(?:fe_sendauth: )?no password supplied",
        "server {server} asks for a password, and there is none",
        _LOGIN_HINT,
        slug="password-wrong",
    ),
    _Refusal(
        r'password authentication failed for user "(.*)"',
        "server {server} refused the password",
        f"{_LOGIN_HINT} If both are right, the password may have expired"
        " (pg_roles.rolvaliduntil): ALTER ROLE {role} VALID UNTIL 'infinity';",
        slug="password-wrong",
    ),
    _Refusal(
        r"\S+ authentication failed for user",
        "server {server} refused the user",
        "Connect as the server's pg_hba.conf asks for this user and address.",
        slug="connection-refused-by-server",
    ),
    _Refusal(
        r'too many connections for role "(.*)"',
        "role {role} has as many connections to server {server} as it may",
        "End some (pg_stat_activity), or: ALTER ROLE {role} CONNECTION LIMIT -1;",
        slug="connections-exhausted",
    ),
    _Refusal(
        r'too many connections for database "(.*)"',
        "database {role} of server {server} has as many connections as it may",
        "End some (pg_stat_activity), connect to another database, or: ALTER DATABASE {role}"
        " CONNECTION LIMIT -1;",
        slug="connections-exhausted",
    ),
    _Refusal(
        r"sorry, too many clients already|no more connections allowed",
        "server {server} has no connection left",
        _SLOTS_HINT,
        slug="connections-exhausted",
    ),
    _Refusal(
        r"remaining connection slots are reserved for",
        "server {server} has no connection left but reserved ones",
        f"{_SLOTS_HINT} Since PostgreSQL 16 a role may have reserved ones:"
        " GRANT pg_use_reserved_connections TO {role}; with reserved_connections above 0.",
        slug="connections-exhausted",
    ),
    _Refusal(
        r'role "(.*)" is not permitted to log in',
        "role {role} may not log in to server {server}",
        "ALTER ROLE {role} LOGIN;",
        slug="connection-refused-by-server",
    ),
    _Refusal(
        r'database "(.*)" does not exist',
        'database "{name}" does not exist',
        "List the databases with: psql -l",
        slug="database-missing",
    ),
    _Refusal(
        r'role "(.*)" does not exist',
        "server {server} does not know the role",
        "Give the role with user= or PGUSER.",
        slug="role-missing",
    ),
)
_ADVICE = re.compile(r"\s*Is the server running.*?\?", re.DOTALL)
"""libpq's own hint, which ours says too."""


@dataclass(frozen=True, slots=True)
class Extension:
    """Where pg_stat_statements lives in the connected database, and what its function returns.

    Attributes:
        columns: Names of the arguments and columns of pg_stat_statements(boolean).
        has_info: Whether pg_stat_statements_info() is a member (extension 1.9).
        functions: The functions that we call.
        untrusted: Roles that are no superusers and can put other functions in their place: owners
            of the extension, its functions, its schema, or of a database that owns the schema.
        is_schema_open: Whether every role may create objects in its schema.
    """

    schema: str
    version: str
    columns: frozenset[str]
    has_info: bool
    functions: frozenset[Function] = frozenset()
    untrusted: tuple[str, ...] = ()
    is_schema_open: bool = False


@dataclass(frozen=True, slots=True)
class Kcache:
    """Where pg_stat_kcache is and which columns it has; missing: why it cannot tell anything."""

    schema: str = ""
    columns: frozenset[str] = frozenset()
    missing: str = ""
    functions: frozenset[Function] = frozenset()


@dataclass(slots=True)
class ServerSession:
    """One connection for reading, and what is known of its other end.

    pooled: our settings were not taken, as by a pooler, whose connections others use too; then
    nothing is set and nothing prepared.
    """

    conn: psycopg.Connection[Any]
    server: Server
    extension: Extension
    pooled: bool = False
    kcache: Kcache = Kcache(missing="pg_stat_kcache is not installed")

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
            superuser-unsafe.
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
        _check_preloaded(conn, extension)
    return ServerSession(conn, server, extension, pooled, kcache)


def dbname_of(conn: psycopg.Connection[Any]) -> str:
    """Return the name of the connected database, whatever its encoding is."""
    return (conn.pgconn.db or b"").decode("utf-8", "replace")


def user_of(conn: psycopg.Connection[Any]) -> str:
    """Return the name of the role that connected."""
    return (conn.pgconn.user or b"").decode("utf-8", "replace")


def is_pooled(conn: psycopg.Connection[Any]) -> bool:
    """Return whether our settings were not taken, as by a pooler."""
    return conn.execute(text_of("pooled"), {"work_mem": WORK_MEM}).fetchone() == (True,)


def reach(dsn: str, **keywords: str | int) -> psycopg.Connection[Any]:
    """Connect, read only, whatever the server has; raises PgiostatError as connect does."""
    parameters = check_dsn(dsn)
    found = in_effect(parameters)
    for name in _ADDRESS:
        # Of a service psycopg knows nothing: it would neither try one host after the other, nor
        # give each its time.
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
    conn: psycopg.Connection[Any], name: str, **keywords: str | int
) -> psycopg.Connection[Any]:
    """Connect to another database of the server that a connection leads to.

    All else is as for that connection: its string, service, password file and environment. Of
    several hosts it is the one that was connected to.

    Args:
        conn: A connection of `reach`.
        name: The database.
        keywords: Further keywords of libpq, in place of those of the connection.

    Raises:
        PgiostatError: As for `reach`.
    """
    if not isinstance(conn, _Connection):
        msg = "not a connection of reach()"
        raise TypeError(msg)
    here = {"host": conn.info.host, "hostaddr": conn.info.hostaddr, "port": conn.info.port}
    there = {name: value for name, value in here.items() if value}
    kept = {name: value for name, value in conn.parameters.items() if name not in _ADDRESS}
    # This server was chosen already.
    return _reached({**kept, **there, "target_session_attrs": "any", "dbname": name, **keywords})


def _reached(parameters: Mapping[str, Any]) -> psycopg.Connection[Any]:
    theirs = str(parameters.get("options") or os.environ.get("PGOPTIONS") or "")
    try:
        try:
            return _with_settings(parameters, theirs)
        except psycopg.OperationalError as error:
            if not has_descriptors() or _NO_DESCRIPTOR.search(str(error)):
                raise too_many_files() from None
            raise _refusal(parameters, redacted(str(error))) from None
    except UnicodeError:  # psycopg resolves names itself, by a codec that refuses some
        raise invalid(HOST) from None
    except OSError as error:
        raise as_error(error) from None


def _with_settings(parameters: Mapping[str, Any], theirs: str) -> psycopg.Connection[Any]:
    """Connect with our settings, by options or, where these change what happens, afterwards.

    A limit of the role or the database may end the session before our first statement ends the
    limit. A second try has the limits as start-up options, for by then the version is known.
    """
    conn, later = _started(parameters, theirs, {})
    version_num = conn.info.server_version
    try:
        return _settled(conn, later)
    except PgiostatError as error:
        limits = {name: "0" for name, since in SESSION_LIMITS.items() if version_num >= since}
        if error.slug not in _ENDED or not limits:
            raise
    return _settled(*_started(parameters, theirs, limits))


def _started(
    parameters: Mapping[str, Any], theirs: str, limits: Mapping[str, str]
) -> tuple["_Connection", Mapping[str, str]]:
    """Connect; return also the settings that are to be made afterwards.

    Args:
        given: Keywords of libpq.
        theirs: Options that the user chose.
        limits: Settings that must be options, even if all others are made afterwards.
    """
    at_start, later = {**SESSION_SETTINGS, **limits}, dict[str, str]()
    if _SETS_ROLE.search(theirs):
        del at_start["role"]
    if parameters.get("target_session_attrs", "any") != "any":
        later[READ_ONLY] = at_start.pop(READ_ONLY)
    try:
        return _connect(_with_options(parameters, theirs, at_start)), later
    except psycopg.OperationalError as error:
        if _NO_OPTIONS.search(str(error)):
            return _connect(parameters), {}
        if _CONTEXT not in str(error):
            raise
        # Nothing but a login event trigger fails in a function; perhaps because of our settings.
        conn = _connect(_with_options(parameters, theirs, limits) if limits else parameters)
        conn.is_unsettled = True
        return conn, at_start | later


def _with_options(
    parameters: Mapping[str, Any], theirs: str, settings: Mapping[str, str]
) -> Mapping[str, Any]:
    return {**parameters, "options": f"{theirs} {_as_options(settings)}".strip()}


def _settled(conn: "_Connection", later: Mapping[str, str]) -> psycopg.Connection[Any]:
    """Return a connection with our settings, and without limits of the whole session."""
    try:
        with explain(conn):
            if later and (conn.is_unsettled or not is_pooled(conn)):
                conn.execute(text_of("session"), {"settings": json.dumps(later)})
            conn.execute(text_of("limits"), {"work_mem": WORK_MEM})
    except BaseException:
        conn.close()
        raise
    return conn


class _Cursor(psycopg.Cursor[Any]):
    """Sends UTF-8 and asks for binary results.

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


class _Connection(psycopg.Connection[Any]):
    """A connection that is given up when the server is silent for too long.

    Attributes:
        given: The keywords that it was made with, secrets among them: never shown.
        is_unsettled: Whether none of our settings were start-up options.
    """

    parameters: Mapping[str, Any]
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


def _connect(parameters: Mapping[str, Any]) -> _Connection:
    hosts = str(parameters.get("host") or os.environ.get("PGHOST") or "")
    if "@" in hosts:
        marked = [f"{_ABSTRACT}{h}" if h.startswith("@") else h for h in hosts.split(",")]
        made = {**parameters, "host": ",".join(marked)}
    else:
        made = dict(parameters)
    conn = _Connection.connect(**made, autocommit=True, cursor_factory=_Cursor, context=_adapters())
    conn.parameters = parameters
    if (
        conn.info.parameter_status("server_encoding")
        == NO_ENCODING
        != parameters["client_encoding"]
    ):
        # Such a server converts nothing, and refuses to send as UTF-8 what is none.
        conn.close()
        return _connect({**parameters, "client_encoding": NO_ENCODING})
    return conn


def _refusal(parameters: Mapping[str, Any], text: str) -> PgiostatError:
    """Return what a failed connection means.

    libpq hands on the server's words without their SQLSTATE, so the English words are matched;
    in any other language the general case remains, with the server's words as DETAIL.
    """
    if _REFUSED.search(text) and not _ANSWERED.search(text):
        return refused_value(text)
    host, port = where(parameters)
    server = f'"{host or "local socket"}:{port}"'
    if _OTHER_MODE.search(text):
        return PgiostatError(
            f"no server is as target_session_attrs asks: {server}",
            detail=_sentence(_reasons(text)),
            hint="psql with the same connection string would not connect either.",
            slug="server-unreachable",
        )
    if "FATAL" in text or "no password supplied" in text:
        return _rejection(parameters, server, text)
    return PgiostatError(
        f"could not connect to server {server}",
        detail=_sentence(_reasons(text)),
        hint="Is the server running, and does it accept connections there?",
        slug="server-unreachable",
    )


def _rejection(parameters: Mapping[str, Any], server: str, text: str) -> PgiostatError:
    """Return what it means that a server answered and let nobody in."""
    reason = _reason(text)
    user = in_effect(parameters).get("user", "")
    for refusal in _REFUSALS:
        if found := re.match(refusal.pattern, reason):
            name = next(iter(found.groups()), None) or user
            names = {"server": server, "name": name, "role": identifier(name)}
            return PgiostatError(
                refusal.message.format_map(names),
                detail=_sentence(reason),
                hint=refusal.hint.format_map(names),
                slug=refusal.slug,
            )
    return PgiostatError(
        f"server {server} refused the connection",
        detail=_sentence(reason),
        slug="connection-refused-by-server",
    )


def _reason(text: str) -> str:
    """Return the server's own words, without the lines of context that may follow them."""
    found = [reason.strip() for reason in _FAILED.findall(text)]
    message = [words[1] for reason in found if (words := _SEVERITY.match(reason))]
    if message or found:
        return (message or found)[-1]
    return text.partition("\n")[0].rpartition("FATAL:")[2].strip()


def _reasons(text: str) -> str:
    """Return why no address answered, each reason once, of libpq's lines for each address."""
    found = [reason.strip() for reason in _FAILED.findall(text)]
    message = _ADVICE.sub("", "; ".join(dict.fromkeys(found)) or text)
    return " ".join(message.split())


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


@contextmanager
def explain(conn: psycopg.Connection[Any] | None = None) -> Iterator[None]:
    """Turn psycopg's errors into ours: connection-lost, session-limit, extension-…, query-failed.

    Whatever else is raised where an answer is unpacked is reply-unreadable.
    """
    try:
        yield
    except psycopg.errors.ObjectNotInPrerequisiteState as error:  # 55000, of many things
        raise (not_preloaded(error) if _is_not_preloaded(error) else _failed(error)) from None
    except psycopg.errors.InsufficientPrivilege as error:  # 42501
        raise _denied(error) from None
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        if error.sqlstate in LIMITS_BY_SQLSTATE:
            raise _over_limit(error, conn) from None
        if error.sqlstate == "57014" and "user request" in str(error):
            raise PgiostatError(
                "a reading was canceled on the server",
                detail=_sentence(str(error).splitlines()[0]),
                slug="reading-canceled",
            ) from None
        if error.sqlstate == "57014":  # query_canceled: our statement_timeout
            raise PgiostatError(
                "reading the statistics took too long",
                detail=_sentence(str(error).splitlines()[0]),
                hint=f"The limit is {STATEMENT_TIMEOUT}, or behind a pooler that drops our settings"
                " the statement_timeout of the role or the database.",
                slug="reading-timed-out",
            ) from None
        if conn is None or conn.closed or conn.broken or (error.sqlstate or "").startswith("57P"):
            raise PgiostatError(
                "connection to the server was lost",
                detail=_sentence(redacted(str(error)).splitlines()[0]) if str(error) else None,
                slug="connection-lost",
            ) from None
        raise _failed(error) from None
    except psycopg.Error as error:
        raise _failed(error) from None
    except Exception as error:  # noqa: BLE001 - damaged bytes fail anywhere
        raise unreadable_reply(error) from None


def _over_limit(error: psycopg.Error, conn: psycopg.Connection[Any] | None) -> PgiostatError:
    """Return the error of a session that the server ended for one of its limits."""
    name = LIMITS_BY_SQLSTATE[error.sqlstate or ""]
    role = "…" if conn is None else identifier(user_of(conn))
    database = "…" if conn is None else identifier(dbname_of(conn))
    return PgiostatError(
        f"the server ended our session because of {name}",
        detail=_sentence(str(error).splitlines()[0]),
        hint=f"ALTER ROLE {role} RESET {name}; the database may have it too: ALTER DATABASE"
        f" {database} RESET {name};",
        slug="session-limit",
    )


_LOOK_ALIKE = "A function of the same name stands beside the extension's; pgiostat doctor names it."


def _failed(error: psycopg.Error) -> PgiostatError:
    words = str(error).splitlines()
    if isinstance(error, psycopg.errors.AmbiguousFunction):
        hint = _LOOK_ALIKE
    else:
        hint = _sentence(error.diag.message_hint or "")
    return PgiostatError(
        "the server could not answer a reading",
        detail=f"{error.sqlstate or 'No SQLSTATE'}: {_sentence(words[0]) if words else ''}",
        hint=hint or None,
        slug="query-failed",
    )


def _denied(error: psycopg.Error) -> PgiostatError:
    return PgiostatError(
        "the server denied a reading",
        detail=_sentence(str(error).splitlines()[0]),
        hint="A role needs pg_read_all_stats, EXECUTE on the extension's functions, and USAGE on"
        " their schema.",
        slug="privilege-missing",
    )


def _is_not_preloaded(error: psycopg.Error) -> bool:
    """Return whether the extension's library says so: both names are the same in any language."""
    return all(name in str(error) for name in ("pg_stat_statements", "shared_preload_libraries"))


def not_preloaded(error: psycopg.Error | None = None) -> PgiostatError:
    """Return the error of a server that has the extension and did not load its library."""
    words = str(error).splitlines()[0] if error else ""
    return PgiostatError(
        "pg_stat_statements is not preloaded on this server",
        detail=_sentence(words),
        hint="Add pg_stat_statements to shared_preload_libraries and restart the server "
        "(on RDS: in the parameter group).",
        slug="extension-not-preloaded",
    )


def find_extension(conn: psycopg.Connection[Any]) -> Extension:
    """Find pg_stat_statements in the connected database.

    Raises PgiostatError extension-missing, whose DETAIL names the databases that have it;
    schema-forbidden; extension-replaced; superuser-unsafe.
    """
    row = conn.execute(text_of("extension")).fetchone()
    if row is not None:
        schema, version, is_usable, statements, columns, info, untrusted, *rights = row
        is_schema_open, is_executable = rights
        if not is_usable:
            user = user_of(conn)
            raise PgiostatError(
                f'{user} may not use schema "{schema}", where pg_stat_statements is',
                hint=f"GRANT USAGE ON SCHEMA {identifier(schema)} TO {identifier(user)};",
                slug="schema-forbidden",
            )
        if statements is None:
            raise _replaced("pg_stat_statements(boolean)", schema)
        if not is_executable:
            raise _not_executable(user_of(conn), schema)
        functions = {(statements, schema, "pg_stat_statements")}
        if info is not None:
            functions.add((info, schema, "pg_stat_statements_info"))
        extension = Extension(
            schema,
            version,
            frozenset(columns or ()),
            info is not None,
            functions=frozenset(functions),
            untrusted=tuple(untrusted or ()),
            is_schema_open=is_schema_open,
        )
        _check_trusted(conn, extension)
        return extension
    here = dbname_of(conn)
    elsewhere = with_extension(conn)
    create = f'run CREATE EXTENSION pg_stat_statements in "{here}".'
    if elsewhere:
        names = ", ".join(f'"{name}"' for name in elsewhere)
        plural = "databases" if len(elsewhere) > 1 else "database"
        detail = f"It is installed in {plural} {names} of this server."
        hint = f"Connect there (one database shows the statements of all), or {create}"
    else:
        detail = "It is in no database of this server that we may connect to."
        hint = create[0].upper() + create[1:]
    raise PgiostatError(
        f'pg_stat_statements is not installed in database "{here}"',
        detail=detail,
        hint=hint,
        slug="extension-missing",
    )


def _check_trusted(conn: psycopg.Connection[Any], extension: Extension) -> None:
    """Refuse, as a superuser, to call what somebody who is none can replace.

    Names are looked up when a statement arrives, after any check of ours. Whoever owns the schema
    can rename it at that moment and have a function of the same name run with our rights.
    """
    row = conn.execute(text_of("is_superuser")).fetchone()
    if row != (True,) or not extension.untrusted:
        return
    names = " and ".join(f'"{name}"' for name in extension.untrusted)
    raise PgiostatError(
        f'as a superuser, pg_stat_statements in schema "{extension.schema}" is not safe to call',
        detail=f"{names} can put another function in its place, which would run with a superuser's"
        " rights: the owner of the extension, of its schema or of the database.",
        hint="Connect as a role with pg_read_all_stats (CREATE ROLE pgiostat LOGIN; GRANT"
        " pg_read_all_stats TO pgiostat;), or to a database that a superuser owns.",
        slug="superuser-unsafe",
    )


def _replaced(function: str, schema: str) -> PgiostatError:
    """Return why a function of the extension is not called."""
    return PgiostatError(
        f'{function} in schema "{schema}" is not the function that the extension installs',
        detail="It is no member of the extension, or it is not written in C. "
        "pgiostat does not run it.",
        hint="Look at it with \\df+. A superuser can drop the extension and create it again.",
        slug="extension-replaced",
    )


def _not_executable(user: str, schema: str) -> PgiostatError:
    return PgiostatError(
        f'{user} may not call the functions of pg_stat_statements in schema "{schema}"',
        hint=f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {identifier(schema)}"
        f" TO {identifier(user)};",
        slug="privilege-missing",
    )


def find_kcache(conn: psycopg.Connection[Any]) -> Kcache:
    """Find pg_stat_kcache in the connected database; it is no error that it is missing."""
    row = conn.execute(text_of("kcache")).fetchone()
    if row is None:
        return Kcache(missing="pg_stat_kcache is not installed")
    method = conn.execute(text_of("io_method")).fetchone()
    if method is not None and method[0] == "worker":
        return Kcache(missing="io_method is worker: processes of its own read for statements")
    schema, function, columns, is_preloaded, is_executable = row
    if not is_preloaded:
        return Kcache(missing="pg_stat_kcache is not preloaded")
    if not is_executable:
        return Kcache(missing=f"{user_of(conn)} may not call pg_stat_kcache")
    try:
        conn.execute(sql.SQL(text_of("kcache_probe")).format(schema=quoted_schema(schema)))
    except psycopg.Error as error:
        return Kcache(missing=f"pg_stat_kcache does not answer: {str(error).splitlines()[0]}")
    return Kcache(
        schema, frozenset(columns), functions=frozenset({(function, schema, "pg_stat_kcache")})
    )


def with_extension(conn: psycopg.Connection[Any]) -> list[str]:
    """Return other databases that have pg_stat_statements, as far as we may connect to them."""
    found = []
    for _, name, allowed, _ in conn.execute(text_of("databases")).fetchall():
        if not allowed or name == dbname_of(conn):
            continue
        try:
            other = database_beside(conn, name, connect_timeout=2)
        except PgiostatError:
            continue  # no right to connect there: it cannot be named
        with other:
            if other.execute(text_of("extension")).fetchone() is not None:
                found.append(name)
    return found


def who(conn: psycopg.Connection[Any]) -> tuple[Any, ...]:
    """Return what sql/server.sql asks for; last the system identifier, 0 where it is refused."""
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


def _check_preloaded(conn: psycopg.Connection[Any], extension: Extension) -> None:
    schema = quoted_schema(extension.schema)
    conn.execute(sql.SQL(text_of("probe")).format(schema=schema))
