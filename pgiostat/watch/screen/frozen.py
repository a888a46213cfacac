"""A session at an instant: the content of a paused screen."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from pgiostat.analysis.rank import By, Totals
from pgiostat.analysis.server_reads import PerBlock
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.names import Names
from pgiostat.volume.bucket import Balance, CreditBucket
from pgiostat.volume.device.page_cache import DiskReads
from pgiostat.watch.model.interval import Interval, IoRow
from pgiostat.watch.model.recent_reads import RecentReads
from pgiostat.watch.model.session import RateHistory, WatchSession
from pgiostat.watch.model.table_counts import SessionTables
from pgiostat.watch.screen.notices import SideInfo

__all__ = ["FrozenSession", "SessionView", "coverage_of"]


@dataclass(frozen=True, slots=True)
class FrozenSession:
    """A session as it was: heading, numbers and plots are of one interval, whatever is read since.

    _counted, _io, _disk: of the last interval, and of all since the baseline.
    """

    names: Names
    gauge: CreditBucket | None
    balance: Balance | None
    latest: Interval | None
    trouble: Interval | None
    began: datetime | None
    qualities: tuple[Quality, ...]
    coverage: float | None
    per_block: PerBlock
    seconds: float
    side: SideInfo
    recent: RecentReads
    tables: SessionTables
    _counted: tuple[Totals | None, Totals | None]
    _io: tuple[tuple[IoRow, ...] | None, tuple[IoRow, ...] | None]
    _disk: tuple[DiskReads | None, DiskReads | None]
    _session: WatchSession

    @classmethod
    def of(cls, session: WatchSession, side: SideInfo) -> "FrozenSession":
        """Return a session as it is now, with what is shown beside its numbers."""
        whole = session.counted(whole=True)
        return cls(
            session.names,
            session.gauge,
            session.balance,
            session.latest,
            session.trouble,
            session.began,
            session.qualities,
            session.coverage,
            session.per_block,
            session.seconds,
            side,
            session.recent,
            session.tables,
            (session.counted(whole=False), None if whole is None else _copied(whole)),
            (session.io(whole=False), session.io(whole=True)),
            (session.disk(whole=False), session.disk(whole=True)),
            session,
        )

    def counted(self, *, whole: bool, is_recent: bool = False) -> Totals | None:
        """Return what was counted: in the last interval, over the last seconds, or in all."""
        return self.recent.total if is_recent and not whole else self._counted[whole]

    def counted_tables(self, *, whole: bool) -> Totals | None:
        """Return what tables counted over their last intervals, or since the baseline."""
        counted = self._counted[True] if whole else self.recent.of_tables
        return self.tables.counted(counted, whole=whole)

    def io(self, *, whole: bool) -> tuple[IoRow, ...] | None:
        """Return rows of pg_stat_io, None where there are none."""
        return self._io[whole]

    def disk(self, *, whole: bool) -> DiskReads | None:
        """Return the reads of the server's device; None if they were not measured."""
        return self._disk[whole]

    def past(self, by: By | None = None, key: tuple[str, ...] = ()) -> RateHistory:
        """Return the last intervals, none of which came later."""
        past = self._session.past(by, key)
        if self.latest is None or self.latest.until is None:
            return past
        end = bisect_right(past.ends, self.latest.until)
        return RateHistory(
            past.begins[:end], past.ends[:end], past.blocks_per_s[:end], past.calls_per_s[:end]
        )


def _copied(whole: Totals) -> Totals:
    """Return sums to which nothing is added any more."""
    return replace(
        whole,
        statement_amounts=whole.statement_amounts.copy(),
        statement_uncertain=list(whole.statement_uncertain),
        relation_amounts=whole.relation_amounts.copy(),
        relation_uncertain=list(whole.relation_uncertain),
    )


SessionView: TypeAlias = WatchSession | FrozenSession
"""What is drawn from."""


def coverage_of(session: SessionView, *, whole: bool) -> float | None:
    """Return what share of the server's reads statements explain, of the time that is shown."""
    if whole:
        return session.coverage
    return None if session.latest is None else session.latest.coverage
