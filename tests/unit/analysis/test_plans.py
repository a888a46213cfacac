"""Plans as nodes: their blocks, the node that is marked, and the shape."""

from typing import Any

import pytest

from pgiostat.analysis.plans import (
    IndexSize,
    NodeReads,
    PlanNode,
    RelationSize,
    StatementPlan,
    node_reads,
    parse_plan,
    shape_of,
)

SIZES = {
    ("public", "orders"): RelationSize(
        1000, 40_000, 1000, {"orders_pkey": IndexSize(100, "id"), "by_day": IndexSize(200, "day")}
    ),
    ("public", "items"): RelationSize(
        5000, 100_000, 500, {"items_order": IndexSize(300, "order_id")}
    ),
}


def _node(kind: str, relation: str = "", *children: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"Node Type": kind, "Plan Rows": 1, **more}
    if relation:
        found |= {"Relation Name": relation, "Schema": "public"}
    return found | ({"Plans": [*children]} if children else {})


def _blocks(plan: dict[str, Any]) -> list[tuple[str, float | None, str]]:
    return [
        (each.node.kind, None if each.blocks is None else round(each.blocks, 2), each.words)
        for each in node_reads(parse_plan(plan), SIZES)
    ]


def test_a_node_has_the_words_of_explain() -> None:
    found = parse_plan(
        _node(
            "Index Scan",
            "orders",
            **{
                "Alias": "o",
                "Index Name": "orders_pkey",
                "Index Cond": "(o.id = $1)",
                "Filter": "(o.total > 1)",
                "Total Cost": 8.3,
                "Startup Cost": 0.3,
                "Parent Relationship": "Outer",
            },
        )
    )
    assert found == PlanNode(
        "Index Scan",
        schema="public",
        relation="orders",
        alias="o",
        index="orders_pkey",
        relationship="Outer",
        rows=1.0,
        startup_cost=0.3,
        total_cost=8.3,
        conditions=(("Index Cond", "(o.id = $1)"), ("Filter", "(o.total > 1)")),
    )
    assert (found.condition("Filter"), found.condition("Hash Cond")) == ("(o.total > 1)", "")


@pytest.mark.parametrize(
    "damaged", [{}, {"Node Type": "Sort", "Plans": 7}, {"Node Type": "x", "Plan Rows": "y"}]
)
def test_what_is_no_plan_is_an_error(damaged: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse_plan(damaged)


CASES: list[tuple[dict[str, Any], list[tuple[str, float | None, str]]]] = [
    (_node("Seq Scan", "items"), [("Seq Scan", 5000.0, "reads all 5,000 blocks of items")]),
    (_node("Result"), [("Result", None, "")]),
    (_node("Seq Scan", "unknown"), [("Seq Scan", None, "")]),
    (
        _node(
            "Index Scan",
            "orders",
            **{"Index Name": "orders_pkey", "Index Cond": "(orders.id = $1)"},
        ),
        [("Index Scan", 4.0, "fetches 1 row of orders by orders_pkey")],
    ),
    (  # 4,000 rows are read and filtered: only the cost says so
        _node(
            "Index Scan",
            "orders",
            **{
                "Index Name": "orders_pkey",
                "Index Cond": "(id > $1)",
                "Filter": "(total = $2)",
                "Total Cost": 16_000,
            },
        ),
        [("Index Scan", 4013.0, "fetches 4,000 rows of orders by orders_pkey")],
    ),
    (
        _node("Index Scan", "orders", **{"Index Name": "by_day", "Index Cond": "(client = $1)"}),
        [
            (
                "Index Scan",
                201.0,
                "uses by_day without its first column, day, and may read all of it",
            )
        ],
    ),
    (
        _node("Index Only Scan", "orders", **{"Index Name": "by_day", "Plan Rows": 40_000}),
        [("Index Only Scan", 200.0, "reads all of by_day")],
    ),
    (
        _node(
            "Index Only Scan",
            "items",
            **{"Index Name": "items_order", "Index Cond": "(order_id = $1)", "Plan Rows": 100},
        ),
        [
            (
                "Index Only Scan",
                93.3,
                "has to fetch rows of items: 10 % of its blocks are all-visible",
            )
        ],
    ),
    (
        _node(
            "Bitmap Heap Scan",
            "items",
            _node(
                "Bitmap Index Scan",
                "",
                **{"Index Name": "items_order", "Index Cond": "(order_id = $1)", "Plan Rows": 1000},
            ),
            **{"Plan Rows": 1000},
        ),
        [
            ("Bitmap Heap Scan", 906.43, "reads the blocks of 1,000 rows of items"),
            ("Bitmap Index Scan", 6.0, "reads items_order"),
        ],
    ),
]


@pytest.mark.parametrize(("plan", "expected"), CASES)
def test_a_scan_touches_blocks(
    plan: dict[str, Any], expected: list[tuple[str, float | None, str]]
) -> None:
    assert _blocks(plan) == expected


INNER = _node(
    "Index Scan",
    "items",
    **{
        "Index Name": "items_order",
        "Index Cond": "(order_id = o.id)",
        "Parent Relationship": "Inner",
    },
)


def test_the_inner_side_of_a_nested_loop_is_executed_for_each_outer_row() -> None:
    outer = _node("Seq Scan", "orders", **{"Parent Relationship": "Outer", "Plan Rows": 500})
    found = _blocks(_node("Nested Loop", "", outer, INNER))
    assert [blocks for _, blocks, _ in found] == [None, 1000.0, 2001.5]
    kept = _node("Materialize", "", _node("Seq Scan", "items"), **{"Parent Relationship": "Inner"})
    found = _blocks(_node("Nested Loop", "", outer, kept))
    assert [blocks for _, blocks, _ in found] == [None, 1000.0, None, 5000.0]


def test_a_limit_takes_a_part_of_the_rows_unless_they_are_sorted_first() -> None:
    scan = _node("Seq Scan", "items", **{"Plan Rows": 1000})
    assert [b for _, b, _ in _blocks(_node("Limit", "", scan, **{"Plan Rows": 10}))] == [None, 50.0]
    ordered = _node("Sort", "", scan, **{"Plan Rows": 1000})
    found = _blocks(_node("Limit", "", ordered, **{"Plan Rows": 10}))
    assert [blocks for _, blocks, _ in found] == [None, None, 5000.0]


def test_a_subplan_is_executed_for_each_row_and_an_initplan_once() -> None:
    for relationship, blocks in (("SubPlan", 35_000.0), ("InitPlan", 5000.0)):
        below = _node("Seq Scan", "items", **{"Parent Relationship": relationship})
        found = _blocks(_node("Seq Scan", "orders", below, **{"Plan Rows": 7}))
        assert [each for _, each, _ in found] == [1000.0, blocks]


def _plan(plan: dict[str, Any]) -> StatementPlan:
    nodes = node_reads(parse_plan(plan), SIZES)
    return StatementPlan(nodes, "", "app", "app", "public")


def test_the_node_that_touches_most_is_marked() -> None:
    outer = _node("Seq Scan", "orders", **{"Parent Relationship": "Outer", "Plan Rows": 500})
    marked = _plan(_node("Nested Loop", "", outer, INNER)).marked
    assert isinstance(marked, NodeReads)
    assert (marked.node.relation, marked.depth) == ("items", 1)
    assert _plan(_node("Result")).marked is None


def test_a_shape_has_no_costs_and_everything_else() -> None:
    outer = _node("Seq Scan", "orders", **{"Parent Relationship": "Outer"})
    plan = _node("Nested Loop", "", outer, INNER, **{"Join Type": "Inner"})
    dearer = _node(
        "Nested Loop",
        "",
        outer | {"Plan Rows": 9},
        INNER,
        **{"Join Type": "Inner", "Total Cost": 5},
    )
    others = [
        _node("Nested Loop", "", INNER, outer, **{"Join Type": "Inner"}),
        _node("Nested Loop", "", outer, INNER, **{"Join Type": "Left"}),
        _node("Nested Loop", "", outer, INNER | {"Index Name": "x"}, **{"Join Type": "Inner"}),
        _node("Nested Loop", "", outer | {"Schema": "x"}, INNER, **{"Join Type": "Inner"}),
        _node("Hash Join", "", outer, INNER, **{"Join Type": "Inner"}),
    ]
    shape = shape_of(parse_plan(plan))
    assert shape_of(parse_plan(dearer)) == shape
    assert len({shape, *(shape_of(parse_plan(each)) for each in others)}) == 6
    assert len(shape) == 16
