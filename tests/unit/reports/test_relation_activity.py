"""Which table or index a row of a ranking is about, and what that did in the window."""

from dataclasses import replace
from pathlib import Path

import pytest

from pgiostat.analysis.rank import By, Ranking
from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.reports.ranking import ranking_report
from pgiostat.statistics.names import Names, Statement
from tests.support.readings import at, server
from tests.support.relation_histories import (
    CUSTOMER,
    NAMES,
    PKEY,
    SECONDS,
    TABLE,
    TOAST,
    TOAST_INDEX,
    Moved,
    Shop,
    crm,
)


def ranked(root: Path, by: By, until: float = 60) -> Ranking:
    window = Window(at(0), at(until))
    return ranking_report(History.open(root), window, describer(), by=by).ranking


def activity(ranking: Ranking) -> dict[tuple[str, ...], TableActivity | IndexActivity]:
    assert ranking.activity is not None
    return dict(ranking.activity)


def with_text(text: str, dbid: int = 5) -> Names:
    """Return the names of the shop with another statement."""
    statement = Statement(text, "1:1", "", action="")
    return replace(NAMES, statements={(10, dbid, 1): statement})


def test_a_row_of_each_index_adds_up_with_the_tables_to_what_the_database_read(
    tmp_path: Path,
) -> None:
    Shop().write(tmp_path)
    ranking = ranked(tmp_path, By.INDEX)
    assert [(row.name, row.relation, row.cost.blocks) for row in ranking.rows] == [
        ("(tables and TOAST tables)", "", 3960),
        ("public.orders_customer on public.orders", "public.orders", 1200),
        ("public.orders_pkey on public.orders", "public.orders", 600),
        ("pg_toast.pg_toast_20100_index on public.orders", "public.orders", 240),
    ]
    assert ranking.server_blocks == 6000
    assert ranking.unattributed == 0
    found = activity(ranking)
    assert sorted(found) == [(str(each),) for each in (PKEY, CUSTOMER, TOAST_INDEX)]
    pkey = found[str(PKEY),]
    assert isinstance(pkey, IndexActivity)
    assert (pkey.scans_per_s, pkey.rows_per_scan, pkey.blocks_per_scan) == (20.0, 1.0, 2.0)
    assert (pkey.size_bytes, pkey.constraint, pkey.hit) == (81_920, "primary key", 0.75)


def test_an_index_that_was_built_again_is_told_apart_by_its_oid(tmp_path: Path) -> None:
    names = replace(NAMES, index_names={PKEY: "orders_pkey", CUSTOMER: "orders_pkey"})
    Shop(names=names).write(tmp_path)
    assert [row.name for row in ranked(tmp_path, By.INDEX).rows][1:] == [
        f"public.orders_pkey (oid {CUSTOMER}) on public.orders",
        f"public.orders_pkey (oid {PKEY}) on public.orders",
        f"oid {TOAST_INDEX} on public.orders",
    ]


def test_the_toast_table_and_the_indexes_are_part_of_their_table(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    ranking = ranked(tmp_path, By.RELATION)
    found = activity(ranking)
    assert list(found) == [row.key for row in ranking.rows] == [(str(TABLE),)]
    table = found[str(TABLE),]
    assert isinstance(table, TableActivity)
    assert table.blks_read == ranking.rows[0].cost.blocks == 6000
    assert table.toast is not None
    assert table.toast.relid == TOAST


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("select * from orders where id = ?", True),
        ("select * from public.orders", True),
        ("select * from sales.orders", False),
        ("select * from lines", False),
        ("select 1", False),
    ],
)
def test_statements_about_a_table_have_what_it_did(
    tmp_path: Path,
    text: str,
    is_found: bool,  # noqa: FBT001
) -> None:
    Shop(names=with_text(text)).write(tmp_path)
    ranking = ranked(tmp_path, By.TABLE)
    keys = [ranking.rows[0].key] if is_found else []
    assert list(activity(ranking)) == keys


def test_a_name_of_two_tables_has_none(tmp_path: Path) -> None:
    others = {**NAMES.relations, 30000: (30000, "sales", "orders", "heap")}
    names = replace(NAMES, relations=others)
    read = {TABLE: 450, TOAST: 50, 30000: 500}
    Shop(names=names, read=read).write(tmp_path)
    assert activity(ranked(tmp_path, By.TABLE)) == {}
    assert sorted(activity(ranked(tmp_path, By.RELATION))) == [(str(TABLE),)]


def test_a_table_that_was_created_again_is_the_one_that_counted(tmp_path: Path) -> None:
    others = {**NAMES.relations, 30000: (30000, "public", "orders", "heap")}
    Shop(names=replace(NAMES, relations=others), read={TABLE: 900, 30000: 100}).write(tmp_path)
    (table,) = activity(ranked(tmp_path, By.TABLE)).values()
    assert isinstance(table, TableActivity)
    assert table.relid == TABLE


def test_a_table_of_another_database_is_not_meant(tmp_path: Path) -> None:
    moved = [Moved(30 * n, [{"relid": TABLE, "seq_scan": n}], dbid=6) for n in range(3)]
    Shop(moved=moved).write(tmp_path)
    assert activity(ranked(tmp_path, By.TABLE)) == {}


def test_a_table_of_another_database_is_that_of_the_statements_that_ran_there(
    tmp_path: Path,
) -> None:
    crm().write(tmp_path)
    ((key, table),) = activity(ranked(tmp_path, By.TABLE)).items()
    assert isinstance(table, TableActivity)
    assert (key, table.dbid, table.relid, table.count("seq_scan")) == (("visits",), 6, TABLE, 6)
    assert table.toast is not None
    # Reads of relations are those of the connected database.
    assert activity(ranked(tmp_path, By.RELATION)) == activity(ranked(tmp_path, By.INDEX)) == {}
    assert [row.name for row in ranked(tmp_path, By.RELATION).rows] == ["public.orders"]


def test_rows_of_two_servers_are_told_apart_and_of_one_label_have_no_activity(
    tmp_path: Path,
) -> None:
    Shop().write(tmp_path)
    Shop(more={"server": server(label="test", port=5433)}).write(tmp_path, "test")
    ranking = ranked(tmp_path, By.RELATION)
    assert sorted(activity(ranking)) == [(f"prod/{TABLE}",), (f"test/{TABLE}",)]
    assert activity(ranked(tmp_path, By.TABLE)) == {}
    Shop(more={"server": server(port=5434)}).write(tmp_path, "third")
    assert list(activity(ranked(tmp_path, By.INDEX))) == [
        (f"test/{each}",) for each in (CUSTOMER, PKEY, TOAST_INDEX)
    ]


def test_without_counters_of_tables_there_is_no_activity(tmp_path: Path) -> None:
    Shop(moved=()).write(tmp_path)
    for by in (By.INDEX, By.RELATION, By.TABLE):
        assert ranked(tmp_path, by).activity == {}
    assert ranked(tmp_path, By.CATEGORY).activity is None
    assert ranked(tmp_path, By.RELATION, until=SECONDS).rows[0].cost.blocks == 1000
