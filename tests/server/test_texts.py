"""One statement has one fingerprint, however the server shows it: on real servers."""

from collections.abc import Iterator

import psycopg
import pytest

from pgiostat.queries.fingerprint import fingerprint, normalize
from tests.conftest import MakeServer
from tests.support.servers import Connection
from tests.support.workloads import shown_by_the_server

pytestmark = pytest.mark.ends

TABLES = """
CREATE TABLE t (a int, b int, d date);
CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY, v int);
CREATE TABLE q (a text, b text, n$1 int, interval int, value int)
"""

SENT = [
    ("SELECT a, b FROM t ORDER BY 1", "select a, b from t order by 1"),
    ("SELECT a, b FROM t ORDER BY 2 DESC, (1)", "select a, b from t order by 2 desc, (1)"),
    (
        "SELECT a, b, count(*) FROM t GROUP BY 2, 1 HAVING count(*) > 1",
        "select a, b, count(*) from t group by 2, 1 having count(*) > ?",
    ),
    (
        "SELECT a, b FROM t GROUP BY GROUPING SETS ((1, 2), 1, (2))",
        "select a, b from t group by grouping sets((1, 2), 1, (2))",
    ),
    ("SELECT DISTINCT ON (2) a, b FROM t", "select distinct on (2) a, b from t"),
    ("SELECT DISTINCT ON (a) -1, b FROM t", "select distinct on (a) ?, b from t"),
    ("SELECT array_agg(a ORDER BY 1) FROM t", "select array_agg(a order by ?) from t"),
    ("SELECT rank() OVER (ORDER BY 1) FROM t", "select rank() over (order by ?) from t"),
    (
        "SELECT rank() OVER w FROM t WINDOW w AS (ORDER BY 1)",
        "select rank() over w from t window w as (order by ?)",
    ),
    (
        "SELECT a, b FROM t ORDER BY 1::int, (1, 2), +1",
        "select a, b from t order by ?::int, (?, ?), ?",
    ),
    (
        "SELECT a FROM t UNION SELECT b FROM t ORDER BY 1",
        "select a from t union select b from t order by 1",
    ),
    (
        "SELECT a FROM t WHERE a BETWEEN -1 AND -2 AND b NOT BETWEEN -3 AND +4",
        "select a from t where a between ? and ? and b not between ? and ?",
    ),
    (
        "SELECT CASE WHEN a = -1 THEN -2 ELSE -3 END, a OPERATOR(pg_catalog.+) -4 FROM t",
        "select case when a = ? then ? else ? end, a operator(pg_catalog.+) ? from t",
    ),
    ("SELECT interval - 1, value - 1 FROM q", "select interval - ?, value - ? from q"),
    ("SELECT a FROM t LIMIT ALL", "select a from t limit ?"),
    ("SELECT a FROM t LIMIT NULL OFFSET -0", "select a from t limit ? offset ?"),
    ("SELECT a FROM t FETCH FIRST -0 ROWS ONLY", "select a from t fetch first ? rows only"),
    (
        "INSERT INTO i (id, v) OVERRIDING SYSTEM VALUE VALUES (-1, 2)",
        "insert into i (id, v) overriding system value values (?, ?)",
    ),
    (
        "INSERT INTO i OVERRIDING USER VALUE SELECT 1, 2",
        "insert into i overriding user value select ?, ?",
    ),
    (
        "SELECT n$1, \"n$1\" FROM q WHERE a = N'x' AND b = n'y'",
        'select "n$1", "n$1" from q where a = ? and b = ?',
    ),
    ("SELECT'x' FROM t WHERE d > date'2026-11-30'", "select ? from t where d > date ?"),
]
"""What a client sends, and what is shown of it."""


@pytest.fixture
def counting(make_server: MakeServer) -> Iterator[Connection]:
    server = make_server()
    with server.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(TABLES)
        yield connection


def test_what_was_sent_and_what_the_server_shows_have_one_fingerprint(
    counting: Connection,
) -> None:
    found = {}
    for sent, _ in SENT:
        shown = shown_by_the_server(counting, sent)
        assert fingerprint(shown) == fingerprint(sent), shown
        found[sent] = normalize(shown).text
    assert found == dict(SENT)


@pytest.mark.pg(">= 16")
def test_a_json_value_may_have_a_sign(counting: Connection) -> None:
    sent = "SELECT json_object('a' VALUE -1)"
    shown = shown_by_the_server(counting, sent)
    assert normalize(shown) == normalize(sent)
    assert normalize(sent).text == "select json_object(? value ?)"


def test_the_text_in_flight_is_that_of_the_entry(counting: Connection) -> None:
    sent = "SELECT a, b FROM t WHERE a BETWEEN -1 AND 1 ORDER BY 2 LIMIT ALL"
    with psycopg.connect(counting.info.dsn, password="", autocommit=True) as other:
        other.execute(sent)
        seen = counting.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s", [other.info.backend_pid]
        ).fetchone()
    assert seen is not None
    assert (
        normalize(seen[0]).text == "select a, b from t where a between ? and ? order by 2 limit ?"
    )
