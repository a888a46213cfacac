"""Who emptied the bucket: a time of rankings against a volume."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pgiostat.analysis.ledger import ServerReads
from pgiostat.analysis.rank import Ranking
from pgiostat.volume.bucket import Balance, CreditBucket, Load, must_drop
from pgiostat.volume.demand import Provenance, attribute_blocks, load_of, split_operations
from pgiostat.volume.device.align import Overlap, align
from pgiostat.volume.device.interval import DeviceInterval
from pgiostat.volume.models import Volume

__all__ = ["BalancePoint", "BurstPart", "BurstReport", "Forecast", "LoadStep", "simulate"]

RECENT_SHARE = 0.1
"""What a forecast goes by is the last tenth of the time."""
SHORTEST_GAP = 0.05
"""Seconds: a time that is shorter is the clock's, and no gap in what was watched."""
WRITES = "writes"


@dataclass(frozen=True, slots=True, eq=False)
class LoadStep:
    """A step of a time: its readings, what was ranked between them, and the server's own count.

    since, until: of the first and of the last reading.  seconds: how much of that was watched.
    """

    since: datetime
    until: datetime
    seconds: float
    ranking: Ranking
    reads: ServerReads


@dataclass(frozen=True, slots=True)
class BalancePoint:
    """A step of the time: its balance at the end, operations by part, and how these are known.

    Of a gap that no device tells of there are none, and provenance is None.
    """

    since: datetime
    until: datetime
    seconds: float
    balance: Balance
    operations: Mapping[str, float]
    provenance: Provenance | None


@dataclass(frozen=True, slots=True)
class BurstPart:
    """What one part asked for: operations a second, in all and lately; units of credit burned."""

    name: str
    per_s: float
    recent_per_s: float
    burned: float
    share: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What follows if it goes on as lately.

    seconds: how long that is; where a device was measured of what it told alone, which may be a
    while ago: is_behind.
    rate: demand a second, in units of the volume.  use: as a share of what it gives at most, in
    operations or in bytes.  to_empty, to_refill: seconds, None if never.
    burst_ends_in: seconds until the burst of the instance ends, and its baseline then; None if
    never.  excess: demand above the baseline.  must_drop: the fewest parts that make it up, None
    if all together do not.
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
    """A time against a volume.

    sources: how operations are known, and of how many seconds.  told: CloudWatch's BurstBalance,
    and the model's at the same time.
    """

    volume: Volume
    sources: Mapping[Provenance, float]
    moments: tuple[BalancePoint, ...]
    parts: tuple[BurstPart, ...]
    forecast: Forecast
    gauge: CreditBucket
    warning: tuple[tuple[float, float], ...] = ()

    @property
    def provenance(self) -> Provenance:
        """Where the numbers of most of the time are from."""
        return max(self.sources, key=lambda each: self.sources[each])

    @property
    def is_measured(self) -> bool:
        """Whether the device was measured, if only for part of the time."""
        return any(source.is_measured for source in self.sources)

    @property
    def error(self) -> float | None:
        """By how much the model is off CloudWatch's BurstBalance on average, as a share."""
        if not self.warning:
            return None
        return sum(abs(told - model) for told, model in self.warning) / len(self.warning)

    @property
    def lowest(self) -> BalancePoint:
        """When least was left."""
        return min(self.moments, key=lambda moment: moment.balance.low)

    @property
    def over(self) -> float:
        """The most above what the volume can give, a second: by the device, if it was measured."""
        believed = (
            each
            for each in self.moments
            if not self.is_measured or (each.provenance is not None and each.provenance.is_measured)
        )
        return max(each.balance.over for each in believed)


@dataclass(frozen=True, slots=True, eq=False)
class _StepDemand:
    """What a step asked of a volume, by part, and how we know; None of a gap.

    missed: seconds of it that nobody watched, in which it may have been anything.
    """

    since: datetime
    until: datetime
    load: Load
    parts: Mapping[str, float]
    provenance: Provenance | None
    missed: float = 0.0


def simulate(
    steps: Sequence[LoadStep],
    gauge: CreditBucket,
    writes: float = 0.0,
    devices: Sequence[DeviceInterval] = (),
    *,
    reads: float = 1.0,
) -> BurstReport:
    """Return what steps of a time did to a bucket.

    steps: with their rankings by category, in the order of the whole time's.  writes: operations a
    second that are known to be written.  devices: what the device of the server did, if that is
    known.  reads: as if so many times as much had been read.
    """
    asked = [_times(reads, each) for each in _step_demands(steps, writes, devices)]
    stood = list(_moments(asked, gauge))
    moments = tuple(moment for moment, _ in stood)
    known = [each for each in asked if each.provenance is not None]
    measured = [each for each in known if each.provenance and each.provenance.is_measured]
    recent = _recent(measured or known)
    volume = gauge.volume
    last = stood[-1][1]
    return BurstReport(
        volume=volume,
        sources=_sources(known),
        moments=moments,
        parts=tuple(_parts(known, moments, recent, volume)),
        forecast=replace(
            _forecast([each.load for each in recent], [each.parts for each in recent], last),
            is_behind=recent[-1] is not known[-1],
        ),
        gauge=last,
        warning=_warning(devices, moments, gauge),
    )


def _step_demands(
    steps: Sequence[LoadStep], writes: float, devices: Sequence[DeviceInterval]
) -> Iterator[_StepDemand]:
    """Yield what each step asked of a volume, and what each time between them did."""
    each = ServerReads.total(step.reads for step in steps).per_block.shared
    times = list(_times_of(steps))
    told = align(devices, [(since, until) for since, until, _ in times])
    blocks = attribute_blocks(step.ranking for step in steps)
    counted = [
        None
        if step is None
        else load_of(step.reads, step.seconds, step.ranking.explained.block_size, each)
        for _, _, step in times
    ]
    rates = _Rates.of(told, [0.0 if of is None else of[0].operations or 0.0 for of in counted])
    for (since, until, step), device, of_step in zip(times, told, counted, strict=True):
        extent = (until - since).total_seconds()
        by_part = {} if step is None else next(blocks)
        if device is not None and device.is_enough:
            yield _measured(since, until, device, by_part)
        elif step is None or of_step is None:
            yield _StepDemand(since, until, Load(extent, None, None), {}, None)
        elif rates is not None:
            yield rates.filled(since, until, device, of_step[0].operations or 0.0, by_part)
        else:
            load, provenance = of_step
            parts = split_operations(load.operations or 0.0, by_part)
            if writes:
                parts[WRITES] = writes * step.seconds
                load = replace(load, operations=sum(parts.values()))
            yield _StepDemand(since, until, load, parts, provenance, extent - step.seconds)


def _times_of(steps: Sequence[LoadStep]) -> Iterator[tuple[datetime, datetime, LoadStep | None]]:
    """Yield steps with their times, and the gaps between them."""
    end: datetime | None = None
    for step in steps:
        if end is not None and (step.since - end).total_seconds() > SHORTEST_GAP:
            yield end, step.since, None
        yield step.since, step.until, step
        end = step.until


def _measured(
    since: datetime, until: datetime, device: Overlap, blocks: Mapping[str, float]
) -> _StepDemand:
    """Return what a device did in a step: nothing is estimated but whose reads they were."""
    reads, writes, *volumes = (
        amount / device.share
        for amount in (device.reads, device.writes, device.read_bytes, device.write_bytes)
    )
    parts = split_operations(reads, blocks) | {WRITES: writes}
    load = Load((until - since).total_seconds(), reads + writes, sum(volumes))
    return _StepDemand(since, until, load, parts, Provenance(device.source.value))


@dataclass(frozen=True, slots=True)
class _Rates:
    """What a device did where it tells, for steps of which it does not.

    each: its reads for each that the server counted meanwhile.  reads, writes: a second.  size:
    bytes of each.
    """

    each: float | None
    reads: float
    writes: float
    size: float

    @classmethod
    def of(cls, told: Sequence[Overlap | None], counted: Sequence[float]) -> "_Rates | None":
        """Return what is told as rates; None if no step is told well enough."""
        there = [(each, n) for each, n in zip(told, counted, strict=True) if each is not None]
        if not any(each.is_enough for each, _ in there):
            return None
        reads = sum(each.reads for each, _ in there)
        writes = sum(each.writes for each, _ in there)
        volume = sum(each.read_bytes + each.write_bytes for each, _ in there)
        seconds = sum(each.seconds for each, _ in there)
        asked = sum(n * each.share for each, n in there)
        return cls(
            each=reads / asked if asked else None,
            reads=reads / seconds,
            writes=writes / seconds,
            size=volume / (reads + writes) if reads + writes else 0.0,
        )

    def filled(
        self,
        since: datetime,
        until: datetime,
        device: Overlap | None,
        counted: float,
        blocks: Mapping[str, float],
    ) -> _StepDemand:
        """Return what is told of a step, and for the rest of it what is usual."""
        seconds = (until - since).total_seconds()
        share = 1.0 if device is None else 1.0 - device.share
        reads = (self.reads * seconds if self.each is None else self.each * counted) * share
        writes = self.writes * seconds * share
        if device is not None:
            reads, writes = reads + device.reads, writes + device.writes
        parts = split_operations(reads, blocks) | {WRITES: writes}
        load = Load(seconds, reads + writes, (reads + writes) * self.size)
        return _StepDemand(since, until, load, parts, Provenance.ESTIMATED)


def _times(factor: float, asked: _StepDemand) -> _StepDemand:
    """Return what is asked of a volume if reads are multiplied, and writes are not."""
    if factor == 1.0 or asked.provenance is None:
        return asked
    scaled = {name: n * (1.0 if name == WRITES else factor) for name, n in asked.parts.items()}
    operations, whole = sum(scaled.values()), sum(asked.parts.values())
    # What is written is counted in bytes too, where it is known: of operations of the same size.
    volume = (asked.load.read_bytes or 0.0) * (operations / whole if whole else 1.0)
    return replace(asked, load=Load(asked.load.seconds, operations, volume), parts=scaled)


def _warning(
    devices: Sequence[DeviceInterval], moments: Sequence[BalancePoint], gauge: CreditBucket
) -> tuple[tuple[float, float], ...]:
    """Return balances that CloudWatch told and the model's at the same time, as shares.

    Nothing without a model.  What it tells is the mean of its interval: the balance of its middle.
    """
    if gauge.volume.credits is None:
        return ()
    told = sorted(
        (each.begin + timedelta(seconds=each.seconds / 2), each.burst_balance / 100)
        for each in devices
        if each.burst_balance is not None
    )
    before = [gauge.low, *(moment.balance.low for moment in moments)]
    return tuple(
        (balance, low + (moment.balance.low - low) * ((middle - moment.since)
                                                      / (moment.until - moment.since)))
        for middle, balance in told
        for low, moment in zip(before, moments, strict=False)
        if moment.since <= middle < moment.until
    )  # fmt: skip


def _sources(asked: Sequence[_StepDemand]) -> dict[Provenance, float]:
    """Return how operations are known, and of how many seconds, most of the time first."""
    seconds: dict[Provenance, float] = {}
    for each in asked:
        if each.provenance is not None:
            seconds[each.provenance] = seconds.get(each.provenance, 0.0) + each.load.seconds
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _recent(asked: Sequence[_StepDemand]) -> Sequence[_StepDemand]:
    """Return the steps at the end that make up a tenth of the time."""
    wanted = RECENT_SHARE * sum(each.load.seconds for each in asked)
    count, seconds = 0, 0.0
    for each in reversed(asked):
        if count and seconds >= wanted:
            break
        count, seconds = count + 1, seconds + each.load.seconds
    return asked[-count:]


def _moments(
    asked: Sequence[_StepDemand], gauge: CreditBucket
) -> Iterator[tuple[BalancePoint, CreditBucket]]:
    """Yield the steps, with what nobody watched between them, and the gauge after each."""
    for each in asked:
        gauge, balance = gauge.advance(each.load)
        if each.missed > SHORTEST_GAP:
            # Not watched all the time: what was asked meanwhile may have been anything.
            gauge, unknown = gauge.advance(Load(each.missed, None, None))
            balance = replace(balance, low=unknown.low, high=unknown.high)
        yield (
            BalancePoint(
                each.since, each.until, each.load.seconds, balance, each.parts, each.provenance
            ),
            gauge,
        )


def _parts(
    asked: Sequence[_StepDemand],
    moments: Sequence[BalancePoint],
    recent: Sequence[_StepDemand],
    volume: Volume,
) -> Iterator[BurstPart]:
    """Yield what each part asked for; what is burned in a step is shared as the demand is."""
    seconds = sum(each.load.seconds for each in asked)
    lately = sum(each.load.seconds for each in recent)
    given = {moment.since: moment.balance.admitted for moment in moments}
    totals: dict[str, float] = {}
    latest: dict[str, float] = {}
    burned: dict[str, float] = {}
    for each in asked:
        whole = sum(each.parts.values())
        above = max((given[each.since] or 0.0) - volume.baseline, 0.0) * each.load.seconds
        for name, operations in each.parts.items():
            totals[name] = totals.get(name, 0.0) + operations
            burned[name] = burned.get(name, 0.0) + (above * operations / whole if whole else 0.0)
    for each in recent:
        for name, operations in each.parts.items():
            latest[name] = latest.get(name, 0.0) + operations
    whole = sum(totals.values())
    for name, operations in sorted(totals.items(), key=lambda item: -item[1]):
        yield BurstPart(
            name=name,
            per_s=operations / seconds if seconds else 0.0,
            recent_per_s=latest.get(name, 0.0) / lately if lately else 0.0,
            burned=burned[name] if volume.credits is not None else 0.0,
            share=operations / whole if whole else 0.0,
        )


def _forecast(
    loads: Sequence[Load], parts: Sequence[Mapping[str, float]], gauge: CreditBucket
) -> Forecast:
    seconds = sum(load.seconds for load in loads)
    volume = gauge.volume
    together = Load(
        seconds,
        sum(load.operations or 0.0 for load in loads),
        sum(load.read_bytes or 0.0 for load in loads),
    )
    rate = together.rate(volume) or 0.0
    operations: dict[str, float] = {}
    for each in parts:
        for name, count in each.items():
            operations[name] = operations.get(name, 0.0) + count
    whole = sum(operations.values()) or 1.0
    # Where the instance keeps demand below the baseline nothing has to go.
    excess = max(rate - volume.baseline, 0.0) if volume.ceiling > volume.baseline else 0.0
    # Shares of the demand: on an HDD it is not operations that count.
    rates = {name: rate * count / whole for name, count in operations.items()}
    most, size = together.most(volume), together.size(volume)
    to_empty = gauge.to_empty(min(rate, most), size)
    # Of an empty bucket the volume gives its baseline, and that alone tires the instance.
    given = min(rate, most, volume.baseline) if to_empty == 0 else min(rate, most)
    return Forecast(
        seconds=seconds,
        rate=rate,
        use=rate / most if most else 0.0,
        to_empty=to_empty,
        to_refill=gauge.to_refill(min(rate, most)) if gauge.low < 1.0 else None,
        burst_ends_in=gauge.burst_ends_in(given, size),
        excess=excess,
        must_drop=must_drop(excess, rates),
    )
