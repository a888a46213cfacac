"""pgiostat why: the causes of reads that grew."""

import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgiostat.cli import options
from pgiostat.cli.connection import connects
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, Span, categorizes
from pgiostat.cli.next_command import show_next
from pgiostat.cli.options import Form
from pgiostat.cli.parameters import Command, with_parameters
from pgiostat.errors import ExitStatus

if TYPE_CHECKING:
    from pgiostat.history.read.history import History
    from pgiostat.history.read.windows import Window
    from pgiostat.reports.why import WhyReport
    from pgiostat.statistics.names import Describe

__all__ = ["why"]

LAST = "15m"
SECONDS = "30s"
SHORTEST, LONGEST = 20.0, 3600.0
_SERVER = re.compile(
    r"postgres(?:ql)?://|(?:host|hostaddr|port|dbname|user|service|passfile|password)\s*="
)
"""How a connection string begins; a text of SQL does not."""


def _with_server(command: Command, values: dict[str, Any]) -> None:
    """Run a command with its arguments: a statement, a connection string, or both."""
    words: list[str] = values.pop("words") or []
    servers = [each for each in words if _SERVER.match(each)]
    histories = [each for each in words if each not in servers and Path(each).is_dir()]
    statements = [each for each in words if each not in (*servers, *histories)]
    if len(servers) > 1 or len(statements) > 1:
        options.refuse(
            "too many arguments",
            hint="Name one statement, category or fingerprint, and one server; quote a text.",
        )
    if histories and (values["history"] is not None or len(histories) > 1):
        options.refuse("the history is specified twice: as an argument and with --history")
    if histories:
        values["history"] = histories[0]
    values |= {"dsn": next(iter(servers), None), "statement": next(iter(statements), "")}
    command(**values)


@with_parameters(
    {
        "words": (
            Annotated[
                list[str] | None,
                typer.Argument(
                    help="A fingerprint, queryid, category or part of a text; default: the five"
                    " statements that read most. A directory is the history. A connection string"
                    " explains a server without one.",
                    metavar="[STATEMENT] [HISTORY|DSN]",
                    show_default=False,
                ),
            ],
            None,
        ),
    },
    _with_server,
    first=True,
    filled=("dsn", "statement"),
)
@connects()
@categorizes
def why(
    *,
    dsn: str | None,
    statement: str,
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="The window before: FROM..TO or a length. Default: 1h and yesterday.",
            metavar="WINDOW",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        str,
        typer.Option(help="How long a server without a history is watched.", metavar="DURATION"),
    ] = SECONDS,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show a generic plan of each statement; none is executed.",
        ),
    ] = False,
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: RulesChoice = DEFAULT_RULES,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Name the causes of reads that grew, with evidence from counters.

    Two time windows of a history are compared: by default the last fifteen minutes with the hour
    before, and with the same time yesterday. Each cause is certain, likely or possible. Without
    growth or a cause, the answer says so. A fix has the statements to run, the blocks that a call
    will touch, and what it costs; nothing is run.

    With a connection string in place of a history, the server is watched for 30 seconds, and only
    what one window shows by itself is named.

    --explain plans each statement on the server and executes none. The node that reads most is
    marked. With --history, connection options name the server.
    """
    from pgiostat.render import render
    from pgiostat.render.why import document

    form = options.choice("format", output, Form)
    has_server = dsn is not None and not (explain and history)
    if dsn is not None and has_server:
        _refuse_history_options(
            history=history, label=label, since=since, until=until, last=last, against=against
        )
        report = _of_server(dsn, statement, seconds, rules)
        if explain:
            report = _planned(dsn, report)
    else:
        if since is None and last is None:
            last = LAST
        from pgiostat.cli.histories import open_window

        span = Span(label, since, until, last)
        with open_window(history, span, rules, skip_bad=skip_bad, engine=engine) as opened:
            report = _of_history(*opened, against, statement)
        if explain:
            report = _planned(dsn or "", report)
    render(document(report), form, sys.stdout)
    show_next("why server", form) if has_server else show_next("why", form, history=history)
    if not report.statements:
        raise typer.Exit(ExitStatus.NOTHING_TO_REPORT)


def _planned(dsn: str, report: "WhyReport") -> "WhyReport":
    """Return a report with a plan of each of its statements."""
    from pgiostat.cli.console import working
    from pgiostat.postgres.plans import plan_of
    from pgiostat.postgres.session import connect
    from pgiostat.reports.why import with_plans

    with working("planning the statements"):
        session = connect(dsn)
        try:
            return with_plans(report, lambda keys, key: plan_of(session, keys, key))
        finally:
            session.close()


def _refuse_history_options(**values: str | None) -> None:
    """Refuse options of a history beside a server."""
    for name, value in values.items():
        if value:
            options.refuse(
                f"--{name} and a server cannot be used together",
                hint="A server is watched now; a history has other windows.",
            )


def _of_history(
    opened: "History", after: "Window", describe: "Describe", against: str | None, statement: str
) -> "WhyReport":
    from pgiostat.reports.why import why_now, why_report, with_yesterday

    if against is not None:
        before = _before(opened, after, against)
        return why_report(opened, before, after, describe=describe, target=statement)
    report = why_now(opened, after, describe=describe, target=statement)
    return with_yesterday(report, opened, describe=describe, target=statement)


def _of_server(dsn: str, statement: str, seconds: str, rules: RulesChoice) -> "WhyReport":
    """Watch a server for a while, and return what that window shows."""
    from tempfile import TemporaryDirectory
    from threading import Event

    from pgiostat.cli.console import working
    from pgiostat.cli.histories import describe, window_of
    from pgiostat.collector.short_recording import short_recording
    from pgiostat.history.read.history import History
    from pgiostat.reports.why import why_report
    from pgiostat.timespec import duration

    length = duration(seconds)
    if not SHORTEST <= length <= LONGEST:
        options.refuse(
            f'invalid value for --seconds: "{seconds}"',
            hint=f"It must be from {SHORTEST:.0f}s to {LONGEST / 60:.0f}m.",
        )
    described = describe(rules)
    with TemporaryDirectory(prefix="pgiostat-") as place:
        directory = Path(place)
        with working(f"watching the server for {seconds}"):
            short_recording(dsn, directory, described, length, Event().wait)
        opened = History.open(directory)
        try:
            window = window_of(opened, Span("", None, None, None))
            return why_report(
                opened,
                None,
                window,
                describe=described,
                target=statement,
            )
        finally:
            opened.close()


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
