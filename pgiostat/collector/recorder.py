"""Collecting: a server's intervals into a history, until told to stop."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Protocol

from pgiostat.analysis.ledger import reads_of
from pgiostat.clock import Backoff, monotonic
from pgiostat.collector.device_sampler import DeviceSampler
from pgiostat.collector.incidents import IncidentLog, LogLine
from pgiostat.errors import PgiostatError
from pgiostat.history.format.durable_io import open_to_others
from pgiostat.history.write.background import BackgroundCompaction
from pgiostat.history.write.retention import Keep
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.dsn import label_of
from pgiostat.postgres.sampler import Sampler, Tick
from pgiostat.statistics.capabilities import grant, hidden_from
from pgiostat.statistics.delta import Delta, Lost, Quality
from pgiostat.statistics.names import Describe, Names, StatementKey
from pgiostat.statistics.snapshot import RESUMED, Snapshot
from pgiostat.unexpected import UNEXPECTED, as_error
from pgiostat.units import format_count, format_coverage, format_duration
from pgiostat.volume.device.discover import AUTOMATIC, ELSEWHERE, DeviceOption, choose
from pgiostat.volume.device.interval import DeviceInterval

__all__ = ["HOPELESS", "Recorder", "RecorderObserver", "label_of"]

RETRY = Backoff(first=1.0, longest=60.0, jitter=0.5)
SUMMARY_SECONDS = 3600.0
HOPELESS = "dsn-invalid"
"""Nobody else can mend it; a password or a role can be set right on the server."""
EVICTING_HINT = "what they did since is lost: raise pg_stat_statements.max, or read more often"
_LOGGED_ONCE = frozenset({UNEXPECTED, "reply-unreadable"})
"""Errors that are logged once, and then counted: each has a reference."""
_COLLECTING = ("server", "history")
"""Kinds of trouble with which nothing is collected."""


class RecorderObserver(Protocol):
    """Is told what a recorder does."""

    def tried(self, error: PgiostatError | None) -> None:
        """Take note of a reading."""

    def failed(self, error: PgiostatError) -> None:
        """Take note of an interval that could not be committed, or of a failure beside it."""

    def committed(self, delta: Delta, names: Names, devices: Sequence[DeviceInterval]) -> None:
        """Take note of an interval that was."""


@dataclass(slots=True)
class Recorder:
    """Collects one server into a history.

    interval: seconds.  asked: which device is measured beside it.  ends: how many seconds to
    collect, None until stopped.  keep: for how long; may change.  samples: committed.  is_told: the
    last line that was said tells of all of them.  shared: seals for several, and is another's to
    turn and to end; without it samples are sealed here.  delay: seconds before the first reading.
    watcher: is told of all that is done.
    """

    dsn: str = field(repr=False)
    label: str
    root: Path
    describe: Describe
    stop: Event
    say: LogLine
    interval: float = 10.0
    ends: float | None = None
    keep: Keep = field(default_factory=Keep)
    device_option: DeviceOption = AUTOMATIC
    clock: Callable[[], float] = monotonic
    samples: int = 0
    summary_logged: bool = False
    shared: BackgroundCompaction | None = None
    delay: float = 0.0
    watcher: RecorderObserver | None = None
    _writer: Writer | None = None
    _sampler: Sampler | None = None
    _incidents: IncidentLog = field(init=False)
    _compaction: BackgroundCompaction = field(init=False)
    _measuring: DeviceSampler = field(init=False)
    _session: int = RESUMED
    _device_message: str = ""
    _failures: int = 0
    _began: float | None = None
    _logged: set[str] = field(default_factory=set)
    _again: Counter[str] = field(default_factory=Counter)
    _qualities: set[Quality] = field(default_factory=set)
    _explained: bool = True
    _hour: "_Hour | None" = None
    _newest: float | None = None
    _hidden_logged: bool = False
    _broken_off: datetime | None = None

    def __post_init__(self) -> None:
        self._incidents = IncidentLog(self.say, self.clock)
        self._compaction = self.shared or BackgroundCompaction(self.root, self.label, self.clock)
        who = partial(choose, clock=self.clock)
        self._measuring = DeviceSampler(self.device_option, who, self.clock)

    @property
    def age(self) -> float | None:
        """How many seconds ago the newest sample was committed."""
        return None if self._newest is None else self.clock() - self._newest

    @property
    def is_compacting(self) -> bool:
        """Whether samples are being sealed."""
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
        """What the last line adds where the last interval could not be written; else empty."""
        why = self._incidents.now("history")
        if not why:
            return ""
        ends = None if self._writer is None else self._writer.ends
        since = "" if ends is None else f" since {ends:%Y-%m-%d %H:%M:%S %Z}"
        goes_on = "" if ends is None else "; the next run goes on from there"
        return f"; not committed: what statements did{since} ({why}){goes_on}"

    def run(self) -> None:
        """Collect until the time is over or the event is set.

        Raises PgiostatError for a history that cannot be written to from the start, and for a
        connection string that cannot be read. All else, unexpected errors too, is logged and tried
        again.
        """
        self._writer = Writer.open(self.root, self.label)
        if self._began is None:
            self._began = self.clock()
        try:
            with self._beside("rights"):
                if why := open_to_others(self.root):
                    self.say(f'others can change the history in "{self.root}": {why}', trouble=True)
            self._collect(self._writer)
        finally:
            for step in (partial(self._summarise, ended=True), self._measuring.end,
                         self._writer.close, self._end_compaction):  # fmt: skip
                with self._beside("end"):
                    step()

    def _end_compaction(self) -> None:
        if self.shared is None:
            self._compaction.finish()
            self._log_compaction()

    def failed(self, error: PgiostatError, kind: str = "server") -> None:
        """Take note of an error that ended an attempt to collect, which is made again."""
        with suppress(Exception):  # whoever cannot be told must not end the attempts
            if self.watcher is not None:
                self.watcher.tried(error)
        self._log_incident(kind, error)

    @contextmanager
    def _beside(self, what: str) -> Iterator[None]:
        """Let a failure of something beside the intervals end nothing but itself."""
        kind = f"beside: {what}"
        try:
            yield
        except Exception as raised:  # noqa: BLE001 - intervals go on without it
            error = as_error(raised)
            if self.watcher is not None:
                self.watcher.failed(error)
            self._log_incident(kind, error)
        else:
            self._incidents.end(kind)

    def _resumed(self, writer: Writer) -> Snapshot | None:
        """Return the reading to go on from, None if there is none."""
        older = None
        with self._beside("baseline"):
            older = writer.resume()
        if older is not None:
            self.say(f"going on from the sample of {older.taken_at:%Y-%m-%d %H:%M:%S %Z}")
        elif writer.ends is not None:
            self._broken_off = writer.ends
            self.say(
                f"the reading of {writer.ends:%Y-%m-%d %H:%M:%S %Z} to go on from cannot be read:"
                " what statements read since then is lost",
                trouble=True,
            )
        return older

    @property
    def is_over(self) -> bool:
        """Whether no further attempt is to be made."""
        return self.stop.is_set() or self._left <= 0

    def pause(self) -> None:
        """Wait until the next attempt, longer after each failure."""
        self._failures += 1
        self.stop.wait(max(0.0, min(RETRY.delay(self._failures), self._left)))

    def _collect(self, writer: Writer) -> None:
        self.stop.wait(min(self.delay, self._left))
        older = self._resumed(writer)
        while not self.is_over:
            self._sampler = Sampler(
                self.dsn,
                self.interval,
                self.describe,
                self.stop.wait,
                label=self.label,
                older=older,
                on_interval=self._accept,
                final=True,
            )
            try:
                self._ticks(self._sampler)
            except Exception as raised:  # noqa: BLE001 - whatever it is, it is tried again
                error = as_error(raised)
                if error.slug == HOPELESS:
                    if self.watcher is not None:
                        self.watcher.tried(error)
                    raise error from None
                self.failed(error)
            else:
                return
            older = self._sampler.older
            self.pause()

    @property
    def _left(self) -> float:
        """How many seconds are left to collect."""
        if self.ends is None:
            return math.inf
        return self.ends if self._began is None else self.ends - (self.clock() - self._began)

    def _ticks(self, sampler: Sampler) -> None:
        for tick in sampler.ticks():
            self._log_tick(tick)
            if self.shared is None:
                with self._beside("sealing"):
                    self._compaction.keep = self.keep
                    self._compaction.poll()
                    self._log_compaction()
            if self._left <= 0:
                self.stop.set()  # after one more reading

    def _log_tick(self, tick: Tick) -> None:
        if self.watcher is not None:
            self.watcher.tried(tick.error)
        if tick.error is not None:
            self._log_incident("server", tick.error)
        elif tick.delta is not None:
            self._failures = 0
            if tick.texts_error is not None:
                self._log_incident("texts", tick.texts_error, "texts are missing: ")
            else:
                self._incidents.end("texts")
        if self._hour is not None and self.clock() - self._hour.began >= SUMMARY_SECONDS:
            self._summarise()

    def _log_incident(self, kind: str, error: PgiostatError, what: str = "") -> None:
        message, is_new = f"{what}{error.message}", True
        if error.slug in _LOGGED_ONCE:
            # Met at each reading it would fill the log, also where readings between go well.
            named = f"{message}: {(error.detail or '').rstrip('.')}"
            is_new = named not in self._logged
            self._logged.add(named)
            self._again[named] += not is_new
        self._incidents.begin(kind, message, error.detail, error.hint, logged=is_new)

    def _judge(self, delta: Delta) -> None:
        """Say what is to be known of an interval, once an hour: the hour's line counts them."""
        quality = delta.quality
        known = self._explained and quality is Quality.GAP
        self._explained = False
        if quality is not Quality.OK and not known and quality not in self._qualities:
            self._qualities.add(quality)
            evicting = quality is Quality.EVICTING
            told = f" {_entries(delta.evicted)}; {EVICTING_HINT}" if evicting else ""
            if delta.lost is not None:
                told = f": what statements read in {format_duration(delta.lost.seconds)} is lost"
            self.say(f"interval of {delta.until:%H:%M:%S}: {quality.value}{told}", trouble=True)
        if delta.newer.masked and not self._hidden_logged:
            self._hidden_logged = True
            user = delta.newer.server.user
            hidden = f"{hidden_from(user)} and counted together. {grant(user)}"
            self.say(hidden, trouble=True)

    def _summarise(self, *, ended: bool = False) -> None:
        """Say what was collected since it was said last; ended: no more will be."""
        hour, self._hour = self._hour, None
        self._qualities.clear()
        for named, count in self._again.items():
            if count:
                self.say(f"{named}: {count} more time{'s' * (count != 1)}", trouble=True)
        self._again.clear()
        if hour is not None:
            self.summary_logged = ended and hour.samples == self.samples
            self.say(
                hour.summary(committed=self.summary_logged) + (self.not_committed if ended else "")
            )

    def _accept(self, delta: Delta) -> bool:
        """Commit an interval; tell whether the next one begins where it ends."""
        self._explained |= self._incidents.end("server")
        devices = self._measured(delta)
        delta = self._with_lost(delta)
        if self._writer is None or self._sampler is None:
            return True
        if delta.seconds is None and delta.lost is None:
            return True
        try:
            written = self._writer.append(delta, self._sampler.names, devices)
        except Exception as raised:  # noqa: BLE001 - the next interval covers this one
            error = as_error(raised)
            self._log_incident("history", error)
            if self.watcher is not None:
                self.watcher.failed(error)
            return False
        self.samples += 1
        # From here on nothing may say that it was not committed: it would be counted twice.
        with self._beside("interval"):
            self._committed(delta, written, devices)
        return True

    def _committed(
        self, delta: Delta, written: Collection[StatementKey], devices: Sequence[DeviceInterval]
    ) -> None:
        """Take note of an interval that is in the history."""
        self._broken_off = None
        if self._sampler is None:
            return
        self._measuring.acknowledge(len(devices))
        self._explained |= self._incidents.end("history")
        self._newest = self.clock()
        self._hour = self._hour or _Hour(self.clock())
        self._hour.add(delta)
        self._judge(delta)
        self._compaction.add(len(delta.statements))
        if self.watcher is not None:
            self.watcher.committed(delta, self._sampler.names, devices)
        # The history has them: a fleet need not hold all texts of all its servers.
        self._sampler.names.drop_texts(written)

    def _with_lost(self, delta: Delta) -> Delta:
        """Return a first reading with the time that is lost for want of one to go on from."""
        since = self._broken_off
        if since is None and self.samples and self._writer is not None:
            since = self._writer.ends  # the reading before could not be subtracted
        if since is None or delta.seconds is not None or delta.lost is not None:
            return delta
        seconds = max(0.0, (delta.until - since).total_seconds())
        lost = Lost(since, seconds, delta.newer.server)
        return replace(delta, qualities=(Quality.BASELINE_LOST,), lost=lost)

    def _measured(self, delta: Delta) -> list[DeviceInterval]:
        """Return what the device did, as far as it is told by now."""
        if delta.newer.session != self._session and self._sampler is not None:
            there = self._sampler.whereabouts()
            with self._beside("device"):
                self._measuring.retarget(there)
            self._session = delta.newer.session
        devices: list[DeviceInterval] = []
        with self._beside("device"):
            devices = self._measuring.poll()
            self._log_device()
        return devices

    def _log_device(self) -> None:
        wrong, says = self._measuring.trouble, self._measuring.description
        if wrong is not None and self._measuring.is_expected:
            self._log_incident("device", wrong)
            return
        self._incidents.end("device")
        if wrong is not None:
            says = "" if wrong.slug == ELSEWHERE else f"unknown: {wrong.message}"
        if says and says != self._device_message:
            self.say(f"device: {says}")
        self._device_message = says or self._device_message

    def _log_compaction(self) -> None:
        if self._compaction.trouble:
            self._incidents.begin("sealing", self._compaction.trouble)
        elif not self._compaction.is_running:
            self._incidents.end("sealing")


@dataclass(slots=True)
class _Hour:
    """What was collected for some time, to be said."""

    began: float
    seconds: float = 0.0
    rows: int = 0
    qualities: Counter[Quality] = field(default_factory=Counter)
    statement_blocks: int = 0
    server_blocks: int = 0
    evicted: int | None = 0

    @property
    def samples(self) -> int:
        return self.qualities.total()

    def add(self, delta: Delta) -> None:
        self.seconds += delta.seconds or 0.0
        self.rows += len(delta.statements)
        self.qualities[delta.quality] += 1
        if delta.quality is Quality.EVICTING:
            known = self.evicted is not None and delta.evicted is not None
            self.evicted = (self.evicted or 0) + (delta.evicted or 0) if known else None
        if (blocks := reads_of(delta).blocks) is not None:
            self.statement_blocks += delta.statement_blocks
            self.server_blocks += blocks

    def summary(self, *, committed: bool = False) -> str:
        samples = self.samples
        covered = self.statement_blocks / self.server_blocks if self.server_blocks else None
        flawed = [
            f", {self.qualities[quality]} × {quality.value}"
            + (f" {_entries(self.evicted)}" if quality is Quality.EVICTING else "")
            for quality in Quality
            if quality is not Quality.OK and self.qualities[quality]
        ]
        return (
            f"{samples} sample{'s' * (samples != 1)}{' committed' * committed} in"
            f" {format_duration(self.seconds)},"
            f" {self.rows:,} rows, coverage {format_coverage(covered)}{''.join(flawed)}"
        )


def _entries(evicted: int | None) -> str:
    return "(some entries)" if evicted is None else f"(at least {format_count(evicted)} entries)"
