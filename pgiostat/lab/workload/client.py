"""The clients of the sync system: their tables, what they skip, and the differencing engine.

A sync process comes by at a client and looks at each of its tables.  A table that has not
changed on the device is skipped, at most so many times in a row: something may have changed
elsewhere.  A table that may wait is skipped even if it has changed.  Of all others the process
asks the server for the remote version first, then it compares: where local and remote are
identical there is nothing to do.  Else the differencing engine goes through the manifests of all
ranges of keys, uploads what has changed here, and fetches what has changed elsewhere.

The story's bug is a switch: where the process decides not to skip, the engine runs, even if
local and remote are identical.

The model knows what the server holds, because all that is written goes through it.  It answers
for requests that are switched off, so that the others stay the same, and it checks the server's
answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pgiostat.lab.workload.api import Api, Rows, inconsistent
from pgiostat.lab.workload.resume import Newest
from pgiostat.lab.workload.schema import DataSize
from pgiostat.lab.workload.trace import Event, Operation

__all__ = ["Clients", "Skipping"]

RANGE_ROWS = 250
"""How many keys the differencing engine compares at once."""


@dataclass(frozen=True, slots=True)
class Skipping:
    """When a table is left alone.

    cap: how many times in a row, when nothing changed on the device.  may_wait: tables that are
    skipped although they changed.  patience: how many times these are.  bug: the engine also runs
    where local and remote are identical.
    """

    cap: int = 4
    may_wait: tuple[str, ...] = ()
    patience: int = 2
    bug: bool = True


@dataclass(slots=True)
class _Copy:
    """A client's table.  known: the version it has.  remote: the server's; rows changed since."""

    known: int
    remote: int
    changed: set[int] = field(default_factory=set)
    elsewhere: set[int] = field(default_factory=set)
    skips: int = 0


class Clients:
    """All clients, and what they ask for as events happen.

    newest: versions that are there, where they are not those that were loaded; clients have them.
    """

    def __init__(
        self,
        api: Api,
        tables: Sequence[str],
        skipping: Skipping | None = None,
        newest: Newest | None = None,
    ) -> None:
        self.api = api
        self.tables = tuple(tables)
        self.skipping = skipping or Skipping()
        self._copies: dict[tuple[int, str], _Copy] = {}
        self._newest = newest or {}
        # All rows have smaller ones, or the one that was given last.
        self._version = max([api.size.clients * api.size.rows, *self._newest.values()])

    def happens(self, event: Event) -> None:
        """Do what an event asks for.

        Raises PgiostatError lab-inconsistent if the server answers what cannot be.
        """
        if event.operation is Operation.SYNC:
            self._sync(event.client)
        elif event.table not in self.tables:
            return  # a table that this system does not have
        elif event.operation is Operation.CHANGE:
            self._copy(event.client, event.table).changed.update(range(*event.rows))
        elif event.operation is Operation.REMOTE:
            self._upload(event.client, event.table, event.rows)
            self._copy(event.client, event.table).elsewhere.update(range(*event.rows))
        else:
            self._send(event)

    def _send(self, event: Event) -> None:
        """Send a request that was captured."""
        if event.operation is Operation.VERSION:
            self.api.version(event.client, event.table)
        elif event.operation is Operation.MANIFEST:
            self.api.manifest(event.client, event.table, event.rows)
        elif event.operation is Operation.FETCH:
            self.api.fetch(event.client, event.table, event.rows)
        else:
            self._upload(event.client, event.table, event.rows)

    def _copy(self, client: int, table: str) -> _Copy:
        key = client, table
        if key not in self._copies:
            newest = self._newest.get(key, newest_loaded(self.api.size, client))
            self._copies[key] = _Copy(newest, newest)
        return self._copies[key]

    def _sync(self, client: int) -> None:
        asked = [table for table in self.tables if not self._skips(client, table)]
        # All versions first, then the tables one by one: that is what the story's process did.
        for table in asked:
            told, copy = self.api.version(client, table), self._copy(client, table)
            if told is not None and told != copy.remote:
                raise inconsistent(
                    f"The version of client {client}'s {table} is {copy.remote}, not {told}."
                )
        for table in asked:
            copy = self._copy(client, table)
            identical = copy.remote == copy.known and not copy.changed
            if self.skipping.bug or not identical:
                self._difference(client, table, copy)

    def _skips(self, client: int, table: str) -> bool:
        copy, rule = self._copy(client, table), self.skipping
        most = rule.patience if table in rule.may_wait else 0 if copy.changed else rule.cap
        if copy.skips < most:
            copy.skips += 1
            return True
        copy.skips = 0
        return False

    def _difference(self, client: int, table: str, copy: _Copy) -> None:
        """Go through all ranges: fetch what is newer there, upload what is newer here."""
        for first in range(0, self.api.size.rows, RANGE_ROWS):
            rows = first, min(first + RANGE_ROWS, self.api.size.rows)
            told = self.api.manifest(client, table, rows)
            if told is not None and len(told) != rows[1] - rows[0]:
                raise inconsistent(
                    f"Client {client}'s {table} has {len(told)} rows from {rows[0]} to {rows[1]}."
                )
            for some in _runs(row for row in copy.elsewhere if first <= row < rows[1]):
                self.api.fetch(client, table, some)
            for some in _runs(row for row in copy.changed if first <= row < rows[1]):
                self._upload(client, table, some)
        copy.elsewhere.clear()
        copy.changed.clear()
        copy.known = copy.remote

    def _upload(self, client: int, table: str, rows: Rows) -> None:
        self._version += 1
        self.api.upload(client, table, rows, self._version)
        if Operation.UPLOAD not in self.api.off:
            self._copy(client, table).remote = self._version


def newest_loaded(size: DataSize, client: int) -> int:
    """Return the newest version of a client's rows as they were loaded; see schema.load.

    >>> newest_loaded(DataSize(clients=40, rows=100), 7)
    3967
    """
    return (size.rows - 1) * size.clients + client


def _runs(rows: Iterable[int]) -> Iterator[Rows]:
    """Yield ids as ranges.

    >>> list(_runs([7, 3, 4]))
    [(3, 5), (7, 8)]
    """
    first = last = -1
    for row in sorted(rows):
        if row != last:
            if first >= 0:
                yield first, last
            first = row
        last = row + 1
    if first >= 0:
        yield first, last
