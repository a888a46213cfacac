"""A window in steps: the reads of each step by query."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.analysis.ledger import reconcile, whole_of
from pgiostat.analysis.rank import By, Ranking, RankRow, Sort, Totals, group_of
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.ranking import rank_window, reading_names
from pgiostat.reports.steps import (
    COARSE,
    SAME_LENGTH,
    Ids,
    Steps,
    category_of,
    grouped,
    resample,
    step_for,
)
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import OWN, Describe, Names
from pgiostat.units import format_duration

__all__ = [
    "LabelsReport",
    "SeriesReport",
    "SeriesStep",
    "StatementsReport",
    "labels_report",
    "series",
    "series_report",
    "statements_report",
]

MOST_STEPS = 100_000
STEPS_ON_AXIS = 120


@dataclass(frozen=True, slots=True)
class SeriesStep:
    """One step of a series: its time, its intervals, and its ranking in the order of the whole."""

    since: datetime
    until: datetime
    sampled: IntervalStats
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """A window in steps.

    Attributes:
        totals: What each server counted in the whole window.
        ranking: The ranking of the whole window.
        steps: The steps, in order of time; one without an interval is left out.
    """

    totals: WindowTotals
    ranking: Ranking
    steps: list[SeriesStep]


@dataclass(frozen=True, slots=True)
class LabelsReport:
    """A window in steps, label by label.

    Attributes:
        totals: What each server counted in the whole window.
        step: Length of a step.
        steps: By label, the steps of its servers.
    """

    totals: WindowTotals
    step: timedelta
    steps: Mapping[str, list[SeriesStep]]


@dataclass(frozen=True, slots=True)
class StatementsReport:
    """What each statement did in each step.

    Attributes:
        totals: What each server counted in the whole window.
        names: By server_id, what ids mean.
        steps: Steps with a group for each statement of all servers, in the order of totals.
    """

    totals: WindowTotals
    names: Mapping[int, Names]
    steps: Steps


def series_report(
    history: History,
    window: Window,
    describe: Describe,
    step: timedelta,
    *,
    by: By = By.CATEGORY,
    sort: Sort = Sort.READS,
    top: int | None = None,
) -> SeriesReport:
    """Rank what read in a window, and return the same rows for each of its steps.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        step: Length of a step.
        by: What a row is; not By.RELATION and not By.HOUR.
        sort: What rows are ordered by, the greatest first.
        top: Number of rows; the rest is one row. None for all.

    Raises:
        PgiostatError: option-invalid for what has no series, step-invalid, step-too-short,
            window-empty, label-unknown, history-empty, history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> SeriesReport:
            totals = history.totals(window, by)
            ranking = rank_window(history, totals, names(), by=by, sort=sort, top=top)
            return SeriesReport(totals, ranking, series(history, totals, names(), ranking, step))

        return history.consistent(answer)


def labels_report(
    history: History, window: Window, describe: Describe, step: timedelta | None = None
) -> LabelsReport:
    """Rank by category what read in each step of a window, label by label.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        step: Length of a step; None for about 120 steps.

    Raises:
        PgiostatError: step-invalid, step-too-short, window-empty, label-unknown, history-empty,
            history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> LabelsReport:
            totals = history.totals(window)
            length = step or step_for(totals, count=STEPS_ON_AXIS, lengths=COARSE)
            steps = {}
            for label in dict.fromkeys(server.label for server in totals.servers):
                part = _of_label(totals, label)
                ranking = rank_window(history, part, names())
                steps[label] = series(history, part, names(), ranking, length)
            return LabelsReport(totals, length, steps)

        return history.consistent(answer)


def statements_report(
    history: History, window: Window, describe: Describe, step: timedelta | None = None
) -> StatementsReport:
    """Return what each statement did in each step of a window.

    Args:
        history: Where the intervals are.
        window: From when to when, and of which label.
        describe: Returns the category of a statement, by the current rules.
        step: Length of a step; None for about 120 steps.

    Raises:
        PgiostatError: step-too-short, window-empty, label-unknown, history-empty,
            history-unreadable.
    """
    with reading_names(history, window, describe) as names:

        def answer() -> StatementsReport:
            totals = history.totals(window)
            length = step or step_for(totals, count=STEPS_ON_AXIS, lengths=COARSE)
            groups, count = {}, 0
            for server, part in totals.counted.items():
                groups[server] = range(count, count + len(part.statements))
                count += len(part.statements)
            steps = resample(history, totals, groups, count, length)
            return StatementsReport(totals, names(), steps)

        return history.consistent(answer)


def series(
    history: History,
    totals: WindowTotals,
    names: Mapping[int, Names],
    ranking: Ranking,
    step: timedelta,
) -> list[SeriesStep]:
    """Return the steps of a window, each with the rows that the whole window's ranking has.

    Args:
        history: Where the window was read.
        totals: The window.
        names: By server_id, what ids mean.
        ranking: The ranking of the window.
        step: Length of a step.

    Raises:
        PgiostatError: step-invalid for more than 100,000 steps, step-too-short, window-empty.
    """
    if totals.window.seconds / step.total_seconds() > MOST_STEPS:
        raise PgiostatError(
            f"this step divides the window into more than {MOST_STEPS:,} steps",
            hint="Choose a longer step or a shorter window.",
            slug="step-invalid",
            status=ExitStatus.USAGE,
        )
    several = len(totals.counted) > 1
    rest, own = len(ranking.rows), len(ranking.rows) + 1
    place = {row.key: number for number, row in enumerate(ranking.rows)} | {("", OWN): own}

    def group(ids: Ids, part: Totals, known: Names) -> int:
        if ranking.by is By.SERVER and category_of(ids, known) != OWN:
            return place.get((part.server,), rest)
        return place.get(group_of(ranking.by, ids, known, f"{part.server}/" * several), rest)

    groups = grouped(totals, names, group)
    steps = resample(history, totals, groups, len(ranking.rows) + 2, step)
    usual = median(each.seconds / max(each.samples, 1) for each in steps.sampled)
    if step.total_seconds() < usual * SAME_LENGTH:
        raise PgiostatError(
            f"the step is shorter than the intervals of this window: {format_duration(usual)}",
            hint="Choose a step of that length or longer.",
            slug="step-too-short",
            status=ExitStatus.USAGE,
        )
    return [
        SeriesStep(
            since=max(start, totals.window.since),
            until=min(start + step, totals.window.until),
            sampled=sampled,
            ranking=_of_step(ranking, sampled, steps.amounts[:, :, number]),
        )
        for number, (start, sampled) in enumerate(zip(steps.starts, steps.sampled, strict=True))
    ]


def _of_label(totals: WindowTotals, label: str) -> WindowTotals:
    """Return the totals of one label; several servers may have answered under it."""
    servers = tuple(server for server in totals.servers if server.label == label)
    counts = {each.server_id: totals.counted[each.server_id] for each in servers}
    return replace(totals, servers=servers, counted=counts)


def _of_step(ranking: Ranking, sampled: IntervalStats, amounts: Counts) -> Ranking:
    """Return the ranking of a step: rows and order of the whole window, its own numbers."""
    none = ReadCost(sampled.seconds, sampled.block_size, per_block=sampled.reads.per_block)
    costs = [
        replace(none, **dict(zip(FIELDS, column, strict=True))) for column in amounts.T.tolist()
    ]
    explained = sum(costs, none)
    lines = reconcile(explained.blocks, sampled.reads)
    whole = whole_of(explained.blocks, sampled.reads)

    def with_cost(row: RankRow, cost: ReadCost) -> RankRow:
        return replace(row, cost=cost, share=cost.blocks / whole if whole else None)

    return replace(
        ranking,
        seconds=sampled.seconds,
        rows=tuple(map(with_cost, ranking.rows, costs)),
        rest=None if ranking.rest is None else with_cost(ranking.rest, costs[-2]),
        own=None if ranking.own is None else with_cost(ranking.own, costs[-1]),
        explained=explained,
        server_blocks=sampled.reads.blocks,
        lines=lines,
    )
