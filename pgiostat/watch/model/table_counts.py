"""What tables and indexes of the connected database counted, in bounded memory."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from pgiostat.analysis.relation_activity import IndexActivity, RelationTotals, TableActivity
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import RelationRead, idle, joined
from pgiostat.statistics.row_deltas import RowDeltas
from pgiostat.watch.model.recent_reads import NEARLY, RECENT_SECONDS
from pgiostat.watch.model.running_totals import KEPT_GONE

__all__ = ["SessionTables", "TableFigures", "TableNews"]

TOAST = "toast"


@dataclass(frozen=True, slots=True, eq=False)
class TableNews:
    """What an interval brings of tables and indexes.

    Attributes:
        interval: What they counted since their last read; None if none ended.
        known: All of them as of their last read; None if that is unknown, as in a history.
        definitions: The newest definitions of indexes, foreign keys and settings.
        every: Seconds between reads; None if that is unknown.
    """

    interval: RelationInterval | None = None
    known: RelationRead | None = None
    definitions: Mapping[DefinitionKey, Definition] = field(default_factory=dict)
    every: float | None = None


@dataclass(frozen=True, eq=False)
class TableFigures:
    """What tables and indexes did over a time; unknown rates are None.

    Attributes:
        seconds: Length of the time; None if no interval has ended yet.
        until: When it ended; None before that.
        tables: By oid.
        indexes: By oid.
    """

    seconds: float | None
    until: datetime | None
    tables: Mapping[int, TableActivity]
    indexes: Mapping[int, IndexActivity]


@dataclass(frozen=True)
class SessionTables:
    """The last intervals of tables and indexes, and all since the baseline; it does not change.

    Attributes:
        newest: The last intervals, as few as last for RECENT_SECONDS, the oldest first.
        whole: All since the baseline as one; None without any.
        news: The newest news; None if tables and indexes are not read.
    """

    newest: tuple[RelationInterval, ...] = ()
    whole: RelationInterval | None = None
    news: TableNews | None = None
    _made: dict[bool, tuple[object, TableFigures]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def after(self, news: TableNews) -> "SessionTables":
        """Return what is known after an interval of statements."""
        one = news.interval
        if one is None:
            return self if news is self.news else replace(self, news=news, _made={})
        newest = [each for each in (*self.newest, one) if each.dbid == one.dbid]
        left = sum(each.seconds for each in newest) - RECENT_SECONDS * NEARLY
        while len(newest) > 1 and (left := left - newest[0].seconds) >= 0:
            del newest[0]
        is_same = self.whole is not None and self.whole.dbid == one.dbid
        whole = joined(self.whole, one) if is_same and self.whole is not None else one
        if news.known is not None:
            whole = _without_dropped(whole, news.known)
        return SessionTables(tuple(newest), whole, news)

    def from_here(self) -> "SessionTables":
        """Return what is known after a new baseline."""
        return replace(self, whole=None, _made={})

    @cached_property
    def recent(self) -> RelationInterval | None:
        """The last intervals as one; None without any."""
        if not self.newest:
            return None
        first, *others = self.newest
        for each in others:
            first = joined(first, each)
        return first

    def figures(self, tables: Collection[int], names: Names, *, whole: bool) -> TableFigures | None:
        """Return what tables and indexes did; None if nothing is known of any.

        Args:
            tables: Oids of tables of which sizes are needed, even if they counted nothing.
            names: The meaning of ids: which TOAST table belongs to which table.
            whole: Since the baseline, not over the last intervals.
        """
        interval = self.whole if whole else self.recent
        known = None if self.news is None else self.news.known
        if interval is None and known is None:
            return None
        # The screen is drawn several times between two reads of tables.
        needed = (frozenset(tables), id(names), len(names.relations))
        if whole not in self._made or self._made[whole][0] != needed:
            self._made[whole] = (needed, self._figures(interval, known, tables, names))
        return self._made[whole][1]

    def _figures(
        self,
        interval: RelationInterval | None,
        known: RelationRead | None,
        tables: Collection[int],
        names: Names,
    ) -> TableFigures:
        totals = RelationTotals(0.0 if interval is None else interval.seconds)
        if interval is not None:
            totals.add(interval)
        if known is not None and (interval is None or known.dbid == interval.dbid):
            totals.add(idle(known, tables))
        dbids = [each.dbid for each in (interval, known) if each is not None]
        toast_of = {
            (dbids[0], relid): owner
            for relid, (owner, _, _, part) in names.relations.items()
            if part == TOAST
        }
        return TableFigures(
            None if interval is None else interval.seconds,
            None if interval is None else _end(self.newest[-1]),
            {each.relid: each for each in totals.tables(toast_of)},
            {each.indexrelid: each for each in totals.indexes()},
        )


def _end(interval: RelationInterval) -> datetime:
    return interval.since + timedelta(seconds=interval.seconds)


def _without_dropped(interval: RelationInterval, known: RelationRead) -> RelationInterval:
    """Return an interval without dropped tables and indexes, if these are many."""
    return replace(
        interval,
        tables=_existing(interval.tables, known.tables["relid"]),
        indexes=_existing(interval.indexes, known.indexes["indexrelid"]),
    )


def _existing(deltas: RowDeltas, oids: np.ndarray) -> RowDeltas:
    there = np.isin(deltas.rows[deltas.rows.table.key[0]], oids)
    if len(deltas) - np.count_nonzero(there) <= KEPT_GONE:
        return deltas
    return RowDeltas(deltas.rows.take(there), deltas.basis[there])
