"""A statement: its text, why it is of its category, and how it went over the last minutes."""

from collections.abc import Callable
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static
from textual_plotext import PlotextPlot

from pgiostat.rank import By, RankRow
from pgiostat.render.columns import METRICS, printable
from pgiostat.units import UNKNOWN, format_share
from pgiostat.watch.sitting import Past, Sitting

__all__ = ["Detail", "Judge"]

Judge = Callable[[RankRow], RenderableType]
"""Says what a statement is, and by which rule."""
EVERY_SECONDS = 1.0
PLOT_HEIGHT = 10


class Detail(Screen[None]):
    """All that is known of a statement."""

    CSS = """
    Detail #plots { height: 11; }
    Detail PlotextPlot { width: 1fr; }
    Detail #text { max-height: 8; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,backspace", "dismiss", "back"),
        Binding("y", "copy", "copy"),
    ]

    def __init__(self, sitting: Sitting, row: RankRow, judge: Judge | None = None) -> None:
        super().__init__()
        self._sitting = sitting
        self._row = row
        self._judge = judge
        self._plots = (PlotextPlot(), PlotextPlot())

    def compose(self) -> ComposeResult:
        """Make the page."""
        with VerticalScroll():
            yield Static(Text(printable(self._row.text or self._row.name), "bold"), id="text")
            with Horizontal(id="plots"):
                yield from self._plots
            yield Static(self._numbers(), id="numbers")
            yield Static(self._why(), id="why")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Draw the plots, and go on drawing them."""
        self.set_interval(EVERY_SECONDS, self._draw)
        self._draw()

    def _draw(self) -> None:
        past = self._sitting.past(By.STATEMENT, self._row.key)
        for plot, values, title in zip(
            self._plots,
            (past.blocks_per_s, past.calls_per_s),
            ("blocks read a second", "calls a second"),
            strict=True,
        ):
            _plotted(plot, past, values, title)

    def action_copy(self) -> None:
        """Copy the text."""
        self.app.copy_to_clipboard(self._row.text or self._row.name)
        self.notify("copied")

    def _numbers(self) -> RenderableType:
        row = self._row
        grid = Grid(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for style in ("dim", "bold", "dim", "bold"):
            grid.add_column(style=style, no_wrap=style == "dim", overflow="fold")
        told = [
            ("category", row.category),
            ("queryid", UNKNOWN if row.queryid is None else str(row.queryid)),
            ("user", row.user), ("database", row.database),
            ("fingerprint", row.fingerprint or UNKNOWN), ("share", format_share(row.share)),
            *((m.heading or m.name, m.shown(m.value(row.cost))) for m in METRICS),
        ]  # fmt: skip
        cells = [cell for name, value in told for cell in (Text(name), Text(printable(value)))]
        if len(cells) % 4:
            cells += [Text(""), Text("")]
        for begin in range(0, len(cells), 4):
            grid.add_row(*cells[begin : begin + 4])
        parts: list[RenderableType] = [grid]
        if row.uncertain:
            parts.append(Text("~ counted since a reset in part, or a lower bound", "yellow"))
        return Group(*parts)

    def _why(self) -> RenderableType:
        if self._judge is None or not self._row.text:
            return Text("")
        return Group("", self._judge(self._row))


def _plotted(plot: PlotextPlot, past: Past, values: tuple[float, ...], title: str) -> None:
    """Draw rates over the seconds before now."""
    plt = plot.plt
    plt.clear_data()
    plt.title(title)
    if past.ends:
        ago = [(end - past.ends[-1]).total_seconds() for end in past.ends]
        plt.plot(ago, list(values), marker="braille")
        plt.ylim(0, max(*values, 1e-9) if len(values) > 1 else max(values[0], 1e-9))
    plot.refresh()
