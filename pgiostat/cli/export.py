"""pgiostat export: a window of a history as CSV files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.escape import terminal

__all__ = ["export"]


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
            sys.stderr.write("pgiostat: of part of this time only reports by the hour are left\n")
        warn_left_out(opened)
