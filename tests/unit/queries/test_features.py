"""Features: what a statement reads, writes, calls and compares."""

import time
from typing import Any

import pytest
from hypothesis import given, settings

from pgiostat.queries.features import BlockFeatures, Features, extract
from tests.support.soup import BYTES, EXAMPLES, SOUP, TEXTS


def names(*of: str) -> frozenset[str]:
    return frozenset(of)


def only_block(text: str) -> BlockFeatures:
    blocks = extract(text).blocks
    assert len(blocks) == 1
    return blocks[0]


STATEMENTS = [
    ("SELECT a FROM t", ("select", "")),
    ("WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x", ("select", "")),
    ("(SELECT a FROM t) UNION (SELECT b FROM u)", ("select", "")),
    ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", ("insert", "")),
    ("EXPLAIN SELECT a FROM t", ("select", "explain")),
    ("EXPLAIN (ANALYZE, BUFFERS) UPDATE t SET a = 1", ("update", "explain_analyze")),
    ("PREPARE p AS DELETE FROM t", ("delete", "prepare")),
    ("DECLARE c CURSOR FOR SELECT a FROM t", ("declare", "declare")),
    ("COPY (SELECT a FROM t) TO STDOUT", ("copy_to", "copy")),
    ("COPY t TO STDOUT", ("copy_to", "")),
    ("COPY s.t (a, b) FROM STDIN", ("copy_from", "")),
    ("VALUES (1, 2)", ("values", "")),
    ("TABLE t", ("select", "")),
    ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", ("merge", "")),
    ("CREATE TABLE x AS SELECT a FROM t", ("create", "")),
    ("FETCH 10 FROM c", ("fetch", "")),
    ("BEGIN", ("begin", "")),
    ("", ("", "")),
]


@pytest.mark.parametrize(("text", "kind"), STATEMENTS)
def test_the_statement_is_seen_through_its_wrapper(text: str, kind: tuple[str, str]) -> None:
    found = extract(text)
    assert (found.statement, found.wrapper) == kind


TABLES = [
    ("SELECT a FROM t, s.u x JOIN v ON true", names("t", "s.u", "v"), names()),
    ('SELECT a FROM "T" WHERE b IN (SELECT c FROM "s"."U")', names("T", "s.U"), names()),
    ("WITH x AS (SELECT a FROM t) SELECT a FROM x", names("t"), names()),
    ("SELECT * FROM f(1) x, unnest($1) y, ROWS FROM (g(), h()) z", names(), names()),
    ("INSERT INTO t (a) SELECT b FROM u", names("u"), names("t")),
    ("INSERT INTO t AS x (a) VALUES (1)", names(), names("t")),
    ("UPDATE t SET a = u.a FROM u WHERE u.b = t.b", names("u"), names("t")),
    ("DELETE FROM ONLY t USING u WHERE u.b = t.b", names("u"), names("t")),
    (
        "MERGE INTO t USING (SELECT a FROM s) q ON q.a = t.a WHEN MATCHED THEN DELETE",
        names("s"),
        names("t"),
    ),
    (
        "WITH d AS (DELETE FROM t RETURNING a) INSERT INTO u SELECT a FROM d",
        names(),
        names("t", "u"),
    ),
    ("COPY s.t (a) FROM STDIN", names(), names("s.t")),
    ("COPY t TO STDOUT", names("t"), names()),
    ("SELECT a FROM t FOR UPDATE", names("t"), names()),
    ("SELECT a IS DISTINCT FROM b FROM t", names("t"), names()),
    ("SELECT extract(year FROM a), substring(b from 2) FROM t", names("t"), names()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reads", "writes"), TABLES)
def test_tables_are_told_by_whether_they_are_read_or_written(
    text: str,
    reads: frozenset[str],
    writes: frozenset[str],
) -> None:
    found = extract(text)
    assert (found.reads, found.writes) == (reads, writes)


BLOCKS: list[tuple[str, dict[str, Any]]] = [
    ("SELECT t.a, f(b), count(*) FROM t", {"projects": names("a", "b"), "star": False}),
    ("SELECT t.* FROM t", {"projects": names(), "star": True}),
    ("SELECT row_to_json(x) FROM t x", {"star": True}),
    ("SELECT (x).a FROM t x", {"projects": names("a"), "star": False}),
    ("SELECT a || ':' || b::text AS c FROM t", {"projects": names("a", "b")}),
    ("SELECT date '2026-01-01', a FROM t", {"projects": names("a")}),
    ("SELECT json_agg(json_build_array(a, b)) FROM t", {"projects": names("a", "b")}),
    (
        "SELECT g, max(a) FILTER (WHERE b) FROM t GROUP BY g",
        {
            "projects": names("g"),
            "aggregates": names("max"),
            "aggregate_columns": names("a"),
            "group_by": names("g"),
        },
    ),
    ("SELECT a, s.f(b) FROM t", {"calls": names("s.f")}),
    (
        "SELECT a FROM t WHERE b = 1 AND $1 = c AND d = e AND f >= 2 AND g BETWEEN 1 AND 2",
        {"where_eq": names("b", "c"), "where_range": names("f", "g")},
    ),
    ("SELECT a FROM t WHERE id <@ int8range(1, 2)", {"where_range": names("id")}),
    ("SELECT a FROM t WHERE (b, c) > (1, 2)", {"where_range": names("b", "c")}),
    (
        "SELECT a FROM t WHERE b IN (1, 2) AND c = ANY ($1) AND d NOT IN (1) AND e <> ALL ($2)",
        {"where_in": names("b", "c"), "where_in_negated": names("d", "e")},
    ),
    ("SELECT a FROM t WHERE NOT (t.b IN (1, 2))", {"where_in_negated": names("b")}),
    ("SELECT a FROM t JOIN unnest($1) AS k(id) ON k.id = t.b", {"where_in": names("b")}),
    ("SELECT a FROM t JOIN unnest($1) AS k(id) USING (id)", {"where_in": names("id")}),
    (
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC",
        {
            "distinct_on": names("a"),
            "order_by": ("a", "b"),
            "order_dir": "asc",
            "newest": names("b"),
        },
    ),
    (
        "SELECT a FROM t ORDER BY a DESC NULLS LAST FETCH FIRST 1 ROW ONLY",
        {"order_by": ("a",), "order_dir": "desc", "limit": True},
    ),
    ("SELECT a FROM t WHERE b = 1 ORDER BY c", {"mentions": names("a", "b", "c")}),
    ("SELECT a FROM t WHERE x = 1", {"where_eq": names("x"), "limit": False}),
]


@pytest.mark.parametrize(("text", "expected"), BLOCKS)
def test_a_block_tells_what_it_shows_and_searches_by(text: str, expected: dict[str, Any]) -> None:
    block = only_block(text)
    assert {name: getattr(block, name) for name in expected} == expected


NEWEST = [
    "SELECT max(v) FROM t",
    "SELECT v FROM t ORDER BY v DESC LIMIT 1",
    "SELECT v FROM t ORDER BY 1 DESC LIMIT 1",
    "SELECT v AS x FROM t ORDER BY x DESC LIMIT 1",
    "SELECT v FROM t WHERE v >= ALL (SELECT v FROM t)",
    "SELECT v FROM t x WHERE NOT EXISTS (SELECT 1 FROM t y WHERE y.v > x.v)",
    "SELECT x.v FROM t x LEFT JOIN t y ON y.v > x.v WHERE y.v IS NULL",
    "SELECT v FROM (SELECT v, row_number() OVER (ORDER BY v DESC) AS n FROM t) q WHERE n = 1",
    "SELECT v, rank() OVER w FROM t WINDOW w AS (ORDER BY v DESC)",
    "SELECT max(x) FROM (SELECT v AS x FROM t UNION ALL SELECT v FROM u) q",
]


@pytest.mark.parametrize("text", NEWEST)
def test_the_highest_value_is_known_however_it_is_asked_for(text: str) -> None:
    assert extract(text).blocks[0].newest == names("v")


NOT_NEWEST = [
    "SELECT min(v) FROM t",
    "SELECT v FROM t ORDER BY v DESC",
    "SELECT v FROM t ORDER BY v LIMIT 1",
    "SELECT v FROM t WHERE v > 5",
    "SELECT x.v FROM t x JOIN t y ON y.w > x.v",
]


@pytest.mark.parametrize("text", NOT_NEWEST)
def test_other_values_are_not_the_highest(text: str) -> None:
    assert extract(text).blocks[0].newest == names()


def test_a_column_is_pinned_if_it_equals_a_constant() -> None:
    block = only_block("SELECT a, b, v FROM t WHERE a = 1 ORDER BY b")
    assert (block.varies, block.carries) == (names("b", "v"), names("v"))


CURSORS = [
    ('DECLARE "C 1" CURSOR FOR SELECT a FROM t', "C 1"),
    ("FETCH FORWARD 10 FROM c1 -- next", "c1"),
    ("MOVE c1;", "c1"),
    ("CLOSE c1", "c1"),
    ("SELECT a FROM c1", ""),
]


@pytest.mark.parametrize(("text", "cursor"), CURSORS)
def test_a_cursors_name_is_kept_although_the_normalized_text_has_none(
    text: str,
    cursor: str,
) -> None:
    assert extract(text).cursor == cursor


def test_comments_are_tags_and_so_are_their_pairs() -> None:
    text = "SELECT 1 /*route='%2Fsync%2F',app='web'*/ -- by hand"
    tags = names("route='%2Fsync%2F',app='web'", "route=/sync/", "app=web", "by hand")
    assert extract(text).tags == tags


def test_conflict_and_returning_are_told() -> None:
    one = extract("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1 RETURNING a")
    two = extract("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING")
    assert (one.on_conflict, one.returning) == ("update", True)
    assert (two.on_conflict, two.returning) == ("nothing", False)


def test_texts_of_one_fingerprint_share_features_but_not_cursor_and_tags() -> None:
    one = extract("FETCH 10 FROM a /* x */")
    other = extract("FETCH 20 FROM b", base=one)
    assert other == Features(statement="fetch", cursor="b")


def test_a_normalized_text_has_the_features_of_its_text() -> None:
    text = "SELECT c.id AS k FROM customer AS c WHERE c.id IN (1, 2) ORDER BY k LIMIT 5"
    again = "select @1.id as k from customer @1 where @1.id in (?) order by k limit ?"
    assert extract(text) == extract(again)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
        "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "t",
        "SELECT a FROM t WHERE " + "a = b AND " * 20_000 + "a = 1",
        "WITH " + ", ".join(f"c{n} AS (SELECT * FROM c{n - 1})" for n in range(3000)) + " SELECT 1",
    ],
    ids=["parentheses", "subqueries", "conditions", "ctes"],
)
def test_a_huge_statement_still_has_its_kind(text: str) -> None:
    assert extract(text).statement == "select"


MANY = {
    "blocks": "(SELECT " * 12_000,
    "statements": "SELECT 1;" * 11_000,
    "tables": f"SELECT {', '.join(f'x{n}.a' for n in range(4_000))} FROM "
    + ", ".join(f"t{n} x{n}" for n in range(4_000)),
    "derived tables": f"SELECT {'a, ' * 4_000}b FROM "
    + ", ".join(f"(SELECT 1) x{n}" for n in range(5_000)),
}


@pytest.mark.parametrize("what", MANY)
def test_time_is_linear_in_the_text(what: str) -> None:
    whole = MANY[what]
    # In pairs: other processes slow both alike. Quadratic time would be 16 times as long.
    pairs = ((_seconds(whole[: len(whole) // 4]), _seconds(whole)) for _ in range(4))
    assert any(long < 10 * short + 0.1 for short, long in pairs)


def _seconds(text: str) -> float:
    began = time.process_time()
    extract(text)
    return time.process_time() - began


@settings(deadline=None, max_examples=EXAMPLES)
@given(SOUP | TEXTS | BYTES)
def test_no_text_is_an_error(text: str | bytes) -> None:
    assert isinstance(extract(text), Features)
