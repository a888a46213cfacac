"""pgiostat history: what a history holds."""

import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

from pgiostat.cli import options
from pgiostat.escape import terminal

__all__ = ["contents"]


def contents(
    history: options.History = None,
    output: Annotated[str, options.format_option("text", "json")] = "text",
    skip_bad: options.SkipBad = False,
) -> None:
    """Say what a history holds: labels, their times, gaps and rows, and what it takes on disk."""
    from pgiostat.history.read.history import History
    from pgiostat.history.read.inventory import inventory as found
    from pgiostat.render import render
    from pgiostat.render.inventory import document

    form = options.choice("format", output, options.Form, *options.TABLES_ONLY)
    with (
        options.reading("reading the history"),
        closing(History.open(options.history_root(history), skip_bad=skip_bad)) as opened,
    ):
        held = found(opened, datetime.now(UTC))
    render(document(held), form, sys.stdout)
    for bad in sorted(opened.left_out):
        sys.stderr.write(
            f'pgiostat: left out, because it could not be read: "{terminal(str(bad))}"\n'
        )
