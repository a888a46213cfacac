"""The options of psql that say which server to connect to, and the connection string they make."""

import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pgiostat.cli.commands import QUOTE_DSN
from pgiostat.cli.options import refuse
from pgiostat.cli.parameters import Command, with_parameters
from pgiostat.errors import PgiostatError

__all__ = ["SERVER", "connection_string", "connects", "is_database", "merged"]

SERVER = "Database name, or connection string (URI or keywords), as for psql."
"""What an argument for a server takes."""
_DATABASE = re.compile(r"[^\s:/@=;,&?'\"\\()]+")
"""The name of a database that stands alone. One with other signs may be part of a password."""

OPTIONS: dict[str, tuple[Any, Any]] = {
    "host": (
        Annotated[
            str,
            typer.Option(
                "-h",
                "--host",
                help="Host name or socket directory of the server.",
                metavar="HOSTNAME",
                show_default=False,
            ),
        ],
        "",
    ),
    "port": (
        Annotated[
            str,
            typer.Option(
                "-p", "--port", help="Port of the server.", metavar="PORT", show_default=False
            ),
        ],
        "",
    ),
    "username": (
        Annotated[
            str,
            typer.Option(
                "-U",
                "--username",
                help="User to connect as.",
                metavar="USERNAME",
                show_default=False,
            ),
        ],
        "",
    ),
    "dbname": (
        Annotated[
            str,
            typer.Option(
                "-d",
                "--dbname",
                help="Database name or connection string; same as the argument.",
                metavar="DBNAME",
                show_default=False,
            ),
        ],
        "",
    ),
    "no_password": (
        Annotated[bool, typer.Option("-w", "--no-password", help="Never prompt for a password.")],
        False,
    ),
    "password": (
        Annotated[bool, typer.Option("-W", "--password", help="Prompt for a password first.")],
        False,
    ),
}
_LAST_PORT = 65_535
_KEYWORDS = {"host": "host", "port": "port", "username": "user", "dbname": "dbname"}
"""libpq's keyword of each option."""


def is_database(text: str) -> bool:
    """Return whether an argument is the name of a database, as psql takes it.

    >>> is_database("shop"), is_database("host=db"), is_database("postgresql://db/shop")
    (True, False, False)
    >>> is_database("db:5432:app:app:s3cret"), is_database("SELECT 1")
    (False, False)
    """
    return _DATABASE.fullmatch(text) is not None


def connection_string(text: str, is_name: Callable[[str], bool] = is_database) -> str:
    """Return the connection string of an argument, which may be the name of a database.

    >>> connection_string("shop"), connection_string("host=db")
    ('dbname=shop', 'host=db')
    """
    return f"dbname={text}" if is_name(text) else text


def connects(
    argument: str = "dsn",
    is_name: Callable[[str], bool] = is_database,
    *,
    several: bool = False,
) -> Callable[[Command], Command]:
    """Return a decorator that gives a command psql's connection options.

    The command gets the connection string that its argument and the options make together. If the
    server asks for a password on a terminal, the command runs again with the one that is typed.

    Args:
        argument: The parameter for the server; None if there is no argument.
        is_name: Whether an argument is the name of a database.
        several: Whether it is a list of servers.
    """
    make = _servers if several else merged

    def run(command: Command, values: dict[str, Any]) -> None:
        options = {name: values.pop(name) for name in OPTIONS}
        values[argument] = make(values[argument], options, is_name)
        try:
            command(**values)
        except PgiostatError as error:
            if options["no_password"] or not _asks_for_password(error):
                raise
            password = {**dict.fromkeys(options), "password": True}
            values[argument] = make(values[argument], password, is_name)
            command(**values)

    return with_parameters(OPTIONS, run)


def _servers(
    texts: list[str] | None, options: dict[str, Any], is_name: Callable[[str], bool]
) -> list[str | None]:
    """Return the connection strings of several servers; options are for a single one."""
    has_options = any(options.values())
    if has_options and texts and len(texts) > 1:
        refuse(
            "connection options cannot be used together with several servers",
            hint="Write host, port and user into each connection string.",
        )
    _check_alike(texts or [], is_name)
    return [merged(each, options, is_name) for each in texts or ([""] if has_options else [])]


def _check_alike(texts: list[str], is_name: Callable[[str], bool]) -> None:
    """Refuse the name of a database beside connection strings: it hardly names a server.

    It is quoted if it is certainly no part of a password that was split at a space.
    """
    names = [each for each in texts if is_name(each)]
    others = [each for each in texts if each and not is_name(each)]
    if not names or not others:
        return
    from pgiostat.postgres.dsn import check_dsn
    from pgiostat.redaction import has_credentials

    for each in others:
        check_dsn(each)
    word = names[0]
    if any(map(has_credentials, others)):
        refuse("one of the servers is no connection string", hint=QUOTE_DSN)
    refuse(
        f'"{word}" is no connection string',
        hint=f"--history {word} names the directory; a database is dbname={word}",
    )


def _asks_for_password(error: PgiostatError) -> bool:
    """Return whether a server wants a password, there was none, and somebody can type it."""
    if not sys.stdin.isatty():
        return False
    from pgiostat.postgres.refusal import WITHOUT_ONE

    return WITHOUT_ONE in error.message


def merged(
    text: str | None, options: dict[str, Any], is_name: Callable[[str], bool] = is_database
) -> str | None:
    """Return the connection string that an argument and the options make; options win.

    Args:
        text: A connection string, the name of a database, or nothing.
        options: The values of OPTIONS, by name.
        is_name: Whether a text is the name of a database.

    Raises:
        PgiostatError: option-invalid, dsn-invalid.
    """
    keywords = {word: options[name] for name, word in _KEYWORDS.items() if options[name]}
    _check_together(text, options, is_name)
    _check_port(keywords.get("port", ""))
    dbname = keywords.get("dbname", "")
    if dbname and not is_database(dbname) and re.search("=|://", dbname):
        text = keywords.pop("dbname")
    if options["password"]:
        keywords["password"] = _password()
    if not keywords:
        return connection_string(text, is_name) if text else text
    from psycopg.conninfo import make_conninfo

    from pgiostat.postgres.dsn import check_dsn

    base = {"dbname": text} if text and is_name(text) else check_dsn(text or "")
    return make_conninfo(**base | keywords)


def _check_together(
    text: str | None, options: dict[str, Any], is_name: Callable[[str], bool]
) -> None:
    if options["password"] and options["no_password"]:
        refuse("--password and --no-password cannot be used together")
    dbname = options["dbname"]
    if text and dbname and (is_name(text) or not is_database(dbname)):
        refuse("the database is specified twice: as an argument and with --dbname")


def _check_port(words: str) -> None:
    """Refuse what is no port, or no list of ports, one for each host."""
    for word in filter(None, words.split(",")):
        if not (word.isdecimal() and 0 < int(word) <= _LAST_PORT):
            refuse("invalid value for --port", hint=f"A port is a number from 1 to {_LAST_PORT}.")


def _password() -> str:
    if not sys.stdin.isatty():
        refuse(
            "--password needs a terminal",
            hint="Put the password in ~/.pgpass (mode 0600) or PGPASSWORD.",
        )
    from getpass import getpass

    return getpass("Password: ")
