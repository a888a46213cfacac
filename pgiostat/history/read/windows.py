"""Times of a history, and how they are cut."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

__all__ = ["HOUR", "ServerSpan", "Window", "floor_hour", "whole_hours"]

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ServerSpan:
    """A server of a history, watched from one instant until another, perhaps with gaps.

    longest_lost: the length of its longest lost time.
    """

    server_id: int
    label: str
    since: datetime
    until: datetime
    samples: int
    longest_lost: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Window:
    """A time, half open, of one server or of all; labels: empty for all."""

    since: datetime
    until: datetime
    label: str = ""

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()

    def widened(self) -> "Window":
        """Return the window made of whole hours that holds this one."""
        until = floor_hour(self.until)
        return replace(
            self,
            since=floor_hour(self.since),
            until=until if until == self.until else until + HOUR,
        )


def floor_hour(instant: datetime) -> datetime:
    """Return when the hour of an instant begins, by UTC."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def whole_hours(window: Window) -> tuple[datetime, datetime]:
    """Return the whole hours within a window; of a short one none, at its start."""
    floor = floor_hour(window.since)
    since = floor if floor == window.since else floor + HOUR
    until = floor_hour(window.until)
    return (since, until) if since < until else (window.since, window.since)
