"""The command line: parse, call one function, print, exit."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pgiostat import __version__
from pgiostat.cli import history, options, rules
from pgiostat.cli.burst import burst
from pgiostat.cli.collect import collect
from pgiostat.cli.compare import compare
from pgiostat.cli.contents import contents
from pgiostat.cli.doctor import doctor
from pgiostat.errors import ExitStatus, PgiostatError

if TYPE_CHECKING:
    from pgiostat.watch.batch import Options

__all__ = ["app", "main"]

LONGEST_INTERVAL_SECONDS = 86_400

app = typer.Typer(
    name="pgiostat",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
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


@app.command()
def watch(
    dsn: Annotated[
        str,
        typer.Argument(
            help="URI or keywords, as for psql; PG* variables, service file and .pgpass hold.",
            metavar="DSN",
            show_default=False,
        ),
    ] = "",
    interval: Annotated[
        float, typer.Option("--interval", "-i", help="Seconds between readings.", metavar="S")
    ] = 2.0,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            help="Show so many intervals, then end.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one interval, then end.")] = False,
    by: Annotated[str, options.by_option(*options.LIVE)] = "category",
    sort: options.Sorted = "reads",
    top: options.Top = None,
    volume: Annotated[
        str,
        typer.Option(
            "--volume",
            help="Show the burst balance of gp2:500, or another; see burst --help.",
            metavar="VOLUME",
        ),
    ] = "",
    instance: options.Instance = "",
    balance: options.StartBalance = None,
    writes: options.Writes = 0.0,
    output: Annotated[str, options.format_option("text", "csv", "json")] = "text",
    rules: options.RulesFile = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            help="Write the sitting into a history, too; on a terminal.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str,
        typer.Option(help="The server's name in the output.", metavar="NAME", show_default=False),
    ] = "",
) -> None:
    """Show live which kinds of query read, how much, and how sure that is.

    On a terminal the table refreshes; in a pipe intervals are appended. Nothing is written to
    the server, and nothing on it is reset.
    """
    from pgiostat.rank import By, Sort
    from pgiostat.watch.batch import Form, Options

    options.within(
        "interval", interval, options.SHORTEST_INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS
    )
    if once and count not in (None, 1):
        options.refuse("--once and --count cannot be used together")
    if count is not None:
        options.within("count", count, 1)
    if top is not None:
        options.within("top", top, 1)
    options.within("writes", writes, 0)
    if instance and not volume:
        options.refuse("--instance is of a volume", hint="Name it too, as --volume gp2:500.")
    start = 100.0 if balance is None else balance
    form = options.choice("format", output, Form)
    asked = Options(
        interval=interval,
        count=1 if once else count,
        by=options.choice("by", by, By, By.SERVER, By.HOUR),
        sort=options.choice("sort", sort, Sort),
        top=top if top is not None or form is not Form.TEXT else options.TOP_ON_SCREEN,
        form=form,
        label=label,
        gauge=options.gauge(volume, instance, start) if volume else None,
        writes=writes,
    )
    if form is Form.TEXT and asked.count is None and sys.stdin.isatty() and sys.stdout.isatty():
        from pgiostat.cli.screen import on_screen

        on_screen(dsn, asked, rules, record)
    else:
        _watch(dsn, asked, rules)


def _watch(dsn: str, asked: "Options", rules: Path | None) -> None:
    from threading import Event

    from pgiostat.signals import stopping
    from pgiostat.watch import batch

    stop = Event()
    with stopping(stop) as happened, _until_nobody_reads():
        batch.run(dsn, asked, options.describe(rules), stop=stop)
    if happened:
        raise typer.Exit(happened[0])


@contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """End in peace when who reads us has gone, as `| head` does."""
    try:
        yield
    except BrokenPipeError:
        _forget_output()


@app.command()
def demo(
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove the demo's server and its data.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(help="How long to run without a terminal.", metavar="S")
    ] = 20.0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the CSV files; without a terminal only.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the main job on a PostgreSQL of its own: data, a sync workload, and watch on it."""
    from pgiostat.lab import demo as lab_demo

    options.within("seconds", seconds, 1, LONGEST_INTERVAL_SECONDS)
    status = lab_demo.run(
        clean=clean,
        seconds=seconds,
        out_dir=out,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    if status:
        raise typer.Exit(status)


app.command()(collect)
app.command()(history.report)
app.command()(history.export)
app.command("history")(contents)
app.command()(compare)
app.command()(burst)
app.command()(doctor)
app.add_typer(rules.app, name="rules")

# The base of what typer raises at a wrong option; its home differs with typer's version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def _usage(error: Exception) -> PgiostatError:
    """Return a wrong command line as an error of ours."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", None) or "pgiostat"
    message: str = error.format_message().rstrip(".")  # type: ignore[attr-defined] # of the base
    return PgiostatError(
        message[:1].lower() + message[1:],
        hint=f"Try: {command} --help",
        slug="usage",
        status=ExitStatus.USAGE,
    )


class _Frameless(MetaPathFinder):
    """Finds no pandas.

    Arrow and DuckDB import it to look whether a value is a frame of it, which takes a third of a
    second, and no command makes one; without it they take no value for a frame.
    """

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


def main() -> NoReturn:
    """Run a command; errors go to standard error and into the exit status."""
    sys.meta_path.insert(0, _Frameless())
    try:
        status = _run()
    except PgiostatError as error:
        print(error.report(), file=sys.stderr)  # noqa: T201 - the one place where errors end
        status = error.status
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    except OSError as error:
        print(_unwritable(error).report(), file=sys.stderr)  # noqa: T201 - the same
        status = ExitStatus.ERROR
        _forget_output()
    options.leave(status)


def _unwritable(error: OSError) -> PgiostatError:
    if error.filename is not None:  # no stream, but a file that nobody expected to be in the way
        return PgiostatError(
            f'could not use "{error.filename}": {error.strerror or error}', slug="file-unusable"
        )
    return PgiostatError(
        f"could not write the output: {error.strerror or error}", slug="output-unwritable"
    )


def _forget_output() -> None:
    """Python must not flush standard output once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
