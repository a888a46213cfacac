"""pgiostat collect as a process."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

PATIENCE = 60.0


class Collector:
    """A collector that runs."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pgiostat", "collect", *arguments],
                stderr=out,
                env={**os.environ, **environment},
            )

    def said(self) -> list[str]:
        """Return what was said, without the times."""
        lines = self.log.read_text("utf-8").splitlines()
        return [re.sub(r"^\S+Z ", "", line) for line in lines]

    def until(self, *words: str) -> None:
        """Wait until something is said."""
        waiting = Event()
        for _ in range(round(PATIENCE / 0.05)):
            if all(any(word in line for line in self.said()) for word in words):
                return
            waiting.wait(0.05)
        pytest.fail(f"never said {words}: {self.said()}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def collecting(log: Path, *arguments: str, **environment: str) -> Iterator[Collector]:
    """Yield a collector, and end it at last."""
    there = Collector(log, *arguments, **environment)
    try:
        yield there
    finally:
        if there.process.poll() is None:
            there.process.kill()
            there.process.wait()
