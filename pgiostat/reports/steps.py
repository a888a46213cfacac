"""A window resampled into steps, and the lengths of steps that suit a window."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, Totals, group_of
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.encode import HIDDEN_SENT, SENT, numbered
from pgiostat.history.format.file_index import Listing
from pgiostat.history.read.arrow import EPOCH, matrix
from pgiostat.history.read.history import History
from pgiostat.history.read.plan import PLACES
from pgiostat.history.read.window_totals import IntervalStats, WindowTotals, together
from pgiostat.history.read.windows import HOUR, Window
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.names import OTHER, OWN, Names, Statement
from pgiostat.units import MICROSECOND

__all__ = [
    "COARSE",
    "FINE",
    "SAME_LENGTH",
    "Ids",
    "Steps",
    "by_hour",
    "category_of",
    "grouped",
    "resample",
    "step_for",
]

FINE = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 20, 30)),
    *(3600 * hours for hours in (1, 2, 3, 6, 12, 24)),
)
"""Lengths of steps in seconds, for a report that needs about as many steps as it asks for."""
COARSE = (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400)
"""Lengths of steps in seconds, for a time axis that a person reads."""
SAME_LENGTH = 0.9
"""Two lengths of time are the same if the shorter is at least this share of the longer: a snapshot
takes time, so intervals are some per cent longer than requested."""
_HOUR_US = HOUR // MICROSECOND

Ids = tuple[int, int, int | None]
"""userid, dbid and queryid of a statement; queryid is None if it is hidden."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A window in steps, of which those without an interval are left out.

    Attributes:
        step: Length of a step.
        starts: When each step begins; an interval belongs to the step in which it begins.
        sampled: The intervals of each step, over all servers; seconds are those of the server
            that was watched longest.
        amounts: int64, shape (FIELDS, groups, steps).
    """

    step: timedelta
    starts: tuple[datetime, ...]
    sampled: tuple[IntervalStats, ...]
    amounts: Counts


def step_for(*totals: WindowTotals, count: int = 40, lengths: Sequence[int] = FINE) -> timedelta:
    """Return the step of which a window has about as many as wished.

    Args:
        totals: One window, or several that get the same step: the shortest one counts.
        count: Number of steps wished for.
        lengths: Allowed lengths in seconds, rising.

    Returns:
        A length that is not below the mean length of the intervals.
    """
    length = min(each.window.seconds for each in totals)
    interval = max(each.sampled.seconds / each.sampled.samples for each in totals)
    wished = max(length / count, interval * 0.99)
    return timedelta(seconds=next((each for each in lengths if each >= wished), lengths[-1]))


def grouped(
    totals: WindowTotals, names: Mapping[int, Names], group: Callable[[Ids, Totals, Names], int]
) -> dict[int, list[int]]:
    """Return the number of the group of each statement, by server_id."""
    return {
        part.server_id: [group(ids, part, known) for ids in part.statements]
        for part, known in totals.parts(names)
    }


def category_of(ids: Ids, names: Names) -> str:
    """Return the category of a statement; OWN if it is our own."""
    return group_of(By.CATEGORY, ids, names)[-1]


def resample(
    history: History,
    totals: WindowTotals,
    groups: Mapping[int, Sequence[int]],
    count: int,
    step: timedelta,
) -> Steps:
    """Return what groups of statements did in each step of a window.

    Args:
        history: Where the window was read.
        totals: The window.
        groups: By server_id the number of the group of each of its statements, below count.
        count: Number of groups.
        step: Length of a step.

    Raises:
        PgiostatError: step-too-short if rows of steps so short are not kept any more, and
            window-empty if everything in the window is lost.
    """
    step_us = step // MICROSECOND
    window = totals.window
    if step_us % _HOUR_US and any(map(Listing(history.layout).is_thin, _days(window))):
        raise PgiostatError(
            "only hourly totals are left of part of this window",
            hint="Choose a step of 1h or more, or a later window.",
            slug="step-too-short",
            status=ExitStatus.USAGE,
        )
    samples = history.samples(window, totals.servers, step_us)
    # A bucket without a length and without a known loss is no step.
    buckets = sorted(
        {
            bucket
            for rows in samples.values()
            for bucket, in_bucket in rows.items()
            if any(row["dur_us"] or not row["lost_us"] for row in in_bucket)
        }
    )
    if not buckets:
        raise PgiostatError(
            "the counts of statements in this window are lost",
            slug="window-empty",
            status=ExitStatus.NOTHING_TO_REPORT,
        )
    index = {bucket: number for number, bucket in enumerate(buckets)}
    sampled: list[dict[str, list[IntervalStats]]] = [{} for _ in buckets]
    labels = {server.server_id: server.label for server in totals.servers}
    for server, rows in samples.items():
        for bucket in rows.keys() & index.keys():
            of_label = sampled[index[bucket]].setdefault(labels[server], [])
            of_label.append(IntervalStats.of(rows[bucket]))
    rows = history.places(window, totals.servers, _places(totals, groups), step_us)
    amounts = np.zeros((len(FIELDS), count, len(buckets)), dtype=np.int64)
    # A collector may have written a sample since the samples were read.
    at = np.array([index.get(bucket, -1) for bucket in rows["bucket"].to_pylist()], dtype=np.intp)
    place = rows["place"].to_numpy()
    known = (place >= 0) & (at >= 0)
    for number, values in enumerate(matrix(rows)):
        np.add.at(amounts[number], (place[known], at[known]), values[known])
    return Steps(
        step=step,
        starts=tuple(EPOCH + bucket * step for bucket in buckets),
        sampled=tuple(map(_side_by_side, sampled)),
        amounts=amounts,
    )


def _side_by_side(by_label: Mapping[str, Sequence[IntervalStats]]) -> IntervalStats:
    """Return a step of several labels as one; servers of one label follow one another."""
    whole = together([each for parts in by_label.values() for each in parts])
    seconds = [sum(each.seconds for each in parts) for parts in by_label.values()]
    return replace(whole, seconds=max(seconds))


def _days(window: Window) -> Iterator[datetime]:
    day = window.since
    while day < window.until:
        yield day
        day += timedelta(days=1)
    yield window.until


def _places(totals: WindowTotals, groups: Mapping[int, Sequence[int]]) -> pa.Table:
    """Return the group of each number that a statement may have in the files."""
    sids: list[Counts] = [np.zeros(0, dtype=np.int64)]
    places: list[Counts] = [np.zeros(0, dtype=np.int64)]
    for server, part in totals.counted.items():
        if not part.statements:
            continue
        place = np.array(groups[server], dtype=np.int64)
        hidden = np.array([queryid is None for _, _, queryid in part.statements])
        userids, dbids, queryids = (
            np.array([ids[n] or 0 for ids in part.statements], dtype=np.int64) for n in range(3)
        )
        for flags in (*SENT, *HIDDEN_SENT):
            chosen = hidden if flags in HIDDEN_SENT else ~hidden
            flag = np.full(int(chosen.sum()), flags, dtype=np.int64)
            sids.append(numbered(server, dbids[chosen], userids[chosen], queryids[chosen], flag))
            places.append(place[chosen])
    # If two statements share a number, what they read is still counted once.
    numbers, first = np.unique(np.concatenate(sids), return_index=True)
    columns = [pa.array(numbers), pa.array(np.concatenate(places)[first])]
    return pa.table(columns, schema=PLACES)


def by_hour(
    history: History, totals: WindowTotals, names: Mapping[int, Names]
) -> list[tuple[Totals, Names]]:
    """Return the counts of a window hour by hour, as a ranking by hour takes them."""
    own = grouped(totals, names, lambda ids, _, known: int(category_of(ids, known) == OWN))
    steps = resample(history, totals, own, 2, HOUR)
    known = Names({(0, 0, 0): Statement("", "", OTHER), (0, 0, 1): Statement("", "", OWN)})
    for each in names.values():
        known.fixed = known.fixed or each.fixed
        known.version_tables |= each.version_tables
        known.manifest_tables |= each.manifest_tables
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
                since=start,
            ),
            known,
        )
        for number, (start, sampled) in enumerate(zip(steps.starts, steps.sampled, strict=True))
    ]
