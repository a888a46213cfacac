"""The page of the demo's incidents: one that is selected is caused, or taken back."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from rich.table import Table as Grid
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pgiostat.escape import line

__all__ = ["IncidentControl", "IncidentPage", "NamedIncident"]


ONE_AT_A_TIME = "One is in force at a time: another one takes its place."


class NamedIncident(Protocol):
    """An incident: its name, and a sentence that says what happens."""

    @property
    def name(self) -> str:
        """The name in the list."""

    @property
    def text(self) -> str:
        """What happens, without a full stop."""


class IncidentControl(Protocol):
    """Incidents of the watched server, of which one at most is in force."""

    @property
    def incidents(self) -> Sequence[NamedIncident]:
        """All of them, in their order."""

    @property
    def active(self) -> str:
        """The name of the incident in force, "" for none."""

    def is_running(self) -> bool:
        """Return whether the server of the demo still runs."""

    def switch(self, name: str) -> None:
        """Cause an incident in place of the one in force; "" takes that one back."""

    def hints(self) -> tuple[str, ...]:
        """Return a line below the table in several lengths, the longest first."""


class IncidentPage(ModalScreen[str]):
    """A list of incidents over what is shown; it returns a message about the choice."""

    CSS = """
    IncidentPage { align: center middle; }
    IncidentPage Vertical { width: 90%; max-width: 100; height: auto; max-height: 90%;
                            border: round $primary; background: $surface; padding: 0 1; }
    IncidentPage OptionList { height: auto; border: none; padding: 0; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,exclamation_mark,q", "dismiss", "close"),
    ]

    def __init__(self, control: IncidentControl) -> None:
        super().__init__()
        self._control = control

    def compose(self) -> ComposeResult:
        """Make the page."""
        active = self._control.active
        with Vertical():
            yield Static(Text("Cause an incident, and find it on the screen", "bold"))
            yield Static(Text(f"{ONE_AT_A_TIME}\n", "dim"))
            yield OptionList(
                *(
                    Option(_entry(number, each, is_active=each.name == active), id=each.name)
                    for number, each in enumerate(self._control.incidents, 1)
                )
            )
            yield Static(Text("\nEnter or a number selects; Esc closes.", "dim"))

    def on_key(self, event: events.Key) -> None:
        """Select an incident by its number."""
        if event.character is not None and event.character.isdecimal():
            number = int(event.character)
            if 1 <= number <= len(self._control.incidents):
                event.stop()
                self._select(self._control.incidents[number - 1])

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._select(self._control.incidents[event.option_index])

    def _select(self, incident: NamedIncident) -> None:
        """Cause an incident, or take it back if it is in force."""
        if incident.name == self._control.active:
            self._control.switch("")
            self.dismiss(f"taken back: {incident.name}")
        else:
            ended = self._control.active
            self._control.switch(incident.name)
            instead = f" in place of {ended}" if ended else ""
            self.dismiss(
                f"caused: {incident.name}{instead}; it shows within seconds, and ! takes it back"
            )


def _entry(number: int, incident: NamedIncident, *, is_active: bool) -> Grid:
    """Return the lines of an incident in the list."""
    state = "  in force: select it to take it back" if is_active else ""
    entry = Grid.grid(padding=(0, 2, 0, 0))
    entry.add_column(no_wrap=True)
    entry.add_column(ratio=1)
    name = Text.assemble((line(incident.name), "bold"), (state, "bold yellow"))
    entry.add_row(Text(f"{number}", "bold"), name)
    entry.add_row("", Text(line(incident.text)))
    return entry
