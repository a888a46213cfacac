"""Clients that ask for versions and manifests, and upload."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tests.support.workloads import client, run

VERSION = "SELECT max(row_version) FROM customer WHERE client_id = {i}"
MANIFEST = "SELECT id, row_version FROM customer WHERE client_id = {i} AND id < 200 ORDER BY id"
UPLOAD = (
    "INSERT INTO customer (client_id, id, row_version, payload)"
    " VALUES ({i}, 7, {i}, repeat('y', 800))"
    " ON CONFLICT (client_id, id) DO UPDATE SET row_version = excluded.row_version"
)


@contextmanager
def syncing(dsn: str) -> Iterator[None]:
    """Let clients ask for versions and manifests and upload, until the block ends."""
    with client(dsn) as setup:
        setup.execute(
            "CREATE TABLE customer (client_id int, id int, row_version bigint, payload text,"
            " PRIMARY KEY (client_id, id))"
        )
        # A client's rows lie scattered: they came one by one, each among those of all others.
        setup.execute(
            "INSERT INTO customer SELECT i % 100, i / 100, i, repeat('x', 800)"
            " FROM generate_series(1, 60000) AS i"
        )
        setup.execute("VACUUM (ANALYZE) customer")
    stop = Event()

    def work() -> None:
        with client(dsn) as other:
            turn = 0
            while not stop.is_set():
                turn += 1
                # Each for another client: what one has read is of no use to the next.
                for place, statement in enumerate((VERSION, MANIFEST, UPLOAD)):
                    run(other, statement.format(i=(turn * 17 + place * 31) % 100))

    worker = Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()
