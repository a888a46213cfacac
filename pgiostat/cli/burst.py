"""pgiostat burst: what a time did to a volume's burst balance."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.options import Form

__all__ = ["VOLUME", "burst"]

VOLUME = (
    "gp2:GIB, gp3:GIB[:IOPS[:MIB_PER_S]], io1:GIB:IOPS, io2:GIB:IOPS, st1:GIB, sc1:GIB,"
    " rds-gp2:GIB, rds-gp3:GIB[:IOPS[:MIB_PER_S]]."
)


def burst(
    volume: Annotated[str, typer.Option("--volume", help=f"{VOLUME}", metavar="VOLUME")],
    instance: Annotated[
        str,
        typer.Option("--instance", help="Its instance type, as db.m5.large.", metavar="TYPE"),
    ] = "",
    balance: options.StartBalance = 100.0,
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
    from pgiostat.history.reader import History
    from pgiostat.history.sides import step_for
    from pgiostat.history.steps import series
    from pgiostat.names import Names
    from pgiostat.rank import rank_counted
    from pgiostat.render import burst as render

    form = options.choice("format", output, Form)
    options.within("writes", writes, 0)
    gauge = options.gauge(volume, instance, balance)
    with options.working("reading the history"), options.describing(rules) as describe:
        opened = History.open(options.history_root(history), skip_bad=skip_bad)
        window = window_of(opened, label, since, until, last)
        seen = opened.seen(window)
        if len(seen.counted) > 1:
            there = ", ".join(dict.fromkeys(server.label for server in seen.servers))
            options.refuse(
                "several servers do not share a volume", hint=f"Choose one by --label: {there}."
            )
        names = opened.names(describe)
        parts = [(part, names.get(whose, Names())) for whose, part in seen.counted.items()]
        step = step_for(seen)
        steps = series(opened, seen, names, rank_counted(parts), step)
        found = burning(
            [(each.since, each.ranking) for each in steps],
            step,
            gauge,
            writes,
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
