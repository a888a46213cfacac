"""pgiostat compare: two windows, labels or histories."""

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgiostat.cli import options
from pgiostat.errors import ExitStatus, PgiostatError

if TYPE_CHECKING:
    from pgiostat.history.sides import Chosen

__all__ = ["chosen", "compare"]

SIDE = "Label, label@from..to, @from..to, or a history's directory, alone or as DIR:label@from..to."


def compare(
    a: Annotated[str, typer.Argument(help=f"Before. {SIDE}", metavar="A", show_default=False)],
    b: Annotated[str, typer.Argument(help="After, the same.", metavar="B", show_default=False)],
    history: options.History = None,
    per: Annotated[
        str,
        typer.Option(
            help="Reads by second, by call, or by an anchor's calls, as version:calls.",
            metavar="WHAT",
        ),
    ] = "second",
    top: options.Top = None,
    output: Annotated[str, options.format_option(*options.Form)] = "text",
    rules: options.RulesFile = None,
    skip_bad: options.SkipBad = False,
) -> None:
    """Say what reads more or less in B than in A, and how sure that is.

    Statements are joined by fingerprint: versions, users and databases may differ. Nothing is
    judged if the windows are too short, of bad quality, or still warming up; the numbers are
    shown all the same, with the reason.
    """
    from pgiostat.history.sides import compared
    from pgiostat.render import compare as render

    form = options.choice("format", output, options.Form)
    if top is not None:
        options.within("top", top, 1)
    with options.working("comparing"), options.describing(rules) as describe:
        root = options.history_root(history)
        now = datetime.now().astimezone()
        sides = compared(
            chosen(a, root, now, skip_bad=skip_bad),
            chosen(b, root, now, skip_bad=skip_bad),
            describe,
            per,
        )
    if form is options.Form.TEXT:
        console = options.console()
        shown = options.TOP_ON_SCREEN if top is None else top
        console.print(render.as_text(sides, top=shown, width=console.width))
    elif form is options.Form.CSV:
        render.write_csv(sides, sys.stdout, top=top)
    elif form is options.Form.JSON:
        sys.stdout.write(render.as_json(sides, top=top) + "\n")
    else:
        shown = options.TOP_ON_SCREEN if top is None else top
        sys.stdout.write(render.as_markdown(sides, top=shown) + "\n")


_SPAN = re.compile(r"(.*?)\.\.(.*)", re.DOTALL)


def chosen(text: str, root: Path, now: datetime, *, skip_bad: bool = False) -> "Chosen":
    """Return the window that an argument names; of a whole history or label its own span.

    Raises PgiostatError option-invalid, time-invalid, label-unknown, and as History.open does.
    """
    from pgiostat.history.reader import History
    from pgiostat.history.sides import Chosen
    from pgiostat.history.windows import Window
    from pgiostat.times import instant

    where, at, span = text.partition("@")
    directory, colon, label = where.rpartition(":")
    if colon:
        place = Path(directory)
    elif "/" in where or (Path(where) / "format.json").is_file():
        place, label = Path(where), ""
    else:
        place, label = root, where
    opened = History.open(place, skip_bad=skip_bad)
    servers = opened.choose(label)
    since, until = min(s.since for s in servers), max(s.until for s in servers)
    if at:
        found = _SPAN.fullmatch(span)
        if found is None:
            options.refuse(
                f'invalid window: "{text}"',
                hint="Write it like prod@-2h..-1h or prod@09:00..10:00.",
            )
        since = instant(found[1], now) if found[1].strip() else since
        until = instant(found[2], now) if found[2].strip() else until
    if since >= until:
        raise ends_first(since, until)
    return Chosen(opened, Window(since, until, label))


def ends_first(since: datetime, until: datetime) -> PgiostatError:
    """Return the error of a window that is none."""
    return PgiostatError(
        "the time ends before it begins",
        detail=f"It was to go from {since:%Y-%m-%d %H:%M:%S %Z} to {until:%Y-%m-%d %H:%M:%S %Z}.",
        slug="time-invalid",
        status=ExitStatus.USAGE,
    )
