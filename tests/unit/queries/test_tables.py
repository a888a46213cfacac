"""The tables of a statement, and the relations that they are."""

import pytest

from pgiostat.queries.describe import describer
from pgiostat.queries.tables import resolver, tables_of


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("select * from a join s.b on a.id = b.id, c where exists (select ? from d)", "a s.b c d"),
        ("with x as (select * from a), y as (delete from b) select * from x, y", "a b"),
        ("insert into a select * from b", "a b"),
        ("update a set x = ? from b", "a b"),
        ("truncate a, s.b", "a s.b"),
        ("lock table a", "a"),
        ('select * from "Order Items"', "Order_Items"),
        ("select * from f(?)", ""),
        ("begin", ""),
        ("", ""),
    ],
)
def test_tables_of(text: str, tables: str) -> None:
    expected = {name.replace("_", " ") for name in tables.split()}
    assert tables_of(text) == expected


def test_a_description_has_the_same_tables() -> None:
    text = "WITH x AS (DELETE FROM b RETURNING id) INSERT INTO s.c SELECT * FROM x, a"
    found = describer()(text, user="u", database="d", queryid=1)
    assert found.tables == tables_of(found.text) == {"a", "b", "s.c"}


def test_a_table_is_found_with_and_without_its_schema() -> None:
    find = resolver([(1, "public", "a"), (2, "s", "a"), (3, "s", "b"), (4, "s", "log_p2026_11")])
    assert find({"a"}) == {1, 2}
    assert find({"s.a", "b"}) == {2, 3}
    assert find({"public.b"}) == set()
    assert find({"log"}) == {4}
    assert find({"s.log_p2026_11"}) == {4}
    assert find(()) == set()
