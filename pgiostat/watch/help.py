"""What keys do, and what each column means."""

from typing import ClassVar

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pgiostat.watch.rows import Table

__all__ = ["KEYS", "Help"]

KEYS = (
    ("q", "quit"),
    ("? h F1", "this help"),
    ("1 … 6", "category, statement, relation, database, user, server io"),
    ("Enter, Esc", "into the row: category, fingerprint, statement; and back"),
    ("/", "filter by text, category, user or database; Esc clears it"),
    ("< >", "sort by the column to the left or right; r reverses"),
    ("[ ]", "columns further to the right; the first one stays"),
    ("space p", "pause what is shown; reading goes on"),
    ("a", "the last interval, or all since the baseline"),
    ("z", "set the baseline to now; nothing on the server is reset"),
    ("+ -", "read less or more often"),
    ("y", "copy the row's text"),
    ("e", "write what is shown as CSV, here"),
    ("Ctrl-P", "all commands, and themes"),
)
PARTS = (
    ("~", "before a share: part of it was counted since a reset, or is a lower bound"),
    ("–", "unknown, which is not zero"),
    ("unattributed", ("what the server read and nothing explains; negative if statements were"
     " counted first")),
    ("coverage", "share of the server's reads that statements explain, since the baseline"),
)  # fmt: skip


class Help(ModalScreen[None]):
    """A page of help over what is shown."""

    CSS = """
    Help { align: center middle; }
    Help VerticalScroll { width: 90%; max-width: 100; height: 90%; border: round $primary;
                          background: $surface; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,h,f1,q,enter", "dismiss", "close"),
    ]

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def compose(self) -> ComposeResult:
        """Make the page."""
        with VerticalScroll():
            yield Static(_grid("Keys", KEYS))
            columns = [(measure.heading, measure.meaning) for measure in self._table.measures]
            yield Static(_grid("\nColumns", columns))
            yield Static(_grid("\nMarks", PARTS))


def _grid(title: str, rows: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> Grid:
    grid = Grid(
        box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold", pad_edge=False
    )
    grid.add_column(title, no_wrap=True, style="cyan")
    grid.add_column("", overflow="fold")
    for name, meaning in rows:
        grid.add_row(Text(name), Text(meaning))
    return grid
