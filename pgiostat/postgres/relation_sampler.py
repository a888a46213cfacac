"""When counters of tables and indexes are read, and the intervals between the reads.

A snapshot has the blocks of every relation. What moved is therefore known, and only that is read.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from pgiostat.errors import PgiostatError
from pgiostat.postgres.relation_reader import RelationReader
from pgiostat.statistics.columnar import Array
from pgiostat.statistics.definitions import Definition, DefinitionKey, Kind, changes
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.relation_changes import RelationChanges, RelationInterval
from pgiostat.statistics.relation_stats import RelationRead, interval_between, merged
from pgiostat.statistics.snapshot import Server

__all__ = ["RelationSampler"]

SETTINGS_EVERY_SECONDS = 60.0
DEFINITIONS_EVERY_SECONDS = 300.0
"""Maximum age of the definitions of a table that is in use: a column may be renamed."""
DEFINITIONS_AT_ONCE = 1_000
"""Number of tables with definitions in one read."""
RETRY_SECONDS = 60.0
FIRST_USER_OID = 16_384
"""Oids below are those of the catalogs (FirstNormalObjectId in transam.h)."""
TOP = 5
TOP_SHARE = 0.05
FORGOTTEN_SECONDS = 60.0
SOONEST_SHARE = 0.2
"""A statement that enters the top causes a read, after this share of the interval at least."""


@dataclass(slots=True)
class _Next:
    """What holds from the next accepted interval on."""

    known: RelationRead
    definitions: Mapping[DefinitionKey, Definition]
    tables_read: Collection[int]
    has_settings: bool
    now: float


@dataclass(slots=True)
class RelationSampler:
    """Reads the tables and indexes of one database at an interval of its own.

    Attributes:
        every: Seconds between reads.
        clock: Monotonic clock in seconds.
        recall: Returns the definitions that a history already has of a server, by key.
        error: Why the last read failed; None if it did not.
    """

    every: float
    clock: Callable[[], float]
    recall: Callable[[Server], Mapping[DefinitionKey, Definition]] = lambda _: {}
    error: PgiostatError | None = None
    _definitions: Mapping[DefinitionKey, Definition] = field(default_factory=dict)
    _known: RelationRead | None = None
    _due: float = 0.0
    _read_at: float = 0.0
    _moved: set[int] = field(default_factory=set)
    _discarded: bool = False
    _top: dict[tuple[int, ...], float] = field(default_factory=dict)
    _defined_at: dict[int, float] = field(default_factory=dict)
    _settings_at: float | None = None
    _next: _Next | None = None

    @property
    def definitions(self) -> Mapping[DefinitionKey, Definition]:
        """The newest definition of each index, foreign key and setting, dropped ones too."""
        return self._definitions

    @property
    def known(self) -> RelationRead | None:
        """All tables and indexes as of the last read of each; None before the first."""
        return self._known

    def read(self, reader: RelationReader, delta: Delta) -> RelationChanges | None:
        """Return what happened since the last accepted read, if one is due.

        Args:
            reader: Reads the database of the snapshots.
            delta: The interval of statements that ends now.

        Returns:
            The changes; None if no read is due, after the first read, or if it failed: the next one
            covers this one.

        Raises:
            PgiostatError: connection-lost.
        """
        self._next = None
        try:
            if delta.seconds is None or self._known is None:
                self._begin(reader, delta.newer.server)
                return None
            self._note(delta)
            now = self.clock()
            if now < self._due and not self._is_urgent(delta, now):
                return None
            found = self._read(reader, self._known, delta.newer.relations["relid"], now)
        except PgiostatError as error:
            if error.slug == "connection-lost":
                raise
            self.error = error
            self._due = self.clock() + RETRY_SECONDS
            return None
        self.error = None
        return found

    def accept(self) -> None:
        """Begin the next interval where the last one ended: it was accepted."""
        if self._next is None:
            return
        new, self._next = self._next, None
        self._known = new.known
        self._definitions = new.definitions
        self._defined_at.update(dict.fromkeys(new.tables_read, new.now))
        if new.has_settings:
            self._settings_at = new.now
        self._moved.clear()
        self._discarded = False
        self._read_at, self._due = new.now, new.now + self.every

    def _begin(self, reader: RelationReader, server: Server) -> None:
        """Read everything once: what was counted before belongs to no interval."""
        self._moved.clear()
        self._discarded = False
        self._top.clear()
        self._defined_at.clear()
        self._settings_at = None
        self._known = None
        self._definitions = self.recall(server)
        self._known = reader.stats()
        self._read_at = self.clock()
        self._due = self._read_at + self.every

    def _note(self, delta: Delta) -> None:
        self._moved.update(delta.relations.rows["relid"].tolist())
        self._discarded |= delta.discarded

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

    def _read(
        self, reader: RelationReader, known: RelationRead, existing: Array, now: float
    ) -> RelationChanges:
        newer = reader.stats(self._moved)
        interval = interval_between(
            known, newer, discarded=self._discarded, existing=existing.tolist()
        )
        before = np.concatenate([known.tables["relid"], known.indexes["indexrelid"]])
        vanished = np.setdiff1d(before, existing).tolist()
        tables = self._tables_due(interval, known, vanished, now)
        found = reader.definitions(tables) if tables else []
        covered = {
            (newer.dbid, kind, table) for table in tables for kind in (Kind.INDEX, Kind.FOREIGN_KEY)
        }
        has_settings = (
            self._settings_at is None or now - self._settings_at >= SETTINGS_EVERY_SECONDS
        )
        if has_settings:
            found += reader.settings()
            covered |= {(0, Kind.SETTING, 0), (0, Kind.SERVER, 0)}
        changed = changes(self._definitions, found, covered)
        self._next = _Next(
            known=merged(known, newer, vanished),
            definitions={**self._definitions, **{each.key: each for each in changed}},
            tables_read=tables,
            has_settings=has_settings,
            now=now,
        )
        return RelationChanges((interval,), changed)

    def _tables_due(
        self, interval: RelationInterval, known: RelationRead, vanished: Collection[int], now: float
    ) -> list[int]:
        """Return the tables with definitions to read now, those with changed indexes first."""
        indexes = interval.indexes.rows
        new = ~np.isin(indexes["indexrelid"], known.indexes["indexrelid"])
        dropped = np.isin(known.indexes["indexrelid"], np.array([*vanished], dtype=np.int64))
        first = {
            *indexes["relid"][new].tolist(),
            *known.indexes["relid"][dropped].tolist(),
            *vanished,
        }
        moved = {*interval.tables.rows["relid"].tolist(), *indexes["relid"].tolist()}
        never = -np.inf
        old = [
            table
            for table in moved - first
            if now - self._defined_at.get(table, never) >= DEFINITIONS_EVERY_SECONDS
        ]
        old.sort(key=lambda table: self._defined_at.get(table, never))
        due = [table for table in (*sorted(first), *old) if table >= FIRST_USER_OID]
        return due[:DEFINITIONS_AT_ONCE]
