"""A web shop: two schemas, roles of their own, foreign keys, partitions, and tagged statements."""

from psycopg.conninfo import make_conninfo

from tests.support.servers import Server
from tests.support.workloads import Connection, client

__all__ = ["DATABASE", "MONITOR", "make_shop", "traffic"]

DATABASE = "shop"
MONITOR = "shop_monitor"
_PASSWORD = "shop"
_ROLES = ("shop_web", "shop_jobs", "bi_reports")

_SCHEMA = """
CREATE SCHEMA sales;
CREATE SCHEMA stock;
CREATE TABLE sales.customers (id serial PRIMARY KEY, email text, pad text);
CREATE TABLE sales.orders (
    id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES sales.customers,
    lock_version int, updated_at timestamptz, pad text);
CREATE TABLE sales.order_items (
    id serial PRIMARY KEY, product_id int,
    order_id int NOT NULL REFERENCES sales.orders ON DELETE CASCADE, pad text);
CREATE TABLE sales.invoice (
    id serial PRIMARY KEY, order_id int NOT NULL REFERENCES sales.orders, pad text);
CREATE TABLE stock.products (id serial PRIMARY KEY, name text, pad text);
CREATE TABLE stock.prices (
    product_id int NOT NULL REFERENCES stock.products ON DELETE CASCADE, since date, price numeric,
    PRIMARY KEY (product_id, since));
CREATE TABLE sales.visits (id bigint, day date, pad text) PARTITION BY RANGE (day);
CREATE TABLE sales.visits_hot PARTITION OF sales.visits
    FOR VALUES FROM ('2026-06-01') TO (MAXVALUE);
CREATE TABLE sales.visits_old PARTITION OF sales.visits
    FOR VALUES FROM (MINVALUE) TO ('2026-06-01');
CREATE VIEW sales.revenue AS SELECT customer_id, count(*) AS orders FROM sales.orders GROUP BY 1;
"""
_ROWS = """
INSERT INTO sales.customers SELECT i, 'c' || i, repeat('x', 400) FROM generate_series(1, 2000) AS i;
INSERT INTO sales.orders
    SELECT i, 1 + i % 2000, 1, now(), repeat('x', 400) FROM generate_series(1, 4000) AS i;
INSERT INTO sales.order_items
    SELECT i, 1 + i % 300, 1 + i % 4000, repeat('x', 400) FROM generate_series(1, 12000) AS i;
INSERT INTO sales.invoice SELECT i, i, repeat('x', 400) FROM generate_series(1, 3000) AS i;
INSERT INTO stock.products SELECT i, 'p' || i, repeat('x', 400) FROM generate_series(1, 3000) AS i;
INSERT INTO stock.prices SELECT i, '2026-01-01', i FROM generate_series(1, 3000) AS i;
INSERT INTO sales.visits
    SELECT i, date '2026-01-01' + i % 300, repeat('x', 400) FROM generate_series(1, 6000) AS i;
VACUUM ANALYZE;
"""

_WEB = """
SELECT * FROM orders WHERE pad LIKE 'a%'
    /*controller='orders',route='%2Forders%2F%3Cid%3E',traceparent='00-1-2-01'*/;
SELECT o.id, i.id FROM orders o JOIN order_items i ON i.order_id = o.id WHERE i.pad LIKE 'b%'
    /*controller='orders',route='%2Forders'*/;
SELECT * FROM order_items WHERE order_id IN (1, 2, 3) /*controller='orders'*/;
SELECT * FROM stock.products WHERE name LIKE '%7' /*controller='catalogue',route='%2Fp'*/;
SELECT * FROM visits_hot WHERE pad LIKE 'c%';
"""
_JOBS = """
UPDATE prices SET price = price + 1 WHERE product_id % 7 = 0 /*controller='prices'*/;
SELECT count(*) FROM visits_old WHERE pad > 'a';
"""
_REPORTS = """
SELECT customer_id, count(*) FROM sales.orders GROUP BY customer_id;
SELECT max(id) FROM invoice WHERE pad > 'a';
"""
_TRAFFIC = {"shop_web": _WEB, "shop_jobs": _JOBS, "bi_reports": _REPORTS}


def make_shop(server: Server) -> str:
    """Create the shop's database; return the DSN of a role that may see statistics, no more."""
    with client(server.dsn()) as setup:
        setup.execute(f"CREATE DATABASE {DATABASE}".encode())
        for role in (*_ROLES, MONITOR):
            setup.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{_PASSWORD}'".encode())
        setup.execute(f"GRANT pg_monitor TO {MONITOR}".encode())
    with client(server.dsn(DATABASE)) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        setup.execute("REVOKE ALL ON SCHEMA information_schema FROM PUBLIC")
        _send(setup, _SCHEMA + _ROWS)
        for role in _ROLES:
            for schema in ("sales", "stock"):
                setup.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
                setup.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}".encode())
            setup.execute(f"ALTER ROLE {role} SET search_path TO sales, stock".encode())
        setup.execute("SELECT pg_stat_statements_reset()")
    return _as(server, MONITOR)


def traffic(server: Server) -> None:
    """Send what the shop's programs send, each as its role."""
    for role, statements in _TRAFFIC.items():
        with client(_as(server, role)) as connection:
            _send(connection, statements)


def _send(connection: Connection, statements: str) -> None:
    for each in statements.split(";\n"):
        if each.strip():
            connection.execute(each.encode())


def _as(server: Server, role: str) -> str:
    return make_conninfo(server.dsn(DATABASE), user=role, password=_PASSWORD)
