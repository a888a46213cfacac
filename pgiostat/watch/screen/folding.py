"""Rows that stand for several: what read nothing, and system catalogs; and rows of indexes."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pgiostat.analysis.cost import FIELDS, ReadCost, blocks_of
from pgiostat.analysis.rank import Ranking, Totals
from pgiostat.statistics.names import Names
from pgiostat.watch.model.table_counts import TableFigures
from pgiostat.watch.screen.rows import TableRow, Values
from pgiostat.watch.screen.table_columns import FoldValues, TableValues, part_of
from pgiostat.watch.state import Fold, View, ViewState

__all__ = ["SYSTEM_CATALOGS", "folded", "is_catalog", "is_idle", "with_parts"]

LEAST = 2
"""Rows that are folded: a single one is shown."""
_PLURALS = {
    View.FINGERPRINT: "statements",
    View.STATEMENT: "entries",
    View.RELATION: "tables",
    View.CATEGORY: "categories",
    View.TABLE: "tables",
    View.VERB: "verbs",
}
SYSTEM_CATALOGS = "system catalogs"
"""Name of the row of catalogs, after their number."""
_CATALOGS = ("pg_catalog.", "information_schema.", "pg_toast.")
_PARTS = {"heap": "heap", "idx": "index", "toast": "TOAST", "tidx": "TOAST index"}
"""What a relation is of its table."""


def is_idle(row: TableRow) -> bool:
    """Return whether a row of a ranking read nothing."""
    return row.of is not None and not row.of.cost.blocks


def is_catalog(row: TableRow) -> bool:
    """Return whether a row is a system catalog."""
    return row.name.startswith(_CATALOGS)


def folded(rows: Sequence[TableRow], state: ViewState, ranking: Ranking) -> Sequence[TableRow]:
    """Return rows of which some stand for several.

    Rows that read nothing are one, unless the user sorts by another number, filters, or opened it.

    Args:
        rows: In order.
        state: What the user chose to see.
        ranking: The ranking of the rows.
    """
    if state.filter or state.top is not None:
        return rows
    open_folds = {drill.fold for drill in state.path}
    if not state.sort and not state.is_reversed and Fold.IDLE not in open_folds:
        rows = _without_idle(rows, state.view)
    if state.view is View.RELATION and not {Fold.CATALOGS, Fold.IDLE} & open_folds:
        rows = _without_catalogs(rows, state, ranking)
    return rows


def _without_idle(rows: Sequence[TableRow], view: View) -> Sequence[TableRow]:
    first = bisect_left(rows, True, key=is_idle)
    count = len(rows) - first
    if count < LEAST or view not in _PLURALS:
        return rows
    name = f"{count} {_PLURALS[view]} read nothing"
    return (*rows[:first], TableRow(name, None, {}, fold=Fold.IDLE))


def _without_catalogs(
    rows: Sequence[TableRow], state: ViewState, ranking: Ranking
) -> Sequence[TableRow]:
    catalogs = [row for row in rows if is_catalog(row) and row.of is not None]
    if len(catalogs) < LEAST:
        return rows
    others = [row for row in rows if not is_catalog(row)]
    first, *more = [row.of.cost for row in catalogs if row.of is not None]
    cost = first.with_all(more)
    name = f"{len(catalogs)} {SYSTEM_CATALOGS}"
    values = FoldValues(cost, [row.values for row in catalogs])
    one = TableRow(name, ranking.share(cost.blocks), values, fold=Fold.CATALOGS)
    if state.sort or state.is_reversed:  # at the place of the first of them
        place = rows.index(catalogs[0])
    else:
        place = bisect_left(others, -cost.blocks, key=_negative_blocks)
    return (*others[:place], one, *others[place:])


def _negative_blocks(row: TableRow) -> int:
    return 0 if row.of is None else -row.of.cost.blocks


def with_parts(
    rows: Sequence[TableRow],
    counted: Totals,
    names: Names,
    ranking: Ranking,
    figures: TableFigures | None = None,
) -> Sequence[TableRow]:
    """Return the rows of tables, each with rows of its heap and its indexes beneath it.

    A table of which one part alone was read needs no rows for parts.

    Args:
        rows: The tables.
        counted: What is ranked.
        names: What ids mean.
        ranking: The ranking of the tables.
        figures: What tables and indexes did; None if that is unknown.
    """
    parts: dict[str, list[int]] = {}
    for place, relid in enumerate(counted.relations):
        owner = names.relations.get(relid, (relid, "", "", ""))[0]
        parts.setdefault(str(owner), []).append(place)
    blocks = blocks_of(counted.relation_amounts).tolist()
    found: list[TableRow] = []
    for row in rows:
        found.append(row)
        if row.of is not None and not is_idle(row):
            table = row.of.key[0]
            read = [
                each
                for each in parts.get(table, ())
                if blocks[each] or _is_scanned(counted.relations[each], figures)
            ]
            read.sort(key=lambda place: -blocks[place])
            if len(read) > 1 or any(str(counted.relations[each]) != table for each in read):
                costs = [(each, _cost_of_part(row.of.cost, counted, each)) for each in read]
                found += _parts(row, costs, counted, names, ranking, figures=figures)
    return found


def _is_scanned(relid: int, figures: TableFigures | None) -> bool:
    """Return whether an index was scanned, though all of it was in shared_buffers."""
    index = None if figures is None else figures.indexes.get(relid)
    return index is not None and index.idx_scan > 0


def _cost_of_part(table: ReadCost, counted: Totals, place: int) -> ReadCost:
    """Return the cost of a part of a table."""
    amounts: dict[str, Any] = dict(
        zip(FIELDS, counted.relation_amounts[:, place].tolist(), strict=True)
    )
    amounts |= {name: None for name in FIELDS if getattr(table, name) is None}
    return ReadCost(table.seconds, table.block_size, **amounts, per_block=table.per_block)


def _parts(
    row: TableRow,
    costs: Sequence[tuple[int, ReadCost]],
    counted: Totals,
    names: Names,
    ranking: Ranking,
    *,
    figures: TableFigures | None,
) -> Iterator[TableRow]:
    for place, cost in costs:
        relid = counted.relations[place]
        table, _, _, part = names.relations.get(relid, (relid, "", "", "heap"))
        values: Values = Values(cost)
        if figures is not None:
            of = part_of(figures, table, relid, part)
            values = TableValues(cost, of, is_heap=part == "heap")
        words = f"{_PARTS.get(part, part)} {names.index_names.get(relid, '')}".rstrip()
        yield replace(
            row,
            name=f"  {words}",
            share=ranking.share(cost.blocks),
            values=values,
            is_uncertain=bool(counted.relation_uncertain[place]),
            part=relid,
            read_of=None,
        )
