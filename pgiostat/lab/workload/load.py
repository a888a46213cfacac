"""The sync API's clients: python -m pgiostat.lab.workload.load DSN [VERSIONS MANIFESTS UPLOADS].

Ends on SIGTERM or SIGINT, and when standard input ends: who started it holds the other end, so
that it never outlives them.
"""

import random
import signal
import sys
import time
from dataclasses import astuple, dataclass
from threading import Event, Thread

import psycopg

from pgiostat.lab.workload.schema import DEMO, MANIFEST, UPLOAD, VERSION, DataSize

__all__ = ["Mix", "run"]


@dataclass(frozen=True, slots=True)
class Mix:
    """What clients ask for in a second, each request of a client and a table of its own.

    Requests of one client do not follow each other: what its version query has brought into
    shared_buffers is gone again when its manifest is asked for, as with thousands of clients.
    """

    versions: int = 12
    manifests: int = 9
    uploads: int = 15
    manifest_rows: int = 800
    upload_rows: int = 3


def run(
    dsn: str, stop: Event, *, mix: Mix | None = None, size: DataSize = DEMO, seed: int = 1
) -> int:
    """Work until told to stop; return how many requests were answered.

    Requests start on a schedule; a late one is made up for within a second, or never.
    """
    mix = mix or Mix()
    chance = random.Random(seed)  # noqa: S311 - the same work each time, nothing secret
    kinds = [_version] * mix.versions + [_manifest] * mix.manifests + [_upload] * mix.uploads
    answered = 0
    due = time.monotonic()
    with psycopg.connect(dsn, autocommit=True, application_name="sync_api") as connection:
        while not stop.is_set():
            chance.shuffle(kinds)
            for request in kinds:
                request(connection, chance, mix, size)
                answered += 1
                due = max(due + 1 / len(kinds), time.monotonic() - 1)
                if stop.wait(max(0.0, due - time.monotonic())):
                    break
    return answered


Connection = psycopg.Connection[tuple[object, ...]]


def _execute(
    connection: Connection,
    statement: str,
    chance: random.Random,
    size: DataSize,
    values: list[object],
) -> None:
    """Run a statement on some table, for some client."""
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
    payload = f"{version:032d}" * (size.payload // 32 + 1)
    with connection.transaction():
        for _ in range(mix.upload_rows):
            row = chance.randrange(size.rows)
            _execute(connection, UPLOAD, chance, size, [row, version, payload])


def main() -> None:
    """Run until the other end of standard input is closed, or a signal comes."""
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
