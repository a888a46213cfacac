"""A session: its totals since the start, and their course over the last minutes."""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

import numpy as np
import numpy.typing as npt

from pgiostat.analysis.cost import FIELDS, blocks_of
from pgiostat.analysis.covered_reads import CoveredReads
from pgiostat.analysis.rank import By, EvictedTotals, Totals, group_of
from pgiostat.analysis.server_reads import PerBlock
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.names import HIDDEN, UNREAD, UNREADABLE, Names, StatementKey
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.volume.bucket import Balance, CreditBucket
from pgiostat.volume.device.page_cache import DiskReads
from pgiostat.watch.model.interval import Interval, IoRow, SeekContext
from pgiostat.watch.model.recent_reads import RecentReads, sum_if_all_known, together
from pgiostat.watch.model.running_totals import SPARE, RunningTotals
from pgiostat.watch.model.table_counts import SessionTables

__all__ = ["KEPT", "RateHistory", "WatchSession"]

KEPT = 300
"""Intervals of which the plots know."""
_CALLS = FIELDS.index("calls")

RowKey = tuple[int, int, int | None]


@dataclass(frozen=True, slots=True)
class RateHistory:
    """The last intervals of something: when each began and ended, and rates in it."""

    begins: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    blocks_per_s: tuple[float, ...]
    calls_per_s: tuple[float, ...]


@dataclass(slots=True)
class _Kept:
    """Rates of an interval by number of the statement: small, for there are hundreds of these."""

    since: datetime
    until: datetime
    places: npt.NDArray[np.int32]
    blocks: npt.NDArray[np.float32]
    calls: npt.NDArray[np.float32]

    def rates(self, wanted: npt.NDArray[np.int32] | None) -> tuple[float, float]:
        """Return blocks and calls a second of some, or of all."""
        there = slice(None) if wanted is None else np.isin(self.places, wanted)
        return float(self.blocks[there].sum()), float(self.calls[there].sum())


@dataclass(slots=True)
class WatchSession:
    """The amounts since the baseline; `begin` sets a new one, in this session alone.

    names: what ids mean.  gauge: a volume's bucket, if one is watched.  qualities: of all intervals
    since the baseline, in the order in which they were met.  recent: reads of the last seconds.
    tables: what tables and indexes counted.
    """

    names: Names
    gauge: CreditBucket | None = None
    latest: Interval | None = None
    trouble: Interval | None = None
    balance: Balance | None = None
    shown: int = 0
    began: datetime | None = None
    qualities: tuple[Quality, ...] = ()
    recent: RecentReads = field(default_factory=RecentReads)
    tables: SessionTables = field(default_factory=SessionTables)
    _statements: RunningTotals[RowKey] = field(default_factory=RunningTotals)
    _relations: RunningTotals[int] = field(default_factory=RunningTotals)
    _gone: RunningTotals[tuple[int, int, str]] = field(default_factory=RunningTotals)
    _gone_sizes: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    _gone_relations: RunningTotals[tuple[int | None, str]] = field(default_factory=RunningTotals)
    _io: dict[tuple[str, str, str], IoRow] = field(default_factory=dict)
    _whole: Totals | None = None
    _covered: CoveredReads = field(default_factory=CoveredReads)
    _disk: DiskReads | None = None
    _history_wanted: dict[bool, Totals] = field(default_factory=dict)
    _recent_wanted: RecentReads = field(default_factory=RecentReads)
    _numbers: dict[RowKey, int] = field(default_factory=dict)
    _numbered: int = 0
    _numbers_room: int = 0
    _kept: deque[_Kept] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def coverage(self) -> float | None:
        """Share of the server's reads that statements explain, since the baseline."""
        return self._covered.coverage

    @property
    def per_block(self) -> PerBlock:
        """Read operations per block since the baseline."""
        return PerBlock() if self._whole is None else self._whole.reads.per_block

    @property
    def seconds(self) -> float:
        """How long was counted since the baseline."""
        return 0.0 if self._whole is None else self._whole.seconds

    def begin(self) -> None:
        """Count from here: the baseline is ours, nothing on the server is reset."""
        self._statements, self._relations, self._io = RunningTotals(), RunningTotals(), {}
        self._gone, self._gone_sizes, self._gone_relations = (
            RunningTotals(),
            Counter(),
            RunningTotals(),
        )
        self._whole, self._covered = None, CoveredReads()
        self._disk = None
        self.tables = self.tables.from_here()
        self.qualities = ()
        self.began = None if self.latest is None else self.latest.until

    def absorb(self, interval: Interval) -> None:
        """Take one more interval in."""
        if interval.error is not None:
            self.trouble = interval
            return
        if interval.before is not None:
            self._go_on_from(interval.before)
        self.trouble, self.latest = None, interval
        if interval.tables is not None:
            self.tables = self.tables.after(interval.tables, interval.counted)
        if interval.counted is None:
            return
        self.shown += 1
        self.recent = self.recent.after(interval.counted, interval.since)
        self._add(interval, interval.counted)
        if self.gauge is not None and interval.load is not None:
            self.gauge, self.balance = self.gauge.advance(interval.load)
        self._keep(interval, interval.counted)
        if interval.snapshot is not None:
            self._forget(interval.snapshot)

    def _go_on_from(self, before: SeekContext) -> None:
        """Be as if all had been taken in that was before: a history is sought in any order."""
        self.begin()
        self.began = before.since
        self._kept.clear()
        self.recent, self.tables = before.recent, before.tables
        if before.whole is not None and before.whole.counted is not None:
            self._add(before.whole, before.whole.counted)
        for interval in before.past:
            if interval.counted is not None:
                self._keep(interval, interval.counted)
        if self.gauge is not None:
            # What a bucket holds depends on all that was before, and that is not gone through.
            self.gauge, self.balance = replace(self.gauge, low=0.0, high=1.0), None

    def _add(self, interval: Interval, counted: Totals) -> None:
        self.began = self.began or interval.since
        self.qualities = tuple(dict.fromkeys((*self.qualities, *interval.qualities)))
        self._statements.add(
            counted.statements, counted.statement_amounts, counted.statement_uncertain
        )
        self._relations.add(counted.relations, counted.relation_amounts, counted.relation_uncertain)
        self._whole = counted if self._whole is None else together(self._whole, counted)
        self._covered.add(interval.statement_blocks, interval.reads, interval.since)
        if interval.disk is not None:
            self._disk = interval.disk if self._disk is None else self._disk + interval.disk
        for row in interval.io or ():
            key = (row.backend_type, row.object, row.context)
            self._io[key] = _added(self._io.get(key), row)

    def counted(self, *, whole: bool, is_recent: bool = False) -> Totals | None:
        """Return what the last interval counted, or all since the baseline.

        Args:
            whole: Since the baseline.
            is_recent: Over the last seconds, where one interval is too short.
        """
        last = None if self.latest is None else self.latest.counted
        if is_recent and not whole:
            last, self._recent_wanted = self.recent.total, self.recent
        counted = self._since_baseline() if whole else last
        if counted is not None:
            self._history_wanted[whole] = counted
        return counted

    def counted_tables(self, *, whole: bool) -> Totals | None:
        """Return what tables counted over their last intervals, or since the baseline."""
        self._recent_wanted = self.recent
        counted = self.counted(whole=True) if whole else self.recent.of_tables
        return self.tables.counted(counted, whole=whole)

    def _since_baseline(self) -> Totals | None:
        if self._whole is None:
            return None
        statements, relations = self._statements, self._relations
        gone, gone_relations = self._gone, self._gone_relations
        return replace(
            self._whole,
            statements=statements.keys,
            statement_amounts=statements.amounts,
            statement_uncertain=statements.uncertain,
            relations=relations.keys,
            relation_amounts=relations.amounts,
            relation_uncertain=relations.uncertain,
            evicted=EvictedTotals(
                gone.keys,
                [self._gone_sizes[kind] for kind in gone.keys],
                gone.amounts,
                gone.uncertain,
                gone_relations.keys,
                gone_relations.amounts,
                gone_relations.uncertain,
            ),
        )

    def names_in_use(self) -> tuple[set[StatementKey], set[int]]:
        """Return the statements and relations with names in use; another thread calls it.

        A paused screen still shows the last requested statement.
        """
        wanted = [*self._history_wanted.values(), *self._recent_wanted.parts, *self.recent.parts]
        if self.latest is not None and self.latest.counted is not None:
            wanted.append(self.latest.counted)
        ids = chain(self._statements.keys, *(each.statements for each in wanted))
        relids = chain(self._relations.keys, *(each.relations for each in wanted))
        tables = (owner for owner, _ in self._gone_relations.keys if owner is not None)
        statements = {(userid, dbid, qid) for userid, dbid, qid in ids if qid is not None}
        return statements, {*relids, *tables, *self.tables.relids}

    def _forget(self, snapshot: Snapshot) -> None:
        """Tell most of what has gone from the server apart no more, but by what shares are of."""
        names = self.names
        if self._statements.is_full:
            living = snapshot.living
            hidden = {ids for ids in self._statements.keys if ids[2] is None}
            keys, amounts, uncertain = self._statements.forget({*living, *hidden})
            kinds = []
            for userid, dbid, queryid in keys:
                kinds.append((userid, dbid, _category_of(names, userid, dbid, queryid)))
            self._gone.add(kinds, amounts, uncertain)
            self._gone_sizes.update(kinds)
        if self._relations.is_full:
            there = set(snapshot.relations["relid"].tolist())
            relids, amounts, uncertain = self._relations.forget(there)
            owners = [names.relations.get(relid, (relid, "", "", "heap")) for relid in relids]
            parts = [(owner if owner in there else None, part) for owner, _, _, part in owners]
            self._gone_relations.add(parts, amounts, uncertain)

    def io(self, *, whole: bool) -> tuple[IoRow, ...] | None:
        """Return rows of pg_stat_io, None where there are none."""
        if self.latest is None or self.latest.io is None:
            return None
        return tuple(self._io.values()) if whole else self.latest.io

    def disk(self, *, whole: bool) -> DiskReads | None:
        """Return the reads of the server's device in the last interval, or since the baseline.

        None if they were not measured.
        """
        last = None if self.latest is None else self.latest.disk
        return self._disk if whole else last

    def past(self, by: By | None = None, key: tuple[str, ...] = ()) -> RateHistory:
        """Return the last intervals: of all statements, or of a row of a ranking."""
        wanted = None
        if by is not None:
            ids = self._numbers.items()
            chosen = [number for each, number in ids if group_of(by, each, self.names) == key]
            wanted = np.array(chosen, dtype=np.int32)
        found = [(each.since, each.until, *each.rates(wanted)) for each in self._kept]
        begins, ends, blocks, calls = zip(*found, strict=True) if found else ((), (), (), ())
        return RateHistory(begins, ends, blocks, calls)

    def _keep(self, interval: Interval, counted: Totals) -> None:
        if interval.since is None or interval.until is None or not counted.seconds:
            return
        places = [self._number(ids) for ids in counted.statements]
        amounts = counted.statement_amounts
        self._kept.append(
            _Kept(
                interval.since,
                interval.until,
                np.array(places, dtype=np.int32),
                (blocks_of(amounts) / counted.seconds).astype(np.float32),
                (amounts[_CALLS] / counted.seconds).astype(np.float32),
            )
        )
        if len(self._numbers) > self._numbers_room + SPARE:
            plotted = set(np.unique(np.concatenate([each.places for each in self._kept])).tolist())
            self._numbers = {ids: n for ids, n in self._numbers.items() if n in plotted}
            self._numbers_room = len(self._numbers)

    def _number(self, ids: RowKey) -> int:
        """Return the number of a statement in the plots; each number is used once."""
        number = self._numbers.setdefault(ids, self._numbered)
        self._numbered += number == self._numbered
        return number


def _category_of(names: Names, userid: int, dbid: int, queryid: int | None) -> str:
    """Return the category of a statement that has gone: its text will not come any more."""
    if queryid is None:
        return HIDDEN
    category = names.described((userid, dbid, queryid)).category
    return UNREADABLE if category == UNREAD else category


def _added(a: IoRow | None, b: IoRow) -> IoRow:
    if a is None:
        return b
    return replace(
        b,
        reads=a.reads + b.reads,
        read_bytes=a.read_bytes + b.read_bytes,
        read_us=sum_if_all_known((a.read_us, b.read_us)),
        hits=sum_if_all_known((a.hits, b.hits)),
    )
