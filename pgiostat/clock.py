"""A monotonic clock, and how long to wait before another attempt."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Backoff", "monotonic"]

MAX_DOUBLINGS = 10
"""Bounds the power of two: the float must not overflow after years of failures."""


def monotonic() -> float:
    """Return seconds on a monotonic clock that goes on while the machine sleeps."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone has it
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between attempts that fail: each twice the one before, up to a limit.

    It waits for nothing and reads no clock: the caller does both.

    Attributes:
        first: Seconds after the first failure.
        longest: No delay is longer, in seconds.
        jitter: The random share of a delay, so that a fleet does not try again all at once.
        chance: Returns a number from 0 to 1.

    >>> [Backoff(first=1.0, longest=5.0).delay(failures) for failures in (1, 2, 3, 4)]
    [1.0, 2.0, 4.0, 5.0]
    """

    first: float
    longest: float
    jitter: float = 0.0
    chance: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Return the seconds until the next attempt.

        Args:
            failures: How many attempts have failed in a row, 1 or more.
        """
        doubled = self.first * 2.0 ** min(failures - 1, MAX_DOUBLINGS)
        return min(doubled, self.longest) * (1.0 - self.jitter * self.chance())
