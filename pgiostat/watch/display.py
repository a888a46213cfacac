"""The screen of `watch`: its widgets, the state behind them, and how they are drawn."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from textual import on
from textual.app import App, ComposeResult
from textual.notifications import SeverityLevel

from pgiostat.analysis.rank import By, Totals
from pgiostat.watch.model.session import WatchSession
from pgiostat.watch.model.top_reader import since_of, top_reader
from pgiostat.watch.screen.canvas import Canvas
from pgiostat.watch.screen.footer import FilterField, FooterLine
from pgiostat.watch.screen.frozen import FrozenSession, SessionView
from pgiostat.watch.screen.notices import NoticeBoard, ReplayPosition, SideInfo
from pgiostat.watch.screen.overview import ScreenContent, draw_screen
from pgiostat.watch.screen.rows import TableRow
from pgiostat.watch.screen.table import ScreenTable, table_of
from pgiostat.watch.screen.themes import Themes
from pgiostat.watch.screen.top_lines import Top
from pgiostat.watch.sources.source import IntervalSource, ReplayControls
from pgiostat.watch.state import View, ViewState, restore_cursor

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.timer import Timer

    from pgiostat.errors import PgiostatError
    from pgiostat.watch.screen.incident_page import IncidentControl
    from pgiostat.watch.screen.statement_page import Judge, StatementPage

__all__ = ["WatchDisplay"]

NO_THEMES = Themes()


class WatchDisplay(App[None]):
    """Draw a session as its state requests.

    Args:
        feed: The source of intervals.
        state: The initial state.
        judge: Explains why a statement has its category.
        out: The directory of exports.
        themes: The theme to use, and how the user's choice is kept.
        clock: Returns the current time.
        incidents: Those of the demo, None elsewhere.

    Raises:
        PgiostatError: There is no theme of the requested name.

    Attributes:
        error: The error that ended the application, if one did.
    """

    def __init__(
        self,
        feed: IntervalSource,
        state: ViewState | None = None,
        *,
        judge: "Judge | None" = None,
        out: Path | None = None,
        themes: Themes = NO_THEMES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        incidents: "IncidentControl | None" = None,
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
        self._incidents = incidents
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
        self._known_top: tuple[object, Top | None] | None = None

    @property
    def watch_session(self) -> WatchSession:
        """The session, from its start to now."""
        return self.feed.session

    @property
    def session_view(self) -> SessionView:
        """The session as shown: while paused, as it was when the pause began."""
        return self._still or self.watch_session

    @property
    def dbname(self) -> str:
        """The connected database; empty if it is unknown."""
        latest = self.session_view.latest
        return "" if latest is None or latest.who is None else latest.who.dbname

    @property
    def table(self) -> ScreenTable:
        """The table that is shown."""
        return self._table

    @property
    def picture(self) -> ScreenContent:
        """The lines on the screen, and where its rows are."""
        return self._canvas.picture

    @property
    def demo_has_ended(self) -> bool:
        """Whether nothing is read because the demo that is watched has ended."""
        control = self._incidents
        return (
            control is not None
            and self.watch_session.trouble is not None
            and not control.is_running()
        )

    @property
    def replay(self) -> ReplayControls | None:
        """The history that is replayed, if one is."""
        return self._player

    def get_driver_class(self) -> "type[Driver]":
        """Return the driver of the terminal."""
        if sys.platform == "win32" or environ.get("TEXTUAL_DRIVER"):
            return super().get_driver_class()
        from pgiostat.watch.screen.driver import OutputDriver  # noqa: PLC0415 - not for Windows

        return OutputDriver

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield self._canvas
        yield FooterLine(self._filter, self._jump)

    def draw(self) -> None:
        """Draw the session as the state requests."""
        if not self._canvas.size:
            return
        session = self.session_view
        self._table = self.table_shown()
        self.state = restore_cursor(self.state, self._table.keys)
        if self._goes_back != bool(self.state.path or self.state.filter):
            self._goes_back = not self._goes_back
            self.refresh_bindings()
        self._canvas.show(
            draw_screen(self.state, session, self._table, self._canvas.size, self._side())
        )
        if self._page is not None and self._page is self.screen:
            self._page.draw()

    def table_shown(self, *, is_folded: bool = True) -> ScreenTable:
        """Return the table as the state requests it; is_folded: some rows stand for several."""
        session, whole = self.session_view, self.state.whole
        return table_of(
            self.state,
            self.counted_shown(),
            session.io(whole=whole),
            session.names,
            session.per_block,
            dbname=self.dbname,
            is_folded=is_folded,
            tables=session.tables,
            steps=self._counted_steps() if self.state.path else None,
        )

    def counted_shown(self) -> Totals | None:
        """Return what was counted in the time of the table that is shown."""
        if self.state.view is View.RELATION:
            return self.session_view.counted_tables(whole=self.state.whole)
        return self._counted_steps()

    def _counted_steps(self) -> Totals | None:
        """Return what was counted by statement and by table, to go from one to the other."""
        state = self.state
        return self.session_view.counted(whole=state.whole, is_recent=state.is_of_tables)

    def _side(self) -> SideInfo:
        if self._still is not None:
            return self._still.side
        wait = None
        if self._retry_at is not None:
            wait = (self._retry_at - self._clock()).total_seconds()
        played = None
        if self.replay is not None:
            played = ReplayPosition(
                *self.replay.position, self.replay.interval, self.replay.is_playing
            )
        has_ended = self.demo_has_ended
        hints = () if self._incidents is None or has_ended else self._incidents.hints()
        return SideInfo(self._board, wait, played, self._top(), hints=hints, has_ended=has_ended)

    def _top(self) -> Top | None:
        """Return the statement with the most reads in the time that is shown."""
        session, whole = self.watch_session, self.state.whole
        shown = (session.latest, session.began if whole else None)
        if self._known_top is None or self._known_top[0] != shown:
            counted, top = session.counted(whole=whole), None
            reader = top_reader(counted, session.names, self.dbname) if counted else None
            if reader is not None:
                top = Top(reader, since_of(session.past(By.FINGERPRINT, reader.row.key)))
            self._known_top = (shown, top)
        return self._known_top[1]

    def _count_down(self) -> None:
        """Redraw every second while the source waits for its next attempt."""
        if self._countdown is not None:
            self._countdown.stop()
            self._countdown = None
        if self._retry_at is not None and self._still is None:
            self._countdown = self.set_interval(1.0, self.draw)

    @on(Canvas.Resized)
    def _resized(self) -> None:
        """Draw for the new size."""
        self.draw()

    def _focus_table(self) -> None:
        self._canvas.focus()

    def _unfiltered(self) -> None:
        self.state = replace(self.state, filter="")
        self._focus_table()
        self.draw()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,  # noqa: ARG002 - all messages stay equally long
        markup: bool = True,  # noqa: ARG002 - no name or path is markup
    ) -> None:
        """Show a message in the footer of the top page."""
        words = f"{title}: {message}" if title else message
        for screen in reversed(self.screen_stack):
            for foot in screen.query(FooterLine):
                foot.show_message(words, is_wrong=severity == "error")
                return

    def _chosen(self) -> TableRow | None:
        """Return the selected row; without activity in this interval, notify and return None."""
        rows, state = self._table.rows, self.state
        row = rows[state.row] if state.row < len(rows) else None
        if row is None or state.chosen in {(), row.key}:
            return row
        self.notify("the selected row had no activity in this interval")
        return None
