"""pgiostat burst: what a time did to a volume's burst balance."""

import sys
from contextlib import closing
from datetime import timedelta
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.options import Form

__all__ = ["VOLUME", "burst"]

MINUTE = timedelta(minutes=1)
"""What CloudWatch tells of."""

VOLUME = (
    "gp2:GIB, gp3:GIB[:IOPS[:MIB_PER_S]], io1:GIB:IOPS, io2:GIB:IOPS, st1:GIB, sc1:GIB,"
    " rds-gp2:GIB, rds-gp3:GIB[:IOPS[:MIB_PER_S]]."
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
    from pgiostat.burning import burning
    from pgiostat.cli.history import window_of
    from pgiostat.device.interval import Origin
    from pgiostat.history.reader import History
    from pgiostat.history.sides import step_for
    from pgiostat.history.steps import series
    from pgiostat.names import Names
    from pgiostat.rank import rank_counted
    from pgiostat.render import burst as render

    form = options.choice("format", output, Form)
    options.within("writes", writes, 0)
    options.gauge(volume, instance, 100.0 if balance is None else balance)
    with (
        options.reading("reading the history"),
        options.describing(rules) as describe,
        closing(History.open(options.history_root(history), skip_bad=skip_bad)) as opened,
    ):
        window = window_of(opened, label, since, until, last)
        seen = opened.seen(window)
        if len(seen.counted) > 1:
            there = ", ".join(dict.fromkeys(server.label for server in seen.servers))
            options.refuse(
                "several servers do not share a volume", hint=f"Choose one by --label: {there}."
            )
        names = opened.names(describe)
        parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
        devices = [each for those in opened.device(window).values() for each in those]
        step = step_for(seen)
        if any(each.source is Origin.CLOUDWATCH for each in devices):
            step = max(step, MINUTE)
        told = [each.burst_balance for each in devices if each.burst_balance is not None]
        start = balance if balance is not None else told[0] if told else 100.0
        steps = series(opened, seen, names, rank_counted(parts), step)
        found = burning(
            [(each.since, each.ranking) for each in steps],
            step,
            options.gauge(volume, instance, start),
            writes,
            devices,
        )
    if form is Form.TEXT:
        console = options.console()
        console.print(render.as_text(seen, found, width=console.width))
    elif form is Form.CSV:
        render.write_csv(seen, found, sys.stdout)
    elif form is Form.JSON:
        sys.stdout.write(render.as_json(seen, found) + "\n")
    else:
        sys.stdout.write(render.as_markdown(seen, found) + "\n")
