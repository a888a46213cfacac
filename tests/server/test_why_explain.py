"""`pgiostat why --explain` on a recorded history and its server."""

import json
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from benchmarks.recorded_minutes import RecordedMinutes
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.session import connect
from tests.conftest import MakeServer
from tests.support.program import run_program
from tests.support.servers import Server
from tests.support.workloads import client

pytestmark = [pytest.mark.server, pytest.mark.pg(">= 18")]

SHOP = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE order_items (id int PRIMARY KEY, order_id int, pad text)
    WITH (autovacuum_enabled = off);
INSERT INTO order_items
    SELECT i, 1 + i % 10000, repeat('x', 380) FROM generate_series(1, 40000) AS i;
CREATE ROLE monitor LOGIN PASSWORD 'm' IN ROLE pg_monitor
"""


@pytest.fixture
def shop(make_server: MakeServer, tmp_path: Path) -> Server:
    """Return a server whose first minutes are in the history `h`."""
    server = make_server(shared_buffers="16MB", autovacuum="off")
    with client(server.dsn()) as admin:
        for statement in SHOP.split(";"):
            admin.execute(statement.encode())
        admin.execute("VACUUM (FREEZE, ANALYZE)")
    recorded = RecordedMinutes(server.dsn(), tmp_path / "h", "shop")

    def work(minute: int) -> None:
        with client(server.dsn()) as customer:
            for n in range(20):
                customer.execute("SELECT pad FROM order_items WHERE order_id = %s", (minute + n,))
            customer.execute("SELECT pg_stat_force_next_flush()")
            customer.execute("SELECT")

    recorded.minutes(3, work)
    recorded.minutes(3, work)
    recorded.close()
    return server


def _why(tmp_path: Path, dsn: str, form: str = "text") -> str:
    found = run_program(
        "why",
        "order_id = ",
        dsn,
        "--history",
        tmp_path / "h",
        "--since",
        "2026-12-01T09:03:00Z",
        "--against",
        "3m",
        "--explain",
        "--format",
        form,
        environment={"COLUMNS": "120", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert found.stderr == ""
    return found.stdout


SENTENCES = """\
  plan: Seq Scan reads all 2,106 blocks of order_items, about 2,106 blocks per call
    generic plan as postgres, search_path = "postgres", public; shape 8759ad2448bd6347
"""
NODES = """\
plan of order_items · order_id = $ · pad  rows blocks
▶ Seq Scan on order_items                    4  2,106
      Filter: (order_items.order_id = $1)
"""
IN_MARKDOWN = """\
| `plan of order_items · order_id = $ · pad` | rows | blocks |
|---|---:|---:|
| `▶ Seq Scan on order_items` | 4 | 2,106 |
| `      Filter: (order_items.order_id = $1)` |  |  |
"""
DENIED = """\
  no plan: monitor may not plan it: permission denied for table order_items
    One of these allows it:
    GRANT SELECT ON "public"."order_items" TO "monitor";
    GRANT pg_read_all_data TO "monitor";
"""


def test_the_plan_stands_below_the_statement(shop: Server, tmp_path: Path) -> None:
    written = _why(tmp_path, shop.dsn())
    assert SENTENCES in written
    assert NODES in written
    assert IN_MARKDOWN in _why(tmp_path, shop.dsn(), "markdown")
    (statement,) = json.loads(_why(tmp_path, shop.dsn(), "json"))["statements"]
    assert statement["plan"] == {
        "shape": "8759ad2448bd6347",
        "role": "postgres",
        "statement_role": "postgres",
        "search_path": '"postgres", public',
        "settings": {},
        "marked": 0,
        "nodes": [
            {
                "depth": 0,
                "node": "Seq Scan",
                "schema": "public",
                "relation": "order_items",
                "alias": "order_items",
                "index": None,
                "join_type": None,
                "conditions": {"Filter": "(order_items.order_id = $1)"},
                "rows": 4.0,
                "total_cost": 2606.0,
                "blocks": 2106.0,
                "reads": "reads all 2,106 blocks of order_items",
            }
        ],
    }


def test_what_may_not_be_planned_says_which_grant_allows_it(shop: Server, tmp_path: Path) -> None:
    monitor = make_conninfo(shop.dsn(), user="monitor", password="m")
    written = _why(tmp_path, monitor)
    assert DENIED in written
    assert "plan of" not in written
    (statement,) = json.loads(_why(tmp_path, monitor, "json"))["statements"]
    assert statement["plan"] == {
        "reason": "monitor may not plan it: permission denied for table order_items",
        "hint": "One of these allows it:",
        "statements": [
            'GRANT SELECT ON "public"."order_items" TO "monitor";',
            'GRANT pg_read_all_data TO "monitor";',
        ],
    }


def test_nothing_is_planned_without_being_requested(shop: Server, tmp_path: Path) -> None:
    found = run_program(
        "why",
        "order_id = ",
        "--history",
        tmp_path / "h",
        "--since",
        "2026-12-01T09:03:00Z",
        "--against",
        "3m",
        "--format",
        "json",
        environment={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert json.loads(found.stdout)["statements"][0]["plan"] is None
    with client(shop.dsn()) as admin:
        counted = "SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'EXPLAIN%'"
        assert admin.execute(counted).fetchone() == (0,)


def test_our_explain_is_our_own_statement(shop: Server, tmp_path: Path) -> None:
    _why(tmp_path, shop.dsn())
    session = connect(shop.dsn())
    server = session.server
    own = Own.of(server.userid, server.dbid, session.sent_sql())
    session.close()
    with client(shop.dsn()) as admin:
        texts = admin.execute(
            "SELECT query FROM pg_stat_statements WHERE query LIKE 'EXPLAIN%'"
        ).fetchall()
    assert len(texts) == 1
    assert own.includes(server.userid, server.dbid, texts[0][0])
    assert not own.includes(server.userid + 1, server.dbid, texts[0][0])
    assert not own.includes(server.userid, server.dbid, f"{texts[0][0]} ; drop")
