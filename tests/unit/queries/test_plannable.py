"""Which texts of a server may be sent to be planned: one plain statement without constants."""

import pytest

from pgiostat.queries.plannable import Plannable, plannable

SENT = [
    ("SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $1", "select", 1),
    ("select a /* /* ; */ */ from t;", "select a from t", "select", 0),
    ("-- why\nupdate t set a = $1 where b = $2", "update t set a = $1 where b = $2", "update", 2),
    ("(select a from t) union (select b from u)", None, "select", 0),
    ("with x as (delete from t returning *) select * from x", None, "with", 0),
    ("values ($1)", None, "values", 1),
    ("merge into t using u on t.a = u.a when matched then delete", None, "merge", 0),
    ("insert into t values ($1, $2)", None, "insert", 2),
    ("delete from t where a = $12", None, "delete", 12),
    ('select "; drop table t" from t', None, "select", 0),
    ("select a from t where b in ($1 /*, ... */)", None, "select", 1),
    ("select a from t where b > now() - interval $1", None, "select", 1),
]


@pytest.mark.parametrize(("text", "sent", "verb", "parameters"), SENT)
def test_a_plain_statement_is_sent(text: str, sent: str | None, verb: str, parameters: int) -> None:
    expected = text if sent is None else sent
    if "interval $1" in expected:
        expected = expected.replace("interval $1", "$1::interval")
    assert plannable(text) == Plannable(expected, verb, parameters)


SEVERAL = "its text has several statements"
COMMAND = "EXPLAIN does not take this command"
TRUNCATED = "its text is truncated"
CONSTANTS = "its text has constants, which are not sent"
BYTES = "its text has bytes that are no characters"
REFUSED = [
    ("", "its text is lost"),
    (" /* nothing */ ", "its text is lost"),
    ("<insufficient privilege>", "its text is hidden from our role"),
    ("select 1; drop table t", SEVERAL),
    ("select a from t where b = $1 -- x\n; drop table t", SEVERAL),
    ("select a from t where b = $1\r; drop table t", SEVERAL),
    ("select a from t\u2028;drop table t", SEVERAL),
    ("select $1); drop table t; --", SEVERAL),
    ("select /* /* */ a */ from t; commit", SEVERAL),
    ("explain analyze delete from t", COMMAND),
    ("/* select */ explain analyze delete from t", COMMAND),
    ("analyze t", COMMAND),
    ("execute p", COMMAND),
    ("declare c cursor for select a from t", COMMAND),
    ("create table a as select b from t", COMMAND),
    ("prepare p as select a from t", COMMAND),
    ("copy t to program 'x'", COMMAND),
    ("do $$ begin end $$", COMMAND),
    ("table t", COMMAND),
    ("commit", COMMAND),
    ("sel/**/ect a from t", COMMAND),
    ('"select" a from t', COMMAND),
    ("select a from t where", TRUNCATED),
    ("select a from t /* ; drop table t", TRUNCATED),
    ('select "a', TRUNCATED),
    ("select a from t where b = 'x\\'; drop table t --'", TRUNCATED),
    ("select a from t where b = 'secret'", CONSTANTS),
    ("select $$;$$", CONSTANTS),
    ("select a from t where b = 42", CONSTANTS),
    ("select a from t\ufffd", BYTES),
    ("select a from t\0", BYTES),
    ("select a from t where b = $9999999999", "it has more than 2,000 parameters"),
    (f"select {'a, ' * 6000}b from t", "its text is longer than 16,384 characters"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_everything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    assert plannable(text) == Plannable(reason=reason)


def test_only_statements_that_surely_write_need_more_than_the_right_to_read() -> None:
    writing = {each: Plannable("", each).changes_rows for each in ("select", "with", "update")}
    assert writing == {"select": False, "with": False, "update": True}
