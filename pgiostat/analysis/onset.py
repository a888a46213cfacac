"""Since when a rate is as high as it is: the last rise in a series of intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Onset", "find_onset"]

LEAST_INTERVALS = 4
LEAST_RISE = 2.0
"""A rise to less than this multiple is variation."""
STILL_HIGH = 0.5
"""Part of the risen mean that the last interval must have: otherwise the rise is over."""


@dataclass(frozen=True, slots=True)
class Onset:
    """A rise that lasts.

    Attributes:
        place: Index of the first interval of the higher rate.
        before: Mean rate before it.
        after: Mean rate since then.
    """

    place: int
    before: float
    after: float


def find_onset(rates: Sequence[float], seconds: Sequence[float]) -> Onset | None:
    """Return the rise that divides a series best; None if its rate did not at least double.

    The division leaves the least squared error to the means of both sides. Each interval weighs as
    much as it is long.

    Args:
        rates: A rate in each interval, in order of time.
        seconds: The length of each.

    >>> find_onset([1, 1, 2, 8, 8, 8], [1] * 6)
    Onset(place=3, before=1.3333333333333333, after=8.0)
    >>> find_onset([5, 6, 5, 6], [1] * 4), find_onset([1, 9, 9, 1], [1] * 4)
    (None, None)
    """
    if len(rates) < LEAST_INTERVALS or not any(rates):
        return None
    weights = np.array(seconds, dtype=float)
    values = np.array(rates, dtype=float) * weights
    total_weight, total = weights.sum(), values.sum()
    weight, value = np.cumsum(weights)[:-1], np.cumsum(values)[:-1]
    before, after = value / weight, (total - value) / (total_weight - weight)
    place = int(np.argmax(weight * before**2 + (total_weight - weight) * after**2))
    low, high = float(before[place]), float(after[place])
    if high < LEAST_RISE * low or not high or rates[-1] < STILL_HIGH * high:
        return None
    return Onset(place + 1, low, high)
