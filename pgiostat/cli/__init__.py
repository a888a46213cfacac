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
from pgiostat.cli.commands import COMMANDS, QUOTE_DSN, Commands, similar_command, similar_option
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.without_pandas import block_pandas

__all__ = ["app", "main"]

app = typer.Typer(
    name="pgiostat",
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "-?", "--help"]},
    epilog="pgiostat help COMMAND shows the options of a command.",
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
            "-V", "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Find the queries that cause disk reads on a PostgreSQL server, by category."""


# The base of what typer raises at a wrong option; its module differs with typer's version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


_UNKNOWN_COMMAND = re.compile(r"No such command ['\"](?P<word>.*)['\"]", re.DOTALL)
_NO_NUMBER = re.compile(
    r"Invalid value for '(?P<option>[^']+)': '(?P<value>.*)' is not a valid (?P<kind>\w+)",
    re.DOTALL,
)
_MISSING_OPTION = re.compile(r"Missing option '([^']+)'")
_WORD = re.compile(r"[A-Za-z][\w-]*")
"""A word that may be quoted: it is no connection string, and no part of one."""


def _usage(error: Exception) -> PgiostatError:
    """Return a wrong command line as an error of ours."""
    context = getattr(error, "ctx", None)
    # An option without its value has no context.
    named = next((word for word in sys.argv[1:2] if word in COMMANDS), "")
    path = getattr(context, "command_path", None) or f"pgiostat {named}".rstrip()
    message: str = getattr(error, "message", str(error)).rstrip(".")
    hints = [f"Try: {path} --help"]
    if isinstance(error, typer.BadParameter) or not message:
        message = error.format_message().rstrip(".")  # type: ignore[attr-defined] # it names the option
    if number := _NO_NUMBER.fullmatch(message):
        message = f'invalid value for {number["option"]}: "{number["value"]}"'
        kind = "whole number" if number["kind"].startswith("int") else "number"
        hints.insert(0, f"It must be a {kind}.")
    message = _MISSING_OPTION.sub(r"missing option \1", message)
    named_option = getattr(error, "option_name", None)
    options = getattr(error, "possibilities", None)
    if named_option and options and (meant := similar_option(named_option, options)):
        hints.insert(0, f"Did you mean {meant}?")
    # What is left over may be a part of a password: a connection string without quotation marks.
    if message.startswith("Got unexpected extra argument"):
        message = "too many arguments"
        hints.insert(
            0,
            QUOTE_DSN
            if _takes_dsn(context)
            else "A value with spaces is one argument: put it into quotation marks.",
        )
    elif unknown := _UNKNOWN_COMMAND.search(message):
        message, hint = _unknown_command(unknown["word"], getattr(context, "command", None))
        hints.insert(0, hint)
    return PgiostatError(
        message[:1].lower() + message[1:],
        hint=" ".join(filter(None, hints)),
        slug="usage",
        status=ExitStatus.USAGE,
    )


def _takes_dsn(context: object) -> bool:
    """Return whether a command has a connection string for an argument; None is a group."""
    parameters = getattr(getattr(context, "command", None), "params", [])
    return any("DSN" in (parameter.metavar or "") for parameter in parameters)


def _unknown_command(word: str, group: object) -> tuple[str, str]:
    """Return the message of a word that is no command, and the hint."""
    if not _WORD.fullmatch(word):
        return "no such command", QUOTE_DSN
    meant = similar_command(word, getattr(group, "commands", COMMANDS))
    return f'no such command "{word}"', f"Did you mean {meant}?" if meant else ""


def main() -> NoReturn:
    """Run a command; an error goes to standard error and sets the exit status."""
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

    No argument that may hold a secret is quoted, whatever option it belongs to.
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
    if error.filename is not None:  # a file, not a stream
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
