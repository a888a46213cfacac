"""The sync API's clients: python -m pgiostat.lab.workload.load DSN [VERSIONS MANIFESTS UPLOADS].

Ends on SIGTERM or SIGINT, and when standard input ends: its parent process holds the other end, so
that it never outlives the parent.
"""

import random
import signal
import sys
import time
from dataclasses import astuple, dataclass
from threading import Event, Thread

import psycopg

from pgiostat.lab.workload.schema import DEMO, MANIFEST, UPLOAD, VERSION, DataSize
from pgiostat.lab.workload.version_cache import Connection

__all__ = ["Mix", "run"]


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


def run(
    dsn: str, stop: Event, *, mix: Mix | None = None, size: DataSize = DEMO, seed: int = 1
) -> int:
    """Send requests on a schedule until a stop; return the number of answered requests.

    A delay of more than a second is not made up for.
    """
    mix = mix or Mix()
    chance = random.Random(seed)  # noqa: S311 - the same work each time, nothing secret
    requests = [_version] * mix.versions + [_manifest] * mix.manifests + [_upload] * mix.uploads
    answered = 0
    due = time.monotonic()
    with psycopg.connect(dsn, autocommit=True, application_name="sync_api") as connection:
        while not stop.is_set():
            chance.shuffle(requests)
            for request in requests:
                request(connection, chance, mix, size)
                answered += 1
                due = max(due + 1 / len(requests), time.monotonic() - 1)
                if stop.wait(max(0.0, due - time.monotonic())):
                    break
    return answered


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


def _version(connection: Connection, chance: random.Random, _mix: Mix, size: DataSize) -> None:
    _execute(connection, VERSION, chance, size, [])


def _manifest(connection: Connection, chance: random.Random, mix: Mix, size: DataSize) -> None:
    first = chance.randrange(max(1, size.rows - mix.manifest_rows))
    _execute(connection, MANIFEST, chance, size, [first, first + mix.manifest_rows])


def _upload(connection: Connection, chance: random.Random, mix: Mix, size: DataSize) -> None:
    version = time.time_ns()
    with connection.transaction():
        for _ in range(mix.upload_rows):
            row = chance.randrange(size.rows)
            _execute(connection, UPLOAD, chance, size, [row, version, size.payload_of(version)])


def main() -> None:
    """Run until the other end of standard input is closed, or a signal arrives."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def until_input_ends() -> None:
        sys.stdin.buffer.read()
        stop.set()

    Thread(target=until_input_ends, daemon=True).start()
    try:
        dsn, *counts = sys.argv[1:]
        versions, manifests, uploads = map(int, counts) if counts else astuple(Mix())[:3]
        run(dsn, stop, mix=Mix(versions, manifests, uploads))
    except psycopg.OperationalError as error:
        if not stop.is_set():
            sys.exit(f"the workload lost its server: {error}")


if __name__ == "__main__":
    main()
