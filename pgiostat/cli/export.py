"""pgiostat export: a time window of a history as CSV files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes, reads_history
from pgiostat.cli.next_command import show_next
from pgiostat.escape import terminal

__all__ = ["export"]


@reads_history
@categorizes
def export(
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            callback=options.no_secret,
            help="Directory to write the files to, new or empty.",
            metavar="DIR",
        ),
    ],
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    rules: RulesChoice = DEFAULT_RULES,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Write a time window as CSV files with a data dictionary.

    Without --since, --until or --last the time window is the whole history. Counters have
    PostgreSQL's names. A unit other than blocks or calls is part of the name.
    """
    from pgiostat.cli.console import progress
    from pgiostat.cli.histories import Span, describing, open_history, warn_left_out, window_of
    from pgiostat.export import export as write

    with (
        describing(rules) as describe,
        open_history(history, skip_bad=skip_bad, engine=engine) as opened,
    ):
        window = window_of(opened, Span(label, since, until, last))
        with progress("exporting") as show:
            written = write(opened, window, describe, out, show)
        for path in written:
            sys.stdout.write(f"{terminal(str(path))}\n")
        if opened.answerable(window) != window:
            sys.stderr.write(
                "pgiostat: for part of this time window only the hourly rollup is left\n"
            )
        if sys.stdout.isatty():  # elsewhere the names of the files are what a program reads
            show_next("export", "text", history=history)
        warn_left_out(opened)
