"""Rows of cells as lines that fit a screen: drawn over and over, so without a layout engine.

A line is a list of spans, text with its style; whoever draws decides what draws them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

__all__ = ["Cell", "Column", "Line", "cut", "fold", "lay", "width_of", "wrapped"]

Cell: TypeAlias = tuple[str, str]
"""Text that is printable, and its style; empty for none."""
Line: TypeAlias = list[Cell]
GAP = " "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    right: numbers.  least: its width, or what its cells need.  most: longer cells are cut, None
    for never.  optional: it gives way, the last one first, where there is no room.
    """

    heading: str
    right: bool = False
    least: int = 0
    most: int | None = None
    optional: bool = False


def cut(text: str, cells: int) -> str:
    """Return a text in so many cells at most.

    >>> cut("select", 4), cut("数据库", 4), cut("ok", 4)
    ('sel…', '数…', 'ok')
    """
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, max(cells - 1, 0)).rstrip() + "…" if cells > 0 else ""


def wrapped(text: str, cells: int) -> list[str]:
    """Return a text in lines of so many cells, broken between words.

    >>> wrapped("statistics were reset", 12), wrapped("数据库 was reset", 9)
    (['statistics', 'were reset'], ['数据库', 'was reset'])
    >>> wrapped("pg_stat_statements.max", 10)
    ['pg_stat_s…']
    """
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= cells:
            lines[-1] += f" {word}"
        else:
            lines.append(cut(word, cells))
    return lines


def lay(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """Return a line for the headings and one for each row, none wider than the screen.

    >>> lay([Column("name"), Column("n", right=True, least=4)], [[("a", ""), ("12", "red")]], 20)
    [[('name ', ''), ('   n', '')], [('a    ', ''), ('  12', 'red')]]
    """
    widths = _widths(columns, rows)
    shown = list(range(len(columns)))
    while _total(widths[n] for n in shown) > width:
        last = next((n for n in reversed(shown) if columns[n].optional), None)
        if last is None:
            break
        shown.remove(last)
    headings = [(column.heading, "") for column in columns]
    return [
        [_cell(row[n], columns[n], widths[n], last=n == shown[-1]) for n in shown]
        for row in (headings, *rows)
    ]


def fold(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """Return lines as lay does, with all columns: what has no room comes below, named anew.

    >>> fold([Column("name"), Column("one"), Column("two")], [[("a", ""), ("1", ""), ("2", "")]], 9)
    ... # doctest: +NORMALIZE_WHITESPACE
    [[('name ', ''), ('one', '')], [('a    ', ''), ('1  ', '')], [],
     [('name ', ''), ('two', '')], [('a    ', ''), ('2  ', '')]]
    """
    widths = _widths(columns, rows)
    lines: list[Line] = []
    left = list(range(1, len(columns)))
    while left:
        count = 1
        while count < len(left) and _total(widths[n] for n in (0, *left[: count + 1])) <= width:
            count += 1
        shown, left = (0, *left[:count]), left[count:]
        lines += [[]] * bool(lines)
        lines += lay([columns[n] for n in shown], [[row[n] for n in shown] for row in rows], width)
    return lines


def width_of(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> int:
    """Return how wide a table is that has all the room that it needs."""
    return _total(_widths(columns, rows))


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    widths = (
        max([column.least, cell_len(column.heading), *(cell_len(row[n][0]) for row in rows)])
        for n, column in enumerate(columns)
    )
    return [
        each if column.most is None else min(each, column.most)
        for each, column in zip(widths, columns, strict=True)
    ]


def _total(widths: Iterable[int]) -> int:
    return sum(each + len(GAP) for each in widths) - len(GAP)


def _cell(cell: Cell, column: Column, width: int, *, last: bool) -> Cell:
    text, style = cell
    text = cut(text, width)
    space = GAP if not last else ""
    filling = " " * (width - cell_len(text))
    return (filling + text if column.right else text + filling) + space, style
