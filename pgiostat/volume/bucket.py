"""I/O credits of a volume: the balance, and the time until it is empty or full."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

from pgiostat.volume.models import Volume

__all__ = ["Balance", "CreditBucket", "Load", "must_drop", "replay"]


@dataclass(frozen=True, slots=True)
class Load:
    """Demand on a volume over some seconds; operations, read_bytes: None if unknown."""

    seconds: float
    operations: float | None
    read_bytes: float | None

    def rate(self, volume: Volume) -> float | None:
        """Return the demand in units of the volume per second; None if unknown."""
        if self.operations is None or self.read_bytes is None or self.seconds <= 0:
            return None
        return volume.demand(self.operations, self.read_bytes) / self.seconds

    def limit(self, volume: Volume) -> float:
        """Return the most that the volume admits of this load, in its units per second."""
        if self.operations is None or self.read_bytes is None or self.seconds <= 0:
            return volume.ceiling
        return volume.limit(self.operations, self.read_bytes, self.seconds)

    def size(self, volume: Volume) -> float:
        """Return the mean bytes of one unit of the demand; 0 if unknown."""
        rate = self.rate(volume)
        return (self.read_bytes or 0.0) / (rate * self.seconds) if rate else 0.0


@dataclass(frozen=True, slots=True)
class Balance:
    """Credits left at the end of an interval, as a share of a full bucket.

    Attributes:
        low: Lower bound; equal to high unless demand was unknown for some time.
        rate: Demand in units of the volume per second; None if unknown.
        admitted: What the volume admitted of it, per second.
        over: Demand per second above the ceiling, which the volume cannot have served.
        use: Demand as a share of the ceiling.
    """

    low: float
    high: float
    rate: float | None
    admitted: float | None = None
    over: float = 0.0
    use: float | None = None


_Phases: TypeAlias = Sequence[tuple[float, float]]
"""Admitted rates, each with its seconds, in order."""


@dataclass(frozen=True, slots=True)
class _InstanceBurst:
    """The burst of an instance, in operations or in bytes.

    Attributes:
        baseline: Sustained rate; None if the instance is no limit.
        credits: Units above the baseline in a full burst.
        left: Share of these credits that is left.
    """

    baseline: float | None
    credits: float
    left: float

    @property
    def limit(self) -> float:
        """The highest rate now; the instance's burst rate limits the volume's ceiling instead."""
        return inf if self.baseline is None or self.left > 0 else self.baseline

    def ends_in(self, rate: float) -> float:
        """Return the seconds until the burst ends at a rate."""
        if self.baseline is None or rate <= self.baseline:
            return inf
        return self.left * self.credits / (rate - self.baseline)

    def after(self, rate: float, seconds: float) -> "_InstanceBurst":
        """Return the burst after some seconds at a rate."""
        if self.baseline is None or seconds == inf or rate == self.baseline:
            return self
        if seconds >= self.ends_in(rate):
            return replace(self, left=0.0)
        left = self.left - (rate - self.baseline) * seconds / self.credits
        return replace(self, left=min(max(left, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class CreditBucket:
    """Token-bucket state of a volume and its instance; `advance(load)` returns the next state.

    Attributes:
        low: Lower bound of the credits left, as a share of a full bucket.
        instance_left: Share left of the instance's burst in operations.
        instance_bytes_left: Share left of its burst in bytes.
    """

    volume: Volume
    low: float = 1.0
    high: float = 1.0
    instance_left: float = 1.0
    instance_bytes_left: float = 1.0

    def advance(self, load: Load) -> tuple["CreditBucket", Balance]:
        """Return the bucket and its balance after a load."""
        rate = load.rate(self.volume)
        # Unknown demand: anything between nothing and the ceiling.
        ceiling = load.limit(self.volume)
        size = load.size(self.volume)
        least, _ = self._admitted(0.0 if rate is None else min(rate, ceiling), load.seconds, size)
        most, left = self._admitted(
            ceiling if rate is None else min(rate, ceiling), load.seconds, size
        )
        low, high = self._after(self.low, most), self._after(self.high, least)
        after = replace(
            self, low=low, high=high, instance_left=left[0], instance_bytes_left=left[1]
        )
        if rate is None:
            return after, Balance(low, high, None)
        admitted = sum(each * seconds for each, seconds in most) / load.seconds
        return after, Balance(low, high, rate, admitted, max(rate - ceiling, 0.0), rate / ceiling)

    def _admitted(
        self, rate: float, seconds: float, size: float
    ) -> tuple[_Phases, tuple[float, float]]:
        """Return the admitted rates of a demand, and what is left of both instance bursts then.

        The instance bursts in operations and in bytes until either burst ends; then its baseline
        is the limit.

        Args:
            rate: Demand in units of the volume per second.
            seconds: Its length; infinite for a forecast.
            size: Bytes of one unit.
        """
        volume = self.volume
        by_rate = _InstanceBurst(
            volume.instance_baseline, volume.instance_burst, self.instance_left
        )
        throughput = volume.instance_baseline_throughput
        by_bytes = _InstanceBurst(
            None if throughput is None or not size else throughput / size,
            volume.instance_burst_throughput / size if size else 0.0,
            self.instance_bytes_left,
        )
        phases: list[tuple[float, float]] = []
        while True:
            now = min(rate, by_rate.limit, by_bytes.limit)
            ends_in = min(by_rate.ends_in(now), by_bytes.ends_in(now))
            length = min(seconds, ends_in)
            phases.append((now, length))
            by_rate, by_bytes = by_rate.after(now, length), by_bytes.after(now, length)
            seconds -= length
            if ends_in == inf or seconds <= 0:
                return phases, (by_rate.left, by_bytes.left)

    def _after(self, share: float, phases: _Phases) -> float:
        if self.volume.credits is not None:
            for admitted, seconds in phases:
                gained = (self.volume.baseline - admitted) * seconds / self.volume.credits
                share = min(max(share + gained, 0.0), 1.0)
        return share

    def to_empty(self, rate: float, size: float = 0.0) -> float | None:
        """Return the seconds until the bucket is empty.

        Args:
            rate: Demand in units of the volume per second.
            size: Bytes of one unit.

        Returns:
            None if the bucket never empties at that rate, or if there is none.
        """
        volume = self.volume
        if volume.credits is None:
            return None
        left, passed = self.low * volume.credits, 0.0
        # First at the instance's burst rate, then at its baseline.
        for admitted, seconds in self._admitted(min(rate, volume.ceiling), inf, size)[0]:
            drain = admitted - volume.baseline
            if drain > 0 and left <= drain * seconds:
                return passed + left / drain
            if seconds < inf:
                left = min(left - drain * seconds, volume.credits)
                passed += seconds
        return None

    def burst_ends_in(self, rate: float, size: float = 0.0) -> tuple[float, float] | None:
        """Return the seconds until the instance's burst ends, and the rate that it admits then.

        Args:
            rate: Demand in units of the volume per second.
            size: Bytes of one unit.

        Returns:
            None if the burst never ends at that rate.
        """
        phases, _ = self._admitted(min(rate, self.volume.ceiling), inf, size)
        baseline = phases[-1][0]
        if baseline >= min(rate, self.volume.ceiling):
            return None
        return sum(seconds for _, seconds in phases[:-1]), baseline

    def to_refill(self, rate: float) -> float | None:
        """Return the seconds until the bucket is full at a rate; None if never."""
        full = self.volume.credits
        gained = self.volume.baseline - min(rate, self.volume.ceiling)
        return None if full is None or gained <= 0 else (1.0 - self.low) * full / gained


def replay(bucket: CreditBucket, loads: Iterable[Load]) -> Iterator[tuple[CreditBucket, Balance]]:
    """Yield the bucket and its balance after each load."""
    for load in loads:
        bucket, balance = bucket.advance(load)
        yield bucket, balance


def must_drop(excess: float, rates: Mapping[str, float]) -> Sequence[str] | None:
    """Return the fewest parts that make up an excess, the largest first; None if all do not.

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
