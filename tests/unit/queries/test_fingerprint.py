"""Normalized text and fingerprint: what is one statement, what is not, and that nothing breaks."""

import pytest
from hypothesis import given, settings

from pgiostat.queries.fingerprint import (
    TokenKind,
    comments,
    fingerprint,
    is_own,
    lex,
    lexer,
    normalize,
    renewed,
)
from tests.support.soup import BYTES, EXAMPLES, SOUP, TEXTS

# ruff: noqa: E501 - a text and what becomes of it are read best on one line

NORMALIZED = [
    # white space, comments, case
    ("select  A,\n\tb FROM T;", "select a, b from t"),
    ("SELECT a /* one /* two */ still one */ FROM t -- end", "select a from t"),
    ("SELECT a - -1, a--1\n FROM t", "select a - ?, a from t"),
    # literals
    (r"SELECT 'it''s', E'a\'b', B'1', X'F', N'n', N$1, U&'\0061'", "select ?, ?, ?, ?, ?, ?, ?"),
    ("SELECT U&'d!0061' UESCAPE '!', 'a'\n'b'", "select ?, ?"),
    ("SELECT $$a'b$$, $q$ $$ $q$, $1", "select ?, ?, ?"),
    ("SELECT 1, 1.5, .5, 5., 1e-3, 0x1F, 0b1, 0o7, 1_000", "select ?, ?, ?, ?, ?, ?, ?, ?, ?"),
    ("SELECT -1, + 2, - - 3, -$1, a - 1, (-x)", "select ?, ?, ?, ?, a - ?, (- x)"),
    ("SELECT true, NOT false, a IS NULL, b = NULL", "select ?, not false, a is null, b = ?"),
    ("SELECT date '2026-11-23', interval '1' day", "select date ?, interval ? day"),
    ("SELECT extract(year FROM ts), x::numeric(10, 2)", "select extract(? from ts), x::numeric(?, ?)"),
    ("SELECT * FROM a JOIN b ON true", "select * from a join b on ?"),
    # identifiers
    ('SELECT "a", "B", "c d", "select", "e""f" FROM "T"', 'select a, "B", "c d", "select", "e""f" from "T"'),
    ("SELECT Größe, 名前 FROM ÄÖ", "select größe, 名前 from ÄÖ"),
    ("SELECT a$b, c$1", "select a$b, c$1"),
    # operators
    ("SELECT a!=b, a<>b, a<@b, a@>b, a->>'x'", "select a <> b, a <> b, a <@ b, a @> b, a ->> ?"),
    ("SELECT * FROM j WHERE doc ? 'k' AND doc ?| $1", "select * from j where doc ? ? and doc ?| ?"),
    ("SELECT a+-b, a*-1, @-5", "select a + - b, a * ?, @- ?"),
    # lists
    ("SELECT a FROM t WHERE id IN (1, 2, 3)", "select a from t where id in (?)"),
    ("SELECT a FROM t WHERE id IN ($1 /*, ... */)", "select a from t where id in (?)"),
    ("SELECT a FROM t WHERE id NOT IN ($1::int, $2::int)", "select a from t where id not in (?)"),
    ("SELECT a FROM t WHERE (x, y) IN ((1, 2), (3, 4))", "select a from t where (x, y) in ((?, ?))"),
    ("SELECT a FROM t WHERE id IN (b, c, 1)", "select a from t where id in (b, c, ?)"),
    ("SELECT ARRAY[1, 2], ARRAY[[1, 2], [3, 4]]", "select array[?], array[[?]]"),
    ("INSERT INTO t (a, b) VALUES (1, 'x'), (-2, NULL)", "insert into t (a, b) values (?, ?)"),
    ("INSERT INTO t VALUES (1, now()), (2, DEFAULT), (3, now())", "insert into t values (?, now()), (?, default)"),
    # aliases
    ("SELECT c.id FROM customer AS c WHERE c.x = 1", "select @1.id from customer @1 where @1.x = ?"),
    ("SELECT a.x, b.y FROM t a JOIN u b USING (id)", "select @1.x, @2.y from t @1 join u @2 using (id)"),
    ("SELECT a AS x, b y, count(*) n FROM t", "select a, b, count(*) from t"),
    ("SELECT DISTINCT ON (a) a, b FROM t", "select distinct on (a) a, b from t"),
    ("SELECT a OPERATOR(pg_catalog.+) b FROM t", "select a operator(pg_catalog.+) b from t"),
    ("SELECT a AS x FROM t ORDER BY x", "select a as x from t order by x"),
    ("SELECT q.x FROM (SELECT a x, b y FROM t) q", "select @1.x from (select a as x, b from t) @1"),
    ("UPDATE t AS a SET a = 1 WHERE a.id = 2", "update t @1 set a = ? where @1.id = ?"),
    ("DELETE FROM t USING u v WHERE v.id = t.id", "delete from t using u @1 where @1.id = t.id"),
    ("SELECT row_to_json(c) FROM customer c", "select row_to_json(@1) from customer @1"),
    ("SELECT ts AT TIME ZONE tz, sum(a) OVER w FROM t WINDOW w AS (ORDER BY b)",
     "select ts at time zone tz, sum(a) over w from t window w as (order by b)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "normalized"), NORMALIZED)
def test_a_text_is_normalized_to_one_readable_line(text: str, normalized: str) -> None:
    assert normalize(text).text == normalized


UTILITY = [
    (
        "EXPLAIN CREATE TEMP TABLE IF NOT EXISTS x AS SELECT o.id FROM orders o",
        "explain create temp table if not exists x as select @1.id from orders @1",
    ),
    (
        "EXPLAIN (VERBOSE) CREATE UNLOGGED TABLE x (a) AS SELECT 1 b",
        "explain (verbose) create unlogged table x (a) as select ?",
    ),
    ("SET work_mem = '64MB'", "set work_mem = ?"),
    ("SET LOCAL search_path TO a, 'b'", "set local search_path = ?"),
    ("SET SESSION \"app.token\" = 'tok'", 'set session "app.token" = ?'),
    ("SET TIME ZONE 'UTC'", "set time zone ?"),
    ("SET ROLE bob", "set role ?"),
    ("SET SESSION AUTHORIZATION bob", "set session authorization ?"),
    (
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "set transaction isolation level serializable",
    ),
    ("FETCH FORWARD 100 FROM c_17", "fetch forward ? from ?"),
    ("FETCH FORWARD $1 FROM c_18", "fetch forward ? from ?"),
    ("FETCH ABSOLUTE -1 c", "fetch absolute ? ?"),
    ("MOVE ALL IN c", "move all in ?"),
    ("CLOSE c_17", "close ?"),
    ("CLOSE ALL", "close all"),
    ('SAVEPOINT "s1"', "savepoint ?"),
    ("RELEASE SAVEPOINT s1", "release savepoint ?"),
    ("ROLLBACK TO SAVEPOINT s1", "rollback to savepoint ?"),
    ("ROLLBACK", "rollback"),
    ("DEALLOCATE PREPARE p1", "deallocate prepare ?"),
    ("EXECUTE p1 (1, 'x')", "execute ? (?, ?)"),
    ("PREPARE p1 (int) AS SELECT $1", "prepare ? (int) as select ?"),
    ("PREPARE TRANSACTION 'gid'", "prepare transaction ?"),
    ("DECLARE c CURSOR FOR SELECT a FROM t", "declare ? cursor for select a from t"),
    ("COPY t (a, b) FROM STDIN", "copy t (a, b) from stdin"),
]


@pytest.mark.parametrize(("text", "normalized"), UTILITY)
def test_names_and_values_of_utility_statements_become_placeholders(
    text: str,
    normalized: str,
) -> None:
    assert normalize(text).text == normalized


EQUAL = [
    ("SELECT max(c.v) FROM t c", "select MAX( cust.v ) from t as cust;"),
    ("SELECT a FROM t WHERE id IN (1)", "SELECT a FROM t WHERE id IN (1, 2, 3)"),
    ('SELECT "a" FROM "t"', "SELECT a FROM t"),
    ("SELECT a FROM t WHERE x != 1", "SELECT a FROM t WHERE x <> -1"),
    (
        "COPY (SELECT a FROM t WHERE id BETWEEN 1 AND 9) TO STDOUT",
        "COPY (SELECT a FROM t WHERE id BETWEEN 10 AND 99) TO STDOUT",
    ),
    ("SAVEPOINT a", "SAVEPOINT $1"),
    ("SET x TO 1", "SET x = 'y'"),
    ("SELECT 1 /* tag='a' */", "SELECT 2 /* tag='b' */"),
    (
        "SELECT x.a FROM (SELECT a FROM t y) x",
        "SELECT p.a FROM (SELECT a FROM t q) p",
    ),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_texts_of_one_statement_have_one_fingerprint(one: str, other: str) -> None:
    assert normalize(one).fingerprint == normalize(other).fingerprint


DIFFERENT = [
    ("SELECT a, b FROM t ORDER BY 1", "SELECT a, b FROM t ORDER BY 2"),
    ("SELECT a, b FROM t GROUP BY 1, 3", "SELECT a, b FROM t GROUP BY 3, 1"),
    ("SELECT DISTINCT ON (1) a FROM t", "SELECT DISTINCT ON (2) a FROM t"),
    ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", "SELECT a FROM t UNION SELECT b FROM u"),
    ("SELECT a FROM t", "SELECT b FROM t"),
    ("SELECT a, b FROM t", "SELECT b, a FROM t"),
    ("SELECT a FROM t", "SELECT a FROM s.t"),
    ("SELECT a FROM t_1", "SELECT a FROM t_2"),
    ('SELECT a FROM "T"', "SELECT a FROM t"),
    ("SELECT c.a FROM t c, u d", "SELECT d.a FROM t c, u d"),
    ("SELECT a FROM t LIMIT 1", "SELECT a FROM t"),
    ("SELECT a FROM t LIMIT 1", "SELECT a FROM t OFFSET 1"),
    ("SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = ANY ($1)"),
    ("SELECT a FROM t WHERE id IN (1)", "SELECT a FROM t WHERE id NOT IN (1)"),
    ("SELECT a FROM t WHERE x = 1 OR x = 2", "SELECT a FROM t WHERE x = 1 OR x = 2 OR x = 3"),
    ("SELECT f(1, 2)", "SELECT f(1)"),
    ("SELECT a::int FROM t", "SELECT a::text FROM t"),
    ("SELECT a FROM t WHERE x IS NULL", "SELECT a FROM t WHERE x = NULL"),
    (
        "SELECT q.x FROM (SELECT a AS x, b FROM t) q",
        "SELECT q.x FROM (SELECT a, b AS x FROM t) q",
    ),
    ("SELECT a AS x, b AS y FROM t ORDER BY x", "SELECT a AS y, b AS x FROM t ORDER BY x"),
    ("SELECT a FROM t FOR UPDATE", "SELECT a FROM t FOR SHARE"),
    ("SELECT (1, 2), (3, 4)", "SELECT (1, 2)"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_statements_keep_different_fingerprints(one: str, other: str) -> None:
    assert normalize(one).fingerprint != normalize(other).fingerprint


def test_a_fingerprint_carries_its_version() -> None:
    assert normalize("SELECT a FROM t WHERE b = 1").fingerprint == "2:091231dbaea81927"


def test_a_stored_fingerprint_of_an_earlier_version_is_made_again_from_the_text() -> None:
    text = "select a from t where b = ?"
    assert renewed("1:091231dbaea81927", text) == "2:091231dbaea81927"
    assert renewed("2:0000000000000001", text) == "2:0000000000000001"
    assert renewed("", "") == ""


SECRETS = [
    "CREATE ROLE r LOGIN PASSWORD 'S3CRET'",
    "ALTER USER u WITH ENCRYPTED PASSWORD $$S3CRET$$ VALID UNTIL 'infinity'",
    "CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password 'S3CRET')",
    "ALTER USER MAPPING FOR u SERVER s OPTIONS (SET password 'S3CRET')",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=S3CRET' PUBLICATION p",
    "ALTER ROLE r SET app.key = 'S3CRET'",
    "ALTER SYSTEM SET primary_conninfo TO 'password=S3CRET'",
    "COPY t FROM PROGRAM 'curl -u me:S3CRET http://h'",
    "EXECUTE q ('S3CRET', 42)",
    "SELECT dblink_connect(E'password=\\'S3CRET\\'')",
    "SELECT 1 /* password=S3CRET */ -- S3CRET",
    "NOTIFY c, 'S3CRET'",
    "DO $do$ BEGIN PERFORM 'S3CRET'; END $do$",
    "CREATE ROLE r PASSWORD 'S3CRET",
    "SET SESSION app.key TO S3CRET",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_literal_or_comment_survives(text: str) -> None:
    assert "s3cret" not in normalize(text).text.lower()


TOKENS = [
    ("a::int", [(TokenKind.NAME, "a"), (TokenKind.PUNCTUATION, "::"), (TokenKind.NAME, "int")]),
    ("+-*-", [(TokenKind.OPERATOR, "+-*"), (TokenKind.OPERATOR, "-")]),
    ("@-", [(TokenKind.OPERATOR, "@-")]),
    ("<--x", [(TokenKind.OPERATOR, "<"), (TokenKind.COMMENT, "--x")]),
    ("/*a/*b*/c*/1", [(TokenKind.COMMENT, "/*a/*b*/c*/"), (TokenKind.NUMBER, "1")]),
    ("/*a", [(TokenKind.COMMENT, "/*a")]),
    ("1..2", [(TokenKind.NUMBER, "1"), (TokenKind.PUNCTUATION, ".."), (TokenKind.NUMBER, "2")]),
    ("'a", [(TokenKind.STRING, "'a")]),
    ("$a$x$b$", [(TokenKind.STRING, "$a$x$b$")]),
    ("$12", [(TokenKind.PARAMETER, "$12")]),
    ('"a', [(TokenKind.NAME, "a")]),
    ("SELECT", [(TokenKind.KEYWORD, "select")]),
]


@pytest.mark.parametrize(("text", "tokens"), TOKENS)
def test_tokens_are_cut_as_the_server_cuts_them(text: str, tokens: list[object]) -> None:
    assert lex(text) == tokens


WHOLE = [
    ("SELECT a FROM t", False),
    ("SELECT count(*) FROM t", False),
    ("SELECT 'it''s'", False),
    ("<insufficient privilege>", False),
    ("", False),
    ("SELECT a FROM t WHERE x IN (", True),
    ("SELECT a FROM t WHERE x = 'abc", True),
    ('SELECT a FROM "abc', True),
    ("INSERT INTO t VALUES (1, 2), (3,", True),
    ("SELECT a FROM t WHERE", True),
    ("SELECT a FROM t WHERE b =", True),
    ("SELECT a FROM t /* b /* c */", True),
    ("SELECT a FROM t /* b /* c */ */", False),
    ("SELECT a FROM t WHERE b IN ($1 /*, ... */)", False),
]


@pytest.mark.parametrize(("text", "truncated"), WHOLE)
def test_a_text_that_stops_early_is_truncated(text: str, truncated: bool) -> None:  # noqa: FBT001
    assert normalize(text).truncated is truncated


OWN = [
    ("SELECT 1 /* pgiostat */", True),
    (b"/* pgiostat */ SELECT 1", True),
    ("SELECT '/* pgiostat */'", False),
    ('SELECT "/* pgiostat */"', False),
    ("SELECT 1 /* pgiostat-like */", False),
    ("SELECT 1 -- /* pgiostat */", False),
    (" " * 200 + "/* pgiostat */ SELECT 1", False),
]


@pytest.mark.parametrize(("text", "own"), OWN)
def test_only_a_real_comment_marks_a_text_as_ours(
    text: str | bytes,
    own: bool,  # noqa: FBT001
) -> None:
    assert is_own(text) is own


def test_comments_are_given_as_written() -> None:
    assert comments("SELECT '/*no*/' /* a */ -- b\n/* c") == ["/* a */", "-- b", "/* c"]


def test_bytes_and_text_give_the_same() -> None:
    assert normalize("SELECT 'é' FROM größe".encode()) == normalize("SELECT 'é' FROM größe")


def test_what_is_not_utf_8_still_gives_a_line_that_can_be_printed() -> None:
    assert normalize(b'SELECT "\xff" FROM t').text == "select \ufffd from t"
    assert normalize('SELECT "\ud800\n" FROM t').text.isprintable()


def test_short_and_long_texts_are_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text for text, _ in [*NORMALIZED, *UTILITY]] + SECRETS
    texts += [
        f"INSERT INTO t VALUES {', '.join(['(1, now(), NULL)', '(-2, x, 1.5e-3)'] * 40)}",
        f"SELECT a FROM t WHERE id IN ({', '.join(map(str, range(200)))}) AND b IN (1, {'c,' * 99}1)",
        f"SELECT ARRAY[{', '.join(['1', 'NULL'] * 100)}] FROM t",
    ]
    short = [normalize(text) for text in texts]
    monkeypatch.setattr(lexer, "_LONG", 0)
    assert [normalize(text) for text in texts] == short


HUGE = {
    "a list of 10,000": f"SELECT a FROM t WHERE id IN ({', '.join(map(str, range(10_000)))})",
    "a megabyte of rows": "INSERT INTO t VALUES "
    + ", ".join(f"({n}, 'abc', {n})" for n in range(50_000)),
    "open parentheses": "SELECT " + "(" * 40_000,
    "single quotes": "SELECT " + "'" * 40_001,
    "double quotes": "SELECT " + '"' * 40_001,
    "dollar quotes": "SELECT " + "$a$b" * 10_000,
    "open comments": "SELECT " + "/*" * 40_000,
    "minus signs": "SELECT " + "- " * 40_000 + "1",
    "plus signs": "+" * 20_000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM t, " * 5_000,
    "places": "SELECT a FROM t GROUP BY " + "1, " * 20_000 + "1",
    "places in parentheses": "SELECT a FROM t ORDER BY " + "(" * 20_000 + "1" + ")" * 20_000,
    "signs after DISTINCT ON": "SELECT DISTINCT ON (1) " + "- " * 40_000 + "1",
    "glued parameters": "SELECT " + " ".join(f"date${n % 999 + 1}" for n in range(20_000)),
}


def assert_fixpoint(text: str | bytes) -> None:
    once = normalize(text)
    again = normalize(once.text)
    assert (again.text, again.fingerprint) == (once.text, once.fingerprint)
    assert "\n" not in once.text
    assert fingerprint(text) == once.fingerprint


@pytest.mark.parametrize("what", HUGE)
def test_nothing_is_too_long_or_too_deep(what: str) -> None:
    assert_fixpoint(HUGE[what])


@settings(deadline=None, max_examples=EXAMPLES)
@given(SOUP)
def test_normalizing_again_changes_nothing_in_what_looks_like_sql(text: str) -> None:
    assert_fixpoint(text)


@settings(deadline=None, max_examples=EXAMPLES)
@given(TEXTS | BYTES)
def test_normalizing_again_changes_nothing_in_any_text(text: str | bytes) -> None:
    assert_fixpoint(text)
