"""When counters of tables and indexes are read, and the intervals between the reads.

A snapshot has the blocks of every relation. What moved is therefore known, and only that is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pgiostat.errors import PgiostatError
from pgiostat.postgres.database_relations import DatabaseRelations
from pgiostat.postgres.other_databases import OtherDatabases
from pgiostat.postgres.relation_reader import RelationReader
from pgiostat.statistics.definitions import Definition, DefinitionKey, Kind, changes
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.statistics.relation_stats import RelationRead
from pgiostat.statistics.snapshot import Server

__all__ = ["RelationSampler"]

SETTINGS_EVERY_SECONDS = 60.0
RETRY_SECONDS = 60.0
COST_SHARE = 0.2
MOST_STRETCH = 3
"""Reads that cost more than this share of the snapshots come at longer intervals, up to three
times as long."""
NAMED_SHARE = 0.5
"""Share of relations up to which they are read by oid; more cost less if all are read."""
TOP = 5
TOP_SHARE = 0.05
FORGOTTEN_SECONDS = 60.0
SOONEST_SHARE = 0.2
"""A statement that enters the top causes a read, after this share of the interval at least."""


@dataclass(slots=True)
class RelationSampler:
    """Reads tables and indexes at an interval of their own.

    Attributes:
        every: Seconds between reads.
        clock: Monotonic clock in seconds.
        recall: Returns the definitions that a history already has of a server, by key.
        others: Reads databases beside the connected one; None if there are none to read.
    """

    every: float
    clock: Callable[[], float]
    recall: Callable[[Server], Mapping[DefinitionKey, Definition]] = lambda _: {}
    others: OtherDatabases | None = None
    _error: PgiostatError | None = None
    _here: DatabaseRelations = field(default_factory=DatabaseRelations)
    _settings: Mapping[DefinitionKey, Definition] = field(default_factory=dict)
    _next_settings: Mapping[DefinitionKey, Definition] | None = None
    _due: float = 0.0
    _read_at: float = 0.0
    _next_every: float = 0.0
    _moved: set[int] = field(default_factory=set)
    _top: dict[tuple[int, ...], float] = field(default_factory=dict)
    _settings_at: float | None = None
    _is_read: bool = False

    @property
    def known(self) -> RelationRead | None:
        """Tables and indexes of the connected database as of the last read of each.

        None before the first read.
        """
        return self._here.known

    @property
    def definitions(self) -> Mapping[DefinitionKey, Definition]:
        """The newest definitions of tables and settings, dropped ones too."""
        return {**self._settings, **self._here.definitions}

    @property
    def error(self) -> PgiostatError | None:
        """Why the last read of a database failed; None if none did."""
        if self._error is not None or self.others is None:
            return self._error
        return self.others.error

    def read(self, reader: RelationReader, delta: Delta, names: Names) -> RelationChanges | None:
        """Return what happened since the last accepted read, if one is due.

        Args:
            reader: Reads the database of the snapshots.
            delta: The interval of statements that ends now.
            names: Names by id; those of relations in other databases are added.

        Returns:
            The changes; None if no read is due, after the first read, or if it failed: the next one
            covers this one.

        Raises:
            PgiostatError: connection-lost.
        """
        found = self._connected(reader, delta)
        if self.others is None:
            return found
        beside = self.others.read(reader, delta, names)
        if found is None or beside is None:
            return found or beside
        return RelationChanges(
            found.intervals + beside.intervals, found.definitions + beside.definitions
        )

    def accept(self) -> None:
        """Begin the next intervals where the last ones ended: they were accepted."""
        if self.others is not None:
            self.others.accept()
        if not self._is_read:
            return
        now = self.clock()
        self._here.accept()
        if self._next_settings is not None:
            self._settings, self._settings_at = self._next_settings, now
        self._moved.clear()
        self._read_at, self._due = now, now + self._next_every
        self._is_read = False

    def _connected(self, reader: RelationReader, delta: Delta) -> RelationChanges | None:
        self._is_read, self._next_settings = False, None
        try:
            if delta.seconds is None or self._here.known is None:
                self._begin(reader, delta.newer.server)
                return None
            self._moved.update(delta.relations.rows["relid"].tolist())
            self._here.discarded |= delta.discarded
            now = self.clock()
            if now < self._due and not self._is_urgent(delta, now):
                return None
            existing = delta.newer.relations["relid"].tolist()
            moved = self._moved if len(self._moved) <= NAMED_SHARE * len(existing) else None
            interval, changed = self._here.read(reader, now, moved, existing)
            self._next_every = self._affordable(interval.own_seconds, delta)
            changed += self._changed_settings(reader, now)
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            self._error = error
            self._due = self.clock() + RETRY_SECONDS
            return None
        self._error, self._is_read = None, True
        return RelationChanges((interval,), changed)

    def _begin(self, reader: RelationReader, server: Server) -> None:
        self._moved.clear()
        self._top.clear()
        self._settings_at = None
        known = self.recall(server)
        self._settings = {key: each for key, each in known.items() if key[0] == 0}
        here = {key: each for key, each in known.items() if key[0] == server.dbid}
        self._here.begin(reader, here)
        self._read_at = self.clock()
        self._due = self._read_at + self.every

    def _affordable(self, read_seconds: float, delta: Delta) -> float:
        """Return the seconds until the next read; what snapshots cost bounds what reads cost."""
        snapshot_seconds, length = delta.newer.own_seconds, delta.seconds or 0.0
        if not snapshot_seconds or not length:
            return self.every
        affordable = read_seconds * length / (COST_SHARE * snapshot_seconds)
        return min(max(self.every, affordable), MOST_STRETCH * self.every)

    def _changed_settings(self, reader: RelationReader, now: float) -> tuple[Definition, ...]:
        if self._settings_at is not None and now - self._settings_at < SETTINGS_EVERY_SECONDS:
            return ()
        covered = {(0, Kind.SETTING, 0), (0, Kind.SERVER, 0)}
        changed = changes(self._settings, reader.settings(), covered)
        self._next_settings = {**self._settings, **{each.key: each for each in changed}}
        return changed

    def _is_urgent(self, delta: Delta, now: float) -> bool:
        """Return whether a statement entered those that read most: its tables are of interest."""
        entered = self._entered(delta, now)
        return entered and now - self._read_at >= SOONEST_SHARE * self.every

    def _entered(self, delta: Delta, now: float) -> bool:
        rows = delta.statements.rows
        blocks = rows["shared_blks_read"]
        bar = max(1, TOP_SHARE * int(blocks.sum()))
        largest = np.argsort(blocks)[-TOP:]
        keys = [
            (int(rows["userid"][place]), int(rows["dbid"][place]), int(rows["queryid"][place]))
            for place in largest.tolist()
            if blocks[place] >= bar
        ]
        is_first = not self._top
        entered = any(now - self._top.get(key, -np.inf) > FORGOTTEN_SECONDS for key in keys)
        self._top = {
            key: at for key, at in self._top.items() if now - at <= FORGOTTEN_SECONDS
        } | dict.fromkeys(keys, now)
        return entered and not is_first
