"""Reads of a device beside the reads of the server: what the operating system's cache served."""

from dataclasses import dataclass

from pgiostat.units import per_second, us_to_milliseconds

__all__ = ["DiskReads", "cached_share"]


def cached_share(server_bytes_per_s: float | None, disk_bytes_per_s: float | None) -> float | None:
    """Return the share of a server's reads that came from the operating system's cache.

    Returns:
        None if one of the two rates is unknown, if the server read nothing, or if the device read
        more than the server: then others read from it as well, and the share is unknown.

    >>> cached_share(200.0, 1.0), cached_share(200.0, 0.0), cached_share(200.0, 200.0)
    (0.995, 1.0, 0.0)
    >>> cached_share(None, 1.0), cached_share(200.0, None), cached_share(0.0, 0.0)
    (None, None, None)
    >>> cached_share(100.0, 200.0) is None
    True
    """
    if not server_bytes_per_s or disk_bytes_per_s is None:
        return None
    share = 1 - disk_bytes_per_s / server_bytes_per_s
    return share if share >= 0 else None


@dataclass(frozen=True, slots=True)
class DiskReads:
    """Reads of a device and of the server in the same intervals.

    Attributes:
        name: Of the device.
        seconds: Length of the intervals in which the device was measured.
        reads: Read operations of the device.
        read_bytes: Bytes that the device read; None if unknown.
        read_us: Microseconds that these operations took together; None if unknown.
        server_bytes: Bytes that the server read in these intervals; None if unknown.
    """

    name: str
    seconds: float
    reads: float
    read_bytes: float | None
    read_us: float | None
    server_bytes: float | None

    @property
    def reads_per_s(self) -> float | None:
        """Read operations of the device per second."""
        return per_second(self.reads, self.seconds)

    @property
    def bytes_per_s(self) -> float | None:
        """Bytes that the device read per second."""
        return per_second(self.read_bytes, self.seconds)

    @property
    def server_bytes_per_s(self) -> float | None:
        """Bytes that the server read per second."""
        return per_second(self.server_bytes, self.seconds)

    @property
    def await_ms(self) -> float | None:
        """Mean time of a read of the device in ms: r_await of iostat."""
        if self.read_us is None or not self.reads:
            return None
        return us_to_milliseconds(self.read_us) / self.reads

    @property
    def cached_share(self) -> float | None:
        """Share of the server's reads that came from the operating system's cache."""
        return cached_share(self.server_bytes_per_s, self.bytes_per_s)

    def __add__(self, other: "DiskReads") -> "DiskReads":
        """Return both; what is unknown in one of them is unknown in the sum.

        >>> both = DiskReads("a", 1.0, 5, 40.0, None, 80.0) + DiskReads("b", 3.0, 3, 0.0, 7.0, 80.0)
        >>> both
        DiskReads(name='b', seconds=4.0, reads=8, read_bytes=40.0, read_us=None, server_bytes=160.0)
        """
        return DiskReads(
            other.name,
            self.seconds + other.seconds,
            self.reads + other.reads,
            _sum(self.read_bytes, other.read_bytes),
            _sum(self.read_us, other.read_us),
            _sum(self.server_bytes, other.server_bytes),
        )


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b
