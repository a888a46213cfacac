"""Two windows in steps: which steps they share, and what makes a verdict impossible."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgiostat.analysis.compare.significance import Floats, Verdict, change_of, quantity
from pgiostat.analysis.cost import FIELDS
from pgiostat.statistics.columnar import Counts

__all__ = ["CERTAINTY", "MIN_STEPS", "SteppedWindow", "step_by_step", "why_not_judged"]

CERTAINTY = 0.99
"""Probability that the intervals of all rows of a table hold the true changes together."""
MIN_STEPS = 12
"""Fewest steps of a side for a verdict: fewer give no reliable variance."""
MIN_PAIRED = 0.8
"""Smallest share of a side's steps that must have a partner on the other for a paired comparison:
with fewer, pairing would leave out too much of the side."""
MIN_COVERAGE = 0.7
MAX_LOST = 0.1
"""Highest share of a side's time in incomplete intervals."""
MIN_FALL = 0.1
"""Smallest fall of misses or read times, from first third to last, of a side that warms up."""
MEMORY_US = 20.0
"""Longest time of a block of 8 kB from the OS page cache on a busy machine, in microseconds; the
quickest storage takes some 80."""
OVERLONG = 1.5
"""A step that extends into the next is this many times longer than usual, and than its partner."""

_HIT = FIELDS.index("shared_blks_hit")
_SHARED = FIELDS.index("shared_blks_read")
_READ_US = FIELDS.index("read_us")
_TIMED = FIELDS.index("timed_blocks")


@dataclass(frozen=True, slots=True, eq=False)
class SteppedWindow:
    """A window in steps.

    Attributes:
        amounts: (FIELDS, groups, steps), with the same groups as the other side.
        coverage: Share of the server's reads that statements explain; None if unknown.
        lost: Share of the time in incomplete intervals.
        places: Number of each step from an origin that both sides have; empty if the sides cannot
            be paired.
    """

    seconds: Floats
    amounts: Counts
    block_size: int
    coverage: float | None
    lost: float = 0.0
    places: tuple[int, ...] = ()


def step_by_step(a: SteppedWindow, b: SteppedWindow) -> tuple[SteppedWindow, SteppedWindow] | None:
    """Return the steps that both sides have, in pairs; None for an unpaired comparison.

    A step without a partner (a gap, an interval that began a moment later) is left out, and so is
    one that extends into the next on one side alone (an interval before a gap). This choice does
    not depend on the counts of the steps.
    """
    if not a.places or not b.places:
        return None
    usual = float(np.median(np.concatenate([a.seconds, b.seconds])))
    lengths = [dict(zip(side.places, side.seconds.tolist(), strict=True)) for side in (a, b)]
    common = [
        place
        for place in sorted(lengths[0].keys() & lengths[1].keys())
        if not _is_overlong(lengths[0][place], lengths[1][place], usual)
    ]
    longer = max(len(a.places), len(b.places))
    if len(common) < max(MIN_STEPS, MIN_PAIRED * longer):
        return None
    return _at(a, common), _at(b, common)


def _is_overlong(first: float, second: float, usual: float) -> bool:
    longer = max(first, second)
    return longer > OVERLONG * usual and longer > OVERLONG * min(first, second)


def _at(side: SteppedWindow, places: Sequence[int]) -> SteppedWindow:
    at = [side.places.index(place) for place in places]
    return replace(
        side,
        seconds=side.seconds[at],
        amounts=side.amounts[:, :, at],
        places=tuple(places),
    )


def why_not_judged(a: SteppedWindow, b: SteppedWindow) -> Iterator[str]:
    """Yield the reasons against a verdict on two windows."""
    for name, side in (("A", a), ("B", b)):
        steps = len(side.seconds)
        if steps < MIN_STEPS:
            yield f"{name} has {steps} steps; {MIN_STEPS} are needed to estimate the variance"
        if side.lost > MAX_LOST:
            yield f"counts of {name} are incomplete in {side.lost * 100:.0f} % of its time"
        if side.coverage is not None and side.coverage < MIN_COVERAGE:
            yield f"statements explain only {side.coverage * 100:.0f} % of the reads of {name}"
    if min(len(a.seconds), len(b.seconds)) >= MIN_STEPS:
        yield from _warm_up_warnings(a, b)


def _warm_up_warnings(a: SteppedWindow, b: SteppedWindow) -> Iterator[str]:
    """Yield the sides that still warm up: their caches fill, so that less is read, or faster.

    An equal fall on both sides (two days, two cold starts) leaves them comparable.
    """
    falls = _falls(a), _falls(b)
    for name, fell, other in (("A", falls[0], falls[1]), ("B", falls[1], falls[0])):
        for what, by in fell.items():
            if by >= MIN_FALL and other[what] < by / 2:
                yield (
                    f"{name} is still warming up: {what} fell by {by * 100:.0f} % from its first"
                    " third to its last; compare a later window"
                )


def _falls(side: SteppedWindow) -> dict[str, float]:
    """Return the certain fall of each measure of warmth from first third to last, as a share."""
    whole = side.amounts.sum(axis=1).astype(np.float64)
    read = whole[_SHARED]
    third = len(side.seconds) // 3
    falls = {}
    for what, above, below in (
        ("the share of blocks not found in shared_buffers", read, read + whole[_HIT]),
        ("the time to read a block", whole[_READ_US], whole[_TIMED]),
    ):
        first = quantity(above[:third], below[:third])
        last = quantity(above[-third:], below[-third:])
        found = change_of(first, last, 1 - CERTAINTY)
        falls[what] = -(found.change or 0.0) if found.verdict is Verdict.BETTER else 0.0
    if whole[_READ_US][:third].sum() < MEMORY_US * whole[_TIMED][:third].sum():
        # All from memory: a change shows how busy the processor was.
        falls[what] = 0.0
    return falls
