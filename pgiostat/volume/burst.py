"""Burst balance of a volume over a time window, who used its credits, and a forecast."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.operations import DividedBy, is_known
from pgiostat.statistics.preset import PresetInForce
from pgiostat.volume.bucket import Balance, CreditBucket, Load, must_drop
from pgiostat.volume.demand import Provenance, Range
from pgiostat.volume.device.interval import DeviceInterval
from pgiostat.volume.models import Volume
from pgiostat.volume.step_demand import SHORTEST_GAP, WRITES, LoadStep, StepDemand, step_demands

__all__ = ["BalancePoint", "BurstPart", "BurstReport", "Forecast", "LoadStep", "simulate"]

_Key = TypeVar("_Key")

RECENT_SHARE = 0.1
"""A forecast goes by the last tenth of the time window."""


_NO_CATEGORY = {WRITES, *LedgerLine}
"""Parts of the demand that are no statements: nobody can remove them from an application."""


@dataclass(frozen=True, slots=True)
class BalancePoint:
    """A step of the time window.

    Attributes:
        seconds: Length of its intervals together.
        balance: At its end.
        operations: By category, and of writes; none in a gap without a measured device.
        provenance: Source of the operations; None in such a gap.
        divided_by: How the operations are divided; None where that is not known.
        ranges: 95 % interval of the operations of each category; None if unknown.
    """

    since: datetime
    until: datetime
    seconds: float
    balance: Balance
    operations: Mapping[str, float]
    provenance: Provenance | None
    divided_by: DividedBy | None = None
    ranges: Mapping[str, Range] | None = None


@dataclass(frozen=True, slots=True)
class BurstPart:
    """Demand of one category, or of writes.

    Attributes:
        per_s: Operations per second over the window.
        recent_per_s: Operations per second over its last tenth.
        burned: Credits that it used.
        range_per_s: 95 % interval of per_s; None if unknown.
    """

    name: str
    per_s: float
    recent_per_s: float
    burned: float
    share: float
    range_per_s: Range | None = None

    @property
    def is_known(self) -> bool:
        """Whether the interval, if there is one, is narrow enough to show the numbers."""
        return self.range_per_s is None or is_known(self.per_s, *self.range_per_s)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What follows if the demand stays as it was in the last tenth of the window.

    Attributes:
        seconds: Length of that time.
        rate: Demand per second, in units of the volume.
        use: The same as a share of the volume's limit, in operations or in bytes.
        to_empty: Seconds until the bucket is empty; None if never.
        to_refill: Seconds until it is full; None if never, or if it is.
        burst_ends_in: Seconds until the instance's burst ends, and its baseline; None if never.
        excess: Demand per second above the baseline.
        must_drop: The fewest parts that make up the excess; None if all together do not.
        is_behind: Whether that time ends before the window, because the last tenth is that of the
            steps with a measured device.
    """

    seconds: float
    rate: float
    use: float
    to_empty: float | None
    to_refill: float | None
    burst_ends_in: tuple[float, float] | None
    excess: float
    must_drop: Sequence[str] | None
    is_behind: bool = False


@dataclass(frozen=True, slots=True)
class BurstReport:
    """A time window against a volume.

    Attributes:
        sources: Seconds by source of the operations, the longest first.
        divisions: Seconds by how the operations are divided, the longest first.
        parts: Demand by category, the largest first.
        steps: The balance step by step.
        bucket: The bucket at the end.
        balance_checks: Pairs of CloudWatch's BurstBalance and the model's at the same time, as
            shares.
        preset: The preset of rules in force.
    """

    volume: Volume
    sources: Mapping[Provenance, float]
    steps: tuple[BalancePoint, ...]
    parts: tuple[BurstPart, ...]
    forecast: Forecast
    bucket: CreditBucket
    divisions: Mapping[DividedBy, float] = field(default_factory=dict)
    balance_checks: tuple[tuple[float, float], ...] = ()
    preset: PresetInForce | None = None

    @property
    def provenance(self) -> Provenance:
        """The source of most operations, by time."""
        return max(self.sources, key=lambda each: self.sources[each])

    @property
    def is_measured(self) -> bool:
        """Whether the device was measured in part of the window."""
        return any(source.is_measured for source in self.sources)

    @property
    def error(self) -> float | None:
        """Mean absolute difference of the model from CloudWatch's BurstBalance, as a share."""
        checks = self.balance_checks
        if not checks:
            return None
        return sum(abs(measured - model) for measured, model in checks) / len(checks)

    @property
    def lowest(self) -> BalancePoint:
        """The step with the lowest balance."""
        return min(self.steps, key=lambda step: step.balance.low)

    @property
    def over(self) -> float:
        """Highest demand per second above the ceiling, in measured steps if there are any."""
        believed = (
            each
            for each in self.steps
            if not self.is_measured or (each.provenance is not None and each.provenance.is_measured)
        )
        return max(each.balance.over for each in believed)


def simulate(
    steps: Sequence[LoadStep],
    bucket: CreditBucket,
    writes: float = 0.0,
    devices: Sequence[DeviceInterval] = (),
    *,
    reads: float = 1.0,
) -> BurstReport:
    """Replay the steps of a time window against a bucket.

    Args:
        steps: With rankings by category, in order.
        bucket: The bucket at the start.
        writes: Known write operations per second.
        devices: Intervals of the server's device; empty if unknown.
        reads: Factor on all reads, to suppose other traffic.
    """
    demands = [each.scaled(reads) for each in step_demands(steps, writes, devices)]
    replayed = list(_replayed(demands, bucket))
    points = tuple(step for step, _ in replayed)
    known = [each for each in demands if each.provenance is not None]
    measured = [each for each in known if each.provenance and each.provenance.is_measured]
    recent = _recent(measured or known)
    volume, last = bucket.volume, replayed[-1][1]
    return BurstReport(
        volume=volume,
        sources=_seconds_by(known, lambda each: each.provenance),
        steps=points,
        parts=tuple(_parts(known, points, recent, volume)),
        forecast=replace(_forecast(recent, last), is_behind=recent[-1] is not known[-1]),
        bucket=last,
        divisions=_seconds_by(known, lambda each: each.divided_by),
        balance_checks=_balance_checks(devices, points, bucket),
        preset=next((each.ranking.preset for each in steps if each.ranking.preset), None),
    )


def _balance_checks(
    devices: Sequence[DeviceInterval], steps: Sequence[BalancePoint], bucket: CreditBucket
) -> tuple[tuple[float, float], ...]:
    """Return pairs of CloudWatch's balance and the model's at the same time, as shares.

    CloudWatch publishes the mean of an interval, which is compared with the balance at its middle.
    Empty without a bucket.
    """
    if bucket.volume.credits is None:
        return ()
    published = sorted(
        (each.begin + timedelta(seconds=each.seconds / 2), each.burst_balance / 100)
        for each in devices
        if each.burst_balance is not None
    )
    begins = [bucket.low, *(step.balance.low for step in steps)]
    return tuple(
        (balance, low + (step.balance.low - low) * _fraction(middle, step))
        for middle, balance in published
        for low, step in zip(begins, steps, strict=False)
        if step.since <= middle < step.until
    )


def _fraction(at: datetime, step: BalancePoint) -> float:
    return (at - step.since) / (step.until - step.since)


def _seconds_by(
    demands: Sequence[StepDemand], key: Callable[[StepDemand], _Key | None]
) -> dict[_Key, float]:
    """Return the seconds of each key, the longest first."""
    seconds: dict[_Key, float] = {}
    for each in demands:
        if (found := key(each)) is not None:
            seconds[found] = seconds.get(found, 0.0) + each.load.seconds
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _recent(demands: Sequence[StepDemand]) -> Sequence[StepDemand]:
    """Return the steps at the end that make up a tenth of the time."""
    wanted = RECENT_SHARE * sum(each.load.seconds for each in demands)
    count, seconds = 0, 0.0
    for each in reversed(demands):
        if count and seconds >= wanted:
            break
        count, seconds = count + 1, seconds + each.load.seconds
    return demands[-count:]


def _replayed(
    demands: Sequence[StepDemand], bucket: CreditBucket
) -> Iterator[tuple[BalancePoint, CreditBucket]]:
    """Yield each step with its balance, and the bucket after it."""
    for each in demands:
        bucket, balance = bucket.advance(each.load)
        if each.missed > SHORTEST_GAP:
            # Part of the step has no interval: its demand may have been anything.
            bucket, unknown = bucket.advance(Load(each.missed, None, None))
            balance = replace(balance, low=unknown.low, high=unknown.high)
        step = BalancePoint(
            each.since,
            each.until,
            each.load.seconds,
            balance,
            each.parts,
            each.provenance,
            each.divided_by,
            each.ranges,
        )
        yield step, bucket


def _totals(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the sum of each name, in the order of their first amounts."""
    totals: dict[str, float] = {}
    for name, amount in amounts:
        totals[name] = totals.get(name, 0.0) + amount
    return totals


def _operations(demands: Iterable[StepDemand]) -> dict[str, float]:
    return _totals(item for each in demands for item in each.parts.items())


def _parts(
    demands: Sequence[StepDemand],
    steps: Sequence[BalancePoint],
    recent: Sequence[StepDemand],
    volume: Volume,
) -> Iterator[BurstPart]:
    """Yield the demand of each part, the largest first."""
    seconds = sum(each.load.seconds for each in demands)
    recent_seconds = sum(each.load.seconds for each in recent)
    operations, latest = _operations(demands), _operations(recent)
    burned = _totals(_burned(demands, steps, volume))
    whole = sum(operations.values())
    ranges = _ranges(demands)
    for name, count in sorted(operations.items(), key=lambda item: -item[1]):
        yield BurstPart(
            name=name,
            per_s=count / seconds if seconds else 0.0,
            recent_per_s=latest.get(name, 0.0) / recent_seconds if recent_seconds else 0.0,
            burned=burned[name] if volume.credits is not None else 0.0,
            share=count / whole if whole else 0.0,
            range_per_s=_per_second(ranges.get(name), seconds),
        )


def _ranges(demands: Sequence[StepDemand]) -> dict[str, Range]:
    """Return the 95 % interval of each part's operations; none if that of any step is unknown.

    Half-widths of steps are added, because their errors are alike.
    """
    if not all(each.ranges is not None for each in demands):
        return {}
    listed = [each.ranges or {} for each in demands]
    lows, highs = (
        _totals((name, ends[i]) for ranges in listed for name, ends in ranges.items())
        for i in range(2)
    )
    return {name: (low, highs[name]) for name, low in lows.items()}


def _per_second(ends: Range | None, seconds: float) -> Range | None:
    return None if ends is None or not seconds else (ends[0] / seconds, ends[1] / seconds)


def _burned(
    demands: Sequence[StepDemand], steps: Sequence[BalancePoint], volume: Volume
) -> Iterator[tuple[str, float]]:
    """Yield the credits that each part used in each step, in proportion to its operations."""
    admitted = {step.since: step.balance.admitted for step in steps}
    for each in demands:
        whole = sum(each.parts.values())
        above = max((admitted[each.since] or 0.0) - volume.baseline, 0.0) * each.load.seconds
        for name, operations in each.parts.items():
            yield name, above * operations / whole if whole else 0.0


def _forecast(recent: Sequence[StepDemand], bucket: CreditBucket) -> Forecast:
    """Return what follows if the demand of recent steps continues."""
    volume = bucket.volume
    seconds = sum(each.load.seconds for each in recent)
    load = Load(
        seconds,
        sum(each.load.operations or 0.0 for each in recent),
        sum(each.load.read_bytes or 0.0 for each in recent),
    )
    rate = load.rate(volume) or 0.0
    operations = _operations(recent)
    whole = sum(operations.values()) or 1.0
    # Below the baseline nothing has to go: the instance may keep the demand there.
    excess = max(rate - volume.baseline, 0.0) if volume.ceiling > volume.baseline else 0.0
    # Shares of the demand, because an HDD does not count operations.
    rates = {name: rate * count / whole for name, count in operations.items()}
    limit, size = load.limit(volume), load.size(volume)
    admitted = min(rate, limit)
    to_empty = bucket.to_empty(admitted, size)
    # An empty bucket admits the baseline, and only that uses the instance's burst.
    forecast_rate = min(admitted, volume.baseline) if to_empty == 0 else admitted
    return Forecast(
        seconds=seconds,
        rate=rate,
        use=rate / limit if limit else 0.0,
        to_empty=to_empty,
        to_refill=bucket.to_refill(admitted) if bucket.low < 1.0 else None,
        burst_ends_in=bucket.burst_ends_in(forecast_rate, size),
        excess=excess,
        must_drop=must_drop(
            excess, {n: rate for n, rate in rates.items() if n not in _NO_CATEGORY}
        ),
    )
