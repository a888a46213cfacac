"""The servers that are collected now, each in a thread of its own."""

import math
from collections.abc import Iterator, Mapping
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
from pgiostat.history.format.compacted import together
from pgiostat.history.write.background import BackgroundCompaction
from pgiostat.queries.describe import uncategorized
from pgiostat.signals import Wake
from pgiostat.statistics.names import Describe
from pgiostat.unexpected import PASSING, as_error
from pgiostat.units import format_counted, format_duration

__all__ = ["Fleet", "servers"]

PATIENCE_SECONDS = 30.0
"""How long a server may take to end: a connection in progress, and one more snapshot."""
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
    """Collects the servers of a plan into one history.

    Samples of several servers are compacted into shared files, named after the first label.

    Attributes:
        root: The directory of the history.
        logger: The collector's logger.
        wake: Set when the thread of a server has ended.
        ends: After how many seconds everything ends; None for never.
        describe: Describes statements by category, for metrics; None without metrics.
        failed: The labels of servers that were not collected to the end.
    """

    root: Path
    logger: Logger
    wake: Wake
    ends: float | None = None
    describe: Describe | None = None
    failed: set[str] = field(default_factory=set)
    _plan: Plan = field(default_factory=lambda: Plan(()))
    _wanted: dict[str, Target] = field(default_factory=dict)
    _collected: dict[str, _Collected] = field(default_factory=dict)
    _ended: int = 0
    _begun: int = 0
    _began: float = field(default_factory=monotonic)
    _compaction: BackgroundCompaction | None = None
    _incidents: IncidentLog = field(init=False)

    def __post_init__(self) -> None:
        self._incidents = IncidentLog(self._log(SERVICE_LABEL), monotonic)

    def changes(self, plan: Plan) -> Iterator[str]:
        """Yield the differences of a plan from the current one, a few words each."""
        after = {target.label: target for target in plan.targets}
        changes = _changes(self._wanted, after)
        changes["retried"] = [
            label for label, each in self._collected.items() if each.over and label in after
        ]
        for change, labels in changes.items():
            if labels:
                yield f"{change}: {', '.join(labels)}"

    def follow(self, plan: Plan) -> None:
        """Collect the servers of a plan: new ones begin, missing ones end, all others continue.

        A changed server, or one that has ended, begins a second time once its thread has ended:
        `reap` does that, and this waits for nothing.
        """
        self._plan = plan
        self._wanted = {target.label: target for target in plan.targets}
        for label, each in self._collected.items():
            each.recorder.keep = plan.keep
            again = each.over and self._left != 0
            if again or self._wanted.get(label) != each.target:
                each.leaves = True
                each.stop.set()
        self.reap()

    def reap(self) -> None:
        """Begin each server of the plan, once no thread uses its label any more."""
        for label, each in list(self._collected.items()):
            if each.over and each.leaves:
                self._ended += self._collected.pop(label).recorder.samples
                self.failed.discard(label)
                if label not in self._wanted:
                    self._log(label).info("no longer collected")
        with self._guard():
            for label, target in self._wanted.items():
                if label not in self._collected:
                    self._begin(target)
            self._poll_compaction()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Contain a failure of work for all servers: it ends none of them, and is tried again."""
        try:
            yield
        except Exception as raised:  # noqa: BLE001 - the servers continue
            error = as_error(raised)
            self._incidents.begin("fleet", error.message, error.detail, error.hint)
        else:
            self._incidents.end("fleet")

    def _poll_compaction(self) -> None:
        """Run the compaction of several servers into shared files."""
        if self._compaction is None:
            return
        self._compaction.keep = self._plan.keep
        self._compaction.poll()
        is_over = not self._compaction.is_running
        self._incidents.track("compaction", self._compaction.trouble, is_over=is_over)

    def _delay(self, interval: float) -> float:
        """Return the seconds before a server's first snapshot: snapshots spread over an interval.

        Each further server falls into the largest gap, however many follow.
        """
        share = 0.0 if len(self._plan.targets) == 1 else self._begun * GOLDEN % 1.0
        self._begun += 1
        return share * interval

    def _shared(self) -> BackgroundCompaction | None:
        """Return the compaction of several servers; None while there is a single one."""
        if self._compaction is None and len(self._plan.targets) > 1:
            first = min(self._wanted)
            self._compaction = BackgroundCompaction(
                self.root,
                together(first, self.root),
                monotonic,
                together=lambda: [*self._collected],
            )
        return self._compaction

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
        metrics.is_up = lambda: recorder.is_collecting and not self._collected[target.label].over
        # A second signal ends the process at once: committed intervals are safe.
        thread = Thread(target=self._collect, args=(recorder,), name=target.label, daemon=True)
        self._collected[target.label] = _Collected(target, recorder, metrics, stop, thread)
        try:
            thread.start()
        except BaseException:  # the system has no room for a thread
            del self._collected[target.label]
            raise

    def _log(self, label: str) -> ServerLog:
        return server_log(self.logger, label)

    def _collect(self, recorder: Recorder) -> None:
        label, collected = recorder.label, self._collected[recorder.label]
        try:
            self._supervise(recorder)
        except Exception as raised:  # noqa: BLE001 - the log has why a thread ends
            self.failed.add(label)
            self._log(label).error(error_line(as_error(raised)))
        else:
            if not recorder.is_collecting:
                self.failed.add(label)
            if not recorder.summary_covers_all:
                samples = format_counted(recorder.samples, "interval")
                self._log(label).info(f"{samples} committed{recorder.not_committed}")
        collected.over = True
        self.wake.set()

    @staticmethod
    def _supervise(recorder: Recorder) -> None:
        """Collect one server; after an unexpected end, start again.

        Raises:
            PgiostatError: The server cannot be collected from the start, or its connection string
                cannot be read.
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
        """Return the metrics of each server that is collected now."""
        return [each.metrics for each in list(self._collected.values()) if not each.leaves]

    def end(self) -> None:
        """End all servers, each after the current sample and one more snapshot.

        Wait PATIENCE_SECONDS for a server that does not answer: its next interval begins where its
        newest one ended.
        """
        for each in self._collected.values():
            each.stop.set()
        deadline = monotonic() + PATIENCE_SECONDS
        for label, each in self._collected.items():
            each.thread.join(max(0.0, deadline - monotonic()))
            if each.thread.is_alive() and each.recorder.is_compacting:
                each.thread.join(COMPACTION_SECONDS)
            if each.thread.is_alive():
                self._log(label).warning("does not respond; ending without it")
        if self._compaction is not None:
            self._compaction.finish()

    @property
    def is_over(self) -> bool:
        """Whether all servers have ended."""
        is_begun = self._left == 0 or self._wanted.keys() <= self._collected.keys()
        return is_begun and all(each.over for each in self._collected.values())

    def status(self) -> str:
        """Return the status in a line, most important first: a terminal cuts it."""
        recorders = [each.recorder for each in list(self._collected.values())]
        samples = self._ended + sum(recorder.samples for recorder in recorders)
        # Servers that have yet to begin count too.
        parts = [servers(max(len(recorders), len(self._wanted)))]
        troubled = [recorder.label for recorder in recorders if recorder.trouble]
        troubled += sorted(set(self.failed) - set(troubled))
        if troubled:
            more = ", …" if len(troubled) > 1 else ""
            parts.append(f"{len(troubled)} failing: {troubled[0]}{more}")
        parts.append(format_counted(samples, "interval"))
        ages = [recorder.age for recorder in recorders if recorder.age is not None]
        if ages:
            parts.append(f"newest {format_duration(min(ages))} ago")
        shared = self._compaction is not None and self._compaction.is_running
        if shared or any(recorder.is_compacting for recorder in recorders):
            parts.append("compacting")
        elif samples:
            parts.append(f"next compaction {datetime.now(UTC) + timedelta(hours=1):%H}:00Z")
        return " · ".join(parts)


def _changes(before: Mapping[str, Target], after: Mapping[str, Target]) -> dict[str, list[str]]:
    """Return the labels of the targets that changed, by what changed."""
    both = [label for label in after if label in before]
    return {
        "new": [label for label in after if label not in before],
        "removed": [label for label in before if label not in after],
        "connection changed": [each for each in both if after[each].dsn != before[each].dsn],
        "interval changed": [
            each for each in both if after[each].interval != before[each].interval
        ],
        "device changed": [each for each in both if after[each].device != before[each].device],
    }


def servers(count: int) -> str:
    """Return a number of servers in words."""
    return format_counted(count, "server")
