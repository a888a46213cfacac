"""The console for text, and the progress display of a terminal."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["PIPE_WIDTH", "console", "progress", "working"]

PIPE_WIDTH = 120
"""Columns of a pipe, which has no width of its own."""
PATIENCE_SECONDS = 1.0


def console(out: TextIO | None = None) -> "Console":
    """Return the console that text is printed on."""
    from rich.console import Console

    made = Console(file=out, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
    return made


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal's standard error what is being done, after a second."""
    if not sys.stderr.isatty():
        yield
        return
    from threading import Timer

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True, markup=False, emoji=False),
        transient=True,
    )
    progress.add_task(what)
    start = Timer(PATIENCE_SECONDS, progress.start)
    start.start()
    try:
        yield
    finally:
        start.cancel()
        start.join()
        progress.stop()


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, float], None]]:
    """Yield a function that takes the current part and the share done, for a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _part, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from pgiostat.escape import terminal

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
    )
    plain = Console(stderr=True, markup=False, emoji=False)
    with Progress(*columns, console=plain, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda part, share: bar.update(
            task, description=f"{what} {terminal(part)}", completed=share
        )
