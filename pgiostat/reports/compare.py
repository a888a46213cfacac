"""Two windows of histories made ready to be compared: same steps, same groups."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pgiostat.analysis.compare.comparability import SteppedWindow
from pgiostat.analysis.compare.compare import Comparison, Group, Per, compare
from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, group_of
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.window_spec import WindowSpec
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.history.read.windows import Window
from pgiostat.reports.series import Steps, resample
from pgiostat.statistics.delta import LOST, Quality
from pgiostat.statistics.names import HIDDEN, OWN, Describe, Names

__all__ = ["WindowComparison", "compare_windows", "step_for"]

WISHED_STEPS = 40
LEAST_STEPS = 20
INTERVALS_IN_STEP = 4
"""Of two servers: an interval belongs to the step in which it begins and may reach into the next,
so that steps of one or two are of different times on each, and some have none."""
LEAST_SHARED = 0.5
"""Of the shorter of two histories: servers that were watched side by side, and not one after the
other with a while in common."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NICE = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600,
         43_200, 86_400)  # fmt: skip
_LOST = (*LOST, Quality.EVICTING)
"""Qualities of intervals of which part was lost."""


@dataclass(frozen=True, slots=True)
class WindowComparison:
    """Two windows compared, with what was seen in each.  step: how both were cut.

    shared: whether two histories were cut to the time in which both servers were watched.
    """

    a: WindowTotals
    b: WindowTotals
    step: timedelta
    comparison: Comparison
    shared: bool = False


def compare_windows(
    a: WindowSpec, b: WindowSpec, describe: Describe, per: str = "second"
) -> WindowComparison:
    """Return what changed from one window to another, perhaps of another history.

    per: second, call, or an anchor as "version:calls": what is called as often by the same
    traffic, a category or a fingerprint.
    Two servers that were watched side by side are compared in the time that both were watched, if
    no time is asked for.
    Raises PgiostatError windows-overlap, anchor-unknown, and as History.totals does.
    """
    return a.history.consistent(
        lambda: b.history.consistent(lambda: _compared(a, b, describe, per)),
    )


def _place(side: WindowSpec) -> Path | str:
    """Return where a side's history is, however it was written."""
    root = side.history.layout.root
    return root.rstrip("/") if isinstance(root, str) else root.resolve()


def _names_of_both(
    history: History, describe: Describe, windows: Sequence[Window]
) -> list[dict[int, Names]]:
    """Return what ids mean in two windows of a history: in most nothing was ever renamed."""
    if any(len(told) > 1 for told in history.named().values()):
        return [history.names(describe, window) for window in windows]
    return [history.names(describe)] * 2


def _compared(a: WindowSpec, b: WindowSpec, describe: Describe, per: str) -> WindowComparison:
    side_by_side = _shared(a, b)
    if side_by_side and a.whole and b.whole:
        a, b = (replace(each, window=_within(each.window, side_by_side)) for each in (a, b))
    chosen = (a, b)
    seen = [each.history.totals(each.window) for each in chosen]
    if _place(a) == _place(b):
        _apart(*seen)
        # What was told after A was seen describes what B has of it.
        names = _names_of_both(b.history, describe, [each.window for each in chosen])
    else:
        names = [each.history.names(describe, each.window) for each in chosen]
    known: dict[str, int] = {}
    told: list[dict[int, tuple[str, str, int]]] = [{}, {}]
    groups: list[dict[int, list[int]]] = []
    for side, (of_side, of_names) in enumerate(zip(seen, names, strict=True)):
        groups.append(_grouped(of_side, of_names, known, told[side]))
    step = step_for(*seen, several=bool(side_by_side))
    steps = [
        resample(each.history, of_side, of_groups, len(known), step)
        for each, of_side, of_groups in zip(chosen, seen, groups, strict=True)
    ]
    listed = list(_listed(known, told))
    kind, anchor = _anchor(per, listed)
    sides = [
        _side(of_side, cut_, places)
        for of_side, cut_, places in zip(
            seen, steps, _places(steps, seen, together=bool(side_by_side)), strict=True
        )
    ]
    found = compare(sides[0], sides[1], listed, kind, anchor)
    return WindowComparison(
        seen[0],
        seen[1],
        step,
        found,
        shared=bool(side_by_side) and chosen[0].whole and chosen[1].whole,
    )


def step_for(*seen: WindowTotals, several: bool = False) -> timedelta:
    """Return steps of which the shorter window has about forty, none shorter than its intervals.

    several: each of some intervals, if that leaves twenty of them.
    """
    length = min(each.window.seconds for each in seen)
    interval = max(each.sampled.seconds / each.sampled.samples for each in seen)
    wished = max(length / WISHED_STEPS, interval * 0.99)
    step = next((nice for nice in _NICE if nice >= wished), _NICE[-1])
    longer = [nice for nice in _NICE if step <= nice <= length / LEAST_STEPS]
    if several and longer:
        step = next((n for n in longer if n >= interval * INTERVALS_IN_STEP), longer[-1])
    return timedelta(seconds=step)


def _shared(a: WindowSpec, b: WindowSpec) -> tuple[datetime, datetime] | None:
    """Return the time that two windows share; None if a server is in both, or it is short."""
    servers = [
        {server.server_id for server in each.history.choose(each.window.label)} for each in (a, b)
    ]
    since = max(a.window.since, b.window.since)
    until = min(a.window.until, b.window.until)
    length = min(a.window.seconds, b.window.seconds)
    if servers[0] & servers[1] or (until - since).total_seconds() < LEAST_SHARED * length:
        return None
    return since, until


def _within(window: Window, span: tuple[datetime, datetime]) -> Window:
    return replace(window, since=span[0], until=span[1])


def _apart(a: WindowTotals, b: WindowTotals) -> None:
    shared = {server.server_id for server in a.servers} & {s.server_id for s in b.servers}
    since, until = max(a.window.since, b.window.since), min(a.window.until, b.window.until)
    if shared and since < until:
        raise PgiostatError(
            "the two windows overlap",
            detail=f"Both hold {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC of one"
            " server.",
            hint="Name times that are apart, as in prod@09:00..10:00 prod@10:00..11:00.",
            slug="windows-overlap",
            status=ExitStatus.USAGE,
        )


def _grouped(
    seen: WindowTotals,
    names: Mapping[int, Names],
    known: dict[str, int],
    told: dict[int, tuple[str, str, int]],
) -> dict[int, list[int]]:
    """Return the group of each statement; note the groups, and each one's category and text.

    A fingerprint of which statements have several categories has that of the most reads.
    """
    read = FIELDS.index("shared_blks_read")
    groups: dict[int, list[int]] = {}
    for server, counted in seen.counted.items():
        of_server = names.get(server, Names())
        numbers = []
        blocks = counted.statement_amounts[read].tolist()
        for ids, amount in zip(counted.statements, blocks, strict=True):
            category, text, key = _what(ids, of_server)
            number = known.setdefault(key, len(known))
            if number not in told or told[number][2] < amount:
                told[number] = (category, text, amount)
            numbers.append(number)
        groups[server] = numbers
    return groups


def _what(ids: tuple[int, int, int | None], names: Names) -> tuple[str, str, str]:
    """Return the category, text and key of a statement's group, the same on any server."""
    userid, dbid, queryid = ids
    if queryid is None:
        return HIDDEN, "(hidden: no privilege)", HIDDEN
    known = names.described((userid, dbid, queryid))
    if known.category == OWN:
        return OWN, OWN, OWN
    key = group_of(By.FINGERPRINT, ids, names)[0]
    return known.category, known.text or names.placeholder((userid, dbid, queryid)), key


def _listed(
    known: Mapping[str, int], told: Sequence[Mapping[int, tuple[str, str, int]]]
) -> Iterator[Group]:
    for key, number in known.items():
        there = [side[number] for side in told if number in side]
        first = told[0].get(number, there[0])[0]
        second = told[1].get(number, there[0])[0]
        yield Group(key, there[-1][1], (first, second))


def _anchor(per: str, groups: Sequence[Group]) -> tuple[Per, list[int]]:
    """Return what blocks are divided by, and the groups of an anchor."""
    if per in {Per.SECOND, Per.CALL}:
        return Per(per), []
    name, _, measure = per.rpartition(":")
    if measure != "calls" or not name:
        raise PgiostatError(
            f'invalid value for --per: "{per}"',
            hint='Allowed are second, call, and an anchor as in "version:calls".',
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    found = [n for n, group in enumerate(groups) if name in (group.key, *group.categories)]
    if not found:
        there = sorted({category for group in groups for category in group.categories})
        raise PgiostatError(
            f'there is no category or fingerprint "{name}" in the two windows',
            hint=f"Categories there: {', '.join(there)}.",
            slug="anchor-unknown",
        )
    return Per.ANCHOR, found


def _places(
    steps: Sequence[Steps], seen: Sequence[WindowTotals], *, together: bool
) -> list[tuple[int, ...]]:
    """Return the number of each step of both sides; none if the steps are no pairs.

    together: the two servers were watched at the same time, and so are numbered from one instant.
    Other windows have pairs if they are of the same length, by their distance from the beginning.
    """
    step = steps[0].step
    floors = [(each.window.since - _EPOCH) // step for each in seen]
    ends = [-((_EPOCH - each.window.until) // step) for each in seen]
    if together:
        alike = max(abs(floors[0] - floors[1]), abs(ends[0] - ends[1])) <= 1
        floors = [0, 0]
    else:
        alike = ends[0] - floors[0] == ends[1] - floors[1]
    return [
        tuple((start - _EPOCH) // step - floor for start in each.starts) if alike else ()
        for each, floor in zip(steps, floors, strict=True)
    ]


def _side(seen: WindowTotals, steps: Steps, places: tuple[int, ...]) -> SteppedWindow:
    sampled = seen.sampled
    lost = sum(sampled.qualities.get(quality, 0) for quality in _LOST)
    return SteppedWindow(
        seconds=np.array([each.seconds for each in steps.sampled]),
        amounts=steps.amounts,
        block_size=sampled.block_size,
        coverage=sampled.coverage,
        lost=lost / sampled.samples,
        places=places,
    )
