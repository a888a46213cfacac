"""The device of a server for people: its rates, and what the operating system's cache served."""

from rich.cells import cell_len

from pgiostat.escape import terminal
from pgiostat.render.column_format import column_format
from pgiostat.render.document import Piece
from pgiostat.units import UNKNOWN, format_await, format_bytes, format_count, format_share
from pgiostat.volume.device.page_cache import DiskReads, cached_share

__all__ = ["cache_sentence", "disk_pieces", "short_cache_sentence"]


def cache_sentence(server_bytes_per_s: float | None, disk_bytes_per_s: float | None) -> str:
    """Return the sentence on the operating system's cache; empty if its share is unknown.

    >>> mib = 2.0**20
    >>> cache_sentence(309 * mib, 1.5 * mib).split(": ")[0]
    "99.5 % of these blocks came from the operating system's cache"
    >>> cache_sentence(309 * mib, 1.5 * mib).split(": ")[1]
    '1.5 MiB/s of 309.0 MiB/s reached the disk'
    >>> cache_sentence(309 * mib, None)
    ''
    """
    return _sentence(
        "of these blocks came from the operating system's cache",
        server_bytes_per_s,
        disk_bytes_per_s,
    )


def short_cache_sentence(server_bytes_per_s: float | None, disk_bytes_per_s: float | None) -> str:
    """Return the same for a narrow screen.

    >>> short_cache_sentence(2.0**30, 2.0**20)
    '99.90 % from the OS cache: 1 MiB/s of 1,024 MiB/s reached the disk'
    """
    return _sentence("from the OS cache", server_bytes_per_s, disk_bytes_per_s)


def disk_pieces(disk: DiskReads, width: int) -> list[Piece]:
    """Return the line of a server's device: what reached it, and its own rates.

    >>> mib = 2.0**20
    >>> disk = DiskReads("sda", 2.0, 24, 3 * mib, 4800.0, 618 * mib)
    >>> "".join(text for text, _, _ in disk_pieces(disk, 100))  # doctest: +NORMALIZE_WHITESPACE
    'disk sda  99.5 % from the OS cache: 1.5 MiB/s of 309.0 MiB/s reached the disk  12 read IOPS
      r_await 0.20 ms'
    >>> disk = DiskReads("sda", 2.0, 24, 3 * mib, None, None)
    >>> "".join(text for text, _, _ in disk_pieces(disk, 100))
    'disk sda  1.50 MiB/s  OS cache –  12 read IOPS  r_await –'
    """
    rates = disk.server_bytes_per_s, disk.bytes_per_s
    name = f"disk {terminal(disk.name)}  "
    own = (
        f"  {format_count(disk.reads_per_s)} read IOPS",
        f"  r_await {format_await(disk.await_ms)}",
    )
    sentence = cache_sentence(*rates)
    if cell_len("".join((name, sentence, *own))) > width:
        sentence = short_cache_sentence(*rates)
    unknown = f"{format_bytes(disk.bytes_per_s)}/s  OS cache {UNKNOWN}"
    return [(name, "dim", 0), (sentence or unknown, "", 0), (own[0], "dim", 1), (own[1], "dim", 2)]


def _sentence(what: str, server: float | None, disk: float | None) -> str:
    share = cached_share(server, disk)
    if share is None:
        return ""
    rate = column_format(format_bytes, (server, disk))
    return f"{format_share(share)} {what}: {rate(disk)}/s of {rate(server)}/s reached the disk"
