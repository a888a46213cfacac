"""The outcome of experiments, for people and programs."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from rich.console import Group, RenderableType
from rich.text import Text

from pgiostat.escape import terminal
from pgiostat.lab.experiments.hypotheses import story
from pgiostat.lab.experiments.outcome import Outcome
from pgiostat.lab.experiments.run import EXPERIMENTS
from pgiostat.render import markdown
from pgiostat.render.balance import left
from pgiostat.render.csv import exact
from pgiostat.render.json import dumps
from pgiostat.render.table import Cell, TableColumn, fold, width_of
from pgiostat.render.text import drawn
from pgiostat.units import format_change, format_count, format_duration, format_share
from pgiostat.volume.models import Volume

__all__ = ["HEADER", "as_json", "as_markdown", "as_text", "conclusions", "write_csv"]

CATEGORIES = ("version", "manifest", "upload")
UNKNOWN = "–"
HEADER = (
    "experiment",
    "what",
    "blocks_per_s",
    "operations_per_s",
    *(f"{name}_blocks_per_s" for name in CATEGORIES),
    "change",
    "change_low",
    "change_high",
    "displaced_blocks_per_s",
    "volume",
    "balance_after_a_day",
    "to_empty_s",
    "whatif_low",
    "whatif_high",
    "whatif_width",
    "whatif_held",
    "whatif_expected",
)

NEAR = 0.1
"""A point of whatif is right within this share of all reads."""
_WHAT = {each.name: each.what for each in EXPERIMENTS}


def conclusions(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield conclusions: the most costly category, what helps, and whether whatif was right."""
    first = outcomes[0]
    if first.blocks_per_s:
        ranked = sorted(first.by_category.items(), key=lambda item: -item[1])
        shares = [f"{name} {format_share(n / first.blocks_per_s)}" for name, n in ranked[:3]]
        yield f"most costly: {', then '.join(shares)}"
    helps = sorted(
        (each for each in outcomes if each.change is not None), key=lambda each: each.change or 0.0
    )
    changes = [f"{each.name} {format_change(each.change)}" for each in helps]
    if changes:
        yield f"reads against {first.name}: {', '.join(changes)}"
    points = story(outcomes)
    missed = [point.sentence for point in points if not point.holds]
    yield (
        f"the story holds in {len(points) - len(missed)} of {len(points)} points"
        f"{': not that ' + ', nor that '.join(missed) if missed else ''}"
    )
    judged = [each for each in outcomes if each.held is not None]
    wrong = [each.name for each in judged if not each.held]
    if judged:
        yield (
            f"the range of whatif held in {len(judged) - len(wrong)} of {len(judged)}"
            f" experiments{': not in ' + ', '.join(wrong) if wrong else ''}"
        )
        off = [abs(each.change - each.expected) for each in judged if each.change and each.expected]
        near = sum(each <= NEAR for each in off)
        yield (
            f"its point was within 10 points of the measurement in {near} of {len(off)}"
            f" experiments, and {100 * max(off, default=0.0):.1f} points off at worst"
        )


def _cells(outcome: Outcome) -> list[str]:
    return [
        format_count(outcome.blocks_per_s),
        *(format_count(outcome.by_category.get(name, 0.0)) for name in CATEGORIES),
        _change(outcome.change),
        UNKNOWN if outcome.low is None else f"{_change(outcome.low)} … {_change(outcome.high)}",
        UNKNOWN if outcome.displaced is None else format_count(outcome.displaced),
        format_count(outcome.operations_per_s),
        _fate(outcome),
    ]


def _change(value: float | None) -> str:
    return UNKNOWN if value is None else format_change(value)


def _predicted(outcome: Outcome) -> list[str]:
    """Return the range that whatif gave for an experiment, and the measured change."""
    low, high = outcome.range or (0.0, 0.0)
    return [
        " ".join(str(each) for each in outcome.assumed),
        _change(outcome.expected),
        f"{_change(low)} … {_change(high)}",
        _change(outcome.change),
        format_share(high - low),
        "held" if outcome.held else "wrong",
    ]


def _fate(outcome: Outcome) -> str:
    """Return the balance after a day, or the time to empty if it is shorter."""
    balance, to_empty = outcome.balance, outcome.to_empty
    if to_empty is not None and to_empty < 86_400:  # noqa: PLR2004 - a day
        return f"empty in {format_duration(to_empty)}"
    return left(balance.low, balance.high)


def _headings(volume: Volume) -> tuple[str, ...]:
    return (
        "blocks/s",
        *CATEGORIES,
        "change",
        "95 % interval",
        "displaced",
        "ops/s",
        f"{volume.name}, a day",
    )


PREDICTION = ("whatif", "expected", "predicted", "measured", "width", "range")
"""Columns for the mean over repetitions; the range is over all of them."""


def as_text(outcomes: Sequence[Outcome], volume: Volume, *, width: int) -> RenderableType:
    """Return a line for each experiment, or several on a narrow screen, and conclusions."""
    columns = [
        TableColumn("experiment"),
        *(TableColumn(each, right=True) for each in _headings(volume)),
    ]
    rows: list[list[Cell]] = []
    for each in outcomes:
        style = "" if each.change is None else "green" if each.change < 0 else "red"
        cells = [(text, style if n == 4 else "") for n, text in enumerate(_cells(each))]  # noqa: PLR2004
        rows.append([(terminal(each.name), "bold"), *cells])
    numbers = (TableColumn(each, right=True) for each in PREDICTION[1:])
    headings = [TableColumn("experiment"), TableColumn(PREDICTION[0]), *numbers]
    foretold: list[list[Cell]] = [
        [(terminal(each.name), "bold"), *((text, "") for text in _predicted(each))]
        for each in outcomes
        if each.imagined
    ]
    legend = {each.name: _WHAT.get(each.name, "") for each in outcomes}
    if width_of(headings, foretold) > width:
        # The arguments of whatif are long: the legend has lines of any length.
        for (name, _), (words, _), *_ in foretold:
            legend[name] += f"; whatif {words}"
        headings, foretold = [headings[0], *headings[2:]], [[row[0], *row[2:]] for row in foretold]
    return Group(
        *(Text(terminal(line)) for line in conclusions(outcomes)),
        Text(""),
        *drawn(fold(columns, rows, width)),
        *((Text(""), *drawn(fold(headings, foretold, width))) if foretold else ()),
        Text(""),
        *(Text(f"{name}: {what}", "dim") for name, what in legend.items()),
    )


def as_markdown(outcomes: Sequence[Outcome], volume: Volume) -> str:
    """Return the same for a page."""
    headings = _headings(volume)
    lines = [f"- {markdown.sentence(line)}" for line in conclusions(outcomes)]
    lines += ["", f"| experiment | what | {' | '.join(headings)} |"]
    lines.append(f"|---|---|{'---:|' * len(headings)}")
    for each in outcomes:
        cells = (markdown.name(each.name, cell=True), _WHAT.get(each.name, ""), *_cells(each))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"| experiment | {' | '.join(PREDICTION)} |", "|---|---|---:|---:|---:|---:|---|"]
    for each in outcomes:
        if each.imagined:
            lines.append(
                f"| {' | '.join((markdown.name(each.name, cell=True), *_predicted(each)))} |"
            )
    return "\n".join(lines)


def records(outcomes: Sequence[Outcome], volume: Volume) -> Iterator[dict[str, Any]]:
    """Yield a record for each experiment; None where it is not known, or never."""
    for each in outcomes:
        limits = each.range or (None, None)
        width = each.range and each.range[1] - each.range[0]
        values = (
            each.name,
            _WHAT.get(each.name, ""),
            each.blocks_per_s,
            each.operations_per_s,
            *(each.by_category.get(name, 0.0) for name in CATEGORIES),
            each.change,
            each.low,
            each.high,
            each.displaced,
            volume.name,
            each.balance.low,
            each.to_empty,
            *limits,
            width,
            each.held,
            each.expected,
        )
        yield dict(zip(HEADER, values, strict=True))


def write_csv(outcomes: Sequence[Outcome], volume: Volume, out: TextIO) -> None:
    """Write a row for each experiment."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for record in records(outcomes, volume):
        writer.writerow([exact(value) for value in record.values()])


def as_json(outcomes: Sequence[Outcome], volume: Volume) -> str:
    """Return an object a line."""
    return "\n".join(dumps(record) for record in records(outcomes, volume))
