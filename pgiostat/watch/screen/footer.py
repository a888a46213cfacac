"""The lines below each page: the last message, an input field, and the keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from pgiostat.escape import line

if TYPE_CHECKING:
    from textual.timer import Timer

__all__ = ["FilterField", "FooterLine"]

MESSAGE_SECONDS = 6.0


class FilterField(Input):
    """An input field; it is visible while it is open.

    leave: called after Esc closed the field.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "apply"),
        Binding("escape", "leave", "cancel"),
    ]

    def __init__(self, placeholder: str, id: str, leave: Callable[[], None]) -> None:  # noqa: A002 - as textual calls it
        super().__init__(placeholder=placeholder, id=id, compact=True)
        self._leave = leave

    @property
    def is_open(self) -> bool:
        """Whether it is visible."""
        return self.has_class("open")

    def open(self, value: str = "") -> None:
        """Show the field, and remove the last message."""
        if isinstance(self.parent, FooterLine):
            self.parent.clear_message()
        self.value = value
        self.add_class("open")
        self.focus()

    def close(self) -> None:
        """Ask no more."""
        self.remove_class("open")

    def action_leave(self) -> None:
        """End what is typed."""
        self.close()
        self._leave()


class KeyLine(Footer):
    """The keys that there is room for; none is cut off. The key of the palette is always there."""

    def compose(self) -> ComposeResult:
        """Make the keys, in their order."""
        keys = list(super().compose())
        widths = [_width(each) + 1 for each in keys]
        free = self.app.size.width + 1
        free -= sum(width for key, width in zip(keys, widths, strict=True) if _is_palette(key))
        for key, width in zip(keys, widths, strict=True):
            if _is_palette(key):
                yield key
            elif width <= free:
                free -= width
                yield key

    def on_resize(self, _event: Resize) -> None:
        """Choose the keys again."""
        self.refresh(recompose=True)


def _width(key: Widget) -> int:
    """Return the width of a key with its label; Footer's own class of them is not public."""
    texts = (getattr(key, "key_display", ""), getattr(key, "description", ""))
    return cell_len(" ".join(filter(None, texts)))


def _is_palette(key: Widget) -> bool:
    return getattr(key, "action", "") == "command_palette"


class FooterLine(Vertical):
    """The lines below a page. A message takes the place of the keys, and covers nothing."""

    DEFAULT_CSS = """
    FooterLine { dock: bottom; height: auto; }
    FooterLine Footer { dock: none; }
    FooterLine #message {
        display: none; height: auto; max-height: 3; background: $panel; padding: 0 1;
    }
    FooterLine.saying #message { display: block; }
    FooterLine.saying Footer { display: none; }
    FooterLine FilterField { display: none; height: 1; border: none; padding: 0 1; }
    FooterLine FilterField.open { display: block; }
    """

    def __init__(self, *fields: FilterField) -> None:
        super().__init__()
        self._fields = fields
        self._message = Static(id="message", markup=False)
        self._until: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the lines."""
        yield from self._fields
        yield self._message
        yield KeyLine(show_command_palette=False, compact=True)

    def show_message(self, words: str, *, is_wrong: bool = False) -> None:
        """Show a message for a few seconds; it replaces the previous one."""
        mark = Text("! " if is_wrong else "", "bold red")
        self._message.update(mark.append(line(words), "not bold default"))
        self.add_class("saying")
        if self._until is not None:
            self._until.stop()
        self._until = self.set_timer(MESSAGE_SECONDS, self.clear_message)

    def clear_message(self) -> None:
        """Show the keys again."""
        self.remove_class("saying")
