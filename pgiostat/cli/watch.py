"""pgiostat watch: on a terminal an application, elsewhere text, CSV or JSON."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.connection import SERVER, connects
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes
from pgiostat.cli.next_command import show_next
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
"""Errors of a server that must be set up first."""
DOCTOR = "pgiostat doctor, with the same connection string, lists everything that is missing."


@connects()
@categorizes
def watch(
    dsn: Annotated[
        str, typer.Argument(help=SERVER, metavar="[DBNAME|DSN]", show_default=False)
    ] = "",
    interval: Annotated[
        str,
        typer.Option("--interval", "-i", help="Interval between snapshots.", metavar="DURATION"),
    ] = "2s",
    tables_interval: Annotated[
        str | None,
        typer.Option(
            "--tables-interval",
            help="Interval between reads of tables and indexes, or off; on a terminal."
            " Default: 10s.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            help="Show N intervals, then exit.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one interval, then exit.")] = False,
    by: Annotated[str, options.by_option(*options.LIVE, "tag:KEY")] = "category",
    sort: options.Sorted = "reads",
    top: options.Top = None,
    volume: options.VolumeName = "",
    instance: options.Instance = "",
    balance: options.StartBalance = None,
    writes: options.Writes = 0.0,
    output: Annotated[str, options.format_option(*options.Form)] = "text",
    rules: RulesChoice = DEFAULT_RULES,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            callback=options.no_secret,
            help="Record the session into a history as well; on a terminal.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            callback=options.no_secret,
            help="Replay a history; --since, --until and --last select the time window.",
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
            help="Theme on a terminal; Ctrl-P lists all themes and keeps the choice.",
            metavar="NAME",
            show_default=False,
            autocompletion=completion.themes,
        ),
    ] = "",
    label: Annotated[
        str,
        typer.Option(
            help="Label of the server in the output; with --replay, the server to show.",
            metavar="NAME",
            show_default=False,
            autocompletion=completion.labels,
        ),
    ] = "",
) -> None:
    """Show live which queries cause disk reads on a server.

    On a terminal it is an application; the key ? explains the keys. In a pipe it appends intervals.
    watch writes nothing to the server and resets nothing on it.

    --by tag:KEY ranks by a tag in the comments of statements, as controller='orders'
    (sqlcommenter). pg_stat_statements keeps the first text of an entry: calls with other tags count
    under its tag.

    Connection options, PG* variables, the service file and .pgpass apply as for psql. An option
    overrides the same keyword of a connection string.
    """
    from dataclasses import replace

    from pgiostat.analysis.rank import By, Sort
    from pgiostat.postgres.relation_options import relation_options
    from pgiostat.watch.options import Options, StreamFormat

    seconds = options.length(
        "interval", interval, options.SHORTEST_INTERVAL_SECONDS, options.LONGEST_INTERVAL_SECONDS
    )
    if once and count not in (None, 1):
        options.refuse("--once and --count cannot be used together")
    if count is not None:
        options.within("count", count, 1)
    if top is not None:
        options.within("top", top, 1)
    options.within("writes", writes, 0)
    if not volume and (instance or balance is not None or writes):
        options.refuse(options.NO_VOLUME, hint="Name it with --volume.")
    start = 100.0 if balance is None else balance
    form = options.choice("format", output, StreamFormat)
    of_history = () if replay is None else (By.TAG,)
    ranked, tag = options.ranked_by(by, By.INDEX, By.SERVER, By.HOUR, *of_history)
    wanted = Options(
        interval=seconds,
        count=1 if once else count,
        by=ranked,
        tag=tag,
        sort=options.choice("sort", sort, Sort),
        top=top,
        form=form,
        label=label,
        gauge=options.gauge(volume, instance, start) if volume else None,
        writes=writes,
    )
    if tables_interval is not None:
        wanted = replace(wanted, tables_interval=relation_options(tables_interval).every)
    _refuse_together(
        wanted,
        tables_interval,
        record=record,
        replay=replay,
        theme=theme,
        dsn=dsn,
        times=(since, until, last),
    )
    if replay is not None:
        from pgiostat.cli.watch_screen import replayed

        replayed(replay, wanted, rules, (since, until, last), theme)
    elif _is_on_terminal(wanted):
        from pgiostat.cli.watch_screen import on_screen

        with _pointing_to_doctor():
            on_screen(dsn, wanted, rules, record, theme)
    else:
        if top is None and form in {StreamFormat.TEXT, StreamFormat.MARKDOWN}:
            wanted = replace(wanted, top=options.TOP_ON_SCREEN)
        with _pointing_to_doctor():
            _watch(dsn, wanted, rules)
        if wanted.count is not None:
            show_next("watch", form)


@contextmanager
def _pointing_to_doctor() -> Iterator[None]:
    """Add doctor to the hint of a server that is not ready.

    Otherwise each attempt names one step: the extension, then its library, then a privilege.
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
    """Return whether somebody can press keys."""
    is_text = wanted.form.value == "text" and wanted.count is None
    return is_text and sys.stdin.isatty() and sys.stdout.isatty()


def _refuse_together(
    wanted: "Options",
    tables_interval: str | None,
    *,
    record: Path | None,
    replay: Path | None,
    theme: str,
    dsn: str,
    times: tuple[str | None, str | None, str | None],
) -> None:
    """Refuse options that cannot be used together."""
    on_terminal = {
        "--replay": replay,
        "--record": record,
        "--theme": theme or None,
        "--tables-interval": tables_interval,
    }
    for name, value in on_terminal.items():
        if value is not None and not _is_on_terminal(wanted):
            options.refuse(f"{name} is for a session on a terminal")
    if replay is not None and tables_interval is not None:
        options.refuse(
            "--tables-interval reads a server; a history has what collect recorded",
        )
    if replay is not None and (dsn or record is not None):
        options.refuse(
            "--replay shows a history, not a server", hint="Omit the server and --record."
        )
    if replay is None and any(times):
        options.refuse("--since, --until and --last select the time window of --replay")


def _watch(dsn: str, wanted: "Options", rules: RulesChoice) -> None:
    from threading import Event

    from pgiostat.cli.histories import describe
    from pgiostat.signals import stop_on_signals
    from pgiostat.watch import stream

    stop = Event()
    with stop_on_signals(stop) as happened, _until_pipe_closes():
        stream.run(dsn, wanted, describe(rules, tag=wanted.tag), stop=stop)
    if happened:
        raise typer.Exit(happened[0])


@contextmanager
def _until_pipe_closes() -> Iterator[None]:
    """End without an error when the reader of the pipe has ended, as in `| head`."""
    try:
        yield
    except BrokenPipeError:
        from pgiostat.cli.process import forget_output

        forget_output()
