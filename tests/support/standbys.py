"""Standbys: servers that replay what another writes, and answer queries."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgiostat.lab.postgres.cluster import Cluster
from tests.support.servers import SETTINGS, ClusterServer
from tests.support.workloads import client, fill

ROWS = 60_000


@contextmanager
def standby_of(primary: ClusterServer, binaries: Path, directory: Path) -> Iterator[ClusterServer]:
    """Yield a hot standby of a server, which gets a table `big` far larger than its buffers."""
    with client(primary.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        fill(setup, "big", ROWS)
    primary.stop()
    password = primary.cluster.passfile.read_text("utf-8").strip().rsplit(":", 1)[-1]
    address = f"host=127.0.0.1 port={primary.cluster.port} user=postgres password={password}"
    copy = Cluster(binaries, directory, settings=SETTINGS | {"primary_conninfo": address})
    copy.initialise(copy_of=primary.cluster)
    signal = copy.data / "standby.signal"
    signal.touch()
    owner = copy.data.stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    primary.start()
    with copy:
        yield ClusterServer(copy)
    copy.destroy()
