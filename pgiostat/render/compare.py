"""A comparison for people: text, Markdown."""

from collections.abc import Iterator, Sequence
from datetime import UTC

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgiostat.analysis.compare.comparability import CERTAINTY
from pgiostat.analysis.compare.compare import REST, ComparedGroup, Comparison, Per, shown
from pgiostat.analysis.compare.significance import Verdict
from pgiostat.escape import terminal
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render import markdown
from pgiostat.render.report import labels, remarks
from pgiostat.render.text import Piece, fitted
from pgiostat.reports.compare import WindowComparison
from pgiostat.statistics.names import OWN
from pgiostat.units import (
    format_change,
    format_count,
    format_coverage,
    format_duration,
    format_version,
)

__all__ = ["as_markdown", "as_text", "conclusion"]

WIDE = 112
LEAST_QUERY = 40
_WORDS = ("verdict", "category", "query")
LONGEST_NAME = 26
_BY = {Per.SECOND: "", Per.CALL: " by call", Per.ANCHOR: " for each call of the anchor"}
_TOLD_FIRST = (
    Verdict.BETTER, Verdict.WORSE, Verdict.VANISHED, Verdict.APPEARED, Verdict.UNSURE, Verdict.SAME,
)  # fmt: skip
_COLOURS = {
    Verdict.BETTER: "green",
    Verdict.VANISHED: "green",
    Verdict.WORSE: "red",
    Verdict.APPEARED: "red",
    Verdict.UNSURE: "yellow",
}


def _unit(comparison: Comparison) -> str:
    return {Per.SECOND: "/s", Per.CALL: "/call", Per.ANCHOR: "/anchor"}[comparison.per]


def conclusion(sides: WindowComparison) -> str:
    """Return what came of it, in a sentence."""
    comparison = sides.comparison
    if comparison.reasons:
        return "Not judged."
    found: dict[Verdict, list[str]] = {}
    for row in comparison.categories:
        if row.key != OWN:
            found.setdefault(row.reads.verdict, []).append(_told(row))
    parts = [
        f"{verdict}: {', '.join(found[verdict])}" for verdict in _TOLD_FIRST if verdict in found
    ]
    total = comparison.total.reads
    if total.verdict is Verdict.SAME and found.keys() <= {Verdict.SAME, Verdict.NOT_JUDGED}:
        return "No change."
    by = _BY[comparison.per]
    whole = {
        Verdict.BETTER: f"B reads less{by} than A ({format_change(total.change)})",
        Verdict.WORSE: f"B reads more{by} than A ({format_change(total.change)})",
        Verdict.SAME: f"B reads as much{by} as A",
    }.get(
        total.verdict,
        f"Whether B reads more or less{by} than A is unsure ({format_change(total.change)})",
    )
    return f"{'; '.join([whole, *parts])}."


def _told(row: ComparedGroup) -> str:
    changed = row.reads.verdict in {Verdict.BETTER, Verdict.WORSE}
    return f"{row.name} {format_change(row.reads.change)}" if changed else row.name


def _side_line(name: str, seen: WindowTotals) -> list[Piece]:
    """Return who, when and how good, in the order in which it gives way to a narrow screen."""
    since, until = (moment.astimezone(UTC) for moment in (seen.window.since, seen.window.until))
    sampled = seen.sampled
    length = max(seen.seconds_by_label.values())
    ends = f"{until:%H:%M:%S}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%S}"
    return [
        (f"{name}  {labels(seen)}  {since:%Y-%m-%d %H:%M:%S} – {ends} UTC", "", 0),
        (f"  {format_duration(length)}", "", 2),
        (f"  coverage {format_coverage(sampled.coverage)}", "", 1),
        (f"  PostgreSQL {format_version(sampled.version_num)}", "", 3),
    ]


def _shown(pieces: list[Piece]) -> list[Piece]:
    return [(terminal(text), style, order) for text, style, order in pieces]


def _warnings(sides: WindowComparison) -> Iterator[str]:
    yield from sides.comparison.reasons
    for name, seen in _named(sides):
        for line in remarks(seen):
            yield f"{name}: {line}"


def _named(sides: WindowComparison) -> tuple[tuple[str, WindowTotals], tuple[str, WindowTotals]]:
    return ("A", sides.a), ("B", sides.b)


def _with_rest(comparison: Comparison, top: int | None) -> list[ComparedGroup]:
    """Return so many groups, and the others as one."""
    groups, rest = shown(comparison, top)
    return [*groups, *([] if rest is None else [rest])]


def _how_sure(sides: WindowComparison) -> str:
    """Return how certain intervals are, and what steps tell so."""
    comparison = sides.comparison
    steps = "pairs of steps" if comparison.paired else "steps"
    length = format_duration(sides.step.total_seconds())
    told = f"{CERTAINTY * 100:.0f} % certainty, from {steps} of {length}"
    if comparison.paired:
        left = [f"{count} of {name}" for name, count in zip("AB", comparison.left_out, strict=True)
                if count]  # fmt: skip
        if left:
            told += f" ({' and '.join(left)} left out, without a partner)"
    return told


def _by_what(sides: WindowComparison) -> str:
    comparison = sides.comparison
    if comparison.per is Per.ANCHOR:
        a, b = (format_count(calls) for calls in comparison.anchors)
        return f"blocks read by each call of the anchor ({a} in A, {b} in B)"
    return f"blocks read by {comparison.per}"


def as_text(sides: WindowComparison, *, top: int, width: int) -> RenderableType:
    """Return both windows, the conclusion, categories, and the statements that changed most."""
    comparison = sides.comparison
    lines = [fitted(_shown(_side_line(name, each)), width) for name, each in _named(sides)]
    warned = [Text(f"! {terminal(line)}", "yellow") for line in _warnings(sides)]
    told = Text(terminal(f"{_by_what(sides)}; {_how_sure(sides)}"), "dim")
    rows = [comparison.total, *comparison.categories]
    groups = _with_rest(comparison, top)
    parts: list[RenderableType] = [
        *lines,
        *warned,
        Text(terminal(conclusion(sides)), "bold"),
        told,
        _table(comparison, rows, "category", width),
    ]
    if groups:
        parts += [Text(""), _table(comparison, groups, "query", width)]
    moved = [row for row in comparison.groups if row.moved]
    if moved:
        parts += [Text(""), Text("Of another category in B:", "bold")]
        parts += [
            Text(terminal(f"{r.category_a} → {r.category_b}  {r.name}"), no_wrap=True)
            for r in moved
        ]
    return Group(*parts)


def _table(comparison: Comparison, rows: Sequence[ComparedGroup], named: str, width: int) -> Table:
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
        grid.add_row(*told, style="dim" if row.key in {OWN, REST} else None)
    return grid


def _cells(row: ComparedGroup, *, wide: bool, texts: bool) -> list[Text]:
    cells = [Text(value) for value in _numbers(row)]
    verdict = row.reads.verdict
    told = "–" if verdict is Verdict.NOT_JUDGED else str(verdict)
    cells.append(Text(told, _COLOURS.get(verdict, "")))
    if wide:
        a, b = row.costs
        cells.append(_pair(a.calls_per_s, b.calls_per_s))
        cells.append(_pair(a.blocks_per_call, b.blocks_per_call))
    name = Text(terminal(row.name))
    return [*cells, Text(terminal(row.category_b)), name] if texts else [name, *cells]


def _pair(a: float | None, b: float | None) -> Text:
    return Text(f"{format_count(a)} → {format_count(b)}")


def _numbers(row: ComparedGroup) -> list[str]:
    reads = row.reads
    interval = "–"
    if reads.low is not None and reads.high is not None:
        interval = f"{format_change(reads.low)} … {format_change(reads.high)}"
    return [format_count(reads.a), format_count(reads.b), format_change(reads.change), interval]


def as_markdown(sides: WindowComparison, *, top: int) -> str:
    """Return a comparison for a page or an issue."""
    comparison = sides.comparison
    lines = [
        f"- {markdown.sentence(''.join(text for text, _, _ in _side_line(name, each)))}"
        for name, each in _named(sides)
    ]
    lines += [f"- {markdown.sentence(line)}" for line in _warnings(sides)]
    how = markdown.sentence(f"({_by_what(sides)}; {_how_sure(sides)})")
    lines += ["", f"**{markdown.sentence(conclusion(sides))}** {how}", ""]
    rows = [comparison.total, *comparison.categories]
    groups = _with_rest(comparison, top)
    for named, listed in (("category", rows), ("query", groups)):
        unit = _unit(comparison)
        lines.append(f"| {named} | A{unit} | B{unit} | change | interval | verdict |")
        lines.append("|---|---:|---:|---:|---:|---|")
        for row in listed:
            name = markdown.name(row.name, cell=True)
            judged = row.reads.verdict is not Verdict.NOT_JUDGED
            verdict = str(row.reads.verdict) if judged else "–"
            lines.append(f"| {' | '.join([name, *_numbers(row), verdict])} |")
        lines.append("")
    return "\n".join(lines).rstrip()
