"""Signals that end a loop, or make it look again, without cutting what is in flight."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Protocol

from pgiostat.errors import ExitStatus

__all__ = ["Wake", "hanging_up", "stopping"]


class _Settable(Protocol):
    def set(self) -> None:
        """Say that it has happened."""


class Wake:
    """Wakes the main thread, also from a handler of signals that runs in it.

    An Event's lock is not one that its holder may take again: a handler that sets the Event which
    its thread is about to wait for would wait for itself.  A SimpleQueue may be put to anywhere.
    """

    def __init__(self) -> None:
        self._happened: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake who waits, or who will."""
        self._happened.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, and take that back; False if it took too long."""
        try:
            self._happened.get(timeout=seconds)
        except Empty:
            return False
        return True


@contextmanager
def stopping(*events: _Settable) -> Iterator[list[ExitStatus]]:
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
def hanging_up(heard: Callable[[], object]) -> Iterator[None]:
    """Let SIGHUP call something, in the main thread."""

    def told(_signal: int, _frame: FrameType | None) -> None:
        heard()

    before = signal.signal(signal.SIGHUP, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
