"""The sync API's clients in the demo: steady traffic, and the traffic of incidents."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import psycopg

from pgiostat.lab.workload.incidents import WorkloadIncident
from pgiostat.lab.workload.pace import Request, send_paced
from pgiostat.lab.workload.schema import DEMO, MANIFEST, UPLOAD, VERSION, WRITER, DataSize
from pgiostat.lab.workload.version_cache import Connection

__all__ = ["INCIDENTS", "Mix", "run"]

_NEW_TABLE = "note"
_NEW_TABLE_ROWS = 1_000
_REPORT = (
    "SELECT client_id, count(*), sum(length(payload)) FROM visit"
    " GROUP BY client_id ORDER BY sum(length(payload)) DESC LIMIT 20 /* report:visits */"
)

INDEX_DROPPED = WorkloadIncident(
    "index dropped",
    "the primary key of table invoice is gone: queries read the whole table, and uploads fail",
    cause=("ALTER TABLE invoice DROP CONSTRAINT IF EXISTS invoice_pkey",),
    back=(
        "CREATE UNIQUE INDEX IF NOT EXISTS invoice_pkey ON invoice (client_id, id)",
        (
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'invoice_pkey')"
            " THEN ALTER TABLE invoice ADD CONSTRAINT invoice_pkey PRIMARY KEY USING INDEX"
            " invoice_pkey; END IF; END $$"
        ),
    ),
)
TABLE_ADDED = WorkloadIncident(
    "table added",
    "the clients synchronize one table more, note",
    cause=(
        f"DROP TABLE IF EXISTS {_NEW_TABLE}",
        (
            f"CREATE TABLE {_NEW_TABLE} (client_id int NOT NULL, id int NOT NULL,"
            " row_version bigint NOT NULL, payload text NOT NULL)"
        ),
        (
            f"INSERT INTO {_NEW_TABLE} SELECT i % {DEMO.clients}, i / {DEMO.clients}, i,"  # noqa: S608 - ours
            f" repeat(md5(i::text), {DEMO.payload // 32 + 1})"
            f" FROM generate_series(0, {DEMO.clients * _NEW_TABLE_ROWS - 1}) AS i"
        ),
        f"ALTER TABLE {_NEW_TABLE} ADD PRIMARY KEY (client_id, id)",
        f"GRANT SELECT, INSERT, UPDATE ON {_NEW_TABLE} TO {WRITER}",
        f"ANALYZE {_NEW_TABLE}",
    ),
    back=(f"DROP TABLE IF EXISTS {_NEW_TABLE}",),
)
REPORT_STARTED = WorkloadIncident(
    "report started", "a report adds up all rows of table visit, twice a second"
)
SKIP_BUG = WorkloadIncident(
    "skip bug", "the clients check the version of tables that they should skip"
)
INCIDENTS = (INDEX_DROPPED, TABLE_ADDED, REPORT_STARTED, SKIP_BUG)


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
REPORTS = 2
CHECKED_BY_MISTAKE = 2
"""Version queries of tables to be skipped, for each one that is due."""


def run(
    dsn: str,
    stop: Event,
    *,
    mix: Mix | None = None,
    size: DataSize = DEMO,
    seed: int = 1,
    incident: Callable[[], str] = str,
) -> int:
    """Send requests on a schedule until a stop; return the number of answered requests.

    Args:
        dsn: The server, as the sync API.
        stop: Ends the traffic.
        mix: The requests of a second.
        size: The data on the server.
        seed: The same one makes the same requests.
        incident: Returns the name of the incident in force, "" for none.
    """
    mix = mix or Mix()
    chance = random.Random(seed)  # noqa: S311 - the same work each time, nothing secret
    with psycopg.connect(dsn, autocommit=True, application_name="sync_api") as connection:

        def next_round() -> Sequence[Request]:
            return _round(connection, mix, size, incident())

        return send_paced(next_round, stop, chance)


def _round(connection: Connection, mix: Mix, size: DataSize, incident: str) -> list[Request]:
    """Return the requests of a second during an incident, or without one."""
    if incident == SKIP_BUG.name:
        mix = replace(mix, versions=mix.versions * (1 + CHECKED_BY_MISTAKE))
    requests = _requests(connection, mix, size)
    if incident == TABLE_ADDED.name:
        added = replace(size, rows=_NEW_TABLE_ROWS, tables=(_NEW_TABLE,))
        requests += _requests(connection, NEW_TABLE_MIX, added)
    if incident == REPORT_STARTED.name:
        requests += [partial(_report, connection)] * REPORTS
    return requests


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


def _upload(connection: Connection, size: DataSize, rows: int, chance: random.Random) -> None:
    version = time.time_ns()
    # Without the primary key the server refuses ON CONFLICT; the client tries again later.
    with suppress(psycopg.errors.InvalidColumnReference), connection.transaction():
        for _ in range(rows):
            row = chance.randrange(size.rows)
            _execute(connection, UPLOAD, chance, size, [row, version, size.payload_of(version)])


def _report(connection: Connection, _chance: random.Random) -> None:
    connection.execute(_REPORT.encode())
