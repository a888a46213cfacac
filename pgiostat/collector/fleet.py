"""The servers that are collected now, each in a thread of its own."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from logging import Logger
from pathlib import Path
from threading import Event, Thread

from pgiostat.clock import monotonic
from pgiostat.collector.incidents import IncidentLog
from pgiostat.collector.log import SERVICE_LABEL, ServerLog, error_line, server_log
from pgiostat.collector.metrics import Metrics
from pgiostat.collector.recorder import HOPELESS, Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Plan, Target
from pgiostat.history.format.sealed import together
from pgiostat.history.write.background import BackgroundCompaction
from pgiostat.queries.describe import uncategorized
from pgiostat.signals import Wake
from pgiostat.statistics.names import Describe
from pgiostat.unexpected import PASSING, as_error
from pgiostat.units import format_count, format_duration

__all__ = ["Fleet", "servers"]

PATIENCE_SECONDS = 30.0
"""How long a server may take to end: a connection that is being made, and one more reading."""
COMPACTION_SECONDS = 60.0
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(slots=True)
class _Collected:
    """A server that is collected, or was until its thread ended."""

    target: Target
    recorder: Recorder
    metrics: Metrics
    stop: Event
    thread: Thread
    over: bool = False
    leaves: bool = False


@dataclass(slots=True)
class Fleet:
    """Collects what a plan says.

    wake: set when a server's collecting has ended.  ends: after how many seconds all of it is over.
    failed: labels of servers that were not collected to the end.  Samples of several servers are
    sealed together, in files named after the first that there was.  describe: what tells
    categories, for metrics; a history has none.
    """

    root: Path
    logger: Logger
    wake: Wake
    ends: float | None = None
    describe: Describe | None = None
    failed: set[str] = field(default_factory=set)
    _plan: Plan = field(default_factory=lambda: Plan(()))
    _wanted: dict[str, Target] = field(default_factory=dict)
    _there: dict[str, _Collected] = field(default_factory=dict)
    _ended: int = 0
    _begun: int = 0
    _began: float = field(default_factory=monotonic)
    _sealing: BackgroundCompaction | None = None
    _trouble: IncidentLog = field(init=False)

    def __post_init__(self) -> None:
        self._trouble = IncidentLog(self._log(SERVICE_LABEL), monotonic)

    def changes(self, plan: Plan) -> Iterator[str]:
        """Say how a plan differs from what is done, in a few words each."""
        before, after = self._wanted, {target.label: target for target in plan.targets}
        kinds = {
            "new": [label for label in after if label not in before],
            "gone": [label for label in before if label not in after],
            "another connection": [
                label
                for label in after
                if label in before and after[label].dsn != before[label].dsn
            ],
            "another interval": [
                label
                for label in after
                if label in before and after[label].interval != before[label].interval
            ],
            "another device": [
                label
                for label in after
                if label in before and after[label].device != before[label].device
            ],
            "tried again": [
                label for label, there in self._there.items() if there.over and label in after
            ],
        }
        for kind, labels in kinds.items():
            if labels:
                yield f"{kind}: {', '.join(labels)}"

    def follow(self, plan: Plan) -> None:
        """Collect what a plan says: what is new begins, what is gone ends, the rest goes on.

        What is changed, or has ended, begins anew.  Nothing is waited for: see tend.
        """
        self._plan = plan
        self._wanted = {target.label: target for target in plan.targets}
        for label, there in self._there.items():
            there.recorder.keep = plan.keep
            again = there.over and self._left != 0
            if again or self._wanted.get(label) != there.target:
                there.leaves = True
                there.stop.set()
        self.reap()

    def reap(self) -> None:
        """Begin what is wanted, once what was collected before under its label has ended."""
        for label, there in list(self._there.items()):
            if there.over and there.leaves:
                self._ended += self._there.pop(label).recorder.samples
                self.failed.discard(label)
                if label not in self._wanted:
                    self._log(label).info("is not collected any more")
        with self._beside():
            for label, target in self._wanted.items():
                if label not in self._there:
                    self._begin(target)
            self._seal()

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Let a failure of what is done for all servers end none of them: it is tried again."""
        try:
            yield
        except Exception as raised:  # noqa: BLE001 - the servers go on
            error = as_error(raised)
            self._trouble.begin("fleet", error.message, error.detail, error.hint)
        else:
            self._trouble.end("fleet")

    def _seal(self) -> None:
        """Look after what several servers seal together."""
        if self._sealing is None:
            return
        self._sealing.keep = self._plan.keep
        self._sealing.poll()
        is_over = not self._sealing.is_running
        self._trouble.track("sealing", self._sealing.trouble, is_over=is_over)

    def _delay(self, interval: float) -> float:
        """Return how long a server waits, so that readings are spread over an interval.

        Each next one falls into the largest gap that is left, however many come.
        """
        turn = 0.0 if len(self._plan.targets) == 1 else self._begun * GOLDEN % 1.0
        self._begun += 1
        return turn * interval

    def _shared(self) -> BackgroundCompaction | None:
        """Return what seals for several, None if there is one server alone."""
        if self._sealing is None and len(self._plan.targets) > 1:
            first = min(self._wanted)
            self._sealing = BackgroundCompaction(
                self.root, together(first, self.root), monotonic, together=lambda: [*self._there]
            )
        return self._sealing

    @property
    def _left(self) -> float | None:
        return None if self.ends is None else max(0.0, self._began + self.ends - monotonic())

    def _begin(self, target: Target) -> None:
        stop = Event()
        metrics = Metrics(target.label, target.interval)
        recorder = Recorder(
            target,
            self.root,
            self.describe or uncategorized,
            Schedule(stop, self._left, self._delay(target.interval)),
            self._log(target.label),
            shared=self._shared(),
            observer=metrics if self.describe else None,
        )
        recorder.keep = self._plan.keep
        metrics.is_up = lambda: recorder.is_collecting and not self._there[target.label].over
        # A second signal ends us without waiting: what is committed is safe.
        thread = Thread(target=self._collect, args=(recorder,), name=target.label, daemon=True)
        self._there[target.label] = _Collected(target, recorder, metrics, stop, thread)
        try:
            thread.start()
        except BaseException:  # the system has no room for a thread
            del self._there[target.label]
            raise

    def _log(self, label: str) -> ServerLog:
        return server_log(self.logger, label)

    def _collect(self, recorder: Recorder) -> None:
        label, there = recorder.label, self._there[recorder.label]
        try:
            self._supervise(recorder)
        except Exception as raised:  # noqa: BLE001 - a thread that ends does not end unheard
            self.failed.add(label)
            self._log(label).error(error_line(as_error(raised)))
        else:
            if not recorder.is_collecting:
                self.failed.add(label)
            if not recorder.summary_covers_all:
                samples = _counted(recorder.samples, "sample")
                self._log(label).info(f"{samples} committed{recorder.not_committed}")
        there.over = True
        self.wake.set()

    @staticmethod
    def _supervise(recorder: Recorder) -> None:
        """Collect one server, again after whatever ends that unexpectedly.

        Raises PgiostatError for what cannot be collected from the start, and for a connection
        string that cannot be read.
        """
        is_first = True
        while True:
            try:
                recorder.run()
            except Exception as raised:  # noqa: BLE001 - one fault must not end a server for good
                error = as_error(raised)
                if error.slug == HOPELESS or (is_first and error.slug not in PASSING):
                    raise error from None
                recorder.failed(error)
            else:
                return
            is_first = False
            recorder.schedule.pause()
            if recorder.schedule.is_over:
                return

    def metrics(self) -> list[Metrics]:
        """Return what is told of each server that is collected now."""
        return [there.metrics for there in list(self._there.values()) if not there.leaves]

    def end(self) -> None:
        """End all, each after the sample in flight and one more reading.

        Who does not answer is not waited for: its next interval begins where its last one ended.
        """
        for there in self._there.values():
            there.stop.set()
        deadline = monotonic() + PATIENCE_SECONDS
        for label, there in self._there.items():
            there.thread.join(max(0.0, deadline - monotonic()))
            if there.thread.is_alive() and there.recorder.is_compacting:
                there.thread.join(COMPACTION_SECONDS)
            if there.thread.is_alive():
                self._log(label).warning("does not answer; not waiting for it")
        if self._sealing is not None:
            self._sealing.finish()

    @property
    def is_over(self) -> bool:
        """Whether nothing is collected any more."""
        is_begun = self._left == 0 or self._wanted.keys() <= self._there.keys()
        return is_begun and all(there.over for there in self._there.values())

    def status(self) -> str:
        """Return how it goes, in a line; what matters most comes first, for lines are cut."""
        there = [each.recorder for each in list(self._there.values())]
        samples = self._ended + sum(recorder.samples for recorder in there)
        # Those that have yet to begin are to be collected, too.
        parts = [servers(max(len(there), len(self._wanted)))]
        troubled = [recorder.label for recorder in there if recorder.trouble]
        troubled += sorted(set(self.failed) - set(troubled))
        if troubled:
            more = ", …" if len(troubled) > 1 else ""
            parts.append(f"{len(troubled)} in trouble: {troubled[0]}{more}")
        parts.append(_counted(samples, "sample"))
        ages = [recorder.age for recorder in there if recorder.age is not None]
        if ages:
            parts.append(f"newest {format_duration(min(ages))} ago")
        shared = self._sealing is not None and self._sealing.is_running
        if shared or any(recorder.is_compacting for recorder in there):
            parts.append("sealing")
        elif samples:
            parts.append(f"next seal {datetime.now(UTC) + timedelta(hours=1):%H}:00Z")
        return " · ".join(parts)


def servers(count: int) -> str:
    """Return so many servers, in words."""
    return _counted(count, "server")


def _counted(count: int, what: str) -> str:
    return f"{format_count(count)} {what}{'s' * (count != 1)}"
