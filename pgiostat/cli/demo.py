"""pgiostat demo: watch on a local PostgreSQL with a workload."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgiostat.cli import options

__all__ = ["demo"]


def demo(
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove the demo's server and its data.")
    ] = False,
    seconds: Annotated[
        str, typer.Option(help="Time to run without a terminal.", metavar="DURATION")
    ] = "20s",
    out: Annotated[
        Path | None,
        typer.Option(
            callback=options.no_secret,
            help="Directory for the CSV files, which are written without a terminal only.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start a local PostgreSQL with a workload, and watch it.

    The data and the sync workload are those of the lab.
    """
    from pgiostat.lab import demo as lab_demo

    lasts = options.length("seconds", seconds, 1, options.LONGEST_INTERVAL_SECONDS)
    status = lab_demo.run(
        clean=clean,
        seconds=lasts,
        out_dir=out,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    if status:
        raise typer.Exit(status)
