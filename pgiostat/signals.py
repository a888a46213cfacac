"""Signals that end a loop, or make it look again, without cutting what is in flight."""

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
        """Say that it has happened."""


class Wake:
    """Wakes the thread that waits, also from a handler of signals that runs in it.

    An Event's lock is not one that its holder may take again: a handler that sets the Event which
    its thread is about to wait for would wait for itself.  And Python runs a handler between two
    steps of the main thread: a signal that comes after the last of them, just before the thread
    goes to sleep, or that another thread is interrupted for, would be heard by nobody until
    something else wakes the main one.  A socket loses neither.
    """

    def __init__(self) -> None:
        self._heard, self._said = socket.socketpair()
        self._said.setblocking(False)

    def __del__(self) -> None:
        self._heard.close()
        self._said.close()

    def set(self) -> None:
        """Wake who waits, or who will."""
        with suppress(BlockingIOError):  # so full that it wakes anyway
            self._said.send(b"\0")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, and take that back; False if it took too long."""
        self._heard.settimeout(seconds)
        try:
            self._heard.recv(4096)
        except (TimeoutError, BlockingIOError):  # the latter for no time at all
            return False
        return True

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Let every signal that has a handler wake too; in the main thread."""
        before = signal.set_wakeup_fd(self._said.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)


@contextmanager
def stop_on_signals(*events: _Settable) -> Iterator[list[ExitStatus]]:
    """Let SIGINT and SIGTERM set events, so that a loop ends; yield what happened."""
    happened: list[ExitStatus] = []

    def heard(_signal: int, _frame: FrameType | None) -> None:
        if happened:
            raise KeyboardInterrupt
        happened.append(ExitStatus.INTERRUPTED)
        for event in events:
            event.set()

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield happened
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def on_sighup(heard: Callable[[], object]) -> Iterator[None]:
    """Let SIGHUP call something, in the main thread."""

    def told(_signal: int, _frame: FrameType | None) -> None:
        heard()

    before = signal.signal(signal.SIGHUP, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
