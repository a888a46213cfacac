"""The page of a statement: its text, its category and rule, and its last minutes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Static
from textual_plotext import PlotextPlot

from pgiostat.analysis.plans import NoPlan, StatementPlan
from pgiostat.analysis.rank import RankRow
from pgiostat.escape import terminal
from pgiostat.queries.own_text import NOT_EXPLAINABLE, is_explainable, numbered
from pgiostat.render.columns import METRICS
from pgiostat.render.plan import plan_sentences, plan_table
from pgiostat.render.sql import statement
from pgiostat.render.table import Line
from pgiostat.render.text import drawn, lines, trimmed
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.row_deltas import Basis
from pgiostat.units import UNKNOWN, format_coverage, format_duration, format_share
from pgiostat.watch.model.session import RateHistory
from pgiostat.watch.screen.footer import FooterLine
from pgiostat.watch.screen.plot import plot
from pgiostat.watch.screen.statement_tables import StatementTables, table_lines
from pgiostat.watch.state import RowKey

__all__ = ["Judge", "StatementDetails", "StatementPage"]

Judge = Callable[[RankRow], RenderableType]
"""Says what a statement is, and by which rule."""


@dataclass(frozen=True, slots=True)
class StatementDetails:
    """What is known of a statement now.

    head: the heading.  row: None if it did nothing.  basis: against what the row was counted; None
    for several intervals.  seconds, qualities, coverage: of what is shown, which is all since the
    baseline if is_whole.  tables: those that it touches, and what these did.  causes: sentences on
    why it reads, as pgiostat why has them for one window.
    """

    head: list[Line]
    row: RankRow | None
    past: RateHistory
    basis: Basis | None
    seconds: float | None
    qualities: tuple[Quality, ...]
    coverage: float | None
    is_whole: bool = False
    tables: StatementTables = field(default_factory=StatementTables)
    causes: tuple[str, ...] = ()


PlanOf = Callable[[RankRow], StatementPlan | NoPlan]
"""Returns a plan of a statement; it takes a while."""


class PageActions(NamedTuple):
    """What the keys of the page do.

    Attributes:
        copy: Copies a statement.
        tables: Shows its tables.
        plan: Plans it; None without a server.
    """

    copy: Callable[[RankRow], None]
    tables: Callable[[], None]
    plan: PlanOf | None = None


GetDetails = Callable[[RowKey, tuple[int, int]], StatementDetails]
"""Returns what is known of a row's statement now, with a heading for so many cells and lines."""
BASES = {
    Basis.PREVIOUS: "the previous snapshot, subtracted from this one",
    Basis.NEW: "nothing: the statement is new, and all its counts are of this interval",
    Basis.RESET: "nothing: it was reset in this interval, and the counts before the reset are lost",
    Basis.REINSERTED: "nothing: it was evicted and came back, and the counts before that are lost",
    Basis.UNKNOWN: "unknown: these numbers are lower bounds",
}
"""Against what a statement was counted."""
NARROW = 70
NOT_OWN = "normalized text: pg_stat_statements' own text is unknown here, or has constants"


class StatementPage(Screen[None]):
    """All that is known of a statement."""

    CSS = """
    StatementPage #head, StatementPage #causes { height: auto; }
    StatementPage #plots { height: 11; }
    StatementPage PlotextPlot { width: 1fr; }
    StatementPage #text { max-height: 8; }
    StatementPage #plan { height: auto; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,backspace", "dismiss", "back"),
        Binding("y", "copy", "copy"),
        Binding("t", "tables", "tables"),
        Binding("x", "plan", "plan"),
    ]

    def __init__(
        self, row: RankRow, now: GetDetails, does: PageActions, judge: Judge | None
    ) -> None:
        super().__init__()
        self._does = does
        self._row = row
        self._now = now
        self._judge = judge
        self._plots = (PlotextPlot(), PlotextPlot())
        self._head, self._counts = Static(id="head"), Static(id="numbers")
        self._causes = Static(id="causes")
        self._plan_lines = Static(id="plan")
        self._plan: StatementPlan | NoPlan | None = None

    @property
    def has_plan(self) -> bool:
        """Whether a plan, or why there is none, is shown."""
        return self._plan is not None

    def compose(self) -> ComposeResult:
        """Make the page."""
        yield self._head
        yield self._causes
        with VerticalScroll():
            row = self._row
            shown = row.own_text or numbered(row.text) or row.name
            yield Static(statement(" ".join(shown.splitlines())), id="text")
            if row.text and not row.own_text:
                words = NOT_OWN if is_explainable(row.text) else f"{NOT_OWN}; {NOT_EXPLAINABLE}"
                yield Static(Text(words, "dim"))
            yield self._plan_lines
            with Horizontal(id="plots"):
                yield from self._plots
            yield self._counts
            yield Static(self._why(), id="why")
        yield FooterLine()

    def on_mount(self) -> None:
        """Draw what is known now."""
        self.draw()

    def on_resize(self) -> None:
        """Draw for another size."""
        self.draw()

    def draw(self) -> None:
        """Draw what is known now: the heading, the numbers, the plots."""
        width, _ = self.app.size
        known = self._now(self._row.key, self.app.size)
        past = known.past
        self._head.update(Group(*drawn(known.head)))
        self._causes.update(Text("\n".join(map(terminal, known.causes)), "yellow"))
        self._causes.display = bool(known.causes)
        self._counts.update(self._numbers(known, width))
        if self._plan is not None:
            self._plan_lines.update(Group(*_plan_drawn(self._plan, width - 2)))
        for on, values, title in zip(
            self._plots,
            (past.blocks_per_s, past.calls_per_s),
            ("blocks read per second", "calls per second"),
            strict=True,
        ):
            plot(on, past, values, title)

    def action_copy(self) -> None:
        """Copy the statement, so that EXPLAIN takes it."""
        self._does.copy(self._row)

    def action_tables(self) -> None:
        """Leave the page for the tables of the statement."""
        self.dismiss()
        self._does.tables()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action has its key: a plan needs a server."""
        if action == "plan":
            return self._does.plan is not None
        return super().check_action(action, parameters)

    def action_plan(self) -> None:
        """Plan the statement, in a thread."""
        self._plan_lines.display = True
        self._plan_lines.update(Text("planning …", "dim"))
        self.run_worker(self._planned, thread=True, exclusive=True, name="plan")

    def _planned(self) -> None:
        if self._does.plan is not None:
            plan = self._does.plan(self._row)
            self.app.call_from_thread(self._show_plan, plan)

    def _show_plan(self, plan: StatementPlan | NoPlan) -> None:
        self._plan = plan
        if self.is_mounted:
            self.draw()

    def _numbers(self, known: StatementDetails, width: int) -> RenderableType:
        now = known.row
        row = now or self._row
        columns = 2 if width < NARROW else 4
        what = [
            ("category", row.category),
            ("fingerprint", row.fingerprint or UNKNOWN),
            ("user", row.user),
            ("queryid", UNKNOWN if row.queryid is None else str(row.queryid)),
            ("database", row.database),
        ]
        parts: list[RenderableType] = [_grid(what, columns), ""]
        if now is None:
            parts.append(Text("not called in this interval", "dim"))
        else:
            cells = [("share", format_share(now.share))]
            cells += [(m.title, m.shown(m.value(now.cost))) for m in METRICS if m.known(now.cost)]
            parts += [_grid(cells, columns), ""]
        parts += [*drawn(table_lines(known.tables, width - 2)), ""]
        if now is not None:
            parts.append(_grid(_quality(known, now), 2))
        return Group(*parts)

    def _why(self) -> RenderableType:
        if self._judge is None or not self._row.text:
            return Text("")
        return Group("", self._judge(self._row))


def _plan_drawn(plan: StatementPlan | NoPlan, width: int) -> Iterator[Text]:
    """Yield the lines of a plan."""
    yield Text("")
    if isinstance(plan, StatementPlan):
        yield from drawn(lines(plan_table(plan, "plan"), width))
    for each in plan_sentences(plan):
        yield Text(trimmed(each, width), "dim")


def _quality(known: StatementDetails, row: RankRow) -> list[tuple[str, str]]:
    """Return how these numbers came about, and how good they are."""
    counted = "each previous snapshot; the differences are added up"
    if row.uncertain:
        counted = "in part nothing (a reset), or unknown: these numbers are lower bounds"
    if known.basis is not None:
        counted = BASES[known.basis]
    quality = f"{'+'.join(known.qualities)} over {format_duration(known.seconds)}"
    when = "since the baseline" if known.is_whole else "in this interval"
    coverage = f"{format_coverage(known.coverage)} of the server's reads {when}"
    timed = f"known for {format_share(row.cost.timed_share)} of its blocks"
    if not row.cost.timed_blocks and row.cost.blocks:
        timed = "unknown: track_io_timing is off for this statement"
    return [
        ("compared with", counted),
        ("quality", quality),
        ("coverage", coverage),
        ("read times", timed),
    ]


def _grid(pairs: Sequence[tuple[str, str]], columns: int) -> Grid:
    """Return names and values, side by side."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for style in ("dim", "bold", "dim", "bold")[:columns]:
        grid.add_column(style=style, no_wrap=style == "dim", overflow="fold")
    cells = [cell for name, value in pairs for cell in (Text(name), Text(terminal(value)))]
    if len(cells) % columns:
        cells += [Text(""), Text("")]
    for begin in range(0, len(cells), columns):
        grid.add_row(*cells[begin : begin + columns])
    return grid
