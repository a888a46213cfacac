"""A ranking by table has the tables behind views and partitions, live."""

from threading import Event

import pytest

from pgiostat.analysis.rank import By, rank
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from tests.support.workloads import client, run

pytestmark = pytest.mark.ends

TABLES = """
CREATE SCHEMA crm;
CREATE TABLE orders (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE orders_hot PARTITION OF orders FOR VALUES FROM ('2026-06-01') TO (MAXVALUE)
    PARTITION BY RANGE (id);
CREATE TABLE hot_low PARTITION OF orders_hot FOR VALUES FROM (0) TO (100);
CREATE TABLE crm.lead (id int);
CREATE VIEW open_orders AS SELECT * FROM orders_hot WHERE id > 0;
CREATE VIEW crm.open_leads AS SELECT * FROM crm.lead;
CREATE VIEW latest AS SELECT * FROM open_orders;
CREATE VIEW lead_orders AS SELECT orders.id FROM orders JOIN crm.lead USING (id);
CREATE VIEW crm.twice AS SELECT * FROM crm.lead;
CREATE TABLE twice (id int);
"""
READ = {
    "hot_low": "orders",
    "orders_hot": "orders",
    "open_orders": "orders",
    "latest": "orders",
    "crm.open_leads": "crm.lead",
    "lead_orders": "lead_orders",  # of several tables
    "twice": "twice",  # a table of one schema, a view of another
}


@pytest.mark.parametrize("by_table", [True, False])
def test_a_view_and_a_partition_count_for_their_table(database: str, by_table: bool) -> None:  # noqa: FBT001
    with client(database) as setup:
        for each in TABLES.split(";\n"):
            setup.execute(each.encode())
    sampler = Sampler(database, 0.1, describer(), Event().wait, by_table=by_table)
    results = sampler.intervals()
    assert next(results).error is None
    with client(database) as other:
        for name in READ:
            run(other, f"SELECT count(*) AS {name.replace('.', '_')} FROM {name}")
        other.execute("BEGIN")
        other.execute("DECLARE page CURSOR FOR SELECT * FROM latest")
        other.execute("FETCH 10 FROM page")
        other.execute("COMMIT")
    delta = next(results).delta
    assert delta is not None
    results.close()  # type: ignore[attr-defined]
    calls = {row.name: row.cost.calls for row in rank([delta], sampler.names, by=By.TABLE).rows}
    tables = [table if by_table else name for name, table in READ.items()]
    tables += ["orders" if by_table else "latest"] * 2  # DECLARE and FETCH
    assert {name: count for name, count in calls.items() if name in tables} == {
        name: tables.count(name) for name in tables
    }
    statements = sampler.names.statements.values()
    assert {each.action for each in statements} >= {f"select {name}" for name in READ}
