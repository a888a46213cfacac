"""Which columns of a table fit a screen, and its lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from pgiostat.render.columns import printable
from pgiostat.render.grid import Cell, Column, Line, lay
from pgiostat.render.text import bar, one_line
from pgiostat.units import format_share
from pgiostat.watch.rows import Measure, Shown, Table
from pgiostat.watch.state import State, View

__all__ = ["Span", "laid"]

SHARE_WIDTH = 7
NUMBER_WIDTH = 8
BAR_WIDTH = 10
CATEGORISED, BARRED, WORDED_BARRED, PLACED = 60, 70, 100, 130
"""Screens that are so wide say of which kind a statement is, have bars, and say whose it is."""
LEAST_NAME, MOST_NAME, LEAST_QUERY = 14, 44, 20
CATEGORY_WIDTH = 9
PLACE_WIDTH = 21
LONGEST_TEXT = 400
ASCENDING, DESCENDING = "▴", "▾"
COLOURS = {"version": "red", "manifest": "yellow", "upload": "green", "download": "blue"}
_WORDED = (View.FINGERPRINT, View.STATEMENT)

Span = tuple[str, int, int]
"""The name of a column of numbers, and the cells where it begins and ends."""


@dataclass(frozen=True, slots=True)
class _Layout:
    state: State
    measures: tuple[Measure, ...]
    name: int
    with_bar: bool
    with_category: bool
    with_place: bool

    @classmethod
    def fitting(cls, state: State, table: Table, rows: Sequence[Shown], width: int) -> "_Layout":
        """Return what fits: the name stays, and numbers give way from the right."""
        view = state.view
        with_bar = width >= (WORDED_BARRED if view in _WORDED else BARRED)
        with_place = view is View.STATEMENT and width >= PLACED
        taken = SHARE_WIDTH + 1 + with_bar * (BAR_WIDTH + 1)
        with_category = view in _WORDED and width >= CATEGORISED
        taken += with_category * (CATEGORY_WIDTH + 1) + with_place * (PLACE_WIDTH + 1)
        longest = max([LEAST_NAME, len(view.value), *(cell_len(row.name) for row in rows)])
        most = max(width * 2 // 5, LEAST_QUERY) if view in _WORDED else MOST_NAME
        room = width - taken - min(longest, most)
        chosen: list[Measure] = []
        for measure in table.measures[state.first :] or table.measures[-1:]:
            needed = _room(measure) + 1
            if needed > room and chosen:
                break
            room -= needed
            chosen.append(measure)
        if state.sort not in {"", *(measure.name for measure in chosen)}:
            # What is sorted by is always there.
            chosen[-1:] = [m for m in table.measures if m.name == state.sort] or chosen[-1:]
        name = min(longest, most) + max(room, 0) if view in _WORDED else min(longest, most)
        width = max(name + min(room, 0), 8)
        return cls(state, tuple(chosen), width, with_bar, with_category, with_place)

    def columns(self) -> Iterator[Column]:
        yield Column(self.state.view.value, least=self.name, most=self.name)
        yield Column("share", right=True, least=SHARE_WIDTH)
        if self.with_bar:
            yield Column("", least=BAR_WIDTH, most=BAR_WIDTH)
        for measure in self.measures:
            yield Column(self._heading(measure), right=True, least=_room(measure), optional=True)
        if self.with_category:
            yield Column("category", least=CATEGORY_WIDTH, most=CATEGORY_WIDTH)
        if self.with_place:
            yield Column("user@database", least=PLACE_WIDTH, most=PLACE_WIDTH)

    def _heading(self, measure: Measure) -> str:
        if measure.name != self.state.sort:
            return measure.heading
        return measure.heading + (ASCENDING if self.state.is_reversed else DESCENDING)

    def cells(self, row: Shown) -> Iterator[Cell]:
        style = "dim" if row.is_part else ""
        yield one_line(row.name, LONGEST_TEXT), style
        yield ("~" if row.is_uncertain else "") + format_share(row.share), style
        if self.with_bar:
            drawn = "" if row.is_part else bar(row.share, BAR_WIDTH)
            yield drawn, COLOURS.get(row.category, "cyan")
        for measure in self.measures:
            there = measure.name in row.values
            yield (measure.shown(row.values[measure.name]) if there else ""), style
        if self.with_category:
            yield "" if row.is_part else printable(row.category), style
        if self.with_place:
            yield printable(row.place), style

    def spans(self, headings: Line) -> Iterator[Span]:
        """Yield where the numbers are."""
        begin = 0
        names = ["", "", *([""] * self.with_bar), *(measure.name for measure in self.measures)]
        for name, (text, _) in zip(names, headings, strict=False):
            end = begin + cell_len(text)
            if name:
                yield name, begin, end
            begin = end


def _room(measure: Measure) -> int:
    """Return the width of a column, with a place for the mark of what it is sorted by."""
    return max(cell_len(measure.heading) + 1, NUMBER_WIDTH)


def laid(
    state: State, table: Table, rows: Sequence[Shown], width: int
) -> tuple[list[Line], tuple[Span, ...]]:
    """Return a line for the headings and for each row, and where the numbers are."""
    layout = _Layout.fitting(state, table, rows, width)
    lines = lay(list(layout.columns()), [list(layout.cells(row)) for row in rows], width)
    headings = [(text, "bold") for text, _ in lines[0]]
    return [headings, *lines[1:]], tuple(layout.spans(headings))
