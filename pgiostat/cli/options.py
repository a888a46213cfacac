"""Options that several commands have, each told once; what they allow, and the console."""

import gc
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO, TypeVar

import typer

from pgiostat.cli import streams
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.errors import choice as one_of

if TYPE_CHECKING:
    from rich.console import Console

    from pgiostat.queries.rules import Rules
    from pgiostat.statistics.names import Describe
    from pgiostat.volume.bucket import CreditBucket

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
    "console",
    "describe",
    "describing",
    "forget_output",
    "format_option",
    "history_root",
    "leave",
    "local_root",
    "no_secret",
    "progress",
    "reading",
    "refuse",
    "rows_shown",
    "rules_of",
    "within",
    "working",
]

SHORTEST_INTERVAL_SECONDS = 0.1
LONGEST_INTERVAL_SECONDS = 86_400
TOP_ON_SCREEN = 20


class Form(StrEnum):
    """What is printed of a history."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


TABLES_ONLY = (Form.CSV, Form.MARKDOWN)
"""Forms for rows of one kind."""
PATIENCE_SECONDS = 1.0
LIVE = ("category", "fingerprint", "statement", "relation", "database", "user")
"""What can be ranked while it happens."""

Given = TypeVar("Given", bound=str | Path | None)


def no_secret(parameter: typer.CallbackParam, value: Given) -> Given:
    """Return the name of a file or a directory; refuse one that may hold a secret.

    It would become a name on the disk, and be part of lines of the log.
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
        readable=False,  # what cannot be read is told by who reads it
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
    """Return the option that says what is ranked."""
    words = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
    option: typer.models.OptionInfo = typer.Option("--by", help=f"By {words}.", metavar="WHAT")
    return option


def format_option(*forms: str) -> typer.models.OptionInfo:
    """Return the option that says in which form."""
    words = f"{', '.join(forms[:-1])} or {forms[-1]}"
    option: typer.models.OptionInfo = typer.Option("--format", help=f"{words}.", metavar="FORM")
    return option


def refuse(message: str, *, hint: str | None = None, detail: str | None = None) -> NoReturn:
    """Raise what is wrong with the options."""
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


def rows_shown(top: int | None, form: str) -> int | None:
    """Return how many rows to show: by default a screenful, or all for programs."""
    return top if top is not None or form in {Form.CSV, Form.JSON} else TOP_ON_SCREEN


def within(name: str, value: float, low: float, high: float = math.inf) -> None:
    """End with what is allowed if a number is out of bounds."""
    if not low <= value <= high or not math.isfinite(value):
        allowed = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        refuse(f"invalid value for --{name}: {value:g}", hint=f"It must be {allowed}.")


def gauge(volume: str, instance: str, balance: float) -> "CreditBucket":
    """Return a volume's bucket as it is at the start."""
    from pgiostat.volume.bucket import CreditBucket
    from pgiostat.volume.instances import instance_of
    from pgiostat.volume.models import volume_of

    within("balance", balance, 0, 100)
    model = volume_of(volume)
    if instance:
        model = model.limited(instance_of(instance))
    return CreditBucket(model, balance / 100, balance / 100)


def history_root(given: str | None) -> Path | str:
    """Return where the history is that is read: a directory, or a URI."""
    if given is not None and "://" in given:
        return given
    return local_root(None if given is None else Path(given))


def local_root(given: Path | None) -> Path:
    """Return where the history is that is written. Raises PgiostatError for an object store."""
    if given is not None:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", str(given)):  # a path keeps one slash of two
            from pgiostat.uris import shown

            refuse(
                f'"{shown(str(given))}" is not a directory',
                hint="Intervals are collected into a directory, and brought to an object store by"
                " pgiostat ship.",
            )
        return given
    import platformdirs

    return platformdirs.user_data_path("pgiostat") / "history"


def rules_of(path: Path | None) -> "Rules":
    """Return the rules in force."""
    from pgiostat.queries.rules import builtin, load

    return builtin() if path is None else load(path)


def describe(path: Path | None) -> "Describe":
    """Return what describes statements by the rules in force."""
    from pgiostat.queries.describe import describer

    return describer(None if path is None else rules_of(path))


@contextmanager
def describing(path: Path | None) -> Iterator["Describe"]:
    """Yield what describes statements of a history, with categories that were found before."""
    import platformdirs

    from pgiostat.history.read.category_cache import cached_categories, digest

    # A mistake in rules is told even where nothing is left to be found with them.
    ruled = None if path is None else describe(path)
    whose = digest(b"" if path is None else path.read_bytes())
    place = platformdirs.user_cache_path("pgiostat") / "categories"
    with cached_categories(lambda: ruled or describe(None), place, whose) as found:
        yield found


def console(out: TextIO | None = None) -> "Console":
    """Return where text goes."""
    from pgiostat.render.text import console as made

    return made(out)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal's standard error what takes so long, when it does."""
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
def reading(what: str) -> Iterator[None]:
    """Say that a history is read, as working does; the process is to do nothing else.

    A question makes no circles worth looking for: with that and with taking everything apart at
    the end Python spends a fifth of the time of a week's report.
    """
    global _reads_only  # noqa: PLW0603 - it is the process that does nothing else
    _reads_only = True
    gc.disable()
    with working(what):
        yield


def leave(status: int) -> NoReturn:
    """End the process; what only read leaves its memory to the system as it is."""
    streams.flush(sys.stdout)
    streams.flush(sys.stderr)
    if _reads_only:
        os._exit(status)
    sys.exit(status)


_reads_only = False


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, float], None]]:
    """Yield what is told the part at work and the share that is done: a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _part, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from pgiostat.escape import terminal

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    plain = Console(stderr=True, markup=False, emoji=False)
    with Progress(*columns, console=plain, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda part, share: bar.update(
            task, description=f"{what} {terminal(part)}", completed=share
        )


def forget_output() -> None:
    """Python must not flush standard output once more at the end."""
    streams.forget(sys.stdout)
