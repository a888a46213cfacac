"""pgiostat report: ranks queries by reads over a time window."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes, reads_history
from pgiostat.cli.next_command import show_next
from pgiostat.cli.options import Form

if TYPE_CHECKING:
    from pgiostat.analysis.rank import By
    from pgiostat.history.read.window_totals import WindowTotals

__all__ = ["report"]


@reads_history
@categorizes
def report(
    *,
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    by: Annotated[
        str, options.by_option(*options.LIVE, "index", "server", "hour", also=(options.QUERYID,))
    ] = "category",
    sort: options.Sorted = "reads",
    top: options.Top = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    series: Annotated[
        str | None,
        typer.Option(
            help="Split the time window into steps of this length, for example 1m or 1h.",
            metavar="DURATION",
            show_default=False,
        ),
    ] = None,
    rules: RulesChoice = DEFAULT_RULES,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Rank queries by reads over a time window.

    Without --since, --until or --last the time window is the whole history. Categories follow the
    rules in force now, whatever they were when the history was collected.

    By statement, text and Markdown have one row for each fingerprint, with its queryids. CSV and
    JSON have one for each entry of pg_stat_statements, and so has --by queryid in each form.
    """
    from pgiostat.analysis.rank import By, Sort
    from pgiostat.cli.histories import Span, open_window
    from pgiostat.cli.process import importing

    form = options.choice("format", output, Form)
    ranked = _ranked_by(by, form)
    sorting = options.choice("sort", sort, Sort)
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

            found = ranking_report(
                opened,
                window,
                describe,
                by=ranked,
                sort=sorting,
                top=shown,
                queryids=by == By.STATEMENT and ranked is By.FINGERPRINT,
            )
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
    show_next("report", form, history=history)
    if form is Form.CSV:
        _warn(totals)


def _ranked_by(by: str, form: Form) -> "By":
    """Return what a row is: for people, entries of one fingerprint are one statement."""
    from pgiostat.analysis.rank import By

    if by == options.QUERYID:
        return By.STATEMENT
    ranked, _ = options.ranked_by(by, By.TAG, also=(options.QUERYID,))
    is_page = form in {Form.TEXT, Form.MARKDOWN}
    return By.FINGERPRINT if ranked is By.STATEMENT and is_page else ranked


def _step(series: str, by: "By") -> timedelta:
    from pgiostat.analysis.rank import OF_RELATIONS, By
    from pgiostat.timespec import duration

    seconds = duration(series)
    if seconds < 1:
        options.refuse(
            f'invalid value for --series: "{series}"', hint="A step must be 1s or longer."
        )
    if by in {*OF_RELATIONS, By.HOUR}:
        options.refuse(
            f"--series and --by {by} cannot be used together",
            hint="--series takes --by category, verb, table, fingerprint, statement, database, user"
            " or server.",
        )
    return timedelta(seconds=seconds)


def _warn(totals: "WindowTotals") -> None:
    """Write remarks to standard error: CSV has no place for them."""
    from pgiostat import escape
    from pgiostat.render.report import remarks

    for line in remarks(totals):
        sys.stderr.write(f"pgiostat: {escape.line(line)}\n")
