"""The sync API's clients in the demo: steady traffic, and the traffic of faults."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import psycopg

from pgiostat.lab.workload.faults import NEW_TABLE, NEW_TABLE_ROWS
from pgiostat.lab.workload.pace import Request, send_paced
from pgiostat.lab.workload.schema import DEMO, FETCH, MANIFEST, UPLOAD, VERSION, DataSize
from pgiostat.lab.workload.version_cache import Connection

__all__ = ["TRAFFIC", "Mix", "Traffic", "run"]

_REPORT = (
    "SELECT client_id, count(*), sum(length(payload)) FROM visit"
    " GROUP BY client_id ORDER BY sum(length(payload)) DESC LIMIT 20 /* report:visits */"
)
FETCHED_ROWS = 20


@dataclass(frozen=True, slots=True)
class Mix:
    """Requests per second, each of a random client and table.

    Requests of one client do not follow each other: the blocks of its version query have left
    shared_buffers before its manifest query, as with thousands of clients.
    """

    versions: int = 12
    manifests: int = 9
    uploads: int = 15
    manifest_rows: int = 800
    upload_rows: int = 3


NEW_TABLE_MIX = Mix(versions=16, manifests=4, uploads=4)
"""Requests for the table of an incident, beside the others."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What differs from the traffic as always.

    Attributes:
        versions: Version queries for each one that is due.
        manifest_rows: Rows of a manifest query; 0 as in the mix.
        fetches: Fetches of rows per second.
        clients: Requests are of this many clients; 0 for all.
        new_table: Whether a table more is synchronized.
        reports: Reports per second.
    """

    versions: int = 1
    manifest_rows: int = 0
    fetches: int = 0
    clients: int = 0
    new_table: bool = False
    reports: int = 0


_AS_ALWAYS = Traffic()
TRAFFIC = {
    "new table": Traffic(new_table=True),
    "report": Traffic(reports=2),
    "reports": Traffic(reports=4),
    "versions doubled": Traffic(versions=2),
    "versions tripled": Traffic(versions=3),
    "short manifests": Traffic(manifest_rows=300),
    "long manifests": Traffic(manifest_rows=1_600),
    "three clients": Traffic(clients=3),
    "twelve clients": Traffic(clients=12),
    "fetches of five clients": Traffic(clients=5, fetches=12),
}
"""The kinds of traffic by name; any other name is the traffic as always."""


def run(
    dsn: str,
    stop: Event,
    *,
    mix: Mix | None = None,
    size: DataSize = DEMO,
    seed: int = 1,
    traffic: Callable[[], str] = str,
) -> int:
    """Send requests on a schedule until a stop; return the number of answered requests.

    Args:
        dsn: The server, as the sync API.
        stop: Ends the traffic.
        mix: The requests of a second.
        size: The data on the server.
        seed: The same one makes the same requests.
        traffic: Returns the name of the traffic, "" for the traffic as always.
    """
    mix = mix or Mix()
    chance = random.Random(seed)  # noqa: S311 - the same work each time, nothing secret
    with psycopg.connect(dsn, autocommit=True, application_name="sync_api") as connection:

        def next_round() -> Sequence[Request]:
            return _round(connection, mix, size, TRAFFIC.get(traffic(), _AS_ALWAYS))

        return send_paced(next_round, stop, chance)


def _round(connection: Connection, mix: Mix, size: DataSize, traffic: Traffic) -> list[Request]:
    """Return the requests of a second."""
    mix = replace(
        mix,
        versions=mix.versions * traffic.versions,
        manifest_rows=traffic.manifest_rows or mix.manifest_rows,
    )
    size = replace(size, clients=traffic.clients or size.clients)
    requests = _requests(connection, mix, size)
    if traffic.new_table:
        added = replace(size, rows=NEW_TABLE_ROWS, tables=(NEW_TABLE,))
        requests += _requests(connection, NEW_TABLE_MIX, added)
    requests += [partial(_fetch, connection, size)] * traffic.fetches
    return requests + [partial(_report, connection)] * traffic.reports


def _requests(connection: Connection, mix: Mix, size: DataSize) -> list[Request]:
    return [
        *[partial(_version, connection, size)] * mix.versions,
        *[partial(_manifest, connection, size, mix.manifest_rows)] * mix.manifests,
        *[partial(_upload, connection, size, mix.upload_rows)] * mix.uploads,
    ]


def _execute(
    connection: Connection,
    statement: str,
    chance: random.Random,
    size: DataSize,
    values: list[object],
) -> None:
    """Run a statement for a random client and table."""
    table = chance.choice(size.tables)
    client = chance.randrange(size.clients)
    connection.execute(statement.format(table=table).encode(), [client, *values])


def _version(connection: Connection, size: DataSize, chance: random.Random) -> None:
    _execute(connection, VERSION, chance, size, [])


def _manifest(connection: Connection, size: DataSize, rows: int, chance: random.Random) -> None:
    first = chance.randrange(max(1, size.rows - rows))
    _execute(connection, MANIFEST, chance, size, [first, first + rows])


def _fetch(connection: Connection, size: DataSize, chance: random.Random) -> None:
    first = chance.randrange(max(1, size.rows - FETCHED_ROWS))
    _execute(connection, FETCH, chance, size, [first, first + FETCHED_ROWS])


def _upload(connection: Connection, size: DataSize, rows: int, chance: random.Random) -> None:
    version = time.time_ns()
    # Without the primary key the server refuses ON CONFLICT; the client tries again later.
    with suppress(psycopg.errors.InvalidColumnReference), connection.transaction():
        for _ in range(rows):
            row = chance.randrange(size.rows)
            _execute(connection, UPLOAD, chance, size, [row, version, size.payload_of(version)])


def _report(connection: Connection, _chance: random.Random) -> None:
    connection.execute(_REPORT.encode())
