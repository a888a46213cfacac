"""Names of statements in a list: short, and no two of them alike."""

import itertools

import pytest

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import RankRow
from pgiostat.queries.fingerprint import normalize
from pgiostat.render.statement_names import distinct, marks_of, screen_name, shown_category
from pgiostat.render.table import cut

COST = ReadCost(10.0, 8192)
TEXT = "select a, b from orders where id = ?"
ENTRY = RankRow(
    ("7", "5", "10"), TEXT, COST, 0.5, "select orders", TEXT, 7, "2:0123456789abcdef",
    database="shop", user="app", action="select orders",
)  # fmt: skip


def test_a_statement_has_its_short_form_and_other_rows_their_names() -> None:
    assert screen_name(ENTRY) == "orders · id = $ · a, b"
    assert screen_name(RankRow(("x",), "(hidden \x1b)", COST, None)) == "(hidden \\u001b)"
    assert screen_name(RankRow(("", "x"), "pgiostat itself", COST, None)) == "pgiostat"


def test_a_category_is_shown_where_the_short_form_does_not_say_it() -> None:
    assert shown_category(ENTRY) == ""
    named = RankRow(("7",), TEXT, COST, None, "billing", TEXT, action="select orders")
    assert shown_category(named) == "billing"
    unread = RankRow(("7",), "(no text yet: queryid 7)", COST, None, "no text yet")
    assert shown_category(unread) == ""


def test_marks_are_the_fingerprint_the_place_and_the_queryid() -> None:
    assert marks_of(ENTRY) == ("#012345", "app@shop", "7", "7")
    other = RankRow(("x",), "x", COST, None, queryid=-1234567890)
    assert marks_of(other) == ("", "", "…67890", "-1234567890")
    assert marks_of(RankRow(("x",), "x", COST, None)) == ("", "", "", "")


@pytest.mark.parametrize("width", [8, 20, 30, 60, 200])
def test_no_two_rows_look_alike(width: int) -> None:
    texts = [
        "orders · customer_id = $ · limit $ · id, customer_id, total, state",
        "orders · customer_id = $ · limit $ · id, customer_id, total, note",
        "orders · customer_id = $ · limit $ · id, customer_id, total, note",
        "orders · customer_id = $ · limit $ · id, customer_id, total, note",
        "orders · customer_id = $ · limit $ · id, customer_id, total, note",
        "orders",
    ]
    marks = [
        ("#1", "app@shop", "1"), ("#2", "app@shop", "2"), ("#3", "app@shop", "3"),
        ("#4", "app@shop", "4"), ("#5", "api@shop", "4"), ("#6", "app@shop", "6"),
    ]  # fmt: skip
    shown = [cut(text, width) for text in distinct(texts, marks, width)]
    assert len(set(shown)) == len(texts)


SAME_SHORT_FORM = [
    # an inner order, an inner limit, a table in a subquery of a write, a table of columns
    ("SELECT * FROM (SELECT * FROM a ORDER BY x) s ORDER BY y",
     "SELECT * FROM (SELECT * FROM a ORDER BY z) s ORDER BY y"),
    ("SELECT * FROM (SELECT * FROM a LIMIT 5) s LIMIT 9", "SELECT * FROM a LIMIT 9"),
    ("WITH c AS (SELECT id FROM j) UPDATE j SET b = 1 FROM c WHERE c.id = j.id",
     "WITH c AS (SELECT id FROM k) UPDATE j SET b = 1 FROM c WHERE c.id = j.id"),
    ("SELECT a.* FROM a JOIN b ON b.id = a.b", "SELECT b.* FROM a JOIN b ON b.id = a.b"),
    ("SELECT public.f(1)", "SELECT f(1)"),
    ("VACUUM public.a", "VACUUM a"),
]  # fmt: skip


@pytest.mark.parametrize("width", [12, 20, 40, 100])
def test_statements_that_differ_never_look_alike(width: int) -> None:
    texts = [normalize(text) for pair in SAME_SHORT_FORM for text in pair]
    rows = [
        RankRow((str(n), "5", "10"), each.text, COST, None, "x", each.text, n, each.fingerprint)
        for n, each in enumerate(texts)
    ]
    shown = distinct([screen_name(row) for row in rows], [marks_of(row) for row in rows], width)
    assert len({cut(text, width) for text in shown}) == len(rows)
    alike = [screen_name(a) == screen_name(b) for a, b in zip(rows[::2], rows[1::2], strict=True)]
    assert alike == [True, True, False, True, True, True]


def test_entries_of_one_fingerprint_differ_in_the_place_or_the_queryid() -> None:
    texts = ["orders"] * 3
    by_place = [("#1", f"{user}@shop", "7") for user in ("a", "b", "c")]
    assert distinct(texts, by_place, 20) == ["orders a@shop", "orders b@shop", "orders c@shop"]
    by_queryid = [("#1", "a@shop", str(n)) for n in range(3)]
    assert distinct(texts, by_queryid, 20) == ["orders 0", "orders 1", "orders 2"]
    by_both = list(itertools.product(["#1"], ["a@shop", "b@shop"], ["7", "8"]))
    assert distinct(["orders"] * 4, by_both, 30) == [
        f"orders {place}@shop {queryid}" for place, queryid in ("a7", "a8", "b7", "b8")
    ]


def test_an_entry_has_only_the_marks_that_it_needs() -> None:
    marks = [
        ("#1", "a@inn", "…91350", "8974275508206491350"),
        ("#1", "b@inn", "…91350", "8974275508206491350"),
        ("#1", "a@inn", "…77777", "1111111111111177777"),
    ]
    assert distinct(["orders"] * 3, marks, 40) == [
        "orders a@inn …91350", "orders b@inn", "orders …77777",
    ]  # fmt: skip


def test_one_ellipsis_is_between_a_cut_text_and_a_queryid() -> None:
    marks = [("#1", "a@inn", "…91350"), ("#1", "a@inn", "…77777")]
    assert distinct(["orders · id = $"] * 2, marks, 15) == ["orders …91350", "orders …77777"]


def test_rows_that_differ_in_another_column_have_no_mark() -> None:
    marks = [("#1", "a@shop", "7"), ("#1", "b@shop", "7")]
    assert distinct(["orders", "orders"], marks, 20, ["a@shop", "b@shop"]) == ["orders", "orders"]


@pytest.mark.parametrize("width", [16, 26, 40])
def test_half_of_a_column_is_the_text(width: int) -> None:
    text = "order_items ⨝ products · order_id in ($) · quantity, price"
    marks = [
        ("#0123", f"reporting_{name}@warehouse", f"…{last}", f"87654321{last}")
        for name in ("day", "night")
        for last in ("11111", "22222")
    ]
    shown = distinct([text] * 4, marks, width)
    assert all(each.startswith(text[: width // 2 - 2]) for each in shown)
    assert len({cut(each, width) for each in shown}) == 4
    by_queryid = [(marks[0][0], marks[0][1], each[2], each[3]) for each in marks[:2]]
    assert [each[-6:] for each in distinct([text] * 2, by_queryid, width)] == ["…11111", "…22222"]
