"""Rows and numbers of a view, ranking or pg_stat_io, ready to be drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

from pgiostat.analysis.cost import FIELDS, ReadCost
from pgiostat.analysis.ledger import total_of
from pgiostat.analysis.rank import (
    By,
    LazySequence,
    Ranking,
    RankRow,
    Totals,
    rank_totals,
    with_databases,
)
from pgiostat.analysis.server_reads import PerBlock
from pgiostat.render.columns import in_order, is_of, of_blocks
from pgiostat.render.ledger import account_lines
from pgiostat.statistics.names import Names
from pgiostat.units import format_await, format_bytes, per_second, us_to_milliseconds
from pgiostat.watch.model.interval import IoRow
from pgiostat.watch.model.table_counts import SessionTables, TableFigures
from pgiostat.watch.screen.folding import SYSTEM_CATALOGS, folded, is_catalog, with_parts
from pgiostat.watch.screen.path import Touched, belongs, touched, with_read
from pgiostat.watch.screen.rows import Measure, ReadOf, TableRow, Value, Values, shown
from pgiostat.watch.screen.table_columns import TableValues, with_table_measures
from pgiostat.watch.state import RowKey, View, ViewState

__all__ = ["ScreenTable", "io_cost", "table_of", "total_cost"]


@dataclass(frozen=True, slots=True)
class ScreenTable:
    """What a view shows: rows in order, and what is below them, which adds up with them.

    hidden: how many rows a filter or a path leaves out.  ranking: None for pg_stat_io.  explained:
    share of the reads of the table that was gone into, which these statements explain; or of a
    statement, which its tables explain.  figures: what tables and indexes did; None in other views,
    and where nothing is known.  hidden_blocks: what the rows read that are left out.
    """

    view: View
    measures: tuple[Measure, ...]
    rows: Sequence[TableRow]
    below: tuple[TableRow, ...]
    hidden: int = 0
    ranking: Ranking | None = None
    explained: float | None = None
    figures: TableFigures | None = None
    hidden_blocks: int = 0

    def unseen(self, visible: Sequence[TableRow]) -> TableRow | None:
        """Return the rows without room on a screen as one that adds up with those visible.

        Args:
            visible: Rows of the table.

        Returns:
            None if all rows are visible, and of pg_stat_io.
        """
        with_parts = self.view is View.RELATION
        every = len(self.rows) - (
            sum(row.part is not None for row in self.rows) if with_parts else 0
        )
        top = [row for row in visible if row.part is None]
        ranking = self.ranking
        if ranking is None or every == len(top):
            return None
        own = 0 if ranking.own is None else ranking.own.cost.blocks
        left = ranking.explained.blocks - own - self.hidden_blocks
        left -= sum(int(row.values.get("blocks_read") or 0) for row in top)
        name = f"({every - len(top)} not visible)"
        return TableRow(name, ranking.share(left), of_blocks(ranking, left), is_part=True)

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
            format_await,
        ),
        lambda r, _: us_to_milliseconds(r.read_us) / r.reads if r.reads and r.read_us else None,
    ),
    (
        Measure("hits_per_s", "hits/s", "blocks found in buffers per second"),
        lambda r, s: None if r.hits is None else per_second(r.hits, s),
    ),
)


_ONE_UNIT = {"rd_await_ms": format_await}
"""Formats of columns that keep their unit from interval to interval."""


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


def total_cost(counted: Totals | None) -> ReadCost:
    """Return the reads of an interval as a cost: the total of a table of statements."""
    cost = io_cost(counted)
    if counted is None:
        return cost
    more = total_of(cost.blocks, counted.reads) - cost.blocks
    return replace(cost, shared_blks_read=cost.shared_blks_read + more)


def table_of(
    state: ViewState,
    counted: Totals | None,
    io: Sequence[IoRow] | None,
    names: Names,
    per_block: PerBlock | None = None,
    *,
    dbname: str = "",
    is_folded: bool = True,
    tables: SessionTables | None = None,
    steps: Totals | None = None,
) -> ScreenTable:
    """Return the table of a view.

    Args:
        state: What the user chose to see.
        counted: What is ranked.
        io: Rows of pg_stat_io in the same time.
        names: What ids mean.
        per_block: Read operations per block since the baseline: columns change their order less
            often than by those of an interval. None for those of what is ranked.
        dbname: The connected database.
        is_folded: Some rows stand for several, and tables have rows of their indexes.
        tables: What tables and indexes counted.
        steps: What was counted by statement and by table, for a path from one to the other; None
            if that is what is ranked.
    """
    if state.view is View.IO:
        return _io_table(state, io or (), 0.0 if counted is None else counted.seconds)
    by = state.view.by or By.CATEGORY
    ranking = _ranked(counted, names, by)
    figures = None
    make: Callable[[RankRow], TableRow] = shown
    if by is By.RELATION and tables is not None and counted is not None:
        owners = [int(row.key[0]) for row in ranking.rows if row.key[0].isdecimal()]
        size = counted.block_size
        figures = tables.figures(owners, names, whole=state.whole, block_size=size)
        if figures is not None:
            make = partial(_shown_table, figures=figures)
    rows: Sequence[TableRow] = LazySequence(len(ranking.rows), lambda n: make(ranking.rows[n]))
    others: list[TableRow] = []
    explained, touch = None, None
    if state.path or state.filter:
        touch, explained = touched(state, steps or counted, names, dbname)
        kept: list[TableRow] = []
        for row in rows:
            is_shown = belongs(row, state, touch) and _matches(row, state.filter)
            (kept if is_shown else others).append(row)
        rows = kept if touch is None else [with_read(row, touch) for row in kept]
    rows = _ordered(rows, state)
    if is_folded:
        rows = folded(rows, state, ranking)
    if state.top is not None:
        others += rows[state.top :]
        rows = rows[: state.top]
    if is_folded and state.view is View.RELATION and counted is not None:
        rows = with_parts(rows, counted, names, ranking, figures)
    below = (*_others(ranking, others, touch), *_unexplained(state, explained), *_below(ranking))
    measures = _measures(ranking, per_block)
    if figures is not None:
        measures = with_table_measures(measures)
    hidden = sum(row.of.cost.blocks for row in others if row.of is not None)
    return ScreenTable(
        state.view, measures, rows, below, len(others), ranking, explained, figures, hidden
    )


def _ranked(counted: Totals | None, names: Names, by: By) -> Ranking:
    """Return the ranking of a view; merged statements have their databases."""
    parts = [] if counted is None else [(counted, names)]
    ranking = rank_totals(parts, by=by)
    return with_databases(ranking, parts) if by is By.FINGERPRINT else ranking


def _shown_table(row: RankRow, figures: TableFigures) -> TableRow:
    """Return the row of a table with its scans, rows and size."""
    table = figures.tables.get(int(row.key[0])) if row.key[0].isdecimal() else None
    return replace(shown(row), values=TableValues(row.cost, table))


def _measures(ranking: Ranking, per_block: PerBlock | None) -> tuple[Measure, ...]:
    """Return the columns of numbers of a ranking."""
    each = per_block or ranking.explained.per_block
    return tuple(
        Measure(
            m.name,
            m.title,
            m.meaning,
            _ONE_UNIT.get(m.name, m.shown),
            not m.heading or m.repeats(each),
        )
        for m in in_order(each, ranking.by)
        if m.known(ranking.explained) and is_of(m, ranking.by)
    )


def _others(ranking: Ranking, hidden: Sequence[TableRow], touch: Touched | None) -> list[TableRow]:
    """Return the rows that a filter or a path leaves out, as one that adds up with those shown."""
    costs = [row.of.cost for row in hidden if row.of is not None]
    if not costs:
        return []
    cost = costs[0].with_all(costs[1:])
    name = f"({len(costs)} not shown)"
    reads = [touch.rows[row.key].share or 0.0 for row in hidden if touch and row.key in touch.rows]
    read_of = ReadOf(sum(reads), is_known=None) if reads else None
    share = ranking.share(cost.blocks)
    return [TableRow(name, share, Values(cost), is_part=True, read_of=read_of)]


def _unexplained(state: ViewState, explained: float | None) -> list[TableRow]:
    """Return the reads of a table that none of its statements explains, if there are any."""
    if state.view is View.RELATION or explained is None or explained >= 1.0:
        return []
    rest = ReadOf(1.0 - explained, is_known=None)
    return [TableRow("not explained", None, {}, is_part=True, read_of=rest, has_share=False)]


def _below(ranking: Ranking) -> list[TableRow]:
    """Return the parts that no row explains, the total, and what other intervals count."""
    found = [] if ranking.own is None else [replace(shown(ranking.own), is_part=True)]
    for line in account_lines(ranking, is_live=True):
        share = ranking.share(line.blocks) if line.has_share else None
        found.append(
            TableRow(
                line.name,
                share,
                of_blocks(ranking, line.blocks),
                is_uncertain=line.is_bound,
                is_part=True,
                has_share=line.has_share,
            )
        )
    return found


def _matches(row: TableRow, wanted: str) -> bool:
    if not wanted:
        return True
    # A catalog is found by the name of the row that it is folded into.
    fold = SYSTEM_CATALOGS if is_catalog(row) else ""
    text = f"{row.name} {fold} {row.category} {row.place} {row.of.text if row.of else ''}"
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
