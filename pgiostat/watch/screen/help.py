"""Help: the keys, and the meaning of each column."""

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pgiostat.analysis.notices import Notice
from pgiostat.escape import line
from pgiostat.watch.screen.footer import FooterLine
from pgiostat.watch.screen.table import ScreenTable

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
    (
        "in transit",
        (
            "reads that the server and a statement count at different times; negative if the"
            " statement was first"
        ),
    ),
    (
        "unattributed",
        (
            "what the server read and nothing explains after the time in which both counts must"
            " agree; negative if statements counted more"
        ),
    ),
    (
        "coverage",
        (
            "share of the server's reads that statements explain, without those in transit, of"
            " the time shown: the interval, or all since the baseline"
        ),
    ),
)


REPLAYED = (
    ("space p", "play, or stand still"),
    ("← →", "an interval back or on; with Shift 60"),
    ("g", "go to a time: 10:30, -10m (before the time shown), 2026-11-23T10:00Z"),
    ("+ -", "show each interval for longer or shorter"),
)
"""In place of those of the same keys."""
MORE = (
    ("share", "of all blocks that the server read"),
    ("category", "what kind of query it is, by the rules; Enter on a statement says which"),
    ("user@database", "who ran it, and where"),
    ("itself", "what our own reading costs the server: ms of its time a second"),
    ("pgiostat itself", "what our own statements read, and below the table what they cost"),
    ("reads/s", "blocks read, times the operations for each block by pg_stat_io"),
    ("catalogs", "blocks of the server's own tables, read to plan statements and to look up names"),
    ("PAUSED", "what is shown stands still; reading goes on"),
    ("reset, restart, gap", "why an interval is not what it seems; docs/output.md has all"),
    ("!", "what is so now, or happened of late; · what was so until a while ago"),
)


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

    def __init__(
        self, table: ScreenTable, notices: Sequence[Notice] = (), *, is_replay: bool = False
    ) -> None:
        super().__init__()
        self._table = table
        self._notices = notices
        self._keys: tuple[tuple[str, str], ...] = KEYS
        if is_replay:
            others = {key for key, _ in REPLAYED}
            self._keys = (*(each for each in KEYS if each[0] not in others), *REPLAYED)

    def compose(self) -> ComposeResult:
        """Make the page."""
        with VerticalScroll():
            for notice in self._notices:
                yield Static(
                    Text.assemble(("! ", "bold yellow"), line(f"{notice.text} {notice.hint}"))
                )
            yield Static(_grid("Keys", self._keys))
            columns = [(measure.heading, measure.meaning) for measure in self._table.measures]
            yield Static(_grid("\nColumns", columns))
            yield Static(_grid("\nMarks and words", (*PARTS, *MORE)))
        yield FooterLine()


def _grid(title: str, rows: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> Grid:
    grid = Grid(
        box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold", pad_edge=False
    )
    grid.add_column(title, no_wrap=True, style="cyan")
    grid.add_column("", overflow="fold")
    for name, meaning in rows:
        grid.add_row(Text(name), Text(meaning))
    return grid
