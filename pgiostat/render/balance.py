"""A burst balance in a line."""

from pgiostat.units import format_duration, format_share
from pgiostat.volume.bucket import CreditBucket

__all__ = ["gauge_line", "gauge_pieces", "left"]

SHOWN_DIFFERENCE = 0.0005


def gauge_line(gauge: CreditBucket, rate: float | None, use: float | None = None) -> str:
    """Return a burst balance in a line, with the time to empty or full at this rate.

    Args:
        gauge: The bucket of the volume.
        rate: Operations per second; None if unknown.
        use: The rate as a share of what the volume gives.
    """
    return "".join(gauge_pieces(gauge, rate, use))


def gauge_pieces(
    gauge: CreditBucket, rate: float | None, use: float | None = None
) -> tuple[str, str, str]:
    """Return the line in pieces: the volume, words that may give way, and the balance."""
    volume = f"{gauge.volume.name}: "
    if gauge.volume.credits is None:
        ends = ""
        burst = None if rate is None else gauge.burst_ends_in(rate)
        if burst is not None:
            ends = f"ends in {format_duration(burst[0])}" if burst[0] else "has ended"
            ends = f", burst of its instance {ends}"
        return volume, "", f"no bucket, {format_share(use)} of what it gives{ends}"
    balance = left(gauge.low, gauge.high)
    empty, refill = (None, None) if rate is None else (gauge.to_empty(rate), gauge.to_refill(rate))
    if empty is not None:
        balance += f", empty in {format_duration(empty)}" if empty else ", empty"
    elif refill and gauge.low < 1.0:
        balance += f", full in {format_duration(refill)}"
    return volume, "burst balance ", balance


def left(low: float, high: float) -> str:
    """Return a balance as a share, or its range."""
    if high - low < SHOWN_DIFFERENCE:
        return format_share(low)
    return f"{format_share(low)} to {format_share(high)}"
