"""Who emptied the bucket: a time of rankings against a volume."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pgiostat.burst import Balance, Gauge, Load, to_go
from pgiostat.demand import Provenance, divided, load_of, shares
from pgiostat.device.interval import DeviceInterval, DeviceTotal, Origin, totals
from pgiostat.ledger import ServerReads
from pgiostat.rank import Ranking
from pgiostat.volumes import Volume

__all__ = ["Burning", "Forecast", "Moment", "Part", "Step", "burning"]

RECENT_SHARE = 0.1
"""What a forecast goes by is the last tenth of the time."""
SHORTEST_GAP = 0.05
"""Seconds: a time that is shorter is the clock's, and no gap in what was watched."""
WRITES = "writes"
LEAST_KNOWN = 0.8
"""A device is believed for a step of which it tells so much."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A step of a time: its readings, what was ranked between them, and the server's own count.

    since, until: of the first and of the last reading.  seconds: how much of that was watched.
    """

    since: datetime
    until: datetime
    seconds: float
    ranking: Ranking
    reads: ServerReads


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of the time: its balance at the end, and operations by part; none in a gap."""

    since: datetime
    until: datetime
    seconds: float
    balance: Balance
    operations: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """What one part asked for: operations a second, in all and lately; units of credit burned."""

    name: str
    per_s: float
    recent_per_s: float
    burned: float
    share: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What follows if it goes on as lately.

    rate: demand a second, in units of the volume.  use: as a share of what it gives at most, in
    operations or in bytes.  to_empty, to_refill: seconds, None if never.
    excess: what is asked above the baseline.  to_go: the fewest parts that make it up, None if all
    together do not.
    """

    seconds: float
    rate: float
    use: float
    to_empty: float | None
    to_refill: float | None
    excess: float
    to_go: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Burning:
    """A time against a volume.  told: CloudWatch's BurstBalance, and the model's beside it."""

    volume: Volume
    provenance: Provenance
    moments: tuple[Moment, ...]
    parts: tuple[Part, ...]
    forecast: Forecast
    gauge: Gauge
    told: tuple[tuple[float, float], ...] = ()

    @property
    def error(self) -> float | None:
        """By how much the model is off CloudWatch's BurstBalance on average, as a share."""
        if not self.told:
            return None
        return sum(abs(told - model) for told, model in self.told) / len(self.told)

    @property
    def lowest(self) -> Moment:
        """When least was left."""
        return min(self.moments, key=lambda moment: moment.balance.low)

    @property
    def over(self) -> float:
        """The most that was asked above what the volume can give, a second."""
        return max(moment.balance.over for moment in self.moments)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a step asked of a volume, by part, and how we know."""

    step: Step
    load: Load
    parts: Mapping[str, float]
    provenance: Provenance


def burning(
    steps: Sequence[Step],
    gauge: Gauge,
    writes: float = 0.0,
    devices: Sequence[DeviceInterval] = (),
    *,
    reads: float = 1.0,
) -> Burning:
    """Return what steps of a time did to a bucket.

    steps: with their rankings by category, in the order of the whole time's.  writes: operations a
    second that are known to be written.  devices: what the device of the server did, if that is
    known.  reads: as if so many times as much had been read.
    """
    asked = [_times(reads, each) for each in _asked(steps, writes, devices)]
    stood = list(_moments(asked, gauge))
    moments = tuple(moment for moment, _ in stood)
    loads = [each.load for each in asked]
    recent = _recent(loads)
    volume = gauge.volume
    last = stood[-1][1]
    return Burning(
        volume=volume,
        provenance=_usual(asked),
        moments=moments,
        parts=tuple(_parts(asked, moments, recent, volume)),
        forecast=_forecast(loads[-recent:], [each.parts for each in asked[-recent:]], last),
        gauge=last,
        told=_told(devices, moments),
    )


def _asked(
    steps: Sequence[Step], writes: float, devices: Sequence[DeviceInterval]
) -> Iterator[_Asked]:
    """Yield what each step asked of a volume."""
    each = ServerReads.total(step.reads for step in steps).per_block.shared
    blocks = shares(step.ranking for step in steps)
    for step, by_part in zip(steps, blocks, strict=True):
        device = _of_device(devices, step)
        if device is not None and device.reads.per_second is not None:
            yield _measured(step, by_part, device)
            continue
        load, provenance = load_of(
            step.reads, step.seconds, step.ranking.explained.block_size, each, writes
        )
        written = writes * step.seconds
        parts = divided((load.operations or 0.0) - written, by_part)
        yield _Asked(step, load, parts | ({WRITES: written} if written else {}), provenance)


def _measured(step: Step, blocks: Mapping[str, float], device: DeviceTotal) -> _Asked:
    """Return what a device did in a step: nothing is estimated but whose reads they were."""
    seconds = step.seconds
    reads, writes, *volumes = (
        (amount.per_second or 0.0) * seconds
        for amount in (device.reads, device.writes, device.read_bytes, device.write_bytes)
    )
    parts = divided(reads, blocks) | {WRITES: writes}
    load = Load(seconds, reads + writes, sum(volumes))
    return _Asked(step, load, parts, Provenance(device.source.value))


def _times(factor: float, asked: _Asked) -> _Asked:
    """Return what is asked of a volume if reads are multiplied, and writes are not."""
    if factor == 1.0:
        return asked
    scaled = {name: n * (1.0 if name == WRITES else factor) for name, n in asked.parts.items()}
    operations, whole = sum(scaled.values()), sum(asked.parts.values())
    # What is written is counted in bytes too, where it is known: of operations of the same size.
    volume = (asked.load.read_bytes or 0.0) * (operations / whole if whole else 1.0)
    return replace(asked, load=Load(asked.load.seconds, operations, volume), parts=scaled)


def _of_device(devices: Sequence[DeviceInterval], step: Step) -> DeviceTotal | None:
    """Return what the device did in a step: the kernel's word before CloudWatch's."""
    found = totals(devices, step.since, step.until) if step.seconds > 0 else []
    known = [each for each in found if each.known >= LEAST_KNOWN and each.writes.total is not None]
    return min(known, key=lambda each: list(Origin).index(each.source), default=None)


def _told(
    devices: Sequence[DeviceInterval], moments: Sequence[Moment]
) -> tuple[tuple[float, float], ...]:
    """Return balances that CloudWatch told and the model's at the same time, as shares."""
    told = sorted(
        (each.begin, each.burst_balance / 100) for each in devices if each.burst_balance is not None
    )
    return tuple(
        (balance, moment.balance.low)
        for begin, balance in told
        for moment in moments
        if moment.since <= begin < moment.until
    )


def _usual(asked: Sequence[_Asked]) -> Provenance:
    """Return where the numbers of most of the time are from."""
    seconds: Counter[Provenance] = Counter()
    for each in asked:
        seconds[each.provenance] += each.load.seconds  # type: ignore[assignment] # no integers
    return max(seconds, key=lambda source: seconds[source])


def _recent(loads: Sequence[Load]) -> int:
    """Return how many steps at the end make up a tenth of the time."""
    wanted = RECENT_SHARE * sum(load.seconds for load in loads)
    count, seconds = 0, 0.0
    for load in reversed(loads):
        if count and seconds >= wanted:
            break
        count, seconds = count + 1, seconds + load.seconds
    return count


def _moments(asked: Sequence[_Asked], gauge: Gauge) -> Iterator[tuple[Moment, Gauge]]:
    """Yield the steps, with what nobody watched between them, and the gauge after each."""
    end: datetime | None = None
    for each in asked:
        step = each.step
        missing = 0.0 if end is None else (step.since - end).total_seconds()
        if end is not None and missing > SHORTEST_GAP:
            gauge, balance = gauge.advance(Load(missing, None, None))
            yield Moment(end, step.since, missing, balance, {}), gauge
        gauge, balance = gauge.advance(each.load)
        missed = (step.until - step.since).total_seconds() - step.seconds
        if missed > SHORTEST_GAP:
            # Not watched all the time: what was asked meanwhile may have been anything.
            gauge, unknown = gauge.advance(Load(missed, None, None))
            balance = replace(balance, low=unknown.low, high=unknown.high)
        yield Moment(step.since, step.until, step.seconds, balance, each.parts), gauge
        end = step.until


def _parts(
    asked: Sequence[_Asked], moments: Sequence[Moment], recent: int, volume: Volume
) -> Iterator[Part]:
    """Yield what each part asked for; what is burned in a step is shared as the demand is."""
    seconds = sum(each.load.seconds for each in asked)
    lately = sum(each.load.seconds for each in asked[-recent:])
    given = {moment.since: moment.balance.given for moment in moments}
    totals: dict[str, float] = {}
    latest: dict[str, float] = {}
    burned: dict[str, float] = {}
    for number, each in enumerate(asked):
        whole = sum(each.parts.values())
        above = max((given[each.step.since] or 0.0) - volume.baseline, 0.0) * each.load.seconds
        for name, operations in each.parts.items():
            totals[name] = totals.get(name, 0.0) + operations
            burned[name] = burned.get(name, 0.0) + (above * operations / whole if whole else 0.0)
            if number >= len(asked) - recent:
                latest[name] = latest.get(name, 0.0) + operations
    whole = sum(totals.values())
    for name, operations in sorted(totals.items(), key=lambda item: -item[1]):
        yield Part(
            name=name,
            per_s=operations / seconds if seconds else 0.0,
            recent_per_s=latest.get(name, 0.0) / lately if lately else 0.0,
            burned=burned[name] if volume.credits is not None else 0.0,
            share=operations / whole if whole else 0.0,
        )


def _forecast(
    loads: Sequence[Load], parts: Sequence[Mapping[str, float]], gauge: Gauge
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
    most = together.most(volume)
    return Forecast(
        seconds=seconds,
        rate=rate,
        use=rate / most if most else 0.0,
        to_empty=gauge.to_empty(min(rate, most)),
        to_refill=gauge.to_refill(min(rate, most)) if gauge.low < 1.0 else None,
        excess=excess,
        to_go=to_go(excess, rates),
    )
