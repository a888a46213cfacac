"""What a history holds, for people and programs: text, JSON."""

from collections.abc import Iterator
from datetime import UTC, date
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgiostat.escape import terminal
from pgiostat.history.read.inventory import Inventory, ServerInventory
from pgiostat.render.csv import timestamp
from pgiostat.render.json import dumps
from pgiostat.render.text import fitted
from pgiostat.units import format_bytes, format_count, format_coverage, format_duration

__all__ = ["as_json", "as_text"]

DAY_SECONDS = 86_400
MEANING = {
    "stmt": "statements, interval by interval",
    "stmt_1h": "statements by the hour",
    "database": "databases",
    "io": "pg_stat_io",
    "relation": "tables and indexes",
    "sample": "intervals",
    "dim": "texts and names, told once",
    "hot": "not sealed yet",
    "lock": "who collects and seals",
    "tmp": "being written, or left by a collector that was killed",
}


def as_text(contents: Inventory, *, width: int) -> RenderableType:
    """Return each label in a few lines, and what its tables take."""
    head = Text("history  ", "bold", overflow="fold")
    parts: list[RenderableType] = [head.append(terminal(str(contents.root)), "not bold")]
    for kept in contents.kept:
        parts += [Text(""), *_lines(kept, width)]
    return Group(*parts, Text(""), _table(contents))


def _lines(kept: ServerInventory, width: int) -> Iterator[Text]:
    since, until = kept.since.astimezone(UTC), kept.until.astimezone(UTC)
    ends = f"{until:%H:%M:%S}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%S}"
    yield fitted(
        [
            (terminal(kept.label), "bold", 0),
            (f"  {since:%Y-%m-%d %H:%M:%S} – {ends} UTC", "", 0),
            (f"  newest {_long(kept.age_seconds)} ago", "", 1),
            (f"  {_counted(kept.servers, 'server')}" if kept.servers > 1 else "", "", 2),
        ],
        width,
    )
    yield fitted(
        [
            (f"  {_counted(kept.intervals, 'interval')}", "", 0),
            (f" of {format_duration(kept.seconds / kept.intervals)}", "", 3),
            (f", {format_count(kept.unsealed)} not sealed", "", 1),
            (f", {_counted(kept.gaps, 'gap')}", "yellow" if kept.gaps else "", 0),
            (f", {_counted(kept.rows, 'row')} of statements", "", 2),
            (f", coverage {format_coverage(kept.coverage)}", "", 2),
        ],
        width,
    )
    if kept.lost_seconds:
        yield Text(f"  what statements read in {_long(kept.lost_seconds)} is lost", "yellow")
    if kept.missing_seconds >= 1:
        yield Text(f"  nothing was collected for {_long(kept.missing_seconds)}", "yellow")
    if kept.thin_days:
        yield Text(f"  whole hours alone are left of {', '.join(_spans(kept.thin_days))}")


def _spans(days: tuple[date, ...]) -> Iterator[str]:
    """Yield days, those that follow each other as one span.

    >>> list(_spans((date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 5))))
    ['2026-01-01 – 2026-01-02', '2026-01-05']
    """
    first = days[0]
    for day, after in pairwise((*days, None)):
        if day is not None and (after is None or (after - day).days > 1):
            yield f"{first}" if first == day else f"{first} – {day}"
            first = after or day


def _long(seconds: float) -> str:
    """Return a length of time that may be days.

    >>> _long(90.0), _long(86_400 * 3.5)
    ('1 min 30 s', '3 d 12 h')
    """
    if seconds < DAY_SECONDS:
        return format_duration(seconds)
    days, rest = divmod(round(seconds), DAY_SECONDS)
    return f"{days} d {rest // 3600} h"


def _counted(count: int, what: str) -> str:
    return f"{format_count(count)} {what}{'s' * (count != 1)}"


def _table(contents: Inventory) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    grid.add_column("table", no_wrap=True)
    grid.add_column("files", justify="right", no_wrap=True)
    grid.add_column("on disk", justify="right", no_wrap=True)
    grid.add_column("what", no_wrap=True, overflow="ellipsis")
    by_size = sorted(contents.tables.items(), key=lambda item: (-item[1].bytes, item[0]))
    for name, size in by_size:
        if size.bytes or name in MEANING:
            cells = (format_count(size.files), format_bytes(size.bytes), MEANING.get(name, ""))
            grid.add_row(Text(terminal(name)), *cells)
    grid.add_row("all", format_count(contents.size.files), format_bytes(contents.size.bytes), "")
    return grid


def as_json(contents: Inventory) -> str:
    """Return what a history holds as one JSON object, null where a number is unknown."""
    size = contents.size
    told: dict[str, Any] = {
        "history": str(contents.root),
        "files": size.files,
        "bytes": size.bytes,
        "labels": [_told(kept) for kept in contents.kept],
        "tables": {
            name: {"files": size.files, "bytes": size.bytes}
            for name, size in contents.tables.items()
        },
    }
    return dumps(told)


def _told(kept: ServerInventory) -> dict[str, Any]:
    return {
        "label": kept.label,
        "since": timestamp(kept.since),
        "until": timestamp(kept.until),
        "servers": kept.servers,
        "intervals": kept.intervals,
        "unsealed": kept.unsealed,
        "gaps": kept.gaps,
        "seconds": kept.seconds,
        "lost_seconds": kept.lost_seconds,
        "missing_seconds": kept.missing_seconds,
        "coverage": kept.coverage,
        "rows": kept.rows,
        "thin_days": [day.isoformat() for day in kept.thin_days],
        "age_seconds": kept.age_seconds,
    }
