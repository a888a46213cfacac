"""Time windows of a history, and the whole hours in them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.units import format_duration

__all__ = [
    "HOUR",
    "ServerSpan",
    "Window",
    "floor_hour",
    "nothing_between",
    "servers_of",
    "whole_hours",
]

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ServerSpan:
    """A server of a history, watched from one instant until another, perhaps with gaps.

    longest_lost: Length of its longest lost time.
    """

    server_id: int
    label: str
    since: datetime
    until: datetime
    samples: int
    longest_lost: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open time window of one server or of all; label: empty for all."""

    since: datetime
    until: datetime
    label: str = ""

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
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


def nothing_between(
    since: datetime,
    until: datetime,
    servers: Sequence[ServerSpan],
    left_out: Collection[Path] = (),
    *,
    lost: float = 0.0,
) -> PgiostatError:
    """Return the error window-empty.

    Args:
        since: Start of the window.
        until: Its end.
        servers: The servers that were to have intervals in it, at least one.
        left_out: Files that could not be read.
        lost: Seconds of the window in lost times that began before it.
    """
    reasons = [f"Reads of statements in {format_duration(lost)} of it are lost."] if lost else []
    reasons += [f'Left out, because it could not be read: "{path}"' for path in sorted(left_out)]
    first = min(server.since for server in servers)
    last = max(server.until for server in servers)
    return PgiostatError(
        f"there is nothing between {since.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} and"
        f" {until.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}",
        detail="; ".join(reasons) or None,
        hint=f"The history goes from {first:%Y-%m-%d %H:%M:%SZ} to {last:%Y-%m-%d %H:%M:%SZ}.",
        slug="window-empty",
        status=ExitStatus.NOTHING_TO_REPORT,
    )


def servers_of(label: str, servers: Sequence[ServerSpan], root: Path | str) -> list[ServerSpan]:
    """Return the servers of a label, all for an empty one.

    Args:
        label: The label, or "".
        servers: The servers of the history.
        root: The history's directory or URI, for messages.

    Raises:
        PgiostatError: history-empty; label-unknown, with the labels of the history.
    """
    if not servers:
        raise PgiostatError(
            f'the history in "{root}" is empty',
            slug="history-empty",
            status=ExitStatus.NOTHING_TO_REPORT,
        )
    chosen = [server for server in servers if label in ("", server.label)]
    if not chosen:
        known = ", ".join(dict.fromkeys(server.label for server in servers))
        raise PgiostatError(
            f'there is no server "{label}" in the history',
            hint=f"Servers: {known}.",
            slug="label-unknown",
        )
    return chosen
