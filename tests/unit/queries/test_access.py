"""How statements access their tables, by their texts."""

from dataclasses import fields
from typing import Any

import pytest

from pgiostat.queries.access import accesses
from pgiostat.queries.fingerprint import normalize

COLUMNS = {"ev": ["user_id", "ts", "kind"], "us": ["id", "mail"]}


def found(text: str, columns: dict[str, list[str]] | None = None) -> list[dict[str, Any]]:
    """Return what is not empty of each access; sets as sorted lists."""
    result = []
    for access in accesses(normalize(text).text, columns):
        values = {each.name: getattr(access, each.name) for each in fields(access)}
        shown = {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in values.items()
            if name == "mentioned" or value not in (frozenset(), (), "", False)
        }
        result.append(shown)
    return result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "select max(v) from t where c = $1",
            [
                {
                    "table": "t",
                    "equal": ["c"],
                    "extreme": "v",
                    "mentioned": ["c", "v"],
                    "is_reduced": True,
                }
            ],
        ),
        (
            (
                "select o.id, i.qty from orders o join items i on i.order_id = o.id"
                " where o.customer_id = $1 and o.at > $2 order by o.at desc limit $3"
            ),
            [
                {
                    "table": "orders",
                    "equal": ["customer_id"],
                    "ranges": ["at"],
                    "joined": ["id"],
                    "order_by": ("at",),
                    "descending": True,
                    "limit": True,
                    "mentioned": ["at", "customer_id", "id"],
                },
                {
                    "table": "items",
                    "joined": ["order_id"],
                    "limit": True,
                    "mentioned": ["order_id", "qty"],
                },
            ],
        ),
        (
            (
                "delete from orders o where at < $1"
                " and id in (select order_id from items where sku = any($2))"
            ),
            [
                {
                    "table": "orders",
                    "ranges": ["at"],
                    "joined": ["id"],
                    "mentioned": None,
                    "writes": True,
                },
                {"table": "items", "listed": ["sku"], "mentioned": ["order_id", "sku"]},
            ],
        ),
        (
            (
                "update t set a = coalesce($1, e), (b, c) = (select x, y from z)"
                " where id = $2 and v between $3 and $4"
            ),
            [
                {
                    "table": "t",
                    "equal": ["id"],
                    "ranges": ["v"],
                    "mentioned": None,
                    "writes": True,
                    "assigned": ["a", "b", "c"],
                },
                {"table": "z", "mentioned": ["x", "y"]},
            ],
        ),
        (
            "select * from a where b = $1 or c = $2",
            [{"table": "a", "equal": ["b", "c"], "mentioned": None, "has_or": True}],
        ),
        (
            "insert into z (a) select x from y where y.k = $1",
            [{"table": "y", "equal": ["k"], "mentioned": ["k", "x"]}],
        ),
        (
            "select (select max(v) from ver where ver.tid = t.id) from t where t.k in ($1, $2)",
            [
                {"table": "t", "listed": ["k"], "mentioned": ["id", "k"]},
                {
                    "table": "ver",
                    "joined": ["tid"],
                    "extreme": "v",
                    "mentioned": ["tid", "v"],
                    "is_reduced": True,
                },
            ],
        ),
        (
            "select a.x from a join b using (k) where a.p = b.q",
            [
                {"table": "a", "joined": ["k", "p"], "mentioned": ["k", "p", "x"]},
                {"table": "b", "joined": ["k", "q"], "mentioned": ["k", "q"]},
            ],
        ),
        ("select x from t where a = b", [{"table": "t", "mentioned": ["a", "b", "x"]}]),
        ("insert into t values ($1)", []),
        ("vacuum t", []),
    ],
)
def test_columns_are_found_by_what_is_done_with_them(
    text: str, expected: list[dict[str, Any]]
) -> None:
    assert found(text) == expected


def test_a_column_without_a_qualifier_is_that_of_the_only_table_with_it() -> None:
    text = (
        "select count(*) from ev e, us u where e.user_id = u.id and u.mail = $1 and ts >= $2"
        " group by kind"
    )
    ev = {
        "table": "ev",
        "ranges": ["ts"],
        "joined": ["user_id"],
        "mentioned": ["kind", "ts", "user_id"],
        "is_reduced": True,
    }
    us = {
        "table": "us",
        "equal": ["mail"],
        "joined": ["id"],
        "mentioned": ["id", "mail"],
        "is_reduced": True,
    }
    assert found(text, COLUMNS) == [ev, us]
    # Which table ts and kind belong to is unknown: an index cannot be known to hold all columns.
    unknown = {**ev, "mentioned": None}
    del unknown["ranges"]
    assert found(text) == [unknown, {**us, "mentioned": None}]
