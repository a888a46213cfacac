"""The clients of the sync system: their tables, what they skip, and the differencing engine.

A sync process visits a client and checks each of its tables.  It skips a table without changes on
the device, up to a limit of times in a row: something may have changed elsewhere.  It skips a table
that may wait even if it has changed.  For all others it requests the remote version first and
compares: where local and remote are identical there is nothing to do.  Otherwise the differencing
engine goes through the manifests of all ranges of keys, uploads local changes, and fetches changes
from elsewhere.

The story's bug is a switch: where the process does not skip a table, the engine runs, even if local
and remote are identical.

The model knows the server's data, because all writes go through it.  It answers requests that are
switched off, so that the others stay the same, and it checks the server's answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pgiostat.lab.workload.api import Api, Rows, inconsistent
from pgiostat.lab.workload.resume import Newest
from pgiostat.lab.workload.schema import DataSize
from pgiostat.lab.workload.trace import Event, Operation

__all__ = ["Clients", "Skipping"]

RANGE_ROWS = 250
"""Keys that the differencing engine compares at once."""


@dataclass(frozen=True, slots=True)
class Skipping:
    """When the sync process skips a table.

    Attributes:
        cap: limit of times in a row, without a change on the device.
        may_wait: tables that are skipped although they changed.
        patience: limit of times in a row for these.
        bug: the engine also runs where local and remote are identical.
    """

    cap: int = 4
    may_wait: tuple[str, ...] = ()
    patience: int = 2
    bug: bool = True


@dataclass(slots=True)
class _Copy:
    """A client's table.

    Attributes:
        known: the client's version.
        remote: the server's version.
        changed: rows that changed on the device since the last sync.
        elsewhere: rows that changed on another device since.
        skips: times in a row that the table was skipped.
    """

    known: int
    remote: int
    changed: set[int] = field(default_factory=set)
    elsewhere: set[int] = field(default_factory=set)
    skips: int = 0


class Clients:
    """All clients, and their requests as events happen.

    Args:
        newest: versions of the clients' tables that differ from those of the loaded data.
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
        # No row has a greater one.
        self._version = max([api.size.clients * api.size.rows, *self._newest.values()])

    def handle(self, event: Event) -> None:
        """Send the requests that an event causes.

        Raises:
            PgiostatError: lab-inconsistent, if an answer contradicts the data that were written.
        """
        if event.operation is Operation.SYNC:
            self._sync(event.client)
        elif event.table not in self.tables:
            return  # this system does not have the table
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
        due = [table for table in self.tables if not self._skips(client, table)]
        # All versions first, then the tables one by one, as the story's process did.
        for table in due:
            answer, copy = self.api.version(client, table), self._copy(client, table)
            if answer is not None and answer != copy.remote:
                raise inconsistent(
                    f"The version of client {client}'s {table} is {copy.remote}, not {answer}."
                )
        for table in due:
            copy = self._copy(client, table)
            identical = copy.remote == copy.known and not copy.changed
            if self.skipping.bug or not identical:
                self._difference(client, table, copy)

    def _skips(self, client: int, table: str) -> bool:
        copy, rule = self._copy(client, table), self.skipping
        limit = rule.patience if table in rule.may_wait else 0 if copy.changed else rule.cap
        if copy.skips < limit:
            copy.skips += 1
            return True
        copy.skips = 0
        return False

    def _difference(self, client: int, table: str, copy: _Copy) -> None:
        """Compare all ranges: fetch newer rows of the server, upload newer rows of the device."""
        for first in range(0, self.api.size.rows, RANGE_ROWS):
            rows = first, min(first + RANGE_ROWS, self.api.size.rows)
            found = self.api.manifest(client, table, rows)
            if found is not None and len(found) != rows[1] - rows[0]:
                raise inconsistent(
                    f"Client {client}'s {table} has {len(found)} rows from {rows[0]} to {rows[1]}."
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
    """Return the newest version of a client's loaded rows; see schema.load.

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
