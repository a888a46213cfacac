"""Rows that stand for several, rows of indexes, and the statements of a table."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, Totals, places_of, queryids_of
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.render.statement_names import database_sign
from pgiostat.statistics.names import OWN, Names, Statement
from pgiostat.watch.model.relation_reads import relation_reads
from pgiostat.watch.model.session import RateHistory
from pgiostat.watch.model.top_reader import Since, since_of, top_reader
from pgiostat.watch.screen.rows import ReadOf, TableRow
from pgiostat.watch.screen.table import ScreenTable, table_of
from pgiostat.watch.screen.top_lines import Top, top_lines
from pgiostat.watch.state import (
    Action,
    Drill,
    Fold,
    View,
    ViewState,
    apply,
    drill_down,
    tables_of_row,
    with_entries,
)

SHOP, OTHER = 5, 6
APP, BATCH, US = 10, 11, 12
TEXTS = {
    1: "select * from order_items where order_id in (?)",
    2: "select * from orders @1 join order_items @2 on @2.order_id = @1.id where @1.id = ?",
    3: "select * from products where id = ?",
    4: "select * from sessions where key = ?",
    5: "select ?",
    6: "select * from pg_class",
}
NAMES = Names(
    statements={
        (user, database, queryid): Statement(
            text, f"2:{queryid:016x}", "c", action=f"select {text.split()[3:4]}"
        )
        for queryid, text in TEXTS.items()
        for user in (APP, BATCH)
        for database in (SHOP, OTHER)
    }
    | {(US, SHOP, 7): Statement("select * from order_items", "2:7", OWN)},
    databases={SHOP: "shop", OTHER: "other"},
    roles={APP: "app", BATCH: "batch", US: "mon"},
    relations={
        100: (100, "public", "orders", "heap"),
        101: (100, "public", "orders", "idx"),
        200: (200, "public", "order_items", "heap"),
        300: (300, "public", "products", "heap"),
        301: (300, "public", "products", "idx"),
        302: (300, "public", "products", "toast"),
        400: (400, "public", "sessions", "heap"),
        500: (500, "public", "customers", "heap"),
        901: (901, "pg_catalog", "pg_class", "heap"),
        902: (902, "pg_catalog", "pg_class_oid_index", "idx"),
        903: (903, "information_schema", "sql_features", "heap"),
        904: (904, "pg_catalog", "pg_type", "heap"),
    },
    index_names={101: "orders_pkey", 301: "products_pkey", 302: "pg_toast_300"},
)
Ids = tuple[int, int, int | None]
STATEMENTS: dict[Ids, int] = {
    (APP, SHOP, 1): 600, (APP, SHOP, 2): 300, (BATCH, SHOP, 1): 50, (APP, OTHER, 1): 7,
    (APP, SHOP, 3): 40, (APP, SHOP, 4): 0, (APP, SHOP, 5): 0, (US, SHOP, 7): 3,
}  # fmt: skip
RELATIONS = {
    200: 850, 100: 60, 101: 40, 300: 20, 301: 15, 302: 5, 400: 0, 500: 0,
    901: 30, 902: 2, 903: 10, 904: 0,
}  # fmt: skip


def totals(
    statements: Mapping[Ids, int] = STATEMENTS, relations: Mapping[int, int] = RELATIONS
) -> Totals:
    """Return totals of ten seconds, with blocks read by statement and by relation."""
    read = FIELDS.index("shared_blks_read")
    amounts = np.zeros((len(FIELDS), len(statements)), dtype=np.int64)
    amounts[read] = list(statements.values())
    amounts[FIELDS.index("calls")] = 10
    of_relations = np.zeros((len(FIELDS), len(relations)), dtype=np.int64)
    of_relations[read] = list(relations.values())
    return Totals(
        10.0,
        8192,
        ServerReads(blocks=1000),
        statements=list(statements),
        statement_amounts=amounts,
        statement_uncertain=[False] * len(statements),
        relations=list(relations),
        relation_amounts=of_relations,
        relation_uncertain=[False] * len(relations),
        database_blocks=sum(relations.values()),
    )


def shown(
    state: ViewState, counted: Totals | None = None, *, is_folded: bool = True
) -> ScreenTable:
    return table_of(state, counted or totals(), None, NAMES, dbname="shop", is_folded=is_folded)


def blocks(row: TableRow) -> object:
    return row.values.get("blocks_read")


def test_statements_that_read_nothing_are_one_row_that_opens() -> None:
    state = ViewState(View.FINGERPRINT)
    table = shown(state)
    assert [(row.name, row.fold) for row in table.rows][-1] == (
        "2 statements read nothing",
        Fold.IDLE,
    )
    assert len(table.rows) == 4
    last = table.rows[-1]
    state = drill_down(state, Drill(state.view, last.key, last.name))
    assert [row.name for row in shown(state).rows] == [TEXTS[4], TEXTS[5]]
    assert apply(state, Action.BACK, []).path == ()


@pytest.mark.parametrize(
    "state",
    [
        ViewState(View.FINGERPRINT, sort="calls"),
        ViewState(View.FINGERPRINT, is_reversed=True),
        ViewState(View.FINGERPRINT, filter="select"),
    ],
)
def test_another_order_or_a_filter_shows_each_statement(state: ViewState) -> None:
    rows = shown(state).rows
    assert [row.fold for row in rows] == [None] * len(rows)
    assert {TEXTS[4], TEXTS[5]} <= {row.name for row in rows}


@pytest.mark.parametrize("wanted", ["catalogs", "System Cat"])
def test_catalogs_are_found_by_the_name_of_their_row(wanted: str) -> None:
    assert [row.name for row in shown(ViewState(View.RELATION, filter=wanted)).rows] == [
        "pg_catalog.pg_class",
        "information_schema.sql_features",
        "pg_catalog.pg_class_oid_index",
        "pg_catalog.pg_type",
    ]


def test_a_single_row_that_reads_nothing_is_shown() -> None:
    counted = totals({(APP, SHOP, 1): 5, (APP, SHOP, 4): 0})
    names = [row.name for row in shown(ViewState(View.FINGERPRINT), counted).rows]
    assert names == [TEXTS[1], TEXTS[4]]


def test_entries_are_split_and_merged_again() -> None:
    state = with_entries(ViewState(View.FINGERPRINT))
    assert [(row.place, blocks(row)) for row in shown(state).rows[:-1]] == [
        ("app@shop", 600), ("app@shop", 300), ("batch@shop", 50), ("app@shop", 40),
        ("app@other", 7),
    ]  # fmt: skip
    assert shown(state).rows[-1].name == "2 entries read nothing"
    assert with_entries(state).view is View.FINGERPRINT


def test_tables_have_rows_of_their_indexes_and_catalogs_are_one() -> None:
    table = shown(ViewState(View.RELATION))
    assert [(row.name, blocks(row)) for row in table.rows] == [
        ("public.order_items", 850),
        ("public.orders", 100),
        ("  heap", 60),
        ("  index orders_pkey", 40),
        ("3 system catalogs", 42),
        ("public.products", 40),
        ("  heap", 20),
        ("  index products_pkey", 15),
        ("  TOAST pg_toast_300", 5),
        ("3 tables read nothing", None),
    ]
    assert len(set(table.keys)) == len(table.rows)


def test_catalogs_open() -> None:
    state = drill_down(
        ViewState(View.RELATION), Drill(View.RELATION, Fold.CATALOGS.key, "catalogs")
    )
    rows = shown(state).rows
    assert [row.name for row in rows if row.part is None] == [
        "pg_catalog.pg_class",
        "information_schema.sql_features",
        "pg_catalog.pg_class_oid_index",
        "pg_catalog.pg_type",
    ]


def test_a_file_has_every_row_and_no_part() -> None:
    for view in (View.FINGERPRINT, View.RELATION):
        rows = shown(ViewState(view), is_folded=False).rows
        assert [row for row in rows if row.fold is not None or row.part is not None] == []
    assert len(shown(ViewState(View.RELATION), is_folded=False).rows) == 9


def test_a_table_has_its_statements_with_their_share_of_its_reads() -> None:
    state = drill_down(
        ViewState(View.RELATION), Drill(View.RELATION, ("200",), "public.order_items")
    )
    table = shown(state)
    assert [(row.name, row.read_of) for row in table.rows] == [
        (TEXTS[1], ReadOf(650 / 850, is_known=True)),
        (TEXTS[2], ReadOf(200 / 850, is_known=False)),
    ]
    assert table.explained == pytest.approx(1.0)


def test_a_statement_has_its_tables_and_they_lead_back_to_statements() -> None:
    state = tables_of_row(
        ViewState(View.FINGERPRINT), Drill(View.FINGERPRINT, ("2:0000000000000002",), "q")
    )
    rows = [row for row in shown(state).rows if row.part is None]
    assert [(row.name, row.read_of) for row in rows] == [
        ("public.order_items", ReadOf(200 / 850, is_known=False)),
        ("public.orders", ReadOf(1.0, is_known=False)),
    ]
    state = drill_down(state, Drill(View.RELATION, ("100",), "public.orders"))
    assert [row.name for row in shown(state).rows] == [TEXTS[2]]


def test_statements_of_other_databases_and_our_own_read_no_table_of_this_one() -> None:
    reads = relation_reads(totals(), NAMES, By.STATEMENT, "shop")
    assert set(reads.of_table(200)) == {
        ("1", "5", "10"), ("1", "5", "11"), ("2", "5", "10"),
    }  # fmt: skip
    assert reads.share(400, reads.of_table(400)["4", "5", "10"]) is None
    assert reads.explained(500) is None
    everywhere = relation_reads(totals(), NAMES, By.STATEMENT)
    assert ("1", "6", "10") in everywhere.of_table(200)


def test_queryids_and_places_of_a_fingerprint() -> None:
    key = ("2:0000000000000001",)
    assert queryids_of(totals(), NAMES, key) == [1]
    assert places_of(totals(), NAMES, key) == ["app@shop", "batch@shop", "app@other"]


def test_the_statement_with_the_most_reads_and_what_it_reads() -> None:
    found = top_reader(totals(), NAMES, "shop")
    assert found is not None
    assert (found.row.text, found.table, found.part, found.places[0]) == (
        TEXTS[1], "public.order_items", "heap", "app@shop",
    )  # fmt: skip
    assert top_reader(totals({(APP, SHOP, 1): 0}), NAMES, "shop") is None
    assert top_reader(totals({}), NAMES, "shop") is None


def test_without_reads_of_relations_the_table_is_that_of_the_text() -> None:
    found = top_reader(totals(relations={}), replace(NAMES, relations={}), "shop")
    assert found is not None
    assert (found.table, found.part) == ("order_items", "")


def history(*rates: float) -> RateHistory:
    began = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
    begins = tuple(began + timedelta(seconds=2 * n) for n in range(len(rates)))
    return RateHistory(
        begins, tuple(begin + timedelta(seconds=2) for begin in begins), rates, rates
    )


def test_since_when_is_the_rise_or_before_all_that_is_known() -> None:
    began = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
    rise = history(1, 1, 1, 1, 1, 1, 9, 9)
    assert since_of(rise) == Since(began + timedelta(seconds=12), 1.0)
    assert since_of(history(9, 9, 9)) == Since(began, None)
    assert since_of(history()) is None


def lines(since: Since | None, width: int, share: float = 0.9) -> list[str]:
    found = top_reader(totals(), NAMES, "shop")
    assert found is not None
    reader = replace(found, row=replace(found.row, share=share))
    drawn = top_lines(Top(reader, since), width)
    return ["".join(text for text, _ in line) for line in drawn]


def test_the_lines_say_what_reads_from_where_and_since_when() -> None:
    at = datetime(2026, 11, 30, 10, 0, 6, tzinfo=UTC)
    assert lines(Since(at, 1.0), 120) == [
        "90.0 % of reads  order_items · order_id in ($) · *",
        "  from public.order_items (heap)  since 10:00:06Z (before: 1 blocks/s)  by app@shop +2",
    ]
    assert lines(Since(at, None), 60) == [
        "90.0 % of reads  order_items · order_id in ($) · *",
        "  from public.order_items (heap)  since before 10:00:06Z",
    ]
    assert lines(None, 40) == [
        "90.0 % of reads  order_items · order_id…",
        "  from public.order_items (heap)",
    ]
    assert lines(None, 80, share=0.05) == []


def test_shares_of_a_table_add_up_with_what_is_not_shown_and_not_explained() -> None:
    drill = Drill(View.RELATION, ("200",), "public.order_items")
    state = ViewState(View.FINGERPRINT, path=(drill,))
    relations = {**RELATIONS, 200: 1200}
    table = shown(state, totals(relations=relations))
    below = {row.name: row.read_of.share for row in table.below if row.read_of is not None}
    shares = [row.read_of.share or 0.0 for row in table.rows if row.read_of is not None]
    assert table.explained is not None
    assert 0.0 < table.explained < 1.0
    assert below == {"not explained": 1.0 - table.explained}
    assert sum(shares) == pytest.approx(table.explained)
    assert len(table.rows) > 1
    first = shown(replace(state, top=1), totals(relations=relations))
    rest = next(row.read_of for row in first.below if row.name.endswith("not shown)"))
    assert rest is not None
    assert rest.share == pytest.approx(sum(shares[1:]))


def test_merged_statements_of_several_databases_name_them() -> None:
    rows = {row.key[0]: row.of for row in shown(ViewState(View.FINGERPRINT)).rows}
    signs = {key: database_sign(of) for key, of in rows.items() if of is not None}
    assert signs[f"2:{1:016x}"] == "2 databases"
    assert set(signs.values()) == {"2 databases", "shop"}
    alone = totals({ids: read for ids, read in STATEMENTS.items() if ids[1] == SHOP})
    alike = shown(ViewState(View.FINGERPRINT), alone).rows
    assert [database_sign(row.of) for row in alike if row.of is not None] == [""] * 3


@pytest.mark.parametrize("view", [View.RELATION, View.FINGERPRINT, View.CATEGORY])
@pytest.mark.parametrize("wanted", ["", "order"])
def test_visible_rows_and_those_without_room_add_up_to_the_total(view: View, wanted: str) -> None:
    table = shown(ViewState(view, filter=wanted))
    for count in range(len(table.rows) + 1):
        visible = table.rows[:count]
        unseen = table.unseen(visible)
        top = [row for row in visible if row.part is None]
        every = [row for row in table.rows if row.part is None]
        assert (unseen is None) == (len(top) == len(every))
        lines = [*top, *([] if unseen is None else [unseen]), *table.below]
        total = next(row for row in lines if row.name in {"total", "database"})
        parts = [row for row in lines if row is not total and row.has_share]
        whole = sum(int(row.values.get("blocks_read") or 0) for row in parts)
        assert whole == total.values["blocks_read"]
        assert total.share == 1.0
        assert sum(row.share or 0.0 for row in parts) == pytest.approx(1.0)
        if unseen is not None:
            assert unseen.name == f"({len(every) - len(top)} not visible)"
