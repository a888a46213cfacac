"""The short form of a statement: verb, tables, conditions, then columns."""

import random

import pytest

from pgiostat.queries.fingerprint import normalize
from pgiostat.queries.short_form import LONGEST, short_form

SQLALCHEMY_PAGE = """
    SELECT anon_1.orders_id AS anon_1_orders_id, anon_1.orders_total, order_items_1.id
    FROM (SELECT orders.id AS orders_id, orders.total AS orders_total FROM orders
          WHERE orders.customer_id = $1::INTEGER ORDER BY orders.id DESC LIMIT $2::INTEGER)
         AS anon_1
    LEFT OUTER JOIN order_items AS order_items_1 ON anon_1.orders_id = order_items_1.order_id
"""
DJANGO_ADMIN = """
    SELECT "shop_order"."id" FROM "shop_order"
    INNER JOIN "auth_user" ON ("shop_order"."u_id" = "auth_user"."id")
    WHERE ("auth_user"."name" LIKE $1 AND EXISTS(
        SELECT $2 AS "a" FROM "item" U0 WHERE U0."order_id" = ("shop_order"."id") LIMIT $3))
    ORDER BY "shop_order"."id" ASC LIMIT $4
"""
QUEUE = """
    WITH x AS (SELECT id FROM job WHERE state = $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE job SET state = $3 FROM x WHERE job.id = x.id RETURNING job.*
"""
DEEP = (
    "SELECT a FROM t WHERE a IN (SELECT b FROM u WHERE b IN (SELECT c FROM v WHERE c IN ("
    "SELECT d FROM w WHERE d IN (SELECT e FROM x))))"
)
SHORT = {
    SQLALCHEMY_PAGE: "orders ⨝ order_items · customer_id = $ · order by id desc · limit $"
    " · orders_id, orders_total, id",
    "SELECT order_items.order_id AS o, order_items.id FROM order_items"
    " WHERE order_items.order_id IN ($1::INTEGER, $2::INTEGER)": "order_items"
    " · order_id in ($) · order_id, id",
    DJANGO_ADMIN: "shop_order ⨝ auth_user · (name like $ and exists (item · order_id =(id)"
    " · limit $)) · order by id asc · limit $ · id",
    QUEUE: "update job · job.id = x.id · state = $ · set state = $ · order by id · limit $"
    " · for update skip locked",
    "SELECT * FROM public.orders o, app.items i WHERE o.id = i.order_id AND o.c = 4": "orders ⨝"
    " app.items · orders.id = items.order_id and c = $ · *",
    "SELECT date_trunc('day', o.d), sum(i.q * p.price) FROM o JOIN i ON i.o = o.id JOIN p ON p.id"
    " = i.p GROUP BY 1 HAVING sum(i.q) > 5 ORDER BY 2 DESC OFFSET 10": "o ⨝ i ⨝ p · group by 1"
    " · having sum(q) > $ · order by 2 desc · offset $ · date_trunc($, d), sum(q * price)",
    "SELECT row_to_json(o) FROM orders o WHERE o.meta ? $1 AND o.at > $2::timestamp with time zone"
    " AND k = ANY($3::int[])": "orders · meta ? $ and at > $ and k = any($) · row_to_json(orders)",
    "INSERT INTO events (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT (a) DO UPDATE SET b ="
    " excluded.b": "insert events · on conflict (a) do update · (a, b)",
    "INSERT INTO a SELECT * FROM b WHERE c = 1": "insert a ← b · c = $ · *",
    "DELETE FROM sessions WHERE expires < now()": "delete sessions · expires < now()",
    "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.a": "merge t ⨝ s",
    "SELECT a FROM t UNION ALL SELECT b FROM u WHERE c = 1": "t · a union u · c = $ · b",
    "(SELECT 1) UNION (SELECT a FROM t)": "select $ union t · a",
    "WITH RECURSIVE r AS (SELECT id FROM n WHERE id = 1 UNION ALL SELECT n.id FROM n JOIN r ON"
    " n.parent = r.id) SELECT * FROM r": "n · id = $ · *",
    "SELECT count(*) FROM orders": "orders · count(*)",
    "TABLE orders": "orders",
    "VALUES (1, 2)": "values ($, $)",
    "SELECT now(), 1": "select now(), $",
    "SELECT * FROM generate_series(1, 10)": "generate_series() · *",
    DEEP: "t · a in (u · b in (v · c in (w · d in (…) · d) · c) · b) · a",
    "EXPLAIN SELECT * FROM orders": "explain orders · *",
    "COPY (SELECT * FROM orders) TO STDOUT": "copy orders · *",
    "COPY orders TO STDOUT": "copy orders to stdout",
    "CREATE TABLE x AS SELECT * FROM orders": "create table x as orders · *",
    "DECLARE c CURSOR FOR SELECT * FROM orders": "declare $ cursor for orders · *",
    "CALL close_day(1)": "call close_day($)",
    # the schema of what a command names, of functions and of types; public is left out
    "CALL billing.close_day(1)": "call billing.close_day($)",
    "CALL public.close_day(1)": "call close_day($)",
    "COPY billing.invoice (id, total) TO STDOUT": "copy billing.invoice (id, total) to stdout",
    "COPY public.invoice FROM STDIN": "copy invoice from stdin",
    "VACUUM billing.invoice": "vacuum billing.invoice",
    "VACUUM pg_catalog.pg_class": "vacuum pg_catalog.pg_class",
    "ALTER TABLE s.t ADD FOREIGN KEY (a) REFERENCES public.u (id)": "alter table s.t add foreign"
    " key (a) references u (id)",
    "CREATE TABLE s.x AS SELECT * FROM orders": "create table s.x as orders · *",
    "SELECT stay.price(r.id), public.price(r.id), pg_catalog.lower(r.a), r.b::stay.money"
    " FROM room r WHERE stay.free(r.id)": "room · stay.free(id) · stay.price(id), price(id),"
    " lower(a), b::stay.money",
    # a table that is written is named once
    "UPDATE jobs SET state = $1 WHERE id IN (SELECT id FROM jobs WHERE state = $2 ORDER BY id"
    " LIMIT 1 FOR UPDATE SKIP LOCKED)": "update jobs · id in (jobs · state = $ · order by id"
    " · limit $ · for update skip locked · id) · set state = $",
    "UPDATE jobs j SET state = $1 FROM (SELECT id FROM jobs LIMIT 1 FOR UPDATE SKIP LOCKED) s"
    " WHERE j.id = s.id": "update jobs · jobs.id = ….id · set state = $ · limit $"
    " · for update skip locked",
    "WITH c AS (SELECT id FROM s.jobs LIMIT 1) DELETE FROM s.jobs USING c WHERE c.id = jobs.id"
    "": "delete s.jobs · c.id = jobs.id · limit $",
    "UPDATE jobs SET state = $1 FROM jobs o WHERE o.id = jobs.after": "update jobs ⨝ jobs"
    " · jobs.id = jobs.after · set state = $",
    "SELECT e.id FROM emp e JOIN (SELECT max(id) AS id FROM emp) m ON m.id = e.id": "emp ⨝ emp"
    " · id",
    # the outermost order and limit
    "SELECT * FROM (SELECT * FROM a ORDER BY x LIMIT 5) s ORDER BY y": "a · order by y · limit $"
    " · *",
    "WITH s AS (SELECT * FROM a ORDER BY x LIMIT 9) SELECT * FROM s ORDER BY y DESC LIMIT 3"
    "": "a · order by y desc · limit $ · *",
    "WITH s AS (SELECT * FROM a ORDER BY x) SELECT * FROM s": "a · order by x · *",
    "SELECT * INTO TEMP s.x FROM orders WHERE id = 1": "select into s.x ← orders · id = $ · *",
    "SELECT 1 INTO x": "select into x ← $",
    "EXPLAIN CREATE TEMP TABLE IF NOT EXISTS x AS SELECT * FROM orders": "explain create temp"
    " table if not exists x as orders · *",
    "BEGIN": "begin",
    "": "",
}


@pytest.mark.parametrize("text", SHORT, ids=range(len(SHORT)))
def test_short_form_of(text: str) -> None:
    assert short_form(normalize(text).text) == SHORT[text]


def test_any_truncated_text_has_a_short_form() -> None:
    for text in SHORT:
        whole = normalize(text).text
        for end in range(len(whole)):
            assert len(short_form(whole[:end])) <= LONGEST


def test_any_order_of_words_has_a_short_form() -> None:
    chosen = random.Random(20)  # noqa: S311 - the same words in each run
    words = [word for text in SHORT for word in normalize(text).text.replace("(", " ( ").split()]
    for _ in range(500):
        assert len(short_form(" ".join(chosen.choices(words, k=30)))) <= LONGEST


def test_a_long_text_is_read_in_part_and_its_short_form_is_bounded() -> None:
    union = " union all ".join(["select a, b from t where a = ?"] * 20_000)
    nested = "select a from t where a in (" * 20_000
    assert short_form(union).startswith("t · a = $ · a, b union t · a = $ · a, b")
    assert short_form(nested) == "t · a in (t · a in (t · a in (t · a in (… · a · a · a · a"
    derived = "select * from (" * 2_000 + "select 1"
    assert short_form(derived) == "select *"


def test_more_tables_than_fit_end_in_an_ellipsis() -> None:
    text = "select * from " + ", ".join(f"t{number}" for number in range(20))
    named = " ⨝ ".join([*(f"t{number}" for number in range(12)), "…"])
    assert short_form(text) == f"{named} · *"
