"""Counts of a device over an interval, and their totals over a time window."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from pgiostat.units import Unit, per_second, us_to_milliseconds

__all__ = [
    "GAUGES",
    "MEASURED",
    "Amount",
    "DeviceInterval",
    "DeviceSource",
    "DeviceTotal",
    "Origin",
    "origin",
    "totals",
]


class Origin(StrEnum):
    """The source of device counters."""

    DISKSTATS = "diskstats"
    CLOUDWATCH = "cloudwatch"


def origin(word: str) -> Origin | str:
    """Return the origin of a name; the name itself if a later version wrote it.

    Such a name is shown, and no calculation uses it.

    >>> origin("cloudwatch"), origin("azure")
    (<Origin.CLOUDWATCH: 'cloudwatch'>, 'azure')
    """
    try:
        return Origin(word)
    except ValueError:
        return word


MEASURED: Mapping[str, tuple[Unit, str]] = {
    "reads": (Unit.OPERATIONS, "reads completed"),
    "read_bytes": (Unit.BYTES, "bytes read; empty for an Aurora volume"),
    "writes": (Unit.OPERATIONS, "writes completed; empty for an Aurora volume"),
    "write_bytes": (Unit.BYTES, "bytes written; empty for an Aurora volume"),
    "read_time": (
        Unit.MILLISECONDS,
        "total time of all reads; only from /proc/diskstats",
    ),
    "burst_balance": (
        Unit.PERCENT,
        "BurstBalance: remaining I/O credits of a gp2 volume; only from CloudWatch",
    ),
    "io_balance": (
        Unit.PERCENT,
        "EBSIOBalance%: remaining I/O credits of the instance; only from CloudWatch",
    ),
    "byte_balance": (
        Unit.PERCENT,
        "EBSByteBalance%: remaining throughput credits of the instance; only from CloudWatch",
    ),
}
"""The amounts of an interval, each with the unit of reports and its meaning."""

GAUGES = tuple(name for name, (unit, _) in MEASURED.items() if unit is Unit.PERCENT)
"""Levels within an interval; all other amounts are totals."""


@dataclass(frozen=True, slots=True)
class DeviceInterval:
    """Counts of a device over some seconds from an instant; None where unknown.

    name is that of the device, or of the instance or cluster of its volume.  MEASURED has the
    meaning of each amount; read_time is in microseconds.
    """

    begin: datetime
    seconds: float
    source: Origin | str
    name: str
    reads: int | None = None
    read_bytes: int | None = None
    writes: int | None = None
    write_bytes: int | None = None
    read_time: int | None = None
    burst_balance: float | None = None
    io_balance: float | None = None
    byte_balance: float | None = None

    @property
    def end(self) -> datetime:
        """Time of its end."""
        return self.begin + timedelta(seconds=self.seconds)


class DeviceSource(Protocol):
    """A source of device intervals."""

    @property
    def description(self) -> str:
        """The device and the source, in a few words."""

    @property
    def every(self) -> float | None:
        """Seconds between two polls; None: at each snapshot of the server."""

    def poll(self) -> list[DeviceInterval]:
        """Return new intervals; raise PgiostatError if a later poll may succeed."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A total over the intervals that have it, and their seconds; None if none has it.

    >>> Amount(1200, 60.0).per_second
    20.0
    """

    total: int | None = None
    seconds: float = 0.0

    @property
    def per_second(self) -> float | None:
        """Its rate over these intervals."""
        return per_second(self.total, self.seconds)


@dataclass(frozen=True, slots=True)
class DeviceTotal:
    """Totals of a device in a time window, by one source.

    Attributes:
        name: Of the device, or of the instance or cluster of its volume.
        known: Share of the window in which reads are known.
        read_time: Microseconds of timed_reads; None if no interval has both.
        timed_reads: Operations of the intervals that have both.
        burst_balance: Per cent, the newest.
        io_balance: Per cent, the newest.
        byte_balance: Per cent, the newest.
        server: Its label, where several servers are reported.
    """

    source: Origin | str
    name: str
    known: float
    reads: Amount
    read_bytes: Amount
    writes: Amount
    write_bytes: Amount
    read_time: int | None
    timed_reads: int | None
    burst_balance: float | None
    lowest_burst_balance: float | None
    io_balance: float | None
    byte_balance: float | None
    server: str = ""

    @property
    def read_await_ms(self) -> float | None:
        """Mean time of a read in ms: r_await of iostat."""
        if self.read_time is None or not self.timed_reads:
            return None
        return us_to_milliseconds(self.read_time) / self.timed_reads


def totals(
    intervals: Iterable[DeviceInterval], since: datetime, until: datetime
) -> list[DeviceTotal]:
    """Return the totals of each device in a time window, by source and name.

    An interval belongs to the window in which it begins.  Two sources, or an instance and the
    volume of its cluster, count the same reads: they are never added to each other.
    """
    inside = [each for each in intervals if since <= each.begin < until]
    ordered = sorted(inside, key=attrgetter("source", "name", "begin"))
    return [
        _total(source, name, list(group), since, until)
        for (source, name), group in groupby(ordered, attrgetter("source", "name"))
    ]


def _total(
    source: Origin | str,
    name: str,
    group: Sequence[DeviceInterval],
    since: datetime,
    until: datetime,
) -> DeviceTotal:
    window = (until - since).total_seconds()
    within = sum(
        (min(each.end, until) - each.begin).total_seconds()
        for each in group
        if each.reads is not None
    )
    timed = [
        (each.read_time, each.reads)
        for each in group
        if each.read_time is not None and each.reads is not None
    ]
    balances = [each.burst_balance for each in group if each.burst_balance is not None]
    return DeviceTotal(
        source=source,
        name=name,
        known=min(1.0, within / window),
        reads=_amount(group, "reads"),
        read_bytes=_amount(group, "read_bytes"),
        writes=_amount(group, "writes"),
        write_bytes=_amount(group, "write_bytes"),
        read_time=sum(took for took, _ in timed) if timed else None,
        timed_reads=sum(reads for _, reads in timed) if timed else None,
        burst_balance=_newest(group, "burst_balance"),
        lowest_burst_balance=min(balances, default=None),
        io_balance=_newest(group, "io_balance"),
        byte_balance=_newest(group, "byte_balance"),
    )


def _amount(group: Sequence[DeviceInterval], name: str) -> Amount:
    known = [each for each in group if getattr(each, name) is not None]
    if not known:
        return Amount()
    return Amount(sum(getattr(each, name) for each in known), sum(each.seconds for each in known))


def _newest(group: Sequence[DeviceInterval], name: str) -> float | None:
    values = (getattr(each, name) for each in reversed(group))
    return next((value for value in values if value is not None), None)
