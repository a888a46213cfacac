"""Estimate the reads if queries were gone, called less often, or touched fewer blocks.

A ranking cannot answer this, because queries share a cache. A category loads blocks that others
then find, its reads evict blocks that others need, and its hits occupy space and keep blocks warm
for others. PostgreSQL counts none of this, so the answer is a range, and a point within it: the
modules `bounds` and `first_toucher` have their methods.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.whatif.amounts import Amounts, Touches
from pgiostat.analysis.whatif.assumptions import Assumption, ChangeKind, parse
from pgiostat.analysis.whatif.bounds import bounds
from pgiostat.analysis.whatif.first_toucher import reads_after

__all__ = [
    "Amounts",
    "Assumption",
    "ChangeKind",
    "Estimate",
    "Touches",
    "estimate",
    "estimate_between",
    "parse",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Blocks read: now, and the range and the point after the change.

    Attributes:
        now: Blocks read.
        low: At least.
        high: At most.
        point: Expected, by the model "first toucher".
    """

    now: float
    low: float
    high: float
    point: float

    def share(self, blocks: float) -> float | None:
        """Return blocks as a share of the reads now; None without any."""
        return blocks / self.now if self.now else None

    @property
    def width(self) -> float | None:
        """Width of the range as a share of the reads now."""
        return self.share(self.high - self.low)

    def __contains__(self, blocks: float) -> bool:
        """Whether a number of blocks lies within the range."""
        return self.low <= blocks <= self.high


def estimate(
    had: Mapping[str, Amounts],
    supposed: Sequence[Assumption],
    touches: Iterable[Touches] = (),
) -> Estimate:
    """Return the range and the point of blocks read under some assumptions.

    Args:
        had: Amounts of each category or statement, and of what none explains, by its name; the
            reads are all reads.
        supposed: At most one assumption for each name.
        touches: Which tables they touch, where that is known; what has no table is assumed to
            touch blocks that no other name touches.

    >>> had = {"version": Amounts(60, 40), "manifest": Amounts(40, 60)}
    >>> both = [Touches(name, ("invoice",), amounts) for name, amounts in had.items()]
    >>> found = estimate(had, [Assumption("version", ChangeKind.DROP)], both)
    >>> found.now, round(found.low, 1), found.high, round(found.point, 1)
    (100, 0.0, 100.0, 60.0)
    """
    return estimate_between(had, supposed, supposed, supposed, touches)


def estimate_between(
    had: Mapping[str, Amounts],
    least: Sequence[Assumption],
    expected: Sequence[Assumption],
    most: Sequence[Assumption],
    touches: Iterable[Touches] = (),
) -> Estimate:
    """Return the range and the point where the factors of the assumptions are a range.

    Args:
        had: As for estimate.
        least: The assumptions with the smallest factors.
        expected: Those of the point.
        most: Those with the greatest factors.
        touches: As for estimate.
    """
    now = sum(each.reads for each in had.values())
    low, high = bounds(had, least)[0], bounds(had, most)[1]
    point = reads_after(had, expected, touches)
    return Estimate(now, low, high, min(max(point, low), high))
