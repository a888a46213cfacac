"""pgiostat doctor: whether a server is ready, and how to fix it."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import options
from pgiostat.cli.connection import SERVER, connects
from pgiostat.cli.next_command import show_next

__all__ = ["doctor"]


@connects()
def doctor(
    dsn: Annotated[
        str,
        typer.Argument(help=SERVER, metavar="[DBNAME|DSN]", show_default=False),
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 for warnings too.")
    ] = False,
    output: Annotated[str, options.format_option("text", "json", "markdown")] = "text",
) -> None:
    """Check whether a server is ready, and print what fixes it.

    doctor changes nothing. It exits with status 1 if a finding is an error.
    """
    from pgiostat.cli.console import console, working
    from pgiostat.errors import ExitStatus
    from pgiostat.postgres.doctor import CheckState, examine, findings
    from pgiostat.render import doctor as render

    form = options.choice("format", output, options.Form, options.Form.CSV)
    with working("examining the server"):
        facts = examine(dsn)
    found = findings(facts)
    if form is options.Form.TEXT:
        screen = console()
        for line in render.as_text(facts, found, width=screen.width):
            screen.print(line, soft_wrap=True)
    elif form is options.Form.JSON:
        sys.stdout.write(render.as_json(facts, found) + "\n")
    else:
        sys.stdout.write(render.as_markdown(facts, found) + "\n")
    grave = {CheckState.ERROR, CheckState.WARNING} if strict else {CheckState.ERROR}
    is_ready = not any(finding.state in grave for finding in found)
    show_next("doctor" if is_ready else "doctor after fixes", form)
    if not is_ready:
        raise typer.Exit(ExitStatus.ERROR)
