"""What tables and indexes of the connected database counted, in bounded memory."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, reduce
from typing import TypeAlias

import numpy as np

from pgiostat.analysis.rank import Totals
from pgiostat.analysis.relation_activity import IndexActivity, RelationTotals, TableActivity
from pgiostat.analysis.table_activity import DEFAULT_BLOCK_SIZE
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import RelationRead, idle
from pgiostat.statistics.row_deltas import RowDeltas
from pgiostat.watch.model.recent_reads import NEARLY, RECENT_SECONDS
from pgiostat.watch.model.running_totals import KEPT_GONE
from pgiostat.watch.model.table_window import ServerReadsBetween, TableWindow

__all__ = ["ReadsBetween", "SessionTables", "TableFigures", "TableNews"]

TOAST = "toast"
ReadsBetween: TypeAlias = Callable[[datetime, datetime], Totals | None]
"""Returns what the server counted from one instant to another; None if that is unknown."""


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
        since: When it began; None before that.
        until: When it ended; None before that.
        tables: By oid.
        indexes: By oid.
    """

    seconds: float | None
    since: datetime | None
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
        between: What the server counted since the last read of tables.
    """

    newest: tuple[TableWindow, ...] = ()
    whole: TableWindow | None = None
    news: TableNews | None = None
    between: ServerReadsBetween = field(default_factory=ServerReadsBetween)
    _made: dict[bool, tuple[object, TableFigures]] = field(
        default_factory=dict, repr=False, compare=False
    )
    _counted: dict[bool, tuple[Totals, Totals]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def after(self, news: TableNews, counted: Totals | None = None) -> "SessionTables":
        """Return what is known after an interval of statements.

        Args:
            news: What it brings of tables.
            counted: What it counted; None if counting begins here.
        """
        between = self.between.after(counted)
        one = news.interval
        if one is None:
            is_same = news is self.news
            made = self._made if is_same else {}
            return replace(self, news=news, between=between, _made=made)
        window = TableWindow(one, between.within(one.seconds))
        newest = [each for each in (*self.newest, window) if each.dbid == one.dbid]
        left = sum(each.seconds for each in newest) - RECENT_SECONDS * NEARLY
        while len(newest) > 1 and (left := left - newest[0].seconds) >= 0:
            del newest[0]
        whole = self.whole
        if not between.has_baseline:  # what was counted before the baseline is no part of it
            is_same = whole is not None and whole.dbid == one.dbid
            whole = whole.joined(window) if is_same and whole is not None else window
            if news.known is not None:
                whole = replace(whole, interval=_without_dropped(whole.interval, news.known))
        return SessionTables(tuple(newest), whole, news)

    def from_here(self) -> "SessionTables":
        """Return what is known after a new baseline."""
        between = replace(self.between, has_baseline=bool(self.between.seconds))
        return replace(self, whole=None, between=between, _made={})

    @cached_property
    def recent(self) -> TableWindow | None:
        """The last intervals as one; None without any."""
        return reduce(TableWindow.joined, self.newest) if self.newest else None

    def with_server(self, reads: ReadsBetween, at: datetime) -> "SessionTables":
        """Return this with what the server counted in the same times.

        Args:
            reads: Returns what the server counted from one instant to another.
            at: Until when all was counted.
        """
        if not self.newest:
            return self
        newest = tuple(replace(e, server=reads(e.interval.since, e.until)) for e in self.newest)
        end, whole = newest[-1].until, self.whole
        if whole is not None:
            whole = replace(whole, server=reads(whole.interval.since, end))
        between = ServerReadsBetween().after(reads(end, at))
        return SessionTables(newest, whole, self.news, between)

    def counted(self, counted: Totals | None, *, whole: bool) -> Totals | None:
        """Return what tables and indexes read, over the time of all their other numbers.

        Args:
            counted: What snapshots counted of them, over about the same time.
            whole: Since the baseline.

        Returns:
            The totals; those of the snapshots until the first interval of tables has ended.
        """
        window = self.whole if whole else self.recent
        if window is None or counted is None:
            return counted
        known = None if self.news is None else self.news.known
        if whole not in self._counted or self._counted[whole][0] is not counted:
            self._counted[whole] = (counted, window.totals(counted, known))
        return self._counted[whole][1]

    @property
    def relids(self) -> set[int]:
        """The tables and indexes that are shown."""
        windows = (*self.newest, *([] if self.whole is None else [self.whole]))
        return {oid for each in windows for oid in each.relids}

    def figures(
        self,
        tables: Collection[int],
        names: Names,
        *,
        whole: bool,
        block_size: int = DEFAULT_BLOCK_SIZE,
    ) -> TableFigures | None:
        """Return what tables and indexes did; None if nothing is known of any.

        Args:
            tables: Oids of tables of which sizes are needed, even if they counted nothing.
            names: The meaning of ids: which TOAST table belongs to which table.
            whole: Since the baseline, not over the last intervals.
            block_size: Bytes of a block.
        """
        window = self.whole if whole else self.recent
        interval = None if window is None else window.interval
        known = None if self.news is None else self.news.known
        if interval is None and known is None:
            return None
        # The screen is drawn several times between two reads of tables.
        needed = (frozenset(tables), id(names), len(names.relations))
        if whole not in self._made or self._made[whole][0] != needed:
            totals = RelationTotals(0.0 if interval is None else interval.seconds, block_size)
            made = self._figures(totals, interval, known, tables, names)
            self._made[whole] = (needed, made)
        return self._made[whole][1]

    def _figures(
        self,
        totals: RelationTotals,
        interval: RelationInterval | None,
        known: RelationRead | None,
        tables: Collection[int],
        names: Names,
    ) -> TableFigures:
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
            None if interval is None else interval.since,
            None if interval is None else self.newest[-1].until,
            {each.relid: each for each in totals.tables(toast_of)},
            {each.indexrelid: each for each in totals.indexes()},
        )


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
