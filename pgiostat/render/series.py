"""The report of a time window in steps."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from itertools import pairwise
from statistics import median
from typing import Any

from pgiostat.analysis.rank import By, Ranking, RankRow
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render.document import Curve, Document, Mark, Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.render.preset import preset_lines, preset_object
from pgiostat.render.ranking_table import extra_rows
from pgiostat.render.report import interval, labels, records_of, remarks, rows_of, title
from pgiostat.render.statement_names import screen_name
from pgiostat.render.table import one_line
from pgiostat.reports.series import SeriesStep
from pgiostat.units import format_count, format_coverage, per_second

__all__ = ["document"]

NUMBER_WIDTH = 10
NAME_WIDTH = 24
GAP = 1.5
SLIVER = 0.1


def document(totals: WindowTotals, steps: Sequence[SeriesStep], ranking: Ranking) -> Document:
    """Return the report of a window in steps.

    Args:
        totals: The window, and how well it was sampled.
        steps: Its steps, each ranked.
        ranking: The whole window, ranked in the same order.
    """
    return Document(
        subject=labels(totals),
        summary=f"blocks read per second by {ranking.by}",
        head=[title(totals)],
        facts=preset_lines(ranking.preset),
        warnings=list(remarks(totals)),
        tables=[_curves(steps, ranking), _steps(steps, ranking)],
        records=records_of(totals, ranking.by, steps),
        objects=_objects(totals, steps),
    )


def _rows(ranking: Ranking) -> list[RankRow]:
    return [*ranking.rows, *extra_rows(ranking)]


def _server_rate(step: SeriesStep) -> float | None:
    return per_second(step.ranking.server_blocks, step.ranking.seconds)


def _long(steps: Sequence[SeriesStep]) -> list[bool]:
    """Return which steps are long enough for a rate to mean anything.

    The last snapshot of a collector that stops may follow the one before by some milliseconds, and
    holds what the server counted late.
    """
    usual = median(step.sampled.seconds for step in steps)
    return [step.sampled.seconds >= usual * SLIVER for step in steps]


def _rates(steps: Sequence[SeriesStep]) -> list[list[float | None]]:
    """Return blocks read per second in each step: by the server, then by each row."""
    return [
        [
            rate if is_long else None
            for rate in (_server_rate(step), *(r.cost.blocks_per_s for r in _rows(step.ranking)))
        ]
        for step, is_long in zip(steps, _long(steps), strict=True)
    ]


def _curves(steps: Sequence[SeriesStep], ranking: Ranking) -> Table:
    """Return a row with a curve for each row of the ranking, and for the server."""
    columns = [
        TableColumn(str(ranking.by), most=NAME_WIDTH, rest=True),
        TableColumn("mean/s", right=True, least=7, format=format_count, quantity="blocks/s"),
        TableColumn("max/s", right=True, least=7, format=format_count, quantity="blocks/s"),
        TableColumn("blocks read, from zero to max", style="cyan", extra=True, rest=True),
    ]
    legend = [(f"{number} {screen_name(row)}", "dim") for number, row in _numbered(ranking)]
    return Table(columns, _curve_rows(steps, ranking), extra=True, legend=legend)


def _curve_rows(steps: Sequence[SeriesStep], ranking: Ranking) -> Iterator[list[Any]]:
    server, *others = zip(*_rates(steps), strict=True)
    names = [f"{n} {screen_name(row)}" for n, row in _numbered(ranking)]
    names += [displayed(row.name) for row in _rows(ranking)[len(names) :]]
    means = (row.cost.blocks_per_s for row in _rows(ranking))
    for name, mean, rates in zip(names, means, others, strict=True):
        yield [name, mean, _greatest(rates), Curve(_spaced(steps, rates))]
    mean = per_second(ranking.server_blocks, ranking.seconds)
    numbers = (Mark(value, "dim") for value in ("server", mean, _greatest(server)))
    yield [*numbers, Mark(Curve(_spaced(steps, server)), "dim cyan")]


def _greatest(rates: Sequence[float | None]) -> float | None:
    return max((rate for rate in rates if rate is not None), default=None)


def _numbered(ranking: Ranking) -> Iterator[tuple[str, RankRow]]:
    """Yield each row that a number stands for, with it: texts may all begin alike."""
    if ranking.by in {By.FINGERPRINT, By.STATEMENT}:
        for number, row in enumerate(ranking.rows, 1):
            yield f"#{number}", row


def _names(ranking: Ranking) -> list[str]:
    """Return the names of rows where there is little room."""
    numbers = [number for number, _ in _numbered(ranking)]
    return [*numbers, *(displayed(row.name) for row in _rows(ranking)[len(numbers) :])]


def _spaced(steps: Sequence[SeriesStep], values: Sequence[float | None]) -> list[float | None]:
    """Return values with a hole where no interval began for so long."""
    if not steps:
        return []
    length = max(step.until - step.since for step in steps) or None
    found: list[float | None] = [values[0]]
    for (before, after), value in zip(pairwise(steps), values[1:], strict=True):
        if length is not None and after.since - before.since > length * GAP:
            found.extend([None] * min(round((after.since - before.since) / length) - 1, 1000))
        found.append(value)
    return found


def _steps(steps: Sequence[SeriesStep], ranking: Ranking) -> Table:
    """Return a row for each step."""
    names = [displayed(row.name) for row in _rows(ranking)]
    return Table(
        [
            TableColumn("from", format=str),
            TableColumn("server", right=True, format=format_count),
            TableColumn("coverage", right=True, format=format_coverage),
            *(TableColumn(name, right=True, format=format_count) for name in names),
        ],
        _step_rows(steps, "%Y-%m-%d %H:%M:%SZ"),
        fit=lambda _: _steps_for_screen(steps, ranking),
    )


def _steps_for_screen(steps: Sequence[SeriesStep], ranking: Ranking) -> Table:
    """Return the same with short headings; rows of the ranking give way from the right."""
    with_seconds = any(step.since.second or step.since.microsecond for step in steps[1:])
    columns = [
        TableColumn("from", format=str),
        TableColumn("server/s", right=True, least=NUMBER_WIDTH + 1, format=format_count),
        TableColumn("coverage", right=True, least=NUMBER_WIDTH, format=format_coverage),
    ]
    columns += [
        TableColumn(
            one_line(name, NUMBER_WIDTH - 1),
            right=True,
            least=NUMBER_WIDTH,
            optional=n > 0,
            format=format_count,
        )
        for n, name in enumerate(_names(ranking))
    ]
    return Table(
        columns, _step_rows(steps, "%Y-%m-%d %H:%M" + ":%S" * with_seconds + "Z"), apart=True
    )


def _step_rows(steps: Sequence[SeriesStep], time: str) -> Iterator[list[Any]]:
    for step, (server, *rates) in zip(steps, _rates(steps), strict=True):
        since = step.since.astimezone(UTC).strftime(time)
        yield [since, server, step.sampled.coverage, *rates]


def _objects(totals: WindowTotals, steps: Sequence[SeriesStep]) -> Iterator[dict[str, Any]]:
    for step in steps:
        same = interval(totals, step)
        yield {
            **same,
            "preset": preset_object(step.ranking.preset),
            "by": str(step.ranking.by),
            "server_blocks_read": step.ranking.server_blocks,
            "in_transit_blocks_read": step.ranking.in_transit,
            "earlier_blocks_read": step.ranking.earlier_blocks,
            "rows": rows_of(same, step.ranking),
        }
