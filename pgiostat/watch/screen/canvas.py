"""The widget on which lines are drawn."""

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from pgiostat.escape import terminal
from pgiostat.watch.screen.overview import ScreenContent

if TYPE_CHECKING:
    from pgiostat.render.table import Line

__all__ = ["Canvas"]


def _shown(text: str) -> str:
    """Return a text that was made visible before: should one not be, it does not act all the same.

    A segment goes to the terminal as it is.
    """
    return text if text.isprintable() else terminal(text)


class Canvas(Widget, can_focus=True):
    """The lines of a picture; only those that changed are drawn again."""

    DEFAULT_CSS = "Canvas { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.picture = ScreenContent((), (), 0, ())
        self._styles: dict[str, Style] = {}

    def show(self, picture: ScreenContent) -> None:
        """Draw another picture."""
        before, self.picture = self.picture.lines, picture
        lines = picture.lines
        width = self.size.width
        regions = [
            Region(0, y, width, 1)
            for y in range(max(len(before), len(lines)))
            if (before[y] if y < len(before) else None) != (lines[y] if y < len(lines) else None)
        ]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Return a line as textual draws it."""
        lines = self.picture.lines
        line: Line = lines[y] if y < len(lines) else []
        strip = Strip([Segment(_shown(text), self._style(style)) for text, style in line if text])
        return strip.adjust_cell_length(self.size.width, self.rich_style).apply_style(
            self.rich_style
        )

    class Resized(Message):
        """There is another size to draw for."""

    def on_resize(self) -> None:
        """Say so, now that the size is ours."""
        self.post_message(self.Resized())

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, x: int, y: int, times: int) -> None:
            super().__init__()
            self.x, self.y, self.times = x, y, times

    def on_click(self, event: events.Click) -> None:
        """Say where."""
        self.post_message(self.Clicked(event.x, event.y, event.chain))

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = Style.parse(name)
        return self._styles[name]
