"""Queries that PostgreSQL sends for foreign keys have categories of their own, on each version."""

import psycopg
import pytest

from pgiostat.queries.rules import Classifier, builtin
from pgiostat.queries.rules.presets import Preset
from tests.conftest import MakeServer
from tests.support.servers import Connection

TABLES = """
CREATE TABLE customer (a int, b text, PRIMARY KEY (a, b));
CREATE TABLE "Order line" (id int PRIMARY KEY, a int, b varchar(9),
    FOREIGN KEY (a, b) REFERENCES customer ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE visit (id int PRIMARY KEY, a int, b text,
    FOREIGN KEY (a, b) REFERENCES customer ON DELETE SET NULL ON UPDATE SET DEFAULT);
CREATE TABLE note (id int PRIMARY KEY, a int, b text,
    FOREIGN KEY (a, b) REFERENCES customer DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE kept (id int PRIMARY KEY, a int, b text,
    FOREIGN KEY (a, b) REFERENCES customer ON DELETE RESTRICT ON UPDATE RESTRICT);
CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE of_part (id bigint REFERENCES part);
"""
STATEMENTS = (
    "INSERT INTO customer SELECT i, 'x' FROM generate_series(1, 9) i",
    "INSERT INTO \"Order line\" VALUES (1, 1, 'x'), (2, 2, 'x')",
    "INSERT INTO visit VALUES (1, 3, 'x'), (2, 4, 'x')",
    "INSERT INTO note VALUES (1, 5, 'x')",
    "INSERT INTO kept VALUES (1, 6, 'x')",
    "DELETE FROM customer WHERE a IN (1, 3)",
    "UPDATE customer SET b = 'y' WHERE a IN (2, 4)",
    "INSERT INTO part SELECT generate_series(1, 15)",
    "INSERT INTO of_part VALUES (12)",
    "ALTER TABLE part DETACH PARTITION part_1",
    "ALTER TABLE kept ADD CONSTRAINT again FOREIGN KEY (a, b) REFERENCES customer",
)
CATEGORIES = {
    "foreign key check customer",  # the key of an INSERT, and a deferred one of note
    "foreign key check note",  # ON DELETE NO ACTION
    "foreign key check kept",  # ON DELETE RESTRICT, and the constraint that is added
    "foreign key check part",
    "foreign key check of_part",  # the partition that is detached
    "foreign key action Order line",  # ON DELETE CASCADE, and ON UPDATE CASCADE
    "foreign key action visit",  # ON DELETE SET NULL, and ON UPDATE SET DEFAULT
}


def counting(make_server: MakeServer, track: str) -> Connection:
    server = make_server(**{"pg_stat_statements.track": track})
    connection = server.connect()
    connection.execute("CREATE EXTENSION pg_stat_statements")
    return connection


def sent_by_postgres(connection: Connection) -> list[str]:
    """Return the texts of statements that are not of this test: they name operators as no other."""
    found = connection.execute(
        "SELECT query FROM pg_stat_statements WHERE query LIKE '%OPERATOR(%'"
    )
    return [text for (text,) in found if "pg_stat_statements" not in text]


def categories(texts: list[str], preset: Preset = "general") -> list[str]:
    classifier = Classifier(builtin(preset))
    return [classifier.classify(text).category for text in texts]


def test_checks_and_actions_are_named(make_server: MakeServer, major: int) -> None:
    with counting(make_server, "all") as connection:
        connection.execute(TABLES)
        connection.execute("SELECT pg_stat_statements_reset()")
        for statement in STATEMENTS:
            connection.execute(statement.encode())
        texts = sent_by_postgres(connection)
    # Until 17 PostgreSQL also checks the default that ON UPDATE SET DEFAULT sets.
    expected = CATEGORIES | ({"foreign key check visit"} if major <= 17 else set())
    assert (set(categories(texts)), set(categories(texts, "sync"))) == (expected, expected)


@pytest.mark.pg(">= 14")
def test_a_deferred_check_is_a_statement_of_its_own(make_server: MakeServer) -> None:
    """It runs at COMMIT, within no other statement: its reads are in no other row."""
    with counting(make_server, "top") as connection:
        connection.execute(TABLES)
        connection.execute("INSERT INTO customer VALUES (5, 'x')")
        connection.execute("INSERT INTO note VALUES (1, 5, 'x')")
        connection.execute("SELECT pg_stat_statements_reset()")
        with connection.transaction():
            connection.execute("DELETE FROM note")
            connection.execute("DELETE FROM customer")
        found = connection.execute(
            "SELECT calls, toplevel FROM pg_stat_statements WHERE query LIKE '%FOR KEY SHARE OF x'"
        ).fetchall()
        texts = sent_by_postgres(connection)
    assert found == [(1, True), (1, True)]
    assert set(categories(texts)) == {"foreign key check customer", "foreign key check note"}


@pytest.mark.pg(">= 18")
def test_checks_of_periods_are_named(make_server: MakeServer) -> None:
    with counting(make_server, "all") as connection:
        connection.execute("CREATE EXTENSION btree_gist")
        connection.execute(
            "CREATE TABLE room (id int, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS));"
            " CREATE TABLE stay (id int, valid daterange,"
            " FOREIGN KEY (id, PERIOD valid) REFERENCES room (id, PERIOD valid))"
        )
        connection.execute("SELECT pg_stat_statements_reset()")
        connection.execute("INSERT INTO room VALUES (1, '[2026-01-01,2026-12-31)')")
        connection.execute("INSERT INTO stay VALUES (1, '[2026-01-02,2026-03-31)')")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("DELETE FROM room")
        connection.execute("UPDATE room SET valid = '[2026-01-01,2026-11-30)'")
        texts = sent_by_postgres(connection)
    assert set(categories(texts)) == {"foreign key check room", "foreign key check stay"}
