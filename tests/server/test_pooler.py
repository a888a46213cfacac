"""PgBouncer in between: it takes no settings of ours, and hands our connection on to others."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.analysis.rank import rank
from pgiostat.lab.postgres.cluster import free_port
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from tests.conftest import MakeServer
from tests.support import debian
from tests.support.program import pgiostat, watch_once
from tests.support.servers import ClusterServer
from tests.support.workloads import client, collecting, fill

pytestmark = pytest.mark.once

PATIENCE_SECONDS = 10


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a directory that the pooler's user may enter."""
    with tempfile.TemporaryDirectory(prefix="pgiostat-pooler-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def pooled(server: ClusterServer, place: Path, mode: str) -> Iterator[str]:
    """Yield the connection string of a pooler before a server."""
    program, environment = debian.pooler()
    password = server.cluster.passfile.read_text("utf-8").strip().rsplit(":", 1)[-1]
    port = free_port()
    (place / "users.txt").write_text(f'"postgres" "{password}"\n')
    (place / "pgbouncer.ini").write_text(
        f"""
        [databases]
        postgres = host=127.0.0.1 port={server.cluster.port}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = plain
        auth_file = {place / "users.txt"}
        pool_mode = {mode}
        default_pool_size = 2
        """
    )
    owner = server.cluster.data.stat()
    for path in (place, *place.iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid)
    user, group = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
    dsn = make_conninfo(
        host="127.0.0.1", port=port, dbname="postgres", user="postgres", password=password
    )
    with subprocess.Popen(
        [str(program), str(place / "pgbouncer.ini")],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        user=user, group=group,
    ) as process:  # fmt: skip
        try:
            _reached(dsn)
            yield dsn
        finally:
            process.terminate()


def _reached(dsn: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            Event().wait(0.05)
        else:
            return


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_reads_are_counted_through_a_pooler_and_the_pooler_is_told(
    make_server: MakeServer, place: Path, mode: str
) -> None:
    server = make_server()
    assert isinstance(server, ClusterServer)
    with client(server.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        fill(setup, "big", 60_000)
    with pooled(server, place, mode) as dsn:
        told = json.loads(pgiostat("doctor", dsn, "--format", "json").stdout)
        states = {each["aspect"]: each["state"] for each in told["findings"]}
        assert (states["pooler"], "error" in states.values()) == ("warning", False)
        done = watch_once(dsn, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout.splitlines()[-1])["qualities"] == ["ok"]
        with collecting(dsn) as collector:
            older = collector.take()
            with client(server.dsn()) as other:
                other.execute("SELECT sum(client_id) FROM big")
            # Another's session takes the server connection that was ours.
            with psycopg.connect(dsn, autocommit=True) as other:
                other.execute("SELECT sum(client_id) FROM big")
                delta = diff(older, collector.take())
        assert delta.qualities == (Quality.OK,)
        assert rank([delta], Names()).explained.blocks > 4_000


def test_behind_a_pooler_a_limit_that_ends_our_session_is_named(
    make_server: MakeServer, place: Path
) -> None:
    server = make_server()
    assert isinstance(server, ClusterServer)
    with client(server.dsn()) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        conn.execute("ALTER DATABASE postgres SET transaction_timeout = '1ms'")
    with pooled(server, place, "session") as dsn:
        done = watch_once(dsn)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "pgiostat: error: the server ended our session because of transaction_timeout\n"
        "DETAIL:  Terminating connection due to transaction timeout.\n"
        'HINT:  ALTER ROLE "postgres" RESET transaction_timeout;'
    ), done.stderr
