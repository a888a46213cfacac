"""Failed and cancelled transactions, distinguished from those that clients rolled back."""

from collections import deque
from dataclasses import dataclass, field

from pgiostat.analysis.in_transit import REPORT_SECONDS
from pgiostat.statistics.delta import Delta

__all__ = ["Failures"]


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
