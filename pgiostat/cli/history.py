"""pgiostat collect and report: intervals into a history, and what was counted in a time."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.errors import ExitStatus, PgiostatError

if TYPE_CHECKING:
    from pgiostat.history.reader import History, Seen, Window
    from pgiostat.rank import Ranking

__all__ = ["collect", "report"]

_History = Annotated[
    Path | None,
    typer.Option(
        "--history",
        help="Directory of the history; the user's data directory if not given.",
        metavar="DIR",
        show_default=False,
    ),
]
_Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        help="Rules file, before the built-in rules.",
        metavar="FILE",
        show_default=False,
    ),
]
SHORTEST_INTERVAL_SECONDS = 0.1


def _root(given: Path | None) -> Path:
    if given is not None:
        return given
    import platformdirs

    return platformdirs.user_data_path("pgiostat") / "history"


def collect(
    dsn: Annotated[
        list[str] | None,
        typer.Argument(help="Servers, each as for psql.", metavar="DSN...", show_default=False),
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", "-i", help="Between readings.", metavar="TIME")
    ] = "10s",
    ends: Annotated[
        str | None,
        typer.Option(
            "--for", help="Collect so long, then end.", metavar="TIME", show_default=False
        ),
    ] = None,
    history: _History = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="A server's name in the history; one for each DSN, in their order.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    rules: _Rules = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read each server once, say how it went, and end.")
    ] = False,
) -> None:
    """Collect intervals of servers into a history, until stopped.

    Each interval is committed whole. What cannot be written is part of the next one; a collector
    that is started anew goes on where it ended. Nothing is written to a server, and nothing on
    it is reset.
    """
    from pgiostat import collecting
    from pgiostat.times import duration

    seconds = duration(interval)
    if seconds < SHORTEST_INTERVAL_SECONDS:
        raise PgiostatError(
            f'invalid value for --interval: "{interval}"',
            hint=f"It must be at least {SHORTEST_INTERVAL_SECONDS:g} seconds.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    targets = collecting.targets(dsn or [""], label or [])
    if check:
        raise typer.Exit(collecting.check(targets, sys.stdout))
    status = collecting.run(
        targets,
        _root(history),
        interval=seconds,
        ends=None if ends is None else duration(ends),
        rules=rules,
        out=sys.stderr,
    )
    raise typer.Exit(status)


def report(
    history: _History = None,
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
    by: Annotated[
        str,
        typer.Option(
            help="Rank by category, fingerprint, statement, relation, database or user.",
            metavar="WHAT",
        ),
    ] = "category",
    sort: Annotated[
        str,
        typer.Option(
            help="Greatest first: reads, time, temp, calls or per-call.", metavar="MEASURE"
        ),
    ] = "reads",
    top: Annotated[
        int | None,
        typer.Option(
            help="Rows to show, the rest as one; 20 for text and markdown, all for csv and json.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--format", help="text, csv, json or markdown.", metavar="FORM")
    ] = "text",
    rules: _Rules = None,
) -> None:
    """Say who read what in a time of a history, and how sure that is.

    Without a time, all of it. Categories are told anew by the rules given now.
    """
    from pgiostat.describe import describer
    from pgiostat.history.reader import History
    from pgiostat.rank import By, Names, Sort, rank_counted
    from pgiostat.rules import load

    forms = ["text", "csv", "json", "markdown"]
    for name, value, allowed in (
        ("format", output, forms),
        ("by", by, [entry.value for entry in By]),
        ("sort", sort, [entry.value for entry in Sort]),
    ):
        if value not in allowed:
            raise PgiostatError(
                f'invalid value for --{name}: "{value}"',
                hint=f"Allowed are {', '.join(allowed)}.",
                slug="option-invalid",
                status=ExitStatus.USAGE,
            )
    described = describer(None if rules is None else load(rules))
    opened = History.open(_root(history))
    seen = opened.seen(_window(opened, label, since, until, last))
    names = opened.names(described)
    parts = [(counted, names.get(whose, Names())) for whose, counted in seen.counted.items()]
    shown = top if top is not None or output in {"csv", "json"} else TOP
    ranking = rank_counted(parts, by=By(by), sort=Sort(sort), top=shown)
    _print(seen, ranking, output)


TOP = 20


def _print(seen: "Seen", ranking: "Ranking", form: str) -> None:
    import shutil

    from rich.console import Console

    from pgiostat.render import report as render
    from pgiostat.render.csvform import CsvWriter

    if form == "csv":
        CsvWriter(sys.stdout, ranking.by).write(render.as_csv_heading(seen, ranking), ranking)
        return
    if form in {"json", "markdown"}:
        as_text = render.as_json if form == "json" else render.as_markdown
        sys.stdout.write(as_text(seen, ranking) + "\n")
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size((120, 0)).columns
    console.print(render.as_text(seen, ranking, width=console.width))


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
