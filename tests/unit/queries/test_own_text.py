"""The server's own text is shown without comments and constants, and EXPLAIN can take it."""

import pytest

from pgiostat.queries.describe import describer
from pgiostat.queries.fingerprint import normalize
from pgiostat.queries.own_text import LONGEST, explainable, numbered, own_text

SHOWN = {
    "SELECT a,\n  b FROM t -- why\n\nWHERE b = $1 ORDER BY 1": "SELECT a,\n  b FROM t\nWHERE b = $1"
    " ORDER BY 1",
    "SELECT * FROM t /* x */ WHERE a IN ($1 /*, ... */)": "SELECT * FROM t WHERE a IN ($1"
    " /*, ... */)",
    "SELECT $1::numeric(10, 2), a.b.c1 FROM t2": "SELECT $1::numeric(10, 2), a.b.c1 FROM t2",
    "SELECT a ? $1, date$2 FROM t": "SELECT a ? $1, date$2 FROM t",
    "WITH x AS (SELECT $1) TABLE x": "WITH x AS (SELECT $1) TABLE x",
}
NOT_SHOWN = (
    "SELECT 'secret'",
    "SELECT $1, 'secret'",
    "SELECT $$secret$$",
    "SELECT $a$secret$a$ FROM t",
    "SELECT 42",
    "SELECT text(42)::numeric(10, 2), 43",
    "SELECT E'secret'",
    "ALTER ROLE bob PASSWORD 'secret'",
    "SET app.token TO secret",
    "DECLARE secret CURSOR FOR SELECT a FROM t",
    "select @1.a from t @1 where b = ?",
    "select a from t limit ?",
    "",
)


@pytest.mark.parametrize("text", SHOWN)
def test_own_text_of_a_query(text: str) -> None:
    normalized = normalize(text).text
    assert own_text(text, normalized) == SHOWN[text]
    assert own_text(text.encode(), normalized) == SHOWN[text]


@pytest.mark.parametrize("text", NOT_SHOWN)
def test_text_with_constants_or_of_a_history_is_not_shown(text: str) -> None:
    assert own_text(text, normalize(text).text) == ""


def test_a_long_text_is_not_kept() -> None:
    text = "SELECT a FROM t WHERE a IN ($1" + ", $1" * LONGEST
    assert own_text(text, normalize(text).text) == ""


def test_a_description_has_the_own_text() -> None:
    found = describer()("SELECT a FROM t WHERE b = $1", user="u", database="d", queryid=1)
    assert (found.own_text, found.text) == (
        "SELECT a FROM t WHERE b = $1",
        "select a from t where b = ?",
    )


@pytest.mark.parametrize(
    ("normalized", "shown"),
    [
        ("select @1.a from t @1 where @1.b in (?)", "select t1.a from t t1 where t1.b in ($1)"),
        ("select @1.a from t1 @1", "select t_1.a from t1 t_1"),
        ("select a from t where b ? ? and c = ?", "select a from t where b ? $1 and c = $2"),
        ("select a::numeric(?, ?), timestamp(?) ?", "select a::numeric, timestamp $1"),
        ("select cast(a as varchar(?)), f(?)", "select cast(a as varchar), f($1)"),
        ("select a from t fetch first ? rows only", "select a from t fetch first $1 rows only"),
        ("vacuum t", "vacuum t"),
        ("", ""),
    ],
)
def test_a_normalized_text_is_numbered(normalized: str, shown: str) -> None:
    assert numbered(normalized) == shown


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("SELECT now() - INTERVAL $1 DAY TO HOUR", "SELECT now() - $1::INTERVAL DAY TO HOUR"),
        ("SELECT timestamp(3) with time zone $1", "SELECT $1::timestamp(3) with time zone"),
        ("SELECT double precision $1, date$2", "SELECT $1::double precision, $2::date"),
        ("SELECT a AT TIME ZONE $1, t.date$2", "SELECT a AT TIME ZONE $1, t.date$2"),
        ("SELECT EXTRACT($1 FROM a)", "SELECT pg_catalog.EXTRACT($1, a)"),
        (
            "SELECT x.extract($1), trim(both $2 from a)",
            "SELECT x.extract($1), trim(both $2 from a)",
        ),
        ("SELECT date, time (", "SELECT date, time ("),
    ],
)
def test_a_parameter_stands_where_the_grammar_takes_one(text: str, accepted: str) -> None:
    assert explainable(text) == accepted


def test_any_truncated_text_can_be_written() -> None:
    for text in (*SHOWN, *NOT_SHOWN):
        for end in range(len(text)):
            normalized = normalize(text[:end]).text
            assert isinstance(explainable(own_text(text[:end], normalized)), str)
            assert isinstance(explainable(numbered(normalized)), str)
