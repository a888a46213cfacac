"""Faults of the lab's systems: each changes a server, and is taken back without a trace."""

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


def highest(
    targets: FaultTargets, *, prepared: bool = False
) -> list[tuple[InjectableFault, FaultTarget]]:
    """Return each fault at its highest severity: others differ in numbers alone.

    Args:
        targets: Where the faults hit.
        prepared: Those that need a table prepared, which stays so; else the others.
    """
    found = {fault.name: (fault, target) for fault, _, target in injections(targets)}
    return [each for each in found.values() if bool(each[1].prepare) == prepared]


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
    assert changed == (fault.name not in NOTHING_CHANGES), fault.name
    execute(dsn, incident.back, alone=incident.alone)
    assert state(dsn) == shape, fault.name


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


def test_the_faults_of_the_sync_system_are_taken_back(sync_dsn: str) -> None:
    for fault, target in highest(sync.TARGETS):
        inject_and_take_back(sync_dsn, fault, target)


def test_the_faults_of_the_shop_are_taken_back(shop_dsn: str) -> None:
    for fault, target in highest(shop.TARGETS):
        inject_and_take_back(shop_dsn, fault, target)


@pytest.mark.parametrize(("fault", "target"), highest(sync.TARGETS, prepared=True))
def test_a_fault_of_a_prepared_table_of_the_sync_system_is_taken_back(
    sync_dsn: str, fault: InjectableFault, target: FaultTarget
) -> None:
    inject_and_take_back(sync_dsn, fault, target)


@pytest.mark.parametrize(("fault", "target"), highest(shop.TARGETS, prepared=True))
def test_a_fault_of_a_prepared_table_of_the_shop_is_taken_back(
    shop_dsn: str, fault: InjectableFault, target: FaultTarget
) -> None:
    inject_and_take_back(shop_dsn, fault, target)
