"""The sampling loop: snapshots, their differences, names, and reconnecting.

Everything that takes time or may fail is called from here.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

from pgiostat.analysis.corrections import client_rollbacks, with_known_gaps, without_repeats
from pgiostat.analysis.failures import Failures
from pgiostat.analysis.in_transit import InTransit
from pgiostat.clock import Backoff, monotonic
from pgiostat.errors import PgiostatError
from pgiostat.postgres.activity import InFlight, Running
from pgiostat.postgres.base_tables import BaseTables
from pgiostat.postgres.name_reader import MAX_STALE_NAMES, NameReader, NamesInUse
from pgiostat.postgres.relation_sampler import RelationSampler
from pgiostat.postgres.session import ServerSession, connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Describe, Names
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.unexpected import as_error
from pgiostat.volume.device.backend_process import Whereabouts

__all__ = ["IntervalResult", "Sampler", "Wait"]

PERMANENT = frozenset(
    {"dsn-invalid", "password-wrong", "role-missing", "database-missing", "no-privilege"}
)
"""Errors that end the loop before the first snapshot.

Later they are tried again like others: a role or a database may be renamed, dropped or locked for
a while.
"""

MAX_WAIT_SECONDS = 30.0
DIFFERENCES_TRIED = 3
"""After this many failures to subtract one snapshot, the next interval begins without it."""
MAX_UNREPORTED_SECONDS = 10.0
"""A statement that runs for longer is reported as in flight, even in longer intervals."""

Wait = Callable[[float], bool]
"""Wait some seconds; True if the loop shall end.  An Event's wait is one."""


@dataclass(frozen=True, slots=True)
class IntervalResult:
    """One iteration of the loop: an interval, or the error in its place.

    Attributes:
        delta: The interval; None after an error.
        error: Why there is none.
        retry_seconds: Seconds until the next attempt; None if delta is there.
        texts_error: Why texts of statements are missing, though the counters are there.
        relations_error: Why counters of tables and indexes are missing.
        running: Statements in flight at its end, if requested.
    """

    delta: Delta | None
    error: PgiostatError | None = None
    retry_seconds: float | None = None
    texts_error: PgiostatError | None = None
    relations_error: PgiostatError | None = None
    running: tuple[Running, ...] = ()


@dataclass(slots=True)
class Sampler:
    """Takes snapshots of one server at an interval, and yields the intervals between them.

    Attributes:
        dsn: URI or keywords, the same as for `connect`.
        interval: Seconds between snapshots.
        describe: Returns the category of a statement, for example `describer()`.
        wait: Waits for some seconds; returns True to end, like `threading.Event().wait`.
        label: Name of the server in output; host and port if empty.
        clock: Monotonic clock in seconds.
        names: Names by id; filled as statements appear.
        older: Snapshot of an earlier process from which to continue, or None.
        on_interval: Takes each interval; returns whether the next one begins where it ends. If not,
            the next one covers both.
        final: End with one more snapshot, and with the texts that are missing.
        running: Yield also which statements are in flight.
        first_interval: Seconds from the first snapshot to the second, if the interval is longer.
        max_stale_names: Number of names kept after their statement or relation disappears.
        names_in_use: Returns statements and relations with names that are never dropped.
        relations: Reads the counters of tables and indexes; None if they are not needed.
        by_table: Find the tables behind views and partitions that statements read.
    """

    dsn: str = field(repr=False)
    interval: float
    describe: Describe
    wait: Wait
    label: str = ""
    clock: Callable[[], float] = monotonic
    names: Names = field(default_factory=Names)
    older: Snapshot | None = None
    on_interval: Callable[[Delta], bool] | None = None
    final: bool = False
    running: bool = False
    first_interval: float | None = None
    max_stale_names: int = MAX_STALE_NAMES
    names_in_use: NamesInUse = lambda: ((), ())
    relations: RelationSampler | None = None
    by_table: bool = False
    _in_flight: InFlight | None = None
    _session: ServerSession | None = None
    _reader: SnapshotReader | None = None
    _in_transit: InTransit = field(default_factory=InTransit)
    _failures: Failures = field(default_factory=Failures)
    _not_subtracted: int = 0
    _has_read: bool = False
    _name_reader: NameReader = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the reader of names."""
        self._name_reader = NameReader(
            self.names,
            self.describe,
            self.clock,
            self.max_stale_names,
            self.names_in_use,
            BaseTables() if self.by_table else None,
        )

    def intervals(self) -> Iterator[IntervalResult]:
        """Yield the result of each interval, the first at once; ends when `wait` returns True.

        Yields:
            An interval, or the error in its place; after an error it connects again.

        Raises:
            PgiostatError: The first connection failed, or the first snapshot, for a reason that no
                retry removes.
        """
        try:
            self._connected()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is named
            raise as_error(error) from None
        attempts = 0
        due = self.clock()
        try:
            while True:
                result = self._read_once(attempts)
                yield result
                if result.retry_seconds is None:
                    attempts = 0
                    # A slow snapshot skips intervals and never causes a burst of them.
                    now, length = self.clock(), self._length(result)
                    due += length * max(1, -int((due - now) // length))
                    pause = max(0.0, due - self.clock())
                else:
                    attempts += 1
                    pause = result.retry_seconds
                if self.wait(pause):
                    break
            if self.final and self._reader is not None:
                self._name_reader.texts_due = 0.0  # all that can still be had
                yield self._read_once(attempts)
        finally:
            self._disconnect()

    def _length(self, result: IntervalResult) -> float:
        """Return the seconds until the next snapshot is due."""
        is_baseline = result.delta is not None and result.delta.seconds is None
        if is_baseline and self.first_interval is not None:
            return min(self.first_interval, self.interval)
        return self.interval

    def whereabouts(self) -> Whereabouts | None:
        """Return where the server runs, as it reports.

        Returns:
            Host, data directory and process; None if it does not report them.

        Raises:
            PgiostatError: connection-lost.
        """
        try:
            return None if self._reader is None else self._reader.whereabouts()
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            return None

    def _read_once(self, attempts: int) -> IntervalResult:
        try:
            newer = self._connected().take()
            # Before the interval is accepted: what fails here must not cost one.
            running = self._running()
            delta = self._interval(newer)
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is tried again
            error = as_error(raised)
            if error.slug in PERMANENT and not self._has_read:
                raise error from None
            self._disconnect()
            return IntervalResult(None, error, self._retry_delay(attempts + 1))
        self._has_read = True
        return IntervalResult(
            delta,
            texts_error=self._name_reader.texts_error,
            relations_error=None if self.relations is None else self.relations.error,
            running=running,
        )

    def _running(self) -> tuple[Running, ...]:
        """Return what has been running for longer than an interval, or for a second."""
        if not self.running:
            return ()
        if self._in_flight is None:
            self._in_flight = InFlight(self.describe)
        backends = self._connected().running(max(1.0, min(self.interval, MAX_UNREPORTED_SECONDS)))
        if not {each.dbid for each in backends} <= self.names.databases.keys():
            self._name_reader.read_databases(self._connected())
        if not {each.userid for each in backends} <= self.names.roles.keys():
            self._name_reader.read_roles(self._connected())
        return self._in_flight.look(backends, self.names, self._connected().own.is_running)

    def _connected(self) -> SnapshotReader:
        if self._reader is None:
            self._session = connect(self.dsn, label=self.label)
            self._reader = SnapshotReader(self._session, clock=self.clock)
        return self._reader

    def _disconnect(self) -> None:
        session, self._session, self._reader = self._session, None, None
        if session is not None:
            session.close()

    def _interval(self, newer: Snapshot) -> Delta:
        delta = self._subtracted(newer)
        if Quality.OTHER_SERVER in delta.qualities:
            self._name_reader.turn_to_another(newer)
        if self._reader is not None:
            self._name_reader.learn(self._reader, delta, self.interval)
        delta = without_repeats(with_known_gaps(delta, self.names), self.names)
        failures = deepcopy(self._failures)
        failed = failures.note(delta, client_rollbacks(delta, self.names))
        delta = replace(delta, failures=failed)
        in_transit, settlement = self._in_transit.advance(delta)
        if settlement is not None:
            delta = settlement.applied(delta)
        if self.relations is not None:
            changed = self.relations.read(self._connected().relation_reader(), delta, self.names)
            delta = replace(delta, relation_changes=changed)
        if self.on_interval is None or self.on_interval(delta):
            self.older = newer
            self._in_transit, self._failures = in_transit, failures
            if self.relations is not None:
                self.relations.accept()
        return delta

    def _subtracted(self, newer: Snapshot) -> Delta:
        """Return what happened since the older snapshot.

        A snapshot that repeatedly cannot be subtracted is damaged, and would end all intervals.
        """
        try:
            delta = diff(self.older, newer, expected_seconds=self.interval)
        except Exception:
            self._not_subtracted += 1
            if self._not_subtracted >= DIFFERENCES_TRIED:
                self.older, self._not_subtracted = None, 0
            raise
        self._not_subtracted = 0
        return delta

    def _retry_delay(self, failures: int) -> float:
        return Backoff(self.interval, MAX_WAIT_SECONDS, jitter=0.5).delay(failures)
