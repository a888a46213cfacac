"""The report of the reads without a category or statements, or with cheaper ones."""

from collections.abc import Iterator, Sequence
from typing import Any

from pgiostat.analysis.whatif import ChangeKind
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.balance import left, rate_text
from pgiostat.render.column_format import column_format
from pgiostat.render.csv import WINDOW, timestamp
from pgiostat.render.document import Document, Records, Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.report import labels, remarks, span, title
from pgiostat.render.whatif_layouts import (
    layout_in_words,
    layout_object,
    layout_sentences,
    layout_tables,
)
from pgiostat.reports.whatif import WhatIfReport
from pgiostat.units import format_change, format_count, format_duration, format_share
from pgiostat.volume.burst import BurstReport

__all__ = ["HEADER", "document", "records"]

MOST_KEYS = 5
"""Fingerprints that a sentence lists."""
WIDE = 0.5
"""A wider range, as a share of all reads, has a sentence of its own."""
_MEASURES = {"reads": "blocks read", "operations": "read operations"}
"""Measures as text for people has them; files keep the values that they have."""
_UNITS = {"share": "", "seconds": ""}
MODEL = "first toucher"
"""The model of the point; docs/whatif.md describes it."""
ENDS = ("now", "with the fewest reads", "with the most reads", "with the expected reads")
_ORDER = (0, 3, 1, 2)
"""The values of a measure as people read them: now, expected, at least, at most."""
HEADER = (*WINDOW, "supposed", "measure", "unit", "now", "at_least", "at_most", "expected")


def _words(report: WhatIfReport) -> str:
    """Return the assumptions in words."""
    words = {
        ChangeKind.DROP: ("without {0} queries", 'without statements of "{0}"'),
        ChangeKind.CALLS: (
            "with {0} calls scaled by {1}",
            'with calls of statements of "{0}" scaled by {1}',
        ),
        ChangeKind.READS: (
            "with {0} reads scaled by {1}",
            'with reads of statements of "{0}" scaled by {1}',
        ),
    }
    changes = [
        words[each.how][each.category in report.parts.statements].format(
            displayed(each.category), f"{each.factor:g}"
        )
        for each in report.assumptions
    ]
    changes += [layout_in_words(each) for each in report.layouts]
    return " and ".join(changes)


def records(
    report: WhatIfReport,
) -> Iterator[tuple[str, str, float | None, float | None, float | None, float | None]]:
    """Yield measure, unit, now, at least, at most and expected; None if unknown, or never."""
    found, seconds = report.estimate, report.ranking.seconds
    ends = (found.now, found.low, found.high, found.point)
    now, low, high, point = (blocks / seconds if seconds else None for blocks in ends)
    yield "reads", "blocks/s", now, low, high, point
    now, low, high, point = map(report.operations_per_s, ends)
    yield "operations", "operations/s", now, low, high, point
    if report.bursts is None:
        return
    name = report.bursts[0].volume.name
    if report.bursts[0].volume.credits is None:
        now, low, high, point = (each.forecast.use for each in report.bursts)
        yield f"use of {name}", "share", now, low, high, point
        return
    lasts = [each.steps[-1].balance for each in report.bursts]
    # Most is left where least is read.
    yield f"balance of {name}", "share", lasts[0].low, lasts[2].low, lasts[1].low, lasts[3].low
    now, most, least, point = (each.forecast.to_empty for each in report.bursts)
    yield f"{name} empty in", "seconds", now, least, most, point


def _sentences(report: WhatIfReport) -> Iterator[str]:
    found = report.estimate
    low, high, point = map(found.share, (found.low, found.high, found.point))
    if low is None or high is None or point is None:
        yield "no blocks were read in this window: nothing can be saved"
        return
    yield (
        f"{_words(report)}: blocks read change by {format_change(point - 1)}"
        f" (model {MODEL}; range {format_change(low - 1)} to {format_change(high - 1)})"
    )
    yield from _chosen(report)
    yield from layout_sentences(report.layouts)
    if found.width is not None and found.width > WIDE:
        yield (
            f"the range is {format_share(found.width)} wide, because no counter shows which cache"
            " hits of a query depend on another one: measure it on a clone"
        )


def _chosen(report: WhatIfReport) -> Iterator[str]:
    """Yield which statements an assumption chose."""
    named = {each.category for each in report.assumptions}
    for name, some in report.parts.statements.items():
        if name not in named:
            continue
        keys = sorted({each.key for each in some})
        rest = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
        yield f'statements of "{displayed(name)}": {", ".join(keys[:MOST_KEYS])}{rest}'


def _volume(report: WhatIfReport) -> Iterator[str]:
    if report.bursts is None:
        return
    for number in _ORDER:
        each = report.bursts[number]
        yield f"{each.volume.name} {ENDS[number]}: {_fate(each)}"


def _fate(burst: BurstReport) -> str:
    forecast, volume = burst.forecast, burst.volume
    rate = f"{rate_text(volume, forecast.rate)} recently"
    if volume.credits is None:
        return f"{rate}, {format_share(forecast.use)} of its limit"
    last = burst.steps[-1].balance
    balance = f"{left(last.low, last.high)} of the I/O credits left at the end"
    if forecast.to_empty is None:
        return f"{balance}, {rate}, below the baseline"
    if not forecast.to_empty:
        return f"{balance}, {rate}, bucket empty"
    return f"{balance}, {rate}, bucket empty in {format_duration(forecast.to_empty)}"


def document(totals: WindowTotals, report: WhatIfReport) -> Document:
    """Return the report of a range of reads, and what it means for a volume.

    Args:
        totals: The window, and how well it was sampled.
        report: What was assumed, and what follows.
    """
    since, until = timestamp(totals.span.since), timestamp(totals.span.until)
    options = [*map(str, report.assumptions), *(each.layout.option for each in report.layouts)]
    supposed = " ".join(options)
    same = (since, until, report.ranking.seconds, labels(totals), supposed)
    return Document(
        subject=labels(totals),
        summary=f"{span(totals)}, {_words(report)}",
        head=[title(totals)],
        facts=preset_lines(report.ranking.preset),
        warnings=list(remarks(totals)),
        findings=[*_sentences(report), *_volume(report)],
        tables=[_measures(report), *layout_tables(report.layouts), _categories(report)],
        records=Records(HEADER, ((*same, *row) for row in records(report)), exact=True),
        objects=_objects(totals, report),
    )


def _measures(report: WhatIfReport) -> Table:
    columns = [TableColumn("measure", most=24), TableColumn("unit", format=str, style="dim")]
    columns += [
        TableColumn(end, right=True, format=str)
        for end in ("now", "expected", "at least", "at most")
    ]
    rows = (
        [
            _MEASURES.get(name, name),
            _UNITS.get(unit, unit),
            *_row(unit, [values[number] for number in _ORDER]),
        ]
        for name, unit, *values in records(report)
    )
    return Table(columns, rows, apart=True)


def _now(report: WhatIfReport) -> Iterator[tuple[str, float | None, float | None, str]]:
    """Yield each category: blocks per second, share of cache hits, and its assumption."""
    supposed = {
        each.key: effect.layout.option
        for effect in report.layouts
        for each in effect.statements
        if each.factors is not None
    }
    supposed |= {each.category: str(each) for each in report.assumptions}
    # No counter has the hits of what no statement explains.
    unknown = {line.account.value for line in report.ranking.lines}
    seconds = report.ranking.seconds
    for name, had in report.parts.amounts.items():
        hit = had.hits / had.touched if had.touched and name not in unknown else None
        yield name, had.reads / seconds if seconds else None, hit, supposed.get(name, "")


def _categories(report: WhatIfReport) -> Table:
    """Return the reads of each category now, and its assumption."""
    columns = [
        TableColumn("category", most=24),
        TableColumn("blocks/s", right=True, format=format_count),
        TableColumn("hit", right=True, format=format_share),
        TableColumn("change", style="cyan"),
    ]
    rows = ([displayed(name), *rest] for name, *rest in _now(report))
    return Table(columns, rows, apart=True)


def _row(unit: str, values: Sequence[float | None]) -> Iterator[str]:
    """Yield the values of a measure with one unit and one precision."""
    if unit == "seconds":
        for value in values:
            yield "never" if value is None else format_duration(value) if value else "empty"
        return
    yield from map(column_format(format_share if unit == "share" else format_count, values), values)


def _objects(totals: WindowTotals, report: WhatIfReport) -> Iterator[dict[str, Any]]:
    yield {
        "interval_start": timestamp(totals.span.since),
        "interval_end": timestamp(totals.span.until),
        "seconds": report.ranking.seconds,
        "server": labels(totals),
        "preset": preset_object(report.ranking.preset),
        "supposed": [
            {
                "category": each.category,
                "how": each.how,
                "factor": each.factor,
                "fingerprints": sorted(
                    {one.key for one in report.parts.statements.get(each.category, ())}
                ),
            }
            for each in report.assumptions
        ],
        "layouts": [layout_object(each) for each in report.layouts],
        "model": MODEL,
        "measures": [dict(zip(HEADER[-6:], row, strict=True)) for row in records(report)],
        "categories": [
            {
                "category": name,
                "blocks_read_per_s": reads,
                "hit_ratio": hit,
                "supposed": supposed or None,
            }
            for name, reads, hit, supposed in _now(report)
        ],
    }
