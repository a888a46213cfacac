"""Signals that end a loop, or wake it, without interrupting its current work."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from pgiostat.errors import ExitStatus

__all__ = ["Wake", "on_sighup", "stop_on_signals"]


class _Settable(Protocol):
    def set(self) -> None:
        """Note that it has happened."""


class Wake:
    """Wakes a waiting thread, also from a signal handler that runs in that thread.

    An Event's lock is not reentrant: a handler that sets the Event on which its thread is about to
    wait would deadlock. And Python runs handlers between two steps of the main thread: a signal
    just before the thread sleeps, or one that interrupts another thread, would have no effect until
    something else wakes the main thread. A socket loses neither.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)

    def __del__(self) -> None:
        self._receiver.close()
        self._sender.close()

    def set(self) -> None:
        """Wake the thread that waits, or the next one that will."""
        with suppress(BlockingIOError):  # so full that it wakes anyway
            self._sender.send(b"\0")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, and clear it; return False after `seconds`."""
        self._receiver.settimeout(seconds)
        try:
            self._receiver.recv(4096)
        except (TimeoutError, BlockingIOError):  # the latter for 0 seconds
            return False
        return True

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Let every signal with a handler wake the thread too; call it in the main thread."""
        before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)


@contextmanager
def stop_on_signals(*events: _Settable) -> Iterator[list[ExitStatus]]:
    """Let SIGINT and SIGTERM set events, so that a loop ends.

    A second signal raises KeyboardInterrupt.

    Yields:
        INTERRUPTED once a signal came; an empty list until then.
    """
    happened: list[ExitStatus] = []

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if happened:
            raise KeyboardInterrupt
        happened.append(ExitStatus.INTERRUPTED)
        for event in events:
            event.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield happened
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def on_sighup(call: Callable[[], object]) -> Iterator[None]:
    """Let SIGHUP call a function, in the main thread."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        call()

    before = signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
