"""A statement that matches no rule is named after what it does, and to which table."""

from dataclasses import replace
from pathlib import Path

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.queries.describe import describer
from pgiostat.queries.features.main_relation import partitioned_name
from pgiostat.queries.rules import Classifier, builtin, rule_book
from pgiostat.statistics.names import (
    OTHER,
    OWN,
    IfSync,
    Names,
    Statement,
    agree_on_preset,
    preset_of,
)

NAMED = [
    # the first base table of the outermost FROM
    ("select orders", "SELECT o.id FROM orders o JOIN items i ON i.order_id = o.id"),
    ("select orders", "SELECT count(*) AS n FROM (SELECT o.id FROM orders o) AS anon_1"),
    ("select tree", "WITH RECURSIVE r AS (SELECT id FROM tree UNION ALL SELECT t.id FROM tree t JOIN r ON r.id = t.up) SELECT * FROM r"),
    ("select b", "WITH a AS (SELECT * FROM x) SELECT * FROM b JOIN a USING (id)"),
    ("select x", "WITH a AS (SELECT * FROM x) SELECT * FROM a JOIN b USING (id)"),
    ("select t", "SELECT * FROM (VALUES (1, 2)) v (a, b) JOIN t USING (a)"),
    ("select t", "SELECT * FROM unnest($1::int[]) u JOIN t ON t.id = u"),
    ("select x", "(SELECT a FROM x) UNION ALL SELECT b FROM y"),
    ("select t", "SELECT EXISTS (SELECT 1 FROM t WHERE id = $1)"),
    ("select a", "SELECT * FROM ((a JOIN b USING (id)) JOIN c USING (id))"),
    ("select orders", "TABLE orders"),
    ("select orders", "DECLARE c CURSOR FOR SELECT * FROM orders"),
    ("select orders", "EXPLAIN ANALYZE SELECT * FROM orders"),
    ("select orders", "SELECT * FROM public.orders"),
    ("select shop.Order", 'SELECT "o"."id" FROM "shop"."Order" "o"'),
    ("select events", "SELECT * FROM events_p2026_11 WHERE id = 1"),
    # the target of a write
    ("insert events", "INSERT INTO events SELECT * FROM staging ON CONFLICT DO NOTHING"),
    ("update job", "WITH next AS (SELECT id FROM job LIMIT 1 FOR UPDATE SKIP LOCKED) UPDATE job SET state = 1 FROM next"),
    ("delete a", "DELETE FROM a USING b WHERE a.id = b.id"),
    ("merge t", "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET x = 1"),
    ("insert archive", "WITH gone AS (SELECT * FROM t), put AS (INSERT INTO archive SELECT * FROM gone RETURNING 1) SELECT count(*) FROM put"),
    ("truncate a.b", "TRUNCATE TABLE ONLY a.b, c"),
    # neither
    ("function app.search", "SELECT app.search($1)"),
    ("function app.search", "SELECT * FROM app.search($1) s"),
    ("function app.search", "WITH c AS (SELECT * FROM app.search($1)) SELECT count(*) FROM c"),
    ("function app.search", "SELECT coalesce(app.search($1), 0)"),
    ("function generate_series", "SELECT sum(n) OVER (ORDER BY n) FROM generate_series(1, 9) n"),
    ("function count", "SELECT count(*) OVER (ORDER BY a) FROM (VALUES (1)) v (a)"),
    ("session", "SELECT CAST($1 AS varchar(9)), $2::numeric(9, 2)"),
    ("procedure app.close_day", "CALL app.close_day(1)"),
    ("procedure", "DO $$ BEGIN PERFORM 1; END $$"),
    ("copy", "COPY orders FROM stdin"),
    ("copy", "COPY (SELECT * FROM a) TO stdout"),
    # a table or a materialized view that a query fills
    ("create x", "CREATE TABLE x AS SELECT * FROM y"),
    ("create s.x", "CREATE UNLOGGED TABLE IF NOT EXISTS s.x (a, b) USING heap AS (SELECT * FROM y)"),
    ("create x", "CREATE TEMP TABLE x ON COMMIT DROP AS WITH c AS (SELECT 1) SELECT * FROM c"),
    ("create x", "CREATE TABLE x AS EXECUTE p(1)"),
    ("create x", "CREATE TABLE x AS TABLE y"),
    ("create x", "CREATE MATERIALIZED VIEW IF NOT EXISTS public.x AS SELECT * FROM f(1)"),
    ("create events", "CREATE TABLE events_p2026_12 AS SELECT * FROM events_p2026_11"),
    ("create x", "SELECT * INTO UNLOGGED x FROM y"),
    ("create x", "WITH c AS (SELECT * FROM y) SELECT * INTO x FROM c"),
    ("create x", "EXPLAIN ANALYZE CREATE TEMP TABLE IF NOT EXISTS x AS SELECT * FROM y"),
    ("refresh mv", "REFRESH MATERIALIZED VIEW CONCURRENTLY mv"),
    ("explain", "EXPLAIN CREATE TEMP TABLE IF NOT EXISTS x AS SELECT * FROM y"),
    ("ddl", "CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a + 1) STORED)"),
    ("ddl", "CREATE OR REPLACE VIEW x AS SELECT * FROM y"),
    ("ddl", "CREATE TYPE x AS (a int)"),
    ("ddl", "ALTER TABLE x ADD COLUMN y int"),
    ("maintenance", "CREATE UNIQUE INDEX CONCURRENTLY ON t (id)"),
    ("maintenance", "VACUUM (ANALYZE) t"),
    ("session", "BEGIN"),
    ("session", "SET application_name = 'x'"),
    ("session", "SELECT 1"),
    ("session", "SELECT version()"),
    ("session", "SELECT pg_advisory_xact_lock($1)"),
    ("session", "LOCK TABLE a IN SHARE MODE"),
    ("explain", "EXPLAIN SELECT * FROM orders"),
    ("catalog queries", "SELECT oid FROM pg_class"),
    ("catalog queries", "SELECT to_regclass($1)"),
    ("session", "SELECT pg_catalog.pg_try_advisory_lock($1)"),
    ("catalog queries", "SELECT * FROM information_schema.tables"),
    (OTHER, "FETCH 10 FROM c"),
    (OTHER, "<insufficient privilege>"),
    (OTHER, ""),
]  # fmt: skip
# ruff: noqa: E501 - a statement and its category are read best on one line


@pytest.mark.parametrize(("category", "text"), NAMED)
def test_a_statement_is_named_after_what_it_does(category: str, text: str) -> None:
    assert Classifier(builtin("none")).classify(text).category == category


READ = [
    ("orders", "SELECT o.id FROM orders o JOIN items i ON i.order_id = o.id"),
    ("orders", "COPY (SELECT * FROM orders WHERE id > 3) TO stdout"),
    ("s.orders", "COPY s.orders (a, b) TO stdout"),
    ("orders", "COPY public.orders FROM stdin"),
    # the target of a write, but for what it reads its rows from
    ("orders", "INSERT INTO archive SELECT * FROM orders"),
    ("t", "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO archive SELECT * FROM gone"),
    ("archive", "INSERT INTO archive VALUES ($1)"),
    ("archive", "INSERT INTO archive SELECT generate_series(1, 10)"),
    ("archive", "INSERT INTO archive SELECT oid FROM pg_class"),
    ("a", "UPDATE a SET x = 1 FROM b WHERE a.id = b.id"),
    ("t", "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET x = 1"),
    ("customer", 'SELECT 1 FROM ONLY "public"."customer" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x'),
    # commands
    ("orders", "CREATE TABLE x AS SELECT * FROM orders"),
    ("orders", "CREATE MATERIALIZED VIEW x AS SELECT * FROM orders"),
    ("orders", "SELECT * INTO x FROM orders"),
    ("orders", "EXPLAIN CREATE TEMP TABLE IF NOT EXISTS x AS SELECT * FROM orders"),
    ("orders", "EXPLAIN (COSTS off) CREATE UNLOGGED TABLE x AS SELECT * FROM orders"),
    ("orders", "EXPLAIN CREATE MATERIALIZED VIEW IF NOT EXISTS x AS SELECT * FROM orders"),
    ("", "EXPLAIN CREATE TEMP TABLE x AS EXECUTE p"),
    ("", "CREATE VIEW x AS SELECT * FROM orders"),
    ("", "CREATE TABLE x (id int)"),
    ("mv", "REFRESH MATERIALIZED VIEW CONCURRENTLY mv"),
    ("orders", "DECLARE c CURSOR FOR SELECT * FROM orders"),
    ("orders", "EXPLAIN SELECT * FROM orders"),
    ("orders", "PREPARE p AS SELECT * FROM orders"),
    ("s.t", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY s.t USING btree (a)"),
    ("t", "CREATE INDEX ON t (id)"),
    ("s.t", "VACUUM (ANALYZE, VERBOSE) s.t (a)"),
    ("t", "VACUUM FULL FREEZE t"),
    ("t", "ANALYSE t"),
    ("t", "REINDEX (VERBOSE) TABLE CONCURRENTLY t"),
    ("", "REINDEX DATABASE d"),
    ("t", "CLUSTER t USING i"),
    ("t", "REPACK (VERBOSE) t USING INDEX i"),
    ("", "VACUUM"),
    ("s.t", "ALTER TABLE IF EXISTS ONLY s.t ADD COLUMN a int"),
    ("", "ALTER TABLE ALL IN TABLESPACE x SET TABLESPACE y"),
    ("", "ALTER INDEX i RENAME TO j"),
    # neither
    ("", "LOCK TABLE a IN SHARE MODE"),
    ("", "SELECT oid FROM pg_class"),
    ("", "SELECT app.search($1)"),
    ("", "CALL app.close_day(1)"),
    ("", "BEGIN"),
    # a function is no table
    ("", "SELECT * FROM generate_series(1, 10)"),
    ("", "EXPLAIN SELECT * FROM unnest($1::int[]) u"),
    ("", "EXPLAIN SELECT app.search($1)"),
    ("", "COPY (SELECT * FROM app.search($1)) TO stdout"),
    ("", "CREATE TABLE x AS SELECT * FROM generate_series(1, 10)"),
    ("", "CREATE MATERIALIZED VIEW x AS SELECT * FROM app.search(1)"),
    ("orders", "SELECT count(*) FROM generate_series(1, 9) g JOIN orders o ON o.id = g"),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("table", "text"), READ)
def test_a_ranking_by_table_has_the_table_that_is_read(table: str, text: str) -> None:
    describe = describer(rule_book(preset="none"))
    assert describe(text, user="u", database="d", queryid=1).table_read == table


def test_maintenance_and_definitions_match_no_rule_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('schema = 1\n[[rule]]\nname = "t"\ncategory = "mine"\nwhen = { table = "t" }\n')
    classifier = Classifier(rule_book(path, "none").rules)
    texts = ("VACUUM t", "CREATE INDEX ON t (id)", "ALTER TABLE t ADD a int", "COPY t TO stdout")
    found = [classifier.classify(text).category for text in texts]
    assert found == ["maintenance", "maintenance", "ddl", "mine"]


def test_a_function_matches_no_rule_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        'schema = 1\n[[rule]]\nname = "app"\ncategory = "app {table}"\nwhen = { table = "app.*" }\n'
        '[[rule]]\nname = "calls"\ncategory = "{schema} code"\nwhen = { calls = "app.*" }\n'
    )
    classifier = Classifier(rule_book(path, "none").rules)
    texts = ("SELECT * FROM app.t", "SELECT * FROM app.f(1)", "CALL app.p(1)")
    assert [classifier.classify(text).category for text in texts] == [
        "app app.t", "app code", "app code",
    ]  # fmt: skip


FRAMEWORKS = [
    ("queue", "UPDATE good_jobs SET finished_at = now() WHERE id = $1"),
    (
        "queue",
        "WITH n AS (SELECT id FROM pgboss.job LIMIT 1) UPDATE pgboss.job j SET state = 'active' FROM n WHERE n.id = j.id",
    ),
    ("queue", "SELECT graphile_worker.add_job($1)"),
    ("migration", "SELECT version_num FROM alembic_version"),
    ("web session", "SELECT session_data FROM django_session WHERE session_key = $1"),
    ("preload items", "SELECT i.* FROM items i WHERE i.order_id IN ($1, $2, $3)"),
    (
        "select scans",
        (
            "SELECT DISTINCT ON (parcel_id) id, at FROM scans WHERE parcel_id = ANY($1)"
            " ORDER BY parcel_id, at DESC"
        ),
    ),
    ("select items", "SELECT i.* FROM items i WHERE i.id IN ($1, $2, $3)"),
    ("select items", "SELECT sum(price) FROM items i WHERE i.order_id IN ($1, $2, $3)"),
]


@pytest.mark.parametrize(("category", "text"), FRAMEWORKS)
def test_frameworks_are_known_by_their_tables(category: str, text: str) -> None:
    assert Classifier(builtin("general")).classify(text).category == category


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("events_2026_11", "events"), ("events_20261130", "events"), ("e_y2026m11", "e"),
        ("events_2026w07", "events"), ("log_p2026_11_30", "log"), ("t_default", "t"),
        ("orders_part_3", "orders"), ("m_p7", "m"), ("s.orders_hash_0", "s.orders"),
        ("area51", "area51"), ("orders_2", "orders_2"), ("http2", "http2"), ("year2026", "year"),
        ("default", "default"), ("2026", "2026"),
    ],
)  # fmt: skip
def test_a_partition_has_the_name_of_its_table(name: str, expected: str) -> None:
    assert partitioned_name(name) == expected


VERSION = "SELECT max(row_version) FROM customer WHERE client_id = $1"
MANIFEST = "SELECT id, row_version FROM customer WHERE id BETWEEN $1 AND $2 ORDER BY id"


def names(*texts: str, preset: str = "auto") -> Names:
    """Return names of statements, added in this order."""
    describe = describer(rule_book(preset=preset))  # type: ignore[arg-type]
    found = Names()
    for number, text in enumerate(texts):
        found.add((10, 5, number), describe(text, user="u", database="d", queryid=number))
    return found


def categories(found: Names) -> list[str]:
    return [found.described(key).category for key in sorted(found.statements)]


def test_a_version_and_a_manifest_of_one_table_put_the_preset_sync_in_force() -> None:
    both = names("SELECT * FROM note", VERSION, MANIFEST, "INSERT INTO note VALUES (1)")
    assert categories(both) == ["select note", "version", "manifest", "upload"]
    assert (both.is_sync, both.version_tables & both.manifest_tables) == (True, {"customer"})


def test_one_of_them_or_two_tables_do_not() -> None:
    other = MANIFEST.replace("customer", "invoice")
    assert categories(names(VERSION, other)) == ["select customer", "select invoice"]
    assert categories(names(MANIFEST)) == ["select customer"]


def test_a_fixed_preset_is_in_force_whatever_the_statements_are() -> None:
    assert categories(names(VERSION, preset="sync")) == ["version"]
    assert categories(names(VERSION, MANIFEST, preset="none")) == ["select customer"] * 2


def test_a_cursor_has_the_category_of_the_preset_in_force() -> None:
    found = names(f"DECLARE c CURSOR FOR {MANIFEST}", "FETCH 10 FROM c", VERSION)
    assert categories(found) == ["manifest", "manifest", "version"]


def test_several_windows_have_one_preset() -> None:
    sync, alone = names(VERSION, MANIFEST), names(VERSION)
    agree_on_preset([alone, sync])
    assert categories(alone) == ["version"]


def test_the_preset_in_force_is_stated_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('schema = 1\npreset = "none"\n')
    fixed = Names()
    fixed.add((10, 5, 1), describer(rule_book(path))(VERSION, user="", database="", queryid=1))
    stated = [
        str(preset_of([known]))
        for known in (names(VERSION, MANIFEST), names(VERSION), names(VERSION, preset="sync"))
    ]
    assert [*stated, str(preset_of([fixed])), preset_of([Names()])] == [
        "preset sync: versions and manifests of customer",
        "preset general: no table has both versions and manifests",
        "preset sync: fixed by --preset",
        "preset none: fixed by the rules file",
        None,
    ]


def test_all_tables_that_show_a_sync_api_are_noted() -> None:
    tables = ("invoice", "customer", "visit")
    texts = [text.replace("customer", name) for name in tables for text in (VERSION, MANIFEST)]
    assert str(preset_of([names(*texts)])) == (
        "preset sync: versions and manifests of customer, invoice, …"
    )


def test_a_fetch_is_about_the_table_of_its_cursor() -> None:
    found = names("DECLARE c CURSOR FOR SELECT * FROM orders", "FETCH 10 FROM c")
    assert [found.described((10, 5, n)).action for n in (0, 1)] == ["select orders"] * 2
    assert [found.described((10, 5, n)).table_read for n in (0, 1)] == ["orders"] * 2
    found.add((10, 5, 3), replace(found.statements[10, 5, 0], action="select items"))
    assert found.described((10, 5, 1)).action == OTHER


def test_our_own_statements_stay_ours() -> None:
    found = names(VERSION)
    found.add((10, 5, 9), Statement("select 1", "2:a", OWN, if_sync=IfSync("select x")))
    found.apply_sync()
    assert categories(found) == ["version", OWN]


@pytest.mark.parametrize(
    ("content", "fixed"),
    [
        ("", False),
        ('preset = "sync"\n', True),
        ('[vocab]\nsynced = ["customer"]\n', True),
        ('[vocab]\nmine = ["customer"]\n', False),
    ],
)
def test_a_rules_file_may_fix_the_preset(tmp_path: Path, content: str, fixed: bool) -> None:  # noqa: FBT001
    path = tmp_path / "rules.toml"
    path.write_text(f"schema = 1\n{content}")
    book = rule_book(path)
    assert (book.if_sync is None) == fixed
    assert ("version" in book.rules.categories) == fixed
    assert rule_book(path, "none").rules.categories == ()


FOLDING = """schema = 1
preset = "none"
[[rule]]
name = "billing"
category = "billing {verb}"
when = { table = ["billing.*", "bill_*"] }
[[rule]]
name = "reports"
category = "reports"
when = { table = "report_*", verb = "select" }
[[rule]]
name = "schemas"
category = "{schema}"
when = { table = ["*.*", "hr_*"] }
"""


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("UPDATE billing.invoice SET paid = true", "billing update"),
        ("SELECT * FROM bill_item", "billing select"),
        ("SELECT * FROM report_day", "reports"),
        ("INSERT INTO report_day VALUES (1)", "insert report_day"),
        ("SELECT * FROM crm.lead", "crm"),
        ("SELECT * FROM public.orders", "public"),
        ("SELECT * FROM hr_person", "select hr_person"),  # its text has no schema
        ("SELECT * FROM orders", "select orders"),
    ],
)
def test_a_rule_folds_automatic_categories(tmp_path: Path, text: str, category: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(FOLDING)
    assert Classifier(rule_book(path).rules).classify(text).category == category


def test_an_unknown_placeholder_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(FOLDING.replace("{verb}", "{role}"))
    with pytest.raises(PgiostatError) as raised:
        rule_book(path)
    message = f'{path}, line 5: "{{role}}" is not a placeholder of a category'
    assert raised.value.message == message
    assert raised.value.hint == "Placeholders: {verb}, {schema}, {table}."


def test_an_unknown_preset_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('schema = 1\npreset = "shop"\n')
    with pytest.raises(PgiostatError) as raised:
        rule_book(path)
    assert raised.value.message == f'{path}, line 2: "preset" is not the name of a preset'
    assert raised.value.hint == "Presets are sync, general, none."
