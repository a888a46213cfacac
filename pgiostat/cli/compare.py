"""pgiostat compare: two time windows, of one history or of two."""

import sys
from datetime import datetime
from typing import Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.file_names import refuse_server
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes
from pgiostat.cli.next_command import show_next
from pgiostat.cli.options import Form
from pgiostat.errors import invalid_option

__all__ = ["compare"]

SIDE = "LABEL, LABEL@FROM..TO, @FROM..TO, DIR or DIR:LABEL@FROM..TO"


@categorizes
def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            help="The history's directory (optional), then two time windows: before and after.",
            metavar="[HISTORY] A B",
            show_default=False,
            autocompletion=completion.labels,
        ),
    ],
    history: options.History = None,
    per: Annotated[
        str,
        typer.Option(
            help="Compare reads per second, per call, or per call of an anchor (version:calls).",
            metavar="WHAT",
            autocompletion=completion.anchors,
        ),
    ] = "second",
    top: options.Top = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: RulesChoice = DEFAULT_RULES,
    skip_bad: options.SkipBad = False,
    engine: options.Engine = "duckdb",
) -> None:
    """Compare the reads of two time windows, with error bounds.

    A and B are each LABEL, LABEL@FROM..TO, @FROM..TO, DIR or DIR:LABEL@FROM..TO. Times are
    written as for report --since.

    Statements are joined by fingerprint: versions, users and databases may differ. The verdict is
    inconclusive if the windows are too short, of bad quality, or still warming up. The numbers are
    shown all the same, with the reason.

    If B is later than A in the same history, causes of statements that read more are named, as
    pgiostat why finds them.
    """
    from pgiostat.cli.histories import describing, history_root, reading
    from pgiostat.history.read.window_spec import open_pair
    from pgiostat.render import render
    from pgiostat.render.compare import document
    from pgiostat.reports.compare import compare_windows
    from pgiostat.reports.why import causes_between

    form = options.choice("format", output, Form)
    shown = options.rows_shown(top, form)
    place, a, b = _sides(sides, history)
    now = datetime.now().astimezone()
    with (
        reading("comparing"),
        describing(rules) as describe,
        open_pair(a, b, history_root(place), now, skip_bad=skip_bad, engine=engine) as pair,
    ):
        windows = compare_windows(*pair, describe, per)
        causes = causes_between(*pair, describe)
    render(document(windows, shown, causes), form, sys.stdout)
    show_next("compare", form, history=place)


def _sides(words: list[str], history: str | None) -> tuple[str | None, str, str]:
    """Return the history, and the windows before and after."""
    for word in words:
        refuse_server("compare", word)
    match words:
        case [a, b]:
            return history, a, b
        case [_, _, _] if history is not None:
            raise invalid_option(
                "the history is specified twice: as an argument and with --history"
            )
        case [directory, a, b]:
            return directory, a, b
    raise invalid_option(
        f"compare takes two time windows, not {len(words)}",
        hint=f"Write pgiostat compare [HISTORY] A B; A and B are each {SIDE}.",
    )
