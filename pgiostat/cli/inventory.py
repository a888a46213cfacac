"""pgiostat history: the contents of a history."""

import sys
from datetime import UTC, datetime
from typing import Annotated

from pgiostat.cli import options

__all__ = ["contents"]


def contents(
    history: options.History = None,
    output: Annotated[str, options.format_option("text", "json")] = "text",
    skip_bad: options.SkipBad = False,
) -> None:
    """Say what a history holds: labels, their times, gaps and rows, and what it takes on disk."""
    from pgiostat.cli.histories import open_history, reading, warn_left_out
    from pgiostat.history.read.inventory import inventory as found
    from pgiostat.render import render
    from pgiostat.render.inventory import document

    form = options.choice("format", output, options.Form, *options.TABLES_ONLY)
    with reading("reading the history"), open_history(history, skip_bad=skip_bad) as opened:
        held = found(opened, datetime.now(UTC))
    render(document(held), form, sys.stdout)
    warn_left_out(opened)
