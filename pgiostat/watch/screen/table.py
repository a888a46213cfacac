"""Rows and numbers of a view, ranking or pg_stat_io, ready to be drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.analysis.rank import By, LazySequence, Ranking, RankRow, Totals, rank_totals
from pgiostat.analysis.server_reads import PerBlock
from pgiostat.render.columns import METRICS, in_order, of_blocks, whole_of
from pgiostat.render.ledger import NAMES, NESTED
from pgiostat.statistics.names import Names
from pgiostat.units import format_bytes, format_count, format_ms, per_second, us_to_milliseconds
from pgiostat.watch.model.interval import IoRow
from pgiostat.watch.state import RowKey, View, ViewState

__all__ = ["Measure", "ScreenTable", "TableRow", "io_cost", "table_of"]

Value = float | int | None


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of numbers.

    name: of its values.  heading: on the screen.  meaning: for the help page.  shown: the format of
    a value.  is_extra: whether it is shown only after scrolling, or if it is sorted by.
    """

    name: str
    heading: str
    meaning: str
    shown: Callable[[float | None], str] = format_count
    is_extra: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: what it is, its share of all reads, and its numbers by name.

    of: the row of a ranking, if it is one.  is_part: it is below, and no row of the ranking.
    """

    name: str
    share: float | None
    values: Mapping[str, Value]
    category: str = ""
    place: str = ""
    is_uncertain: bool = False
    of: RankRow | None = None
    is_part: bool = False

    @property
    def key(self) -> RowKey:
        """What tells it from other rows."""
        return (self.name,) if self.of is None else self.of.key


class _Values(Mapping[str, Value]):
    """The numbers of a row, each computed on demand: few of thousands are visible."""

    __slots__ = ("_cost",)

    def __init__(self, cost: ReadCost) -> None:
        self._cost = cost

    def __getitem__(self, name: str) -> Value:
        return _METRICS[name].value(self._cost)

    def __iter__(self) -> Iterator[str]:
        return iter(_METRICS)

    def __len__(self) -> int:
        return len(_METRICS)


_METRICS = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True, slots=True)
class ScreenTable:
    """What a view shows: rows in order, and what is below them, which adds up with them.

    hidden: how many rows a filter or a path leaves out.  ranking: None for pg_stat_io.
    """

    view: View
    measures: tuple[Measure, ...]
    rows: Sequence[TableRow]
    below: tuple[TableRow, ...]
    hidden: int = 0
    ranking: Ranking | None = None

    @property
    def keys(self) -> Sequence[RowKey]:
        """What tells each row from the others."""
        return LazySequence(len(self.rows), lambda n: self.rows[n].key)


_IO: tuple[tuple[Measure, Callable[[IoRow, float], Value]], ...] = (
    (
        Measure("bytes_read_per_s", "volume/s", "bytes read per second", format_bytes),
        lambda r, s: per_second(r.read_bytes, s),
    ),
    (
        Measure(
            "reads_per_s",
            "read ops/s",
            "read operations per second; before PostgreSQL 18 blocks per second",
        ),
        lambda r, s: per_second(r.reads, s),
    ),
    (
        Measure(
            "read_time_ms_per_read",
            "r_await",
            "mean time of a read operation, of one block or of several",
            format_ms,
        ),
        lambda r, _: us_to_milliseconds(r.read_us) / r.reads if r.reads and r.read_us else None,
    ),
    (
        Measure("hits_per_s", "hits/s", "blocks found in buffers per second"),
        lambda r, s: None if r.hits is None else per_second(r.hits, s),
    ),
)


def io_cost(counted: Totals | None) -> ReadCost:
    """Return what all statements cost together, whatever the view: as a ranking of them has it."""
    if counted is None:
        return ReadCost(0.0, 0)
    parts = (counted.statement_amounts, counted.evicted.statement_amounts)
    amounts = sum(part.sum(axis=1) for part in parts)
    summed = dict(zip(FIELDS, amounts.tolist(), strict=True))
    return ReadCost(
        counted.seconds, counted.block_size, **summed, per_block=counted.reads.per_block
    )


def table_of(
    state: ViewState,
    counted: Totals | None,
    io: Sequence[IoRow] | None,
    names: Names,
    per_block: PerBlock | None = None,
) -> ScreenTable:
    """Return the table of a view.

    Args:
        state: What the user chose to see.
        counted: What is ranked.
        io: Rows of pg_stat_io in the same time.
        names: What ids mean.
        per_block: Read operations per block since the baseline: columns change their order less
            often than by those of an interval. None for those of what is ranked.
    """
    if state.view is View.IO:
        return _io_table(state, io or (), 0.0 if counted is None else counted.seconds)
    by = state.view.by or By.CATEGORY
    ranking = rank_totals([] if counted is None else [(counted, names)], by=by)
    each = per_block or ranking.explained.per_block
    measures = tuple(
        Measure(m.name, m.title, m.meaning, m.shown, not m.heading or m.repeats(each))
        for m in in_order(each)
        if m.known(ranking.explained) and not (m.called and by is By.RELATION)
    )
    rows: Sequence[TableRow] = LazySequence(len(ranking.rows), lambda n: _shown(ranking.rows[n]))
    others: list[TableRow] = []
    if state.path or state.filter:
        kept: list[TableRow] = []
        for row in rows:
            is_shown = _belongs(row, state) and _matches(row, state.filter)
            (kept if is_shown else others).append(row)
        rows = kept
    rows = _ordered(rows, state)
    if state.top is not None:
        others += rows[state.top :]
        rows = rows[: state.top]
    below = (*_others(ranking, others), *_below(ranking))
    return ScreenTable(state.view, measures, rows, below, len(others), ranking)


def _shown(row: RankRow) -> TableRow:
    return TableRow(
        row.name,
        row.share,
        _Values(row.cost),
        row.category,
        f"{row.user}@{row.database}" if row.user or row.database else "",
        row.uncertain,
        row,
    )


def _others(ranking: Ranking, hidden: Sequence[TableRow]) -> list[TableRow]:
    """Return the rows that a filter or a path leaves out, as one that adds up with those shown."""
    costs = [row.of.cost for row in hidden if row.of is not None]
    if not costs:
        return []
    cost = costs[0].with_all(costs[1:])
    name = f"({len(costs)} not shown)"
    return [TableRow(name, ranking.share(cost.blocks), _Values(cost), is_part=True)]


def _below(ranking: Ranking) -> list[TableRow]:
    """Return the parts that no row explains, and the whole."""
    found = [] if ranking.own is None else [replace(_shown(ranking.own), is_part=True)]
    parts = [(NAMES[line.account], line.blocks) for line in ranking.lines]
    parts.append((whole_of(ranking.by), ranking.server_blocks))  # type: ignore[arg-type] # unknown is None
    if ranking.nested:
        parts.append((NESTED, ranking.nested_blocks))
    for name, blocks in parts:
        values: dict[str, Any] = of_blocks(ranking, blocks)
        found.append(TableRow(name, ranking.share(blocks), values, is_part=True))
    return found


def _belongs(row: TableRow, state: ViewState) -> bool:
    """Return whether a row is of what was gone into."""
    if row.of is None:
        return True
    for drill in state.path:
        wanted = drill.name if drill.view in _BY_NAME else drill.key[0]
        if drill.view in _GROUP_OF and _GROUP_OF[drill.view](row.of) != wanted:
            return False
    return True


def _fingerprint(row: RankRow) -> str:
    return row.fingerprint or (f"queryid {row.queryid}" if row.queryid is not None else row.key[0])


_GROUP_OF: dict[View, Callable[[RankRow], str]] = {
    View.CATEGORY: lambda of: of.category,
    View.VERB: lambda of: of.verb,
    View.TABLE: lambda of: of.table,
    View.TAG: lambda of: of.tag_group,
    View.FINGERPRINT: _fingerprint,
    View.DATABASE: lambda of: of.database,
    View.USER: lambda of: of.user,
}
_BY_NAME = frozenset({View.DATABASE, View.USER})


def _matches(row: TableRow, wanted: str) -> bool:
    if not wanted:
        return True
    text = f"{row.name} {row.category} {row.place} {row.of.text if row.of else ''}"
    return wanted.casefold() in text.casefold()


def _ordered(rows: Sequence[TableRow], state: ViewState) -> Sequence[TableRow]:
    """Return rows by the column chosen, the greatest first; unknown ones are last either way."""
    if not state.sort:
        last = len(rows) - 1
        return LazySequence(len(rows), lambda n: rows[last - n]) if state.is_reversed else rows
    values = [(row.values.get(state.sort), row) for row in rows]
    known = [(value, row) for value, row in values if value is not None]
    known.sort(key=itemgetter(0), reverse=not state.is_reversed)
    return (*(row for _, row in known), *(row for value, row in values if value is None))


def _io_table(state: ViewState, io: Sequence[IoRow], seconds: float) -> ScreenTable:
    whole = sum(row.read_bytes for row in io)
    rows = [
        TableRow(
            f"{row.backend_type}, {row.object}, {row.context}",
            row.read_bytes / whole if whole else None,
            {measure.name: value(row, seconds) for measure, value in _IO},
        )
        for row in sorted(io, key=lambda row: -row.read_bytes)
    ]
    kept = _ordered([row for row in rows if _matches(row, state.filter)], state)[: state.top]
    measures = tuple(measure for measure, _ in _IO)
    return ScreenTable(state.view, measures, kept, (), len(rows) - len(kept))
