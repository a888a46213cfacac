"""A comparison for programs: CSV, JSON."""

import csv
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, TextIO

from pgiostat.analysis.compare.comparability import CERTAINTY
from pgiostat.analysis.compare.compare import Comparison, shown
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.columns import Value
from pgiostat.render.compare import conclusion
from pgiostat.render.csv import cell, timestamp
from pgiostat.render.json import dumps
from pgiostat.render.report import labels, remarks
from pgiostat.reports.compare import WindowComparison
from pgiostat.statistics.names import OWN

__all__ = ["COLUMNS", "as_json", "rows_of", "side_of", "write_csv"]

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
_WITH_TEXT = {"fingerprint", "rest"}


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
            known = (
                part, row.key, row.category_a, row.category_b, text, str(comparison.per),
                reads.a, reads.b, reads.change, reads.low, reads.high, CERTAINTY,
                str(reads.verdict),
            )  # fmt: skip
            sided = (value(cost) for value in _SIDED.values() for cost in row.costs)
            yield dict(zip(COLUMNS, (*known, *sided), strict=True))


def write_csv(sides: WindowComparison, out: TextIO, *, top: int | None) -> None:
    """Write the rows of a comparison."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for record in rows_of(sides.comparison, top):
        writer.writerow([cell(value) for value in record.values()])
    out.write(text.getvalue())
    out.flush()


def side_of(seen: WindowTotals) -> dict[str, Any]:
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


def as_json(sides: WindowComparison, *, top: int | None) -> str:
    """Return a comparison as one JSON object, null where a number is unknown."""
    comparison = sides.comparison
    return dumps(
        {
            "a": side_of(sides.a),
            "b": side_of(sides.b),
            "per": str(comparison.per),
            "anchors": list(comparison.anchors),
            "step_seconds": sides.step.total_seconds(),
            "paired": comparison.paired,
            "steps_left_out": list(comparison.left_out),
            "cut_to_shared_time": sides.shared,
            "certainty": CERTAINTY,
            "judged": not comparison.reasons,
            "reasons": list(comparison.reasons),
            "conclusion": conclusion(sides),
            "rows": [
                {name: None if value == "" else value for name, value in record.items()}
                for record in rows_of(comparison, top)
            ],
        }
    )
