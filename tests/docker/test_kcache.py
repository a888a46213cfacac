"""Physical reads of a server in a container, with pg_stat_kcache as Debian packages it."""

import re

import numpy as np
import pytest

from pgiostat.analysis.rank import By, rank
from pgiostat.statistics.capabilities import capabilities
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.kcache import PHYSICAL, TRACED
from pgiostat.statistics.names import Names
from tests.conftest import MakeServer
from tests.docker.containers import ContainerServer
from tests.support.workloads import Connection, client, collecting, fill

pytestmark = pytest.mark.container

ROWS = 60_000
LEAST = 3_000
"""Blocks that a scan reads at least: the table has more, and buffers hold some."""
WORKERS = "io_method is worker: I/O workers read for statements"


def kcached(make_server: MakeServer, **settings: str | int | bool) -> ContainerServer:
    """Return a server with pg_stat_kcache, and tables that its buffers do not hold."""
    server = make_server(max_parallel_workers_per_gather=0, **settings)
    assert isinstance(server, ContainerServer)
    if not server.offers("pg_stat_kcache"):
        pytest.skip("the image has no pg_stat_kcache")
    with client(server.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        setup.execute("CREATE EXTENSION pg_stat_kcache")
        fill(setup, "big", ROWS)
        fill(setup, "other", ROWS)
    return server


def forget(server: ContainerServer, connection: Connection, table: str) -> None:
    """Have the operating system forget a table's pages."""
    connection.execute("CHECKPOINT")
    row = connection.execute(
        "SELECT current_setting('data_directory') || '/' || pg_relation_filepath(%s)", (table,)
    ).fetchone()
    assert row is not None
    server.run("sync", row[0])
    server.run("dd", f"if={row[0]}", "iflag=nocache", "count=0", "status=none")


def storage_bytes(server: ContainerServer, pid: int) -> int:
    """Return what the kernel says that a process had read from storage."""
    told = server.run("cat", f"/proc/{pid}/io")
    return int(re.findall(r"^read_bytes: (\d+)$", told, re.MULTILINE)[0])


def cold(server: ContainerServer) -> tuple[Delta, int]:
    """Return what a scan of a cold table counted, and what its process had read."""
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        pid = other.info.backend_pid
        other.execute("SELECT sum(length(pad)) FROM other")  # shared_buffers are full of it
        forget(server, other, "big")
        older, before = collector.take(), storage_bytes(server, pid)
        other.execute("SELECT sum(length(pad)) /* cold */ FROM big")
        read = storage_bytes(server, pid) - before
        return diff(older, collector.take()), read


@pytest.mark.pg(">= 18")
def test_physical_reads_are_those_of_the_server_process(make_server: MakeServer) -> None:
    server = kcached(make_server, io_method="sync")
    delta, read = cold(server)
    if not read:
        pytest.skip("this system's storage is memory: no process reads from it")
    blocks = delta.statements.rows["shared_blks_read"]
    place = int(np.argmax(blocks))
    assert bool(delta.statements.rows[TRACED][place])
    assert read > 0.9 * int(blocks[place]) * 8192
    # Planning and the catalogs are not in it.
    assert abs(int(delta.statements.rows[PHYSICAL][place]) - read) <= 0.01 * read
    cost = rank([delta], Names(), by=By.STATEMENT).rows[0].cost
    assert cost.physical_share is not None
    assert 0.9 < cost.physical_share < 1.2


@pytest.mark.pg(">= 18")
def test_what_other_processes_read_for_a_statement_is_unknown_and_not_zero(
    make_server: MakeServer,
) -> None:
    server = kcached(make_server, io_method="worker")
    delta, _ = cold(server)
    cost = rank([delta], Names()).explained
    assert cost.blocks > LEAST
    assert cost.traced_blocks == 0
    assert (cost.physical_bytes_per_s, cost.physical_share) == (None, None)
    missing = {each.name: each.missing for each in capabilities(delta.newer)}
    assert missing["physical_reads"] == WORKERS
