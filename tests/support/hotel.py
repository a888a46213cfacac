"""A hotel: partitions by month, a queue of tasks, deferred keys, functions, a materialized view.

Its programs are a web site, a worker and a nightly report. Some texts name schemas, others leave
them to the search path. A role with `pg_monitor` alone watches them.
"""

from psycopg.conninfo import make_conninfo

from tests.support.servers import Server
from tests.support.workloads import Connection, client

__all__ = ["DATABASE", "MONITOR", "make_hotel", "traffic"]

DATABASE = "hotel"
MONITOR = "hotel_monitor"
_PASSWORD = "hotel"
_ROLES = ("hotel_web", "hotel_worker", "hotel_report")
_MONTHS = range(1, 7)

_SCHEMA = """
CREATE SCHEMA stay;
CREATE SCHEMA billing;
CREATE TABLE stay.room_type (id int PRIMARY KEY, name text);
CREATE TABLE stay.room (
    id int PRIMARY KEY, room_type_id int NOT NULL REFERENCES stay.room_type, note text);
CREATE TABLE stay.tag (id int PRIMARY KEY, name text);
CREATE TABLE stay.room_tag (
    room_id int REFERENCES stay.room, tag_id int REFERENCES stay.tag, note text,
    PRIMARY KEY (room_id, tag_id));
CREATE TABLE stay.guest (id int PRIMARY KEY, email text, note text);
CREATE TABLE stay.booking (
    id int, arrival date, room_id int REFERENCES stay.room, guest_id int REFERENCES stay.guest,
    note text, PRIMARY KEY (id, arrival)) PARTITION BY RANGE (arrival);
CREATE TABLE stay.task (
    id int PRIMARY KEY, kind text, state text DEFAULT 'new', room_id int, note text);
CREATE TABLE billing.invoice (
    id int PRIMARY KEY, note text,
    guest_id int REFERENCES stay.guest DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE billing.invoice_line (
    id int PRIMARY KEY, invoice_id int REFERENCES billing.invoice ON DELETE CASCADE, note text);
CREATE TABLE billing.payment (id serial PRIMARY KEY, invoice_id int, note text);
CREATE TABLE billing.refund (
    id int PRIMARY KEY, payment_id int REFERENCES billing.payment ON DELETE CASCADE, note text);
CREATE MATERIALIZED VIEW billing.revenue AS
    SELECT invoice_id, count(*) AS lines FROM billing.invoice_line GROUP BY invoice_id;
CREATE FUNCTION stay.free_rooms(day date) RETURNS SETOF stay.room LANGUAGE sql STABLE AS
    'SELECT r.* FROM stay.room r WHERE r.note > '''' AND NOT EXISTS (SELECT FROM stay.booking b
     WHERE b.room_id = r.id AND b.arrival = day)';
CREATE FUNCTION billing.balance(guest int) RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT count(*) FROM billing.invoice i WHERE i.guest_id = guest';
CREATE PROCEDURE billing.close_month(day date) LANGUAGE sql AS
    'UPDATE billing.payment SET note = note WHERE id % 97 = extract(month FROM day)';
"""
_PARTITION = """
CREATE TABLE stay.booking_2026_{0:02} PARTITION OF stay.booking
    FOR VALUES FROM ('2026-{0:02}-01') TO ('2026-{1:02}-01');
"""
_ROWS = """
INSERT INTO stay.room_type SELECT i, 'type ' || i FROM generate_series(1, 9) AS i;
INSERT INTO stay.room SELECT i, 1 + i % 9, repeat('x', 400) FROM generate_series(1, 900) AS i;
INSERT INTO stay.tag SELECT i, 'tag ' || i FROM generate_series(1, 30) AS i;
INSERT INTO stay.room_tag
    SELECT 1 + i % 900, 1 + i / 900, repeat('x', 200) FROM generate_series(0, 4499) AS i;
INSERT INTO stay.guest SELECT i, 'g' || i, repeat('x', 400) FROM generate_series(1, 3000) AS i;
INSERT INTO stay.booking
    SELECT i, date '2026-01-01' + i % 180, 1 + i % 900, 1 + i % 3000, repeat('x', 400)
    FROM generate_series(1, 9000) AS i;
INSERT INTO stay.task
    SELECT i, 'clean', CASE WHEN i % 40 = 0 THEN 'new' ELSE 'done' END, 1 + i % 900,
        repeat('x', 400) FROM generate_series(1, 4000) AS i;
INSERT INTO billing.invoice
    SELECT i, repeat('x', 400), 1 + i % 3000 FROM generate_series(1, 3000) AS i;
INSERT INTO billing.invoice_line
    SELECT i, 1 + i % 3000, repeat('x', 400) FROM generate_series(1, 9000) AS i;
INSERT INTO billing.payment (invoice_id, note)
    SELECT 1 + i % 3000, repeat('x', 400) FROM generate_series(1, 3000) AS i;
INSERT INTO billing.refund
    SELECT i, 1 + i % 3000, repeat('x', 400) FROM generate_series(1, 3000) AS i;
REFRESH MATERIALIZED VIEW billing.revenue;
CREATE UNIQUE INDEX ON billing.revenue (invoice_id);
VACUUM ANALYZE;
"""

_WEB = """
SELECT * FROM stay.free_rooms('2026-03-04') /*controller='search',route='%2Ffree'*/;
SELECT r.id, t.name FROM room r JOIN room_type t ON t.id = r.room_type_id WHERE r.note < 'a'
    /*controller='search',route='%2Frooms'*/;
SELECT rt.* FROM room_tag rt WHERE rt.room_id IN (1, 2, 3) /*controller='search'*/;
SELECT b.* FROM booking b JOIN guest g ON g.id = b.guest_id WHERE g.note < 'a'
    AND b.arrival >= '2026-02-01' /*controller='bookings',route='%2Fbookings'*/;
SELECT * FROM booking_2026_05 WHERE note < 'a' /*controller='bookings'*/;
INSERT INTO booking VALUES (9001, '2026-05-09', 3, 4, 'x') /*controller='bookings'*/;
INSERT INTO task (id, kind, room_id) VALUES (4001, 'clean', 3) /*controller='bookings'*/;
INSERT INTO billing.invoice VALUES (3001, 'x', 4) /*controller='billing'*/;
INSERT INTO billing.invoice_line VALUES (9001, 3001, 'x') /*controller='billing'*/;
SELECT l.* FROM billing.invoice i JOIN billing.invoice_line l ON l.invoice_id = i.id
    WHERE i.note < 'a' AND l.note < 'a' /*controller='billing',route='%2Finvoices'*/;
SELECT p.id, r.id FROM billing.payment p JOIN billing.refund r ON r.payment_id = p.id
    WHERE r.note < 'a' /*controller='billing'*/;
SELECT billing.balance(7) /*controller='billing'*/;
"""
_WORKER = """
UPDATE stay.task SET state = 'busy' WHERE id = (
    SELECT id FROM stay.task WHERE state = 'new' AND note > '' ORDER BY kind, id LIMIT 1
    FOR UPDATE SKIP LOCKED) RETURNING *;
WITH next AS (SELECT id FROM stay.task WHERE state = 'new' ORDER BY note LIMIT 5
    FOR UPDATE SKIP LOCKED)
    UPDATE stay.task AS t SET state = 'busy' FROM next WHERE t.id = next.id RETURNING t.*;
UPDATE stay.task SET state = 'done' WHERE id = 40;
SELECT count(*) FROM stay.task WHERE state = 'busy';
"""
_REPORT = """
REFRESH MATERIALIZED VIEW CONCURRENTLY billing.revenue;
CREATE TEMP TABLE month_report AS SELECT b.room_id, count(*) AS nights FROM stay.booking b
    WHERE b.note > '' GROUP BY b.room_id;
CALL billing.close_month('2026-03-01');
SELECT max(lines) FROM billing.revenue;
"""
_TRAFFIC = {"hotel_web": _WEB, "hotel_worker": _WORKER, "hotel_report": _REPORT}


def make_hotel(server: Server) -> str:
    """Create the hotel's database; return the DSN of a role that may see statistics, no more."""
    with client(server.dsn()) as setup:
        setup.execute(f"CREATE DATABASE {DATABASE}".encode())
        for role in (*_ROLES, MONITOR):
            setup.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{_PASSWORD}'".encode())
        setup.execute(f"GRANT pg_monitor TO {MONITOR}".encode())
    with client(server.dsn(DATABASE)) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        partitions = "".join(_PARTITION.format(month, month + 1) for month in _MONTHS)
        _send(setup, _SCHEMA + partitions + _ROWS)
        setup.execute("ALTER MATERIALIZED VIEW billing.revenue OWNER TO hotel_report")
        for role in _ROLES:
            for schema in ("stay", "billing"):
                setup.execute(f"GRANT ALL ON SCHEMA {schema} TO {role}".encode())
                for kind in ("TABLES", "SEQUENCES"):
                    setup.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA {schema} TO {role}".encode())
        setup.execute("ALTER ROLE hotel_web SET search_path TO stay")
        setup.execute("SELECT pg_stat_statements_reset()")
    return _as(server, MONITOR)


def traffic(server: Server) -> None:
    """Send what the hotel's programs send, each as its role."""
    for role, statements in _TRAFFIC.items():
        with client(_as(server, role)) as connection:
            _send(connection, statements)
            if role == "hotel_report":
                _copy(connection)


def _copy(connection: Connection) -> None:
    """Export invoices, and import payments."""
    cursor = connection.cursor()
    with cursor.copy("COPY (SELECT * FROM billing.invoice WHERE note > '') TO STDOUT") as rows:
        for _ in rows:
            pass
    with cursor.copy("COPY billing.payment (invoice_id, note) FROM STDIN") as lines:
        for number in range(1, 9):
            lines.write_row((number, "paid"))


def _send(connection: Connection, statements: str) -> None:
    for each in statements.split(";\n"):
        if each.strip():
            connection.execute(each.encode())


def _as(server: Server, role: str) -> str:
    return make_conninfo(server.dsn(DATABASE), user=role, password=_PASSWORD)
