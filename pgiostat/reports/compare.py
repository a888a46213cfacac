"""Two windows compared, perhaps of two histories: same steps, same groups."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from pgiostat.analysis.compare.comparability import SteppedWindow
from pgiostat.analysis.compare.compare import Comparison, FingerprintPair, Per, compare
from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, group_of
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.read.arrow import EPOCH
from pgiostat.history.read.window_spec import WindowSpec
from pgiostat.history.read.window_totals import WindowTotals
from pgiostat.reports.steps import FINE, Ids, Steps, resample, step_for
from pgiostat.statistics.delta import LOST, Quality
from pgiostat.statistics.names import HIDDEN, OWN, Describe, Names, agree_on_preset, preset_of
from pgiostat.statistics.preset import PresetInForce

__all__ = ["WindowComparison", "compare_windows"]

LEAST_STEPS = 20
INTERVALS_IN_STEP = 4
"""For two servers: an interval belongs to the step in which it begins and may reach into the next.
Steps of one or two intervals would cover different times on each, and some would be empty."""
LEAST_SHARED = 0.5
"""Share of the shorter history from which on two servers count as watched side by side, and not one
after the other with some time in common."""
_LOST = (*LOST, Quality.EVICTING)
"""Qualities of intervals of which part was lost."""
_READ = FIELDS.index("shared_blks_read")


@dataclass(frozen=True, slots=True)
class WindowComparison:
    """Two windows compared.

    Attributes:
        a: The totals of the window before.
        b: The totals of the window after.
        step: Length of the steps of both.
        comparison: What changed, and how sure that is.
        shared: Whether both were reduced to the time in which both servers were watched.
        preset: The preset of rules in force for both.
    """

    a: WindowTotals
    b: WindowTotals
    step: timedelta
    comparison: Comparison
    shared: bool = False
    preset: PresetInForce | None = None


def compare_windows(
    a: WindowSpec, b: WindowSpec, describe: Describe, per: str = "second"
) -> WindowComparison:
    """Compare two windows, perhaps of two histories.

    Without a time in either, two servers that were watched side by side are compared over the time
    in which both were watched.

    Args:
        a: The window before.
        b: The window after.
        describe: Returns the category of a statement, by the current rules.
        per: What blocks are divided by: "second", "call", or the calls of an anchor, as
            "version:calls": a category or fingerprint that the same traffic calls as often.

    Raises:
        PgiostatError: windows-overlap, anchor-unknown, option-invalid, step-too-short,
            window-empty, label-unknown, history-empty, history-unreadable.
    """
    return a.history.consistent(
        lambda: b.history.consistent(lambda: _compared(a, b, describe, per))
    )


def _compared(a: WindowSpec, b: WindowSpec, describe: Describe, per: str) -> WindowComparison:
    side_by_side = _shared(a, b)
    shared = side_by_side is not None and a.whole and b.whole
    if side_by_side is not None and shared:
        since, until = side_by_side
        a, b = (
            replace(each, window=replace(each.window, since=since, until=until)) for each in (a, b)
        )
    totals = a.history.totals(a.window), b.history.totals(b.window)
    if is_same_history(a, b):
        _require_apart(*totals)
    names = _names(a, b, describe)
    groups = _Groups()
    numbers = [groups.add(*side) for side in zip(totals, names, strict=True)]
    together = side_by_side is not None
    step = _step_for(*totals, together=together)
    steps = [
        resample(side.history, of_side, of_groups, groups.count, step)
        for side, of_side, of_groups in zip((a, b), totals, numbers, strict=True)
    ]
    listed = list(groups.listed())
    kind, anchor = _anchor(per, listed)
    before, after = map(_side, totals, steps, _places(steps, totals, together=together))
    return WindowComparison(
        *totals,
        step,
        compare(before, after, listed, kind, anchor),
        shared=shared,
        preset=preset_of(known for side in names for known in side.values()),
    )


def is_same_history(a: WindowSpec, b: WindowSpec) -> bool:
    """Return whether two windows are of one history, however it was written."""
    first, second = (
        root.rstrip("/") if isinstance(root, str) else root.resolve()
        for root in (a.history.layout.root, b.history.layout.root)
    )
    return first == second


def _names(a: WindowSpec, b: WindowSpec, describe: Describe) -> list[dict[int, Names]]:
    """Return what ids mean in both windows, by server_id.

    A history in which nothing was renamed is read once for both.
    """
    same = is_same_history(a, b)
    if same and all(len(spans) == 1 for spans in b.history.named().values()):
        return [b.history.names(describe)] * 2
    # A collector may have written names since the first side was opened.
    before = b.history if same else a.history
    names = [before.names(describe, a.window), b.history.names(describe, b.window)]
    agree_on_preset(known for side in names for known in side.values())
    return names


def _step_for(*totals: WindowTotals, together: bool) -> timedelta:
    """Return the step of both windows: about forty in the shorter one.

    together: The two servers were watched at the same time: a step holds several intervals of
    each, if that leaves twenty steps.
    """
    step = step_for(*totals)
    length = min(each.window.seconds for each in totals)
    longer = [each for each in FINE if step.total_seconds() <= each <= length / LEAST_STEPS]
    if not together or not longer:
        return step
    wished = INTERVALS_IN_STEP * max(each.sampled.seconds / each.sampled.samples for each in totals)
    return timedelta(seconds=next((each for each in longer if each >= wished), longer[-1]))


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


def _require_apart(a: WindowTotals, b: WindowTotals) -> None:
    shared = {server.server_id for server in a.servers} & {s.server_id for s in b.servers}
    since, until = max(a.window.since, b.window.since), min(a.window.until, b.window.until)
    if shared and since < until:
        raise PgiostatError(
            "the two windows overlap",
            detail=f"Both contain {since:%Y-%m-%d %H:%M:%SZ} to {until:%Y-%m-%d %H:%M:%SZ} of one"
            " server.",
            hint="Choose windows that do not overlap: prod@09:00..10:00 prod@10:00..11:00.",
            slug="windows-overlap",
            status=ExitStatus.USAGE,
        )


@dataclass(slots=True)
class _Groups:
    """The groups of both windows, numbered, with category and text as each window has them.

    numbers: By key.  described: For each window, by number: category, text and blocks read.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    described: list[dict[int, tuple[str, str, int]]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.numbers)

    def add(self, totals: WindowTotals, names: Mapping[int, Names]) -> dict[int, list[int]]:
        """Add a window; return the number of the group of each statement, by server_id.

        A fingerprint with statements of several categories gets that of the most reads.
        """
        described: dict[int, tuple[str, str, int]] = {}
        self.described.append(described)
        numbers: dict[int, list[int]] = {}
        for part, known in totals.parts(names):
            numbers[part.server_id] = of_server = []
            blocks = part.statement_amounts[_READ].tolist()
            for ids, amount in zip(part.statements, blocks, strict=True):
                category, text, key = _describe(ids, known)
                number = self.numbers.setdefault(key, len(self.numbers))
                if number not in described or described[number][2] < amount:
                    described[number] = (category, text, amount)
                of_server.append(number)
        return numbers

    def listed(self) -> Iterator[FingerprintPair]:
        """Yield the groups in the order of their numbers."""
        for key, number in self.numbers.items():
            there = [side[number] for side in self.described if number in side]
            first, second = (side.get(number, there[0])[0] for side in self.described)
            yield FingerprintPair(key, there[-1][1], (first, second))


def _describe(ids: Ids, names: Names) -> tuple[str, str, str]:
    """Return the category, text and key of a statement's group, the same on any server."""
    userid, dbid, queryid = ids
    if queryid is None:
        return HIDDEN, "(hidden: no privilege)", HIDDEN
    known = names.described((userid, dbid, queryid))
    if known.category == OWN:
        return OWN, OWN, OWN
    key = group_of(By.FINGERPRINT, ids, names)[0]
    return known.category, known.text or names.placeholder((userid, dbid, queryid)), key


def _anchor(per: str, groups: Sequence[FingerprintPair]) -> tuple[Per, list[int]]:
    """Return what blocks are divided by, and the groups of an anchor."""
    if per in {Per.SECOND, Per.CALL}:
        return Per(per), []
    name, _, measure = per.rpartition(":")
    if measure != "calls" or not name:
        raise PgiostatError(
            f'invalid value for --per: "{per}"',
            hint='Allowed values: second, call, or an anchor as in "version:calls".',
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
            status=ExitStatus.USAGE,
        )
    return Per.ANCHOR, found


def _places(
    steps: Sequence[Steps], totals: Sequence[WindowTotals], *, together: bool
) -> list[tuple[int, ...]]:
    """Return the number of each step of both sides; none if the steps form no pairs.

    together: The two servers were watched at the same time: steps are numbered from one instant.
    Other windows form pairs, by distance from their begin, if they are of the same length.
    """
    step = steps[0].step
    floors = [(each.window.since - EPOCH) // step for each in totals]
    ends = [-((EPOCH - each.window.until) // step) for each in totals]
    if together:
        alike = max(abs(floors[0] - floors[1]), abs(ends[0] - ends[1])) <= 1
        floors = [0, 0]
    else:
        alike = ends[0] - floors[0] == ends[1] - floors[1]
    return [
        tuple((start - EPOCH) // step - floor for start in each.starts) if alike else ()
        for each, floor in zip(steps, floors, strict=True)
    ]


def _side(totals: WindowTotals, steps: Steps, places: tuple[int, ...]) -> SteppedWindow:
    sampled = totals.sampled
    lost = sum(sampled.qualities.get(quality, 0) for quality in _LOST)
    return SteppedWindow(
        seconds=np.array([each.seconds for each in steps.sampled]),
        amounts=steps.amounts,
        block_size=sampled.block_size,
        coverage=sampled.coverage,
        lost=lost / sampled.samples,
        places=places,
    )
