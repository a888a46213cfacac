"""Names of files and histories on the command line: none is a connection string or holds a secret.

A name would become a file name, and be part of log lines.
"""

from pathlib import Path
from typing import NoReturn, TypeVar

import typer

from pgiostat.errors import ExitStatus, PgiostatError

__all__ = ["no_secret", "no_server", "refuse", "refuse_server"]

Name = TypeVar("Name", bound=str | Path | None)


def refuse(message: str, *, hint: str | None = None, detail: str | None = None) -> NoReturn:
    """Raise PgiostatError option-invalid."""
    raise PgiostatError(
        message, detail=detail, hint=hint, slug="option-invalid", status=ExitStatus.USAGE
    )


def no_secret(parameter: typer.CallbackParam, value: Name) -> Name:
    """Return the name of a file or a directory; refuse one that may hold a secret."""
    from pgiostat.redaction import may_hold_secret

    if value is not None and may_hold_secret(str(value)):
        long = (each for each in parameter.opts if each.startswith("--"))
        refuse(
            f"invalid value for {next(long, parameter.human_readable_name)}: it may hold a password"
            " or a key",
            detail="It looks like a connection string, or like a URI with a password or a key.",
            hint="Name a file or a directory. A connection string is an argument of its"
            " own, and credentials of a store come from the environment.",
        )
    return value


def no_server(context: typer.Context, parameter: typer.CallbackParam, value: Name) -> Name:
    """Return the name of a history; refuse a connection string, and what may hold a secret."""
    if value is not None:
        refuse_server(context.info_name or "this command", str(value))
    return no_secret(parameter, value)


def refuse_server(command: str, value: str) -> None:
    """Refuse a connection string in place of a history, without quoting it.

    Raises:
        PgiostatError: option-invalid.
    """
    from pgiostat.redaction import is_connection

    if is_connection(value):
        refuse(
            f"{command} reads a history, not a server",
            hint="pgiostat watch shows a server; pgiostat collect records one.",
        )
