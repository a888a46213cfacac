"""A window cut into steps: who read what in each, for time series and for judging a change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median

import numpy as np
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.analysis.ledger import reconcile
from pgiostat.analysis.rank import By, Ranking, RankRow, Totals, group_of
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.encode import HIDDEN_SENT, SENT, numbered
from pgiostat.history.format.file_index import Listing
from pgiostat.history.read.history import PLACES, History
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals, matrix, together
from pgiostat.history.read.windows import HOUR, Window
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import OTHER, OWN, Names, Statement
from pgiostat.units import format_duration

__all__ = ["MOST_STEPS", "SeriesStep", "Steps", "by_hour", "resample", "series"]

MOST_STEPS = 100_000
SAME_LENGTH = 0.9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
HOUR_US = HOUR // _MICROSECOND


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A window in steps, of which those without an interval are left out.

    starts: when each begins; an interval belongs to the step in which it begins.  sampled: of
    each, over all servers; its seconds are those of the server that was watched longest.
    amounts: int64, (FIELDS, groups, steps).
    """

    step: timedelta
    starts: tuple[datetime, ...]
    sampled: tuple[IntervalStats, ...]
    amounts: Counts


def resample(
    history: History,
    seen: WindowTotals,
    groups: Mapping[int, Sequence[int]],
    count: int,
    step: timedelta,
) -> Steps:
    """Return what groups of statements did in each step of a window that was seen.

    groups: for each server the number of the group, below count, of each of its statements.
    Raises PgiostatError step-too-short if rows of so short a time are not kept any more, and
    window-empty if all of it is lost.
    """
    step_us = step // _MICROSECOND
    window = seen.window
    if step_us % HOUR_US and any(map(Listing(history.layout).is_thin, _days(window))):
        raise PgiostatError(
            "of part of this time whole hours are all that is kept",
            hint="Choose steps of 1h or more, or a later time.",
            slug="step-too-short",
            status=ExitStatus.USAGE,
        )
    samples = history.samples(window, seen.servers, step_us)
    # Of a time of which nothing is known there is no step.
    buckets = sorted(
        {
            bucket
            for rows in samples.values()
            for bucket, those in rows.items()
            if any(row["dur_us"] or not row["lost_us"] for row in those)
        }
    )
    if not buckets:
        raise PgiostatError(
            "nothing is known of that time: what statements read in it is lost",
            slug="window-empty",
            status=ExitStatus.NOTHING_TO_REPORT,
        )
    index = {bucket: number for number, bucket in enumerate(buckets)}
    sampled: list[dict[str, list[IntervalStats]]] = [{} for _ in buckets]
    labels = {server.server_id: server.label for server in seen.servers}
    for server, rows in samples.items():
        for bucket in rows.keys() & index.keys():
            of_label = sampled[index[bucket]].setdefault(labels[server], [])
            of_label.append(IntervalStats.of(rows[bucket]))
    rows = history.places(window, seen.servers, _places(seen, groups), step_us)
    amounts = np.zeros((len(FIELDS), count, len(buckets)), dtype=np.int64)
    # A sample may have come since the others were asked for.
    at = np.array([index.get(bucket, -1) for bucket in rows["bucket"].to_pylist()], dtype=np.intp)
    place = rows["place"].to_numpy()
    known = (place >= 0) & (at >= 0)
    for number, values in enumerate(matrix(rows)):
        np.add.at(amounts[number], (place[known], at[known]), values[known])
    return Steps(
        step=step,
        starts=tuple(_EPOCH + bucket * step for bucket in buckets),
        sampled=tuple(map(_side_by_side, sampled)),
        amounts=amounts,
    )


def _side_by_side(by_label: Mapping[str, Sequence[IntervalStats]]) -> IntervalStats:
    """Return a step of several labels as one; those of one label follow one another."""
    whole = together([each for parts in by_label.values() for each in parts])
    seconds = [sum(each.seconds for each in parts) for parts in by_label.values()]
    return replace(whole, seconds=max(seconds))


def _days(window: Window) -> Iterator[datetime]:
    day = window.since
    while day < window.until:
        yield day
        day += timedelta(days=1)
    yield window.until


def _places(seen: WindowTotals, groups: Mapping[int, Sequence[int]]) -> pa.Table:
    """Return the group of each number that a statement may have in the files."""
    sids: list[Counts] = [np.zeros(0, dtype=np.int64)]
    places: list[Counts] = [np.zeros(0, dtype=np.int64)]
    for server, counted in seen.counted.items():
        if not counted.statements:
            continue
        place = np.array(groups[server], dtype=np.int64)
        hidden = np.array([queryid is None for _, _, queryid in counted.statements])
        userids, dbids, queryids = (
            np.array([ids[n] or 0 for ids in counted.statements], dtype=np.int64) for n in range(3)
        )
        for flags in (*SENT, *HIDDEN_SENT):
            those = hidden if flags in HIDDEN_SENT else ~hidden
            flag = np.full(int(those.sum()), flags, dtype=np.int64)
            sids.append(numbered(server, dbids[those], userids[those], queryids[those], flag))
            places.append(place[those])
    # Should two statements ever share a number, what they read is counted once all the same.
    numbers, first = np.unique(np.concatenate(sids), return_index=True)
    columns = [pa.array(numbers), pa.array(np.concatenate(places)[first])]
    return pa.table(columns, schema=PLACES)


def by_hour(
    history: History, seen: WindowTotals, names: Mapping[int, Names]
) -> list[tuple[Totals, Names]]:
    """Return what was counted hour by hour, to be ranked by hour."""
    ours = {
        server: [
            int(group_of(By.CATEGORY, ids, names.get(server, Names()))[-1] == OWN)
            for ids in counted.statements
        ]
        for server, counted in seen.counted.items()
    }
    steps = resample(history, seen, ours, 2, HOUR)
    known = Names({(0, 0, 0): Statement("", "", OTHER), (0, 0, 1): Statement("", "", OWN)})
    return [
        (
            Totals(
                seconds=sampled.seconds,
                block_size=sampled.block_size,
                reads=sampled.reads,
                statements=[(0, 0, 0), (0, 0, 1)],
                statement_amounts=steps.amounts[:, :, number],
                statement_uncertain=[False, False],
                hour=start,
            ),
            known,
        )
        for number, (start, sampled) in enumerate(zip(steps.starts, steps.sampled, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class SeriesStep:
    """One step of a series: its time, its intervals, and its ranking in the order of the whole."""

    since: datetime
    until: datetime
    sampled: IntervalStats
    ranking: Ranking


def series(
    history: History,
    seen: WindowTotals,
    names: Mapping[int, Names],
    ranking: Ranking,
    step: timedelta,
) -> list[SeriesStep]:
    """Return the steps of a window, each with the rows that the whole window's ranking has.

    Raises PgiostatError step-invalid for steps without end, and step-too-short.
    """
    if seen.window.seconds / step.total_seconds() > MOST_STEPS:
        raise PgiostatError(
            f"so short a step makes more than {MOST_STEPS:,} steps",
            hint="Choose a longer step or a shorter time.",
            slug="step-invalid",
            status=ExitStatus.USAGE,
        )
    several = len(seen.counted) > 1
    rest, own = len(ranking.rows), len(ranking.rows) + 1
    place = {row.key: number for number, row in enumerate(ranking.rows)} | {("", OWN): own}
    groups = {
        server: [
            place.get(
                (counted.server,)
                if ranking.by is By.SERVER and _category(ids, names, server) != OWN
                else group_of(
                    ranking.by, ids, names.get(server, Names()), f"{counted.server}/" * several
                ),
                rest,
            )
            for ids in counted.statements
        ]
        for server, counted in seen.counted.items()
    }
    steps = resample(history, seen, groups, len(ranking.rows) + 2, step)
    usual = median(each.seconds / max(each.samples, 1) for each in steps.sampled)
    if step.total_seconds() < usual * SAME_LENGTH:
        raise PgiostatError(
            f"the steps are shorter than the intervals of this time: {format_duration(usual)}",
            hint="Choose steps of that length or longer.",
            slug="step-too-short",
            status=ExitStatus.USAGE,
        )
    return [
        SeriesStep(
            since=max(start, seen.window.since),
            until=min(start + step, seen.window.until),
            sampled=sampled,
            ranking=_of_step(ranking, sampled, steps.amounts[:, :, number]),
        )
        for number, (start, sampled) in enumerate(zip(steps.starts, steps.sampled, strict=True))
    ]


def _category(ids: tuple[int, int, int | None], names: Mapping[int, Names], server: int) -> str:
    return group_of(By.CATEGORY, ids, names.get(server, Names()))[-1]


def _of_step(ranking: Ranking, sampled: IntervalStats, amounts: Counts) -> Ranking:
    """Return the ranking of a step: rows and order of the whole window, its own numbers."""
    none = ReadCost(sampled.seconds, sampled.block_size, per_block=sampled.reads.per_block)
    costs = [
        replace(none, **dict(zip(FIELDS, column, strict=True))) for column in amounts.T.tolist()
    ]
    explained = sum(costs, none)
    whole = max(sampled.reads.blocks or 0, explained.blocks)

    def told(row: RankRow | None, cost: ReadCost) -> RankRow | None:
        share = cost.blocks / whole if whole else None
        return None if row is None else replace(row, cost=cost, share=share)

    rows = (told(row, cost) for row, cost in zip(ranking.rows, costs, strict=False))
    return replace(
        ranking,
        seconds=sampled.seconds,
        rows=tuple(row for row in rows if row is not None),
        rest=told(ranking.rest, costs[-2]),
        own=told(ranking.own, costs[-1]),
        explained=explained,
        server_blocks=sampled.reads.blocks,
        lines=reconcile(explained.blocks, sampled.reads),
    )
