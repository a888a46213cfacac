"""Physical reads: pg_stat_kcache's counters joined to statements, and a real server's truth."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pgiostat.analysis.cost import FIELDS, ReadCost, statement_amounts
from pgiostat.analysis.rank import By, rank
from pgiostat.lab.postgres.cluster import Cluster
from pgiostat.statistics import counters
from pgiostat.statistics.capabilities import capabilities
from pgiostat.statistics.difference import diff
from pgiostat.statistics.kcache import PHYSICAL, TRACED, beside
from pgiostat.statistics.names import Names
from pgiostat.statistics.row_deltas import Basis
from pgiostat.statistics.snapshot import Snapshot
from tests.conftest import MakeServer
from tests.support import debian
from tests.support.readings import reading, rows
from tests.support.workloads import Connection, client, collecting, fill

Counts = list[dict[str, int]]


def joined(seconds: float, statements: Counts, kcache: Counts) -> Snapshot:
    """Return a reading of a server with pg_stat_kcache."""
    found = reading(seconds, statements)
    read = rows(counters.KCACHE.select(), kcache, userid=10, dbid=5, top=True)
    object.__setattr__(found, "statements", beside(found.statements, read))
    return found


def test_a_statement_has_what_its_processes_read() -> None:
    older = joined(
        0,
        [{"queryid": 1, "calls": 1, "shared_blks_read": 10}, {"queryid": 2, "calls": 1}],
        [{"queryid": 1, "exec_reads": 8192}, {"queryid": 9, "exec_reads": 5}],
    )
    newer = joined(
        10,
        [
            {"queryid": 1, "calls": 2, "shared_blks_read": 30},
            {"queryid": 2, "calls": 2, "shared_blks_read": 7},
            {"queryid": 3, "calls": 1, "shared_blks_read": 4},
        ],
        [{"queryid": 3, "exec_reads": 4096}, {"queryid": 1, "exec_reads": 5 * 8192}],
    )
    assert newer.statements[PHYSICAL].tolist() == [5 * 8192, 0, 4096]
    assert newer.statements[TRACED].tolist() == [True, False, True]
    delta = diff(older, newer)
    amounts, _ = statement_amounts(delta)
    told = {name: amounts[FIELDS.index(name)].tolist() for name in FIELDS[-2:]}
    assert told == {"physical_bytes": [4 * 8192, 0, 4096], "traced_blocks": [20, 0, 4]}
    cost = rank([delta], names(), by=By.CATEGORY).explained
    assert (cost.physical_bytes_per_s, cost.physical_share) == (3686.4, 36864 / (24 * 8192))


def names() -> Names:
    return Names({}, {5: "app"}, {10: "api"})


def test_a_reset_of_its_own_costs_physical_reads_and_nothing_else() -> None:
    statement = {"queryid": 1, "calls": 5, "shared_blks_read": 10}
    older = joined(0, [statement], [{"queryid": 1, "exec_reads": 9000}])
    grown = statement | {"calls": 7, "shared_blks_read": 13}
    newer = joined(9, [grown], [{"queryid": 1, "exec_reads": 10}])
    delta = diff(older, newer)
    assert delta.statements.rows["shared_blks_read"].tolist() == [3]
    assert delta.statements.rows[PHYSICAL].tolist() == [0]
    assert delta.statements.basis.tolist() == [Basis.UNKNOWN]


def test_without_it_physical_reads_are_unknown_and_not_zero() -> None:
    delta = diff(reading(0, [{"queryid": 1}]), reading(9, [{"queryid": 1, "shared_blks_read": 3}]))
    cost = rank([delta], names()).explained
    assert (cost.blocks, cost.physical_bytes_per_s, cost.physical_share) == (3, None, None)
    missing = {each.name: each.missing for each in capabilities(delta.newer)}
    assert missing["physical_reads"] == "pg_stat_kcache is not installed"
    assert ReadCost(1.0, 8192).physical_bytes_per_s is None


# real servers


@pytest.fixture(scope="module")
def kcached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield Debian's PostgreSQL with pg_stat_kcache."""
    where = tmp_path_factory.mktemp("kcache")
    where.chmod(0o711)
    settings: dict[str, str | int | bool] = {
        "shared_preload_libraries": "pg_stat_statements,pg_stat_kcache",
        "shared_buffers": "16MB", "autovacuum": False, "fsync": False,
        "max_parallel_workers_per_gather": 0,
    }  # fmt: skip
    cluster = Cluster(debian.kcache_binaries(), where / "cluster", settings=settings)
    cluster.initialise()
    with cluster:
        with client(cluster.dsn()) as setup:
            setup.execute("CREATE EXTENSION pg_stat_statements")
            setup.execute("CREATE EXTENSION pg_stat_kcache")
            fill(setup, "big", 60_000)
            fill(setup, "other", 60_000)
        yield cluster
    cluster.destroy()


def forgotten(cluster: Cluster, connection: Connection, table: str) -> None:
    """Have the operating system forget a table's pages."""
    connection.execute("CHECKPOINT")
    row = connection.execute("SELECT pg_relation_filepath(%s)", (table,)).fetchone()
    assert row is not None
    first = cluster.data / row[0]
    assert first.exists()
    for path in first.parent.glob(f"{first.name}*"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def storage_bytes(pid: int) -> int:
    """Return what the kernel says that a process had read from storage."""
    told = Path(f"/proc/{pid}/io").read_text("utf-8")
    return int(re.findall(r"^read_bytes: (\d+)$", told, re.MULTILINE)[0])


@pytest.mark.once
def test_physical_reads_are_those_of_the_server_process(kcached: Cluster) -> None:
    with client(kcached.dsn()) as other, collecting(kcached.dsn()) as collector:
        pid = other.info.backend_pid
        other.execute("SELECT sum(length(pad)) FROM other")  # shared_buffers are full of it
        forgotten(kcached, other, "big")
        older, before = collector.take(), storage_bytes(pid)
        other.execute("SELECT sum(length(pad)) /* cold */ FROM big")
        read = storage_bytes(pid) - before
        if not read:
            pytest.skip("this system's storage is memory: no process reads from it")
        delta = diff(older, collector.take())
    blocks = delta.statements.rows["shared_blks_read"]
    place = int(np.argmax(blocks))
    assert bool(delta.statements.rows[TRACED][place])
    assert read > 0.9 * int(blocks[place]) * 8192
    # Planning and the catalogs are not in it.
    assert abs(int(delta.statements.rows[PHYSICAL][place]) - read) <= 0.01 * read
    cost = rank([delta], names(), by=By.STATEMENT).rows[0].cost
    assert cost.physical_share is not None
    assert 0.9 < cost.physical_share < 1.2


@pytest.mark.once
def test_what_the_systems_cache_answers_is_no_physical_read(kcached: Cluster) -> None:
    with client(kcached.dsn()) as other, collecting(kcached.dsn()) as collector:
        for table in ("big", "other"):
            other.execute(f"SELECT sum(length(pad)) FROM {table}".encode())
        older = collector.take()
        other.execute("SELECT sum(length(pad)) /* warm */ FROM big")
        delta = diff(older, collector.take())
    cost = rank([delta], names(), by=By.STATEMENT).rows[0].cost
    assert cost.blocks > 3000
    assert (cost.physical_bytes, cost.physical_share) == (0, 0.0)
    assert cost.traced_blocks == cost.blocks


def test_servers_without_it_say_so(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    with collecting(server.dsn()) as collector:
        found = collector.take()
    assert found.server.kcache_missing == "pg_stat_kcache is not installed"
    assert PHYSICAL not in found.statements
