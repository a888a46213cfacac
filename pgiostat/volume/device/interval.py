"""What a device did in a time, and how such times are added up."""

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
    """Who counted."""

    DISKSTATS = "diskstats"
    CLOUDWATCH = "cloudwatch"


def origin(word: str) -> Origin | str:
    """Return the origin of that name; the word itself if this version does not know it.

    A later version may have written it: it is shown, and no calculation uses it.

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
        "time that reads took, added up over all of them; by /proc/diskstats alone",
    ),
    "burst_balance": (
        Unit.PERCENT,
        "BurstBalance: what is left of a gp2 volume's I/O credits; by CloudWatch alone",
    ),
    "io_balance": (
        Unit.PERCENT,
        "EBSIOBalance%: what is left of the instance's I/O credits; by CloudWatch alone",
    ),
    "byte_balance": (
        Unit.PERCENT,
        "EBSByteBalance%: what is left of the instance's throughput credits; by CloudWatch alone",
    ),
}
"""What is told of a device in an interval, with the unit that people are shown."""

GAUGES = tuple(name for name, (unit, _) in MEASURED.items() if unit is Unit.PERCENT)
"""What is not counted but read, as it was in the interval."""


@dataclass(frozen=True, slots=True)
class DeviceInterval:
    """What a device did from one instant on, for so many seconds; None where it is not told.

    name: of the device, or of the instance or cluster whose volume it is.  read_time:
    microseconds.  MEASURED says what each number is.
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
        """When it ends."""
        return self.begin + timedelta(seconds=self.seconds)


class DeviceSource(Protocol):
    """Tells what a device did since it was asked last."""

    @property
    def description(self) -> str:
        """Which device, and who counts, in a few words."""

    @property
    def every(self) -> float | None:
        """Seconds between two looks; None: at each reading of the server."""

    def poll(self) -> list[DeviceInterval]:
        """Return what is new.  Raises PgiostatError; then it is asked again later."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A count over the intervals that tell it, and how long these were; total: None if none does.

    >>> Amount(1200, 60.0).per_second
    20.0
    """

    total: int | None = None
    seconds: float = 0.0

    @property
    def per_second(self) -> float | None:
        """Its rate, over the time in which it is known."""
        return per_second(self.total, self.seconds)


@dataclass(frozen=True, slots=True)
class DeviceTotal:
    """What a device did in a window, by one source.

    server: whose it is, where several are told of.  known: the share of the window in which reads
    are known.  read_time: microseconds, of
    timed_reads: those of intervals that tell both.  burst_balance, io_balance, byte_balance: per
    cent, the newest that is told; lowest_burst_balance: the lowest.
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
        """How long a read took on average: what iostat calls r_await."""
        if self.read_time is None or not self.timed_reads:
            return None
        return us_to_milliseconds(self.read_time) / self.timed_reads


def totals(
    intervals: Iterable[DeviceInterval], since: datetime, until: datetime
) -> list[DeviceTotal]:
    """Return what each device did in a window, by source and name.

    An interval belongs to the window in which it begins.  Two sources, or an instance and the
    volume of its cluster, count the same reads: they are never added to each other.
    """
    whose = attrgetter("source", "name")
    inside = [each for each in intervals if since <= each.begin < until]
    ordered = sorted(inside, key=attrgetter("source", "name", "begin"))
    return [
        _total(source, name, list(those), since, until)
        for (source, name), those in groupby(ordered, whose)
    ]


def _total(
    source: Origin | str,
    name: str,
    those: Sequence[DeviceInterval],
    since: datetime,
    until: datetime,
) -> DeviceTotal:
    window = (until - since).total_seconds()
    within = sum(
        (min(each.end, until) - each.begin).total_seconds()
        for each in those
        if each.reads is not None
    )
    timed = [
        (each.read_time, each.reads)
        for each in those
        if each.read_time is not None and each.reads is not None
    ]
    balances = [each.burst_balance for each in those if each.burst_balance is not None]
    return DeviceTotal(
        source=source,
        name=name,
        known=min(1.0, within / window),
        reads=_amount(those, "reads"),
        read_bytes=_amount(those, "read_bytes"),
        writes=_amount(those, "writes"),
        write_bytes=_amount(those, "write_bytes"),
        read_time=sum(took for took, _ in timed) if timed else None,
        timed_reads=sum(reads for _, reads in timed) if timed else None,
        burst_balance=_newest(those, "burst_balance"),
        lowest_burst_balance=min(balances, default=None),
        io_balance=_newest(those, "io_balance"),
        byte_balance=_newest(those, "byte_balance"),
    )


def _amount(those: Sequence[DeviceInterval], name: str) -> Amount:
    known = [each for each in those if getattr(each, name) is not None]
    if not known:
        return Amount()
    return Amount(sum(getattr(each, name) for each in known), sum(each.seconds for each in known))


def _newest(those: Sequence[DeviceInterval], name: str) -> float | None:
    told = (getattr(each, name) for each in reversed(those))
    return next((value for value in told if value is not None), None)
