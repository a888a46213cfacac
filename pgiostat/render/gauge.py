"""A burst balance in a line."""

from pgiostat.burst import Gauge
from pgiostat.units import format_duration, format_share

__all__ = ["gauge_line", "left"]

SHOWN_DIFFERENCE = 0.0005


def gauge_line(gauge: Gauge, rate: float | None, use: float | None = None) -> str:
    """Return a gauge in a line: what is left, and where that leads at this rate.

    use: the rate as a share of what the volume gives.
    """
    volume = gauge.volume
    if volume.credits is None:
        return f"{volume.name}: no bucket, {format_share(use)} of what it gives"
    told = f"{volume.name}: burst balance {left(gauge.low, gauge.high)}"
    if rate is None:
        return told
    empty, refill = gauge.to_empty(rate), gauge.to_refill(rate)
    if empty is not None:
        return f"{told}, empty in {format_duration(empty)}" if empty else f"{told}, empty"
    if refill and gauge.low < 1.0:
        return f"{told}, full in {format_duration(refill)}"
    return told


def left(low: float, high: float) -> str:
    """Return what is left, or between what and what it is."""
    if high - low < SHOWN_DIFFERENCE:
        return format_share(low)
    return f"{format_share(low)} to {format_share(high)}"
