"""Whether a rate changed, and how certain that is, from the steps of two windows.

A rate is a ratio of sums: blocks over seconds, over calls, or over the calls of an anchor.  Its
error follows from the spread of the steps of its window: the variance of a ratio estimator
(Cochran, Sampling Techniques, 6.4), inflated for autocorrelation.  The change is judged by the
difference of the logarithms of the two rates against Student's t.  Windows of equal length are
paired step by step, so that a common rhythm (the hours of two days, one traffic on two servers)
adds nothing to the error of the difference; others are compared as wholes, with Welch's degrees of
freedom.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = [
    "Change",
    "Floats",
    "Quantity",
    "Verdict",
    "change_of",
    "inconclusive",
    "quantity",
    "student",
]

MIN_CHANGE = 0.02
"""A certain change that is smaller does not matter."""
NARROW = 0.2
"""Furthest end from zero of an interval that means no change."""
MAX_AUTOCORRELATION = 0.9
MIN_FREEDOM = 3.0
MAX_LOG = 50.0

Floats = npt.NDArray[np.float64]


class Verdict(StrEnum):
    """Change of a row from A to B."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no change"
    UNSURE = "unsure"
    APPEARED = "appeared"
    VANISHED = "vanished"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """A rate and its residuals.

    Attributes:
        value: The rate; None without a denominator.
        residuals: Of each step: its numerator above the expected one, over the whole denominator.
        count: Number of steps with a denominator.
    """

    value: float | None
    residuals: Floats
    count: int

    @property
    def spread(self) -> tuple[float, float]:
        """Variance of the rate, and its degrees of freedom."""
        return _spread(self.residuals, self.count)


@dataclass(frozen=True, slots=True)
class Change:
    """A rate in A and in B; change, low and high are relative to A: -0.5 is half as much."""

    a: float | None
    b: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Verdict


def student(probability: float, freedom: float) -> float:
    """Return a quantile of Student's t (Abramowitz and Stegun, 26.7.5).

    >>> [round(student(0.995, n), 2) for n in (7, 20, 1000)]
    [3.5, 2.85, 2.58]
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def quantity(above: Floats, below: Floats) -> Quantity:
    """Return the ratio of two sums over steps; both arguments have the shape (steps,)."""
    total = float(below.sum())
    if not total:
        return Quantity(None, np.zeros_like(above), 0)
    ratio = float(above.sum()) / total
    return Quantity(ratio, (above - ratio * below) / total, int((below > 0).sum()))


def _spread(residuals: Floats, count: int) -> tuple[float, float]:
    """Return the variance of the sum of residuals, and its degrees of freedom."""
    if count < 2:  # noqa: PLR2004 - one step has no spread
        return math.inf, 1.0
    inflation = _autocorrelation_inflation(residuals)
    variance = float(residuals @ residuals) * inflation * count / (count - 1)
    return variance, max((count - 1) / inflation, MIN_FREEDOM)


def _autocorrelation_inflation(residuals: Floats) -> float:
    """Return the factor on the variance of a mean for autocorrelated steps.

    It is (1 + r) / (1 - r) for a first-order autoregression. The estimate of r from few steps is
    too small, which is corrected (Marriott and Pope, 1954).
    """
    squares = float(residuals @ residuals)
    if not squares:
        return 1.0
    r = float(residuals[1:] @ residuals[:-1]) / squares
    r = min(max(r + (1 + 3 * r) / len(residuals), 0.0), MAX_AUTOCORRELATION)
    return (1 + r) / (1 - r)


def change_of(a: Quantity, b: Quantity, chance: float, *, paired: bool = False) -> Change:
    """Return the change from one rate to another.

    Args:
        chance: Probability that the interval misses the true change.
        paired: Whether the steps of both belong together, one by one.
    """
    if a.value is None or b.value is None:
        return Change(a.value, b.value, None, None, None, Verdict.NOT_JUDGED)
    if not a.value or not b.value:
        return _from_or_to_nothing(a.value, b.value, a if a.value else b, chance)
    change = b.value / a.value - 1
    if paired:
        both, freedom = _spread(
            b.residuals / b.value - a.residuals / a.value, min(a.count, b.count)
        )
    else:
        parts = [(rate.spread[0] / rate.value**2, rate.spread[1]) for rate in (a, b) if rate.value]
        both = sum(part for part, _ in parts)
        scale = sum(part**2 / free for part, free in parts)
        freedom = both**2 / scale if scale and both < math.inf else MIN_FREEDOM
    reach = student(1 - chance / 2, freedom) * math.sqrt(both) if both else 0.0
    middle = math.log1p(change)
    low, high = _grown(middle - reach), _grown(middle + reach)
    return Change(a.value, b.value, change, low, high, _verdict(change, low, high))


def _from_or_to_nothing(a: float, b: float, other: Quantity, chance: float) -> Change:
    """Return the change if a rate is zero, which has no logarithm."""
    if not a and not b:
        return Change(a, b, 0.0, None, None, Verdict.SAME)
    variance, freedom = other.spread
    sure = (other.value or 0.0) > student(1 - chance / 2, freedom) * math.sqrt(variance)
    certain = Verdict.WORSE if b else Verdict.BETTER
    change = None if b else -1.0
    return Change(a, b, change, None, None, certain if sure else Verdict.UNSURE)


def _grown(log: float) -> float:
    return math.expm1(log) if log < MAX_LOG else math.inf


def _verdict(change: float, low: float, high: float) -> Verdict:
    if abs(change) >= MIN_CHANGE and high < 0:
        return Verdict.BETTER
    if abs(change) >= MIN_CHANGE and low > 0:
        return Verdict.WORSE
    return Verdict.SAME if low >= -NARROW and high <= NARROW else Verdict.UNSURE


def inconclusive(a: float | None, b: float | None) -> Change:
    """Return a change without an interval."""
    change = None if a is None or b is None or not a else b / a - 1
    return Change(a, b, 0.0 if a == b == 0 else change, None, None, Verdict.NOT_JUDGED)
