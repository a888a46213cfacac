"""Who emptied the bucket: a time of rankings against a volume."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pgiostat.burst import Balance, Gauge, Load, to_go
from pgiostat.delta import Delta
from pgiostat.device.interval import DeviceInterval, DeviceTotal, Origin, totals
from pgiostat.ledger import Account, reads_of
from pgiostat.rank import Ranking
from pgiostat.units import blocks_to_bytes
from pgiostat.volumes import Volume

__all__ = [
    "MEANINGS",
    "Burning",
    "Forecast",
    "Moment",
    "Part",
    "Provenance",
    "burning",
    "demanded",
    "load_of",
]

RECENT_SHARE = 0.1
"""What a forecast goes by is the last tenth of the time."""
SHORTEST_GAP = 0.5
WRITES = "writes"
LEAST_KNOWN = 0.8
"""A device is believed for a step of which it tells so much."""


class Provenance(StrEnum):
    """Where the number of operations is from."""

    DISKSTATS = "diskstats"
    CLOUDWATCH = "cloudwatch"
    PG_STAT_IO = "pg_stat_io"
    BLOCKS = "blocks"


MEANINGS = {
    Provenance.DISKSTATS: "reads and writes of the device by /proc/diskstats, shared as blocks are",
    Provenance.CLOUDWATCH: "reads and writes of the volume by CloudWatch, shared as blocks are",
    Provenance.PG_STAT_IO: "blocks read, times the operations for each block by pg_stat_io",
    Provenance.BLOCKS: "blocks read, an upper bound: one operation may fetch several, and the"
    " operating system's cache answers some",
}


def demanded(
    ranking: Ranking, writes: float = 0.0, device: DeviceTotal | None = None
) -> tuple[Load, Mapping[str, float], Provenance]:
    """Return what a ranking's reads ask of a volume, by part of the ranking, and how we know.

    writes: operations a second that are known to be written, a part of their own.  device: what it
    did meanwhile, reads and writes: then nothing is estimated but whose reads they were.
    """
    blocks = _blocks(ranking)
    if device is not None and device.reads.per_second is not None:
        return _measured(ranking.seconds, blocks, device)
    each = ranking.explained.per_block.shared
    provenance = Provenance.BLOCKS if each is None else Provenance.PG_STAT_IO
    operations = {name: n * (1.0 if each is None else each) for name, n in blocks.items()}
    if writes:
        operations[WRITES] = writes * ranking.seconds
    read = blocks_to_bytes(ranking.whole, ranking.explained.block_size)
    return Load(ranking.seconds, sum(operations.values()), float(read)), operations, provenance


def _measured(
    seconds: float, blocks: Mapping[str, int], device: DeviceTotal
) -> tuple[Load, Mapping[str, float], Provenance]:
    reads, writes, *volumes = (
        (amount.per_second or 0.0) * seconds
        for amount in (device.reads, device.writes, device.read_bytes, device.write_bytes)
    )
    whole = sum(blocks.values())
    operations = {name: reads * n / whole for name, n in blocks.items()} if whole else {}
    if not whole:
        operations[Account.UNATTRIBUTED.value] = reads
    operations[WRITES] = writes
    return Load(seconds, reads + writes, sum(volumes)), operations, Provenance(device.source.value)


def _blocks(ranking: Ranking) -> dict[str, int]:
    """Return the blocks of each part of a ranking."""
    rows = [*ranking.rows, ranking.rest, ranking.own]
    blocks = {row.name: row.cost.blocks for row in rows if row is not None}
    for line in ranking.lines:
        # What the server counts later than its statements is no demand less than nothing.
        blocks[line.account.value] = max(line.blocks, 0)
    return blocks


def load_of(delta: Delta, writes: float = 0.0) -> tuple[Load, Provenance]:
    """Return what all reads of an interval ask of a volume, and so many writes a second."""
    reads, seconds = reads_of(delta), delta.seconds or 0.0
    blocks = max(reads.blocks or 0, delta.statement_blocks)
    each = reads.per_block.shared
    operations = blocks * (1.0 if each is None else each) + writes * seconds
    load = Load(seconds, operations, float(blocks_to_bytes(blocks, delta.settings.block_size)))
    return load, Provenance.BLOCKS if each is None else Provenance.PG_STAT_IO


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of the time: its balance at the end, and operations by part; none in a gap."""

    since: datetime
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


Asked = tuple[datetime, Load, Mapping[str, float], Provenance]


def burning(
    steps: Sequence[tuple[datetime, Ranking]],
    step: timedelta,
    gauge: Gauge,
    writes: float = 0.0,
    devices: Sequence[DeviceInterval] = (),
    *,
    reads: float = 1.0,
) -> Burning:
    """Return what steps of a time did to a bucket.

    steps: when each begins, and its ranking by category, in the order of the whole time's.
    devices: what the device of the server did, if that is known.  reads: as if so many times as
    much had been read.
    """
    asked = [
        (
            since,
            *_times(reads, *demanded(ranking, writes, _of_device(devices, since, ranking.seconds))),
        )
        for since, ranking in steps
    ]
    stood = list(_moments(asked, step, gauge))
    moments = tuple(moment for moment, _ in stood)
    loads = [load for _, load, _, _ in asked]
    recent = _recent(loads)
    volume = gauge.volume
    last = stood[-1][1]
    return Burning(
        volume=volume,
        provenance=_usual(asked),
        moments=moments,
        parts=tuple(_parts(asked, moments, recent, volume)),
        forecast=_forecast(loads[-recent:], [parts for _, _, parts, _ in asked[-recent:]], last),
        gauge=last,
        told=_told(devices, moments),
    )


def _times(
    factor: float, load: Load, parts: Mapping[str, float], provenance: Provenance
) -> tuple[Load, Mapping[str, float], Provenance]:
    """Return what is asked of a volume if reads are multiplied, and writes are not."""
    if factor == 1.0:
        return load, parts, provenance
    scaled = {name: n * (1.0 if name == WRITES else factor) for name, n in parts.items()}
    operations = sum(scaled.values())
    whole = sum(parts.values())
    # What is written is counted in bytes too, where it is known: of operations of the same size.
    volume = (load.read_bytes or 0.0) * (operations / whole if whole else 1.0)
    return Load(load.seconds, operations, volume), scaled, provenance


def _of_device(
    devices: Sequence[DeviceInterval], since: datetime, seconds: float
) -> DeviceTotal | None:
    """Return what the device did in a step: the kernel's word before CloudWatch's."""
    found = totals(devices, since, since + timedelta(seconds=seconds)) if seconds > 0 else []
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
        if moment.since <= begin < moment.since + timedelta(seconds=moment.seconds)
    )


def _usual(asked: Sequence[Asked]) -> Provenance:
    """Return where the numbers of most of the time are from."""
    seconds: Counter[Provenance] = Counter()
    for _, load, _, provenance in asked:
        seconds[provenance] += load.seconds  # type: ignore[assignment] # seconds are no integers
    return max(seconds, key=lambda each: seconds[each])


def _recent(loads: Sequence[Load]) -> int:
    """Return how many steps at the end make up a tenth of the time."""
    wanted = RECENT_SHARE * sum(load.seconds for load in loads)
    count, seconds = 0, 0.0
    for load in reversed(loads):
        if count and seconds >= wanted:
            break
        count, seconds = count + 1, seconds + load.seconds
    return count


def _moments(
    asked: Sequence[Asked], step: timedelta, gauge: Gauge
) -> Iterator[tuple[Moment, Gauge]]:
    """Yield the steps, with what nobody watched between them, and the gauge after each."""
    end: datetime | None = None
    for since, load, operations, _ in asked:
        missing = 0.0 if end is None else (since - end).total_seconds()
        if end is not None and missing > SHORTEST_GAP * step.total_seconds():
            gauge, balance = gauge.advance(Load(missing, None, None))
            yield Moment(end, missing, balance, {}), gauge
        gauge, balance = gauge.advance(load)
        yield Moment(since, load.seconds, balance, operations), gauge
        end = since + timedelta(seconds=load.seconds)


def _parts(
    asked: Sequence[Asked], moments: Sequence[Moment], recent: int, volume: Volume
) -> Iterator[Part]:
    """Yield what each part asked for; what is burned in a step is shared as the demand is."""
    seconds = sum(load.seconds for _, load, _, _ in asked)
    lately = sum(load.seconds for _, load, _, _ in asked[-recent:])
    given = {moment.since: moment.balance.given for moment in moments}
    totals: dict[str, float] = {}
    latest: dict[str, float] = {}
    burned: dict[str, float] = {}
    for number, (since, load, parts, _) in enumerate(asked):
        whole = sum(parts.values())
        above = max((given[since] or 0.0) - volume.baseline, 0.0) * load.seconds
        for name, operations in parts.items():
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
