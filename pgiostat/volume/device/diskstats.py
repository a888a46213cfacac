"""The kernel's counters of a block device, from /proc/diskstats.

The fields: Documentation/admin-guide/iostats.rst of the kernel.  After major and minor number and
name: reads completed, reads merged, sectors read, milliseconds spent reading, then the same of
writes, and more since.  A sector is 512 bytes there, whatever the device's own is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.volume.device.interval import DeviceInterval, Origin

__all__ = ["Counters", "Diskstats", "difference", "parse"]

SECTOR_BYTES = 512
_FIELDS = 11
"""Of a device; before Linux 2.6.25 partitions had four, with other meanings."""
_US_PER_MS = 1000


@dataclass(frozen=True, slots=True)
class Counters:
    """A row of /proc/diskstats: totals of a device since the machine started."""

    major: int
    minor: int
    name: str
    reads: int
    sectors_read: int
    ms_reading: int
    writes: int
    sectors_written: int


def parse(text: str) -> dict[tuple[int, int], Counters]:
    """Return the rows of /proc/diskstats by major and minor number."""
    found = {}
    for line in text.splitlines():
        major, minor, name, *fields = line.split()
        if len(fields) < _FIELDS:
            continue
        reads, _, sectors_read, ms_reading, writes, _, sectors_written = map(int, fields[:7])
        found[int(major), int(minor)] = Counters(
            int(major), int(minor), name, reads, sectors_read, ms_reading, writes, sectors_written
        )
    return found


def difference(
    older: Counters, newer: Counters, begin: datetime, seconds: float
) -> DeviceInterval | None:
    """Return the difference of two rows; None if it is unknown.

    Counters start at zero when a device is attached again, and on a 32 bit kernel after 2^32: a
    falling counter leaves the interval unknown.  Milliseconds have 32 bits on every kernel, and
    overflow by themselves: then only the time of reads is unknown.

    Args:
        begin: Time of the older row.
        seconds: Length by a monotonic clock.
    """
    grown = [
        getattr(newer, name) - getattr(older, name)
        for name in ("reads", "sectors_read", "writes", "sectors_written")
    ]
    if seconds <= 0 or older.name != newer.name or min(grown) < 0:
        return None
    took = (newer.ms_reading - older.ms_reading) * _US_PER_MS
    return DeviceInterval(
        begin=begin,
        seconds=seconds,
        source=Origin.DISKSTATS,
        name=newer.name,
        reads=grown[0],
        read_bytes=grown[1] * SECTOR_BYTES,
        writes=grown[2],
        write_bytes=grown[3] * SECTOR_BYTES,
        read_time=took if took >= 0 else None,
    )


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Diskstats:
    """The counters of one device.

    Attributes:
        what: The device in words.
        clock: Monotonic seconds.
    """

    number: tuple[int, int]
    what: str
    clock: Callable[[], float]
    now: Callable[[], datetime] = _now
    path: Path = Path("/proc/diskstats")
    every: float | None = None
    _older: Counters | None = None
    _read_at: float = field(default=0.0)

    @property
    def description(self) -> str:
        """The device, and the source."""
        return f"{self.what}, by /proc/diskstats"

    def poll(self) -> list[DeviceInterval]:
        """Return the interval since the last poll; nothing the first time.

        Raises:
            PgiostatError: device-missing.
        """
        try:
            newer = parse(self.path.read_text("ascii", "replace")).get(self.number)
        except (OSError, ValueError) as error:
            self._older = None
            raise _missing(self.what, str(error)) from None
        read_at = self.clock()
        if newer is None:
            self._older = None
            raise _missing(self.what, "It has no row in /proc/diskstats.")
        older, self._older = self._older, newer
        seconds, self._read_at = read_at - self._read_at, read_at
        if older is None:
            return []
        found = difference(older, newer, self.now() - timedelta(seconds=seconds), seconds)
        return [] if found is None else [found]


def _missing(what: str, detail: str) -> PgiostatError:
    return PgiostatError(f"device {what} cannot be read", detail=detail, slug="device-missing")
