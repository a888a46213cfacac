"""The report of the reads if a category of queries were gone or cheaper."""

from collections.abc import Iterator
from typing import Any

from pgiostat.analysis.whatif import ChangeKind
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.balance import left
from pgiostat.render.csv import WINDOW, timestamp
from pgiostat.render.document import Document, Records, Table, TableColumn
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.report import labels, remarks, title
from pgiostat.reports.whatif import WhatIfReport
from pgiostat.units import format_change, format_count, format_duration, format_share
from pgiostat.volume.burst import BurstReport

__all__ = ["HEADER", "document", "records"]

WIDE = 0.5
"""A range that is wider than this, as a share of all reads, tells little."""
ENDS = ("now", "with the fewest reads", "with the most reads")
HEADER = (*WINDOW, "supposed", "measure", "unit", "now", "at_least", "at_most")


def _words(report: WhatIfReport) -> str:
    """Return what is supposed, in words."""
    words = {
        ChangeKind.DROP: "no {0} queries",
        ChangeKind.CALLS: "{1} times the calls of {0}",
        ChangeKind.READS: "{1} times the reads of {0}",
    }
    return " and ".join(
        words[each.how].format(each.category, f"{each.factor:g}") for each in report.assumptions
    )


def records(
    report: WhatIfReport,
) -> Iterator[tuple[str, str, float | None, float | None, float | None]]:
    """Yield measure, unit, now, at least and at most; None where it is not known, or never."""
    found, seconds = report.estimate, report.ranking.seconds
    ends = (found.now, found.low, found.high)
    now, low, high = (blocks / seconds if seconds else None for blocks in ends)
    yield "reads", "blocks/s", now, low, high
    now, low, high = map(report.operations_per_s, ends)
    yield "operations", "operations/s", now, low, high
    if report.bursts is None:
        return
    name = report.bursts[0].volume.name
    if report.bursts[0].volume.credits is None:
        now, low, high = (each.forecast.use for each in report.bursts)
        yield f"use of {name}", "share", now, low, high
        return
    lasts = [each.steps[-1].balance for each in report.bursts]
    # Most is left where least is read.
    yield f"balance of {name}", "share", lasts[0].low, lasts[2].low, lasts[1].low
    now, most, least = (each.forecast.to_empty for each in report.bursts)
    yield f"{name} empty in", "seconds", now, least, most


def _sentences(report: WhatIfReport) -> Iterator[str]:
    found = report.estimate
    low, high = found.share(found.low), found.share(found.high)
    if low is None or high is None:
        yield "nothing was read in that time: nothing can be saved"
        return
    yield (
        f"with {_words(report)}: {format_change(low - 1)} to {format_change(high - 1)}"
        " of all blocks read"
    )
    if found.width is not None and found.width > WIDE:
        yield (
            f"the range is {format_share(found.width)} wide: what queries find in the cache because"
            " of each other is not counted anywhere; measure it on a clone"
        )


def _volume(report: WhatIfReport) -> Iterator[str]:
    if report.bursts is None:
        return
    for end, each in zip(ENDS, report.bursts, strict=True):
        yield f"{each.volume.name} {end}: {_fate(each)}"


def _fate(burst: BurstReport) -> str:
    forecast, volume = burst.forecast, burst.volume
    rate = f"{format_count(forecast.rate)} {volume.unit}/s lately"
    if volume.credits is None:
        return f"{rate}, {format_share(forecast.use)} of what it gives"
    last = burst.steps[-1].balance
    balance = f"{left(last.low, last.high)} left at the end"
    if forecast.to_empty is None:
        return f"{balance}, {rate}, below its baseline"
    if not forecast.to_empty:
        return f"{balance}, {rate}, empty"
    return f"{balance}, {rate}, empty in {format_duration(forecast.to_empty)}"


def document(totals: WindowTotals, report: WhatIfReport) -> Document:
    """Return the report of a range of reads, and what it means for a volume.

    Args:
        totals: The window, and how well it was sampled.
        report: What was assumed, and what follows.
    """
    since, until = timestamp(totals.window.since), timestamp(totals.window.until)
    supposed = " ".join(str(each) for each in report.assumptions)
    same = (since, until, report.ranking.seconds, labels(totals), supposed)
    return Document(
        subject=labels(totals),
        summary=_words(report),
        head=[title(totals)],
        facts=preset_lines(report.ranking.preset),
        warnings=list(remarks(totals)),
        findings=[*_sentences(report), *_volume(report)],
        tables=[_measures(report), _categories(report)],
        records=Records(HEADER, ((*same, *row) for row in records(report)), exact=True),
        objects=_objects(totals, report),
    )


def _measures(report: WhatIfReport) -> Table:
    columns = [TableColumn("", most=24), TableColumn("unit", format=str, style="dim")]
    columns += [TableColumn(end, right=True, format=str) for end in ("now", "at least", "at most")]
    rows = (
        [name, unit, *(_shown(unit, value) for value in values)]
        for name, unit, *values in records(report)
    )
    return Table(columns, rows, apart=True)


def _categories(report: WhatIfReport) -> Table:
    """Return what each category reads now, and what is assumed of it."""
    columns = [
        TableColumn("category", most=24),
        TableColumn("blocks/s", right=True, format=format_count),
        TableColumn("hit", right=True, format=format_share),
        TableColumn("supposed", style="cyan"),
    ]
    supposed = {each.category: str(each) for each in report.assumptions}
    seconds = report.ranking.seconds
    rows = (
        [
            name,
            had.reads / seconds if seconds else None,
            had.hits / had.touched if had.touched else None,
            supposed.get(name, ""),
        ]
        for name, had in report.amounts.items()
    )
    return Table(columns, rows, apart=True, extra=True)


def _shown(unit: str, value: float | None) -> str:
    if unit == "seconds":
        return "never" if value is None else format_duration(value) if value else "empty"
    return format_share(value) if unit == "share" else format_count(value)


def _objects(totals: WindowTotals, report: WhatIfReport) -> Iterator[dict[str, Any]]:
    yield {
        "interval_start": timestamp(totals.window.since),
        "interval_end": timestamp(totals.window.until),
        "seconds": report.ranking.seconds,
        "server": labels(totals),
        "preset": preset_object(report.ranking.preset),
        "supposed": [
            {"category": each.category, "how": each.how, "factor": each.factor}
            for each in report.assumptions
        ],
        "measures": [
            dict(zip(("measure", *HEADER[-4:]), row, strict=True)) for row in records(report)
        ],
    }
