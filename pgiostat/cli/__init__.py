"""The command line: parse, call one function, render, exit.

May import everything; only `__main__` imports it.
"""

import os
import re
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from pgiostat import __version__
from pgiostat.cli import process, streams
from pgiostat.cli.commands import Commands
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.without_pandas import block_pandas

__all__ = ["app", "main"]

app = typer.Typer(
    name="pgiostat",
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(is_set: bool) -> None:  # noqa: FBT001 - typer calls it so
    if is_set:
        typer.echo(f"pgiostat {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Say which kinds of query cost a PostgreSQL server its reads, and how sure that is."""


# The base of what typer raises at a wrong option; its home differs with typer's version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


_NAMES_COMMAND = re.compile(r"No such command ['\"][A-Za-z][\w-]*['\"].*", re.DOTALL)
"""A message that quotes a word, and not what may be a connection string."""
QUOTE_DSN = "A connection string is one argument, after a command: put it into quotation marks."


def _usage(error: Exception) -> PgiostatError:
    """Return a wrong command line as an error of ours."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", None) or "pgiostat"
    message: str = error.format_message().rstrip(".")  # type: ignore[attr-defined] # of the base
    hint = f"Try: {command} --help"
    # What is left over may be a part of a password: a connection string without quotation marks.
    if message.startswith("Got unexpected extra argument"):
        message, hint = "got more arguments than there are", f"{QUOTE_DSN} {hint}"
    elif message.startswith("No such command") and not _NAMES_COMMAND.fullmatch(message):
        message, hint = "no such command", f"{QUOTE_DSN} {hint}"
    return PgiostatError(
        message[:1].lower() + message[1:],
        hint=hint,
        slug="usage",
        status=ExitStatus.USAGE,
    )


def main() -> NoReturn:
    """Run a command; errors go to standard error and into the exit status."""
    streams.prepare()
    block_pandas()
    # No command multiplies matrices: numpy's library for that would start a thread for each
    # processor, which takes half of the time to import it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        status = _run()
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except Exception as raised:  # noqa: BLE001 - the one place where errors end
        error = _named(raised)
        _print(error)
        status = error.status
    process.leave(status)


def _named(error: Exception) -> PgiostatError:
    """Return any exception as an error that is printed."""
    from pgiostat.unexpected import as_error, is_out_of_descriptors  # a command has loaded it

    if isinstance(error, OSError) and not is_out_of_descriptors(error):
        streams.forget(sys.stdout)
        return _unwritable(error)
    return as_error(error)


def _print(error: PgiostatError) -> None:
    """Print an error: the one place where errors end.

    An argument that may hold a secret is not quoted, whatever option has it.
    """
    from pgiostat.redaction import hidden  # only errors need it, and --help is quick

    arguments = sys.argv[1:]
    safe = PgiostatError(
        hidden(error.message, arguments),
        detail=error.detail and hidden(error.detail, arguments),
        hint=error.hint and hidden(error.hint, arguments),
        slug=error.slug,
    )
    with suppress(OSError):  # standard error is closed
        print(safe.report(), file=sys.stderr)  # noqa: T201 - errors are printed


def _unwritable(error: OSError) -> PgiostatError:
    if error.filename is not None:  # no stream, but a file that nobody expected to be in the way
        return PgiostatError(
            f'could not use "{error.filename}": {error.strerror or error}', slug="file-unusable"
        )
    return PgiostatError(
        f"could not write the output: {error.strerror or error}", slug="output-unwritable"
    )


_COMMENT = re.compile(r"--\s")


def _run() -> int:
    arguments = sys.argv[1:] or ["--help"]
    # A statement that begins with a comment is no option.
    comment = next((n for n, text in enumerate(arguments) if _COMMENT.match(text)), None)
    if comment is not None and "--" not in arguments:
        arguments = [*arguments[:comment], *arguments[comment + 1 :], "--", arguments[comment]]
    try:
        status = app(arguments, prog_name="pgiostat", standalone_mode=False) or ExitStatus.DONE
        sys.stdout.flush()
        return int(status)
    except _UsageError as error:
        raise _usage(error) from None
    except typer.Abort:
        return ExitStatus.INTERRUPTED
