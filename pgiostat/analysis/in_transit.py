"""Blocks in transit: the server and its statements count one read at different times.

A statement counts its reads when it ends. The server counts them when the session reports them: at
most once a second while it works, up to ten seconds later when it idles, and at the end of a
transaction (pgstat.c). A parallel worker reports when it ends, before its statement does.

So the difference of both counts varies from interval to interval, and most of it returns. Here the
cumulative difference is followed. The part of it that has lasted for longer than any lag is
settled: it belongs to the catalogs, or to nothing known. The rest is in transit.

What settles slowly is in proportion to an interval's reads, and stands for its own loss. What
settles at once was counted in earlier intervals: it is not among the interval's reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import exp
from statistics import mean, pstdev

from pgiostat.analysis.difference_points import DifferencePoint, Rates, rise_of, usual_loss
from pgiostat.analysis.ledger import NOTED, unexplained_blocks
from pgiostat.analysis.server_reads import ServerReads, known_sum, reads_of
from pgiostat.statistics.delta import Delta, Earlier

__all__ = ["REPORT_SECONDS", "InTransit", "Settlement", "transaction_seconds"]

REPORT_SECONDS = 12.0
"""After this time the server has the counts of an ended transaction: an idle session reports them
within ten seconds (pgstat.c). Before PostgreSQL 15 it may keep them until its next command."""
LAG_SECONDS = 60.0
"""Statements may be ahead of the server for this time, or for as long as a transaction runs."""
MAX_LAG_SECONDS = 900.0
WARM_SECONDS, WARM_INTERVALS = 30.0, 6
"""In this time reads of before the first interval still arrive."""
IDLE_SECONDS = 10.0
"""Reads that a session without a transaction can have kept from before the first interval."""
MAX_WARM_SECONDS = 120.0
"""For so long at most a transaction of before the first interval is waited for."""
CATALOG_SECONDS, LUMP_SECONDS = 60.0, 300.0
CAUSE_SECONDS = REPORT_SECONDS + 60.0
"""A cause explains what settles up to this time later."""
RELEASED_LATE, RELEASED_EARLY = 0.015, 0.005
"""Share of an interval's reads up to which a small difference settles in any case."""
DRIFT_SECONDS = 60.0
"""A difference that rises slowly settles over this time."""
RISE_SECONDS = 10.0
"""A loss rises within this time."""
DRIFT_MARGIN = 1.5
"""A difference settles faster than it rises by this factor at most, so that it comes to an end."""
STEP_INTERVALS, STEP_DEVIATIONS = 10, 3
"""Intervals before a failure, and standard deviations by which the difference rises after it."""
USUAL_LOSSES = 2
"""A loss of at most so many times the usual losses of an interval is that interval's own."""
BAR_EVICTED, BAR_FAILED = 0.1, 0.5
"""Share of the usual variation above which a difference with a cause settles at once."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The part of an interval's difference that is settled, and the part that is not.

    Attributes:
        in_transit: Blocks in transit: positive if the server counted them and no statement did,
            negative if statements counted them and the server did not.
        catalogs: Blocks of the catalogs.
        recent: Counts of possible causes up to its end, by their name in ServerReads.
        earlier: Settled blocks that were counted before the interval; None without any.
    """

    in_transit: int
    catalogs: int
    recent: Mapping[str, int | None]
    earlier: Earlier | None = None

    def applied(self, delta: Delta) -> Delta:
        """Return an interval with its settlement."""
        return replace(
            delta,
            in_transit=self.in_transit,
            settled_catalogs=self.catalogs,
            recent_causes=self.recent,
            earlier=self.earlier,
        )


@dataclass(frozen=True, slots=True)
class InTransit:
    """The cumulative difference of one server's counts and its statements', interval by interval.

    `advance` returns the next state. Every interval begins where the last one ended; after a reset
    or a lost interval all starts again.
    """

    _points: tuple[DifferencePoint, ...] = (DifferencePoint(0.0, 0, 0, 0, ServerReads()),)
    _shifted: int = 0
    _warm_until: float = WARM_SECONDS
    _lag: float = LAG_SECONDS
    _rates: Rates = field(default_factory=Rates)
    _catalogs: float = 0.0
    _old: float = 0.0
    _old_until: float = 0.0
    _waits_for_old: bool = False
    _at_once: int = 0

    def advance(self, delta: Delta) -> tuple["InTransit", Settlement | None]:
        """Add an interval.

        Returns:
            The next state, and what is settled; None if either count is unknown.
        """
        reads = reads_of(delta)
        left = unexplained_blocks(delta.statement_blocks, reads)
        is_counted = delta.settings.values.get("track_counts") != "off"
        if left is None or not delta.seconds or delta.lost is not None or not is_counted:
            return InTransit(), None
        if reads.nested_twice:  # a difference without end, and its cause is known
            catalogs = min(reads.catalog_blocks or 0, max(left, 0))
            return InTransit(), Settlement(0, catalogs, {})
        times = (delta.since, delta.until)
        transaction = transaction_seconds(delta)
        noted = self.note(delta.seconds, transaction, delta.statement_blocks, reads, times)
        return noted.settle(left)

    def note(
        self,
        seconds: float,
        transaction: float,
        explained: int,
        reads: ServerReads,
        times: tuple[datetime | None, datetime | None] = (None, None),
    ) -> "InTransit":
        """Return the state with one more interval, of which nothing is settled yet.

        Args:
            seconds: Length of the interval.
            transaction: Age of the oldest transaction in seconds.
            explained: Blocks of statements.
            reads: The server's counts.
            times: When it began and ended, by the server's clock.
        """
        last = self._points[-1]
        now = last.at + seconds
        left = unexplained_blocks(explained, reads) or 0
        lag = max(LAG_SECONDS, min(transaction + REPORT_SECONDS, MAX_LAG_SECONDS))
        lag = max(lag, self._lag - seconds)
        oldest = now - max(lag, LUMP_SECONDS)
        kept = [point for point in self._points if point.at >= oldest]
        is_old = transaction > now  # it began before the first interval
        waits = (is_old and now <= MAX_WARM_SECONDS) or (self._waits_for_old and not is_old)
        level, early = last.level + left, max(-left, 0)
        sums = (self._shifted, self._at_once)
        point = DifferencePoint(now, level, early, explained, reads, *sums, *times)
        return replace(
            self,
            _points=(*(kept or [last]), point),
            _warm_until=max(self._warm_until, min(WARM_INTERVALS * seconds, MAX_WARM_SECONDS)),
            _lag=lag,
            _rates=self._rates.after(seconds, reads.blocks or 0, explained),
            _catalogs=self._catalogs * exp(-seconds / CATALOG_SECONDS)
            + (reads.catalog_blocks or 0),
            _old=transaction - now if is_old else self._old,
            _old_until=now + REPORT_SECONDS + seconds if waits else self._old_until,
            _waits_for_old=is_old,
        )

    def settle(self, left: int) -> tuple["InTransit", Settlement]:
        """Return the state after the newest interval is settled, and its settlement.

        Args:
            left: The interval's blocks that neither statements nor other processes explain.
        """
        late = min(self._levels(REPORT_SECONDS))
        recent = self._recent()
        step = self._step(recent)
        if max(late, step) > 0 and self._may_be_older(max(late, step), recent):
            shifted = replace(self, _shifted=self._shifted + max(late, 0))
            return shifted, Settlement(left, 0, recent)
        catalogs = settled = at_once = 0
        if step:
            at_once = settled = step
            earlier = self._late_earlier(at_once, 0)
        elif late > 0:
            catalogs = min(late, int(self._catalogs))
            at_once = self._loss(late - catalogs, recent)
            settled = at_once or self._slowly(late - catalogs)
            earlier = self._late_earlier(at_once, catalogs)
        else:
            slowly, excess = self._early(), self._excess()
            settled = -max(slowly, excess)
            earlier = self._early_earlier(excess) if excess > slowly else None
        state = replace(
            self,
            _shifted=self._shifted + catalogs + settled,
            _catalogs=self._catalogs - catalogs,
            _at_once=self._at_once + at_once,
        )
        return state, Settlement(left - catalogs - settled, catalogs, recent, earlier)

    def _late_earlier(self, at_once: int, catalogs: int) -> Earlier | None:
        """Return what settles at once of the server's counts of earlier intervals.

        A loss that comes again and again stands for what this interval lost, and so do the reads of
        catalogs for its own.

        Args:
            at_once: Blocks of a loss.
            catalogs: Blocks of the catalogs.
        """
        minute = list(self._since(DRIFT_SECONDS))
        loss = at_once if at_once > USUAL_LOSSES * usual_loss(minute, self._at_once) else 0
        more = catalogs - (self._points[-1].reads.catalog_blocks or 0)
        of_catalogs = more if more > self._bar({}) else 0
        if not loss + of_catalogs:
            return None
        floor = self._floor()
        highest = max((point.level for point in self._before()), default=floor)
        below = min(max(highest, floor - loss - of_catalogs), floor - 1)
        return Earlier(loss + of_catalogs, of_catalogs, *rise_of(self._points, below, floor))

    def _loss(self, late: int, recent: Mapping[str, int | None]) -> int:
        """Return the blocks of a loss, which settles at once; 0 if there is none.

        Args:
            late: Blocks that no statement has counted for REPORT_SECONDS.
            recent: Counts of possible causes.
        """
        risen = self._risen()
        return min(late, risen) if risen > self._bar(recent) else 0

    def _slowly(self, late: int) -> int:
        """Return the blocks that settle of what no statement has counted for REPORT_SECONDS."""
        return min(late, self._share(self._drift(late)))

    def _risen(self) -> int:
        """Return by how much what is due exceeds all that was due in the minute before.

        A loss rises within seconds. What is in transit returns, and a drift settles as it rises.
        """
        until = self._points[-1].at - REPORT_SECONDS - RISE_SECONDS
        before = [point.level for point in self._before()]
        settled = next(point.settled for point in self._points if point.at > until)
        return self._floor() - self._shifted - max(before, default=0) + settled

    def _step(self, recent: Mapping[str, int | None]) -> int:
        """Return the blocks by which the mean of the difference rose with a failure; 0 if unclear.

        With many busy sessions the difference varies by as much as a failed statement may have
        read, but its mean does not. If statements were ahead by more than that before, the rise is
        what a transaction held.

        Args:
            recent: Counts of possible causes.
        """
        after = list(self._since(REPORT_SECONDS))
        before = [point.level - point.settled for point in self._before()]
        has_failed = recent["failures"] and not any(point.reads.failures for point in after[1:])
        if not has_failed or len(before) < STEP_INTERVALS or mean(before) < -self._rates.reads:
            return 0
        risen = mean(point.level for point in after) - self._shifted - mean(before)
        is_clear = risen > max(self._bar(recent), STEP_DEVIATIONS * pstdev(before))
        return int(risen) if is_clear else 0

    def _before(self) -> list[DifferencePoint]:
        """Return the ends of intervals of the minute before a loss that is due can have risen."""
        until = self._points[-1].at - REPORT_SECONDS - RISE_SECONDS
        since = until - DRIFT_SECONDS
        return [point for point in self._points[:-2] if since <= point.at <= until]

    def _floor(self) -> int:
        return min(point.level for point in self._since(REPORT_SECONDS))

    def _drift(self, late: int) -> float:
        """Return the share of an interval's reads that settles of a difference that rises slowly.

        In balance it is the share of the reads that no statement counts.

        Args:
            late: Blocks that no statement has counted for REPORT_SECONDS.
        """
        usual = sum(point.reads.blocks or 0 for point in self._since(DRIFT_SECONDS)) or 1
        until = self._points[0].at + REPORT_SECONDS
        # A loss that settled at once is no part of what rises slowly.
        before = min(point.level - point.at_once for point in self._points if point.at <= until)
        now = min(point.level - point.at_once for point in self._since(REPORT_SECONDS))
        reads = sum(point.reads.blocks or 0 for point in self._points if point.at > until) or 1
        drift = DRIFT_MARGIN * (now - before) / reads
        return min(late / usual, max(RELEASED_LATE, drift))

    def _bar(self, recent: Mapping[str, int | None]) -> float:
        """Return the blocks above which a difference is a loss: less where there is a cause."""
        is_failed = recent.get("failures")
        share = BAR_EVICTED if recent.get("evictions") else BAR_FAILED if is_failed else 1.0
        lumps = max(point.early for point in self._since(LUMP_SECONDS))
        return share * max(self._rates.reads, lumps)

    def _may_be_older(self, late: int, recent: Mapping[str, int | None]) -> bool:
        """Return whether blocks may have been read before the first interval."""
        now = self._points[-1].at
        is_warming, is_old = now <= self._warm_until, now <= self._old_until
        if not (is_warming or is_old):
            return False
        seconds = IDLE_SECONDS * is_warming + self._old * is_old
        has_cause = recent["evictions"] or recent["failures"]
        return not has_cause or late <= self._bar(recent) + seconds * self._rates.explained

    def _early(self) -> int:
        """Return the blocks that settle of those that statements counted and the server did not."""
        return min(max(-max(self._levels(self._lag)), 0), self._share(RELEASED_EARLY))

    def _excess(self) -> int:
        """Return by how much statements are ahead of the server by more than they can be.

        That is by what they read in the longest lag, and by no more.
        """
        room = sum(point.explained for point in self._since(self._lag))
        return self._shifted - self._points[-1].level - room

    def _early_earlier(self, excess: int) -> Earlier:
        """Return what statements counted before the longest lag, and the server never did."""
        return Earlier(-excess, 0, self._points[1].since, next(self._since(self._lag)).since)

    def _share(self, share: float) -> int:
        return int(share * (self._points[-1].reads.blocks or 0))

    def _since(self, seconds: float) -> Iterator[DifferencePoint]:
        """Yield the ends of intervals in some time, and at least the last two."""
        since = self._points[-1].at - seconds
        yield from (point for point in self._points[:-2] if point.at >= since)
        yield from self._points[-2:]

    def _levels(self, seconds: float) -> list[int]:
        return [point.level - self._shifted for point in self._since(seconds)]

    def _recent(self) -> dict[str, int | None]:
        points = list(self._since(CAUSE_SECONDS))
        return {name: known_sum(getattr(point.reads, name) for point in points) for name in NOTED}


def transaction_seconds(delta: Delta) -> float:
    """Return the age of the oldest transaction at the end of an interval; 0 if there is none."""
    oldest = delta.newer.markers.oldest_transaction
    return 0.0 if oldest is None else (delta.until - oldest).total_seconds()
