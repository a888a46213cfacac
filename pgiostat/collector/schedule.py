"""The schedule of a server: start, end, and the next attempt after a failure."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from pgiostat.clock import Backoff, monotonic

__all__ = ["Schedule"]

RETRY = Backoff(first=1.0, longest=60.0, jitter=0.5)


@dataclass(slots=True)
class Schedule:
    """When one server is collected.

    Attributes:
        stop: Set to end after one more snapshot.
        ends: Seconds after the first start until the end; None to continue until `stop` is set.
        delay: Seconds before the first snapshot.
        clock: Monotonic seconds.
    """

    stop: Event
    ends: float | None = None
    delay: float = 0.0
    clock: Callable[[], float] = monotonic
    _began: float | None = None
    _failures: int = 0

    def begin(self) -> None:
        """Start the time until the end; a second start changes nothing."""
        if self._began is None:
            self._began = self.clock()

    def wait_to_begin(self) -> None:
        """Wait until the first snapshot is due."""
        self.stop.wait(min(self.delay, self.left))

    @property
    def left(self) -> float:
        """Seconds until the end, not more than 0 afterwards."""
        if self.ends is None:
            return math.inf
        return self.ends if self._began is None else self.ends - (self.clock() - self._began)

    @property
    def is_over(self) -> bool:
        """Whether no further attempt is due."""
        return self.stop.is_set() or self.left <= 0

    def pause(self) -> None:
        """Wait until the next attempt, longer after each failure in a row."""
        self._failures += 1
        self.stop.wait(max(0.0, min(RETRY.delay(self._failures), self.left)))

    def succeeded(self) -> None:
        """Let the next failure be the first in a row."""
        self._failures = 0

    def wait(self, seconds: float) -> bool:
        """Wait for the next snapshot, and no longer than until the end.

        Args:
            seconds: Until the snapshot is due.

        Returns:
            Whether that snapshot is the last one.
        """
        if not self.stop.wait(max(0.0, min(seconds, self.left))):
            self.stop_if_over()
        return self.stop.is_set()

    def stop_if_over(self) -> None:
        """Set `stop` at the end: one more snapshot follows."""
        if self.left <= 0:
            self.stop.set()
