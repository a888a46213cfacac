"""The columns of tables and indexes: scans, rows, sizes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.units import (
    format_bytes,
    format_count,
    format_duration,
    format_rate,
    format_share,
)
from pgiostat.watch.model.table_counts import TableFigures
from pgiostat.watch.screen.rows import Measure, Value, Values

__all__ = [
    "TABLE_MEASURES",
    "FoldValues",
    "Part",
    "TableValues",
    "part_of",
    "times_of",
    "with_table_measures",
]

OfTable = Callable[[TableActivity], Value]
OfIndex = Callable[[IndexActivity], Value]
Part = TableActivity | IndexActivity | None
"""What a row is of: a table, an index; None if nothing is known of it."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number of a table with its indexes, of its heap alone, and of an index.

    None where a row has no such number.
    """

    measure: Measure
    of_table: OfTable
    of_heap: OfTable | None = None
    of_index: OfIndex | None = None


_STALE = "as of the last VACUUM, ANALYZE or index build"
_FIGURES = (
    _Figure(
        Measure("seq_scans_per_s", "seq/s", "sequential scans per second", format_rate),
        lambda t: t.seq_scans_per_s,
        lambda t: t.seq_scans_per_s,
    ),
    _Figure(
        Measure(
            "idx_scans_per_s",
            "idx/s",
            "index scans per second: descents, several in one statement",
            format_rate,
        ),
        lambda t: t.idx_scans_per_s,
        of_index=lambda i: i.scans_per_s,
    ),
    _Figure(
        Measure(
            "rows_per_scan",
            "rows/scan",
            "live rows per scan, sequential or of an index; of an index its entries per scan",
        ),
        lambda t: t.rows_per_scan,
        lambda t: t.rows_per_seq_scan,
        lambda i: i.rows_per_scan,
    ),
    _Figure(
        Measure(
            "size_bytes",
            "size",
            f"size of the table without indexes and TOAST, or of the index, {_STALE}",
            format_bytes,
        ),
        lambda t: t.size_bytes,
        lambda t: t.size_bytes,
        lambda i: i.size_bytes,
    ),
    _Figure(
        Measure(
            "blocks_per_row",
            "blocks/row",
            "blocks of the table alone, read or in shared_buffers, per row that scans fetched",
        ),
        lambda t: t.blocks_per_row,
        lambda t: t.blocks_per_row,
    ),
    _Figure(
        Measure("dead_share", "dead", "estimated dead rows as a share of all rows", format_share),
        lambda t: t.dead_share,
        lambda t: t.dead_share,
    ),
    _Figure(
        Measure("rows_per_seq_scan", "rows/seq", "live rows per sequential scan", format_count),
        lambda t: t.rows_per_seq_scan,
        lambda t: t.rows_per_seq_scan,
    ),
    _Figure(
        Measure("rows_per_idx_scan", "rows/idx", "live rows fetched per index scan", format_count),
        lambda t: t.rows_per_idx_scan,
        of_index=lambda i: i.rows_per_scan,
    ),
)
TABLE_MEASURES = tuple(each.measure for each in _FIGURES)
BEFORE_HIT = 6
"""Number of columns before the hit ratio."""
ADDED_UP = ("seq_scans_per_s", "idx_scans_per_s", "size_bytes")
_BY_NAME = {each.measure.name: each for each in _FIGURES}


def part_of(figures: TableFigures, table: int, relid: int, part: str) -> Part:
    """Return what is known of a part of a table.

    Args:
        figures: What is known of all.
        table: The table.
        relid: The part.
        part: What it is of the table: heap, idx, toast, tidx.
    """
    if part in {"idx", "tidx"}:
        return figures.indexes.get(relid)
    of_table = figures.tables.get(table)
    return of_table if of_table is None or part == "heap" else of_table.toast


def with_table_measures(measures: Sequence[Measure]) -> tuple[Measure, ...]:
    """Return the columns of a ranking of tables: blocks, what causes them, and the others."""
    blocks, *others = measures
    hit = [each for each in others if each.name == "hit_ratio"]
    left = [each for each in others if each.name != "hit_ratio"]
    return (blocks, *TABLE_MEASURES[:BEFORE_HIT], *hit, *TABLE_MEASURES[BEFORE_HIT:], *left)


class TableValues(Values):
    """The numbers of a table, its heap or an index, each computed on demand."""

    __slots__ = ("_is_heap", "_part")

    def __init__(self, cost: ReadCost, part: Part, *, is_heap: bool = False) -> None:
        super().__init__(cost)
        self._part, self._is_heap = part, is_heap

    def __getitem__(self, name: str) -> Value:
        figure = _BY_NAME.get(name)
        if figure is None:
            return super().__getitem__(name)
        part = self._part
        if part is None:
            return None
        if isinstance(part, IndexActivity):
            if figure.of_index is None:
                raise KeyError(name)
            return figure.of_index(part)
        read = figure.of_heap if self._is_heap else figure.of_table
        if read is None:
            raise KeyError(name)
        return read(part)

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield from _BY_NAME

    def __len__(self) -> int:
        return super().__len__() + len(_BY_NAME)


class FoldValues(Values):
    """The numbers of several tables as one: scans and sizes add up, and other figures do not."""

    __slots__ = ("_rows",)

    def __init__(self, cost: ReadCost, rows: Sequence[Mapping[str, Value]]) -> None:
        super().__init__(cost)
        self._rows = rows

    def __getitem__(self, name: str) -> Value:
        if name not in _BY_NAME:
            return super().__getitem__(name)
        if name not in ADDED_UP or not any(name in row for row in self._rows):
            raise KeyError(name)
        known = [value for row in self._rows if (value := row.get(name)) is not None]
        return sum(known) if known else None


def times_of(
    seconds: float, figures: TableFigures | None, *, whole: bool, is_shared: bool = False
) -> str:
    """Return over which time the numbers of tables are.

    Args:
        seconds: Length of the time of the reads, if tables and indexes have no time of their own.
        figures: What tables and indexes did; None if they are not read.
        whole: All since the baseline.
        is_shared: Whether shares of the reads of tables are shown, which are of statements.
    """
    reads = "since the baseline" if whole else f"of the last {format_duration(seconds)}"
    if figures is None:
        return f"reads {reads}"
    if figures.seconds is None or figures.until is None:
        return f"reads {reads}; scans and rows after the next read of the tables"
    since = " since the baseline," if whole else ""
    over = f"over {format_duration(figures.seconds)} until {figures.until:%H:%M:%SZ}"
    shares = f"; shares {reads}" if is_shared else ""
    return f"reads, scans and rows{since} {over}{shares}"
