"""Options, progress and lines of output that the commands of the lab share."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli.connection import connection_string
from pgiostat.cli.console import progress
from pgiostat.escape import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgiostat.lab.workload.schema import Progress

__all__ = ["Dsn", "Seed", "loading", "say"]

Seed = Annotated[int, typer.Option(help="Seed of the random generator.", metavar="N")]


def _connection_string(value: str) -> str:
    return connection_string(value)


Dsn = Annotated[
    str,
    typer.Option(
        help="Use this server, in a schema pgiostat_lab, instead of a local one.",
        metavar="DBNAME|DSN",
        show_default=False,
        callback=_connection_string,
    ),
]


@contextmanager
def loading(rows: int) -> "Iterator[Progress]":
    """Yield a function that takes the number of loaded rows, for a bar on a terminal."""
    with progress("loading") as show:
        loaded = 0

        def add(count: int) -> None:
            nonlocal loaded
            loaded += count
            show(f"{loaded:,} of {rows:,} rows", loaded / rows)

        yield add


def say(line: str, *, error: bool = False) -> None:
    """Print a line."""
    typer.echo(terminal(line), err=error)
