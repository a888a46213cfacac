"""The report of a history's contents."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date
from itertools import pairwise
from typing import Any

from pgiostat.history.read.inventory import Inventory, ServerInventory
from pgiostat.render.csv import timestamp
from pgiostat.render.document import Document, Piece, Table, TableColumn
from pgiostat.units import (
    format_bytes,
    format_count,
    format_counted,
    format_coverage,
    format_duration,
)

__all__ = ["document"]

DAY_SECONDS = 86_400
MEANING = {
    "stmt": "statements, interval by interval",
    "stmt_1h": "statements by the hour",
    "database": "databases",
    "io": "pg_stat_io",
    "relation": "tables and indexes",
    "table_stats": "scans, rows and sizes of tables",
    "index_stats": "scans and sizes of indexes",
    "sample": "intervals",
    "dim": "statement texts and names",
    "hot": "not compacted yet",
    "lock": "locks of collectors and compaction",
    "tmp": "temporary files of writers",
}


def document(contents: Inventory) -> Document:
    """Return the report of what a history holds, for text and JSON."""
    labels = [line for kept in contents.kept for line in _lines(kept)]
    return Document(
        head=[[("history  ", "bold", 0), (str(contents.root), "", 0)], *labels],
        tables=[_sizes(contents)],
        objects=_objects(contents),
    )


def _sizes(contents: Inventory) -> Table:
    """Return the size of each table on disk, the largest first."""
    columns = [
        TableColumn("table"),
        TableColumn("files", right=True, format=format_count),
        TableColumn("on disk", right=True, format=format_bytes),
        TableColumn("what", format=str, rest=True),
    ]
    by_size = sorted(contents.tables.items(), key=lambda item: (-item[1].bytes, item[0]))
    rows = [
        [name, size.files, size.bytes, MEANING.get(name, "")]
        for name, size in by_size
        if size.bytes or name in MEANING
    ]
    rows.append(["all", contents.size.files, contents.size.bytes, ""])
    return Table(columns, rows, apart=True, gap=2)


def _lines(kept: ServerInventory) -> Iterator[list[Piece]]:
    since, until = kept.since.astimezone(UTC), kept.until.astimezone(UTC)
    ends = f"{until:%H:%M:%SZ}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%SZ}"
    yield []
    yield [
        (kept.label, "bold", 0),
        (f"  {since:%Y-%m-%d %H:%M:%SZ} – {ends}", "", 0),
        (f"  newest {_long(kept.age_seconds)} ago", "", 1),
        (f"  {format_counted(kept.servers, 'server')}" if kept.servers > 1 else "", "", 2),
    ]
    yield [
        (f"  {format_counted(kept.intervals, 'interval')}", "", 0),
        (f" of {format_duration(kept.seconds / kept.intervals)}", "", 3),
        (f", {format_count(kept.unsealed)} not compacted", "", 1),
        (f", {format_counted(kept.gaps, 'gap')}", "yellow" if kept.gaps else "", 0),
        (f", {format_counted(kept.rows, 'row')} of statements", "", 2),
        (f", coverage {format_coverage(kept.coverage)}", "", 2),
    ]
    if kept.lost_seconds:
        yield [(f"  reads of statements in {_long(kept.lost_seconds)} are lost", "yellow", 0)]
    if kept.missing_seconds >= 1:
        yield [(f"  nothing was collected for {_long(kept.missing_seconds)}", "yellow", 0)]
    if kept.thin_days:
        yield [(f"  only hourly totals are left of {', '.join(_spans(kept.thin_days))}", "", 0)]


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


def _objects(contents: Inventory) -> Iterator[dict[str, Any]]:
    yield {
        "history": str(contents.root),
        **asdict(contents.size),
        "labels": [_label(kept) for kept in contents.kept],
        "tables": {name: asdict(size) for name, size in contents.tables.items()},
    }


def _label(kept: ServerInventory) -> dict[str, Any]:
    return asdict(kept) | {
        "since": timestamp(kept.since),
        "until": timestamp(kept.until),
        "thin_days": [day.isoformat() for day in kept.thin_days],
    }
