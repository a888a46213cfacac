"""pgiostat report and export: what was counted in a time of a history."""

import sys
from contextlib import closing
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat import escape
from pgiostat.cli import options
from pgiostat.cli.options import Form

if TYPE_CHECKING:
    from pgiostat.analysis.rank import By, Ranking
    from pgiostat.history.read.history import History
    from pgiostat.history.read.window_totals import WindowTotals
    from pgiostat.history.read.windows import Window
    from pgiostat.reports.series import SeriesStep

__all__ = ["export", "report", "window_of"]


def report(
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    by: Annotated[str, options.by_option(*options.LIVE, "server", "hour")] = "category",
    sort: options.Sorted = "reads",
    top: options.Top = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    series: Annotated[
        str | None,
        typer.Option(help="In steps of this length: 1m, 1h.", metavar="TIME", show_default=False),
    ] = None,
    rules: options.RulesFile = None,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Say who read what in a time of a history, and how sure that is.

    Without a time, all of it. Categories are told anew by the rules given now.
    """
    from concurrent.futures import ThreadPoolExecutor

    from pgiostat.analysis.rank import By, Sort, rank_totals
    from pgiostat.history.read.history import History
    from pgiostat.statistics.names import Names

    form = options.choice("format", output, Form)
    ranked, sorting = options.choice("by", by, By), options.choice("sort", sort, Sort)
    if top is not None:
        options.within("top", top, 1)
    step = None if series is None else _step(series, ranked)
    with (
        options.reading("reading the history"),
        options.describing(rules) as describe,
        closing(
            History.open(options.history_root(history), skip_bad=skip_bad, engine=engine)
        ) as opened,
        ThreadPoolExecutor(1) as beside,
    ):
        # DuckDB reads without Python: imports take a quarter of the time of a week's report.
        for module in ("report", form):
            beside.submit(import_module, f"pgiostat.render.{module}")
        window = window_of(opened, label, since, until, last)
        told = beside.submit(opened.names, describe, window)

        def asked() -> "tuple[WindowTotals, Ranking, list[SeriesStep]]":
            seen = opened.totals(window, ranked)
            names = told.result()
            parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
            if ranked is By.HOUR:
                from pgiostat.reports.series import by_hour

                parts = by_hour(opened, seen, names)
            ranking = rank_totals(parts, by=ranked, sort=sorting, top=options.rows_shown(top, form))
            if step is None:
                return seen, ranking, []
            from pgiostat.reports.series import series as series_of

            return seen, ranking, series_of(opened, seen, names, ranking, step)

        seen, ranking, cut = opened.consistent(asked)
    from pgiostat.render import render, report
    from pgiostat.render import series as in_steps

    made = report.document(seen, ranking) if step is None else in_steps.document(seen, cut, ranking)
    render(made, form, sys.stdout)
    _warn(seen, form)


def _step(series: str, by: "By") -> timedelta:
    from pgiostat.analysis.rank import By
    from pgiostat.timespec import duration

    seconds = duration(series)
    if seconds < 1:
        options.refuse(f'invalid value for --series: "{series}"', hint="A step is 1s or longer.")
    if by in {By.RELATION, By.HOUR}:
        options.refuse(
            f"--series and --by {by} cannot be used together",
            hint="A series is of category, fingerprint, statement, database, user or server.",
        )
    return timedelta(seconds=seconds)


def _warn(seen: "WindowTotals", form: Form) -> None:
    """Say on standard error what a form does not carry."""
    if form is Form.CSV:
        from pgiostat.render.report import remarks

        for line in remarks(seen):
            sys.stderr.write(f"pgiostat: {escape.line(line)}\n")


def export(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            callback=options.no_secret,
            help="Directory for the files, new or empty.",
            metavar="DIR",
        ),
    ],
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    rules: options.RulesFile = None,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Write all tables of a time of a history as CSV files, with a data dictionary.

    Without a time, all of it. Each counter has PostgreSQL's name, and its unit where that is not
    blocks or calls.
    """
    from pgiostat.export import export as write
    from pgiostat.history.read.history import History

    with options.describing(rules) as describe, options.progress("exporting") as told:
        opened = History.open(options.history_root(history), skip_bad=skip_bad, engine=engine)
        window = window_of(opened, label, since, until, last)
        written = write(opened, window, describe, out, told)
    for path in written:
        sys.stdout.write(f"{escape.terminal(str(path))}\n")
    if opened.answerable(window) != window:
        sys.stderr.write("pgiostat: of part of this time only reports by the hour are left\n")
    for bad in sorted(opened.left_out):
        sys.stderr.write(
            f'pgiostat: left out, because it could not be read: "{escape.terminal(str(bad))}"\n'
        )


def window_of(
    opened: "History", label: str, since: str | None, until: str | None, last: str | None
) -> "Window":
    """Return the time that options ask for."""
    from pgiostat.history.read.window_spec import window

    now = datetime.now().astimezone()
    return window(opened, now, label=label, since=since, until=until, last=last)
