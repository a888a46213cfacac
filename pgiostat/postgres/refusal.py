"""Matches libpq's text for a failed connection to an error with a hint."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgiostat.errors import PgiostatError
from pgiostat.escape import identifier
from pgiostat.postgres.dsn import in_effect, refused_value, where

__all__ = ["refusal", "sentence"]

_FAILED = re.compile(r"connection to server (?:at|on socket) .*? failed: ([^\n]+)")
_SEVERITY = re.compile(r"[^\W\d_]+:  (.*)")
"""How the server's own words begin, in any language: FATAL and two spaces."""
_OTHER_MODE = re.compile(r"session is (?:not )?read-only|server is (?:not )?in hot standby mode")
_REFUSED = re.compile(r"invalid .*(?:connection option|value|number)|may not be used")
_ANSWERED = re.compile(r"FATAL|connection to server")
WITHOUT_ONE = "requires a password, and none was supplied"
"""Part of the message of a server that wants a password when there is none."""
_LOGIN_HINT = "Put the password in ~/.pgpass (mode 0600) or PGPASSWORD, and check the user."
_SLOTS_HINT = (
    "Raise max_connections, or find the sessions that hold the connections: pg_stat_activity."
)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The meaning of a server's reason for refusing a connection.

    Attributes:
        pattern: How the reason begins; it may contain names that other users chose. A group is the
            name of a role or a database.
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
        f"server {{server}} {WITHOUT_ONE}",
        _LOGIN_HINT,
        slug="password-wrong",
    ),
    _Refusal(
        r'password authentication failed for user "(.*)"',
        "server {server} rejected the password",
        f"{_LOGIN_HINT} If both are right, the password may have expired"
        " (pg_roles.rolvaliduntil): ALTER ROLE {role} VALID UNTIL 'infinity';",
        slug="password-wrong",
    ),
    _Refusal(
        r"\S+ authentication failed for user",
        "server {server} rejected the user",
        "Connect in a way that pg_hba.conf allows for this user and address.",
        slug="connection-refused-by-server",
    ),
    _Refusal(
        r'too many connections for role "(.*)"',
        "role {role} has reached its connection limit on server {server}",
        "End some (pg_stat_activity), or: ALTER ROLE {role} CONNECTION LIMIT -1;",
        slug="connections-exhausted",
    ),
    _Refusal(
        r'too many connections for database "(.*)"',
        "database {role} of server {server} has reached its connection limit",
        "End some (pg_stat_activity), connect to another database, or: ALTER DATABASE {role}"
        " CONNECTION LIMIT -1;",
        slug="connections-exhausted",
    ),
    _Refusal(
        r"sorry, too many clients already|no more connections allowed",
        "server {server} has no connection slot left",
        _SLOTS_HINT,
        slug="connections-exhausted",
    ),
    _Refusal(
        r"remaining connection slots are reserved for",
        "server {server} has only reserved connection slots left",
        f"{_SLOTS_HINT} Since PostgreSQL 16 a role can use reserved ones:"
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
        "the role does not exist on server {server}",
        "Name the role by user= or PGUSER.",
        slug="role-missing",
    ),
)
_ADVICE = re.compile(r"\s*Is the server running.*?\?", re.DOTALL)
"""libpq's own hint; ours has the same content."""


def refusal(parameters: Mapping[str, Any], text: str) -> PgiostatError:
    """Return what a failed connection means.

    libpq passes on the server's message without its SQLSTATE, so the English text is matched. In
    any other language the general case remains, with the server's message as DETAIL.
    """
    if _REFUSED.search(text) and not _ANSWERED.search(text):
        return refused_value(text)
    host, port = where(parameters)
    server = f'"{host or "local socket"}:{port}"'
    if _OTHER_MODE.search(text):
        return PgiostatError(
            f"no server satisfies target_session_attrs: {server}",
            detail=sentence(_reasons(text)),
            hint="psql cannot connect with this connection string either.",
            slug="server-unreachable",
        )
    if "FATAL" in text or "no password supplied" in text:
        return _rejection(parameters, server, text)
    return PgiostatError(
        f"could not connect to server {server}",
        detail=sentence(_reasons(text)),
        hint="Check that the server is running and accepts connections at this address.",
        slug="server-unreachable",
    )


def _rejection(parameters: Mapping[str, Any], server: str, text: str) -> PgiostatError:
    """Return the error of a server that answered and refused the connection."""
    reason = _reason(text)
    user = in_effect(parameters).get("user", "")
    for refusal in _REFUSALS:
        if found := re.match(refusal.pattern, reason):
            name = next(iter(found.groups()), None) or user
            names = {"server": server, "name": name, "role": identifier(name)}
            message = refusal.message.format_map(names)
            return PgiostatError(
                message,
                detail=sentence(reason) if reason != message else None,
                hint=refusal.hint.format_map(names),
                slug=refusal.slug,
            )
    return PgiostatError(
        f"server {server} rejected the connection",
        detail=sentence(reason),
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


def sentence(text: str) -> str:
    """Return a text with a capital at its start and a full stop at its end.

    >>> sentence("no route to host"), sentence("fe_sendauth: no password supplied")
    ('No route to host.', 'fe_sendauth: no password supplied.')
    """
    text = text.strip()
    if not text:
        return ""
    first = text.partition(" ")[0]
    begin = text[0] if "_" in first else text[0].upper()  # a name stays as it is
    return begin + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
