"""Options of several commands, each defined once, and their values."""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from pgiostat.cli import streams
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.errors import choice as one_of

if TYPE_CHECKING:
    from pgiostat.volume.bucket import CreditBucket
    from pgiostat.volume.models import Volume

__all__ = [
    "LIVE",
    "LONGEST_INTERVAL_SECONDS",
    "SHORTEST_INTERVAL_SECONDS",
    "TABLES_ONLY",
    "TOP_ON_SCREEN",
    "Engine",
    "Form",
    "History",
    "Instance",
    "Label",
    "Last",
    "RulesFile",
    "Since",
    "SkipBad",
    "Sorted",
    "Top",
    "Until",
    "Written",
    "by_option",
    "choice",
    "format_option",
    "gauge",
    "no_secret",
    "refuse",
    "rows_shown",
    "volume",
    "within",
]

SHORTEST_INTERVAL_SECONDS = 0.1
LONGEST_INTERVAL_SECONDS = 86_400
TOP_ON_SCREEN = 20


class Form(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


TABLES_ONLY = (Form.CSV, Form.MARKDOWN)
"""Forms for reports that are one table."""
LIVE = ("category", "fingerprint", "statement", "relation", "database", "user")
"""What a live ranking can be by."""

Name = TypeVar("Name", bound=str | Path | None)


def no_secret(parameter: typer.CallbackParam, value: Name) -> Name:
    """Return the name of a file or a directory; refuse one that may hold a secret.

    It would become a file name, and be part of log lines.
    """
    from pgiostat.redaction import may_hold_secret

    if value is not None and may_hold_secret(str(value)):
        long = (each for each in parameter.opts if each.startswith("--"))
        refuse(
            f"invalid value for {next(long, parameter.human_readable_name)}: it may hold a password"
            " or a key",
            detail="It looks like a connection string, or like a URI with a password or a key.",
            hint="Give the name of a file or a directory. A connection string is an argument of its"
            " own, and credentials of a store come from the environment.",
        )
    return value


History = Annotated[
    str | None,
    typer.Option(
        "--history",
        callback=no_secret,
        help="Directory of the history, or s3://…; the user's data directory if not given.",
        metavar="DIR",
        show_default=False,
    ),
]
Written = Annotated[
    Path | None,
    typer.Option(
        "--history",
        callback=no_secret,
        help="Directory of the history; the user's data directory if not given.",
        metavar="DIR",
        readable=False,  # the reader's own error is better
        show_default=False,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Who reads: duckdb, spark://HOST:PORT, sc://HOST:PORT or local[N].",
        metavar="NAME",
    ),
]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        callback=no_secret,
        help="Rules file, before the built-in rules.",
        metavar="FILE",
        readable=False,
        show_default=False,
    ),
]
Label = Annotated[
    str,
    typer.Option(
        "--label", help="One server; all if not given.", metavar="NAME", show_default=False
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="From then: -2h (before now), yesterday 14:00, 2026-11-23T10:00.",
        metavar="TIME",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="Until then, as --since; until the newest interval ends if not given.",
        metavar="TIME",
        show_default=False,
    ),
]
Last = Annotated[
    str | None,
    typer.Option(
        "--last",
        help="So long before --until, or before the newest interval ends: 1h, 7d.",
        metavar="TIME",
        show_default=False,
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out files that cannot be read, and say which."),
]
Sorted = Annotated[
    str,
    typer.Option(help="Greatest first: reads, time, temp, calls or per-call.", metavar="MEASURE"),
]
Top = Annotated[
    int | None,
    typer.Option(
        help="Rows to show, the rest as one; 20 on a screen, all for csv and json.",
        metavar="N",
        show_default=False,
    ),
]
Instance = Annotated[
    str,
    typer.Option(
        "--instance",
        help="Its instance type, as db.m5.large, or its limits, as 3600:81.25:18750:593.75.",
        metavar="TYPE",
    ),
]
StartBalance = Annotated[
    float | None,
    typer.Option(
        "--balance",
        help="Per cent in the bucket at the start; CloudWatch's if it was collected, else 100.",
        metavar="PCT",
        show_default=False,
    ),
]
Writes = Annotated[
    float,
    typer.Option(
        "--writes",
        help="Operations a second that are written: they burn as well, and are not counted.",
        metavar="N",
    ),
]


def by_option(*allowed: str) -> typer.models.OptionInfo:
    """Return the option for what is ranked."""
    words = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
    option: typer.models.OptionInfo = typer.Option("--by", help=f"By {words}.", metavar="WHAT")
    return option


def format_option(*forms: str) -> typer.models.OptionInfo:
    """Return the option for the form of the output."""
    words = f"{', '.join(forms[:-1])} or {forms[-1]}"
    option: typer.models.OptionInfo = typer.Option("--format", help=f"{words}.", metavar="FORM")
    return option


def refuse(message: str, *, hint: str | None = None, detail: str | None = None) -> NoReturn:
    """Raise PgiostatError option-invalid."""
    raise PgiostatError(
        message, detail=detail, hint=hint, slug="option-invalid", status=ExitStatus.USAGE
    )


Choice = TypeVar("Choice", bound=StrEnum)


def choice(name: str, value: str, allowed: type[Choice], *without: Choice) -> Choice:
    """Return a value that is one of a few, or end with what is allowed."""
    found = one_of(f"--{name}", value, (entry for entry in allowed if entry not in without))
    if name == "format" and found == Form.JSON.value:
        streams.escape_as_json()
    return found


def within(name: str, value: float, low: float, high: float = math.inf) -> None:
    """End with what is allowed if a number is out of bounds."""
    if not low <= value <= high or not math.isfinite(value):
        allowed = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        refuse(f"invalid value for --{name}: {value:g}", hint=f"It must be {allowed}.")


def rows_shown(top: int | None, form: str) -> int | None:
    """Return how many rows to show: by default a screenful, or all for programs."""
    if top is not None:
        within("top", top, 1)
    return top if top is not None or form in {Form.CSV, Form.JSON} else TOP_ON_SCREEN


def volume(name: str, instance: str, balance: float | None) -> "tuple[Volume, float | None]":
    """Return the model of a volume and its balance at the start, 0 to 1; None for CloudWatch's."""
    start = None if balance is None else balance / 100
    return gauge(name, instance, 100.0 if balance is None else balance).volume, start


def gauge(name: str, instance: str, balance: float) -> "CreditBucket":
    """Return the credit bucket of a volume as it is at the start; balance is in per cent."""
    from pgiostat.volume.bucket import CreditBucket
    from pgiostat.volume.instances import instance_of
    from pgiostat.volume.models import volume_of

    within("balance", balance, 0, 100)
    model = volume_of(name)
    if instance:
        model = model.limited(instance_of(instance))
    return CreditBucket(model, balance / 100, balance / 100)
