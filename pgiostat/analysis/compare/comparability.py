"""A window in steps; which steps two of them share, and why they cannot be judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgiostat.analysis.compare.significance import Floats, Verdict, change_of, quantity
from pgiostat.analysis.cost import FIELDS
from pgiostat.statistics.columnar import Counts

__all__ = ["CERTAINTY", "LEAST_STEPS", "SteppedWindow", "step_by_step", "why_not_judged"]

CERTAINTY = 0.99
"""The intervals of all rows of a table hold the true changes together with this probability."""
LEAST_STEPS = 12
"""Fewer steps tell too little of their own spread."""
LEAST_SHARED = 0.8
"""Of the steps of either side: with fewer in common much would be left out to pair the rest."""
LEAST_COVERAGE = 0.7
MOST_BAD = 0.1
"""Share of the time in intervals of which part was lost."""
WARMING = 0.1
"""How much less a window must miss, or wait, at its end than at its beginning to be warming up."""
MEMORY_US = 20.0
"""Microseconds that a block of 8 kB takes from the system's cache at most, on a busy machine; the
quickest storage takes some 80."""
FAR = 1.5
"""How many times longer than others, and than its partner, a step is that reaches into the next."""

_HIT = FIELDS.index("shared_blks_hit")
_SHARED = FIELDS.index("shared_blks_read")
_READ_US = FIELDS.index("read_us")
_TIMED = FIELDS.index("timed_blocks")


@dataclass(frozen=True, slots=True, eq=False)
class SteppedWindow:
    """A window in steps.

    seconds: of each step.  amounts: (FIELDS, groups, steps), groups as in the other side.
    lost: share of the time in intervals of which part was lost.  places: the number of each step
    from an instant that both sides have; none if they have nothing to be compared step by step.
    """

    seconds: Floats
    amounts: Counts
    block_size: int
    coverage: float | None
    lost: float = 0.0
    places: tuple[int, ...] = ()


def step_by_step(a: SteppedWindow, b: SteppedWindow) -> tuple[SteppedWindow, SteppedWindow] | None:
    """Return the steps that both sides have, in pairs; None if they are to be taken as wholes.

    A step that one side lacks (a gap, an interval that began a moment later) is left out of the
    other, and so is one that reaches far into the next on one side alone (an interval before a
    gap): which steps these are does not depend on what was counted in them.
    """
    if not a.places or not b.places:
        return None
    usual = float(np.median(np.concatenate([a.seconds, b.seconds])))
    lengths = [dict(zip(side.places, side.seconds.tolist(), strict=True)) for side in (a, b)]
    common = [
        place
        for place in sorted(lengths[0].keys() & lengths[1].keys())
        if not _reaches_far(lengths[0][place], lengths[1][place], usual)
    ]
    most = max(len(a.places), len(b.places))
    if len(common) < max(LEAST_STEPS, LEAST_SHARED * most):
        return None
    return _taken(a, common), _taken(b, common)


def _reaches_far(first: float, second: float, usual: float) -> bool:
    longer = max(first, second)
    return longer > FAR * usual and longer > FAR * min(first, second)


def _taken(side: SteppedWindow, places: Sequence[int]) -> SteppedWindow:
    at = [side.places.index(place) for place in places]
    return replace(
        side,
        seconds=side.seconds[at],
        amounts=side.amounts[:, :, at],
        places=tuple(places),
    )


def why_not_judged(a: SteppedWindow, b: SteppedWindow) -> Iterator[str]:
    """Yield why two windows are not to be judged."""
    for name, side in (("A", a), ("B", b)):
        steps = len(side.seconds)
        if steps < LEAST_STEPS:
            yield f"{name} has {steps} steps; {LEAST_STEPS} are needed to know their spread"
        if side.lost > MOST_BAD:
            yield f"part of what {name} counted was lost in {side.lost * 100:.0f} % of its time"
        if side.coverage is not None and side.coverage < LEAST_COVERAGE:
            yield f"statements explain {side.coverage * 100:.0f} % of the reads of {name} only"
    if min(len(a.seconds), len(b.seconds)) >= LEAST_STEPS:
        yield from _warm_up_warnings(a, b)


def _warm_up_warnings(a: SteppedWindow, b: SteppedWindow) -> Iterator[str]:
    """Yield which side is still warming up: caches fill, and less is read, or faster.

    What falls alike on both sides (two days, two cold starts) makes them no less comparable.
    """
    falls = _falls(a), _falls(b)
    for name, fell, other in (("A", falls[0], falls[1]), ("B", falls[1], falls[0])):
        for what, by in fell.items():
            if by >= WARMING and other[what] < by / 2:
                yield (
                    f"{name} is still warming up: {what} fell by {by * 100:.0f} % from its first"
                    " third to its last; a later time may do"
                )


def _falls(side: SteppedWindow) -> dict[str, float]:
    """Return by what share of itself each measure of warmth surely fell, from third to third."""
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
        # From memory all along: what varies is how busy the processor was.
        falls[what] = 0.0
    return falls
