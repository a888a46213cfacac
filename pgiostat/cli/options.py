"""Options of several commands, each defined once, and their values."""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pgiostat.cli import completion, streams
from pgiostat.cli.file_names import no_secret, no_server, refuse
from pgiostat.errors import PgiostatError
from pgiostat.errors import choice as one_of

if TYPE_CHECKING:
    from pgiostat.analysis.rank import By
    from pgiostat.volume.bucket import CreditBucket
    from pgiostat.volume.models import Volume

__all__ = [
    "LIVE",
    "LONGEST_INTERVAL_SECONDS",
    "QUERYID",
    "SHORTEST_INTERVAL_SECONDS",
    "TOP_ON_SCREEN",
    "Directory",
    "Engine",
    "Form",
    "History",
    "Instance",
    "Label",
    "Last",
    "LocalDirectory",
    "RulesFile",
    "Since",
    "SkipBad",
    "Sorted",
    "Top",
    "Until",
    "VolumeName",
    "Written",
    "by_option",
    "choice",
    "format_option",
    "gauge",
    "length",
    "no_secret",
    "ranked_by",
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


LIVE = ("category", "verb", "table", "fingerprint", "statement", "relation", "database", "user")
"""What a ranking can be by, live and of a history."""
QUERYID = "queryid"
"""What ranks a history by entry of pg_stat_statements, in each form of output."""
TAG = "tag:"
"""What comes before the key of a tag."""

Directory = Annotated[
    str | None,
    typer.Argument(
        callback=no_server,
        help="Directory or URI (s3://…) of the history; same as --history.",
        metavar="[HISTORY]",
        show_default=False,
    ),
]
LocalDirectory = Annotated[
    Path | None,
    typer.Argument(
        callback=no_server,
        help="Directory of the history; same as --history.",
        metavar="[HISTORY]",
        readable=False,  # the reader's own error is better
        show_default=False,
    ),
]
History = Annotated[
    str | None,
    typer.Option(
        "--history",
        callback=no_server,
        help="Directory or URI (s3://…) of the history. Default: the user's data directory.",
        metavar="DIR",
        show_default=False,
    ),
]
Written = Annotated[
    Path | None,
    typer.Option(
        "--history",
        callback=no_secret,
        help="Directory of the history. Default: the user's data directory.",
        metavar="DIR",
        readable=False,  # the reader's own error is better
        show_default=False,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Query engine: duckdb, spark://HOST:PORT, sc://HOST:PORT or local[N].",
        metavar="NAME",
        autocompletion=completion.engines,
    ),
]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        callback=no_secret,
        help="Rules file, tried before the rules of the preset.",
        metavar="FILE",
        readable=False,
        show_default=False,
    ),
]


def _preset(value: str) -> str:
    return one_of("--preset", value, ("auto", "sync", "general", "none"))


PresetName = Annotated[
    str,
    typer.Option(
        "--preset",
        callback=_preset,
        help="Rules for a kind of application: auto, sync, general or none.",
        metavar="NAME",
        autocompletion=completion.among("auto", "sync", "general", "none"),
    ),
]
Label = Annotated[
    str,
    typer.Option(
        "--label",
        help="Label of one server. Default: all servers.",
        metavar="NAME",
        show_default=False,
        autocompletion=completion.labels,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Start of the time window: 1h (ago), yesterday 14:00, 04:51:00Z, 2026-11-23T10:00.",
        metavar="TIME",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="End of the time window; same forms as --since. Default: end of the newest interval.",
        metavar="TIME",
        show_default=False,
    ),
]
Last = Annotated[
    str | None,
    typer.Option(
        "--last",
        help="Length of the time window that ends at --until, for example 1h or 7d.",
        metavar="DURATION",
        show_default=False,
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Skip files that cannot be read, and name them."),
]
Sorted = Annotated[
    str,
    typer.Option(
        "--sort",
        help="Sort, highest first, by reads, time, temp, calls or per-call.",
        metavar="MEASURE",
        autocompletion=completion.among("reads", "time", "temp", "calls", "per-call"),
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        help="Rows to show; one more sums up the rest. Default: 20, or all rows in csv and json.",
        metavar="N",
        show_default=False,
    ),
]
VolumeName = Annotated[
    str,
    typer.Option(
        "--volume",
        help="Volume of the server: gp2:GIB, gp3:GIB:IOPS:MIB_PER_S, … (pgiostat help burst).",
        metavar="VOLUME",
        show_default=False,
        autocompletion=completion.volumes,
    ),
]
Instance = Annotated[
    str,
    typer.Option(
        "--instance",
        help="Instance type, such as db.m5.large, or its limits: 3600:81.25:18750:593.75.",
        metavar="TYPE",
        show_default=False,
        autocompletion=completion.instances,
    ),
]
StartBalance = Annotated[
    float | None,
    typer.Option(
        "--balance",
        help="Burst balance at the start in per cent. Default: CloudWatch's if collected, or 100.",
        metavar="PCT",
        show_default=False,
    ),
]
Writes = Annotated[
    float,
    typer.Option(
        "--writes",
        help="Known write IOPS, which are not counted; they consume credits too. Default: 0.",
        metavar="N",
        show_default=False,
    ),
]


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def by_option(*allowed: str, also: tuple[str, ...] = ()) -> typer.models.OptionInfo:
    """Return the option for what is ranked; its help leaves out the values in `also`."""
    option: typer.models.OptionInfo = typer.Option(
        "--by",
        help=f"By {_listed(allowed)}.",
        metavar="WHAT",
        autocompletion=completion.among(*allowed, *also),
    )
    return option


def ranked_by(value: str, *without: "By", also: tuple[str, ...] = ()) -> "tuple[By, str]":
    """Return what --by ranks, and the key of tag:KEY; empty for all others.

    Args:
        value: Of the option.
        without: What cannot be ranked here; a history has no tags.
        also: Further values that a message lists.
    """
    from pgiostat.analysis.rank import By

    if value.startswith(TAG):
        return By.TAG, _tag_key(value.removeprefix(TAG), is_stored=By.TAG in without)
    allowed = [each.value for each in By if each not in {By.TAG, *without}]
    return By(
        one_of("--by", value, [*allowed, *also, *[f"{TAG}KEY"] * (By.TAG not in without)])
    ), ""


def _tag_key(key: str, *, is_stored: bool) -> str:
    if is_stored:
        refuse(
            "a history has no tags",
            detail="Tags are comments of statements. A history keeps texts without comments, which"
            " may hold secrets.",
            hint=f"pgiostat watch --by {TAG}{key} shows tags of a server. For a history, rules by"
            " table or role name the parts of an application: pgiostat rules init suggests some.",
        )
    if not key:
        refuse(f"--by {TAG} needs the key of a tag", hint=f"Try: --by {TAG}controller")
    return key


def format_option(*forms: str) -> typer.models.OptionInfo:
    """Return the option for the form of the output."""
    option: typer.models.OptionInfo = typer.Option(
        "--format",
        help=f"Output format: {_listed(forms)}.",
        metavar="FORMAT",
        autocompletion=completion.among(*forms),
    )
    return option


NO_VOLUME = "--instance, --balance and --writes need a volume"


Choice = TypeVar("Choice", bound=StrEnum)


def choice(name: str, value: str, allowed: type[Choice], *without: Choice) -> Choice:
    """Return a value that is one of a few, or end with what is allowed."""
    found = one_of(f"--{name}", value, (entry for entry in allowed if entry not in without))
    if name == "format" and found == Form.JSON.value:
        streams.escape_as_json()
    return found


def length(name: str, text: str, low: float, high: float = math.inf) -> float:
    """Return the seconds of an option that is a length of time, within bounds."""
    from pgiostat.timespec import duration, written

    try:
        seconds = duration(text)
    except PgiostatError as error:
        refuse(f'invalid value for --{name}: "{text}"', hint=error.hint)
    if not low <= seconds <= high:
        allowed = (
            f"at least {written(low)}"
            if high == math.inf
            else f"from {written(low)} to {written(high)}"
        )
        refuse(f'invalid value for --{name}: "{text}"', hint=f"It must be {allowed}.")
    return seconds


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
