"""A clock that nobody sets."""

import time

__all__ = ["monotonic"]


def monotonic() -> float:
    """Return seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)
