"""The terminal application: it reads in a thread, and draws each interval."""

import asyncio
import signal
from datetime import timedelta
from threading import current_thread, main_thread

from textual import on
from textual.message import Message

from pgiostat.errors import PgiostatError
from pgiostat.unexpected import as_error
from pgiostat.watch.keys import KeyActions
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.reader import read_intervals

__all__ = ["WatchApp"]


class WatchApp(KeyActions):
    """`watch` on a terminal: it takes what WatchDisplay takes."""

    TITLE = "pgiostat"

    class Arrived(Message):
        """The source returned an interval."""

        def __init__(self, interval: Interval) -> None:
            super().__init__()
            self.interval = interval

    class Ended(Message):
        """The source ended, perhaps with an error."""

        def __init__(self, error: PgiostatError | None) -> None:
            super().__init__()
            self.error = error

    def on_mount(self) -> None:
        """Start the reader."""
        self._canvas.focus()
        self.theme_changed_signal.subscribe(self, lambda theme: self._themes.keep(theme.name))
        # A signal must not leave the terminal in application mode.
        if current_thread() is main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)
        # The first screen appears before the reader's imports.
        self.call_after_refresh(
            self.run_worker, self._read, thread=True, exclusive=True, name="feed"
        )

    def on_unmount(self) -> None:
        """Stop the reader."""
        self._stop.set()

    def _signalled(self, number: signal.Signals) -> None:
        self.exit(return_code=128 + number)

    def _read(self) -> None:
        error = read_intervals(
            self.feed, self._stop, lambda interval: self.post_message(self.Arrived(interval))
        )
        self.post_message(self.Ended(error))

    def _handle_exception(self, error: Exception) -> None:
        """End with an error of pgiostat."""
        self.error = as_error(error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without textual's own traceback, which shows the values of variables."""
        self._close_messages_no_wait()

    @on(Arrived)
    def _arrived(self, message: Arrived) -> None:
        """Absorb an interval; an error is shown in the footer, and the session goes on."""
        try:
            self._absorb(message.interval)
        except Exception as raised:  # noqa: BLE001 - the session goes on
            error = as_error(raised)
            self.notify(f"{error.message}: {error.detail}", severity="error")

    def _absorb(self, interval: Interval) -> None:
        session = self.watch_session
        session.absorb(interval)
        self._board = self._board.after(
            interval, None if session.gauge is None else session.gauge.low
        )
        self._retry_at = None
        if interval.retry_seconds is not None:
            self._retry_at = self._clock() + timedelta(seconds=interval.retry_seconds)
        if self._still is None:
            self.draw()
        self._count_down()

    @on(Ended)
    def _ended(self, message: Ended) -> None:
        self.error = message.error
        if message.error is not None:
            self.exit(return_code=message.error.status)
