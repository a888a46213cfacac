"""Faults of the lab's systems: each changes a server, and is taken back without a trace."""

from collections.abc import Iterator

import psycopg
import pytest

from pgiostat.lab.faults.fault import FaultTarget, FaultTargets, InjectableFault
from pgiostat.lab.faults.library import injections
from pgiostat.lab.workload import faults as sync
from pgiostat.lab.workload import schema
from pgiostat.lab.workload.shop import faults as shop
from pgiostat.lab.workload.shop import rows
from tests.conftest import MakeServer
from tests.support.workloads import client

pytestmark = [pytest.mark.server, pytest.mark.once, pytest.mark.long]

SHAPE = """
SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid >= 16384 AND indexrelid::regclass::text NOT LIKE 'pg_toast.%'
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid >= 16384
UNION ALL SELECT 'column', attrelid::regclass::text || '.' || attname,
    concat(attstorage, ' ', attoptions) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attrelid >= 16384 AND relkind IN ('r', 'p') AND attnum > 0
UNION ALL SELECT 'table', oid::regclass::text, concat(reloptions) FROM pg_class
    WHERE oid >= 16384 AND relkind IN ('r', 'p')
UNION ALL SELECT 'setting', name, setting FROM pg_file_settings
    WHERE sourcefile LIKE '%postgresql.auto.conf'
"""
NOTHING_CHANGES = {
    "report started",
    "working set outgrown",
    "cold restart",
    "calls tripled",
    "more rows",
    "skip bug",
}
"""The fault is in the traffic, or the server restarts."""

State = set[tuple[str, str, str]]


def execute(dsn: str, statements: tuple[str, ...], *, alone: bool) -> None:
    with psycopg.connect(dsn, autocommit=alone) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def state(dsn: str) -> State:
    """Return definitions, settings and the rows of each table."""
    with client(dsn) as connection:
        found = set(connection.execute(SHAPE.encode()).fetchall())
        tables = [name for kind, name, _ in found if kind == "table"]
        for name in tables:
            digest = f"SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {name} AS t"
            row = connection.execute(digest.encode()).fetchone()
            found.add(("rows", name, str(row and row[0])))
    return found


def places(dsn: str, table: str) -> State:
    """Return where the rows of a table lie, its visible pages, and its columns' statistics."""
    with client(dsn) as connection:
        digest = f"SELECT md5(string_agg(ctid::text, ',' ORDER BY t::text)) FROM {table} AS t"
        row = connection.execute(digest.encode()).fetchone()
        statistics = connection.execute(
            "SELECT 'statistics', starelid::regclass || '.' || staattnum, stadistinct::text"
            " FROM pg_statistic WHERE starelid >= 16384"
        ).fetchall()
    return {("places", table, str(row and row[0])), *statistics}


def cases(targets: FaultTargets) -> Iterator[object]:
    for fault, severity, target in injections(targets):
        yield pytest.param(fault, target, id=f"{fault.name}, {severity}")


def inject_and_take_back(dsn: str, fault: InjectableFault, target: FaultTarget) -> None:
    """Assert that a fault changes the server, and leaves nothing when it is taken back."""
    incident = fault.on(target)
    execute(dsn, target.prepare, alone=True)
    tables = [each.strip() for each in target.table.split(",")]

    def everything() -> State:
        whole = state(dsn)
        existing = {name for kind, name, _ in whole if kind == "table"}
        return whole.union(*(places(dsn, each) for each in tables if each in existing))

    before, shape = everything(), state(dsn)
    execute(dsn, incident.cause, alone=incident.alone)
    changed = everything() != before
    assert changed == (fault.name not in NOTHING_CHANGES)
    execute(dsn, incident.back, alone=incident.alone)
    assert state(dsn) == shape


@pytest.fixture
def sync_dsn(make_server: MakeServer) -> str:
    dsn = make_server().dsn()
    schema.create(dsn, "secret")
    schema.load(dsn, schema.DataSize(clients=8, rows=100))
    return dsn


@pytest.fixture
def shop_dsn(make_server: MakeServer) -> str:
    dsn = make_server().dsn()
    schema.create(dsn, "secret", "shop")
    rows.load(dsn, rows.ShopSize(products=400, customers=100, baskets=80, orders=500))
    return dsn


@pytest.mark.parametrize(("fault", "target"), [*cases(sync.TARGETS)])
def test_a_fault_of_the_sync_system_is_taken_back(
    sync_dsn: str, fault: InjectableFault, target: FaultTarget
) -> None:
    inject_and_take_back(sync_dsn, fault, target)


@pytest.mark.parametrize(("fault", "target"), [*cases(shop.TARGETS)])
def test_a_fault_of_the_shop_is_taken_back(
    shop_dsn: str, fault: InjectableFault, target: FaultTarget
) -> None:
    inject_and_take_back(shop_dsn, fault, target)
