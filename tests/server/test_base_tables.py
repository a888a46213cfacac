"""A ranking by table has the tables behind views and partitions, live."""

from pathlib import Path
from threading import Event

import pytest

from pgiostat.analysis.rank import By, rank
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.reports.ranking import ranking_report
from pgiostat.statistics.definitions import Kind
from tests.support.relation_collecting import Collected
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


PARTITIONED = """
INSERT INTO orders SELECT g, '2026-07-01' FROM generate_series(1, 90) AS g;
CREATE SCHEMA old;
CREATE TABLE old.cold PARTITION OF orders FOR VALUES FROM (MINVALUE) TO ('2026-06-01');
INSERT INTO old.cold VALUES (1, '2026-01-01');
CREATE TABLE alone (id int);
INSERT INTO alone VALUES (1);
"""
MOST_STEPS = 300


def test_a_partition_of_a_history_counts_for_its_table(database: str, tmp_path: Path) -> None:
    with client(database) as setup:
        for each in (TABLES + PARTITIONED).split(";\n"):
            setup.execute(each.encode())
    found = Collected(database, tmp_path)
    found.step()
    named = {"hot_low": 3, "orders_hot": 2, "old.cold": 1, "orders": 1, "alone": 1}
    with client(database) as other:
        for name, count in named.items():
            for _ in range(count):
                run(other, f"SELECT count(*) AS {name.replace('.', '_')} FROM {name}")
    relations = found.sampler.relations
    assert relations is not None
    for _ in range(MOST_STEPS):  # before PostgreSQL 15 a server reports what was read later
        found.step()
        if sum(each.kind == Kind.PARTITION for each in relations.definitions.values()) == 3:
            break
    found.close()
    history = History.open(tmp_path)
    (server,) = history.servers()
    window = Window(server.since, server.until)
    rows = ranking_report(history, window, describer(), by=By.TABLE).ranking.rows
    calls = {row.name: row.cost.calls for row in rows}
    assert (calls["orders"], calls["alone"]) == (7, 1)
    assert not {"hot_low", "orders_hot", "old.cold", "cold"} & calls.keys()
    partitions = {
        row["name"]: row["text"]
        for row in history.dimension("definition")
        if row["kind"] == "partition"
    }
    assert partitions == {
        "public.hot_low": "public.orders",
        "public.orders_hot": "public.orders",
        "old.cold": "public.orders",
    }
    history.close()


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
