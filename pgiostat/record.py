"""Collecting: a server's intervals into a history, until told to stop."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event

from pgiostat.collect import Sampler, Tick
from pgiostat.delta import Delta
from pgiostat.errors import PgiostatError
from pgiostat.history.seal import is_due
from pgiostat.history.writer import Writer
from pgiostat.names import Describe

__all__ = ["Recorder", "Said"]

SHORTEST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
SEAL_PATIENCE_SECONDS = 60.0

Said = Callable[[str], None]
"""Takes a line of the log."""


@dataclass(slots=True)
class Recorder:
    """Collects one server into a history.

    interval: seconds.  ends: how many seconds to collect, None until stopped.
    """

    dsn: str
    label: str
    root: Path
    describe: Describe
    stop: Event
    say: Said
    interval: float = 10.0
    ends: float | None = None
    samples: int = 0
    _writer: Writer | None = None
    _sampler: Sampler | None = None
    _unsealed: list[tuple[datetime, int]] = field(default_factory=list)
    _sealing: subprocess.Popen[bytes] | None = None
    _failed: bool = False

    def run(self) -> None:
        """Collect until the time is over or the event is set.

        Raises PgiostatError for a history that cannot be written to from the start; trouble with
        the server is said and tried again.
        """
        self._writer = Writer.open(self.root, self.label)
        older = self._writer.resume()
        if older is not None:
            self.say(f"going on from the sample of {older.taken_at:%Y-%m-%d %H:%M:%S %Z}")
        pause = SHORTEST_RETRY_SECONDS
        try:
            while not self.stop.is_set():
                self._sampler = Sampler(
                    self.dsn,
                    self.interval,
                    self.describe,
                    self.stop.wait,
                    label=self.label,
                    older=older,
                    accept=self._accept,
                    final=True,
                )
                try:
                    self._ticks(self._sampler)
                except PgiostatError as error:
                    self.say(f"{error.message}; trying again in {pause:.0f} s")
                else:
                    return
                older = self._sampler.older
                self.stop.wait(pause)
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        finally:
            self._writer.close()
            if self._sealing is not None:
                self._sealing.wait(SEAL_PATIENCE_SECONDS)

    def _ticks(self, sampler: Sampler) -> None:
        began = sampler.clock()
        for tick in sampler.ticks():
            self._told(tick)
            self._seal_if_due()
            if self.ends is not None and sampler.clock() - began >= self.ends:
                self.stop.set()  # after one more reading

    def _told(self, tick: Tick) -> None:
        if tick.error is not None:
            wait = "" if tick.retry_seconds is None else f" in {tick.retry_seconds:.0f} s"
            self.say(f"{tick.error.message}; trying again{wait}")
        elif tick.delta is not None and not tick.delta.is_complete and tick.delta.older:
            self.say(f"interval of {tick.delta.until:%H:%M:%S}: {tick.delta.quality.value}")

    def _accept(self, delta: Delta) -> bool:
        """Commit an interval; tell whether the next one begins where it ends."""
        if delta.seconds is None or self._writer is None or self._sampler is None:
            return True
        try:
            self._writer.append(delta, self._sampler.names)
        except PgiostatError as error:
            if not self._failed:
                self.say(f"{error.message}; the next sample covers this interval too")
            self._failed = True
            return False
        if self._failed:
            self.say("the history can be written to again")
        self._failed = False
        self.samples += 1
        self._unsealed.append(
            (delta.older.taken_at if delta.older else delta.until, len(delta.statements))
        )
        return True

    def _seal_if_due(self) -> None:
        """Start sealing in a process of its own: sorting is not for the one that samples."""
        if self._sealing is not None:
            if self._sealing.poll() is None:
                return
            if self._sealing.returncode:
                self.say(f"sealing failed with status {self._sealing.returncode}; trying again")
            self._sealing = None
        if len(self._unsealed) < 2 or self._writer is None:  # noqa: PLR2004 - the newest stays
            return
        rows = sum(count for _, count in self._unsealed)
        oldest, newest = self._unsealed[0][0], self._unsealed[-1][0]
        if is_due(len(self._unsealed), rows, oldest, newest):
            command = [sys.executable, "-m", "pgiostat.history", str(self.root), self.label]
            self._sealing = subprocess.Popen(command)  # noqa: S603 - our own program
            self._unsealed = self._unsealed[-1:]
