"""The report of a comparison of two time windows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from pgiostat.analysis.compare.comparability import CERTAINTY
from pgiostat.analysis.compare.compare import REST, ComparedGroup, Comparison, Per, shown
from pgiostat.analysis.compare.significance import Verdict
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.queries.short_form import short_form
from pgiostat.render.column_format import Format, column_format
from pgiostat.render.csv import timestamp
from pgiostat.render.document import Document, Mark, Piece, Records, Table, TableColumn, Value
from pgiostat.render.ledger import displayed
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.report import labels, remarks
from pgiostat.render.statement_names import distinct, fingerprint_mark
from pgiostat.render.why import cause_line, cause_object
from pgiostat.reports.compare import WindowComparison
from pgiostat.reports.why import ExplainedStatement
from pgiostat.statistics.names import OWN
from pgiostat.units import (
    UNKNOWN,
    format_change,
    format_count,
    format_coverage,
    format_duration,
    format_rate,
    format_version,
)

__all__ = ["COLUMNS", "document", "rows_of", "side_of"]

WIDE = 112
LEAST_QUERY = 40
LONGEST_NAME = 26
LONGEST_TEXT = 400
_BY = {Per.SECOND: "", Per.CALL: " per call", Per.ANCHOR: " per call of the anchor"}
_ORDER = (
    *(Verdict.BETTER, Verdict.WORSE, Verdict.VANISHED),
    *(Verdict.APPEARED, Verdict.UNSURE, Verdict.SAME),
)
_COLOURS = {
    Verdict.BETTER: "green",
    Verdict.VANISHED: "green",
    Verdict.WORSE: "red",
    Verdict.APPEARED: "red",
    Verdict.UNSURE: "yellow",
}
_SIDED: dict[str, Callable[[Any], Value]] = {
    "blocks_read": lambda cost: cost.blocks,
    "blocks_read_per_s": lambda cost: cost.blocks_per_s,
    "blocks_read_per_call": lambda cost: cost.blocks_per_call,
    "calls": lambda cost: cost.calls,
    "calls_per_s": lambda cost: cost.calls_per_s,
    "rd_await_ms": lambda cost: cost.rd_await_ms,
    "hit_ratio": lambda cost: cost.hit_ratio,
}
_KEY = ("part", "key", "category_a", "category_b", "query", "per")
_CHANGE = ("a", "b", "change", "change_low", "change_high", "certainty", "verdict")
COLUMNS = (*_KEY, *_CHANGE, *(f"{name}_{side}" for name in _SIDED for side in "ab"))
"""Names of the columns of the records: change is B's rate over A's, less one."""
_WITH_TEXT = {"fingerprint", "rest"}


def _conclusion(sides: WindowComparison) -> str:
    """Return the result in a sentence."""
    comparison = sides.comparison
    if comparison.reasons:
        return "Inconclusive: not enough comparable data."
    found: dict[Verdict, list[str]] = {}
    for row in comparison.categories:
        if row.key != OWN:
            found.setdefault(row.reads.verdict, []).append(_part(row))
    parts = [f"{_words(each)}: {', '.join(found[each])}" for each in _ORDER if each in found]
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
        f"Inconclusive whether B reads more or less{by} than A ({format_change(total.change)})",
    )
    return f"{'; '.join([whole, *parts])}."


def _words(verdict: Verdict) -> str:
    """Return a verdict as text for people has it; files keep the value that they have."""
    return "inconclusive" if verdict is Verdict.UNSURE else str(verdict)


def _part(row: ComparedGroup) -> str:
    changed = row.reads.verdict in {Verdict.BETTER, Verdict.WORSE}
    name = displayed(row.name)
    return f"{name} {format_change(row.reads.change)}" if changed else name


def _side_line(name: str, totals: WindowTotals) -> list[Piece]:
    """Return label, time, length and coverage; the last give way on a narrow screen."""
    window = totals.span
    since, until = window.since.astimezone(UTC), window.until.astimezone(UTC)
    sampled = totals.sampled
    length = max(totals.seconds_by_label.values())
    ends = f"{until:%H:%M:%SZ}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%SZ}"
    return [
        (f"{name}  {labels(totals)}  {since:%Y-%m-%d %H:%M:%SZ} – {ends}", "", 0),
        (f"  {format_duration(length)}", "", 2),
        (f"  coverage {format_coverage(sampled.coverage)}", "", 1),
        (f"  PostgreSQL {format_version(sampled.version_num)}", "", 3),
    ]


def _warnings(sides: WindowComparison) -> Iterator[str]:
    yield from sides.comparison.reasons
    for name, totals in _named(sides):
        for line in remarks(totals):
            yield f"{name}: {line}"


def _named(sides: WindowComparison) -> tuple[tuple[str, WindowTotals], tuple[str, WindowTotals]]:
    return ("A", sides.a), ("B", sides.b)


def _how_sure(sides: WindowComparison) -> str:
    """Return the confidence of the ranges, and the steps that they come from."""
    comparison = sides.comparison
    steps = "pairs of steps" if comparison.paired else "steps"
    length = format_duration(sides.step.total_seconds())
    words = f"{CERTAINTY * 100:.0f} % confidence, from {steps} of {length}"
    if comparison.paired:
        counts = zip("AB", comparison.left_out, strict=True)
        left = [f"{count} of {name}" for name, count in counts if count]
        if left:
            words += f" ({' and '.join(left)} left out, without a counterpart)"
    return words


def _by_what(sides: WindowComparison) -> str:
    comparison = sides.comparison
    if comparison.per is Per.ANCHOR:
        a, b = (format_count(calls) for calls in comparison.anchors)
        return f"blocks read per call of the anchor ({a} in A, {b} in B)"
    return f"blocks read per {comparison.per}"


def document(
    sides: WindowComparison, top: int | None, causes: Sequence[ExplainedStatement] = ()
) -> Document:
    """Return the report of a comparison.

    Args:
        sides: Both windows, compared.
        top: The number of statements to show; None for all.
        causes: Statements that read more, with their causes.
    """
    comparison = sides.comparison
    groups, rest = shown(comparison, top)
    rows = [*groups, *([] if rest is None else [rest])]
    return Document(
        head=[_side_line(name, totals) for name, totals in _named(sides)],
        facts=preset_lines(sides.preset),
        warnings=list(_warnings(sides)),
        findings=[*map(cause_line, causes)],
        trimmed=True,
        conclusion=(_conclusion(sides), f"{_by_what(sides)}; {_how_sure(sides)}"),
        tables=[_categories(comparison), _statements(comparison, rows)],
        records=Records(COLUMNS, (row.values() for row in rows_of(comparison, top))),
        objects=_objects(sides, top, causes),
    )


def _categories(comparison: Comparison) -> Table:
    columns = [TableColumn("category", most=LONGEST_NAME), *_numbers(comparison, WIDE)]
    rows = [comparison.total, *comparison.categories]
    pairs = _pair_formats(rows)
    return Table(columns, ([_name(row), *_values(row, pairs)] for row in rows))


def _statements(comparison: Comparison, rows: Sequence[ComparedGroup]) -> Table:
    """Return the table of statements; a screen has their short forms."""
    whole = [displayed(row.name) for row in rows]
    fitting = _statements_named(comparison, rows, _short_names(rows))
    return replace(_statements_named(comparison, rows, whole), fit=lambda _: fitting)


def _short_names(rows: Sequence[ComparedGroup]) -> list[str]:
    """Return short forms, equal ones with the digits of their fingerprints."""
    names = [displayed(row.name) if _is_no_text(row) else short_form(row.name) for row in rows]
    marks = [("" if _is_no_text(row) else fingerprint_mark(row.key),) for row in rows]
    return distinct(names, marks, LONGEST_TEXT)


def _is_no_text(row: ComparedGroup) -> bool:
    """Return whether the name of a row is no text: all others have a fingerprint as key."""
    return row.key in {OWN, REST} or ":" not in row.key


def _statements_named(
    comparison: Comparison, rows: Sequence[ComparedGroup], names: Sequence[str]
) -> Table:
    moved = [row for row in comparison.groups if row.moved]
    words = [(f"{row.category_a} → {row.category_b}  {short_form(row.name)}", "") for row in moved]
    columns = [
        *_numbers(comparison, WIDE + LEAST_QUERY),
        TableColumn("category", most=LONGEST_NAME, extra=True),
        TableColumn("query", rest=True),
    ]
    pairs = _pair_formats(rows)
    return Table(
        columns,
        [
            [*_values(row, pairs), *(Mark(each, _style(row)) for each in (row.category_b, name))]
            for row, name in zip(rows, names, strict=True)
        ],
        apart=True,
        legend=[("", ""), ("Category changed in B:", "bold"), *words] if moved else (),
    )


def _numbers(comparison: Comparison, wide: int) -> list[TableColumn]:
    """Return the columns of numbers; wide: the width from which calls are shown as well."""
    unit = {Per.SECOND: "/s", Per.CALL: "/call", Per.ANCHOR: "/anchor"}[comparison.per]
    return [
        *(
            TableColumn(f"{side}{unit}", right=True, format=format_count, quantity=unit)
            for side in "AB"
        ),
        TableColumn("change", right=True, format=format_change),
        TableColumn("range", right=True, most=LONGEST_NAME, format=str),
        TableColumn("verdict", format=str),
        *(
            TableColumn(f"{what} A → B", right=True, format=str, extra=True, from_width=wide)
            for what in ("calls/s", "blocks/call")
        ),
    ]


def _pair_formats(rows: Sequence[ComparedGroup]) -> tuple[Format, Format]:
    """Return the formats of calls per second and of blocks per call, of both sides together."""
    costs = [cost for row in rows for cost in row.costs]
    return (
        column_format(format_rate, [cost.calls_per_s for cost in costs]),
        column_format(format_count, [cost.blocks_per_call for cost in costs]),
    )


def _values(row: ComparedGroup, pairs: tuple[Format, Format]) -> list[Mark]:
    reads, (a, b) = row.reads, row.costs
    interval = UNKNOWN
    if reads.low is not None and reads.high is not None:
        change = column_format(format_change, (reads.low, reads.high))
        interval = f"{change(reads.low)} … {change(reads.high)}"
    verdict = UNKNOWN if reads.verdict is Verdict.NOT_JUDGED else _words(reads.verdict)
    of_calls, of_blocks = pairs
    calls = f"{of_calls(a.calls_per_s)} → {of_calls(b.calls_per_s)}"
    blocks = f"{of_blocks(a.blocks_per_call)} → {of_blocks(b.blocks_per_call)}"
    values = (reads.a, reads.b, reads.change, interval, verdict, calls, blocks)
    style = _style(row)
    colours = {4: _COLOURS.get(reads.verdict, style)}
    return [Mark(value, colours.get(n, style)) for n, value in enumerate(values)]


def _name(row: ComparedGroup) -> Mark:
    return Mark(displayed(row.name), _style(row))


def _style(row: ComparedGroup) -> str:
    return "dim" if row.key in {OWN, REST} else ""


def _objects(
    sides: WindowComparison, top: int | None, causes: Sequence[ExplainedStatement]
) -> Iterator[dict[str, Any]]:
    comparison = sides.comparison
    yield {
        "a": side_of(sides.a),
        "b": side_of(sides.b),
        "preset": preset_object(sides.preset),
        "per": str(comparison.per),
        "anchors": list(comparison.anchors),
        "step_seconds": sides.step.total_seconds(),
        "paired": comparison.paired,
        "steps_left_out": list(comparison.left_out),
        "cut_to_shared_time": sides.shared,
        "certainty": CERTAINTY,
        "judged": not comparison.reasons,
        "reasons": list(comparison.reasons),
        "conclusion": _conclusion(sides),
        "causes": [*map(cause_object, causes)],
        "rows": [
            {name: None if value == "" else value for name, value in record.items()}
            for record in rows_of(comparison, top)
        ],
    }


def rows_of(comparison: Comparison, top: int | None = None) -> Iterator[dict[str, Value]]:
    """Yield a row for the total, each category and each fingerprint, by the names of COLUMNS.

    Fingerprints that are not among the top are together in one, part rest.
    """
    groups, rest = shown(comparison, top)
    parts = (
        ("total", [comparison.total]),
        ("category", comparison.categories),
        ("fingerprint", groups),
        ("rest", [] if rest is None else [rest]),
        ("own", [row for row in comparison.groups if row.key == OWN]),
    )
    for part, rows in parts:
        for row in rows:
            reads = row.reads
            text = row.name if part in _WITH_TEXT else ""
            key = (part, row.key, row.category_a, row.category_b, text, str(comparison.per))
            change = (reads.a, reads.b, reads.change, reads.low, reads.high)
            judged = (CERTAINTY, str(reads.verdict))
            sided = (value(cost) for value in _SIDED.values() for cost in row.costs)
            yield dict(zip(COLUMNS, (*key, *change, *judged, *sided), strict=True))


def side_of(totals: WindowTotals) -> dict[str, Any]:
    """Return a window of a comparison, and how well it was sampled, for programs."""
    return {
        "server": labels(totals),
        "since": timestamp(totals.span.since),
        "until": timestamp(totals.span.until),
        "seconds": totals.sampled.seconds,
        "samples": totals.sampled.samples,
        "coverage": totals.sampled.coverage,
        "in_transit_blocks_read": totals.sampled.reads.in_transit_blocks,
        "qualities": dict(totals.sampled.qualities),
        "version_num": totals.sampled.version_num,
        "remarks": list(remarks(totals)),
    }
