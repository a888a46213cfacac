"""Compaction beside a collector: when it starts, in which process, and what follows a failure."""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore

from pgiostat.clock import Backoff
from pgiostat.history.write.compaction_policy import MAX_SAMPLES, MAX_SHARED_SAMPLES, is_due
from pgiostat.history.write.retention import Keep

__all__ = ["BackgroundCompaction"]

MAX_AT_ONCE = 2
"""Of one process: each sorts a batch in memory, and all hours end together."""
PATIENCE_SECONDS = 60.0
RETRY = Backoff(first=60.0, longest=3600.0)

_slots = BoundedSemaphore(MAX_AT_ONCE)


@dataclass(slots=True)
class BackgroundCompaction:
    """Compacts the samples of one collector, or of several into shared files.

    Attributes:
        root: The directory of the history.
        name: Stands in the names of the files.
        clock: Monotonic seconds.
        keep: How long samples are kept; may change.
        trouble: Why the last attempt failed; empty if it did not.
        together: Returns the collectors that share files; None for one collector alone.
        now: The time by our own clock.
    """

    root: Path
    name: str
    clock: Callable[[], float]
    keep: Keep = field(default_factory=Keep)
    trouble: str = ""
    together: Callable[[], Sequence[str]] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _waiting: deque[tuple[datetime, int]] = field(default_factory=deque)
    _taken: int = 0
    _process: subprocess.Popen[str] | None = None
    _after: float = 0.0
    _failures: int = 0

    @property
    def is_running(self) -> bool:
        """Whether a process is at work."""
        return self._process is not None

    def add(self, rows: int) -> None:
        """Count a sample that is committed now.

        Our own clock decides when compaction is due: servers' clocks differ, and would make it due
        again and again.

        Args:
            rows: How many statements the sample has.
        """
        self._waiting.append((self.now(), rows))

    def poll(self) -> None:
        """Start a process if compaction is due; take in the result of one that has ended."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._ended(self._process)
        if self._is_due() and self.clock() >= self._after and _slots.acquire(blocking=False):
            try:
                self._start()
            except BaseException:
                _slots.release()
                raise

    def finish(self) -> None:
        """Wait for a process at work, up to PATIENCE_SECONDS; the next compaction does the rest."""
        if self._process is not None:
            try:
                self._process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                _slots.release()
                self._process = None
            else:
                self._ended(self._process)

    def _is_due(self) -> bool:
        waiting = [*self._waiting]  # other threads may add to it meanwhile
        if len(waiting) < 2:  # noqa: PLR2004 - the newest stays
            return False
        rows = sum(count for _, count in waiting)
        limit = MAX_SAMPLES if self.together is None else MAX_SHARED_SAMPLES
        return is_due(len(waiting), rows, waiting[0][0], waiting[-1][0], limit)

    def _start(self) -> None:
        spans = (self.keep.rows, self.keep.hours)
        seconds = ("-" if span is None else str(span.total_seconds()) for span in spans)
        others = () if self.together is None else self.together()
        arguments = (str(self.root), self.name, *seconds, *others)
        command = [sys.executable, "-m", "pgiostat.history", *arguments]
        try:
            # A session of its own: Ctrl-C is for us to hear.
            self._process = subprocess.Popen(  # noqa: S603 - our own
                command, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
            )
        except OSError as error:
            self._failed(f"could not start compaction: {error.strerror}")
            _slots.release()
        else:
            self._taken = len(self._waiting) - 1

    def _ended(self, process: subprocess.Popen[str]) -> None:
        lines = process.communicate()[1].strip().splitlines()
        if process.returncode:
            status = f"status {process.returncode}"
            self._failed(lines[-1] if lines else f"compaction failed: it ended with {status}")
        else:
            for _ in range(self._taken):
                self._waiting.popleft()
            self.trouble, self._failures = "", 0
        self._process = None
        _slots.release()

    def _failed(self, reason: str) -> None:
        self.trouble = reason
        self._failures += 1
        self._after = self.clock() + RETRY.delay(self._failures)
