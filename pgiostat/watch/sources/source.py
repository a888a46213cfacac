"""What a source of intervals must do."""

from collections.abc import Iterator
from datetime import datetime
from threading import Event
from typing import Protocol, runtime_checkable

from pgiostat.watch.model.interval import Interval
from pgiostat.watch.model.session import WatchSession

__all__ = ["IntervalSource", "ReplayControls"]


class IntervalSource(Protocol):
    """Where moments come from; it runs in a thread of its own, whatever is shown."""

    sitting: WatchSession
    interval: float

    def moments(self, stop: Event) -> Iterator[Interval]:
        """Yield what is shown, until told to stop."""


@runtime_checkable
class ReplayControls(Protocol):
    """A feed of what was before: it plays, stands still, and goes to any time."""

    interval: float
    is_playing: bool

    @property
    def position(self) -> tuple[int, int]:
        """Which interval is shown, of how many."""

    def play(self, *, playing: bool) -> None:
        """Go on, or stand still."""

    def seek(self, steps: int) -> None:
        """Show an interval so many before or after the one that is shown."""

    def jump(self, words: str, now: datetime) -> str:
        """Show the interval of an instant, and return what is to be said of it.

        Raises PgiostatError.
        """
