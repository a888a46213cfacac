"""A burst balance in a line."""

from pgiostat.units import format_count, format_duration, format_share
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.models import Volume

__all__ = ["gauge_line", "gauge_pieces", "left", "rate_text"]

SHOWN_DIFFERENCE = 0.0005


def gauge_line(gauge: CreditBucket, rate: float | None, use: float | None = None) -> str:
    """Return a burst balance in a line, with the time to empty or full at this rate.

    Args:
        gauge: The bucket of the volume.
        rate: Operations per second; None if unknown.
        use: The rate as a share of the limit of the volume.
    """
    return "".join(gauge_pieces(gauge, rate, use))


def gauge_pieces(
    gauge: CreditBucket, rate: float | None, use: float | None = None
) -> tuple[str, str, str]:
    """Return the line in pieces: the volume, optional words, and the balance."""
    volume = f"{gauge.volume.name}: "
    if gauge.volume.credits is None:
        ends = ""
        burst = None if rate is None else gauge.burst_ends_in(rate)
        if burst is not None:
            ends = f"ends in {format_duration(burst[0])}" if burst[0] else "has ended"
            ends = f", instance burst {ends}"
        return volume, "", f"no I/O credits, {format_share(use)} of its limit{ends}"
    balance = left(gauge.low, gauge.high)
    empty, refill = (None, None) if rate is None else (gauge.to_empty(rate), gauge.to_refill(rate))
    if empty is not None:
        balance += f", empty in {format_duration(empty)}" if empty else ", empty"
    elif refill and gauge.low < 1.0:
        balance += f", full in {format_duration(refill)}"
    return volume, "burst balance ", balance


def rate_text(volume: Volume, rate: float | None) -> str:
    """Return a rate in the unit of a volume.

    >>> from pgiostat.volume.models import volume_of
    >>> rate_text(volume_of("gp2:100"), 3000.0), rate_text(volume_of("st1:500"), 20.0)
    ('3,000 IOPS', '20 MiB/s')
    """
    return f"{format_count(rate)} {'MiB/s' if volume.counts_bytes else 'IOPS'}"


def left(low: float, high: float) -> str:
    """Return a balance as a share, or its range."""
    if high - low < SHOWN_DIFFERENCE:
        return format_share(low)
    return f"{format_share(low)} to {format_share(high)}"
