"""pgiostat burst: the burst balance of a volume over a time window."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import completion, options
from pgiostat.cli.histories import DEFAULT_RULES, RulesChoice, categorizes, reads_history
from pgiostat.cli.next_command import show_next
from pgiostat.cli.options import Form

__all__ = ["burst"]


@reads_history
@categorizes
def burst(
    *,
    volume: Annotated[
        str,
        typer.Option(
            "--volume",
            help="Volume of the server, for example gp2:500; the syntax of each type is above.",
            metavar="VOLUME",
            autocompletion=completion.volumes,
        ),
    ],
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
    """Show what uses a volume's burst balance, and when it runs out.

    The time window is replayed against a model of the volume. The answer names the categories to
    remove to stop the drain.

    On EBS: gp2:GIB, gp3:GIB[:IOPS[:MIB_PER_S]], io1:GIB:IOPS, io2:GIB:IOPS, st1:GIB, sc1:GIB.

    On RDS: rds-gp3:GIB[:IOPS[:MIB_PER_S]], rds-io1:GIB:IOPS, rds-io2:GIB:IOPS, rds-gp2:GIB.
    """
    from pgiostat.cli.histories import Span, open_window
    from pgiostat.render import render
    from pgiostat.render.burst import document
    from pgiostat.reports.burst import burst_report

    form = options.choice("format", output, Form)
    options.within("writes", writes, 0)
    model, start = options.volume(volume, instance, balance)
    span = Span(label, since, until, last)
    with open_window(history, span, rules, skip_bad=skip_bad) as (opened, window, describe):
        report = burst_report(opened, window, describe, model, balance=start, writes=writes)
    totals, found = report.totals, report.burst
    if writes and found.is_measured:
        sys.stderr.write(
            "pgiostat: --writes is ignored: the writes of this time window were measured\n"
        )
    render(document(totals, found), form, sys.stdout)
    show_next("burst", form, history=history, volume=volume)
