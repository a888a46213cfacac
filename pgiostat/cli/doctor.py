"""pgiostat doctor: whether a server is ready, and how to fix it."""

import sys
from typing import Annotated

import typer

from pgiostat.cli import options

__all__ = ["doctor"]


def doctor(
    dsn: Annotated[
        str,
        typer.Argument(
            help="URI or keywords, as for psql; PG* variables, service file and .pgpass hold.",
            metavar="DSN",
            show_default=False,
        ),
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="End with status 1 for warnings too.")
    ] = False,
    output: Annotated[str, options.format_option("text", "json", "markdown")] = "text",
) -> None:
    """Say whether a server is ready to say who reads, and what mends what is not.

    Nothing is changed. Ends with status 1 if anything is an error.
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
    if any(finding.state in grave for finding in found):
        raise typer.Exit(ExitStatus.ERROR)
