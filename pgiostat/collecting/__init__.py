"""Many servers, a thread each: one's trouble never delays another's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pyarrow as pa

from pgiostat.collecting.log import Level, Log, told
from pgiostat.collecting.targets import Plan, Target
from pgiostat.describe import unsorted
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.record import Recorder
from pgiostat.signals import hanging_up, stopping
from pgiostat.units import format_count, format_duration

__all__ = ["Fleet", "run"]

OURSELVES = "pgiostat"
"""Whose lines are those of no server."""


@dataclass(slots=True)
class _Collected:
    """A server that is collected, or was until its thread ended."""

    target: Target
    recorder: Recorder
    stop: Event
    thread: Thread


@dataclass(slots=True)
class Fleet:
    """The servers that are collected now."""

    root: Path
    plan: Plan
    log: Log
    ends: float | None = None
    wake: Event = field(default_factory=Event)
    failed: set[str] = field(default_factory=set)
    ended: int = 0
    _there: dict[str, _Collected] = field(default_factory=dict)

    def follow(self, plan: Plan) -> None:
        """Collect what a plan says: what is new begins, what is gone ends, the rest goes on."""
        wanted = {target.label: target for target in plan.targets}
        leaving = [
            label
            for label, there in self._there.items()
            if wanted.get(label) != there.target or not there.thread.is_alive()
        ]
        self.end(leaving)
        self.failed.difference_update(leaving)
        for label in leaving:
            if label not in wanted:
                self.log.say(label, "is not collected any more")
        self.plan = plan
        for label, target in wanted.items():
            if label not in self._there:
                self._begin(target)

    def _begin(self, target: Target) -> None:
        stop = Event()
        recorder = Recorder(
            target.dsn,
            target.label,
            self.root,
            unsorted,
            stop,
            partial(self._say, target.label),
            interval=target.interval,
            ends=self.ends,
            keep=self.plan.keep,
        )
        # A second signal ends us without waiting: what is committed is safe.
        thread = Thread(target=self._collect, args=(recorder,), name=target.label, daemon=True)
        self._there[target.label] = _Collected(target, recorder, stop, thread)
        self.failed.discard(target.label)
        thread.start()

    def _say(self, label: str, line: str, *, trouble: bool = False) -> None:
        self.log.say(label, line, Level.WARNING if trouble else Level.INFO)

    def _collect(self, recorder: Recorder) -> None:
        try:
            recorder.run()
        except PgiostatError as error:
            self.failed.add(recorder.label)
            self.log.say(recorder.label, told(error), Level.ERROR)
        else:
            if recorder.trouble:
                self.failed.add(recorder.label)
            self.log.say(recorder.label, f"{recorder.samples} samples committed")
        self.wake.set()

    def end(self, labels: list[str] | None = None) -> None:
        """End some servers, or all, each after the sample in flight and one more reading."""
        ending = list(self._there) if labels is None else labels
        for label in ending:
            self._there[label].stop.set()
        for label in ending:
            self._there[label].thread.join()
            self.ended += self._there.pop(label).recorder.samples

    @property
    def is_over(self) -> bool:
        """Whether nothing is collected any more."""
        return not any(there.thread.is_alive() for there in self._there.values())

    def status(self) -> str:
        """Return how it goes, in a line."""
        there = [each.recorder for each in self._there.values()]
        samples = self.ended + sum(recorder.samples for recorder in there)
        parts = [
            _servers(len(there)),
            f"{format_count(samples)} samples",
        ]
        ages = [recorder.age for recorder in there if recorder.age is not None]
        if ages:
            parts.append(f"newest {format_duration(min(ages))} ago")
        sealing = sum(recorder.is_sealing for recorder in there)
        if sealing:
            parts.append("sealing")
        troubled = [recorder.label for recorder in there if recorder.trouble]
        troubled += sorted(self.failed - set(troubled))
        if troubled:
            parts.append(f"{len(troubled)} in trouble: {', '.join(troubled[:3])}")
        return " · ".join(parts)


def _servers(count: int) -> str:
    return f"{count} server{'s' * (count != 1)}"


def run(
    plan: Plan,
    root: Path,
    log: Log,
    *,
    ends: float | None = None,
    reread: Callable[[], Plan] | None = None,
) -> ExitStatus:
    """Collect from all servers until the time is over or a signal comes.

    reread: what SIGHUP asks for.  Returns ERROR if it was not a signal that ended it, and a server
    could not be collected to the end; its trouble is said, and all that trying again can mend is
    tried again.
    """
    # Arrow's own pool keeps what it once had: with a thread for each server that adds up.
    pa.set_memory_pool(pa.system_memory_pool())
    fleet = Fleet(root, plan, log, ends)
    stop, hung_up = Event(), Event()

    def heard() -> None:
        hung_up.set()
        fleet.wake.set()

    with stopping(stop, fleet.wake), hanging_up(heard), log.status(fleet.status):
        log.say(OURSELVES, f"collecting {_servers(len(plan.targets))} into {root}")
        fleet.follow(plan)
        while not stop.is_set():
            fleet.wake.wait()
            fleet.wake.clear()
            if hung_up.is_set():
                hung_up.clear()
                _follow(fleet, reread, log)
            if fleet.is_over:
                break
        if stop.is_set():
            log.say(OURSELVES, "ending after one more reading of each server")
        fleet.end()
    return ExitStatus.ERROR if fleet.failed and not stop.is_set() else ExitStatus.DONE


def _follow(fleet: Fleet, reread: Callable[[], Plan] | None, log: Log) -> None:
    if reread is None:
        log.say(OURSELVES, "SIGHUP: there is no configuration file to read again")
        return
    try:
        plan = reread()
    except PgiostatError as error:
        log.say(OURSELVES, f"SIGHUP: nothing is changed: {told(error)}", Level.ERROR)
        return
    log.say(OURSELVES, f"SIGHUP: collecting {_servers(len(plan.targets))}")
    fleet.follow(plan)
