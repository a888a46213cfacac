"""The keys and the mouse of `watch`: they change the screen, never the sampling."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.actions import parse
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.screen import Screen
from textual.widgets import Input

from pgiostat.errors import PgiostatError
from pgiostat.units import format_duration
from pgiostat.watch.drilling import DrillActions
from pgiostat.watch.screen.canvas import Canvas
from pgiostat.watch.screen.columns import HEADINGS
from pgiostat.watch.screen.frozen import FrozenSession
from pgiostat.watch.screen.help import Help
from pgiostat.watch.screen.overview import DEMO_ENDED
from pgiostat.watch.state import (
    OF_STATEMENTS,
    Action,
    View,
    apply,
    moved,
    with_view,
)

__all__ = ["KeyActions"]

VIEWS = (
    View.CATEGORY,
    View.FINGERPRINT,
    View.RELATION,
    View.DATABASE,
    View.USER,
    View.IO,
    View.VERB,
    View.TABLE,
)
INTERVALS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
PAGE = 10
WHILE_TYPING = {"quit", "move"}
"""Actions of keys while the user types a filter or a time."""
OF_TABLE = {
    "do",
    "view",
    "move",
    "enter",
    "leave",
    "filter",
    "jump",
    "copy",
    "export",
    "split",
    "tables",
    "incident",
}
"""Actions on the table; a page that covers it has none of their keys."""
OF_PAGES = {(Action.PAUSE.value,), (Action.WHOLE.value,)}
"""Parameters of `do` that have their key on every page."""


def _key(keys: str, action: str, label: str = "", tooltip: str = "", display: str = "") -> Binding:
    """Return a binding; one without a label is not in the footer."""
    return Binding(
        keys, action, label, show=bool(label), tooltip=tooltip, key_display=display or None
    )


def _view_key(number: int, view: View) -> Binding:
    """Return the key of a view; the first stands in the footer for all."""
    name = HEADINGS.get(view, view.value)
    label, tooltip = "view" if number == 1 else "", f"view by {name}"
    return _key(str(number), f"view('{view.name}')", label, tooltip, f"1-{len(VIEWS)}")


KEYS: tuple[Binding, ...] = (
    _key("q", "quit", "quit"),
    Binding("ctrl+c", "quit", show=False, priority=True),
    _key("question_mark,h,f1", "help", "help", "help: keys, columns and terms", "?"),
    _key("exclamation_mark", "incident", "incident", "cause an incident, or take it back", "!"),
    _key("left", "seek(-1)", "", "go back one interval"),
    _key("right", "seek(1)", "seek", "go forward one interval", "←→"),
    _key("shift+left", "seek(-60)", "", "go back 60 intervals"),
    _key("shift+right", "seek(60)", "", "go forward 60 intervals"),
    _key("g", "jump", "go to", "go to a time"),
    *(_view_key(number, view) for number, view in enumerate(VIEWS, 1)),
    _key("9", f"view('{View.TAG.name}')", "", "view by the tag of --by tag:KEY"),
    _key("enter", "enter", "open", "open the row"),
    _key("escape", "leave", "back", "go back, or clear the filter"),
    _key("s", "split", "split", "split statements by user and database, or merge them"),
    _key("t", "tables", "tables", "show the tables of the statement"),
    _key("slash", "filter", "filter", "filter by text, category, user or database", "/"),
    _key(
        "greater_than_sign",
        "do('sort_right')",
        "sort",
        "sort by the next column to the right",
        "<>",
    ),
    _key("less_than_sign", "do('sort_left')", "", "sort by the next column to the left"),
    _key(
        "right_square_bracket",
        "do('columns_right')",
        "columns",
        "scroll columns to the right",
        "[]",
    ),
    _key("left_square_bracket", "do('columns_left')", "", "scroll columns to the left"),
    _key("space,p", "do('pause')", "pause", "pause the screen, or resume", "␣"),
    _key("a", "do('whole')", "total", "show the last interval, or all since the baseline"),
    Binding("ctrl+p", "command_palette", "all", key_display="^p", priority=True),
    _key("r", "do('reverse')", "reverse", "reverse the order"),
    _key("e", "export", "export", "export the table as CSV to the working directory"),
    _key("y", "copy", "copy", "copy the statement, or the name"),
    _key(
        "z",
        "baseline",
        "baseline",
        "set the baseline to now; nothing on the server is reset",
    ),
    _key(
        "plus,equals_sign",
        "interval(1)",
        "longer",
        "longer interval",
        "+",
    ),
    _key(
        "minus",
        "interval(-1)",
        "shorter",
        "shorter interval",
        "-",
    ),
    _key("up,k", "move(-1)"),
    _key("down,j", "move(1)"),
    _key("pageup", f"move(-{PAGE})"),
    _key("pagedown", f"move({PAGE})"),
    _key("home", "move(-1000000)"),
    _key("end", "move(1000000)"),
)


class KeyActions(DrillActions):
    """The bindings, and one `action_*` for each of them."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action has its key now.

        Only a replay goes back in time, and only the demo has incidents. A page over the table has
        no key that changes the table.
        """
        if action in {"seek", "jump"} and self.replay is None:
            return False
        if action == "incident" and self._incidents is None:
            return False
        if action in {"split", "tables"} and self.state.view not in OF_STATEMENTS:
            return False
        if action == "leave" and not (self.state.path or self.state.filter):
            return False
        if self._filter.is_open or self._jump.is_open:
            return action in WHILE_TYPING
        return not self._is_covered() or action not in OF_TABLE or parameters in OF_PAGES

    def _is_covered(self) -> bool:
        pages = [each for each in self.screen_stack if not isinstance(each, CommandPalette)]
        return len(pages) > 1

    def action_seek(self, steps: int) -> None:
        """Show an earlier or a later interval."""
        if self.replay is not None:
            self.replay.seek(steps)

    def action_jump(self) -> None:
        """Open the field for a time."""
        self._jump.open()

    @on(Input.Submitted, "#jump")
    def _jump_done(self, event: Input.Submitted) -> None:
        if self.replay is not None and event.value:
            try:
                if message := self.replay.jump(event.value, self._clock()):
                    self.notify(message)
            except PgiostatError as error:
                # The field keeps its text, so that the user can correct it.
                message = " ".join(filter(None, (f"{error.message}.", error.hint)))
                self.notify(message, severity="error")
                return
        self._jump.close()
        self._focus_table()

    def action_do(self, action: str) -> None:
        """Change what is shown."""
        names = [measure.name for measure in self._table.measures]
        self.state = apply(self.state, Action(action), names)
        if action == Action.PAUSE:
            self._pause()
        self.draw()

    def _pause(self) -> None:
        """Freeze what is shown, or go on."""
        if self.replay is not None:
            # A paused replay still shows the intervals that the user seeks.
            self.replay.play(playing=not self.state.is_paused)
        else:
            self._still = (
                FrozenSession.of(self.watch_session, self._side()) if self.state.is_paused else None
            )
            self._count_down()

    def action_view(self, name: str) -> None:
        """Show another view."""
        if View[name] is View.TAG and not self.state.tag:
            self.notify("no tag is read; start watch with --by tag:KEY, on a server")
            return
        self.state = with_view(self.state, View[name])
        self.draw()

    def action_move(self, rows: int) -> None:
        """Select another row."""
        self.state = moved(self.state, self._table.keys, rows)
        self.draw()

    def action_leave(self) -> None:
        """Remove the filter, or leave the row."""
        self.action_do(Action.BACK.value)

    def action_filter(self) -> None:
        """Open the field for the filter."""
        self._filter.open(self.state.filter)

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        if self._filter.is_open:
            self.state = replace(self.state, filter=event.value, row=0, chosen=())
            self.draw()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._filter.close()
        self._focus_table()

    def action_baseline(self) -> None:
        """Set the baseline to now; nothing on the server is reset."""
        self.watch_session.begin()
        self.notify("the baseline is now; nothing on the server was reset")
        self.draw()

    def action_interval(self, step: int) -> None:
        """Read more or less often."""
        there = sorted({*INTERVALS, self.feed.interval})
        at = there.index(self.feed.interval) + step
        self.feed.interval = there[min(max(at, 0), len(there) - 1)]
        self.draw()
        self.notify(f"every {format_duration(self.feed.interval)}")

    def action_incident(self) -> None:
        """Show the incidents of the demo; one that is selected is caused, or taken back."""
        if self.demo_has_ended:
            self.notify(DEMO_ENDED)
        elif self._incidents is not None:
            # Only the demo has the page.
            from pgiostat.watch.screen.incident_page import IncidentPage  # noqa: PLC0415

            self.push_screen(IncidentPage(self._incidents), self._switched)

    def _switched(self, message: str | None) -> None:
        if message:
            self.notify(message)
        self.draw()

    def action_help(self) -> None:
        """Show the page of keys and columns."""
        notices = [posted.notice for posted in self._side().board.posted]
        page = Help(
            self._table,
            notices,
            is_replay=self.replay is not None,
            is_demo=self._incidents is not None,
        )
        self.push_screen(page)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: all keys, the theme and a screenshot."""
        listed: set[str] = set()
        for binding in Binding.make_bindings(self.BINDINGS):
            title = binding.tooltip or binding.description
            _, name, parameters = parse(binding.action)
            is_there = title and name != "command_palette" and self.check_action(name, parameters)
            if is_there and binding.action not in listed:
                listed.add(binding.action)
                key = self.get_key_display(replace(binding, key_display=None))
                yield SystemCommand(title, f"key {key}", partial(self.run_action, binding.action))
        for command in super().get_system_commands(screen):
            if command.title == "Theme":
                yield command
        # Deferred, so that the palette is not in the picture.
        yield SystemCommand(
            "Screenshot",
            "Write the screen as SVG to the working directory",
            partial(self.call_after_refresh, self.action_picture),
        )

    @on(Canvas.Clicked)
    def _clicked(self, event: Canvas.Clicked) -> None:
        """Select a row, go into it at the second click, or sort by a heading."""
        shown = self.picture
        if event.y == shown.headings:
            found = next((n for n, a, b in shown.measures if a <= event.x < b), "")
            self.state = replace(self.state, sort=found)
            self.draw()
            return
        row = shown.rows[event.y] if event.y < len(shown.rows) else None
        if row is None:
            return
        self.state = moved(self.state, self._table.keys, row - self.state.row)
        self.draw()
        if event.times > 1:
            self.action_enter()

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Select the next row."""
        self.action_move(1)

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Select the previous row."""
        self.action_move(-1)
