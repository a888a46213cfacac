"""Connection strings: checked before they are used.

In a string that is not certainly well formed, a part of the password may be anywhere: as host,
port, user or keyword. Such a string is refused, and the error quotes nothing of it: it names the
mistake, and at most a keyword of libpq's own.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, pq

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.postgres.dsn_checks import (
    SECRETS,
    SEPARATED,
    URI,
    before,
    keywords_mistake,
    known,
    meant,
    name_mistake,
    uri_mistake,
    value_mistake,
)
from pgiostat.postgres.dsn_mistakes import (
    ADDRESS,
    BARE,
    BRACKET,
    COUNTS,
    PERCENT,
    PORT,
    QUERY,
    QUOTE,
    SEPARATOR,
    SERVICE,
    SERVICE_FILE,
    SERVICE_MISTAKE,
    SPACE,
    SPLIT,
    UNREADABLE,
    invalid,
)

__all__ = [
    "check_dsn",
    "in_effect",
    "is_dsn",
    "label_of",
    "redacted",
    "refused_value",
    "shown",
    "where",
]

DEFAULT_PORT = "5432"
MAX_LABEL_LENGTH = 60
HIDDEN = "********"
_IS_DSN = re.compile(
    r"\s*(?:[A-Za-z][A-Za-z0-9+.:-]*:/|[^\s:=]*:\S*@|[^\s:'\"();]*(?::[^\s:]*){3}"
    r"|(?:(?:user|data|initial|integrated|application)\s+)?\w+\s*=)",
    re.IGNORECASE,
)
"""A URI, with its scheme or without, a line of .pgpass, or a keyword of any driver; no statement
begins so."""
_LIBPQ_MESSAGE = (
    ('missing "=" after', SPLIT),
    ("unterminated quoted string", QUOTE),
    ("percent-encoded token", PERCENT),
    ("forbidden value %00", PERCENT),
    ("unexpected spaces", SPACE),
    ("key/value separator", QUERY),
    ("IPv6", BRACKET),
    ("unexpected character", BRACKET),
    ("could not match", COUNTS),
    ("port number", PORT),
    ("network address", ADDRESS),
)
"""Phrases of libpq's errors, each with the mistake that it means."""
_UNKNOWN = re.compile(r'invalid (?:connection option|URI query parameter:?) "(.*)"', re.DOTALL)
_VALUE_QUOTED = re.compile(r'"[^"]*"')
_PASSWORD_IN_URI = re.compile(r"(://[^:/@\s]*:)\S*@")
_PASSWORD_KEYWORD = re.compile(
    r"((?:password|pwd|secret|scram_\w+_key)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&\"]+)", re.IGNORECASE
)


def redacted(text: str) -> str:
    """Return an error message without the passwords that can be recognised.

    It is a second line of defence: a malformed string is refused before libpq could quote it.

    >>> redacted("postgresql://app:s3c@ret@db/app")
    'postgresql://app:***@db/app'
    >>> redacted("host=db password='s3 cret' user=app")
    'host=db password=*** user=app'
    """
    return _PASSWORD_KEYWORD.sub(r"\1***", _PASSWORD_IN_URI.sub(r"\1***@", text))


def shown(dsn: str) -> str:
    """Return a connection string, as keywords, without its secrets.

    >>> shown("postgresql://app:s3cret@db/app?sslpassword=x")
    'user=app password=******** dbname=app host=db sslpassword=********'
    """
    parameters = conninfo.conninfo_to_dict(dsn)
    hidden = {name: HIDDEN for name in SECRETS if parameters.get(name)}
    return conninfo.make_conninfo(**{**parameters, **hidden})  # type: ignore[arg-type] # libpq's own


def is_dsn(text: str) -> bool:
    """Return whether a text looks like a connection string, well formed or not.

    >>> [is_dsn(text) for text in ("host=db", "User Id=a;Pwd=b", "jdbc:postgresql://h", "u:p@h")]
    [True, True, True, True]
    >>> is_dsn("db:5432:app:app:s3cret"), is_dsn("SELECT a = 1"), is_dsn("SELECT(a)::int::text::x")
    (True, False, False)
    """
    return _IS_DSN.match(text) is not None


def check_dsn(dsn: str) -> dict[str, Any]:
    """Return the keywords of a connection string, if it is certainly well formed.

    What environment and service file add is checked, too.  Raises PgiostatError dsn-invalid.
    """
    if mistake := before(dsn):
        raise invalid(mistake)
    try:
        parameters = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise _refused(dsn, str(error)) from None
    except UnicodeDecodeError:  # bytes written as "%" and digits
        raise invalid(PERCENT) from None
    if mistake := uri_mistake(dsn) if URI.match(dsn) else keywords_mistake(dsn):
        raise invalid(mistake)
    _check_in_effect(parameters)
    return parameters


def label_of(dsn: str) -> str:
    """Return a name made of a server's address, of letters that a file name may have.

    >>> label_of("host=db-1.example.org port=6432")
    'db_1.example.org_6432'

    Raises PgiostatError dsn-invalid.
    """
    host, port = where(check_dsn(dsn))
    address = (host or "local").strip("/")
    name = address if port == DEFAULT_PORT else f"{address}_{port}"
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:MAX_LABEL_LENGTH].strip("_.") or "server"


def where(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Return host and port that libpq would connect to; no host is the socket of this machine."""
    found = in_effect(parameters)
    host = found.get("host") or found.get("hostaddr") or ""
    return host, found.get("port") or DEFAULT_PORT


def refused_value(message: str) -> PgiostatError:
    """Return the error of a value that libpq refuses; it quotes a keyword at most."""
    if mistake := _service_mistake(message):
        return PgiostatError(
            "invalid connection string",
            detail=mistake,
            hint=f"libpq looks for services in {', then in '.join(_service_files())}.",
            slug="dsn-invalid",
            status=ExitStatus.USAGE,
        )
    mistake = next((mistake for words, mistake in _LIBPQ_MESSAGE if words in message), "")
    # Values are quoted, and keywords only where there is no value.
    words = re.findall(r"\w+", _VALUE_QUOTED.sub("", message)) or re.findall(r"\w+", message)
    named = next((word for word in words if word in known()), "")
    return invalid(mistake or f"libpq rejects the value of {named or 'a keyword'}.")


def _service_mistake(message: str) -> str:
    """Return what is wrong with a service or its file, by libpq's words; empty if nothing is."""
    plain = _VALUE_QUOTED.sub("", message)
    if "definition of service" in plain:
        return SERVICE
    if "service file" not in plain:
        return ""
    if "not found" in plain:
        return SERVICE_FILE
    line = re.search(r"line (\d+)", plain)
    return f"{SERVICE_MISTAKE} in line {line[1]}." if line else f"{SERVICE_MISTAKE}."


def _service_files() -> list[str]:
    """Return where libpq looks for services, in its order, and which of these files are missing.

    The directory that libpq was built with is known to itself alone.
    """
    user, system = os.environ.get("PGSERVICEFILE"), os.environ.get("PGSYSCONFDIR")
    own = user if user is not None else str(Path("~/.pg_service.conf").expanduser())
    files = [_described(own, "PGSERVICEFILE" if user is not None else "")]
    if system is None:
        return [
            *files,
            "pg_service.conf in its own configuration directory (no PGSYSCONFDIR)",
        ]
    return [*files, _described(f"{system}/pg_service.conf", "PGSYSCONFDIR")]


def _described(path: str, variable: str) -> str:
    of = [f"by {variable}"] if variable else []
    missing = [] if os.path.exists(path) else ["does not exist"]  # noqa: PTH110 - False if forbidden
    message = ", ".join([*of, *missing])
    return f'"{path}" ({message})' if message else f'"{path}"'


def _check_in_effect(parameters: Mapping[str, Any]) -> None:
    """Check the values that libpq would use, wherever they come from."""
    found = in_effect(parameters)
    for name, value in found.items():
        # libpq takes the user's name for the database's if there is no other.
        is_default = name == "dbname" and value == found.get("user")
        is_elsewhere = parameters.get(name) is None and not is_default
        elsewhere = name_mistake(name, value) if is_elsewhere else ""
        if mistake := value_mistake(name, value) or elsewhere:
            raise _of(name, mistake, parameters)
    hosts = max(found.get(name, "").count(",") for name in ("host", "hostaddr")) + 1
    message = _libpq_message(parameters, hostaddr=",".join("-" * hosts))
    # Only the invalid address is refused: libpq accepted all else, and did not connect.
    if "network address" in message:
        return
    raise refused_value(message)


def in_effect(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what libpq would use: a string's keywords, then the service's, then PG* variables.

    libpq merges all of them, and then refuses this sslmode before it connects.
    """
    found = dict(_options(_started(parameters, sslmode="-")))
    return {name: value for name, value in found.items() if name not in {"sslmode", *SECRETS}}


def _libpq_message(parameters: Mapping[str, Any], **instead: str) -> str:
    """Return libpq's words on a string that it cannot connect with."""
    conn = _started(parameters, **instead)
    try:
        return conn.error_message.decode("utf-8", "replace")
    finally:
        conn.finish()


def _started(parameters: Mapping[str, Any], **instead: str) -> pq.abc.PGconn:
    # Without a password libpq would read the password file, and warn of its rights.
    message = {**parameters, "password": "-", **instead}
    return pq.PGconn.connect_start(conninfo.make_conninfo(**message).encode())


def _options(conn: pq.abc.PGconn) -> Iterator[tuple[str, str]]:
    try:
        for option in conn.info:
            if option.val:
                yield option.keyword.decode(), option.val.decode("utf-8", "replace")
    finally:
        conn.finish()


def _of(name: str, mistake: str, parameters: Mapping[str, Any]) -> PgiostatError:
    """Return the error of a value; one that is not of the string is of somewhere else."""
    if parameters.get(name) is not None:
        return invalid(mistake)
    variable = next(
        (
            option.envvar.decode()
            for option in pq.Conninfo.get_defaults()
            if option.keyword.decode() == name and option.envvar
        ),
        "",
    )
    return invalid(mistake, f"It is the value of {variable}, or of a service file.")


def _refused(dsn: str, message: str) -> PgiostatError:
    """Return the error of a string that libpq cannot read, by libpq's words on it."""
    is_uri = URI.match(dsn) is not None
    if not is_uri and SEPARATED.search(dsn):
        return invalid(SEPARATOR)
    if unknown := _UNKNOWN.search(message):
        keyword = meant(unknown[1])
        return invalid(
            "It has a keyword that libpq does not know."
            + (f' Did you mean "{keyword}"?' if keyword else "")
        )
    if not is_uri and "=" not in dsn:
        return invalid(BARE, 'To name only a database, write "dbname=…".')
    mistake = next((mistake for words, mistake in _LIBPQ_MESSAGE if words in message), UNREADABLE)
    return invalid(mistake)
