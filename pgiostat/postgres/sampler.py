"""The loop: readings at an interval, differences, names, and a way back when the server is gone.

Everything that takes time or may fail goes through here, so that nothing else has to.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from pgiostat.analysis.corrections import client_rollbacks, with_known_gaps, without_repeats
from pgiostat.analysis.late_counts import Failures, LagCarry
from pgiostat.clock import Backoff, monotonic
from pgiostat.errors import PgiostatError
from pgiostat.postgres.activity import InFlight, Running
from pgiostat.postgres.sent_sql import Own
from pgiostat.postgres.session import ServerSession, connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.delta import Delta, Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OTHER, OWN, Describe, Names, Statement, StatementKey
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.unexpected import as_error
from pgiostat.volume.device.backend_process import Whereabouts

__all__ = ["Sampler", "Tick", "Wait", "add_names"]

PERMANENT = frozenset(
    {"dsn-invalid", "password-wrong", "role-missing", "database-missing", "no-privilege"}
)
"""Errors that end the loop before the first reading.

Later they are tried again as others are: a role or a database that was there may be renamed,
dropped or locked for a time.
"""

LONGEST_WAIT_SECONDS = 30.0
DIFFERENCES_TRIED = 3
"""After so many failures to subtract one reading, the next interval begins anew without it."""
TEXTS_EVERY_SECONDS = 10.0
TEXTS_AFTER_FAILURE_SECONDS = 60.0
TEXTS_AT_ONCE_SHARE = 0.005
TEXTS_PER_REQUEST = 3
NAMES_EVERY_SECONDS = 60.0
"""How old names of databases, roles and relations may be: somebody may have renamed them."""
EVICTED = "its entry was evicted before its text was read"
OWN_REQUESTED = 5
"""How often new statements of our own role are reason to ask at once: ours are few and soon known,
and who works under the same role must not make us ask at every turn."""
MAX_STALE_NAMES = 50_000
"""So many may be known of what is not there any more, before they are forgotten."""
LONGEST_UNREPORTED_SECONDS = 10.0
"""What runs for longer is told as in flight, however long the interval is."""

Wait = Callable[[float], bool]
"""Wait some seconds; True if the loop shall end.  An Event's wait is one."""

Needed = Callable[[], tuple[Collection[StatementKey], Collection[int]]]
"""Tell of which statements and relations the names are needed though they may have gone."""


def add_names(
    names: Names, describe: Describe, texts: Mapping[StatementKey, str | bytes], own: Own
) -> PgiostatError | None:
    """Describe statements by their texts and remember what they are, our own as such.

    Returns:
        The error of a text that could not be described: it costs that text alone.
    """
    failed = None
    for key, text in texts.items():
        userid, dbid, queryid = key
        user, database = names.role(userid), names.database(dbid)
        try:
            statement = describe(text, user=user, database=database, queryid=queryid)
        except Exception as error:  # noqa: BLE001 - one text must not cost all readings
            statement = Statement("", "", OTHER)
            failed = as_error(error)
        if own.includes(userid, dbid, text):
            statement = replace(statement, category=OWN)
        before = names.statements.get(key)
        names.add(key, statement)
        if before is not None and not before.text:
            names.drop_texts([key])  # somebody else has the text
    return failed


def _renamed(before: Mapping[int, str], after: Mapping[int, str]) -> set[int]:
    """Return the oids that had another name before."""
    return {oid for oid, name in after.items() if before.get(oid, name) != name}


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop: an interval, or the error in its place.

    Attributes:
        delta: The interval; None after an error.
        error: Why there is none.
        retry_seconds: Seconds until the next attempt; None if delta is there.
        texts_error: Why texts of statements are missing, though the counters are there.
        running: Statements in flight at its end, if asked for.
    """

    delta: Delta | None
    error: PgiostatError | None = None
    retry_seconds: float | None = None
    texts_error: PgiostatError | None = None
    running: tuple[Running, ...] = ()


@dataclass(slots=True)
class Sampler:
    """Takes snapshots of one server again and again, and yields the intervals between them.

    Attributes:
        dsn: URI or keywords, as for `connect`.
        interval: Seconds between snapshots.
        describe: Gives the category of a statement, as `describer()`.
        wait: Waits for some seconds; returns True to end, as `threading.Event().wait`.
        label: Name of the server in output; host and port if empty.
        clock: Monotonic clock in seconds.
        names: What ids mean; it fills as statements appear.
        older: Snapshot of an earlier process to go on from, or None.
        on_interval: Takes each interval; returns whether the next one begins where it ends. If not,
            the next one covers both.
        final: End with one more snapshot, and with the texts that are missing.
        running: Yield also which statements are in flight.
        first_interval: Seconds from the first snapshot to the second, if the interval is longer.
        max_stale_names: Number of names kept after their statement or relation disappears.
        names_in_use: Returns statements and relations whose names are never dropped.
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
    names_in_use: Needed = lambda: ((), ())
    _room: int = 0
    _in_flight: InFlight | None = None
    _session: ServerSession | None = None
    _collector: SnapshotReader | None = None
    _pending: dict[StatementKey, int] = field(default_factory=dict)
    _names_due: float = 0.0
    _texts_due: float = 0.0
    _texts_error: PgiostatError | None = None
    _own_requested: int = 0
    _ahead: LagCarry = field(default_factory=LagCarry)
    _failures: Failures = field(default_factory=Failures)
    _not_subtracted: int = 0
    _has_read: bool = False

    def ticks(self) -> Iterator[Tick]:
        """Yield one tick an interval, the first at once; ends when `wait` returns True.

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
                tick = self._read_once(attempts)
                yield tick
                if tick.retry_seconds is None:
                    attempts = 0
                    # A turn that took too long costs turns, never a burst of them.
                    now, length = self.clock(), self._length(tick)
                    due += length * max(1, -int((due - now) // length))
                    pause = max(0.0, due - self.clock())
                else:
                    attempts += 1
                    pause = tick.retry_seconds
                if self.wait(pause):
                    break
            if self.final and self._collector is not None:
                self._texts_due = 0.0  # all that can still be had
                yield self._read_once(attempts)
        finally:
            self._disconnect()

    def _length(self, tick: Tick) -> float:
        """Return in how many seconds the reading after this one is due."""
        is_baseline = tick.delta is not None and tick.delta.seconds is None
        if is_baseline and self.first_interval is not None:
            return min(self.first_interval, self.interval)
        return self.interval

    def whereabouts(self) -> Whereabouts | None:
        """Return where the server says that it runs.

        Returns:
            Host, data directory and process; None if it does not say.

        Raises:
            PgiostatError: connection-lost.
        """
        try:
            return None if self._collector is None else self._collector.whereabouts()
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            return None

    def _read_once(self, attempts: int) -> Tick:
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
            return Tick(None, error, self._retry_delay(attempts + 1))
        self._has_read = True
        return Tick(delta, texts_error=self._texts_error, running=running)

    def _running(self) -> tuple[Running, ...]:
        """Return what has been running for longer than an interval, or for a second."""
        if not self.running:
            return ()
        if self._in_flight is None:
            self._in_flight = InFlight(self.describe)
        backends = self._connected().running(
            max(1.0, min(self.interval, LONGEST_UNREPORTED_SECONDS))
        )
        if not {each.dbid for each in backends} <= self.names.databases.keys():
            self._read_databases(self._connected())
        if not {each.userid for each in backends} <= self.names.roles.keys():
            self._read_roles(self._connected())
        return self._in_flight.look(backends, self.names, self._connected().own.is_running)

    def _connected(self) -> SnapshotReader:
        if self._collector is None:
            self._session = connect(self.dsn, label=self.label)
            self._collector = SnapshotReader(self._session, clock=self.clock)
        return self._collector

    def _disconnect(self) -> None:
        session, self._session, self._collector = self._session, None, None
        if session is not None:
            session.close()

    def _interval(self, newer: Snapshot) -> Delta:
        delta = self._subtracted(newer)
        if Quality.OTHER_SERVER in delta.qualities:
            self._turn_to_another(newer)
        self._learn(delta)
        delta = without_repeats(with_known_gaps(delta, self.names), self.names)
        failures = deepcopy(self._failures)
        failed = failures.note(delta, client_rollbacks(delta, self.names))
        delta = replace(delta, ahead=self._ahead.blocks, failures=failed)
        if self.on_interval is None or self.on_interval(delta):
            self.older = newer
            self._ahead.note(delta)
            self._failures = failures
        return delta

    def _turn_to_another(self, newer: Snapshot) -> None:
        """Look at all names again: ids may mean something else on the server that answers now.

        A statement whose text a history has is forgotten: the text belongs to the other server.
        """
        names = self.names
        names.statements = {key: each for key, each in names.statements.items() if each.text}
        names.unreadable = {}
        self._pending = dict.fromkeys(names.statements.keys() & newer.living, 0)
        self._texts_due = self._names_due = 0.0

    def _subtracted(self, newer: Snapshot) -> Delta:
        """Return what happened since the older reading.

        One that cannot be subtracted again and again is damaged, and would end all intervals.
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
        return Backoff(self.interval, LONGEST_WAIT_SECONDS, jitter=0.5).delay(failures)

    def _learn(self, delta: Delta) -> None:
        """Ask for the names of what did something, and of which they are unknown or old."""
        collector = self._collector
        if collector is None or delta.seconds is None:
            return
        rows = delta.statements.rows
        dbids, userids = set(rows["dbid"].tolist()), set(rows["userid"].tolist())
        relids = set(delta.relations.rows["relid"].tolist())
        # The next look must come before a name may be older.
        is_due = self.clock() + self.interval > self._names_due
        if is_due:
            self._names_due = self.clock() + NAMES_EVERY_SECONDS
        names = self.names
        if is_due or not dbids <= names.databases.keys():
            self._read_databases(collector)
        if is_due or not userids <= names.roles.keys():
            self._read_roles(collector)
        requested = relids if is_due else relids - names.relations.keys()
        if is_due:
            requested |= set(self.names_in_use()[1])
        if requested:
            names.relations = names.relations | collector.relations(sorted(requested))
        self._learn_texts(collector, delta)
        self._forget(delta.newer)

    def _read_databases(self, collector: SnapshotReader) -> None:
        found = collector.databases()
        self._describe_again(_renamed(self.names.databases, found), place=1)
        self.names.databases = self.names.databases | found  # what was dropped keeps its name

    def _read_roles(self, collector: SnapshotReader) -> None:
        found = collector.roles()
        self._describe_again(_renamed(self.names.roles, found), place=0)
        self.names.roles = self.names.roles | found

    def _describe_again(self, oids: Collection[int], place: int) -> None:
        """Ask for texts again whose role or database has another name: rules may ask for it.

        Args:
            oids: What was renamed.
            place: Where such an oid stands in the key of a statement.
        """
        if oids:
            again = [key for key in self.names.statements if key[place] in oids]
            self._pending.update(dict.fromkeys(again, 0))
            self._texts_due = 0.0

    def _learn_texts(self, collector: SnapshotReader, delta: Delta) -> None:
        """Ask for texts of unseen statements: at once if they read much, else now and then.

        The server reads its whole file of texts for any of them.
        """
        rows = delta.statements.rows
        blocks = (rows["shared_blks_read"] + rows["local_blks_read"]).tolist()
        unread = 0
        ours = False  # statements of our own role are told apart from others by their texts
        for userid, dbid, queryid, masked, read in zip(
            rows["userid"].tolist(),
            rows["dbid"].tolist(),
            rows["queryid"].tolist(),
            rows["masked"].tolist(),
            blocks,
            strict=True,
        ):
            key = (userid, dbid, queryid)
            if not masked and key not in self.names.statements:
                # Remembered: when it is asked for, it may not be running any more.
                self._pending.setdefault(key, 0)
                # What could not be read is asked for again, but no sooner for what it reads.
                if key not in self.names.unreadable:
                    unread += read
                    ours |= userid == delta.newer.server.userid
        now = self.clock()
        matters = unread > TEXTS_AT_ONCE_SHARE * sum(blocks)
        if ours and self._own_requested < OWN_REQUESTED:
            self._own_requested += 1
            matters = True
        if not self._pending or (
            now < self._texts_due and not (matters and self._texts_error is None)
        ):
            return
        try:
            batch = collector.texts(self._pending)
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            # The counters are safe; only names are missing.
            if error.slug == "texts-unreadable":
                self._note_unreadable(dict.fromkeys(self._pending, error.detail or error.message))
            self._texts_error = error
            self._texts_due = now + TEXTS_AFTER_FAILURE_SECONDS
            return
        not_described = add_names(self.names, self.describe, batch.texts, collector.own)
        self._texts_error = batch.error or not_described
        self._note_unreadable(batch.unreadable)
        failed = bool(batch.unreadable) and not batch.texts
        self._texts_due = now + (TEXTS_AFTER_FAILURE_SECONDS if failed else TEXTS_EVERY_SECONDS)
        # What did not come did not fit into the batch, or has been evicted: asked for again, but
        # only a few times, unless it runs again.
        left = {
            key: requested + 1 for key, requested in self._pending.items() if key not in batch.texts
        }
        self._pending = {
            key: requested for key, requested in left.items() if requested < TEXTS_PER_REQUEST
        }
        self._note_unreadable(dict.fromkeys(left.keys() - self._pending.keys(), EVICTED))

    def _note_unreadable(self, reasons: Mapping[StatementKey, str]) -> None:
        """Keep why texts of statements could not be read; one that was read before is known."""
        known, unreadable = self.names.statements, self.names.unreadable
        for key, reason in reasons.items():
            if key not in known:
                unreadable.setdefault(key, reason)

    def _forget(self, newer: Snapshot) -> None:
        """Keep names of what is there or needed, when there are many others."""
        names, pending = self.names, self._pending
        if self._known() <= self._room + self.max_stale_names:
            return
        living = newer.living
        statements, relations = self.names_in_use()
        names.retain(living.union(statements), {*newer.relations["relid"].tolist(), *relations})
        self._pending = {key: requested for key, requested in pending.items() if key in living}
        self._room = self._known()

    def _known(self) -> int:
        """Return how many names are kept, and reasons why there is none."""
        names = self.names
        statements = len(names.statements) + len(names.unreadable) + len(self._pending)
        return statements + len(names.relations)
