"""Reports by index, relation and table equal what the server's own views count."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row

from tests.support.program import run_program
from tests.support.relation_collecting import Collected
from tests.support.settling import quiet
from tests.support.workloads import client, collecting

HOSTILE = '=1|<b>`x`\x1b[31m\u202e"'
TABLE = """
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, pad text) WITH (fillfactor = 70);
INSERT INTO orders SELECT g, g % 100, repeat('x', 400) FROM generate_series(1, 4000) AS g;
CREATE INDEX orders_customer ON orders (customer_id);
"""
INDEXES = """
SELECT s.indexrelname AS name, s.idx_scan, s.idx_tup_read, s.idx_tup_fetch,
       io.idx_blks_read AS blocks_read, io.idx_blks_hit AS shared_blks_hit,
       c.relpages * 8192::int8 AS size_bytes
FROM pg_stat_all_indexes AS s
JOIN pg_statio_all_indexes AS io USING (indexrelid)
JOIN pg_class AS c ON c.oid = s.indexrelid
WHERE s.relname = 'orders'
"""
TABLES = """
SELECT s.relname AS name, s.seq_scan, s.seq_tup_read, s.idx_scan, s.idx_tup_fetch, s.n_dead_tup
FROM pg_stat_all_tables AS s
WHERE s.relname = 'orders'
"""


def counted(dsn: str, query: str) -> dict[str, dict[str, Any]]:
    """Return rows of a view by name."""
    with client(dsn) as other:
        cursor = other.cursor(row_factory=dict_row)
        return {row.pop("name"): row for row in cursor.execute(query.encode()).fetchall()}


def difference(
    after: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]
) -> dict[str, dict[str, int]]:
    return {
        name: {key: value - before[name][key] for key, value in row.items()}
        for name, row in after.items()
    }


def report(history: Path, by: str) -> list[dict[str, str]]:
    environment = {"HOME": str(history), "PATH": ""}
    found = run_program("report", history, "--by", by, "--format", "csv", environment=environment)
    assert found.returncode == 0, found.stderr
    return list(csv.DictReader(io.StringIO(found.stdout)))


def run(dsn: str, *statements: str) -> None:
    """Run statements in a session that ends."""
    with client(dsn) as other:
        for statement in statements:
            other.execute(statement.encode())


@pytest.fixture
def worked(database: str, tmp_path: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Return a history of a workload, and what the views counted of its indexes and table."""
    run(database, TABLE, "CREATE UNIQUE INDEX hostile ON orders (customer_id, id)")
    quoted = HOSTILE.replace('"', '""')
    run(database, f'ALTER INDEX hostile RENAME TO "{quoted}"', "VACUUM (FREEZE, ANALYZE) orders")
    history = tmp_path / "history"
    with collecting(database) as collector:
        quiet(collector)
        collected = Collected(database, history)
        collected.step()
        before = counted(database, INDEXES), counted(database, TABLES)
        run(
            database,
            "SET max_parallel_workers_per_gather = 0",
            "SET enable_bitmapscan = off",
            *(f"SELECT pad FROM orders WHERE id = {n}" for n in range(1, 31)),
            *(f"SELECT pad FROM orders WHERE customer_id = {n}" for n in range(10)),
            "SELECT count(pad) FROM orders",
            "UPDATE orders SET pad = 'u' WHERE id = 7",
        )
        quiet(collector)
        collected.step()
        quiet(collector)
        collected.step()
        after = counted(database, INDEXES), counted(database, TABLES)
        collected.close()
    assert collected.errors == []
    sizes = {name: row["size_bytes"] for name, row in after[0].items()}
    indexes = difference(after[0], before[0])
    for name, row in indexes.items():
        row["size_bytes"] = sizes[name]
    return history, indexes, difference(after[1], before[1])


def test_indexes_and_tables_have_what_the_views_counted(
    worked: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    history, indexes, tables = worked
    rows = {row["index"]: row for row in report(history, "index") if row["relation"]}
    shown = {
        "orders_pkey": "public.orders_pkey on public.orders",
        "orders_customer": "public.orders_customer on public.orders",
        HOSTILE: 'public.=1|<b>`x`\\u001b[31m\\u202e" on public.orders',
    }
    moved = {name: row for name, row in indexes.items() if row["idx_scan"]}
    assert {"orders_pkey", "orders_customer"} <= moved.keys()
    assert moved["orders_pkey"]["idx_scan"] >= 31
    for name, expected in moved.items():
        row = rows[shown[name]]
        assert {key: int(row[key]) for key in expected} == expected
        seconds = float(row["seconds"])
        assert float(row["scans_per_s"]) == pytest.approx(expected["idx_scan"] / seconds, rel=1e-4)
        assert float(row["rows_per_scan"]) == pytest.approx(
            expected["idx_tup_read"] / expected["idx_scan"], rel=1e-4
        )
    assert rows[shown["orders_pkey"]]["constraint"] == "primary key"
    assert rows[shown["orders_pkey"]]["definition"] == (
        "CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)"
    )
    expected = tables["orders"]
    assert expected["seq_scan"] == 1
    for by, name in (("relation", "public.orders"), ("table", "orders")):
        (row,) = (row for row in report(history, by) if row[by] == name)
        assert {
            "seq_scan": int(row["seq_scan"]),
            "seq_tup_read": int(row["seq_tup_read"]),
            "idx_scan": int(row["idx_scan"]),
            "idx_tup_fetch": int(row["idx_tup_fetch"]),
            "n_dead_tup": int(row["dead_rows"]),
        } == expected


def test_the_parts_add_up_to_what_the_database_read(
    worked: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    rows = report(worked[0], "index")
    of_rows = [row for row in rows if row["part"] == "row"]
    assert of_rows
    whole = sum(int(row["blocks_read"]) for row in rows)
    by_relation = sum(int(row["blocks_read"]) for row in report(worked[0], "relation"))
    assert whole == by_relation
