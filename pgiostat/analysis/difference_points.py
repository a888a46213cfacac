"""The ends of intervals: the cumulative difference of a server's and its statements' counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp

from pgiostat.analysis.server_reads import ServerReads

__all__ = ["DifferencePoint", "Rates", "rise_of", "usual_loss"]

RATE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DifferencePoint:
    """The end of an interval.

    Attributes:
        at: Seconds since the first interval began.
        level: Cumulative difference; positive if the server counted more.
        early: Blocks by which statements counted more in this interval than the server did.
        explained: Blocks of statements in this interval.
        reads: The server's counts of this interval.
        settled: Blocks of the cumulative difference that were settled before it.
        at_once: Those of them that were settled as a loss.
        since: When the interval began, by the server's clock; None if unknown.
        until: When it ended.
    """

    at: float
    level: int
    early: int
    explained: int
    reads: ServerReads
    settled: int = 0
    at_once: int = 0
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Blocks per second, as means with a weight that falls by time."""

    _seconds: float = 0.0
    _reads: float = 0.0
    _explained: float = 0.0

    @property
    def reads(self) -> float:
        """Blocks that the server read."""
        return self._reads / self._seconds if self._seconds else 0.0

    @property
    def explained(self) -> float:
        """Blocks of statements: no loss is among them."""
        return self._explained / self._seconds if self._seconds else 0.0

    def after(self, seconds: float, reads: int, explained: int) -> "Rates":
        """Return the rates after an interval."""
        kept = exp(-seconds / RATE_SECONDS)
        return Rates(
            self._seconds * kept + seconds,
            self._reads * kept + reads,
            self._explained * kept + explained,
        )


def rise_of(
    points: Sequence[DifferencePoint], below: int, floor: int
) -> tuple[datetime | None, datetime | None]:
    """Return when the difference began to rise above a level, and when it had reached another.

    Args:
        points: The ends of intervals.
        below: The level below the rise.
        floor: The level that was reached, and is not left any more.
    """
    places = [n for n, point in enumerate(points) if point.level <= below]
    rising = points[max(places, default=0) + 1 :]
    return rising[0].since, next(point for point in rising if point.level >= floor).until


def usual_loss(points: Sequence[DifferencePoint], at_once: int) -> float:
    """Return the blocks that settled as losses in some time, for the newest interval.

    Args:
        points: The ends of intervals in that time.
        at_once: Blocks that were settled as losses up to now.
    """
    first, (before, last) = points[0], points[-2:]
    return (at_once - first.at_once) * (last.at - before.at) / (last.at - first.at)
