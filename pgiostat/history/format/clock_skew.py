"""The largest difference allowed between the clocks of a server and of a collector."""

from datetime import timedelta

__all__ = ["MAX_CLOCK_SKEW"]


MAX_CLOCK_SKEW = timedelta(days=1)
"""A clock that differs by more is wrong; by less it may have another time zone."""
