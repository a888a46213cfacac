"""Queries of foreign keys, locking clauses, and operators with their schemas, from texts alone."""

import pytest

from pgiostat.queries.features import extract
from pgiostat.queries.features.foreign_keys import ACTION, CHECK, foreign_key_query
from pgiostat.queries.fingerprint import normalize, outline
from pgiostat.queries.short_form import short_form
from pgiostat.statistics.statement import split_action

CHECKED = (
    'SELECT 1 FROM ONLY "public"."x" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x'
)
DELETED = 'DELETE FROM ONLY "public"."x" WHERE $1 OPERATOR(pg_catalog.=) "y"'
SET = 'UPDATE ONLY "public"."x" SET "y" = NULL WHERE $1 OPERATOR(pg_catalog.=) "y"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHECKED, CHECK),
        (CHECKED.replace("ONLY ", ""), CHECK),
        (CHECKED.replace('"id"', '"id"::pg_catalog.text'), CHECK),
        (CHECKED.replace('"x" x', '"a "".b" x'), CHECK),
        (DELETED, ACTION),
        (DELETED.replace("$1", "$1::pg_catalog.text"), ACTION),
        (SET, ACTION),
        (SET.replace("NULL", 'DEFAULT, "z" = $2'), ACTION),
        # statements of applications
        (CHECKED.replace("OPERATOR(pg_catalog.=)", "="), ""),
        (CHECKED.replace(" FOR KEY SHARE OF x", ""), ""),
        (CHECKED.replace("KEY SHARE", "UPDATE"), ""),
        (CHECKED.replace("SELECT 1", "SELECT id"), ""),
        (CHECKED.replace('"public".', ""), ""),
        (DELETED.replace('$1 OPERATOR(pg_catalog.=) "y"', '"y" OPERATOR(pg_catalog.=) $1'), ""),
        (SET.replace("NULL", "y + 1"), ""),
        ("SELECT a OPERATOR(pg_catalog.+) 1 FROM s.t", ""),
    ],
)
def test_queries_of_foreign_keys_are_known_by_their_shape(text: str, expected: str) -> None:
    assert foreign_key_query(normalize(text).text) == expected


def test_a_verb_may_have_several_words() -> None:
    actions = (f"{CHECK} shop.orders", f"{ACTION} orders", "select foreign key check", CHECK)
    assert [split_action(action) for action in actions] == [
        (CHECK, "shop.orders"),
        (ACTION, "orders"),
        ("select", "foreign key check"),
        (CHECK, ""),
    ]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT a FROM orders FOR NO KEY UPDATE OF orders SKIP LOCKED", {"a"}),
        ("SELECT o.a FROM orders o, b WHERE o.b = b.c FOR SHARE OF o, b NOWAIT", {"a", "b", "c"}),
        ("SELECT a FROM t WHERE b = $1 FOR KEY SHARE FOR UPDATE OF t LIMIT $2", {"a", "b"}),
        ("SELECT a FROM t ORDER BY b NULLS LAST FETCH FIRST 3 ROWS WITH TIES", {"a", "b"}),
        ("SELECT sum(a) OVER (PARTITION BY b ORDER BY c) FROM t", {"a", "b", "c"}),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO NOTHING", {"a"}),
        ("SELECT share, key FROM t WHERE of = $1", {"share", "key", "of"}),
        ("SELECT a FROM t WHERE b OPERATOR(pg_catalog.=) $1", {"a", "b"}),
    ],
)  # fmt: skip
def test_words_of_the_grammar_are_no_columns(text: str, columns: set[str]) -> None:
    assert extract(text).blocks[0].mentions == columns


def test_locked_tables_are_read_once() -> None:
    found = extract("SELECT o.a FROM orders o JOIN b ON b.id = o.b FOR UPDATE OF o, b SKIP LOCKED")
    assert (found.reads, found.writes) == (frozenset({"orders", "b"}), frozenset())


def test_an_operator_with_its_schema_is_that_operator() -> None:
    named = extract("SELECT a FROM t WHERE b OPERATOR(pg_catalog.>) $1 AND c operator(s.=) $2")
    bare = extract("SELECT a FROM t WHERE b > $1 AND c = $2")
    assert (named.blocks, named.calls) == (bare.blocks, frozenset())
    tokens = outline('a OPERATOR("S".<=) b, operator (c), "OPERATOR"(+)', bare_operators=True).texts
    assert " ".join(tokens) == 'a <= b , operator ( c ) , "OPERATOR" ( + )'
    assert short_form(normalize(CHECKED).text) == "x · id = $ · for key share of x · $"
