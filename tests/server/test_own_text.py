"""Copied statements are the server's own, and EXPLAIN (GENERIC_PLAN) takes them."""

from collections.abc import Iterator

import psycopg
import pytest

from pgiostat.queries.fingerprint import normalize
from pgiostat.queries.own_text import explainable, numbered, own_text
from tests.conftest import MakeServer
from tests.support.servers import Connection
from tests.support.workloads import shown_by_the_server

pytestmark = pytest.mark.ends

TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total numeric(10,2), at timestamptz,
    state text, meta jsonb);
CREATE TABLE order_items (id int PRIMARY KEY, order_id int, quantity int, price numeric(10,2));
"""
SHAPES = (
    "SELECT * FROM orders WHERE id = 1",
    (
        "SELECT orders.id AS orders_id, orders.total AS orders_total\nFROM orders\n"
        "WHERE orders.customer_id = 7 ORDER BY orders.id DESC LIMIT 20"
    ),
    (
        "SELECT anon_1.oid, order_items_1.id FROM (SELECT orders.id AS oid FROM orders WHERE"
        " orders.customer_id = 7 LIMIT 5) AS anon_1 LEFT OUTER JOIN order_items AS order_items_1 ON"
        " order_items_1.order_id = anon_1.oid"
    ),
    "SELECT id FROM order_items WHERE order_id IN (1, 2, 3)",
    "SELECT id FROM order_items WHERE order_id = ANY('{1,2}'::int[])",
    (
        'SELECT "orders"."id" FROM "orders" WHERE ("orders"."state" LIKE \'a%\' AND'
        " EXISTS(SELECT 1 AS"
        ' "a" FROM "order_items" U0 WHERE U0."order_id" = ("orders"."id") LIMIT 1))'
    ),
    "SELECT id FROM orders WHERE at > now() - interval '1 day'",
    "SELECT id FROM orders WHERE at > now() - INTERVAL '1' DAY",
    "SELECT id FROM orders WHERE at > now() - '1 day'::interval AND at < date'2026-11-30'",
    (
        "SELECT id FROM orders WHERE at BETWEEN date '2026-01-01' AND timestamp with time zone"
        " '2026-02-01 00:00Z'"
    ),
    "SELECT id, timestamp(3) '2026-01-01' FROM orders WHERE total > numeric '1.5'",
    "SELECT extract(year FROM at), date_trunc('day', at), count(*) FROM orders GROUP BY 1, 2",
    (
        "SELECT customer_id, sum(total) FROM orders GROUP BY customer_id HAVING count(*)"
        " > 5 ORDER BY"
        " 2 DESC"
    ),
    "SELECT id FROM orders WHERE meta @> '{}' AND meta->>'a' = 'b' AND meta ? 'c'",
    "SELECT id FROM orders WHERE total > 5::numeric(10, 2) FETCH FIRST 3 ROWS ONLY",
    (
        "SELECT substring(state from 1 for 2), position('a' in state), trim(both 'x' from state)"
        " FROM orders WHERE state ILIKE 'a' ESCAPE '!'"
    ),
    "SELECT id, at AT TIME ZONE 'UTC', sum(total) OVER (ORDER BY id ROWS 3 PRECEDING) FROM orders",
    (
        "WITH x AS (SELECT id FROM orders WHERE state = 'new' LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " UPDATE orders SET state = 'done' FROM x WHERE orders.id = x.id RETURNING orders.id"
    ),
    (
        "INSERT INTO orders (id, state) VALUES (1, 'a'), (2, 'b') ON CONFLICT (id) DO"
        " UPDATE SET state"
        " = excluded.state"
    ),
    "DELETE FROM order_items WHERE order_id = 5 AND quantity > 1 + price * 2",
    "SELECT id FROM orders WHERE id = 1 UNION ALL SELECT id FROM order_items WHERE id = 2",
    (
        "MERGE INTO orders o USING order_items i ON o.id = i.order_id AND i.id = 4 WHEN"
        " MATCHED THEN"
        " UPDATE SET total = 5"
    ),
    "SELECT id /* what for */ FROM orders -- all of them\nWHERE state = 'x' AND NOT false",
    "(SELECT id FROM orders WHERE state = 'x') EXCEPT (SELECT order_id FROM order_items)",
)
WITHOUT_COMMENTS = "SELECT id FROM orders\nWHERE state = $1 AND NOT $2"


@pytest.fixture
def counting(make_server: MakeServer) -> Iterator[Connection]:
    server = make_server()
    with server.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(TABLES)
        yield connection


def not_explained(connection: Connection, text: str) -> str:
    """Return the error of EXPLAIN; empty if it has a plan."""
    try:
        connection.execute(f"EXPLAIN (GENERIC_PLAN) {text}".encode())
    except psycopg.Error as error:
        return f"{error}: {text}"
    return ""


@pytest.mark.pg(">= 16")
def test_explain_takes_the_own_text_and_the_numbered_one(counting: Connection) -> None:
    errors = []
    for sent in SHAPES:
        shown = shown_by_the_server(counting, sent)
        own = own_text(shown, normalize(shown).text)
        assert own == (WITHOUT_COMMENTS if "--" in sent else shown)
        texts = (explainable(own), explainable(numbered(normalize(shown).text)))
        errors += [not_explained(counting, text) for text in texts]
    assert [error for error in errors if error] == []
    assert len(errors) == 2 * len(SHAPES)


@pytest.mark.pg(">= 16")
def test_a_type_that_no_context_determines_is_not_explained(counting: Connection) -> None:
    """The limit: pg_stat_statements does not keep the types of constants."""
    shown = shown_by_the_server(counting, "SELECT generate_series(1, 3)")
    refused = not_explained(counting, explainable(own_text(shown, normalize(shown).text)))
    assert refused.startswith("function generate_series(unknown, unknown) is not unique")
