"""The columns of a table that fit a screen, and its lines."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from pgiostat.escape import terminal
from pgiostat.render.column_format import Format, column_format
from pgiostat.render.ledger import displayed
from pgiostat.render.statement_names import (
    database_sign,
    distinct,
    marks_of,
    need_column,
    screen_name,
    shown_category,
)
from pgiostat.render.table import Cell, Line, TableColumn, cut, lay
from pgiostat.render.text import bar
from pgiostat.units import (
    format_await,
    format_bytes,
    format_count,
    format_ms,
    format_rate,
    format_share,
)
from pgiostat.watch.screen.rows import Measure, TableRow, shown_read
from pgiostat.watch.screen.table import ScreenTable
from pgiostat.watch.state import OF_STATEMENTS, View, ViewState

__all__ = ["HEADINGS", "HeadingSpan", "lay_out"]

SHARE_WIDTH = 7
LEAST_BAR, MOST_BAR = 3, 10
NARROW, BARRED, CATEGORISED, WORDED_BARRED, PLACED = 60, 70, 100, 120, 130
"""Widths from which a screen has whole headings, bars, categories and bars beside text, places."""
LEAST_NAME, MOST_NAME, LEAST_QUERY = 14, 44, 20
QUERY_SHARE, CATEGORISED_SHARE, NAME_SHARE = 0.4, 0.26, 0.375
"""Part of the width that a statement has at least; beside categories."""
LONGEST_NARROW = 10
LONGEST_CATEGORY = 24
LEAST_DATABASE, LONGEST_DATABASE = len("database"), 16
PLACE_WIDTH = 21
READ_OF, READ_OF_WIDTH = "of table", 12
ASCENDING, DESCENDING = "▴", "▾"
COLOURS = {"version": "red", "manifest": "yellow", "upload": "green", "download": "blue"}

NO_MARKS = ("", "", "", "")
HEADINGS = {View.FINGERPRINT: "statement", View.STATEMENT: "entry"}
"""Headings of the names, where it is not the view's own name."""

HeadingSpan = tuple[str, int, int]
"""The name of a column of numbers, and the cells where it begins and ends."""


@dataclass(frozen=True, slots=True)
class _Layout:
    state: ViewState
    measures: tuple[Measure, ...]
    width: int
    name: int
    bar: int
    category: int
    with_read_of: bool
    with_place: bool
    database: int = 0

    @classmethod
    def fitting(
        cls, state: ViewState, table: ScreenTable, rows: Sequence[TableRow], width: int
    ) -> "_Layout":
        """Return what fits: the name stays, and numbers give way from the right."""
        view = state.view
        is_text = view in OF_STATEMENTS
        drawn = MOST_BAR * (width >= WORDED_BARRED)
        if not is_text:
            # It gives way to numbers.
            drawn = LEAST_BAR * (width >= BARRED)
        with_place = view is View.STATEMENT and width >= PLACED
        with_read_of = any(row.read_of is not None for row in rows)
        category = _category_width(state, rows) if is_text and width >= CATEGORISED else 0
        taken = SHARE_WIDTH + 1 + drawn + (drawn > 0)
        taken += category + (category > 0) + with_place * (PLACE_WIDTH + 1)
        taken += with_read_of * (READ_OF_WIDTH + 1)
        database = max(map(cell_len, _databases(rows)), default=0) * (width >= CATEGORISED)
        database = min(max(database, LEAST_DATABASE), LONGEST_DATABASE) if database else 0
        taken += database + (database > 0)
        longest = max([LEAST_NAME, len(HEADINGS.get(view, view)), *map(cell_len, _names(rows))])
        share = CATEGORISED_SHARE if category else QUERY_SHARE
        most = max(int(width * share), LEAST_QUERY) if is_text else _longest_name(width)
        room = width - taken - min(longest, most)
        chosen, room = _chosen(state, table, room, width)
        name = min(longest, most) + max(room, 0) if is_text else min(longest, most)
        name = max(name + min(room, 0), 8)
        if drawn and not is_text:
            drawn = min(drawn + max(room, 0), MOST_BAR)
        columns = tuple(chosen)
        return cls(state, columns, width, name, drawn, category, with_read_of, with_place, database)

    def columns(self) -> Iterator[TableColumn]:
        view = self.state.view
        yield TableColumn(HEADINGS.get(view, view.value), least=self.name, most=self.name)
        yield TableColumn("share", right=True, least=SHARE_WIDTH)
        if self.bar:
            yield TableColumn("", least=self.bar, most=self.bar)
        if self.with_read_of:
            yield TableColumn(READ_OF, right=True, least=READ_OF_WIDTH)
        for measure in self.measures:
            room = _room(self.state, measure, self.width)
            heading = cut(self._heading(measure), room)
            yield TableColumn(heading, right=True, least=room, optional=True)
        if self.category:
            yield TableColumn("category", least=self.category, most=self.category)
        if self.database:
            yield TableColumn("database", least=self.database, most=self.database)
        if self.with_place:
            yield TableColumn("user@database", least=PLACE_WIDTH, most=PLACE_WIDTH)

    def _heading(self, measure: Measure) -> str:
        if measure.name != self.state.sort:
            return measure.heading
        return measure.heading + (ASCENDING if self.state.is_reversed else DESCENDING)

    def formats(self, rows: Sequence[TableRow]) -> tuple[Format, list[Format]]:
        """Return the format of the shares, and that of each column of numbers."""
        shares = column_format(format_share, [row.share for row in rows])
        return shares, [
            column_format(measure.shown, [row.values.get(measure.name) for row in rows])
            for measure in self.measures
        ]

    def cells(
        self, row: TableRow, name: str, share: Format, numbers: Sequence[Format]
    ) -> Iterator[Cell]:
        style = "dim" if row.is_part or row.part is not None or row.fold is not None else ""
        yield name, style
        is_blank = not row.has_share or (row.fold is not None and row.share is None)
        shown = "" if is_blank else share(row.share)
        yield ("~" if row.is_uncertain else "") + shown, style
        if self.bar:
            drawn = "" if row.is_part else bar(row.share, self.bar)
            yield drawn, COLOURS.get(row.category, "cyan")
        if self.with_read_of:
            yield shown_read(row.read_of), style
        for measure, number in zip(self.measures, numbers, strict=True):
            there = measure.name in row.values
            yield (number(row.values[measure.name]) if there else ""), style
        if self.category:
            yield "" if row.is_part else _category(row), style
        if self.database:
            yield "" if row.is_part or row.of is None else database_sign(row.of), style
        if self.with_place:
            yield terminal(row.place), style

    def spans(self, headings: Line) -> Iterator[HeadingSpan]:
        """Yield where the numbers are."""
        begin = 0
        words = 2 + (self.bar > 0) + self.with_read_of
        names = [*([""] * words), *(measure.name for measure in self.measures)]
        for name, (text, _) in zip(names, headings, strict=False):
            end = begin + cell_len(text)
            if name:
                yield name, begin, end
            begin = end


def _category(row: TableRow) -> str:
    return "" if row.of is None else terminal(shown_category(row.of))


def _longest_name(width: int) -> int:
    """Return the width of the longest names that are no texts: numbers need the rest."""
    return MOST_NAME if width >= CATEGORISED else max(int(width * NAME_SHARE), LEAST_NAME)


def _databases(rows: Sequence[TableRow]) -> list[str]:
    """Return the databases of merged statements; nothing where all are of one."""
    return ["" if row.of is None else database_sign(row.of) for row in rows]


def _category_width(state: ViewState, rows: Sequence[TableRow]) -> int:
    """Return the width of the categories; 0 if the names of the rows, or the path, say the same."""
    if any(drill.view is View.CATEGORY for drill in state.path):
        return 0
    categories = [_category(row) for row in rows if row.of is not None]
    if not need_column(categories):
        return 0
    longest = max(map(cell_len, categories))
    return min(max(longest, len("category")), LONGEST_CATEGORY)


def _names(rows: Sequence[TableRow]) -> list[str]:
    """Return the names of rows, of statements their short forms."""
    return [
        terminal(displayed(row.name)) if row.of is None or not row.of.text else screen_name(row.of)
        for row in rows
    ]


def _chosen(
    state: ViewState, table: ScreenTable, room: int, width: int
) -> tuple[list[Measure], int]:
    """Return the columns of numbers that fit, and what they leave; at least one is there.

    What is sorted by is always there, at its place, and with it another one to scroll through.
    """
    shown: Sequence[Measure] = table.measures[state.first :] or table.measures[-1:]
    if not state.first:
        shown = [measure for measure in shown if not measure.is_extra]
    by = next((measure for measure in table.measures if measure.name == state.sort), None)
    chosen = _fitting(state, shown, room, width)
    if by is not None and by not in chosen:
        left = room - _room(state, by, width) - 1
        others = _fitting(state, [each for each in shown if each is not by], left, width)
        if not state.first and left < sum(_room(state, each, width) + 1 for each in others):
            others = []
        chosen = sorted([*others, by], key=table.measures.index)
    return chosen, room - sum(_room(state, each, width) + 1 for each in chosen)


def _fitting(state: ViewState, measures: Sequence[Measure], room: int, width: int) -> list[Measure]:
    """Return the first columns that fit, one in any case."""
    found: list[Measure] = []
    for measure in measures:
        room -= _room(state, measure, width) + 1
        if room < 0 and found:
            break
        found.append(measure)
    return found


def _room(state: ViewState, measure: Measure, width: int) -> int:
    """Return the width of a column, with a place for the mark if it is what is sorted by."""
    heading = cell_len(measure.heading)
    if measure.name == state.sort:
        heading += 1
    elif width < NARROW:
        heading = min(heading, LONGEST_NARROW)
    return max(heading, _WIDTHS[measure.shown])


_WIDTHS: dict[Callable[[float | None], str], int] = {
    format_count: 8,
    format_rate: 8,
    format_bytes: 9,
    format_ms: 8,
    format_await: 8,
    format_share: 7,
}
"""Width of the longest values of a format: columns keep their place whatever the values are."""


def lay_out(
    state: ViewState, table: ScreenTable, rows: Sequence[TableRow], width: int
) -> tuple[list[Line], tuple[HeadingSpan, ...]]:
    """Return a line for the headings and for each row, and where the numbers are."""
    layout = _Layout.fitting(state, table, rows, width)
    marks = [NO_MARKS if row.of is None or row.is_part else marks_of(row.of) for row in rows]
    places = [row.place for row in rows] if layout.with_place else []
    signs = [] if layout.database else _databases(rows)
    names = distinct(_names(rows), marks, layout.name, places, signs)
    named = zip(rows, names, strict=True)
    share, numbers = layout.formats(rows)
    cells = [list(layout.cells(row, name, share, numbers)) for row, name in named]
    lines = lay(list(layout.columns()), cells, width)
    headings = [(text, "bold") for text, _ in lines[0]]
    return [headings, *lines[1:]], tuple(layout.spans(headings))
