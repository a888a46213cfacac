"""Since when a rate is as high as it is: a rise in a series of intervals that lasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Onset", "find_onset"]

RISE = 2.0
"""A rise to less than this multiple is variation."""
QUICK = {1: 8.0, 2: 4.0}
"""The multiple that the first intervals of a rise must have; RISE from the third on."""
LEAST_BEFORE = 6
"""Intervals before a rise, at least: fewer say nothing of how much a rate varies."""
COMPARED = 15
"""Intervals before a rise that are compared with it, at most."""
ONE_HIGH_IN = 10
"""One of as many intervals before a rise may be as high as it."""
STAYS = 0.75
"""Share of the intervals after a rise that are above all of the ones before."""


@dataclass(frozen=True, slots=True)
class Onset:
    """A rise that lasts.

    Attributes:
        place: Index of the first interval of the higher rate.
        before: Mean rate of the intervals before it, of at most COMPARED.
    """

    place: int
    before: float


def find_onset(rates: Sequence[float], seconds: Sequence[float]) -> Onset | None:
    """Return the rise of a series to the rate of now; None if it has none.

    Most statements read in bursts. A rise is one only if nearly all intervals before it have less
    than half of the median rate since then, and most of the intervals since then have more than
    these. So it stays where it is when further intervals follow.

    Args:
        rates: A rate in each interval, in order of time.
        seconds: The length of each.

    >>> find_onset([1, 2, 1, 1, 2, 2, 8, 9, 7, 8], [1] * 10)
    Onset(place=6, before=1.5)
    >>> find_onset([0, 8, 1, 9, 0, 7, 8, 0, 9], [1] * 9), find_onset([5, 6, 5, 6, 5, 6], [1] * 6)
    (None, None)
    """
    for place in range(LEAST_BEFORE, len(rates)):
        before = rates[max(place - COMPARED, 0) : place]
        if _is_rise(before, rates[place:]):
            weights = seconds[max(place - COMPARED, 0) : place]
            read = sum(rate * each for rate, each in zip(before, weights, strict=True))
            return Onset(place, read / sum(weights))
    return None


def _is_rise(before: Sequence[float], after: Sequence[float]) -> bool:
    if before[-1] >= after[0]:
        return False
    usual = sorted(before)[-1 - len(before) // ONE_HIGH_IN]
    now = median(after)
    if not now or usual * QUICK.get(len(after), RISE) > now:
        return False
    middle = (usual + now) / 2
    stays = sum(rate > usual for rate in after) >= STAYS * len(after)
    return stays and before[-1] < middle <= after[0]
