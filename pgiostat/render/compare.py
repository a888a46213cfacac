"""A comparison for people and programs: text, Markdown, CSV, JSON."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from io import StringIO
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgiostat.change import Verdict
from pgiostat.compare import CERTAINTY, Compared, Comparison, Per
from pgiostat.history.seen import Seen
from pgiostat.history.sides import Sides
from pgiostat.names import OWN
from pgiostat.render.columns import Value, printable
from pgiostat.render.csvform import cell, timestamp
from pgiostat.render.report import escaped, labels, remarks
from pgiostat.units import (
    format_change,
    format_count,
    format_duration,
    format_share,
    format_version,
)

__all__ = [
    "COLUMNS",
    "as_json",
    "as_markdown",
    "as_text",
    "conclusion",
    "rows_of",
    "side_of",
    "write_csv",
]

WIDE = 112
LEAST_QUERY = 40
_WORDS = ("verdict", "category", "query")
LONGEST_NAME = 26
_COLOURS = {
    Verdict.BETTER: "green",
    Verdict.VANISHED: "green",
    Verdict.WORSE: "red",
    Verdict.APPEARED: "red",
    Verdict.UNSURE: "yellow",
}


def _unit(comparison: Comparison) -> str:
    return {Per.SECOND: "/s", Per.CALL: "/call", Per.ANCHOR: "/anchor"}[comparison.per]


def conclusion(sides: Sides) -> str:
    """Return what came of it, in a sentence."""
    comparison = sides.comparison
    if comparison.reasons:
        return "Not judged."
    found: dict[Verdict, list[str]] = {}
    for row in comparison.categories:
        if row.key != OWN:
            found.setdefault(row.reads.verdict, []).append(_told(row))
    parts = [
        f"{verdict}: {', '.join(found[verdict])}"
        for verdict in Verdict
        if verdict in found and verdict is not Verdict.NOT_JUDGED
    ]
    total = comparison.total.reads
    if total.verdict is Verdict.SAME and found.keys() <= {Verdict.SAME, Verdict.NOT_JUDGED}:
        return "No change."
    whole = {
        Verdict.BETTER: f"B reads less than A ({format_change(total.change)})",
        Verdict.WORSE: f"B reads more than A ({format_change(total.change)})",
        Verdict.SAME: "In all no change",
    }.get(total.verdict, f"In all it is unsure ({format_change(total.change)})")
    return f"{whole}; {'; '.join(parts)}."


def _told(row: Compared) -> str:
    changed = row.reads.verdict in {Verdict.BETTER, Verdict.WORSE}
    return f"{row.name} {format_change(row.reads.change)}" if changed else row.name


def _side_line(name: str, seen: Seen) -> str:
    since, until = (moment.astimezone(UTC) for moment in (seen.window.since, seen.window.until))
    sampled = seen.sampled
    return (
        f"{name}  {printable(labels(seen))}  {since:%Y-%m-%d %H:%M:%S} – {until:%Y-%m-%d %H:%M:%S}"
        f" UTC  {format_duration(sampled.seconds)}  coverage {format_share(sampled.coverage)}"
        f"  PostgreSQL {format_version(sampled.version_num)}"
    )


def _warnings(sides: Sides) -> Iterator[str]:
    yield from sides.comparison.reasons
    for name, seen in (("A", sides.a), ("B", sides.b)):
        for line in remarks(seen):
            yield f"{name}: {line}"


def _by_what(sides: Sides) -> str:
    comparison = sides.comparison
    if comparison.per is Per.ANCHOR:
        a, b = (format_count(calls) for calls in comparison.anchors)
        return f"blocks read by each call of the anchor ({a} in A, {b} in B)"
    return f"blocks read by {comparison.per}"


def as_text(sides: Sides, *, top: int, width: int) -> RenderableType:
    """Return both windows, the conclusion, categories, and the statements that changed most."""
    comparison = sides.comparison
    lines = [Text(_side_line("A", sides.a)), Text(_side_line("B", sides.b))]
    warned = [Text(f"! {line}", "yellow") for line in _warnings(sides)]
    how = f"{_by_what(sides)}; intervals of {CERTAINTY * 100:.0f} % certainty from steps of"
    told = Text(f"{how} {format_duration(sides.step.total_seconds())}", "dim")
    rows = [comparison.total, *comparison.categories]
    groups = [row for row in comparison.groups if row.key != OWN][:top]
    parts: list[RenderableType] = [
        *lines,
        *warned,
        Text(conclusion(sides), "bold"),
        told,
        _table(comparison, rows, "category", width),
    ]
    if groups:
        parts += [Text(""), _table(comparison, groups, "query", width)]
    moved = [row for row in comparison.groups if row.moved]
    if moved:
        parts += [Text(""), Text("Of another category in B:", "bold")]
        parts += [
            Text(f"{r.category_a} → {r.category_b}  {printable(r.name)}", no_wrap=True)
            for r in moved
        ]
    return Group(*parts)


def _table(comparison: Comparison, rows: Sequence[Compared], named: str, width: int) -> Table:
    """Return rows as a table; numbers are never cut, texts at the end give way."""
    texts = named == "query"
    unit = _unit(comparison)
    headings = [f"A{unit}", f"B{unit}", "change", "interval", "verdict"]
    wide = width >= (WIDE + LEAST_QUERY if texts else WIDE)
    if wide:
        headings += ["calls/s A → B", "blocks/call A → B"]
    headings = [*headings, "category", named] if texts else [named, *headings]
    cells = [_cells(row, wide=wide, texts=texts) for row in rows]
    grid = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    left = width
    for number, heading in enumerate(headings):
        last = texts and number == len(headings) - 1
        room = max([cell_len(heading), *(row[number].cell_len for row in cells)])
        room = max(min(room, left), 8) if last else min(room, LONGEST_NAME)
        left -= room + 1
        grid.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=room, max_width=room)
        if heading not in _WORDS:
            grid.columns[-1].justify = "right"
    for row, told in zip(rows, cells, strict=True):
        grid.add_row(*told, style="dim" if row.key == OWN else None)
    return grid


def _cells(row: Compared, *, wide: bool, texts: bool) -> list[Text]:
    cells = [Text(value) for value in _numbers(row)]
    verdict = row.reads.verdict
    told = "–" if verdict is Verdict.NOT_JUDGED else str(verdict)
    cells.append(Text(told, _COLOURS.get(verdict, "")))
    if wide:
        a, b = row.costs
        cells.append(_pair(a.calls_per_s, b.calls_per_s))
        cells.append(_pair(a.blocks_per_call, b.blocks_per_call))
    name = Text(printable(" ".join(row.name.split())))
    return [*cells, Text(printable(row.category_b)), name] if texts else [name, *cells]


def _pair(a: float | None, b: float | None) -> Text:
    return Text(f"{format_count(a)} → {format_count(b)}")


def _numbers(row: Compared) -> list[str]:
    reads = row.reads
    interval = "–"
    if reads.low is not None and reads.high is not None:
        interval = f"{format_change(reads.low)} … {format_change(reads.high)}"
    return [format_count(reads.a), format_count(reads.b), format_change(reads.change), interval]


def as_markdown(sides: Sides, *, top: int) -> str:
    """Return a comparison for a page or an issue."""
    comparison = sides.comparison
    lines = [f"- {escaped(_side_line(name, s))}" for name, s in (("A", sides.a), ("B", sides.b))]
    lines += [f"- {line}" for line in _warnings(sides)]
    lines += [
        "",
        f"**{conclusion(sides)}** ({_by_what(sides)}, {CERTAINTY * 100:.0f} % certainty)",
        "",
    ]
    rows = [comparison.total, *comparison.categories]
    groups = [row for row in comparison.groups if row.key != OWN][:top]
    for named, listed in (("category", rows), ("query", groups)):
        unit = _unit(comparison)
        lines.append(f"| {named} | A{unit} | B{unit} | change | interval | verdict |")
        lines.append("|---|---:|---:|---:|---:|---|")
        for row in listed:
            name = escaped(" ".join(row.name.split()))
            judged = row.reads.verdict is not Verdict.NOT_JUDGED
            verdict = str(row.reads.verdict) if judged else "–"
            lines.append(f"| {' | '.join([name, *_numbers(row), verdict])} |")
        lines.append("")
    return "\n".join(lines).rstrip()


_SIDED: dict[str, Callable[[Any], Value]] = {
    "blocks_read": lambda cost: cost.blocks,
    "blocks_read_per_s": lambda cost: cost.blocks_per_s,
    "blocks_read_per_call": lambda cost: cost.blocks_per_call,
    "calls": lambda cost: cost.calls,
    "calls_per_s": lambda cost: cost.calls_per_s,
    "rd_await_ms": lambda cost: cost.rd_await_ms,
    "hit_ratio": lambda cost: cost.hit_ratio,
}
COLUMNS = (
    "part", "key", "category_a", "category_b", "query", "per", "a", "b", "change", "change_low",
    "change_high", "certainty", "verdict", *(f"{name}_{side}" for name in _SIDED for side in "ab"),
)  # fmt: skip
"""Names of the columns of CSV: change is B's rate over A's, less one."""


def rows_of(comparison: Comparison, top: int | None = None) -> Iterator[dict[str, Value]]:
    """Yield a row for the total, each category and each fingerprint, by the names of COLUMNS."""
    parts = (
        ("total", [comparison.total]),
        ("category", comparison.categories),
        ("fingerprint", comparison.groups if top is None else comparison.groups[:top]),
    )
    for part, rows in parts:
        for row in rows:
            reads = row.reads
            known = (
                part, row.key, row.category_a, row.category_b,
                row.name if part == "fingerprint" else "", str(comparison.per), reads.a, reads.b,
                reads.change, reads.low, reads.high, CERTAINTY, str(reads.verdict),
            )  # fmt: skip
            sided = (value(cost) for value in _SIDED.values() for cost in row.costs)
            yield dict(zip(COLUMNS, (*known, *sided), strict=True))


def write_csv(sides: Sides, out: TextIO, *, top: int | None) -> None:
    """Write a row for the total, each category and each fingerprint."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for record in rows_of(sides.comparison, top):
        writer.writerow([cell(value) for value in record.values()])
    out.write(text.getvalue())
    out.flush()


def side_of(seen: Seen) -> dict[str, Any]:
    """Return what is to be known of a window that was compared, for programs."""
    return {
        "server": labels(seen),
        "since": timestamp(seen.window.since),
        "until": timestamp(seen.window.until),
        "seconds": seen.sampled.seconds,
        "samples": seen.sampled.samples,
        "coverage": seen.sampled.coverage,
        "qualities": dict(seen.sampled.qualities),
        "version_num": seen.sampled.version_num,
        "remarks": list(remarks(seen)),
    }


def as_json(sides: Sides, *, top: int | None) -> str:
    """Return a comparison as one JSON object, null where a number is unknown."""
    comparison = sides.comparison
    return json.dumps(
        {
            "a": side_of(sides.a),
            "b": side_of(sides.b),
            "per": str(comparison.per),
            "anchors": list(comparison.anchors),
            "step_seconds": sides.step.total_seconds(),
            "certainty": CERTAINTY,
            "judged": not comparison.reasons,
            "reasons": list(comparison.reasons),
            "conclusion": conclusion(sides),
            "rows": [
                {name: None if value == "" else value for name, value in record.items()}
                for record in rows_of(comparison, top)
            ],
        },
        ensure_ascii=False,
    )
