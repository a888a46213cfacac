"""pgiostat report: ranks queries by reads over a time window."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.options import Form

if TYPE_CHECKING:
    from pgiostat.analysis.rank import By
    from pgiostat.history.read.window_totals import WindowTotals

__all__ = ["report"]


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
    from pgiostat.analysis.rank import By, Sort
    from pgiostat.cli.histories import Span, open_window
    from pgiostat.cli.process import importing

    form = options.choice("format", output, Form)
    ranked, sorting = options.choice("by", by, By), options.choice("sort", sort, Sort)
    shown = options.rows_shown(top, form)
    step = None if series is None else _step(series, ranked)
    with (
        importing("pgiostat.render.report", f"pgiostat.render.{form}"),
        open_window(
            history, Span(label, since, until, last), rules, skip_bad=skip_bad, engine=engine
        ) as (opened, window, describe),
    ):
        if step is None:
            from pgiostat.reports.ranking import ranking_report

            found = ranking_report(opened, window, describe, by=ranked, sort=sorting, top=shown)
        else:
            from pgiostat.reports.series import series_report

            in_steps = series_report(
                opened, window, describe, step, by=ranked, sort=sorting, top=shown
            )
    from pgiostat.render import render
    from pgiostat.render import report as as_ranking
    from pgiostat.render import series as as_series

    if step is None:
        totals = found.totals
        made = as_ranking.document(totals, found.ranking)
    else:
        totals = in_steps.totals
        made = as_series.document(totals, in_steps.steps, in_steps.ranking)
    render(made, form, sys.stdout)
    if form is Form.CSV:
        _warn(totals)


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


def _warn(totals: "WindowTotals") -> None:
    """Write remarks to standard error: CSV has no place for them."""
    from pgiostat import escape
    from pgiostat.render.report import remarks

    for line in remarks(totals):
        sys.stderr.write(f"pgiostat: {escape.line(line)}\n")
