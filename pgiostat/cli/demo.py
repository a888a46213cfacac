"""pgiostat demo: the main job on a PostgreSQL of its own."""

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
        float, typer.Option(help="How long to run without a terminal.", metavar="S")
    ] = 20.0,
    out: Annotated[
        Path | None,
        typer.Option(
            callback=options.no_secret,
            help="Directory for the CSV files; without a terminal only.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run the main job on a PostgreSQL of its own: data, a sync workload, and watch on it."""
    from pgiostat.lab import demo as lab_demo

    options.within("seconds", seconds, 1, options.LONGEST_INTERVAL_SECONDS)
    status = lab_demo.run(
        clean=clean,
        seconds=seconds,
        out_dir=out,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    if status:
        raise typer.Exit(status)
