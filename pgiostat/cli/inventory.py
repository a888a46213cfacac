"""pgiostat history: the contents of a history."""

import sys
from datetime import UTC, datetime
from typing import Annotated

from pgiostat.cli import options
from pgiostat.cli.histories import reads_history
from pgiostat.cli.next_command import show_next

__all__ = ["contents"]


@reads_history
def contents(
    *,
    history: options.History = None,
    output: Annotated[str, options.format_option("text", "json", "markdown")] = "text",
    skip_bad: options.SkipBad = False,
) -> None:
    """Show what a history holds: servers, time spans, sizes.

    For each server its label, time span, gaps and rows; for each table its size on disk.
    """
    from pgiostat.cli.histories import open_history, reading, warn_left_out
    from pgiostat.history.read.inventory import inventory as found
    from pgiostat.render import render
    from pgiostat.render.inventory import document

    form = options.choice("format", output, options.Form, options.Form.CSV)
    with reading("reading the history"), open_history(history, skip_bad=skip_bad) as opened:
        held = found(opened, datetime.now(UTC))
    render(document(held), form, sys.stdout)
    show_next("history", form, history=history)
    warn_left_out(opened)
