"""The interface of a source of intervals."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Event
from typing import Protocol, runtime_checkable

from pgiostat.analysis.plans import NoPlan, StatementPlan
from pgiostat.statistics.names import StatementKey
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.model.session import WatchSession

__all__ = ["IntervalSource", "PlansStatements", "ReplayControls"]


class IntervalSource(Protocol):
    """A source of intervals; it runs in a thread of its own, whatever is shown."""

    session: WatchSession
    interval: float

    def intervals(self, stop: Event) -> Iterator[Interval]:
        """Yield intervals until `stop` is set."""


@runtime_checkable
class PlansStatements(Protocol):
    """A source with a server, which plans statements on request."""

    def plan(self, keys: Sequence[StatementKey]) -> StatementPlan | NoPlan:
        """Return a generic plan of a statement; its entries are role, database and queryid."""


@runtime_checkable
class ReplayControls(Protocol):
    """A replay: it plays, pauses, and seeks any time."""

    interval: float
    is_playing: bool

    @property
    def position(self) -> tuple[int, int]:
        """Which interval is shown, of how many."""

    def play(self, *, playing: bool) -> None:
        """Play or pause."""

    def seek(self, steps: int) -> None:
        """Show the interval so many steps later, or earlier if negative."""

    def jump(self, words: str, now: datetime) -> str:
        """Show the interval of an instant, and return a message for the user.

        Raises PgiostatError.
        """
