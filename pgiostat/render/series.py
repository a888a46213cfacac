"""A window in steps, for people and programs: text, Markdown, CSV, JSON lines."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from itertools import pairwise
from statistics import median
from typing import TextIO

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pgiostat.analysis.rank import By, Ranking, RankRow
from pgiostat.escape import terminal
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.render import markdown
from pgiostat.render.columns import Value
from pgiostat.render.csv import CsvWriter, heading, records
from pgiostat.render.json import dumps, row_of
from pgiostat.render.report import labels, remarks, title, warnings
from pgiostat.render.table import cut
from pgiostat.render.text import one_line
from pgiostat.reports.series import SeriesStep
from pgiostat.units import format_count, format_coverage, per_second

__all__ = ["as_markdown", "curves", "lines", "sparkline", "write_csv", "write_json"]

_LEVELS = "▁▂▃▄▅▆▇█"
TIME_WIDTH = 17
NUMBER_WIDTH = 11
NAME_WIDTH = 24
GAP = 1.5
SLIVER = 0.1


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return values as bars from zero to the greatest; neighbours share one if they are many.

    >>> sparkline([0, 1, None, 4, 8], 10), sparkline([1, 1, 5, 5], 2), sparkline([0, 0], 5)
    ('▁▂ ▅█', '▂█', '▁▁')
    """
    parts = min(len(values), width)
    if not parts:
        return ""
    edges = [round(n * len(values) / parts) for n in range(parts + 1)]
    means: list[float | None] = []
    for first, last in pairwise(edges):
        known = [value for value in values[first:last] if value is not None]
        means.append(sum(known) / len(known) if known else None)
    greatest = max((mean for mean in means if mean is not None), default=0) or 1
    return "".join(
        " " if mean is None else _LEVELS[min(int(max(mean, 0) / greatest * 8), 7)] for mean in means
    )


def _rows(ranking: Ranking) -> list[RankRow]:
    extras = [row for row in (ranking.rest, ranking.own) if row is not None]
    return [*ranking.rows, *extras]


def _server_rate(step: SeriesStep) -> float | None:
    return per_second(step.ranking.server_blocks, step.ranking.seconds)


def _long(steps: Sequence[SeriesStep]) -> list[bool]:
    """Return which steps were watched long enough for a rate to mean anything.

    The last reading of a collector that ends may come some milliseconds after the one before, and
    holds what was counted late.
    """
    usual = median(step.sampled.seconds for step in steps)
    return [step.sampled.seconds >= usual * SLIVER for step in steps]


def curves(
    seen: WindowTotals, steps: Sequence[SeriesStep], ranking: Ranking, *, width: int
) -> RenderableType:
    """Return a line with a curve for each row of the ranking."""
    grid = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    grid.add_column(str(ranking.by), no_wrap=True, overflow="ellipsis", max_width=NAME_WIDTH)
    for name in ("mean/s", "max/s"):
        grid.add_column(name, justify="right", no_wrap=True, min_width=7)
    grid.add_column("blocks read, from zero to max", no_wrap=True)
    room = max(width - NAME_WIDTH - 18, 8)
    long, numbers = _long(steps), [number for number, _ in _numbered(ranking)]
    for number, row in enumerate(_rows(ranking)):
        rates = _spaced(
            steps,
            [
                _rows(step.ranking)[number].cost.blocks_per_s if is_long else None
                for step, is_long in zip(steps, long, strict=True)
            ],
        )
        name = row.name if number >= len(numbers) else f"{numbers[number]} {row.name}"
        grid.add_row(*_curve(name, row.cost.blocks_per_s, rates, room))
    whole = [_server_rate(s) if is_long else None for s, is_long in zip(steps, long, strict=True)]
    rates = _spaced(steps, whole)
    mean = per_second(ranking.server_blocks, ranking.seconds)
    grid.add_row(*_curve("server", mean, rates, room), style="dim")
    legend = [
        Text(cut(f"{number} {one_line(row.name, width)}", width), "dim")
        for number, row in _numbered(ranking)
    ]
    return Group(title(seen, width), *warnings(seen), grid, *legend)


def _numbered(ranking: Ranking) -> Iterator[tuple[str, RankRow]]:
    """Yield the rows that are shown by a number, with it: texts, which may all begin alike."""
    if ranking.by in {By.FINGERPRINT, By.STATEMENT}:
        for number, row in enumerate(ranking.rows, 1):
            yield f"#{number}", row


def _names(ranking: Ranking) -> list[str]:
    """Return what rows are called where there is little room."""
    numbers = [number for number, _ in _numbered(ranking)]
    return [*numbers, *(row.name for row in _rows(ranking)[len(numbers) :])]


def _curve(name: str, mean: float | None, rates: Sequence[float | None], room: int) -> list[Text]:
    greatest = max((rate for rate in rates if rate is not None), default=None)
    shown = Text(terminal(name))
    numbers = [Text(format_count(value)) for value in (mean, greatest)]
    return [shown, *numbers, Text(sparkline(rates, room), "cyan")]


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


def lines(steps: Sequence[SeriesStep], ranking: Ranking, *, width: int) -> Iterator[str]:
    """Yield the steps one by one, as lines of a table: there may be thousands."""
    room = width - TIME_WIDTH - 2 * NUMBER_WIDTH
    shown = max(1, room // NUMBER_WIDTH)
    names = [one_line(name, NUMBER_WIDTH - 2) for name in _names(ranking)[:shown]]
    headings = ("server/s", "coverage", *names)
    seconds = any(step.since.second or step.since.microsecond for step in steps[1:])
    when = TIME_WIDTH + 3 * seconds
    yield "from (UTC)".ljust(when) + "".join(_right(heading) for heading in headings)
    for step, is_long in zip(steps, _long(steps), strict=True):
        told = f"{step.since.astimezone(UTC):%Y-%m-%d %H:%M}" + f":{step.since:%S}" * seconds
        rates = [_server_rate(step)]
        rates += [row.cost.blocks_per_s for row in _rows(step.ranking)[:shown]]
        server, *others = (format_count(rate if is_long else None) for rate in rates)
        cells = (server, format_coverage(step.sampled.coverage), *others)
        yield told.ljust(when) + "".join(cell.rjust(NUMBER_WIDTH) for cell in cells)


def _right(heading: str) -> str:
    return " " * (NUMBER_WIDTH - cell_len(heading)) + heading


def as_markdown(seen: WindowTotals, steps: Sequence[SeriesStep], ranking: Ranking) -> str:
    """Return the steps as a table of blocks read a second."""
    names = [markdown.name(each.name, cell=True) for each in _rows(ranking)]
    table = [
        f"**{markdown.name(labels(seen))}**, blocks read a second by {ranking.by}.",
        "",
        *(f"- {markdown.sentence(line)}" for line in remarks(seen)),
        "",
        f"| {' | '.join(['from (UTC)', 'server', 'coverage', *names])} |",
        f"|---|{'---:|' * (2 + len(names))}",
    ]
    for step, is_long in zip(steps, _long(steps), strict=True):
        rates = [_server_rate(step), *(row.cost.blocks_per_s for row in _rows(step.ranking))]
        server, *numbers = (format_count(rate if is_long else None) for rate in rates)
        told = [
            f"{step.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            server,
            format_coverage(step.sampled.coverage),
        ]
        table.append(f"| {' | '.join([*told, *numbers])} |")
    return "\n".join(table)


def _heading(seen: WindowTotals, step: SeriesStep) -> dict[str, Value]:
    return heading(
        step.since,
        step.until,
        seconds=step.ranking.seconds,
        server=labels(seen),
        quality="+".join(sorted(step.sampled.qualities)),
        coverage=step.sampled.coverage,
        operations_by=step.ranking.explained.operations_by,
    )


def write_csv(
    seen: WindowTotals, steps: Sequence[SeriesStep], ranking: Ranking, out: TextIO
) -> None:
    """Write the steps as watch writes intervals."""
    writer = CsvWriter(out, ranking.by)
    for step in steps:
        writer.write(_heading(seen, step), step.ranking)


def write_json(seen: WindowTotals, steps: Sequence[SeriesStep], out: TextIO) -> None:
    """Write the steps as one object a line."""
    out.writelines(line + "\n" for line in _lines(seen, steps))


def _lines(seen: WindowTotals, steps: Sequence[SeriesStep]) -> Iterator[str]:
    for step in steps:
        told = _heading(seen, step)
        rows = [row_of(record, told) for record in records(told, step.ranking)]
        whole = {
            **told,
            "by": str(step.ranking.by),
            "server_blocks_read": step.ranking.server_blocks,
            "rows": rows,
        }
        yield dumps(whole)
