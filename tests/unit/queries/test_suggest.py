"""Suggested rules: groups of tables, roles and tags, each with the reads that it takes."""

from dataclasses import replace

import pytest

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import RankRow
from pgiostat.queries.features import extract, tag_pairs
from pgiostat.queries.fingerprint import normalize
from pgiostat.queries.rules import Subject
from pgiostat.queries.rules.suggest import (
    CatalogTable,
    ForeignKey,
    Observation,
    ObservedStatement,
    proposals,
    rules_file,
    suggestions,
)
from pgiostat.queries.rules.suggest.families import families


def table(
    name: str,
    *parents: str,
    schema: str = "public",
    keys: str = "id",
    partitions: str = "",
    cascades: bool = False,
) -> CatalogTable:
    """Return a table; each parent is the name of a table, with the column that refers to it."""
    foreign = tuple(
        ForeignKey((column,), schema, parent, cascades)
        for parent, _, column in (each.partition(":") for each in parents)
    )
    names = tuple(keys.split())
    return CatalogTable(
        schema,
        name,
        10,
        names,
        (),
        names,
        False,
        foreign,
        tuple(partitions.split()),
    )


def statement(
    text: str,
    blocks: int = 0,
    user: str = "web",
    *,
    is_ruled: bool = False,
    database: str = "shop",
) -> ObservedStatement:
    normalized = normalize(text)
    subject = Subject(
        extract(text), normalized.fingerprint, normalized.text, user, database, hash(text)
    )
    return ObservedStatement(subject, is_ruled, tag_pairs(text), blocks, 1)


def observed(*statements: ObservedStatement, is_sync: bool = False) -> Observation:
    return Observation(statements, sum(each.blocks for each in statements), is_sync)


def families_of(*tables: CatalogTable) -> dict[str, list[str]]:
    found = families(tables)
    return {each.name: sorted(one.relname for one in each.tables) for each in found}


def test_tables_belong_together_by_the_first_word_of_their_names() -> None:
    names = ("orders", "order_items", "OrderNotes", "category", "categories_old", "coupon")
    assert families_of(*map(table, names)) == {
        "orders": ["OrderNotes", "order_items", "orders"],
        "category": ["categories_old", "category"],
        "coupon": ["coupon"],
    }


def test_a_word_that_all_names_begin_with_tells_no_tables_apart() -> None:
    assert families_of(
        table("shop_order"),
        table("shop_orderitem", "shop_order:order_id"),
        table("shop_customer"),
        table("shop_customer_address"),
    ) == {
        "shop_order": ["shop_order", "shop_orderitem"],
        "shop_customer": ["shop_customer", "shop_customer_address"],
    }


@pytest.mark.parametrize(
    ("child", "family"),
    [
        (table("prices", "products:product_id", keys="product_id since"), "products"),
        (table("prices", "products:product_id", cascades=True), "products"),
        (table("prices", "products:product_id"), "prices"),
        (table("prices", "missing:product_id", cascades=True), "prices"),
    ],
)
def test_a_table_belongs_to_the_one_that_keeps_its_rows(child: CatalogTable, family: str) -> None:
    found = families_of(table("products"), child)
    assert [name for name, tables in found.items() if "prices" in tables] == [family]


def test_a_table_that_many_refer_to_keeps_none_of_them() -> None:
    parts = [table(name, "tenant:tenant_id", keys="tenant_id id") for name in ("a", "b", "c", "d")]
    assert families_of(table("tenant"), *parts) == {
        name: [name] for name in ("tenant", "a", "b", "c", "d")
    }
    assert families_of(table("tenant"), *parts[:3]) == {"tenant": ["a", "b", "c", "tenant"]}


def test_a_table_with_parts_stays_apart_from_the_one_that_it_refers_to() -> None:
    assert families_of(
        table("customers"),
        table("orders", "customers:customer_id", cascades=True),
        table("line", "orders:order_id", cascades=True),
    ) == {"customers": ["customers"], "orders": ["line", "orders"]}


def groups_of(
    tables: list[CatalogTable], *statements: ObservedStatement
) -> list[tuple[str, object]]:
    found = suggestions(tables, observed(*statements))
    return [(each.group.name, each.group.when["table"]) for each in found.tables]


SALES_AND_STOCK = [
    table("orders", schema="sales"),
    table("order_items", schema="sales"),
    table("coupon", schema="sales"),
    table("products", schema="stock"),
    table("coupon", schema="stock"),
]
SCHEMAS = [
    ("sales", ["sales.*", "orders", "order_items"]),
    ("stock", ["stock.*", "products"]),
]


def test_each_schema_is_a_group_and_a_table_of_one_that_reads_most_is_another() -> None:
    coupon = statement("SELECT * FROM stock.coupon", 60)
    assert groups_of(SALES_AND_STOCK) == SCHEMAS
    assert groups_of(SALES_AND_STOCK, statement("SELECT * FROM sales.coupon", 40), coupon) == [
        ("stock.coupon", "stock.coupon"),
        *reversed(SCHEMAS),
    ]


@pytest.mark.parametrize(("blocks", "is_apart"), [(60, True), (2, True), (1, False)])
def test_tables_that_belong_together_are_apart_from_their_schema_if_they_read_much(
    blocks: int,
    is_apart: bool,  # noqa: FBT001 - a parameter
) -> None:
    rest = statement("SELECT 1", 99 - blocks)
    coupons = statement("SELECT * FROM sales.coupon", 1)
    found = groups_of(SALES_AND_STOCK, statement("SELECT * FROM orders", blocks), rest, coupons)
    assert found[:1] == ([("orders", ["orders", "order_items"])] if is_apart else SCHEMAS[:1])
    assert found[-2:] == SCHEMAS


def test_all_tables_of_a_schema_are_one_group_only() -> None:
    tables = [*SALES_AND_STOCK[:3], table("prices", schema="b"), table("price_lists", schema="b")]
    read = (statement("SELECT * FROM prices", 40), statement("SELECT * FROM coupon", 50))
    assert groups_of(tables, *read) == [
        ("coupon", "coupon"),
        ("orders", ["orders", "order_items"]),
        ("sales", ["sales.*", "orders", "order_items", "coupon"]),
        ("b", ["b.*", "prices", "price_lists"]),
    ]


def test_a_partitioned_table_has_a_rule_in_one_schema_and_in_several() -> None:
    booking = table("booking", partitions="booking_2026_01 booking_2026_02")
    assert groups_of([booking, table("guest")]) == [("booking", "booking")]
    assert groups_of([booking, table("guest"), table("invoice", schema="billing")]) == [
        ("billing", ["billing.*", "invoice"]),
        ("booking", "booking"),
        ("public", ["public.*", "booking", "guest"]),
    ]


CLAIMS = [
    "UPDATE {0} SET a = 1 WHERE id = (SELECT id FROM {0} LIMIT 1 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM {0} WHERE id IN (SELECT id FROM {0} LIMIT 9 FOR UPDATE SKIP LOCKED) RETURNING *",
    """WITH c AS (SELECT id FROM {0} LIMIT 9 FOR NO KEY UPDATE SKIP LOCKED)
       UPDATE {0} t SET a = 1 FROM c WHERE c.id = t.id""",
    """SELECT t.* FROM {0} t JOIN guest g ON true FETCH FIRST 1 ROW ONLY
       FOR UPDATE OF t SKIP LOCKED""",
]


@pytest.mark.parametrize("name", ["task", "public.task"])
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_table_of_which_rows_are_claimed_is_a_queue(claim: str, name: str) -> None:
    tables = [table("guest"), table("task"), table("task_log")]
    assert groups_of(tables, statement(claim.format(name), 50)) == [("job queue", "task")]


def test_no_table_that_others_refer_to_is_a_queue_nor_one_whose_single_row_is_locked() -> None:
    claim = statement(CLAIMS[0].format("room"), 50)
    one_row = statement("SELECT * FROM guest WHERE id = 1 FOR UPDATE SKIP LOCKED", 50)
    waits = statement("SELECT * FROM guest LIMIT 1 FOR UPDATE", 50)
    tables = [table("room"), table("guest"), table("booking", "room:room_id")]
    assert groups_of(tables, claim, one_row, waits) == [("guest", "guest"), ("room", "room")]


def test_a_queue_has_the_category_of_the_preset_and_comes_first() -> None:
    names = ("task", "mail", "log")
    tables = [*(table(name, schema="ops") for name in names), table("task")]
    claims = [statement(CLAIMS[0].format(name), 50) for name in ("ops.task", "mail")]
    found = suggestions(tables, observed(*claims)).tables
    assert [(each.group.category, each.group.when["table"]) for each in found] == [
        ("queue", ["ops.task", "mail"]),
        ("ops", ["ops.*", "log"]),
        ("public", ["public.*", "task", "!ops.task"]),
    ]
    assert found[0].group.why == "task, mail, claimed with SKIP LOCKED"


def test_functions_and_procedures_belong_to_their_schema() -> None:
    calls = [
        statement("CALL sales.close_day(1)", 20),
        statement("SELECT * FROM stock.missing($1)", 10),
        statement("SELECT sales.total($1)", 5),
        statement("SELECT search($1)", 10),
        statement("SELECT seldom($1)", 0),
        statement("SELECT graphile_worker.add_job($1)", 9),
        statement("SELECT sales.total(id) FROM orders", 3),
    ]
    found = suggestions(SALES_AND_STOCK, observed(*calls)).tables
    both = ["function", "procedure"]
    assert [(each.group.category, dict(each.group.when), each.calls) for each in found[-3:]] == [
        ("sales", {"verb": both, "calls": "sales.*"}, 2),
        ("stock", {"verb": both, "calls": "stock.*"}, 1),
        ("search", {"verb": "function", "calls": "search"}, 1),
    ]
    assert found[-3].group.why == "calls of sales.close_day, sales.total"
    alone = suggestions([table("orders")], observed(*calls)).tables
    assert [each.group.name for each in alone] == [
        "orders", "sales.close_day", "search", "stock.missing", "sales.total",
    ]  # fmt: skip


def test_an_example_is_a_statement_without_aliases() -> None:
    text = (
        "SELECT o.id, i.id FROM orders o JOIN order_items i ON i.order_id = o.id WHERE i.pad = 'b'"
    )
    found = suggestions([table("orders"), table("order_items")], observed(statement(text, 9)))
    assert "\n#   orders ⨝ order_items · pad = $ · id, id\n[[rule]]\n" in rules_file(
        found, path="r"
    )


def test_a_name_of_several_schemas_is_that_of_the_default_search_path() -> None:
    tables = [table("note"), table("task"), table("note", schema="ops"), table("job", schema="ops")]
    read = [
        statement("SELECT * FROM note", 40),
        statement("SELECT * FROM public.note", 9),
        statement("SELECT * FROM ops.note", 30),
        statement("SELECT * FROM job", 10),
    ]
    found = suggestions(tables, observed(*read, statement("SELECT 1", 90)))
    assert [(each.group.when["table"], each.blocks, each.group.why) for each in found.tables] == [
        (
            ["public.*", "note", "!ops.note", "task"],
            49,
            "schema public, 2 tables; note also without a schema, as by the default search_path",
        ),
        (
            ["ops.*", "job"],
            40,
            "schema ops, 2 tables; note only with the schema, as other schemas have the name too",
        ),
    ]


def test_statements_of_another_database_make_no_group() -> None:
    everything = observed(
        statement("SELECT * FROM coupon /*job='here'*/", 30),
        statement("SELECT * FROM coupon", 60, "other", database="other"),
        statement("SELECT * FROM note /*job='there'*/", 10, "other", database="other"),
    )
    of_all = suggestions([table("coupon"), table("note")], everything)
    assert [each.blocks for each in of_all.tables] == [90, 10]
    here = suggestions([table("coupon"), table("note")], replace(everything, dbname="shop"))
    assert [(each.group.name, each.blocks, each.share) for each in here.tables] == [
        ("coupon", 30, 1.0)
    ]
    assert ([each.group.name for each in here.tags], here.roles) == (["job=here"], ())
    assert (here.observed.blocks, len(here.observed.statements)) == (30, 1)


def test_a_glob_stands_for_names_that_no_other_table_has() -> None:
    auth = [table("auth_user"), table("auth_group"), table("auth_permission")]
    assert groups_of([*auth, table("authors")]) == [("auth", "auth_*")]
    others = [table("auth_x", schema="b"), table("y", schema="b")]
    read = statement("SELECT * FROM auth_user", 1)
    assert groups_of([*auth, table("authors"), *others], read)[:2] == [
        ("auth_user", "auth_user"),
        ("auth", ["auth_user", "auth_group", "auth_permission"]),
    ]


def test_partitions_whose_names_do_not_show_it_are_folded_with_their_table() -> None:
    visits = table("visits", partitions="visits_2026_11 visits_hot visits_old old.archive")
    assert groups_of([visits, table("coupon")]) == [
        ("visits", ["visits", "old.archive", "visits_hot", "visits_old"])
    ]


def test_tables_of_frameworks_are_left_to_the_preset() -> None:
    assert groups_of([table("good_jobs"), table("good_job_batches"), table("orders")]) == []


def test_a_rule_takes_what_no_rule_before_it_takes() -> None:
    found = suggestions(
        [table("orders"), table("order_items"), table("visits", partitions="visits_hot")],
        observed(
            statement("SELECT * FROM order_items WHERE order_id IN (1, 2)", 50),
            statement("SELECT * FROM orders", 30),
            statement("UPDATE public.order_items SET a = 1", 10),
            statement("SELECT * FROM coupon", 10),
        ),
    )
    assert [(each.group.name, each.share, each.calls) for each in found.tables] == [
        ("preload", 0.5, 1),
        ("orders", 0.4, 2),
        ("visits", 0.0, 0),
        ("coupon", 0.1, 1),
    ]
    assert found.share == 1.0


def test_a_table_that_the_catalog_lacks_gets_a_rule_if_it_has_many_reads() -> None:
    read = [
        statement("CREATE TEMP TABLE month AS SELECT * FROM orders", 20),
        statement("SELECT * FROM ops.gone", 78),
        statement("SELECT * FROM small", 1),
        statement("SELECT * FROM pgboss.job", 90, is_ruled=True),
        statement("SELECT * FROM orders", 1),
        statement("VACUUM", 9),
    ]
    found = suggestions([table("orders"), table("order_items")], observed(*read)).tables
    assert [(each.group.name, each.group.when["table"], each.blocks) for each in found] == [
        ("orders", ["orders", "order_items"], 1),
        ("ops.gone", "ops.gone", 78),
        ("month", "month", 20),
    ]
    assert found[-1].group.why == "table month, in no group above"


def test_a_table_that_stands_alone_gets_a_rule_if_it_reads_much() -> None:
    tables = [table("a_x"), table("a_y"), table("coupon"), table("note")]
    read = [
        statement("SELECT * FROM a_x", 49),
        statement("SELECT * FROM coupon", 50),
        statement("SELECT * FROM note", 1),
    ]
    assert groups_of(tables, *read) == [("coupon", "coupon"), ("a", ["a_x", "a_y"])]
    assert groups_of(tables) == [("a", ["a_x", "a_y"])]


def test_roles_and_tags_are_measured_alone() -> None:
    found = suggestions(
        [],
        observed(
            statement("SELECT * FROM a /*controller='basket',request_id='7'*/", 60),
            statement("SELECT * FROM b /*controller='basket',route='%2Fb'*/", 20, "jobs"),
            statement("SELECT * FROM c /*controller='password=s3cret'*/", 20, "jobs"),
            statement("SELECT 1", 0, "postgres"),
        ),
    )
    assert [(each.group.when, each.share) for each in found.roles] == [
        ({"user": "web"}, 0.6),
        ({"user": "jobs"}, 0.4),
    ]
    assert [(each.group.when, each.share) for each in found.tags] == [
        ({"tag": "controller=basket"}, 0.8),
        ({"tag": "route=/b"}, 0.2),
    ]


@pytest.mark.parametrize(("value", "count"), [("%2Fguests%2F{email}", 1), ("guests", 0)])
def test_a_file_says_that_braces_of_a_name_are_parentheses_in_a_category(
    value: str, count: int
) -> None:
    found = suggestions([], observed(statement(f"SELECT * FROM a /*route='{value}'*/", 60)))
    text = rules_file(found, path="rules.toml")
    assert text.count("A category has parentheses in place of the braces of a name") == count
    assert text.count('# category = "/guests/(email)"') == count


def test_one_role_alone_is_no_group() -> None:
    assert suggestions([], observed(statement("SELECT * FROM a", 1))).roles == ()


def test_a_share_of_nothing_is_unknown() -> None:
    found = suggestions([table("orders"), table("order_items")], observed())
    assert [(each.share, each.statements) for each in found.tables] == [(None, ())]
    assert found.share is None


def proposed(*statements: ObservedStatement, top: int = 10) -> tuple[list[str], list[object]]:
    """Return the rule for each statement that matches no rule, and the rules with their shares."""
    tables = [table("orders"), table("order_items")]
    rows = [
        RankRow(
            (str(each.subject.fingerprint),),
            str(each.subject.normalized_text),
            ReadCost(1.0, 8192, shared_blks_read=each.blocks),
            None,
            fingerprint=str(each.subject.fingerprint),
        )
        for each in statements
    ]
    found = proposals(rows, tables, observed(*statements), top)
    rules = [(dict(each.group.when), each.share, each.calls) for each in found.rules]
    return [each.rule for each in found.statements], list(rules)


def test_each_statement_that_no_rule_takes_gets_a_rule() -> None:
    unread = statement("§", 4)
    names, rules = proposed(
        statement("SELECT * FROM sales.note", 40),
        statement("SELECT * FROM orders", 30),
        statement("UPDATE order_items SET a = 1", 10),
        statement("SELECT app.search($1)", 6),
        unread,
        statement("CALL close_day(1)", 3),
        statement("VACUUM orders", 4),
        statement("CREATE TABLE x (a int)", 2),
        statement("SELECT * FROM ruled", 1, is_ruled=True),
        statement("SELECT * FROM idle", 0),
    )
    name = f"statement {unread.subject.fingerprint}"
    assert names == ["sales.note", "orders", "orders", "app.search", name, "close_day"]
    assert rules == [
        ({"table": ["orders", "order_items"]}, 0.4, 2),
        ({"verb": "function", "calls": "app.search"}, 0.06, 1),
        ({"verb": "procedure", "calls": "close_day"}, 0.03, 1),
        ({"table": "sales.note"}, 0.4, 1),
        ({"fingerprint": [unread.subject.fingerprint]}, 0.04, 1),
    ]


def test_the_rule_of_a_seldom_called_function_has_its_schema_too() -> None:
    assert proposed(
        statement("SELECT * FROM orders", 998),
        statement("CALL app.close_day(1)", 1),
        statement("SELECT * FROM public.search($1)", 1),
    ) == (
        ["orders", "app.close_day", "search"],
        [
            ({"table": ["orders", "order_items"]}, 0.998, 1),
            ({"verb": "procedure", "calls": "app.close_day"}, 0.001, 1),
            ({"verb": "function", "calls": "search"}, 0.001, 1),
        ],
    )


def test_only_the_biggest_statements_get_a_rule() -> None:
    names, rules = proposed(
        statement("SELECT * FROM orders", 6), statement("SELECT * FROM note", 4), top=1
    )
    assert (names, len(rules)) == (["orders"], 1)
