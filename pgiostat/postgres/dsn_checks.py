"""Find mistakes in a connection string that libpq would misread, without quoting any part of it."""

import difflib
import ipaddress
import re
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote

from psycopg import pq

from pgiostat.postgres.dsn_mistakes import (
    ADDRESS,
    AT_AFTER_QUERY,
    AT_AFTER_SLASH,
    DATABASE,
    HOST,
    HOST_PART,
    HOST_PORT,
    MAX_PORT,
    NO_SCHEME,
    NOT_TEXT,
    PORT,
    SCHEME,
    SECOND_AT,
    SEPARATOR,
    URI_IN_KEYWORD,
    URI_USER,
    URI_WORD,
    USER,
)

MAX_DIGITS = 9
MAX_HOST_PART_LENGTH = 63
"""Letters between two dots of a host name, by RFC 1035."""

SECRETS = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
"""Keywords with secret values."""
_FREE = frozenset({"options", "application_name", "fallback_application_name", "oauth_issuer"})
"""Keywords with values that may contain "=" or "://"."""
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

_SPACES = " \t\n\v\f\r"
"""What separates keywords for libpq: isspace() of the C locale."""
_KEYWORD = re.compile(
    rf"[{_SPACES}]*(?P<name>[^{_SPACES}=]+)[{_SPACES}]*=[{_SPACES}]*"
    rf"(?P<value>'(?:[^'\\]|\\.)*'|(?:[^{_SPACES}\\]|\\.)*)",
    re.DOTALL,
)
URI = re.compile(r"postgres(?:ql)?://")
_OTHER_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.:-]*:/")
_NO_SCHEME = re.compile(r"\s*[^\s=:/?]*:[^\s=]*@")
SEPARATED = re.compile(r"[;,&]\s*\w[\w ]*=")
_SECRET_WITHIN = re.compile(
    r"(?<!\w)(?:(?:ssl)?password|passwd|passphrase|pass|pwd|secret|token)\s*=", re.IGNORECASE
)
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)")
_SOCKET = re.compile(r"[/@][^=;@,\x00-\x1f\x7f]*")
_NUMBER = re.compile(rf"\s*[+-]?[0-9]{{1,{MAX_DIGITS}}}\s*", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_.-]+")


def before(dsn: str) -> str:
    """Return the mistake that shows before libpq reads a string, empty if there is none."""
    if "\0" in dsn or any("\ud800" <= letter <= "\udfff" for letter in dsn):
        return NOT_TEXT
    if URI.match(dsn):
        return _at_mistake(dsn)
    if _OTHER_SCHEME.match(dsn):
        return SCHEME
    return NO_SCHEME if _NO_SCHEME.match(dsn) else ""


def _at_mistake(uri: str) -> str:
    """Return why an "@" of a URI does not end its user and password, or nothing.

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


def uri_mistake(uri: str) -> str:
    """Return the mistake of a URI with unencoded characters that libpq reads as part of a name."""
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
    if any(name == "user" and name_mistake(name, unquote(value)) for name, value in names):
        return URI_USER
    if any(name == "dbname" and name_mistake(name, value) for name, value in names):
        return DATABASE
    if any(";" in value for name, value in values if name not in SECRETS | _FREE):
        return SEPARATOR
    return ""


def keywords_mistake(dsn: str) -> str:
    """Return the mistake of an unquoted value with characters that it hardly should have."""
    for token in _KEYWORD.finditer(dsn):
        name, value = token["name"], token["value"]
        if value.startswith("'"):
            continue
        if name in SECRETS:
            if any(meant(found[0].strip("=;,& \t\n")) for found in SEPARATED.finditer(value)):
                return SEPARATOR
            continue
        if name in _FREE:
            continue
        if "://" in value:
            return URI_IN_KEYWORD
        if re.search(r"[;=]", value) or value.endswith(","):
            return SEPARATOR
        if mistake := name_mistake(name, value):
            return mistake
    return ""


def name_mistake(name: str, value: str) -> str:
    """Return the mistake of a user or database name with characters that it hardly should have.

    The server quotes these names when it refuses a connection.
    """
    if name == "user":
        return USER if re.search("[:/]", value) else ""
    return DATABASE if name == "dbname" and re.search("[:/@]", value) else ""


def value_mistake(name: str, value: str) -> str:
    """Return what is wrong with the value of a keyword, empty if nothing is."""
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
    return 0 < len(part) <= MAX_HOST_PART_LENGTH


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
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return is_number and 0 < int(text) <= MAX_PORT


_LISTS: dict[str, Callable[[str], str]] = {
    "host": _host_mistake,
    "hostaddr": lambda each: "" if _is_address(each) else ADDRESS,
    "port": lambda each: "" if _is_port(each) else PORT,
}
"""Keywords that take a list, separated by commas, and what is wrong with one of its values."""


@cache
def known() -> frozenset[str]:
    """Return the keywords of this libpq."""
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def meant(keyword: str) -> str:
    """Return the keyword of libpq that is most similar to an unknown one, or nothing.

    >>> meant("pasword"), meant("User Id"), meant("HOST"), meant("Zk7Q")
    ('password', 'user', 'host', '')
    """
    plain = re.sub(r"[\s_-]", "", keyword.lower())
    if found := _OF_OTHERS.get(plain):
        return found
    close = difflib.get_close_matches(keyword.lower(), sorted(known()), n=1, cutoff=0.8)
    return close[0] if close else ""
