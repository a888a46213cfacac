"""The burst balance of a volume: what is left in the bucket, who emptied it, and when it ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left of a bucket after a time, as shares of a full one.

    low, high: equal unless demand was unknown for a time: then it may have been anything.
    rate: demand a second, None if unknown.  over: part of it above the ceiling, which the volume
    cannot have given.
    """

    low: float
    high: float
    rate: float | None
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """A bucket that is watched: advance it load by load."""

    volume: Volume
    low: float = 1.0
    high: float = 1.0

    def advance(self, load: Load) -> tuple["Gauge", Balance]:
        """Return the gauge after a load, and the balance then."""
        rate = load.rate(self.volume)
        # Unknown: anything between nothing and all that the volume gives.
        low = self._after(self.low, self.volume.ceiling if rate is None else rate, load.seconds)
        high = self._after(self.high, 0.0 if rate is None else rate, load.seconds)
        over = max((rate or 0.0) - self.volume.ceiling, 0.0)
        return replace(self, low=low, high=high), Balance(low, high, rate, over)

    def _after(self, share: float, rate: float, seconds: float) -> float:
        full = self.volume.credits
        if full is None:
            return share
        gained = (self.volume.baseline - min(rate, self.volume.ceiling)) * seconds
        return min(max(share + gained / full, 0.0), 1.0)

    def to_empty(self, rate: float) -> float | None:
        """Return after how many seconds at that rate the bucket is empty; None if never."""
        full = self.volume.credits
        burned = min(rate, self.volume.ceiling) - self.volume.baseline
        return None if full is None or burned <= 0 else self.low * full / burned

    def to_refill(self, rate: float) -> float | None:
        """Return after how many seconds at that rate it is full again; None if never."""
        full = self.volume.credits
        gained = self.volume.baseline - rate
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
