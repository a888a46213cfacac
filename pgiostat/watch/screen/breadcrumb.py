"""The lines above a table: what was gone into, what is filtered, and over which time."""

from rich.cells import cell_len

from pgiostat.escape import terminal
from pgiostat.render.table import Line, cut
from pgiostat.render.text import one_line
from pgiostat.units import format_count, format_counted, format_share
from pgiostat.watch.screen.frozen import SessionView
from pgiostat.watch.screen.header_line import Piece, fitted
from pgiostat.watch.screen.table import ScreenTable
from pgiostat.watch.screen.table_columns import times_of
from pgiostat.watch.state import View, ViewState

__all__ = ["place_lines"]


def place_lines(
    state: ViewState, session: SessionView, table: ScreenTable, width: int
) -> list[Line]:
    """Return the path or the filter, and the time of tables: it is not that of the heading."""
    lines = [_where(state, table, width)] if state.path or state.filter else []
    if state.is_of_tables:
        is_shared = any(row.read_of is not None for row in table.rows)
        times = times_of(
            session.recent.seconds, table.figures, whole=state.whole, is_shared=is_shared
        )
        lines.append([(cut(times, width), "dim")])
    return lines


def _where(state: ViewState, table: ScreenTable, width: int) -> Line:
    """Return what was gone into, and what is filtered."""
    kept = sum(row.part is None for row in table.rows)
    what = "table" if state.view is View.RELATION else "row"
    rows = f"{format_count(kept)} of {format_counted(kept + table.hidden, what)}"
    if table.explained is not None:
        what = "tables" if state.view is View.RELATION else "statements"
        rows = f"these {what} explain {format_share(table.explained)} of its reads"
    wanted = f"filter “{terminal(state.filter)}” " if state.filter else ""
    room = width - cell_len(wanted) - cell_len(rows) - 2
    steps = _steps(state, room)
    return fitted(
        [
            Piece(f"{steps}  " if steps else "", "bold cyan"),
            Piece(wanted, "bold yellow"),
            Piece(rows, "dim", 1),
        ],
        width,
    )


def _steps(state: ViewState, room: int) -> str:
    """Return the path: each step is cut to its part of the room; short ones leave it to others."""
    names = [one_line(drill.name, 2 * max(room, 1)) for drill in state.path]
    free = room - len(" > ") * (len(names) - 1)
    shortest = sorted(range(len(names)), key=lambda number: cell_len(names[number]))
    for before, number in enumerate(shortest):
        names[number] = cut(names[number], max(free // (len(names) - before), 2))
        free -= cell_len(names[number])
    return " > ".join(names)
