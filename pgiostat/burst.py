"""The burst balance of a volume: what is left in the bucket, who emptied it, and when it ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pgiostat.volumes import Volume

__all__ = ["Balance", "Gauge", "Load", "replay", "to_go"]


@dataclass(frozen=True, slots=True)
class Load:
    """What was asked of a volume for some time; operations, read_bytes: None if unknown."""

    seconds: float
    operations: float | None
    read_bytes: float | None

    def rate(self, volume: Volume) -> float | None:
        """Return the demand in units of the volume a second."""
        if self.operations is None or self.read_bytes is None or self.seconds <= 0:
            return None
        return volume.demand(self.operations, self.read_bytes) / self.seconds

    def most(self, volume: Volume) -> float:
        """Return what of it the volume gives a second, by operations or by bytes."""
        if self.operations is None or self.read_bytes is None or self.seconds <= 0:
            return volume.ceiling
        return volume.most(self.operations, self.read_bytes, self.seconds)


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left of a bucket after a time, as shares of a full one.

    low, high: equal unless demand was unknown for a time: then it may have been anything.
    rate: demand a second, None if unknown.  given: what the volume gave of it.  over: part of it
    above the ceiling, which the volume cannot have given.  use: demand as a share of that.
    """

    low: float
    high: float
    rate: float | None
    given: float | None = None
    over: float = 0.0
    use: float | None = None


_Phases: TypeAlias = Sequence[tuple[float, float]]
"""What is given a second, and for how many, one after the other."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A bucket that is watched: advance it load by load.

    sprint: what is left of what its instance lets through for a time, as a share.
    """

    volume: Volume
    low: float = 1.0
    high: float = 1.0
    sprint: float = 1.0

    def advance(self, load: Load) -> tuple["Gauge", Balance]:
        """Return the gauge after a load, and the balance then."""
        rate = load.rate(self.volume)
        # Unknown: anything between nothing and all that the volume gives.
        ceiling = load.most(self.volume)
        least, _ = self._given(0.0 if rate is None else min(rate, ceiling), load.seconds)
        most, sprint = self._given(ceiling if rate is None else min(rate, ceiling), load.seconds)
        low, high = self._after(self.low, most), self._after(self.high, least)
        after = replace(self, low=low, high=high, sprint=sprint)
        if rate is None:
            return after, Balance(low, high, None)
        given = sum(each * seconds for each, seconds in most) / load.seconds
        return after, Balance(low, high, rate, given, max(rate - ceiling, 0.0), rate / ceiling)

    def _given(self, rate: float, seconds: float) -> tuple[_Phases, float]:
        """Return what is given of a demand and for how long, and what is left to sprint then."""
        volume = self.volume
        if volume.lasting is None:
            return [(rate, seconds)], self.sprint
        left, above = self.sprint * volume.sprint, rate - volume.lasting
        if above * seconds <= left:
            return [(rate, seconds)], min((left - above * seconds) / volume.sprint, 1.0)
        return [(rate, left / above), (volume.lasting, seconds - left / above)], 0.0

    def _after(self, share: float, phases: _Phases) -> float:
        if self.volume.credits is not None:
            for given, seconds in phases:
                gained = (self.volume.baseline - given) * seconds / self.volume.credits
                share = min(max(share + gained, 0.0), 1.0)
        return share

    def to_empty(self, rate: float) -> float | None:
        """Return after how many seconds at that rate the bucket is empty; None if never."""
        volume = self.volume
        if volume.credits is None:
            return None
        left = self.low * volume.credits
        rate = min(rate, volume.ceiling)
        sprinted = 0.0
        if volume.lasting is not None and rate > volume.lasting:
            # First as the instance sprints, then as it lasts.
            sprinted = self.sprint * volume.sprint / (rate - volume.lasting)
            burned = (rate - volume.baseline) * sprinted
            if burned < left:
                left, rate = left - burned, volume.lasting
            else:
                sprinted = 0.0
        falls = rate - volume.baseline
        return None if falls <= 0 else sprinted + left / falls

    def to_refill(self, rate: float) -> float | None:
        """Return after how many seconds at that rate it is full again; None if never."""
        full = self.volume.credits
        gained = self.volume.baseline - min(rate, self.volume.ceiling)
        return None if full is None or gained <= 0 else (1.0 - self.low) * full / gained


def replay(gauge: Gauge, loads: Iterable[Load]) -> Iterator[tuple[Gauge, Balance]]:
    """Yield the gauge and the balance after each load, in turn."""
    for load in loads:
        gauge, balance = gauge.advance(load)
        yield gauge, balance


def to_go(excess: float, rates: Mapping[str, float]) -> Sequence[str] | None:
    """Return the fewest of the greatest parts that make up an excess; None if all are too small.

    >>> to_go(50, {"version": 40, "manifest": 30, "upload": 5}), to_go(0, {"version": 1})
    (['version', 'manifest'], [])
    """
    chosen: list[str] = []
    left = excess
    for name, rate in sorted(rates.items(), key=lambda item: (-item[1], item[0])):
        if left <= 0:
            break
        chosen.append(name)
        left -= rate
    return chosen if left <= 0 else None
