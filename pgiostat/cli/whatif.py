"""pgiostat whatif: the reads if a category were gone or cheaper."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes, reads_history
from pgiostat.cli.next_command import show_next
from pgiostat.cli.options import Form

__all__ = ["whatif"]


@reads_history
@categorizes
def whatif(
    *,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="Remove a category, fingerprint, queryid or part of a text; repeat for more.",
            metavar="NAME",
            autocompletion=completion.categories,
        ),
    ] = None,
    calls: Annotated[
        list[str] | None,
        typer.Option(
            help="Scale the calls of a category or of statements, for example manifest=0.3; repeat"
            " for more.",
            metavar="NAME=FACTOR",
            autocompletion=completion.changes,
        ),
    ] = None,
    reads: Annotated[
        list[str] | None,
        typer.Option(
            help="Scale the blocks read of a category or of statements, for example version=0;"
            " repeat for more.",
            metavar="NAME=FACTOR",
            autocompletion=completion.changes,
        ),
    ] = None,
    index: Annotated[
        list[str] | None,
        typer.Option(
            help="Suppose an index, for example 'orders(customer_id)'; repeat for more.",
            metavar="TABLE(COLUMN,…)",
        ),
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            help="Suppose rows in the order of an index, for example orders:orders_pkey; repeat"
            " for more.",
            metavar="TABLE:INDEX",
        ),
    ] = None,
    volume: options.VolumeName = "",
    instance: options.Instance = "",
    balance: options.StartBalance = None,
    writes: options.Writes = 0.0,
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: RulesChoice = DEFAULT_RULES,
    skip_bad: options.SkipBad = False,
) -> None:
    """Estimate the reads if a category or statement were gone or cheaper.

    The answer is a point and a range, because queries share a cache. Others read less in the space
    that a category leaves, and more where it read blocks for them or kept them warm. Measure it on
    a clone with pgiostat compare.
    """
    from pgiostat.analysis.whatif import parse
    from pgiostat.analysis.whatif.layouts import parse_layouts
    from pgiostat.cli.histories import Span, open_window
    from pgiostat.render import render
    from pgiostat.render.whatif import document
    from pgiostat.reports.whatif import whatif_report

    form = options.choice("format", output, Form)
    options.within("writes", writes, 0)
    layouts = parse_layouts(index or (), cluster or ())
    supposed = parse(drop or (), calls or (), reads or (), needed=not layouts)
    if not volume and (instance or balance is not None or writes):
        options.refuse(options.NO_VOLUME, hint="Name it with --volume.")
    model, start = options.volume(volume, instance, balance) if volume else (None, None)
    span = Span(label, since, until, last)
    with open_window(history, span, rules, skip_bad=skip_bad) as (opened, window, describe):
        report = whatif_report(
            opened,
            window,
            describe,
            supposed,
            layouts=layouts,
            volume=model,
            balance=start,
            writes=writes,
        )
    render(document(report.totals, report), form, sys.stdout)
    show_next("whatif", form, history=history)
