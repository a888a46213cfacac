"""Collecting: a server's intervals into a history, until told to stop."""

import contextlib
import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import BoundedSemaphore, Event
from typing import Protocol

from pgiostat.collect import Sampler, Tick
from pgiostat.collector import monotonic
from pgiostat.delta import Delta
from pgiostat.errors import PgiostatError
from pgiostat.history.due import is_due
from pgiostat.history.retain import Keep
from pgiostat.history.writer import Writer
from pgiostat.names import Describe
from pgiostat.units import format_duration, format_share

__all__ = ["Recorder", "Said"]

SHORTEST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
SEAL_PATIENCE_SECONDS = 60.0
SEAL_RETRY_SECONDS = 60.0

MOST_SEALING = 2
"""Seals of one process at once: each sorts a batch in memory, and all hours end together."""
SUMMARY_SECONDS = 3600.0

_sealing = BoundedSemaphore(MOST_SEALING)


class Said(Protocol):
    """Takes a line of the log."""

    def __call__(self, line: str, *, trouble: bool = False) -> None:
        """Say it; trouble: something is to be done, or was lost."""


@dataclass(slots=True)
class Recorder:
    """Collects one server into a history.

    interval: seconds.  ends: how many seconds to collect, None until stopped.  keep: for how long.
    samples: committed.  trouble: what is wrong now, empty if nothing is.
    """

    dsn: str
    label: str
    root: Path
    describe: Describe
    stop: Event
    say: Said
    interval: float = 10.0
    ends: float | None = None
    keep: Keep = field(default_factory=Keep)
    clock: Callable[[], float] = monotonic
    samples: int = 0
    trouble: str = ""
    _writer: Writer | None = None
    _sampler: Sampler | None = None
    _unsealed: list[tuple[datetime, int]] = field(default_factory=list)
    _seal: subprocess.Popen[bytes] | None = None
    _sealed: list[tuple[datetime, int]] = field(default_factory=list)
    _seal_after: float = 0.0
    _since: float = 0.0
    _began: float = 0.0
    _quality: str = ""
    _hour: "_Hour | None" = None
    _newest: float | None = None

    @property
    def age(self) -> float | None:
        """How many seconds ago the newest sample was committed."""
        return None if self._newest is None else self.clock() - self._newest

    @property
    def is_sealing(self) -> bool:
        """Whether samples are being sealed."""
        return self._seal is not None

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
        self._began = self.clock()
        try:
            while not self.stop.is_set() and self._left > 0:
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
                    self._begin_trouble(error)
                else:
                    return
                older = self._sampler.older
                # Not all of a fleet at once.
                jittered = pause * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret
                self.stop.wait(max(0.0, min(jittered, self._left)))
                pause = min(pause * 2, LONGEST_RETRY_SECONDS)
        finally:
            self._summarise()
            self._writer.close()
            if self._seal is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._seal.wait(SEAL_PATIENCE_SECONDS)
                _sealing.release()

    @property
    def _left(self) -> float:
        """How many seconds are left to collect."""
        return math.inf if self.ends is None else self.ends - (self.clock() - self._began)

    def _begin_trouble(self, error: PgiostatError) -> None:
        """Say once what is wrong; it is tried again until it is mended."""
        if error.message != self.trouble:
            self._since = self._since if self.trouble else self.clock()
            reason = f": {error.detail}" if error.detail else ""
            self.say(f"{error.message}{reason}; trying again", trouble=True)
        self.trouble = error.message

    def _end_trouble(self) -> None:
        if self.trouble:
            self.say(f"mended after {format_duration(self.clock() - self._since)}: {self.trouble}")
        self.trouble = ""

    def _ticks(self, sampler: Sampler) -> None:
        for tick in sampler.ticks():
            self._told(tick)
            self._seal_if_due()
            if self._left <= 0:
                self.stop.set()  # after one more reading

    def _told(self, tick: Tick) -> None:
        if tick.error is not None:
            self._begin_trouble(tick.error)
        elif tick.delta is not None and tick.delta.older is not None:
            quality = "" if tick.delta.is_complete else tick.delta.quality.value
            if quality and quality != self._quality:
                self.say(f"interval of {tick.delta.until:%H:%M:%S}: {quality}", trouble=True)
            self._quality = quality
        if self._hour is not None and self.clock() - self._hour.began >= SUMMARY_SECONDS:
            self._summarise()

    def _summarise(self) -> None:
        """Say what was collected since it was said last."""
        hour, self._hour = self._hour, None
        if hour is not None:
            covered = hour.statement_blocks / hour.server_blocks if hour.server_blocks else None
            gaps = f", {hour.incomplete} not whole" if hour.incomplete else ""
            self.say(
                f"{hour.samples} samples in {format_duration(self.clock() - hour.began)}"
                f", {hour.rows} rows, coverage {format_share(covered)}{gaps}"
            )

    def _accept(self, delta: Delta) -> bool:
        """Commit an interval; tell whether the next one begins where it ends."""
        if delta.seconds is None or self._writer is None or self._sampler is None:
            if delta.seconds is None:
                self._end_trouble()
            return True
        try:
            self._writer.append(delta, self._sampler.names)
        except PgiostatError as error:
            self._begin_trouble(error)
            return False
        self._end_trouble()
        self.samples += 1
        self._newest = self.clock()
        self._hour = self._hour or _Hour(self.clock() - delta.seconds)
        self._hour.add(delta)
        self._unsealed.append(
            (delta.older.taken_at if delta.older else delta.until, len(delta.statements))
        )
        return True

    def _seal_if_due(self) -> None:
        """Start sealing in a process of its own: sorting is not for the one that samples."""
        if self._seal is not None:
            if self._seal.poll() is None:
                return
            if self._seal.returncode:
                self.say(
                    f"sealing failed with status {self._seal.returncode}; trying again",
                    trouble=True,
                )
                self._unsealed = self._sealed + self._unsealed
                self._seal_after = self.clock() + SEAL_RETRY_SECONDS
            self._seal = None
            _sealing.release()
        if len(self._unsealed) < 2 or self._writer is None:  # noqa: PLR2004 - the newest stays
            return
        rows = sum(count for _, count in self._unsealed)
        oldest, newest = self._unsealed[0][0], self._unsealed[-1][0]
        due = is_due(len(self._unsealed), rows, oldest, newest)
        if due and self.clock() >= self._seal_after and _sealing.acquire(blocking=False):
            spans = (self.keep.rows, self.keep.hours)
            command = [
                sys.executable, "-m", "pgiostat.history", str(self.root), self.label,
                *("-" if span is None else str(span.total_seconds()) for span in spans),
            ]  # fmt: skip
            # A session of its own: Ctrl-C is for us to hear.
            self._seal = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own
            self._sealed, self._unsealed = self._unsealed[:-1], self._unsealed[-1:]


@dataclass(slots=True)
class _Hour:
    """What was collected for some time, to be said."""

    began: float
    samples: int = 0
    rows: int = 0
    incomplete: int = 0
    statement_blocks: int = 0
    server_blocks: int = 0

    def add(self, delta: Delta) -> None:
        self.samples += 1
        self.rows += len(delta.statements)
        self.incomplete += not delta.is_complete
        if (blocks := delta.server_blocks) is not None:
            self.statement_blocks += delta.statement_blocks
            self.server_blocks += blocks
