"""Sealing beside a collector: when, in a process of its own, and again if it failed."""

import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore

from pgiostat.clock import Backoff
from pgiostat.history.write.compaction_policy import MOST_SAMPLES, MOST_TOGETHER, is_due
from pgiostat.history.write.retention import Keep

__all__ = ["BackgroundCompaction"]

MOST_AT_ONCE = 2
"""Of one process: each sorts a batch in memory, and all hours end together."""
PATIENCE_SECONDS = 60.0
RETRY = Backoff(first=60.0, longest=3600.0)

_turns = BoundedSemaphore(MOST_AT_ONCE)


@dataclass(slots=True)
class BackgroundCompaction:
    """Seals what one collector has committed, or several together.

    name: whose files it makes.  together: the collectors that share them, if it is not one.  keep:
    for how long; may change.  trouble: why the last attempt failed, empty if it did not.
    """

    root: Path
    name: str
    clock: Callable[[], float]
    keep: Keep = field(default_factory=Keep)
    trouble: str = ""
    together: Callable[[], Sequence[str]] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _unsealed: deque[tuple[datetime, int]] = field(default_factory=deque)
    _taken: int = 0
    _process: subprocess.Popen[str] | None = None
    _after: float = 0.0
    _failures: int = 0

    @property
    def is_running(self) -> bool:
        """Whether samples are being sealed."""
        return self._process is not None

    def add(self, rows: int) -> None:
        """Take note of a sample that was committed now.

        When compaction is due is decided by our own clock: servers' clocks differ, and would make
        it due again and again.
        """
        self._unsealed.append((self.now(), rows))

    def poll(self) -> None:
        """Look after a process at work, or start one if it is time."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._ended(self._process)
        if self._is_due() and self.clock() >= self._after and _turns.acquire(blocking=False):
            try:
                self._start()
            except BaseException:
                _turns.release()
                raise

    def finish(self) -> None:
        """Wait some time for a process at work; what it leaves undone is done another time."""
        if self._process is not None:
            try:
                self._process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                _turns.release()
                self._process = None
            else:
                self._ended(self._process)

    def _is_due(self) -> bool:
        unsealed = [*self._unsealed]  # others may take note of more meanwhile
        if len(unsealed) < 2:  # noqa: PLR2004 - the newest stays
            return False
        rows = sum(count for _, count in unsealed)
        most = MOST_SAMPLES if self.together is None else MOST_TOGETHER
        return is_due(len(unsealed), rows, unsealed[0][0], unsealed[-1][0], most)

    def _start(self) -> None:
        spans = (self.keep.rows, self.keep.hours)
        command = [
            sys.executable, "-m", "pgiostat.history", str(self.root), self.name,
            *("-" if span is None else str(span.total_seconds()) for span in spans),
            *(() if self.together is None else self.together()),
        ]  # fmt: skip
        try:
            # A session of its own: Ctrl-C is for us to hear.
            self._process = subprocess.Popen(  # noqa: S603 - our own
                command, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
            )
        except OSError as error:
            self._failed(f"could not start sealing: {error.strerror}")
            _turns.release()
        else:
            self._taken = len(self._unsealed) - 1

    def _ended(self, process: subprocess.Popen[str]) -> None:
        said = process.communicate()[1].strip().splitlines()
        if process.returncode:
            status = f"status {process.returncode}"
            self._failed(said[-1] if said else f"could not seal: it ended with {status}")
        else:
            for _ in range(self._taken):
                self._unsealed.popleft()
            self.trouble, self._failures = "", 0
        self._process = None
        _turns.release()

    def _failed(self, why: str) -> None:
        self.trouble = why
        self._failures += 1
        self._after = self.clock() + RETRY.delay(self._failures)
