"""A burst balance in a line."""

from pgiostat.units import format_duration, format_share
from pgiostat.volume.bucket import CreditBucket

__all__ = ["gauge_line", "gauge_pieces", "left"]

SHOWN_DIFFERENCE = 0.0005


def gauge_line(gauge: CreditBucket, rate: float | None, use: float | None = None) -> str:
    """Return a gauge in a line: what is left, and where that leads at this rate.

    use: the rate as a share of what the volume gives.
    """
    return "".join(gauge_pieces(gauge, rate, use))


def gauge_pieces(
    gauge: CreditBucket, rate: float | None, use: float | None = None
) -> tuple[str, str, str]:
    """Return a gauge's line as the volume, words that may give way, and what is told of it."""
    volume = f"{gauge.volume.name}: "
    if gauge.volume.credits is None:
        told = f"no bucket, {format_share(use)} of what it gives"
        tires = None if rate is None else gauge.burst_ends_in(rate)
        if tires is not None:
            ends = f"ends in {format_duration(tires[0])}" if tires[0] else "has ended"
            told += f", burst of its instance {ends}"
        return volume, "", told
    words, told = "burst balance ", left(gauge.low, gauge.high)
    if rate is None:
        return volume, words, told
    empty, refill = gauge.to_empty(rate), gauge.to_refill(rate)
    if empty is not None:
        told += f", empty in {format_duration(empty)}" if empty else ", empty"
    elif refill and gauge.low < 1.0:
        told += f", full in {format_duration(refill)}"
    return volume, words, told


def left(low: float, high: float) -> str:
    """Return what is left, or between what and what it is."""
    if high - low < SHOWN_DIFFERENCE:
        return format_share(low)
    return f"{format_share(low)} to {format_share(high)}"
