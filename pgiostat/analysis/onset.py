"""Since when a rate is as high as it is: the last rise in a series of intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Onset", "find_onset"]

RISE = 2.0
"""A rise to less than this multiple is variation."""
LATEST = 3
"""Intervals whose median is the rate of now: one that is low or high is no change."""
COMPARED = 10
"""Intervals before the rise of which the mean is stated."""


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
    """Return the last rise of a series to the rate of now; None if it has none.

    Before the rise two intervals in a row have less than half of that rate. A rate that at least
    doubles in the last interval is a rise as well.

    Args:
        rates: A rate in each interval, in order of time.
        seconds: The length of each.

    >>> find_onset([1, 1, 4, 8, 1, 8, 8], [1] * 7)
    Onset(place=2, before=1.0)
    >>> find_onset([8, 8, 1, 1, 1, 8, 9], [1] * 7)
    Onset(place=5, before=3.8)
    >>> find_onset([5, 6, 1, 6, 5], [1] * 5), find_onset([2, 0, 0], [1] * 3), find_onset([], [])
    (None, None, None)
    """
    if not rates or not rates[-1]:
        return None
    now = median(rates[-LATEST:])
    if now * RISE <= rates[-1]:
        now = rates[-1]
    is_low = [rate * RISE < now for rate in rates]
    place = next((n + 1 for n in reversed(range(1, len(rates))) if is_low[n] and is_low[n - 1]), 0)
    if not 0 < place < len(rates):
        return None
    first = max(place - COMPARED, 0)
    weights = seconds[first:place]
    read = sum(rate * each for rate, each in zip(rates[first:place], weights, strict=True))
    return Onset(place, read / sum(weights))
