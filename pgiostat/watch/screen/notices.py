"""Notices, each of which stays for some time, and sparklines."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pgiostat.analysis.notices import Notice, NoticeKind
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.header_line import MOST_SPARKS
from pgiostat.watch.screen.table import io_cost, total_cost
from pgiostat.watch.screen.top_lines import Top

__all__ = ["NoticeBoard", "Posted", "Pulse", "ReplayPosition", "SideInfo"]

KEPT_SECONDS = {NoticeKind.HAPPENED: 600.0, NoticeKind.HOLDS: 60.0, NoticeKind.PASSING: 60.0}
"""Seconds that a notice stays after the last interval that had it."""
_ORDER = (NoticeKind.HAPPENED, NoticeKind.HOLDS, NoticeKind.PASSING)


@dataclass(frozen=True, slots=True)
class Posted:
    """A notice, the end of the last interval that had it, and whether that is the last of all."""

    notice: Notice
    at: datetime
    is_now: bool = True


@dataclass(frozen=True, slots=True)
class Pulse:
    """The numbers of the heading in one interval."""

    blocks_per_s: float | None
    operations_per_s: float | None
    hit_ratio: float | None
    coverage: float | None
    balance: float | None

    @classmethod
    def of(cls, interval: Interval, balance: float | None = None) -> "Pulse":
        """Return those of an interval; balance: of the bucket, at its end."""
        cost, total = io_cost(interval.counted), total_cost(interval.counted)
        return cls(
            total.blocks_per_s, total.operations_per_s, cost.hit_ratio, interval.coverage, balance
        )


@dataclass(frozen=True, slots=True)
class NoticeBoard:
    """Notices in a stable order: what happened, what holds, what passes; each by its age.

    One of a kind takes the place of the one before it.  pulses: of the last intervals.
    """

    posted: tuple[Posted, ...] = ()
    pulses: tuple[Pulse, ...] = ()

    def after(self, interval: Interval, balance: float | None = None) -> "NoticeBoard":
        """Return the board after an interval; a seek in a history starts an empty board."""
        if interval.until is None:
            return self
        before = self.pulses
        if interval.before is not None:
            before = tuple(Pulse.of(each) for each in interval.before.past[-MOST_SPARKS:])
        pulses = before if interval.counted is None else (*before, Pulse.of(interval, balance))
        new = {notice.slug: Posted(notice, interval.until) for notice in interval.notices}
        kept = [
            new.pop(each.notice.slug, replace(each, is_now=False))
            for each in (() if interval.before is not None else self.posted)
        ]
        posted = [each for each in (*kept, *new.values()) if not _is_over(each, interval.until)]
        posted.sort(key=lambda each: _ORDER.index(each.notice.kind))
        return NoticeBoard(tuple(posted), pulses[-MOST_SPARKS:])


@dataclass(frozen=True, slots=True)
class ReplayPosition:
    """Where a replay is: the interval shown, of how many, for how long each is, if it goes on."""

    place: int
    count: int
    interval: float
    is_playing: bool


@dataclass(frozen=True, slots=True)
class SideInfo:
    """What is shown beside numbers.

    wait: seconds until a server that is gone is tried again.  played: if it is a replay.  top: the
    statement with the most reads.  hints: a line below the table in several lengths, the longest
    first.  has_ended: if the watched demo has ended.
    """

    board: NoticeBoard = NoticeBoard()
    wait: float | None = None
    played: ReplayPosition | None = None
    top: Top | None = None
    hints: tuple[str, ...] = ()
    has_ended: bool = False


def _is_over(posted: Posted, now: datetime) -> bool:
    return now - posted.at > timedelta(seconds=KEPT_SECONDS[posted.notice.kind])
