"""The user's view settings, and the pure functions that change them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from pgiostat.analysis.rank import By

__all__ = [
    "OF_STATEMENTS",
    "Action",
    "Drill",
    "Fold",
    "RowKey",
    "View",
    "ViewState",
    "apply",
    "drill_down",
    "moved",
    "restore_cursor",
    "tables_of_row",
    "with_entries",
    "with_view",
]

RowKey: TypeAlias = tuple[str, ...]
"""What tells a row of a table from the others."""


class View(StrEnum):
    """What the table has a row for."""

    CATEGORY = "category"
    VERB = "verb"
    TABLE = "table"
    TAG = "tag"
    FINGERPRINT = "fingerprint"
    STATEMENT = "statement"
    RELATION = "relation"
    DATABASE = "database"
    USER = "user"
    IO = "server io"

    @property
    def by(self) -> By | None:
        """What is ranked; None for pg_stat_io."""
        return None if self is View.IO else By(self.value)


OF_STATEMENTS = (View.FINGERPRINT, View.STATEMENT)
"""Views with the text of a statement in each row: merged by fingerprint, and each entry."""


class Fold(StrEnum):
    """What a row stands for that folds others."""

    IDLE = "idle"
    CATALOGS = "catalogs"

    @property
    def key(self) -> RowKey:
        """What tells it from the other rows."""
        return ("fold", self.value)


class Action(StrEnum):
    """What a key asks for."""

    PAUSE = "pause"
    WHOLE = "whole"
    REVERSE = "reverse"
    SORT_LEFT = "sort_left"
    SORT_RIGHT = "sort_right"
    COLUMNS_LEFT = "columns_left"
    COLUMNS_RIGHT = "columns_right"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Drill:
    """A row that was gone into: only what belongs to it is shown.

    view: where it was, and to which one comes back.
    """

    view: View
    key: RowKey
    name: str
    row: int = 0

    @property
    def fold(self) -> Fold | None:
        """What the row folds; None if it is a row of its own."""
        return next((fold for fold in Fold if fold.key == self.key), None)


@dataclass(frozen=True, slots=True)
class ViewState:
    """What is shown.

    sort: name of the column, "" for what costs most.  first: of the columns of numbers.  whole:
    since the baseline, not the last interval.  row: where the cursor is.  chosen: the row it was
    put on, which it follows; empty before that.  top: rows that are shown; None is all.  tag:
    key of the tag that statements are described with; empty for none.
    """

    view: View = View.CATEGORY
    sort: str = ""
    is_reversed: bool = False
    filter: str = ""
    is_paused: bool = False
    whole: bool = False
    first: int = 0
    row: int = 0
    chosen: RowKey = ()
    path: tuple[Drill, ...] = ()
    top: int | None = None
    tag: str = ""

    @property
    def is_of_tables(self) -> bool:
        """Whether reads are compared with those of tables: one interval is too short for that."""
        steps = (drill.view for drill in self.path if drill.fold is None)
        return self.view is View.RELATION or View.RELATION in steps


def apply(state: ViewState, action: Action, columns: Sequence[str]) -> ViewState:
    """Return the state after a key.  columns: names of the numbers that the view has, in order."""
    last = max(len(columns) - 1, 0)
    changed: ViewState = {
        Action.PAUSE: lambda: replace(state, is_paused=not state.is_paused),
        Action.WHOLE: lambda: replace(state, whole=not state.whole),
        Action.REVERSE: lambda: replace(state, is_reversed=not state.is_reversed),
        Action.SORT_LEFT: lambda: replace(state, sort=_next(state.sort, columns, -1)),
        Action.SORT_RIGHT: lambda: replace(state, sort=_next(state.sort, columns, 1)),
        Action.COLUMNS_LEFT: lambda: replace(state, first=max(state.first - 1, 0)),
        Action.COLUMNS_RIGHT: lambda: replace(state, first=min(state.first + 1, last)),
        Action.BACK: lambda: _back(state),
    }[action]()
    return changed


def _next(sort: str, columns: Sequence[str], step: int) -> str:
    """Return the column beside the one that is sorted by; what costs most is left of them all."""
    there = ["", *columns]
    at = there.index(sort) if sort in there else 0
    return there[min(max(at + step, 0), len(there) - 1)]


def _back(state: ViewState) -> ViewState:
    """Return what Esc leads to: first the filter goes, then one step of the path."""
    if state.filter:
        return replace(state, filter="")
    if not state.path:
        return state
    last = state.path[-1]
    return replace(state, view=last.view, path=state.path[:-1], row=last.row, chosen=last.key)


def with_view(state: ViewState, view: View) -> ViewState:
    """Return the state in which another view is shown, from its beginning."""
    return ViewState(
        view, is_paused=state.is_paused, whole=state.whole, top=state.top, tag=state.tag
    )


def drill_down(state: ViewState, drill: Drill) -> ViewState:
    """Return the state in which what belongs to a row is shown."""
    if drill.fold is not None:
        deeper = drill.view
    elif drill.view in _COARSE:
        deeper = View.FINGERPRINT
    else:
        deeper = View.STATEMENT
    return _within(state, drill, deeper)


def tables_of_row(state: ViewState, drill: Drill) -> ViewState:
    """Return the state in which the tables of a statement are shown."""
    return _within(state, drill, View.RELATION)


def with_entries(state: ViewState) -> ViewState:
    """Return the state with entries of one fingerprint split, or merged again."""
    view = View.FINGERPRINT if state.view is View.STATEMENT else View.STATEMENT
    return replace(state, view=view, row=0, chosen=())


def _within(state: ViewState, drill: Drill, view: View) -> ViewState:
    sort = state.sort if drill.fold is not None else ""
    path = (*state.path, drill)
    return replace(state, view=view, path=path, row=0, chosen=(), filter="", sort=sort)


_COARSE = frozenset({View.CATEGORY, View.VERB, View.TABLE, View.TAG, View.RELATION})
"""Views with rows of many fingerprints."""


def restore_cursor(state: ViewState, rows: Sequence[RowKey]) -> ViewState:
    """Return the state with the cursor on the row that was chosen, wherever it is now.

    Where it is not, the cursor waits at its place and is on no row.
    """
    if state.chosen and state.chosen in rows:
        return replace(state, row=rows.index(state.chosen))
    return replace(state, row=min(state.row, max(len(rows) - 1, 0)))


def moved(state: ViewState, rows: Sequence[RowKey], steps: int) -> ViewState:
    """Return the state with another row chosen."""
    if not rows:
        return state
    row = min(max(state.row + steps, 0), len(rows) - 1)
    return replace(state, row=row, chosen=rows[row])
