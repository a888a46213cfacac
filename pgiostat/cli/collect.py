"""pgiostat collect: intervals of servers into a history."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import options

__all__ = ["collect"]


def collect(
    dsn: Annotated[
        list[str] | None,
        typer.Argument(help="Servers, each as for psql.", metavar="DSN...", show_default=False),
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", "-i", help="Between readings.", metavar="TIME")
    ] = "10s",
    ends: Annotated[
        str | None,
        typer.Option(
            "--for", help="Collect so long, then end.", metavar="TIME", show_default=False
        ),
    ] = None,
    history: options.History = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="A server's name in the history; one for each DSN, in their order.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    rules: options.RulesFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read each server once, say how it went, and end.")
    ] = False,
) -> None:
    """Collect intervals of servers into a history, until stopped.

    Each interval is committed whole. What cannot be written is part of the next one; a collector
    that is started anew goes on where it ended. Nothing is written to a server, and nothing on
    it is reset.
    """
    from pgiostat import collecting
    from pgiostat.times import duration

    seconds = duration(interval)
    options.within("interval", seconds, options.SHORTEST_INTERVAL_SECONDS)
    targets = collecting.targets(dsn or [""], label or [])
    if check:
        raise typer.Exit(collecting.check(targets, sys.stdout))
    status = collecting.run(
        targets,
        options.history_root(history),
        interval=seconds,
        ends=None if ends is None else duration(ends),
        rules=rules,
        out=sys.stderr,
    )
    raise typer.Exit(status)
