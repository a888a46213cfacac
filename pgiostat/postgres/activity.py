"""Statements in flight: they run now and are counted when they end."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pgiostat.statistics.names import OTHER, OWN, Describe, Names

__all__ = ["Backend", "InFlight", "Running"]


IsOwn = Callable[[int, int, str], bool]
"""Whether the statement of a role (userid) in a database (dbid) with this text is our own."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An active backend, as pg_stat_activity shows it.

    Attributes:
        queryid: None before PostgreSQL 14, or where it is not computed.
        read_bytes: Bytes that the backend has reported as read since it started, by
            pg_stat_get_backend_io; None before 18.
    """

    pid: int
    userid: int
    dbid: int
    queryid: int | None
    query_start: datetime
    seconds: float
    waits_for: str | None
    text: str
    read_bytes: int | None


@dataclass(frozen=True, slots=True)
class Running:
    """A statement in flight.

    Attributes:
        seconds: How long it has been running.
        waits_for: Type and name of its wait event, empty if it computes.
        read_bytes: Bytes that its backend has reported as read until now, as VACUUM does after
            each table; None if unknown. The server reports all other reads when the statement ends.
    """

    pid: int
    user: str
    database: str
    seconds: float
    waits_for: str
    category: str
    text: str
    read_bytes: int | None


@dataclass(slots=True)
class InFlight:
    """Follows statements in flight; earlier reads of a backend do not count."""

    describe: Describe
    _before: dict[tuple[int, datetime], int] = field(default_factory=dict)

    def look(self, backends: Iterable[Backend], names: Names, is_own: IsOwn) -> tuple[Running, ...]:
        """Return statements in flight, the longest first, without our own."""
        found = []
        began: dict[tuple[int, datetime], int] = {}
        for each in backends:
            key = (each.pid, each.query_start)
            if each.read_bytes is not None:
                began[key] = self._before.get(key, each.read_bytes)
            running = self._running(each, began.get(key), names)
            if running.category != OWN and not is_own(each.userid, each.dbid, each.text):
                found.append(running)
        self._before = began
        return tuple(found)

    def _running(self, each: Backend, before: int | None, names: Names) -> Running:
        user, database = names.role(each.userid), names.database(each.dbid)
        known = None
        if each.queryid:
            known = names.statement((each.userid, each.dbid, each.queryid))
        if known is None:
            queryid = each.queryid or 0
            found = self.describe(each.text, user=user, database=database, queryid=queryid)
            known = names.by_preset(found)
        read = None if each.read_bytes is None or before is None else each.read_bytes - before
        return Running(
            pid=each.pid,
            user=user,
            database=database,
            seconds=each.seconds,
            waits_for=each.waits_for or "",
            category=known.category or OTHER,
            text=known.text,
            # No reported read does not mean that nothing was read.
            read_bytes=read or None,
        )
