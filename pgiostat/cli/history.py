"""pgiostat report: what was counted in a time of a history."""

import sys
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.errors import ExitStatus, PgiostatError

if TYPE_CHECKING:
    from pgiostat.history.reader import History, Seen, Window
    from pgiostat.rank import Ranking

__all__ = ["report"]


class Form(StrEnum):
    """What a report is printed as."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


def report(
    history: options.History = None,
    label: Annotated[
        str, typer.Option(help="One server; all if not given.", metavar="NAME", show_default=False)
    ] = "",
    since: Annotated[
        str | None,
        typer.Option(
            help="From then: -2h, yesterday 14:00, 2026-11-23T10:00.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="Until then; the last interval.", metavar="TIME", show_default=False),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option(help="So long before the end: 1h, 7d.", metavar="TIME", show_default=False),
    ] = None,
    by: Annotated[str, options.by_option(*options.LIVE)] = "category",
    sort: options.Sorted = "reads",
    top: options.Top = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: options.RulesFile = None,
) -> None:
    """Say who read what in a time of a history, and how sure that is.

    Without a time, all of it. Categories are told anew by the rules given now.
    """
    from pgiostat.history.reader import History
    from pgiostat.names import Names
    from pgiostat.rank import By, Sort, rank_counted

    form = options.choice("format", output, Form)
    opened = History.open(options.history_root(history))
    seen = opened.seen(_window(opened, label, since, until, last))
    names = opened.names(options.describe(rules))
    parts = [(counted, names.get(whose, Names())) for whose, counted in seen.counted.items()]
    in_full = form in {Form.CSV, Form.JSON}
    ranking = rank_counted(
        parts,
        by=options.choice("by", by, By),
        sort=options.choice("sort", sort, Sort),
        top=top if top is not None or in_full else options.TOP_ON_SCREEN,
    )
    _print(seen, ranking, form)


def _print(seen: "Seen", ranking: "Ranking", form: Form) -> None:
    from pgiostat.render import report as render
    from pgiostat.render.csvform import CsvWriter

    if form is Form.CSV:
        CsvWriter(sys.stdout, ranking.by).write(render.as_csv_heading(seen, ranking), ranking)
    elif form is Form.TEXT:
        console = options.console()
        console.print(render.as_text(seen, ranking, width=console.width))
    else:
        as_text = render.as_json if form is Form.JSON else render.as_markdown
        sys.stdout.write(as_text(seen, ranking) + "\n")


def _window(
    opened: "History", label: str, since: str | None, until: str | None, last: str | None
) -> "Window":
    """Return the window asked for; of a whole history its own span."""
    from pgiostat.history.reader import Window
    from pgiostat.times import duration, instant

    if last is not None and since is not None:
        raise PgiostatError(
            "--last and --since cannot be used together",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    servers = opened.choose(label)
    now = datetime.now().astimezone()
    end = instant(until, now) if until else max(server.until for server in servers)
    if last is not None:
        begin = end - timedelta(seconds=duration(last))
    else:
        begin = instant(since, now) if since else min(server.since for server in servers)
    if begin >= end:
        raise PgiostatError(
            "the time ends before it begins",
            detail=f"It was to go from {begin:%Y-%m-%d %H:%M:%S %Z} to {end:%Y-%m-%d %H:%M:%S %Z}.",
            slug="time-invalid",
            status=ExitStatus.USAGE,
        )
    return Window(begin, end, label)
