"""The burst balance of a volume: what is left in the bucket, who emptied it, and when it ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

from pgiostat.volume.models import Volume

__all__ = ["Balance", "CreditBucket", "Load", "must_drop", "replay"]


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
        return volume.limit(self.operations, self.read_bytes, self.seconds)

    def size(self, volume: Volume) -> float:
        """Return how many bytes each unit of the demand has; nothing if unknown."""
        rate = self.rate(volume)
        return (self.read_bytes or 0.0) / (rate * self.seconds) if rate else 0.0


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
    admitted: float | None = None
    over: float = 0.0
    use: float | None = None


_Phases: TypeAlias = Sequence[tuple[float, float]]
"""What is given a second, and for how many, one after the other."""


@dataclass(frozen=True, slots=True)
class _InstanceBurst:
    """What an instance gives for a time.  lasting: and for ever; None if it is no limit.

    full: what it gives beyond that, once it has rested.  left: of it, as a share.
    """

    lasting: float | None
    full: float
    left: float

    @property
    def most(self) -> float:
        """What it gives now."""
        return inf if self.lasting is None or self.left > 0 else self.lasting

    def tires(self, rate: float) -> float:
        """Return after how many seconds at that rate nothing is left."""
        if self.lasting is None or rate <= self.lasting:
            return inf
        return self.left * self.full / (rate - self.lasting)

    def after(self, rate: float, seconds: float) -> "_InstanceBurst":
        """Return what is left after some seconds."""
        if self.lasting is None or seconds == inf or rate == self.lasting:
            return self
        if seconds >= self.tires(rate):
            return replace(self, left=0.0)
        left = self.left - (rate - self.lasting) * seconds / self.full
        return replace(self, left=min(max(left, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class CreditBucket:
    """A bucket that is watched: advance it load by load.

    sprint: what is left of what its instance lets through for a time, as a share; byte_sprint: of
    bytes.
    """

    volume: Volume
    low: float = 1.0
    high: float = 1.0
    sprint: float = 1.0
    byte_sprint: float = 1.0

    def advance(self, load: Load) -> tuple["CreditBucket", Balance]:
        """Return the gauge after a load, and the balance then."""
        rate = load.rate(self.volume)
        # Unknown: anything between nothing and all that the volume gives.
        ceiling = load.most(self.volume)
        size = load.size(self.volume)
        least, _ = self._admitted(0.0 if rate is None else min(rate, ceiling), load.seconds, size)
        most, left = self._admitted(
            ceiling if rate is None else min(rate, ceiling), load.seconds, size
        )
        low, high = self._after(self.low, most), self._after(self.high, least)
        after = replace(self, low=low, high=high, sprint=left[0], byte_sprint=left[1])
        if rate is None:
            return after, Balance(low, high, None)
        given = sum(each * seconds for each, seconds in most) / load.seconds
        return after, Balance(low, high, rate, given, max(rate - ceiling, 0.0), rate / ceiling)

    def _admitted(
        self, rate: float, seconds: float, size: float
    ) -> tuple[_Phases, tuple[float, float]]:
        """Return what is given of a demand and for how long, and what is left to sprint then.

        size: bytes of each unit.  The instance sprints in operations and in bytes, until it is
        tired of either; then it gives what lasts.
        """
        volume = self.volume
        by_rate = _InstanceBurst(volume.instance_baseline, volume.instance_burst, self.sprint)
        lasting = volume.instance_baseline_throughput
        by_bytes = _InstanceBurst(
            None if lasting is None or not size else lasting / size,
            volume.instance_burst_throughput / size if size else 0.0,
            self.byte_sprint,
        )
        phases: list[tuple[float, float]] = []
        while True:
            now = min(rate, by_rate.most, by_bytes.most)
            tired = min(by_rate.tires(now), by_bytes.tires(now))
            lasts = min(seconds, tired)
            phases.append((now, lasts))
            by_rate, by_bytes = by_rate.after(now, lasts), by_bytes.after(now, lasts)
            seconds -= lasts
            if tired == inf or seconds <= 0:
                return phases, (by_rate.left, by_bytes.left)

    def _after(self, share: float, phases: _Phases) -> float:
        if self.volume.credits is not None:
            for given, seconds in phases:
                gained = (self.volume.baseline - given) * seconds / self.volume.credits
                share = min(max(share + gained, 0.0), 1.0)
        return share

    def to_empty(self, rate: float, size: float = 0.0) -> float | None:
        """Return after how many seconds at that rate the bucket is empty; None if never.

        size: bytes of each unit.
        """
        volume = self.volume
        if volume.credits is None:
            return None
        left, passed = self.low * volume.credits, 0.0
        # First as the instance sprints, then as it lasts.
        for given, seconds in self._admitted(min(rate, volume.ceiling), inf, size)[0]:
            falls = given - volume.baseline
            if falls > 0 and left <= falls * seconds:
                return passed + left / falls
            if seconds < inf:
                left = min(left - falls * seconds, volume.credits)
                passed += seconds
        return None

    def burst_ends_in(self, rate: float, size: float = 0.0) -> tuple[float, float] | None:
        """Return after how many seconds at that rate the instance's burst ends, and what lasts.

        None if never.
        """
        phases, _ = self._admitted(min(rate, self.volume.ceiling), inf, size)
        lasting = phases[-1][0]
        if lasting >= min(rate, self.volume.ceiling):
            return None
        return sum(seconds for _, seconds in phases[:-1]), lasting

    def to_refill(self, rate: float) -> float | None:
        """Return after how many seconds at that rate it is full again; None if never."""
        full = self.volume.credits
        gained = self.volume.baseline - min(rate, self.volume.ceiling)
        return None if full is None or gained <= 0 else (1.0 - self.low) * full / gained


def replay(gauge: CreditBucket, loads: Iterable[Load]) -> Iterator[tuple[CreditBucket, Balance]]:
    """Yield the gauge and the balance after each load, in turn."""
    for load in loads:
        gauge, balance = gauge.advance(load)
        yield gauge, balance


def must_drop(excess: float, rates: Mapping[str, float]) -> Sequence[str] | None:
    """Return the fewest of the greatest parts that make up an excess; None if all are too small.

    >>> must_drop(50, {"version": 40, "manifest": 30, "upload": 5}), must_drop(0, {"version": 1})
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
