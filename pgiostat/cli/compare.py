"""pgiostat compare: two windows, labels or histories."""

import sys
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated

import typer

from pgiostat.cli import options

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
    output: Annotated[str, options.format_option(*options.Form)] = "text",
    rules: options.RulesFile = None,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Say what reads more or less in B than in A, and how sure that is.

    Statements are joined by fingerprint: versions, users and databases may differ. Nothing is
    judged if the windows are too short, of bad quality, or still warming up; the numbers are
    shown all the same, with the reason.
    """
    from pgiostat.history.read.window_spec import parse_window_spec
    from pgiostat.render import render
    from pgiostat.render.compare import document
    from pgiostat.reports.compare import compare_windows

    form = options.choice("format", output, options.Form)
    if top is not None:
        options.within("top", top, 1)
    with (
        options.reading("comparing"),
        options.describing(rules) as describe,
        ExitStack() as opened,
    ):
        root = options.history_root(history)
        now = datetime.now().astimezone()
        before, after = (
            parse_window_spec(side, root, now, skip_bad=skip_bad, engine=engine) for side in (a, b)
        )
        for side in (before, after):
            opened.callback(side.history.close)
        sides = compare_windows(before, after, describe, per)
    render(document(sides, options.rows_shown(top, form)), form, sys.stdout)
