"""The terminal application: keys change what is shown, and never what is read."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from os import environ
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.actions import parse
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import Input

from pgiostat.analysis.rank import By, rank_totals
from pgiostat.clock import Backoff
from pgiostat.errors import PgiostatError
from pgiostat.escape import pasted
from pgiostat.statistics.delta import Basis
from pgiostat.unexpected import PASSING, as_error
from pgiostat.units import format_duration
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.model.session import WatchSession
from pgiostat.watch.screen.canvas import Canvas
from pgiostat.watch.screen.csv_export import as_csv
from pgiostat.watch.screen.footer import FilterField, FooterLine
from pgiostat.watch.screen.frozen import FrozenSession, SessionView, coverage_of
from pgiostat.watch.screen.help import Help
from pgiostat.watch.screen.notices import NoticeBoard, ReplayPosition, SideInfo
from pgiostat.watch.screen.overview import ScreenContent, draw_screen, heading
from pgiostat.watch.screen.table import ScreenTable, TableRow, table_of
from pgiostat.watch.screen.themes import Themes
from pgiostat.watch.sources.source import IntervalSource, ReplayControls
from pgiostat.watch.state import (
    Action,
    Drill,
    RowKey,
    View,
    ViewState,
    apply,
    drill_down,
    moved,
    restore_cursor,
    with_view,
)

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.timer import Timer

    from pgiostat.analysis.rank import RankRow
    from pgiostat.watch.screen.statement_page import Judge, StatementDetails, StatementPage

__all__ = ["WatchApp"]

VIEWS = (View.CATEGORY, View.STATEMENT, View.RELATION, View.DATABASE, View.USER, View.IO)
INTERVALS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
PAGE = 10
RETRY = Backoff(first=1.0, longest=30.0)
NO_THEMES = Themes()
TYPING = {"quit", "move"}
"""What keys do beside a line that is typed in."""
OF_TABLE = {"do", "view", "move", "enter", "leave", "filter", "jump", "copy", "export"}
OF_PAGES = {(Action.PAUSE.value,), (Action.WHOLE.value,)}
"""What `do` does on every page."""


class WatchApp(App[None]):
    """watch on a terminal.

    feed: where moments come from.  state: what to begin with.  judge: says why a statement is of
    its category.  out: where exports are put.  Raises PgiostatError for a theme that is not there.
    """

    TITLE = "pgiostat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("question_mark,h,f1", "help", "help", key_display="?",
                tooltip="help: every key, column and word"),
        Binding("left", "seek(-1)", show=False, tooltip="an interval back"),
        Binding("right", "seek(1)", "seek", key_display="←→", tooltip="an interval on"),
        Binding("shift+left", "seek(-60)", show=False, tooltip="sixty intervals back"),
        Binding("shift+right", "seek(60)", show=False, tooltip="sixty intervals on"),
        Binding("g", "jump", "go to", tooltip="go to a time"),
        *(
            Binding(str(number), f"view('{view.name}')", "view" if number == 1 else "",
                    show=number == 1, key_display=f"1-{len(VIEWS)}",
                    tooltip=f"view by {view.value}")
            for number, view in enumerate(VIEWS, 1)
        ),
        Binding("enter", "enter", "into", tooltip="go into the row"),
        Binding("escape", "leave", "back", tooltip="back, or without filter"),
        Binding("slash", "filter", "filter", key_display="/",
                tooltip="filter by text, category, user or database"),
        Binding("greater_than_sign", "do('sort_right')", "sort", key_display="<>",
                tooltip="sort by the next column to the right"),
        Binding("less_than_sign", "do('sort_left')", show=False,
                tooltip="sort by the next column to the left"),
        Binding("right_square_bracket", "do('columns_right')", "columns", key_display="[]",
                tooltip="show further columns to the right"),
        Binding("left_square_bracket", "do('columns_left')", show=False,
                tooltip="show further columns to the left"),
        Binding("space,p", "do('pause')", "pause", key_display="␣",
                tooltip="pause what is shown, or go on"),
        Binding("a", "do('whole')", "total",
                tooltip="show all since the baseline, or the last interval"),
        Binding("ctrl+p", "command_palette", "all", key_display="^p", priority=True),
        Binding("r", "do('reverse')", "reverse", tooltip="reverse the order"),
        Binding("e", "export", "export", tooltip="export what is shown as CSV, here"),
        Binding("y", "copy", "copy", tooltip="copy the row's text"),
        Binding("z", "baseline", "baseline",
                tooltip="set the baseline to now; nothing on the server is reset"),
        Binding("plus,equals_sign", "interval(1)", "slower", key_display="+",
                tooltip="slower: read less often, show intervals longer"),
        Binding("minus", "interval(-1)", "quicker", key_display="-",
                tooltip="quicker: read more often, show intervals shorter"),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", f"move(-{PAGE})", show=False),
        Binding("pagedown", f"move({PAGE})", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]  # fmt: skip

    class Arrived(Message):
        """A moment has come."""

        def __init__(self, moment: Interval) -> None:
            super().__init__()
            self.moment = moment

    class Ended(Message):
        """There are no more moments, perhaps because of an error."""

        def __init__(self, error: PgiostatError | None) -> None:
            super().__init__()
            self.error = error

    def __init__(
        self,
        feed: IntervalSource,
        state: ViewState | None = None,
        *,
        judge: "Judge | None" = None,
        out: Path | None = None,
        themes: Themes = NO_THEMES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        # Without colours the terminal's own background stays, light or dark.
        super().__init__(ansi_color=True if "NO_COLOR" in environ else None)
        self._themes = themes
        there = self.available_themes
        self.theme = themes.chosen(there, ", ".join(sorted(there))) or self.theme
        self.feed = feed
        self.state = state or ViewState()
        self.error: PgiostatError | None = None
        self._player = feed if isinstance(feed, ReplayControls) else None
        self._judge = judge
        self._out = out or Path.cwd()
        self._clock = clock
        self._stop = Event()
        self._canvas = Canvas()
        self._goes_back = False
        self._filter = FilterField(
            "filter: text, category, user, database", "filter", self._unfiltered
        )
        self._jump = FilterField("time: 10:30, -2h, 2026-11-23T10:00Z", "jump", self._focus_table)
        self._table = ScreenTable(View.CATEGORY, (), (), ())
        self._still: FrozenSession | None = None
        self._board = NoticeBoard()
        self._retry_at: datetime | None = None
        self._countdown: Timer | None = None
        self._page: StatementPage | None = None

    @property
    def watch_session(self) -> WatchSession:
        """What was seen so far."""
        return self.feed.sitting

    @property
    def session_view(self) -> SessionView:
        """What is shown of it: while it is paused, how it was when that began."""
        return self._still or self.watch_session

    @property
    def table(self) -> ScreenTable:
        """What is shown now."""
        return self._table

    @property
    def picture(self) -> ScreenContent:
        """What is on the screen."""
        return self._canvas.picture

    def get_driver_class(self) -> "type[Driver]":
        """Return what draws."""
        if sys.platform == "win32" or environ.get("TEXTUAL_DRIVER"):
            return super().get_driver_class()
        from pgiostat.watch.screen.driver import OutputDriver  # noqa: PLC0415 - not for Windows

        return OutputDriver

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield self._canvas
        yield FooterLine(self._filter, self._jump)

    def on_mount(self) -> None:
        """Begin to read."""
        self._canvas.focus()
        self.theme_changed_signal.subscribe(self, lambda theme: self._themes.keep(theme.name))
        # Whoever ends us gets his terminal back.
        if current_thread() is main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)
        # The first screen comes before what reading needs is imported.
        self.call_after_refresh(
            self.run_worker, self._read, thread=True, exclusive=True, name="feed"
        )

    def on_unmount(self) -> None:
        """Stop reading."""
        self._stop.set()

    def _signalled(self, number: signal.Signals) -> None:
        self.exit(return_code=128 + number)

    def _read(self) -> None:
        failures, is_first = 0, True
        while True:
            error = None
            try:
                for moment in self.feed.moments(self._stop):
                    self.post_message(self.Arrived(moment))
                    failures, is_first = 0, False
            except Exception as raised:  # noqa: BLE001 - what is shown stays, and it is tried again
                error = as_error(raised)
            if error is None or is_first or error.slug not in PASSING:
                break
            failures += 1
            seconds = RETRY.delay(failures)
            self.post_message(self.Arrived(Interval(error=error, retry_seconds=seconds)))
            if self._stop.wait(seconds):
                break
        self.post_message(self.Ended(error))

    def _handle_exception(self, error: Exception) -> None:
        """End with an error of ours."""
        self.error = as_error(error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without textual's own traceback, which shows the values of variables."""
        self._close_messages_no_wait()

    @on(Arrived)
    def _arrived(self, message: Arrived) -> None:
        """Take a moment in; one that cannot be shown is said below, and the next one comes."""
        try:
            self._absorb(message.moment)
        except Exception as raised:  # noqa: BLE001 - the sitting goes on
            error = as_error(raised)
            self.notify(f"{error.message}: {error.detail}", severity="error")

    def _absorb(self, moment: Interval) -> None:
        sitting = self.watch_session
        sitting.absorb(moment)
        self._board = self._board.after(
            moment, None if sitting.gauge is None else sitting.gauge.low
        )
        self._retry_at = None
        if moment.retry_seconds is not None:
            self._retry_at = self._clock() + timedelta(seconds=moment.retry_seconds)
        if self._still is None:
            self.draw()
        self._count_down()

    def _count_down(self) -> None:
        """Draw each second how long it is until a server that is gone is tried again."""
        if self._countdown is not None:
            self._countdown.stop()
            self._countdown = None
        if self._retry_at is not None and self._still is None:
            self._countdown = self.set_interval(1.0, self.draw)

    @on(Ended)
    def _ended(self, message: Ended) -> None:
        self.error = message.error
        if message.error is not None:
            self.exit(return_code=message.error.status)

    # drawing

    def draw(self) -> None:
        """Draw what the state shows."""
        if not self._canvas.size:
            return
        sight, whole = self.session_view, self.state.whole
        counted, io = sight.counted(whole=whole), sight.io(whole=whole)
        self._table = table_of(self.state, counted, io, sight.names)
        self.state = restore_cursor(self.state, self._table.keys)
        if self._goes_back != bool(self.state.path or self.state.filter):
            self._goes_back = not self._goes_back
            self.refresh_bindings()
        self._canvas.show(
            draw_screen(self.state, sight, self._table, self._canvas.size, self._beside())
        )
        if self._page is not None and self._page is self.screen:
            self._page.draw()

    def _beside(self) -> SideInfo:
        if self._still is not None:
            return self._still.beside
        wait = None
        if self._retry_at is not None:
            wait = (self._retry_at - self._clock()).total_seconds()
        played = None
        if self.replay is not None:
            played = ReplayPosition(
                *self.replay.position, self.replay.interval, self.replay.is_playing
            )
        return SideInfo(self._board, wait, played)

    @on(Canvas.Resized)
    def _resized(self) -> None:
        """Draw for another size."""
        self.draw()

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell whether there is such a key now.

        Time goes back only where it is replayed; a page over the table has no key that changes it.
        """
        if action in {"seek", "jump"} and self.replay is None:
            return False
        if action == "leave" and not (self.state.path or self.state.filter):
            return False
        if self._filter.is_open or self._jump.is_open:
            return action in TYPING
        return not self._is_covered() or action not in OF_TABLE or parameters in OF_PAGES

    def _is_covered(self) -> bool:
        pages = [each for each in self.screen_stack if not isinstance(each, CommandPalette)]
        return len(pages) > 1

    @property
    def replay(self) -> ReplayControls | None:
        """The history that is replayed, if one is."""
        return self._player

    def action_seek(self, steps: int) -> None:
        """Show an interval before or after."""
        if self.replay is not None:
            self.replay.seek(steps)

    def action_jump(self) -> None:
        """Ask for a time."""
        self._jump.open()

    @on(Input.Submitted, "#jump")
    def _jump_done(self, event: Input.Submitted) -> None:
        if self.replay is not None and event.value:
            try:
                if message := self.replay.jump(event.value, self._clock()):
                    self.notify(message)
            except PgiostatError as error:
                # What was typed stays, to be mended.
                self.notify(" ".join(filter(None, (f"{error.message}.", error.hint))),
                            severity="error")  # fmt: skip
                return
        self._jump.close()
        self._focus_table()

    def _focus_table(self) -> None:
        self._canvas.focus()

    def action_do(self, action: str) -> None:
        """Change what is shown."""
        names = [measure.name for measure in self._table.measures]
        self.state = apply(self.state, Action(action), names)
        if action == Action.PAUSE:
            self._pause()
        self.draw()

    def _pause(self) -> None:
        """Show what stands still, or what goes on."""
        if self.replay is not None:
            # It stands still by itself; what is sought in it is shown all the same.
            self.replay.play(playing=not self.state.is_paused)
        else:
            self._still = (
                FrozenSession.of(self.watch_session, self._beside())
                if self.state.is_paused
                else None
            )
            self._count_down()

    def action_view(self, name: str) -> None:
        """Show another view."""
        self.state = with_view(self.state, View[name])
        self.draw()

    def action_move(self, rows: int) -> None:
        """Choose another row."""
        self.state = moved(self.state, self._table.keys, rows)
        self.draw()

    def action_leave(self) -> None:
        """Undo the filter, or go back where the row was gone into."""
        self.action_do(Action.BACK.value)

    def action_enter(self) -> None:
        """Go into the row that is chosen."""
        row = self._chosen()
        if row is None:
            return
        if row.of is None or self.state.view in {View.RELATION, View.IO}:
            what = "a relation" if self.state.view is View.RELATION else "a row of pg_stat_io"
            self.notify(f"nothing is counted below {what}; 2 shows the statements")
            return
        if self.state.view is View.STATEMENT:
            # It draws plots, and most sittings need none.
            from pgiostat.watch.screen.statement_page import StatementPage  # noqa: PLC0415

            self._page = StatementPage(row.of, self._statement_details, self._judge)
            self.push_screen(self._page)
            return
        drill = Drill(self.state.view, row.of.key, row.name, self.state.row)
        self.state = drill_down(self.state, drill)
        self.draw()
        if self.state.view is View.STATEMENT and len(self._table.rows) == 1:
            self.action_enter()

    def _statement_details(self, key: RowKey, size: tuple[int, int]) -> "StatementDetails":
        """Return what is known of a statement, for its page."""
        from pgiostat.watch.screen.statement_page import StatementDetails  # noqa: PLC0415 - as the page

        sight, whole = self.session_view, self.state.whole
        latest = sight.latest or Interval()
        counted = sight.counted(whole=whole)
        parts = [] if counted is None else [(counted, sight.names)]
        rows = rank_totals(parts, by=By.STATEMENT).rows
        row = next((row for row in rows if row.key == key), None)
        return StatementDetails(
            heading(self.state, sight, size, self._beside()),
            row,
            sight.past(By.STATEMENT, key),
            None if whole or row is None or row.queryid is None else _basis(latest, row),
            sight.seconds if whole else latest.seconds,
            sight.qualities if whole else latest.qualities,
            coverage_of(sight, whole=whole),
            whole,
        )

    def action_filter(self) -> None:
        """Ask what to show alone."""
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

    def _unfiltered(self) -> None:
        self.state = replace(self.state, filter="")
        self._focus_table()
        self.draw()

    def action_baseline(self) -> None:
        """Count from here; nothing on the server is reset."""
        self.watch_session.begin()
        self.notify("counting from here; nothing on the server was reset")
        self.draw()

    def action_interval(self, step: int) -> None:
        """Read more or less often."""
        there = sorted({*INTERVALS, self.feed.interval})
        at = there.index(self.feed.interval) + step
        self.feed.interval = there[min(max(at, 0), len(there) - 1)]
        self.draw()
        self.notify(f"every {format_duration(self.feed.interval)}")

    def action_help(self) -> None:
        """Say what keys and columns are."""
        notices = [posted.notice for posted in self._beside().board.posted]
        self.push_screen(Help(self._table, notices, is_replay=self.replay is not None))

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,  # noqa: ARG002 - as all that is said
        markup: bool = True,  # noqa: ARG002 - whatever is in a name or a path, none of it acts
    ) -> None:
        """Say something below the page that is shown."""
        words = f"{title}: {message}" if title else message
        for screen in reversed(self.screen_stack):
            for foot in screen.query(FooterLine):
                foot.show_message(words, is_wrong=severity == "error")
                return

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the palette offers: all keys, and how it looks."""
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
        # Once the palette is gone.
        yield SystemCommand(
            "Screenshot",
            "Write what is shown as SVG, here",
            partial(self.call_after_refresh, self.action_picture),
        )

    # out

    def action_copy(self) -> None:
        """Copy the row that is chosen: the text of a statement, or its name."""
        row = self._chosen()
        if row is None:
            return
        text = row.of.text if row.of is not None and row.of.text else row.name
        self.copy_to_clipboard(pasted(text))
        self.notify("copied")

    def action_export(self) -> None:
        """Write what is shown as CSV."""
        self._write("csv", self.as_csv())

    def action_picture(self) -> None:
        """Write what is shown as a picture."""
        self._write("svg", self.export_screenshot(title=self.TITLE))

    def _write(self, form: str, text: str) -> None:
        name = f"pgiostat-{self.state.view.name.lower()}-{self._clock():%Y%m%dT%H%M%SZ}.{form}"
        path = self._out / name
        try:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            self.notify(f"could not write {path}: {error.strerror}", severity="error")
            return
        self.notify(f"written: {path}")

    def as_csv(self) -> str:
        """Return what is shown: rows as they are filtered and sorted, then what is below them."""
        return as_csv(self.state, self._table, self.session_view)

    # mouse

    @on(Canvas.Clicked)
    def _clicked(self, event: Canvas.Clicked) -> None:
        """Choose the row that is clicked, go into it at the second click; sort by a heading."""
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
        """Choose the next row."""
        self.action_move(1)

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Choose the row before."""
        self.action_move(-1)

    def _chosen(self) -> TableRow | None:
        """Return the row under the cursor; if it is not there now say so, and take no other."""
        rows, state = self._table.rows, self.state
        row = rows[state.row] if state.row < len(rows) else None
        if row is None or state.chosen in {(), row.key}:
            return row
        self.notify("the row that was chosen did nothing in this interval")
        return None


def _basis(moment: Interval, row: "RankRow") -> Basis:
    """Return against what a row of statements was counted."""
    queryid, dbid, userid = map(int, row.key)
    return moment.bases.get((userid, dbid, queryid), Basis.PREVIOUS)
