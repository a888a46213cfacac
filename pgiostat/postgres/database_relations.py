"""The tables and indexes of one database: what is known of them, and what they counted since."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from pgiostat.postgres.relation_reader import RelationReader
from pgiostat.statistics.definitions import OF_TABLES, Definition, DefinitionKey, changes
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import RelationRead, interval_between, merged

__all__ = ["DatabaseRelations"]

DEFINITIONS_EVERY_SECONDS = 300.0
"""Maximum age of the definitions of a table that is in use: a column may be renamed."""
DEFINITIONS_AT_ONCE = 1_000
"""Number of tables with definitions in one read."""
FIRST_USER_OID = 16_384
"""Oids below are those of the catalogs (FirstNormalObjectId in transam.h)."""


@dataclass(slots=True)
class _Next:
    """What holds once an interval was accepted."""

    known: RelationRead
    definitions: Mapping[DefinitionKey, Definition]
    tables_read: Collection[int]
    now: float


@dataclass(slots=True)
class DatabaseRelations:
    """Reads the tables and indexes of one database, and keeps what is known of them.

    Attributes:
        known: All of them as of the last read of each; None before the first read.
        definitions: The newest definitions of its tables, dropped ones too.
        discarded: Whether the server discarded all statistics since the last accepted read.
    """

    known: RelationRead | None = None
    definitions: Mapping[DefinitionKey, Definition] = field(default_factory=dict)
    discarded: bool = False
    _defined_at: dict[int, float] = field(default_factory=dict)
    _next: _Next | None = None

    def begin(
        self, reader: RelationReader, definitions: Mapping[DefinitionKey, Definition]
    ) -> None:
        """Read everything once: what was counted before belongs to no interval.

        Args:
            reader: Reads the database.
            definitions: Those that a history already has.
        """
        self.known = self._next = None
        self.discarded = False
        self.definitions = definitions
        self._defined_at.clear()
        self.known = reader.stats()

    def read(
        self,
        reader: RelationReader,
        now: float,
        moved: Collection[int] | None = None,
        existing: Collection[int] | None = None,
    ) -> tuple[RelationInterval, tuple[Definition, ...]]:
        """Return what happened since the last accepted read.

        Args:
            reader: Reads the database.
            now: The time, by our own clock.
            moved: Oids of relations that may have counted anything; None reads all.
            existing: Oids of relations that exist and have counted anything; None if all were read.

        Raises:
            PgiostatError: As RelationReader.stats does; RuntimeError before `begin`.
        """
        known = self.known
        if known is None:
            raise RuntimeError("nothing was read before")
        self._next = None
        newer = reader.stats(moved)
        if existing is None:
            existing = {*newer.tables["relid"].tolist(), *newer.indexes["indexrelid"].tolist()}
        interval = interval_between(known, newer, discarded=self.discarded, existing=existing)
        before = {*known.tables["relid"].tolist(), *known.indexes["indexrelid"].tolist()}
        vanished = before - set(existing)
        tables = self._tables_due(interval, known, vanished, now)
        found = reader.definitions(tables) if tables else []
        covered = {(newer.dbid, kind, table) for table in tables for kind in OF_TABLES}
        changed = changes(self.definitions, found, covered)
        definitions = {**self.definitions, **{each.key: each for each in changed}}
        self._next = _Next(merged(known, newer, vanished), definitions, tables, now)
        return interval, changed

    def accept(self) -> None:
        """Begin the next interval where the last one ended."""
        if self._next is None:
            return
        new, self._next = self._next, None
        self.known = new.known
        self.definitions = new.definitions
        self._defined_at.update(dict.fromkeys(new.tables_read, new.now))
        self.discarded = False

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
