"""Counts that a server makes later than its statements do, and their correction over intervals."""

from collections import deque
from dataclasses import dataclass, field

from pgiostat.analysis.ledger import reads_of, reconcile
from pgiostat.statistics.delta import Delta

__all__ = ["Failures", "LagCarry"]

MAX_LAG_SECONDS = 60.0
"""Longest time from the count of a statement to the server's: transactions of a minute are rare,
and idle sessions report what they have within ten seconds (pgstat.c)."""
REPORT_SECONDS = 12.0
"""Time after which a server has the counts of an ended transaction: an idle session reports them
within ten seconds (pgstat.c)."""


@dataclass(slots=True)
class LagCarry:
    """Blocks of the last intervals that statements of one server counted before the server did.

    A statement counts its reads when it ends, the server when the session reports them: at the end
    of the transaction, or up to ten seconds later.  A difference older than MAX_LAG_SECONDS has
    another cause.  `volume.demand.attribute_blocks` says why it has a carry of its own.
    """

    _owed: deque[tuple[float, int]] = field(default_factory=deque)
    _now: float = 0.0

    @property
    def blocks(self) -> int:
        """Sum of the blocks that the server still has to count."""
        return sum(blocks for _, blocks in self._owed)

    def note(self, delta: Delta) -> None:
        """Add an interval, which begins where the last one ended."""
        if not delta.is_complete or delta.seconds is None or delta.lost is not None:
            self._owed.clear()
            return
        self._now += delta.seconds
        lines = reconcile(delta.statement_blocks, reads_of(delta))
        left = lines[-1].blocks if lines else 0
        if left < 0:
            self._owed.append((self._now, -left))
        while left > 0 and self._owed:
            since, blocks = self._owed.popleft()
            if blocks > left:
                self._owed.appendleft((since, blocks - left))
            left -= blocks
        while self._owed and self._now - self._owed[0][0] > MAX_LAG_SECONDS:
            self._owed.popleft()


@dataclass(slots=True)
class Failures:
    """Number of failed or cancelled transactions of one server, interval by interval.

    The server counts them together with those that clients rolled back. pg_stat_statements counts
    each ROLLBACK when it ends, the server up to REPORT_SECONDS later. So while clients roll back,
    only the lasting part of the difference is certain to be failures, and only if it exceeds the
    rollbacks of a second.
    """

    _now: float = 0.0
    _difference: int = 0
    _certain: int = 0
    _recent: deque[tuple[float, int, int]] = field(default_factory=deque)

    def note(self, delta: Delta, client_rollbacks: int | None) -> int | None:
        """Return the number of failures that became certain in an interval; None if unknown.

        Args:
            delta: An interval, which begins where the last one ended.
            client_rollbacks: Transactions that clients rolled back themselves; None if unknown.
        """
        if not delta.is_complete or delta.seconds is None or client_rollbacks is None:
            self._now, self._difference, self._certain = 0.0, 0, 0
            self._recent.clear()
            return None
        self._now += delta.seconds
        self._difference += delta.databases.total("xact_rollback") - client_rollbacks
        self._recent.append((self._now, self._difference, client_rollbacks))
        while self._recent[0][0] < self._now - REPORT_SECONDS:
            self._recent.popleft()
        calls = sum(rollbacks for _, _, rollbacks in self._recent)
        if calls and self._now <= REPORT_SECONDS:
            # The server may not have counted these yet, and may count earlier ones now.
            bound = self._difference + calls
            self._certain = bound if len(self._recent) == 1 else min(self._certain, bound)
            return None
        lasting = min(difference for _, difference, _ in self._recent)
        found = (lasting if calls else self._difference) - self._certain
        if found <= int(calls / REPORT_SECONDS):
            return 0
        self._certain += found
        return found
