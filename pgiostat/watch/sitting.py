"""A sitting: what was counted since its beginning, and how that went over the last minutes."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from pgiostat.burst import Balance, Gauge
from pgiostat.cost import FIELDS
from pgiostat.delta import Quality
from pgiostat.ledger import ServerReads
from pgiostat.names import Names
from pgiostat.rank import By, Counted, group_of
from pgiostat.rows import Counts
from pgiostat.watch.moment import Before, IoRow, Moment

__all__ = ["KEPT", "Past", "Sitting"]

KEPT = 300
"""Intervals of which the plots know."""
_BLOCKS = [FIELDS.index(name) for name in ("shared_blks_read", "local_blks_read")]
_CALLS = FIELDS.index("calls")

Key = tuple[int, int, int | None]


@dataclass(slots=True)
class _Sums:
    """Amounts by what they are of, added up: as large as there are different ones."""

    places: dict[object, int] = field(default_factory=dict)
    amounts: Counts = field(default_factory=lambda: np.zeros((len(FIELDS), 0), dtype=np.int64))
    uncertain: list[bool] = field(default_factory=list)

    def add(self, keys: Sequence[object], amounts: Counts, uncertain: Sequence[bool]) -> None:
        """Add columns; a key may be in them more than once, as hidden statements are."""
        before = len(self.places)
        at = np.array(
            [self.places.setdefault(key, len(self.places)) for key in keys], dtype=np.intp
        )
        missing = len(self.places) - self.amounts.shape[1]
        if missing > 0:
            room = max(missing, self.amounts.shape[1])
            self.amounts = np.pad(self.amounts, ((0, 0), (0, room)))
        self.uncertain += [False] * (len(self.places) - before)
        for sums, values in zip(self.amounts, amounts, strict=True):
            np.add.at(sums, at, values)
        for place, doubted in zip(at.tolist(), uncertain, strict=True):
            self.uncertain[place] |= doubted


@dataclass(frozen=True, slots=True)
class Past:
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


@dataclass(slots=True)
class Sitting:
    """What was seen since the baseline; `begin` sets a new one, ours alone.

    names: what ids mean.  gauge: a volume's bucket, if one is watched.  qualities: of all intervals
    since the baseline, in the order in which they were met.
    """

    names: Names
    gauge: Gauge | None = None
    latest: Moment | None = None
    trouble: Moment | None = None
    balance: Balance | None = None
    shown: int = 0
    began: datetime | None = None
    qualities: tuple[Quality, ...] = ()
    _statements: _Sums = field(default_factory=_Sums)
    _relations: _Sums = field(default_factory=_Sums)
    _io: dict[tuple[str, str, str], IoRow] = field(default_factory=dict)
    _whole: Counted | None = None
    _statement_blocks: int = 0
    _server_blocks: int = 0
    _numbers: dict[Key, int] = field(default_factory=dict)
    _kept: deque[_Kept] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def coverage(self) -> float | None:
        """Share of the server's reads that statements explain, since the baseline."""
        return self._statement_blocks / self._server_blocks if self._server_blocks else None

    @property
    def seconds(self) -> float:
        """How long was counted since the baseline."""
        return 0.0 if self._whole is None else self._whole.seconds

    def begin(self) -> None:
        """Count from here: the baseline is ours, nothing on the server is reset."""
        self._statements, self._relations, self._io = _Sums(), _Sums(), {}
        self._whole, self._statement_blocks, self._server_blocks = None, 0, 0
        self.qualities = ()
        self.began = None if self.latest is None else self.latest.until

    def absorb(self, moment: Moment) -> None:
        """Take one more interval in."""
        if moment.error is not None:
            self.trouble = moment
            return
        if moment.before is not None:
            self._go_on_from(moment.before)
        self.trouble, self.latest = None, moment
        if moment.counted is None:
            return
        self.shown += 1
        self._add(moment, moment.counted)
        if self.gauge is not None and moment.load is not None:
            self.gauge, self.balance = self.gauge.advance(moment.load)
        self._keep(moment, moment.counted)

    def _go_on_from(self, before: Before) -> None:
        """Be as if all had been taken in that was before: a history is sought in any order."""
        self.begin()
        self.began = before.since
        self._kept.clear()
        if before.whole is not None and before.whole.counted is not None:
            self._add(before.whole, before.whole.counted)
        for moment in before.past:
            if moment.counted is not None:
                self._keep(moment, moment.counted)
        if self.gauge is not None:
            # What a bucket holds depends on all that was before, and that is not gone through.
            self.gauge, self.balance = replace(self.gauge, low=0.0, high=1.0), None

    def _add(self, moment: Moment, counted: Counted) -> None:
        self.began = self.began or moment.since
        self.qualities = tuple(dict.fromkeys((*self.qualities, *moment.qualities)))
        self._statements.add(
            counted.statements, counted.statement_amounts, counted.statement_uncertain
        )
        self._relations.add(counted.relations, counted.relation_amounts, counted.relation_uncertain)
        self._whole = counted if self._whole is None else _together(self._whole, counted)
        if moment.server_blocks is not None:
            self._statement_blocks += moment.statement_blocks
            self._server_blocks += moment.server_blocks
        for row in moment.io or ():
            key = (row.backend_type, row.object, row.context)
            self._io[key] = _added(self._io.get(key), row)

    def counted(self, *, whole: bool) -> Counted | None:
        """Return what the last interval counted, or all since the baseline."""
        if not whole:
            return None if self.latest is None else self.latest.counted
        if self._whole is None:
            return None
        statements, relations = self._statements, self._relations
        return replace(
            self._whole,
            statements=list(statements.places),  # type: ignore[arg-type] # keys of statements
            statement_amounts=statements.amounts[:, : len(statements.places)],
            statement_uncertain=statements.uncertain,
            relations=list(relations.places),  # type: ignore[arg-type] # oids
            relation_amounts=relations.amounts[:, : len(relations.places)],
            relation_uncertain=relations.uncertain,
        )

    def io(self, *, whole: bool) -> tuple[IoRow, ...] | None:
        """Return rows of pg_stat_io, None where there are none."""
        if self.latest is None or self.latest.io is None:
            return None
        return tuple(self._io.values()) if whole else self.latest.io

    def past(self, by: By | None = None, key: tuple[str, ...] = ()) -> Past:
        """Return the last intervals: of all statements, or of a row of a ranking."""
        chosen = {
            number
            for ids, number in self._numbers.items()
            if by is None or group_of(by, ids, self.names) == key
        }
        wanted = np.fromiter(chosen, dtype=np.int32, count=len(chosen))
        found: list[tuple[datetime, datetime, float, float]] = []
        for each in self._kept:
            there = np.isin(each.places, wanted)
            found.append(
                (
                    each.since,
                    each.until,
                    float(each.blocks[there].sum()),
                    float(each.calls[there].sum()),
                )
            )
        begins, ends, blocks, calls = zip(*found, strict=True) if found else ((), (), (), ())
        return Past(begins, ends, blocks, calls)

    def _keep(self, moment: Moment, counted: Counted) -> None:
        if moment.since is None or moment.until is None or not counted.seconds:
            return
        numbers = self._numbers
        places = [numbers.setdefault(ids, len(numbers)) for ids in counted.statements]
        amounts = counted.statement_amounts
        self._kept.append(
            _Kept(
                moment.since,
                moment.until,
                np.array(places, dtype=np.int32),
                (amounts[_BLOCKS].sum(axis=0) / counted.seconds).astype(np.float32),
                (amounts[_CALLS] / counted.seconds).astype(np.float32),
            )
        )


def _together(a: Counted, b: Counted) -> Counted:
    """Return the whole of two intervals, without what is added up by statement and relation."""
    blocks = _known((a.database_blocks, b.database_blocks))
    return replace(
        b,
        seconds=a.seconds + b.seconds,
        reads=ServerReads.total((a.reads, b.reads)),
        ahead=a.ahead,
        database_blocks=blocks,
        absurd_times=a.absurd_times + b.absurd_times,
        nested=a.nested + b.nested,
        nested_blocks=a.nested_blocks + b.nested_blocks,
    )


def _known(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    return None if any(value is None for value in listed) else sum(v for v in listed if v)


def _added(a: IoRow | None, b: IoRow) -> IoRow:
    if a is None:
        return b
    return replace(
        b,
        reads=a.reads + b.reads,
        read_bytes=a.read_bytes + b.read_bytes,
        read_us=_known((a.read_us, b.read_us)),
        hits=_known((a.hits, b.hits)),
    )
