"""The help page: keys, columns and terms."""

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
from pgiostat.render.preset import preset_lines
from pgiostat.watch.screen.footer import FooterLine
from pgiostat.watch.screen.table import ScreenTable

__all__ = ["KEYS", "Help"]

KEYS = (
    ("q", "quit"),
    ("? h F1", "this help"),
    ("1 … 8", "view by category, statement, relation, database, user, server I/O, verb, table"),
    ("9", "view by the tag of --by tag:KEY, of the first text of each entry"),
    ("Enter, Esc", "open the row: its statements, entries or page; and go back"),
    ("s", "split statements into entries of pg_stat_statements, or merge them by fingerprint"),
    ("t", "show the tables of the statement"),
    ("x", "on a statement's page: show a generic plan; the statement is not executed"),
    ("/", "filter by text, category, user or database; Esc clears the filter"),
    ("< >", "sort by the column to the left or right; r reverses the order"),
    ("[ ]", "scroll the columns; the name stays"),
    ("space p", "pause the screen; sampling continues"),
    ("a", "show the last interval, or all since the baseline"),
    ("z", "set the baseline to now; nothing on the server is reset"),
    ("+ -", "longer or shorter interval"),
    ("y", "copy the statement with its queryid, for EXPLAIN (GENERIC_PLAN), or the name"),
    ("e", "export the table as CSV to the working directory"),
    ("Ctrl-P", "all commands, and themes"),
)
PARTS = (
    ("~", "before a share: a lower bound, or counted in part since a reset"),
    ("–", "unknown (not zero)"),
    (
        "in transit",
        (
            "reads that the server and a statement count in different intervals: no part of the"
            " total; negative if the statement was first"
        ),
    ),
    (
        "unattributed",
        (
            "reads that nothing explains after the time in which both counts must agree; negative"
            " if statements counted more"
        ),
    ),
    (
        "coverage",
        (
            "share of the server's reads that statements explain, without those in transit, in the"
            " interval or since the baseline"
        ),
    ),
)


REPLAYED = (
    ("space p", "play or pause"),
    ("← →", "one interval back or forward; with Shift 60"),
    ("g", "go to a time: 10:30, -10m (before the current time), 2026-11-23T10:00Z"),
    ("+ -", "show each interval for a longer or shorter time"),
)
"""Meanings of these keys in a replay."""
OF_DEMO = (("!", "cause an incident, to be found on the screen, or take it back"),)
"""The key that only the demo has."""
MORE = (
    ("share", "of the total, or of the blocks that statements read if these are more"),
    ("total", "all reads of the interval: the server's count without reads in transit"),
    ("category", "category of the statement, by the rules; Enter on a statement shows the rule"),
    ("statement", "verb (none for SELECT), tables ⨝, conditions, order and limit, columns"),
    (
        "of table",
        ("share of the table's reads; known: the statement names no other table; est.: estimated"),
    ),
    (
        "tables",
        "reads of the last 10 seconds, or since the baseline; scans and rows over the stated time",
    ),
    ("since", "start of the last rise of the statement with the most reads"),
    ("user@database", "role and database of the statement"),
    ("pgiostat", "pgiostat's own statements: their reads, and ms of server time per second"),
    ("disk", "reads of the device below the server, and the share served by the OS cache"),
    ("catalogs", "blocks of system catalogs, read to plan statements and to look up names"),
    ("PAUSED", "the screen is frozen; sampling continues"),
    ("reset, restart, gap", "quality of the interval: docs/output.md lists all"),
    ("!", "a current or recent notice; · a notice that no longer holds"),
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
        self,
        table: ScreenTable,
        notices: Sequence[Notice] = (),
        *,
        is_replay: bool = False,
        is_demo: bool = False,
    ) -> None:
        super().__init__()
        self._table = table
        self._notices = notices
        self._keys: tuple[tuple[str, str], ...] = KEYS
        if is_demo:
            self._keys = (*KEYS[:2], *OF_DEMO, *KEYS[2:])
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
            ranking = self._table.ranking
            for stated in preset_lines(None if ranking is None else ranking.preset):
                yield Static(Text(f"\n{line(stated)}"))
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
