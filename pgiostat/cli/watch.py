"""pgiostat watch: on a terminal an application, elsewhere text, CSV or JSON."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.errors import PgiostatError

if TYPE_CHECKING:
    from pgiostat.watch.options import Options

__all__ = ["watch"]

NOT_READY = frozenset(
    {
        "extension-missing",
        "extension-not-preloaded",
        "extension-replaced",
        "privilege-missing",
        "schema-forbidden",
        "superuser-unsafe",
    }
)
"""Errors of a server on which something is to be done first."""
DOCTOR = "pgiostat doctor, with the same connection string, lists all that is missing."


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
            callback=options.no_secret,
            help="Write the sitting into a history, too; on a terminal.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            callback=options.no_secret,
            help="Show a history on the same screen; --since, --until, --last say which time.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    theme: Annotated[
        str,
        typer.Option(
            "--theme",
            help="Colours on a terminal; Ctrl-P shows them all, and what is chosen there is kept.",
            metavar="NAME",
            show_default=False,
        ),
    ] = "",
    label: Annotated[
        str,
        typer.Option(help="The server's name in the output.", metavar="NAME", show_default=False),
    ] = "",
) -> None:
    """Show live which kinds of query read, how much, and how sure that is.

    On a terminal it is an application, with keys that ? explains; in a pipe intervals are appended.
    Nothing is written to the server, and nothing on it is reset.
    """
    from dataclasses import replace

    from pgiostat.analysis.rank import By, Sort
    from pgiostat.watch.options import Options, StreamFormat

    options.within(
        "interval", interval, options.SHORTEST_INTERVAL_SECONDS, options.LONGEST_INTERVAL_SECONDS
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
    form = options.choice("format", output, StreamFormat)
    wanted = Options(
        interval=interval,
        count=1 if once else count,
        by=options.choice("by", by, By, By.SERVER, By.HOUR),
        sort=options.choice("sort", sort, Sort),
        top=top,
        form=form,
        label=label,
        gauge=options.gauge(volume, instance, start) if volume else None,
        writes=writes,
    )
    _refuse_together(
        wanted, record=record, replay=replay, theme=theme, dsn=dsn, times=(since, until, last)
    )
    if replay is not None:
        from pgiostat.cli.watch_screen import replayed

        replayed(replay, wanted, rules, (since, until, last), theme)
    elif _is_on_terminal(wanted):
        from pgiostat.cli.watch_screen import on_screen

        with _pointing_to_doctor():
            on_screen(dsn, wanted, rules, record, theme)
    else:
        if top is None and form is StreamFormat.TEXT:
            wanted = replace(wanted, top=options.TOP_ON_SCREEN)
        with _pointing_to_doctor():
            _watch(dsn, wanted, rules)


@contextmanager
def _pointing_to_doctor() -> Iterator[None]:
    """Add to the error of a server that is not ready the command that finds all that is missing.

    Otherwise each attempt names one step: the extension, then its library, then a right.
    """
    try:
        yield
    except PgiostatError as error:
        if error.slug not in NOT_READY:
            raise
        raise PgiostatError(
            error.message,
            detail=error.detail,
            hint=" ".join(filter(None, (error.hint, DOCTOR))),
            slug=error.slug,
            status=error.status,
        ) from None


def _is_on_terminal(wanted: "Options") -> bool:
    """Return whether there is a person to press keys."""
    is_text = wanted.form.value == "text" and wanted.count is None
    return is_text and sys.stdin.isatty() and sys.stdout.isatty()


def _refuse_together(
    wanted: "Options",
    *,
    record: Path | None,
    replay: Path | None,
    theme: str,
    dsn: str,
    times: tuple[str | None, str | None, str | None],
) -> None:
    """Refuse options that cannot be used together."""
    for name, value in (("--replay", replay), ("--record", record), ("--theme", theme or None)):
        if value is not None and not _is_on_terminal(wanted):
            options.refuse(f"{name} is for a sitting on a terminal")
    if replay is not None and (dsn or record is not None):
        options.refuse("--replay shows a history, no server", hint="Leave DSN and --record out.")
    if replay is None and any(times):
        options.refuse("--since, --until and --last say which time of --replay is shown")


def _watch(dsn: str, wanted: "Options", rules: Path | None) -> None:
    from threading import Event

    from pgiostat.cli.histories import describe
    from pgiostat.signals import stop_on_signals
    from pgiostat.watch import stream

    stop = Event()
    with stop_on_signals(stop) as happened, _until_pipe_closes():
        stream.run(dsn, wanted, describe(rules), stop=stop)
    if happened:
        raise typer.Exit(happened[0])


@contextmanager
def _until_pipe_closes() -> Iterator[None]:
    """End without an error when the reader of the pipe has ended, as `| head` does."""
    try:
        yield
    except BrokenPipeError:
        from pgiostat.cli.process import forget_output

        forget_output()
