"""What would be read if a class of queries were gone or cheaper, for people and programs."""

import csv
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from pgiostat.analysis.whatif import ChangeKind
from pgiostat.escape import terminal
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render import markdown
from pgiostat.render.balance import left
from pgiostat.render.csv import exact, timestamp
from pgiostat.render.json import dumps
from pgiostat.render.report import labels, remarks, title, warnings
from pgiostat.render.table import Column, lay
from pgiostat.render.text import drawn
from pgiostat.reports.whatif import WhatIfReport
from pgiostat.units import format_change, format_count, format_duration, format_share
from pgiostat.volume.burst import BurstReport

__all__ = ["HEADER", "as_json", "as_markdown", "as_text", "records", "write_csv"]

WIDE = 0.5
"""A range that is wider than this, as a share of all reads, tells little."""
ENDS = ("now", "with the fewest reads", "with the most reads")
HEADER = (
    "interval_start", "interval_end", "seconds", "server", "supposed", "measure", "unit",
    "now", "at_least", "at_most",
)  # fmt: skip


def _words(foreseen: WhatIfReport) -> str:
    """Return what is supposed, in words."""
    told = {
        ChangeKind.DROP: "no {0} queries",
        ChangeKind.CALLS: "{1} times the calls of {0}",
        ChangeKind.READS: "{1} times the reads of {0}",
    }
    return " and ".join(
        told[each.how].format(each.category, f"{each.factor:g}") for each in foreseen.supposed
    )


def records(
    foreseen: WhatIfReport,
) -> Iterator[tuple[str, str, float | None, float | None, float | None]]:
    """Yield measure, unit, now, at least and at most; None where it is not known, or never."""
    found, seconds = foreseen.imagined, foreseen.ranking.seconds
    ends = (found.now, found.low, found.high)
    now, low, high = (blocks / seconds if seconds else None for blocks in ends)
    yield "reads", "blocks/s", now, low, high
    now, low, high = map(foreseen.operations_per_s, ends)
    yield "operations", "operations/s", now, low, high
    if foreseen.burned is None:
        return
    name = foreseen.burned[0].volume.name
    if foreseen.burned[0].volume.credits is None:
        now, low, high = (each.forecast.use for each in foreseen.burned)
        yield f"use of {name}", "share", now, low, high
        return
    lasts = [each.moments[-1].balance for each in foreseen.burned]
    # Most is left where least is read.
    yield f"balance of {name}", "share", lasts[0].low, lasts[2].low, lasts[1].low
    now, most, least = (each.forecast.to_empty for each in foreseen.burned)
    yield f"{name} empty in", "seconds", now, least, most


def _sentences(foreseen: WhatIfReport) -> Iterator[str]:
    found = foreseen.imagined
    low, high = found.share(found.low), found.share(found.high)
    if low is None or high is None:
        yield "nothing was read in that time: nothing can be saved"
        return
    yield (
        f"with {_words(foreseen)}: {format_change(low - 1)} to {format_change(high - 1)}"
        " of all blocks read"
    )
    if found.width is not None and found.width > WIDE:
        yield (
            f"the range is {format_share(found.width)} wide: what queries find in the cache because"
            " of each other is not counted anywhere; measure it on a clone"
        )


def _volume(foreseen: WhatIfReport) -> Iterator[str]:
    if foreseen.burned is None:
        return
    for told, each in zip(ENDS, foreseen.burned, strict=True):
        yield f"{each.volume.name} {told}: {_fate(each)}"


def _fate(burning: BurstReport) -> str:
    forecast, volume = burning.forecast, burning.volume
    rate = f"{format_count(forecast.rate)} {volume.unit}/s lately"
    if volume.credits is None:
        return f"{rate}, {format_share(forecast.use)} of what it gives"
    last = burning.moments[-1].balance
    balance = f"{left(last.low, last.high)} left at the end"
    if forecast.to_empty is None:
        return f"{balance}, {rate}, below its baseline"
    if not forecast.to_empty:
        return f"{balance}, {rate}, empty"
    return f"{balance}, {rate}, empty in {format_duration(forecast.to_empty)}"


def as_text(seen: WindowTotals, foreseen: WhatIfReport, *, width: int) -> RenderableType:
    """Return the range, what it means for a volume, and what each class reads now."""
    lines = [*_sentences(foreseen), *_volume(foreseen)]
    columns = [
        Column("", most=24), Column("unit"), Column("now", right=True),
        Column("at least", right=True), Column("at most", right=True),
    ]  # fmt: skip
    rows = [
        [(terminal(name), ""), (unit, "dim"), *((_shown(unit, value), "") for value in values)]
        for name, unit, *values in records(foreseen)
    ]
    had = [Column("category", most=24), Column("blocks/s", right=True), Column("hit", right=True),
           Column("supposed")]  # fmt: skip
    return Group(
        title(seen, width),
        *warnings(seen),
        *(Text(terminal(line)) for line in lines),
        Text(""),
        *drawn(lay(columns, rows, width)),
        Text(""),
        *drawn(lay(had, list(_parts(foreseen)), width)),
    )


def _parts(foreseen: WhatIfReport) -> Iterator[list[tuple[str, str]]]:
    """Yield what each class reads now, and what is supposed of it."""
    seconds = foreseen.ranking.seconds
    told = {each.category: str(each) for each in foreseen.supposed}
    for name, had in foreseen.had.items():
        share = had.hits / had.touched if had.touched else None
        yield [
            (terminal(name), ""),
            (format_count(had.reads / seconds if seconds else None), ""),
            (format_share(share), ""),
            (terminal(told.get(name, "")), "cyan"),
        ]


def _shown(unit: str, value: float | None) -> str:
    if unit == "seconds":
        return "never" if value is None else format_duration(value) if value else "empty"
    return format_share(value) if unit == "share" else format_count(value)


def as_markdown(seen: WindowTotals, foreseen: WhatIfReport) -> str:
    """Return the same for a page or an issue."""
    lines = [f"**{markdown.name(labels(seen))}**, {markdown.sentence(_words(foreseen))}.", ""]
    told = (*_sentences(foreseen), *_volume(foreseen), *remarks(seen))
    lines += [f"- {markdown.sentence(line)}" for line in told]
    lines += ["", "|  | unit | now | at least | at most |", "|---|---|---:|---:|---:|"]
    for name, unit, *values in records(foreseen):
        cells = (markdown.name(name, cell=True), unit, *(_shown(unit, value) for value in values))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_csv(seen: WindowTotals, foreseen: WhatIfReport, out: TextIO) -> None:
    """Write a row for each measure; empty where it is not known, or never."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    about = (
        timestamp(seen.window.since), timestamp(seen.window.until), foreseen.ranking.seconds,
        labels(seen), " ".join(str(each) for each in foreseen.supposed),
    )  # fmt: skip
    for row in records(foreseen):
        writer.writerow([exact(value) for value in (*about, *row)])


def as_json(seen: WindowTotals, foreseen: WhatIfReport) -> str:
    """Return one object; null where it is not known, or never."""
    told: dict[str, Any] = {
        "interval_start": timestamp(seen.window.since),
        "interval_end": timestamp(seen.window.until),
        "seconds": foreseen.ranking.seconds,
        "server": labels(seen),
        "supposed": [
            {"category": each.category, "how": each.how, "factor": each.factor}
            for each in foreseen.supposed
        ],
        "measures": [
            dict(zip(("measure", "unit", "now", "at_least", "at_most"), row, strict=True))
            for row in records(foreseen)
        ],
    }
    return dumps(told)
