"""Rows of cells as lines that fit a screen.

A screen draws them over and over, so there is no layout engine. A line is a list of spans, text
with its style; the caller decides what draws them.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

from pgiostat.escape import terminal
from pgiostat.render.document import TableColumn

__all__ = [
    "BAR_WIDTH",
    "Cell",
    "Line",
    "TableColumn",
    "bar",
    "cut",
    "fold",
    "lay",
    "one_line",
    "sparkline",
    "width_of",
    "wrapped",
]

Cell: TypeAlias = tuple[str, str]
"""Text that is printable, and its style; empty for none."""
Line: TypeAlias = list[Cell]
GAP = 1
LEAST_REST = 8
BAR_WIDTH = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


def bar(share: float | None, width: int = BAR_WIDTH) -> str:
    """Return a bar of a share's length.

    >>> bar(0.55, 4), bar(None, 4), bar(1, 4), bar(-0.2, 4)
    ('██▎ ', '    ', '████', '    ')
    """
    eighths = round(min(max(share or 0.0, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width)


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return values as bars from zero to the greatest; neighbours share one if they are many.

    >>> sparkline([0, 1, None, 4, 8], 10), sparkline([1, 1, 5, 5], 2), sparkline([0, 0], 5)
    ('▁▂ ▅█', '▂█', '▁▁')
    """
    parts = min(len(values), width)
    if not parts:
        return ""
    edges = [round(n * len(values) / parts) for n in range(parts + 1)]
    means: list[float | None] = []
    for first, last in pairwise(edges):
        known = [value for value in values[first:last] if value is not None]
        means.append(sum(known) / len(known) if known else None)
    greatest = max((mean for mean in means if mean is not None), default=0) or 1
    return "".join(
        " " if mean is None else _LEVELS[min(int(max(mean, 0) / greatest * 8), 7)] for mean in means
    )


def one_line(text: str, cells: int) -> str:
    """Return a statement in one line of at most so many cells, with hidden characters escaped."""
    return cut(terminal(text), cells)


def cut(text: str, cells: int, *, trimmed: bool = True) -> str:
    """Return a text in so many cells at most; trimmed: with no blank before the ellipsis.

    >>> cut("select", 4), cut("数据库", 4), cut("ok", 4)
    ('sel…', '数…', 'ok')
    """
    if cell_len(text) <= cells:
        return text
    if cells <= 0:
        return ""
    shown = set_cell_size(text, cells - 1)
    return (shown.rstrip() if trimmed else shown) + "…"


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


def lay(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]], width: int, gap: int = GAP
) -> list[Line]:
    """Return a line for the headings and one for each row, none wider than the screen.

    Args:
        columns: The columns.
        rows: A cell for each column.
        width: Of the screen, in characters.
        gap: The blanks between columns.

    >>> lay(
    ...     [TableColumn("name"), TableColumn("n", right=True, least=4)],
    ...     [[("a", ""), ("12", "red")]],
    ...     20,
    ... )
    [[('name ', ''), ('   n', '')], [('a    ', ''), ('  12', 'red')]]
    """
    widths = _widths(columns, rows)
    for n, column in reversed(list(enumerate(columns))):
        if column.rest:
            left = width - _total(widths, gap) + widths[n]
            widths[n] = max(min(widths[n], left), LEAST_REST)
    shown = list(range(len(columns)))
    while _total((widths[n] for n in shown), gap) > width:
        last = next((n for n in reversed(shown) if columns[n].optional), None)
        if last is None:
            break
        shown.remove(last)
    headings = [(column.heading, "") for column in columns]
    return [
        [_cell(row[n], columns[n], widths[n], gap * (n != shown[-1])) for n in shown]
        for row in (headings, *rows)
    ]


def fold(columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]], width: int) -> list[Line]:
    """Return lines as lay does, with all columns: what has no room follows below, named again.

    >>> fold(
    ...     [TableColumn("name"), TableColumn("one"), TableColumn("two")],
    ...     [[("a", ""), ("1", ""), ("2", "")]],
    ...     9,
    ... )
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


def width_of(columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]]) -> int:
    """Return how wide a table is that has all the room that it needs."""
    return _total(_widths(columns, rows))


def _widths(columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]]) -> list[int]:
    widths = (
        max([column.least, cell_len(column.heading), *(cell_len(row[n][0]) for row in rows)])
        for n, column in enumerate(columns)
    )
    return [
        each if column.most is None else min(each, column.most)
        for each, column in zip(widths, columns, strict=True)
    ]


def _total(widths: Iterable[int], gap: int = GAP) -> int:
    return sum(each + gap for each in widths) - gap


def _cell(cell: Cell, column: TableColumn, width: int, gap: int) -> Cell:
    text, style = cell
    text = cut(text, width, trimmed=not column.rest)
    filling = " " * (width - cell_len(text))
    return (filling + text if column.right else text + filling) + " " * gap, style
