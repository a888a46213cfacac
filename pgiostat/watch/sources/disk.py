"""The device of a server beside its intervals: measured now, or from a history."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from pgiostat.analysis.server_reads import ServerReads, reads_of, settled_blocks
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.snapshot import RESUMED
from pgiostat.units import blocks_to_bytes
from pgiostat.volume.device.align import align
from pgiostat.volume.device.backend_process import Whereabouts
from pgiostat.volume.device.discover import NONE, DeviceOption, choose
from pgiostat.volume.device.interval import DeviceInterval
from pgiostat.volume.device.page_cache import DiskReads
from pgiostat.volume.device.sampler import DeviceSampler

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LiveDisk", "RecordedDisk", "disk_reads", "server_bytes"]

LONGEST = timedelta(minutes=5)
"""No interval of a device is longer, except over an outage."""
KEPT = 8
"""Intervals of the device that may overlap the newest interval of the server."""


def disk_reads(
    devices: Iterable[DeviceInterval],
    since: datetime | None,
    until: datetime | None,
    server_bytes: float | None,
) -> DiskReads | None:
    """Return the reads of a device in an interval of the server.

    Args:
        devices: Intervals of the device, in any order.
        since: Start of the interval of the server.
        until: Its end.
        server_bytes: Bytes that the server read in it; None if unknown.

    Returns:
        None if less of it was measured than represents all of it.
    """
    if since is None or until is None or since >= until:
        return None
    (found,) = align(devices, [(since, until)])
    if found is None or not found.is_enough:
        return None
    return DiskReads(
        found.name,
        found.seconds,
        found.reads,
        found.read_bytes,
        found.read_us,
        None if server_bytes is None else server_bytes * found.share,
    )


def server_bytes(settled: int | None, statement_blocks: int, block_size: int) -> float | None:
    """Return the bytes that a server read in an interval.

    Without blocks in transit, as the total of a screen. Where these are not known, the greater of
    the two counts is what was read at least.

    >>> server_bytes(10, 12, 8192), server_bytes(None, 12, 8192)
    (98304.0, None)
    """
    if settled is None:
        return None
    return float(blocks_to_bytes(max(settled, statement_blocks), block_size))


class LiveDisk:
    """The device of a server of this machine, by the kernel.

    There is none for a server on another machine. A failure to measure leaves the reads of the
    device unknown.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        option = DeviceOption(cloudwatch=NONE)
        self._sampler = DeviceSampler(option, partial(choose, clock=clock), clock)
        self._session = RESUMED
        self._intervals: list[DeviceInterval] = []

    def reads(
        self, delta: Delta | None, whereabouts: Callable[[], Whereabouts | None]
    ) -> DiskReads | None:
        """Measure the device, and return its reads in an interval of the server.

        Args:
            delta: The interval; None after an error.
            whereabouts: Returns where the server is; an error leaves the reads unknown.
        """
        if delta is None:
            return None
        try:
            return self._reads(delta, whereabouts)
        except Exception:  # noqa: BLE001 - the device is an addition, and must not cost an interval
            return None

    def _reads(
        self, delta: Delta, whereabouts: Callable[[], Whereabouts | None]
    ) -> DiskReads | None:
        session = delta.newer.session
        if session != self._session:
            self._sampler.retarget(whereabouts())
            self._session = session
        new = self._sampler.poll()
        self._sampler.acknowledge(len(new))
        self._intervals = [*self._intervals, *new][-KEPT:]
        size = delta.settings.block_size
        settled = settled_blocks(reads_of(delta))
        read = server_bytes(settled, delta.statement_blocks, size)
        return disk_reads(self._intervals, delta.since, delta.until, read)

    def end(self) -> None:
        """Measure no more."""
        self._sampler.end()


class RecordedDisk:
    """The device of one server, as a history has it.

    Args:
        intervals: Those of the device.
        samples: Rows of each interval, as a history has them.
        reads_of: Returns the server's own counts of a row.
    """

    def __init__(
        self,
        intervals: Iterable[DeviceInterval],
        samples: "pa.Table",
        reads_of: Callable[[Mapping[str, Any]], ServerReads],
    ) -> None:
        self._intervals = sorted(intervals, key=lambda each: each.begin)
        self._begins = [each.begin for each in self._intervals]
        self._samples, self._reads_of = samples, reads_of

    def at(self, place: int, block_size: int) -> DiskReads | None:
        """Return its reads in an interval of the server; None if they were not measured."""
        if not self._intervals:
            return None
        row = self._samples.slice(place, 1).to_pylist()[0]
        since = row["ts"]
        until = since + timedelta(microseconds=row["dur_us"])
        settled = settled_blocks(self._reads_of(row))
        read = server_bytes(settled, row["statement_blocks"], block_size)
        return disk_reads(self._around(since, until), since, until, read)

    def between(self, first: int, last: int, block_size: int) -> DiskReads | None:
        """Return its reads in all intervals from one to the one before another."""
        each = (self.at(place, block_size) for place in range(first, last))
        known = [found for found in each if found is not None]
        return reduce(add, known) if known else None

    def _around(self, since: datetime, until: datetime) -> Sequence[DeviceInterval]:
        first = bisect_left(self._begins, since - LONGEST)
        return self._intervals[first : bisect_left(self._begins, until)]
