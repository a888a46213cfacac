"""Read tables and indexes of databases beside the connected one: one connection each, in turn."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pgiostat.errors import PgiostatError
from pgiostat.escape import identifier
from pgiostat.postgres.database_relations import DatabaseRelations
from pgiostat.postgres.relation_options import DatabaseChoice
from pgiostat.postgres.relation_reader import RelationReader
from pgiostat.statistics.definitions import Definition, DefinitionKey
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.statistics.snapshot import Server

__all__ = ["OtherDatabases"]

MOST_DATABASES = 100
"""Number of databases that are read in one round."""


@dataclass(slots=True)
class OtherDatabases:
    """Reads at most one other database at the end of an interval, each of them once a round.

    Attributes:
        choice: Which databases.
        every: Seconds from the begin of a round to the begin of the next one.
        clock: Monotonic clock in seconds.
        recall: Returns the definitions that a history already has of a server, by key.
        errors: By name of a database: why it could not be read.
    """

    choice: DatabaseChoice
    every: float
    clock: Callable[[], float]
    recall: Callable[[Server], Mapping[DefinitionKey, Definition]] = lambda _: {}
    errors: dict[str, PgiostatError] = field(default_factory=dict)
    _due: float = 0.0
    _queue: deque[tuple[int, str]] = field(default_factory=deque)
    _databases: dict[int, DatabaseRelations] = field(default_factory=dict)
    _read: DatabaseRelations | None = None

    def read(self, reader: RelationReader, delta: Delta, names: Names) -> RelationChanges | None:
        """Return what the next database counted since its last accepted read.

        Args:
            reader: Reads the connected database.
            delta: The interval of statements that ends now.
            names: Names by id; those of relations in other databases are added.

        Returns:
            The changes; None if no database is due, after its first read, or if it failed.

        Raises:
            PgiostatError: connection-lost, of the connection to the connected database.
        """
        self._read = None
        server = delta.newer.server
        if delta.seconds is None:
            self._databases.clear()
            self._queue.clear()
            self._due = 0.0
        for each in self._databases.values():
            each.discarded |= delta.discarded
        if not self._queue and self.clock() >= self._due:
            self._due = self.clock() + self.every
            self._begin_round(reader, server)
        if not self._queue:
            return None
        dbid, name = self._queue[0]
        try:
            with reader.beside(name, dbid, server) as other:
                found = self._changes(other, dbid, server, names)
        except PgiostatError as error:
            self._queue.popleft()
            self.errors[name] = error
            return None
        self.errors.pop(name, None)
        if found is None:  # the first read: there is no interval to accept
            self._queue.popleft()
        return found

    def accept(self) -> None:
        """Begin the next interval of the database where the last one ended: it was accepted."""
        if self._read is not None:
            self._read.accept()
            self._read = None
            self._queue.popleft()

    @property
    def error(self) -> PgiostatError | None:
        """Why databases could not be read, as one error; None if all could."""
        if not self.errors:
            return None
        name, error = next(iter(sorted(self.errors.items())))
        more = f", and {len(self.errors) - 1} more" if len(self.errors) > 1 else ""
        return PgiostatError(
            f"database {identifier(name)}{more}: {error.message}",
            detail=error.detail,
            hint=error.hint,
            slug=error.slug,
        )

    def _begin_round(self, reader: RelationReader, server: Server) -> None:
        there = [
            (oid, name)
            for oid, name, is_allowed, _ in reader.databases()
            if is_allowed and oid != server.dbid and self.choice.includes(name)
        ]
        names = {name for _, name in there} | {server.dbname}
        for name in self.choice.names:
            if name not in names:
                self.errors[name] = PgiostatError(
                    "it does not exist, or our role may not connect to it", slug="database-missing"
                )
        self._queue.extend(there[:MOST_DATABASES])

    def _changes(
        self, reader: RelationReader, dbid: int, server: Server, names: Names
    ) -> RelationChanges | None:
        database = self._databases.setdefault(dbid, DatabaseRelations())
        if database.known is None:
            known = self.recall(server)
            database.begin(reader, {key: each for key, each in known.items() if key[0] == dbid})
            return None
        interval, changed = database.read(reader, self.clock())
        tables, indexes = interval.tables.rows, interval.indexes.rows
        moved = {*tables["relid"].tolist(), *indexes["indexrelid"].tolist()}
        if moved:  # names are read each time: relations may be renamed
            found = reader.names(moved)
            names.elsewhere.update({(dbid, oid): named for oid, named in found.items()})
        self._read = database
        return RelationChanges((interval,), changed)
