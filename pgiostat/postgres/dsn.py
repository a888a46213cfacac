"""Connection strings: checked before anything is connected to, or made of them.

In a string that is not certainly well formed, a part of the password may stand anywhere: as host,
port, user or keyword. Such a string is refused, and the error quotes nothing of it: it names the
mistake, and at most a keyword of libpq's own.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg import conninfo, pq

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = [
    "check_dsn",
    "in_effect",
    "invalid",
    "is_dsn",
    "label_of",
    "redacted",
    "refused_value",
    "shown",
    "where",
]

DEFAULT_PORT, MOST_PORT, LONGEST_NUMBER = "5432", 65535, 9
LONGEST_LABEL = 60
LONGEST_HOST_PART = 63
"""Letters between two dots of a host name, by RFC 1035."""
HIDDEN = "********"

SECRETS = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
"""Keywords whose values are secret."""
_FREE = frozenset({"options", "application_name", "fallback_application_name", "oauth_issuer"})
"""Keywords whose values may have "=" or "://" in them."""
_NUMBERS = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    }
)
_OF_OTHERS = {
    "server": "host",
    "servername": "host",
    "hostname": "host",
    "datasource": "host",
    "addr": "host",
    "address": "host",
    "uid": "user",
    "userid": "user",
    "username": "user",
    "pwd": "password",
    "pass": "password",
    "passwd": "password",
    "database": "dbname",
    "initialcatalog": "dbname",
    "db": "dbname",
    "ssl": "sslmode",
    "timeout": "connect_timeout",
}
"""What other drivers call libpq's keywords: ADO.NET, Npgsql, ODBC, JDBC."""

# Mistakes. None of them quotes a string.
BARE = 'There is no "=" in it, and it is no URI.'
UNREADABLE = "It cannot be read."
NOT_TEXT = "It has a zero byte, or bytes that are not UTF-8."
SCHEME = (
    "It does not begin with postgresql:// or postgres://: a URL of JDBC or of SQLAlchemy is"
    " written in another way."
)
NO_SCHEME = "It looks like a URI without its scheme, postgresql://."
SECOND_AT = 'There is a second "@" in it: "@" in a password is written %40.'
AT_AFTER_SLASH = (
    'There is an "@" after the first "/": in a password "/" is written %2F, and "@" is written'
    ' %40; "@" in the name of a database is written %40, too.'
)
AT_AFTER_QUERY = (
    'There is an "@" after the first "?": in a password "?" is written %3F, and "@" is written %40.'
)
PERCENT = (
    '"%" is not followed by two hexadecimal digits of a character: "%" in a password is written'
    " %25."
)
SPACE = "There is a space in it: a space in a URI is written %20."
QUERY = (
    'What follows "?" is not a list of keyword=value, separated by "&": in a password "?" is'
    ' written %3F, "&" %26 and "=" %3D.'
)
BRACKET = "The brackets of an IPv6 address do not match, or something stands behind them."
SEPARATOR = (
    'Its keywords seem to be separated by ";" or ",": libpq separates them by spaces, and in a URI'
    ' by "&". A value that has "=" or ";" in it needs quotation marks.'
)
URI_WORD = (
    'The name of a user, host or database has ";", "&", "=" or "?" in it: keywords follow a "?",'
    ' separated by "&"; in a name these are written %3B, %26, %3D and %3F.'
)
QUOTE = "A quotation mark is not closed: in a value ' is written \\', and \\ is written \\\\."
SPLIT = (
    '"=" is missing after a word: a value that has a space in it needs quotation marks, as'
    " password='a b'."
)
URI_IN_KEYWORD = "A keyword has a URI as its value: a URI is given alone."
USER = (
    'The name of a user has ":" or "/" in it: a password has a keyword of its own; a name that has'
    " one needs quotation marks."
)
URI_USER = (
    'The name of a user has ":" or "/" in it, as it is or encoded: the ":" between a user and a'
    " password is not encoded. A user whose name has one is given between keywords, in quotation"
    " marks."
)
HOST = (
    "The host has a character that no host name, IP address or directory of a socket has. If it is"
    ' part of a password: "@" in a password of a URI is written %40, and a value with spaces needs'
    " quotation marks."
)
HOST_PART = (
    "A part of the host between dots is empty, or has more than 63 letters: no host name has one."
)
DATABASE = (
    'The name of a database has ":", "/" or "@" in it: a host, a port and a password have keywords'
    " of their own; a name that has such a sign needs quotation marks, and in a URI"
    " %3A, %2F or %40."
)
HOST_PORT = "The host has a port in it: between keywords it is given as port=."
ADDRESS = "The value of hostaddr is not an IP address."
PORT = f"The port is not a number from 1 to {MOST_PORT}."
COUNTS = "It has not as many ports or addresses as hosts."
SERVICE = "Its service is defined in no service file."
SERVICE_FILE = "The service file is not there."
SERVICE_MISTAKE = "A service file has a mistake"

_FORM = (
    'Use a URI ("postgresql://user@host:5432/dbname") or keywords '
    '("host=db dbname=app user=pgiostat").'
)

_SPACES = " \t\n\v\f\r"
"""What separates keywords for libpq: isspace() of the C locale."""
_KEYWORD = re.compile(
    rf"[{_SPACES}]*(?P<name>[^{_SPACES}=]+)[{_SPACES}]*=[{_SPACES}]*"
    rf"(?P<value>'(?:[^'\\]|\\.)*'|(?:[^{_SPACES}\\]|\\.)*)",
    re.DOTALL,
)
_URI = re.compile(r"postgres(?:ql)?://")
_OTHER_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.:-]*:/")
_NO_SCHEME = re.compile(r"\s*[^\s=:/?]*:[^\s=]*@")
_IS_DSN = re.compile(
    r"\s*(?:[A-Za-z][A-Za-z0-9+.:-]*:/|[^\s:=]*:\S*@|[^\s:'\"();]*(?::[^\s:]*){3}"
    r"|(?:(?:user|data|initial|integrated|application)\s+)?\w+\s*=)",
    re.IGNORECASE,
)
"""A URI, with its scheme or without, a line of .pgpass, or a keyword of any driver; no statement
begins so."""
_SEPARATED = re.compile(r"[;,&]\s*\w[\w ]*=")
_SECRET_WITHIN = re.compile(
    r"(?<!\w)(?:(?:ssl)?password|passwd|passphrase|pass|pwd|secret|token)\s*=", re.IGNORECASE
)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)")
_SOCKET = re.compile(r"[/@][^=;@,\x00-\x1f\x7f]*")
_NUMBER = re.compile(rf"\s*[+-]?[0-9]{{1,{LONGEST_NUMBER}}}\s*", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_.-]+")

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
"""Words of libpq's errors, and the mistake that each of them tells of."""
_UNKNOWN = re.compile(r'invalid (?:connection option|URI query parameter:?) "(.*)"', re.DOTALL)

_VALUE_QUOTED = re.compile(r'"[^"]*"')

_PASSWORD_IN_URI = re.compile(r"(://[^:/@\s]*:)\S*@")
_PASSWORD_KEYWORD = re.compile(
    r"((?:password|pwd|secret|scram_\w+_key)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&\"]+)", re.IGNORECASE
)


def redacted(text: str) -> str:
    """Return an error message without passwords, as far as they can be recognised.

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
    """Return whether a text is meant as a connection string, well formed or not.

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
    if mistake := _before(dsn):
        raise invalid(mistake)
    try:
        parameters = conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise _refused(dsn, str(error)) from None
    except UnicodeDecodeError:  # bytes that "%" and digits stand for
        raise invalid(PERCENT) from None
    if mistake := _uri_mistake(dsn) if _URI.match(dsn) else _keywords_mistake(dsn):
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
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:LONGEST_LABEL].strip("_.") or "server"


def where(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Return host and port that libpq would connect to; no host is the socket of this machine."""
    found = in_effect(parameters)
    host = found.get("host") or found.get("hostaddr") or ""
    return host, found.get("port") or DEFAULT_PORT


def invalid(detail: str, hint: str = "") -> PgiostatError:
    """Return the error of a connection string; neither text may quote anything of it."""
    return PgiostatError(
        "invalid connection string",
        detail=detail,
        hint=f"{_FORM} {hint}".strip(),
        slug="dsn-invalid",
        status=ExitStatus.USAGE,
    )


def refused_value(message: str) -> PgiostatError:
    """Return the error of a value that libpq refuses; of its words only a keyword is told."""
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
    named = next((word for word in words if word in _known()), "")
    return invalid(mistake or f"libpq does not take the value of {named or 'a keyword'}.")


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
    missing = [] if os.path.exists(path) else ["not there"]  # noqa: PTH110 - False if forbidden
    message = ", ".join([*of, *missing])
    return f'"{path}" ({message})' if message else f'"{path}"'


@cache
def _known() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def _before(dsn: str) -> str:
    """Return the mistake that shows before libpq reads a string, empty if there is none."""
    if "\0" in dsn or any("\ud800" <= letter <= "\udfff" for letter in dsn):
        return NOT_TEXT
    if _URI.match(dsn):
        return _at_mistake(dsn)
    if _OTHER_SCHEME.match(dsn):
        return SCHEME
    return NO_SCHEME if _NO_SCHEME.match(dsn) else ""


def _at_mistake(uri: str) -> str:
    """Return why an "@" of a URI stands where it is no end of user and password.

    libpq takes what is before the first "@" for user and password if no "/" comes before it.
    """
    rest = uri.partition("://")[2]
    user, at, after = rest.partition("@")
    if not at:
        return ""
    if "/" in user:
        # Behind the "?" that follows a "/", an "@" is part of a value.
        return "" if "?" in user.partition("/")[2] else AT_AFTER_SLASH
    if re.search(r"\?[^@]*=", user):
        return AT_AFTER_QUERY
    return SECOND_AT if "@" in after.partition("?")[0] else ""


def _uri_mistake(uri: str) -> str:
    """Return what stands, not encoded, in a URI where libpq takes it for part of a name."""
    rest = uri.partition("://")[2]
    ahead = re.match(r"([^@/]*)@", rest)
    user = ahead[1].partition(":")[0] if ahead else ""
    there, _, query = rest[ahead.end() if ahead else 0 :].partition("?")
    if any(letter in user + there for letter in ";&=?"):
        return URI_WORD
    values = [
        (name, value) for name, _, value in (part.partition("=") for part in query.split("&"))
    ]
    names = [("user", user), ("dbname", there.partition("/")[2]), *values]
    if any(name == "user" and _name_mistake(name, unquote(value)) for name, value in names):
        return URI_USER
    if any(name == "dbname" and _name_mistake(name, value) for name, value in names):
        return DATABASE
    if any(";" in value for name, value in values if name not in SECRETS | _FREE):
        return SEPARATOR
    return ""


def _keywords_mistake(dsn: str) -> str:
    """Return what stands in a value without quotation marks that is hardly meant to."""
    for token in _KEYWORD.finditer(dsn):
        name, value = token["name"], token["value"]
        if value.startswith("'"):
            continue
        if name in SECRETS:
            if any(_meant(found[0].strip("=;,& \t\n")) for found in _SEPARATED.finditer(value)):
                return SEPARATOR
            continue
        if name in _FREE:
            continue
        if "://" in value:
            return URI_IN_KEYWORD
        if re.search(r"[;=]", value) or value.endswith(","):
            return SEPARATOR
        if mistake := _name_mistake(name, value):
            return mistake
    return ""


def _name_mistake(name: str, value: str) -> str:
    """Return what stands in the name of a user or a database that is hardly meant to.

    The server quotes these names when it refuses a connection.
    """
    if name == "user":
        return USER if re.search("[:/]", value) else ""
    return DATABASE if name == "dbname" and re.search("[:/@]", value) else ""


def _check_in_effect(parameters: Mapping[str, Any]) -> None:
    """Check the values that libpq would use, wherever they come from."""
    found = in_effect(parameters)
    for name, value in found.items():
        # libpq takes the user's name for the database's if there is no other.
        is_default = name == "dbname" and value == found.get("user")
        is_elsewhere = parameters.get(name) is None and not is_default
        elsewhere = _name_mistake(name, value) if is_elsewhere else ""
        if mistake := _value_mistake(name, value) or elsewhere:
            raise _of(name, mistake, parameters)
    hosts = max(found.get(name, "").count(",") for name in ("host", "hostaddr")) + 1
    message = _libpq_message(parameters, hostaddr=",".join("-" * hosts))
    # An address that is none: libpq has taken all else, and nothing was connected to.
    if "network address" in message:
        return
    raise refused_value(message)


def _value_mistake(name: str, value: str) -> str:
    if check := _LISTS.get(name):
        return next(filter(None, map(check, filter(None, value.split(",")))), "")
    if name in _NUMBERS:
        return "" if _NUMBER.fullmatch(value) else f"The value of {name} is not a number."
    if _SECRET_WITHIN.search(value):
        return SEPARATOR
    return URI_IN_KEYWORD if "://" in value and name not in _FREE else ""


def _host_mistake(host: str) -> str:
    if _is_address(host) or _SOCKET.fullmatch(host):
        return ""
    if _HOST_NAME.fullmatch(host):
        return "" if all(map(_is_part, host.removesuffix(".").split("."))) else HOST_PART
    name, colon, port = host.rpartition(":")
    return HOST_PORT if colon and _HOST_NAME.fullmatch(name) and _is_port(port) else HOST


def _is_part(part: str) -> bool:
    return 0 < len(part) <= LONGEST_HOST_PART


def _is_address(text: str) -> bool:
    address, percent, zone = text.partition("%")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return not percent or _ZONE.fullmatch(zone) is not None


def _is_port(text: str) -> bool:
    """Return whether a text is a port.

    >>> [_is_port(text) for text in ("1", "65535", "0", "65536", "54e3", "٣", "1" * 5000)]
    [True, True, False, False, False, False, False]
    """
    is_number = text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER
    return is_number and 0 < int(text) <= MOST_PORT


_LISTS: dict[str, Callable[[str], str]] = {
    "host": _host_mistake,
    "hostaddr": lambda each: "" if _is_address(each) else ADDRESS,
    "port": lambda each: "" if _is_port(each) else PORT,
}
"""Keywords that take a list, separated by commas, and what is wrong with one of its values."""


def in_effect(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return what libpq would use: a string's keywords, then the service's, then PG* variables.

    libpq itself says so: it reads all of them, and then refuses this sslmode before it connects.
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
    is_uri = _URI.match(dsn) is not None
    if not is_uri and _SEPARATED.search(dsn):
        return invalid(SEPARATOR)
    if unknown := _UNKNOWN.search(message):
        meant = _meant(unknown[1])
        return invalid(
            "There is a keyword that libpq does not know."
            + (f' libpq has "{meant}".' if meant else "")
        )
    if not is_uri and "=" not in dsn:
        return invalid(BARE, 'A database alone is "dbname=…".')
    mistake = next((mistake for words, mistake in _LIBPQ_MESSAGE if words in message), UNREADABLE)
    return invalid(mistake)


def _meant(keyword: str) -> str:
    """Return the keyword of libpq's that is meant by one that it does not know.

    >>> _meant("pasword"), _meant("User Id"), _meant("HOST"), _meant("Zk7Q")
    ('password', 'user', 'host', '')
    """
    plain = re.sub(r"[\s_-]", "", keyword.lower())
    if found := _OF_OTHERS.get(plain):
        return found
    close = difflib.get_close_matches(keyword.lower(), sorted(_known()), n=1, cutoff=0.8)
    return close[0] if close else ""
