"""pgiostat compare: two windows, of one history or of two."""

import sys
from datetime import datetime
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.options import Form

__all__ = ["compare"]

SIDE = "Label, label@from..to, @from..to, or a history's directory, alone or as DIR:label@from..to."


def compare(
    a: Annotated[str, typer.Argument(help=f"Before. {SIDE}", metavar="A", show_default=False)],
    b: Annotated[str, typer.Argument(help="After, the same.", metavar="B", show_default=False)],
    history: options.History = None,
    per: Annotated[
        str,
        typer.Option(
            help="Reads by second, by call, or by an anchor's calls, as version:calls.",
            metavar="WHAT",
        ),
    ] = "second",
    top: options.Top = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: options.RulesFile = None,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Say what reads more or less in B than in A, and how sure that is.

    Statements are joined by fingerprint: versions, users and databases may differ. Nothing is
    judged if the windows are too short, of bad quality, or still warming up; the numbers are
    shown all the same, with the reason.
    """
    from pgiostat.cli.histories import describing, history_root, reading
    from pgiostat.history.read.window_spec import open_pair
    from pgiostat.render import render
    from pgiostat.render.compare import document
    from pgiostat.reports.compare import compare_windows

    form = options.choice("format", output, Form)
    shown = options.rows_shown(top, form)
    now = datetime.now().astimezone()
    with (
        reading("comparing"),
        describing(rules) as describe,
        open_pair(a, b, history_root(history), now, skip_bad=skip_bad, engine=engine) as pair,
    ):
        sides = compare_windows(*pair, describe, per)
    render(document(sides, shown), form, sys.stdout)
