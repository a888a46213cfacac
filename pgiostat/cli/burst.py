"""pgiostat burst: what a time did to a volume's burst balance."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.options import Form

__all__ = ["VOLUME", "burst"]
"""What CloudWatch tells of."""

VOLUME = (
    "gp2:GIB, gp3:GIB[:IOPS[:MIB_PER_S]], io1:GIB:IOPS, io2:GIB:IOPS, st1:GIB, sc1:GIB,"
    " rds-gp2:GIB, rds-gp3:GIB[:IOPS[:MIB_PER_S]], rds-io1:GIB:IOPS, rds-io2:GIB:IOPS."
)


def burst(
    volume: Annotated[str, typer.Option("--volume", help=f"{VOLUME}", metavar="VOLUME")],
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
    """Say when a volume's burst balance ends, who burned it, and what must go to stop the fall.

    The time is replayed against a model of the volume.
    """
    from pgiostat.cli.history import window_of
    from pgiostat.history.read.history import History
    from pgiostat.render import render
    from pgiostat.render.burst import document
    from pgiostat.reports.burst import burst_report

    form = options.choice("format", output, Form)
    options.within("writes", writes, 0)
    model = options.gauge(volume, instance, 100.0 if balance is None else balance).volume
    with (
        options.reading("reading the history"),
        options.describing(rules) as describe,
        closing(History.open(options.history_root(history), skip_bad=skip_bad)) as opened,
    ):
        seen = opened.totals(window_of(opened, label, since, until, last))
        start = None if balance is None else balance / 100
        found = burst_report(
            opened, seen, opened.names(describe, seen.window), model, balance=start, writes=writes
        )
    if writes and found.is_measured:
        sys.stderr.write("pgiostat: --writes is not used: what was written has been measured\n")
    render(document(seen, found), form, sys.stdout)
