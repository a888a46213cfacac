"""Collecting: the intervals of one server into a history, until the end of a schedule."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from pgiostat.collector.committer import Committer
from pgiostat.collector.device_monitor import DeviceMonitor
from pgiostat.collector.incidents import IncidentLog
from pgiostat.collector.interval_log import IntervalLog
from pgiostat.collector.log import ServerLog
from pgiostat.collector.relations import relation_sampler
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.errors import PgiostatError
from pgiostat.history.format.durable_io import open_to_others
from pgiostat.history.write.background import BackgroundCompaction
from pgiostat.history.write.retention import Keep
from pgiostat.postgres.sampler import IntervalResult, Sampler
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Describe, Names, StatementKey
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.unexpected import as_error
from pgiostat.volume.device.discover import choose
from pgiostat.volume.device.interval import DeviceInterval
from pgiostat.volume.device.sampler import DeviceSampler

__all__ = ["HOPELESS", "Recorder", "RecorderObserver"]

HOPELESS = "dsn-invalid"
"""No attempt can succeed; a password or a role can be set right on the server."""
_COLLECTING = ("server", "history")
"""With an incident of these nothing is collected."""


class RecorderObserver(Protocol):
    """Counts the work of a recorder."""

    def tried(self, error: PgiostatError | None) -> None:
        """Count a snapshot."""

    def failed(self, error: PgiostatError) -> None:
        """Count an interval that could not be committed, or a failure beside it."""

    def committed(self, delta: Delta, names: Names, devices: Sequence[DeviceInterval]) -> None:
        """Count a committed interval."""


@dataclass(slots=True)
class Recorder:
    """Collects one server into a history.

    Attributes:
        target: The server, its label and what is measured beside it.
        root: The directory of the history.
        describe: Describes statements by their texts.
        schedule: When to begin, to try again and to end.
        log: The log of this server.
        shared: Compacts the samples of several servers, looked after by its owner. Without it the
            recorder compacts its own.
        observer: Counts the work.
    """

    target: Target
    root: Path
    describe: Describe
    schedule: Schedule
    log: ServerLog
    shared: BackgroundCompaction | None = None
    observer: RecorderObserver | None = None
    _committer: Committer = field(init=False)
    _compaction: BackgroundCompaction = field(init=False)
    _incidents: IncidentLog = field(init=False)
    _intervals: IntervalLog = field(init=False)
    _device: DeviceMonitor = field(init=False)
    _sampler: Sampler | None = None

    def __post_init__(self) -> None:
        clock = self.schedule.clock
        self._committer = Committer(self.root, self.label)
        self._compaction = self.shared or BackgroundCompaction(self.root, self.label, clock)
        self._incidents = IncidentLog(self.log, clock, self._count_failure)
        self._intervals = IntervalLog(self.log, clock)
        sampler = DeviceSampler(self.target.device, partial(choose, clock=clock), clock)
        self._device = DeviceMonitor(sampler, self._incidents, self.log)

    @property
    def label(self) -> str:
        """The name of the server in the history."""
        return self.target.label

    @property
    def samples(self) -> int:
        """How many intervals were committed."""
        return self._committer.samples

    @property
    def age(self) -> float | None:
        """Seconds since the newest interval was committed."""
        newest = self._intervals.newest
        return None if newest is None else self.schedule.clock() - newest

    @property
    def keep(self) -> Keep:
        """How long samples are kept after compaction."""
        return self._compaction.keep

    @keep.setter
    def keep(self, keep: Keep) -> None:
        self._compaction.keep = keep

    @property
    def is_compacting(self) -> bool:
        """Whether a compaction of this server alone is running."""
        return self.shared is None and self._compaction.is_running

    @property
    def trouble(self) -> str:
        """What is wrong now, empty if nothing is."""
        return self._incidents.now()

    @property
    def is_collecting(self) -> bool:
        """Whether nothing keeps intervals from being read and committed."""
        return not self._incidents.now(*_COLLECTING)

    @property
    def not_committed(self) -> str:
        """What the last line adds where the newest interval could not be written; else empty."""
        reason = self._incidents.now("history")
        return self._committer.not_committed(reason) if reason else ""

    @property
    def summary_covers_all(self) -> bool:
        """Whether the last summary in the log has every interval."""
        return self._intervals.covers_all

    def run(self) -> None:
        """Collect until the schedule is over.

        Every other failure, unexpected errors too, is logged and tried again.

        Raises:
            PgiostatError: The history cannot be written to from the start, or the connection
                string cannot be read.
        """
        self._committer.open()
        self.schedule.begin()
        try:
            with self._incidents.guard("rights"):
                if why := open_to_others(self.root):
                    self.log.warning(f'others can change the history in "{self.root}": {why}')
            self._collect()
        finally:
            for step in (
                partial(self._summarize, self.samples),
                self._device.sampler.end,
                self._committer.close,
                self._end_compaction,
            ):
                with self._incidents.guard("end"):
                    step()

    def failed(self, error: PgiostatError) -> None:
        """Log an error that ended an attempt; the next one follows."""
        with suppress(Exception):  # an observer that fails must not end the attempts
            self._count_attempt(error)
        self._incidents.begin_error("server", error)

    def _count_attempt(self, error: PgiostatError | None) -> None:
        if self.observer is not None:
            self.observer.tried(error)

    def _count_failure(self, error: PgiostatError) -> None:
        if self.observer is not None:
            self.observer.failed(error)

    def _collect(self) -> None:
        self.schedule.wait_to_begin()
        older = self._resume()
        relations = relation_sampler(self.target, self.schedule.clock, self._committer.definitions)
        while not self.schedule.is_over:
            self._sampler = Sampler(
                self.target.dsn,
                self.target.interval,
                self.describe,
                self.schedule.wait,
                label=self.label,
                older=older,
                on_interval=self._accept,
                final=True,
                relations=relations,
            )
            try:
                self._read(self._sampler)
            except Exception as raised:  # noqa: BLE001 - whatever it is, it is tried again
                error = as_error(raised)
                if error.slug == HOPELESS:
                    self._count_attempt(error)
                    raise error from None
                self.failed(error)
            else:
                return
            older = self._sampler.older
            self.schedule.pause()

    def _resume(self) -> Snapshot | None:
        """Return the snapshot that the first interval begins with, None if there is none."""
        older = None
        with self._incidents.guard("baseline"):
            older = self._committer.resume()
        if older is not None:
            self.log.info(f"continuing from the snapshot of {older.taken_at:%Y-%m-%d %H:%M:%S %Z}")
        elif (ends := self._committer.broken_off) is not None:
            self.log.warning(
                f"cannot read the snapshot of {ends:%Y-%m-%d %H:%M:%S %Z} to continue from:"
                " reads of statements since then are lost"
            )
        return older

    def _read(self, sampler: Sampler) -> None:
        for result in sampler.intervals():
            self._log_result(result)
            if self.shared is None:
                with self._incidents.guard("compaction"):
                    self._compaction.poll()
                    self._log_compaction()
            self.schedule.stop_if_over()

    def _log_result(self, result: IntervalResult) -> None:
        self._count_attempt(result.error)
        if result.error is not None:
            self._incidents.begin_error("server", result.error)
        elif result.delta is not None:
            self.schedule.succeeded()
            for affected, error in (
                ("texts", result.texts_error),
                ("tables and indexes", result.relations_error),
            ):
                if error is None:
                    self._incidents.end(affected)
                else:
                    self._incidents.begin_error(affected, error, f"{affected} are missing: ")
        if self._intervals.is_due:
            self._summarize()

    def _accept(self, delta: Delta) -> bool:
        """Commit an interval; return whether the next one begins where it ends."""
        if self._incidents.end("server"):
            self._intervals.explain()
        sampler = self._sampler
        if sampler is None:
            return True
        devices = self._device.measure(delta.newer.session, sampler.whereabouts)
        delta = self._committer.with_lost(delta)
        if delta.seconds is None and delta.lost is None:
            return True
        try:
            written = self._committer.append(delta, sampler.names, devices)
        except Exception as raised:  # noqa: BLE001 - the next interval covers this one
            error = as_error(raised)
            self._incidents.begin_error("history", error)
            self._count_failure(error)
            return False
        # It is committed: a failure from here on must not have it committed a second time.
        with self._incidents.guard("interval"):
            self._committed(delta, sampler.names, written, devices)
        return True

    def _committed(
        self,
        delta: Delta,
        names: Names,
        written: Collection[StatementKey],
        devices: Sequence[DeviceInterval],
    ) -> None:
        self._device.sampler.acknowledge(len(devices))
        if self._incidents.end("history"):
            self._intervals.explain()
        self._intervals.add(delta)
        self._compaction.add(len(delta.statements))
        if self.observer is not None:
            self.observer.committed(delta, names, devices)
        # The history has them: a fleet need not hold all texts of all its servers.
        names.drop_texts(written)

    def _summarize(self, total: int | None = None) -> None:
        self._incidents.log_repeated()
        self._intervals.log_summary(total, "" if total is None else self.not_committed)

    def _end_compaction(self) -> None:
        if self.shared is None:
            self._compaction.finish()
            self._log_compaction()

    def _log_compaction(self) -> None:
        compaction = self._compaction
        is_over = not compaction.is_running
        self._incidents.track("compaction", compaction.trouble, is_over=is_over)
