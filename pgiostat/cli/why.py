"""pgiostat why: the causes of reads that grew."""

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes
from pgiostat.cli.next_command import show_next
from pgiostat.cli.options import Form
from pgiostat.errors import ExitStatus

if TYPE_CHECKING:
    from pgiostat.history.read.history import History
    from pgiostat.history.read.windows import Window

__all__ = ["why"]

LAST = "15m"


@categorizes
def why(
    statement: Annotated[
        str,
        typer.Argument(
            help="A fingerprint, queryid, category or part of a text. Default: the five statements"
            " that read most.",
            metavar="[STATEMENT]",
            show_default=False,
        ),
    ] = "",
    *,
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    against: Annotated[
        str,
        typer.Option(
            help="The window before: FROM..TO, or a length before the other window begins.",
            metavar="WINDOW",
        ),
    ] = "1h",
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: RulesChoice = DEFAULT_RULES,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Name the causes of reads that grew, with evidence from counters.

    Two time windows of a history are compared: by default the last fifteen minutes with the hour
    before. Each cause is certain, likely or possible. How often these are right is not yet
    measured. Without growth or a cause, the answer says so.
    """
    from pgiostat.cli.histories import Span, open_window
    from pgiostat.queries.tables import resolver, tables_of
    from pgiostat.render import render
    from pgiostat.render.why import document
    from pgiostat.reports.why import why_report
    from pgiostat.reports.why_evidence import TableNames

    form = options.choice("format", output, Form)
    _refuse_server(statement)
    if since is None and last is None:
        last = LAST
    span = Span(label, since, until, last)
    with open_window(history, span, rules, skip_bad=skip_bad, engine=engine) as opened:
        found, after, describe = opened
        report = why_report(
            found,
            _before(found, after, against),
            after,
            describe=describe,
            table_names=TableNames(tables_of, resolver),
            target=statement,
        )
    render(document(report), form, sys.stdout)
    show_next("why", form, history=history)
    if not report.statements:
        raise typer.Exit(ExitStatus.NOTHING_TO_REPORT)


def _refuse_server(statement: str) -> None:
    """Refuse a connection string in place of a statement."""
    if "://" in statement or statement.startswith(("host=", "dbname=", "service=")):
        options.refuse(
            "why needs a history, not a server",
            hint="Record one with pgiostat collect, and name its directory with --history.",
        )


def _before(opened: "History", after: "Window", against: str) -> "Window":
    """Return the window to compare with."""
    from pgiostat.history.read.window_spec import window
    from pgiostat.reports.why import window_before
    from pgiostat.timespec import duration

    if ".." not in against:
        return window_before(after, timedelta(seconds=duration(against)))
    since, _, until = against.partition("..")
    now = datetime.now().astimezone()
    return window(
        opened,
        now,
        label=after.label,
        since=since.strip().removeprefix("@") or None,
        until=until.strip() or None,
    )
