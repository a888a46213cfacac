"""pgiostat whatif: the reads if a category were gone or cheaper."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.burst import VOLUME
from pgiostat.cli.options import Form

__all__ = ["whatif"]


def whatif(
    drop: Annotated[
        list[str] | None,
        typer.Option(help="Without this category. May be given again.", metavar="CATEGORY"),
    ] = None,
    calls: Annotated[
        list[str] | None,
        typer.Option(
            help="So many times as many calls: manifest=0.3. May be given again.",
            metavar="CATEGORY=FACTOR",
        ),
    ] = None,
    reads: Annotated[
        list[str] | None,
        typer.Option(
            help="So many times as many blocks read: version=0. May be given again.",
            metavar="CATEGORY=FACTOR",
        ),
    ] = None,
    volume: Annotated[
        str,
        typer.Option(
            "--volume",
            help=f"Say it also of a volume: {VOLUME}",
            metavar="VOLUME",
            show_default=False,
        ),
    ] = "",
    instance: options.Instance = "",
    balance: options.StartBalance = None,
    writes: options.Writes = 0.0,
    history: options.History = None,
    label: options.Label = "",
    since: options.Since = None,
    until: options.Until = None,
    last: options.Last = None,
    output: Annotated[str, options.format_option(*Form)] = "text",
    rules: options.RulesFile = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Say what a time would have read without a category, or with fewer calls or reads of it.

    It is a range, because queries share a cache: others read less in the space that a category
    leaves, and more where it read blocks for them or kept them warm. `pgiostat compare` measures it
    on a clone.
    """
    from pgiostat.analysis.whatif import parse
    from pgiostat.cli.histories import Span, open_window
    from pgiostat.render import render
    from pgiostat.render.whatif import document
    from pgiostat.reports.whatif import whatif_report

    form = options.choice("format", output, Form)
    options.within("writes", writes, 0)
    supposed = parse(drop or (), calls or (), reads or ())
    if not volume and (instance or balance is not None or writes):
        options.refuse(
            "--instance, --balance and --writes are of a volume", hint="Name it with --volume."
        )
    model, start = options.volume(volume, instance, balance) if volume else (None, None)
    span = Span(label, since, until, last)
    with open_window(history, span, rules, skip_bad=skip_bad) as (opened, window, describe):
        report = whatif_report(
            opened, window, describe, supposed, volume=model, balance=start, writes=writes
        )
    render(document(report.totals, report), form, sys.stdout)
