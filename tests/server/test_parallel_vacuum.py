"""Workers of a parallel vacuum: autovacuum's are autovacuum, VACUUM's are in its statement."""

import re
from threading import Event

import pytest

from pgiostat.analysis.server_reads import reads_of
from pgiostat.lab.postgres.cluster import Setting
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from tests.conftest import MakeServer
from tests.support.servers import ClusterServer, Server
from tests.support.settling import quiet
from tests.support.workloads import by_text, client, collecting

pytestmark = pytest.mark.pg(">= 19")

SETTINGS: dict[str, Setting] = {
    "autovacuum": True,
    "autovacuum_naptime": "1s",
    "autovacuum_max_parallel_workers": 2,
    "autovacuum_vacuum_cost_delay": 0,
    "log_autovacuum_min_duration": 0,
    "min_parallel_index_scan_size": 0,
    "shared_buffers": "4MB",
}


def _fill(server: Server) -> None:
    """Fill a table with four indexes of 550 blocks each; every fifth row is dead."""
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute(
            "CREATE TABLE t (a int, b int, c int, d int)"
            " WITH (autovacuum_enabled = off, autovacuum_analyze_threshold = 1000000)"
        )
        other.execute("INSERT INTO t SELECT g, g, g, g FROM generate_series(1, 200000) AS g")
        for column in "abcd":
            other.execute(f"CREATE INDEX ON t ({column})".encode())
        other.execute("DELETE FROM t WHERE a % 5 = 0")


def test_workers_of_a_parallel_autovacuum_are_autovacuum(make_server: MakeServer) -> None:
    server = make_server(**SETTINGS)
    assert isinstance(server, ClusterServer)
    _fill(server)
    with collecting(server.dsn()) as collector:
        older = quiet(collector)
        with client(server.dsn()) as other:
            other.execute("ALTER TABLE t SET (autovacuum_enabled = on)")
        for _ in range(600):
            report = _report(server.cluster.log_since_start())
            if report:
                break
            Event().wait(0.1)
        delta = diff(older, quiet(collector))
    planned, launched = map(int, re.findall(r"(\d+) planned, (\d+) launched", report)[0])
    assert planned == launched == 2
    read = int(re.findall(r"(\d+) reads", report)[0])
    assert _read_by_helpers(delta) > 100
    counted = reads_of(delta).autovacuum_blocks or 0
    # Other tables, of the catalogs, are vacuumed too.
    assert read <= counted <= read + 500


def _read_by_helpers(delta: Delta) -> int:
    assert delta.io is not None
    rows = delta.io.rows
    helped = (rows["backend_type"] == b"background worker") & (rows["context"] == b"vacuum")
    return int(rows["reads"][helped].sum())


def _report(log: str) -> str:
    """Return what autovacuum logged of the table; empty if it has not vacuumed it yet."""
    found = re.search(
        r'automatic vacuum of table "postgres\.public\.t".*?system usage', log, re.DOTALL
    )
    return found[0] if found else ""


def test_workers_of_a_vacuum_are_in_its_statement(make_server: MakeServer) -> None:
    server = make_server(**SETTINGS | {"autovacuum": False})
    _fill(server)
    with collecting(server.dsn()) as collector:
        older = quiet(collector)
        with client(server.dsn()) as other:
            other.execute("VACUUM (PARALLEL 2) t")
        delta = diff(older, quiet(collector))
        ((calls, read, _),) = by_text(collector, delta, "VACUUM").values()
    assert calls == 1
    assert _read_by_helpers(delta) > 100
    found = reads_of(delta)
    assert found.autovacuum_blocks == 0
    assert read <= (found.blocks or 0) <= read + 500
