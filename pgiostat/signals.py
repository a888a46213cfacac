"""Signals that end a loop, or make it look again, without cutting what is in flight."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from pgiostat.errors import ExitStatus

__all__ = ["hanging_up", "stopping"]


@contextmanager
def stopping(*events: Event) -> Iterator[list[ExitStatus]]:
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
