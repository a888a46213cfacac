"""Tables, indexes and definitions in an export."""

import csv
from dataclasses import replace
from pathlib import Path

from pgiostat.export import export
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.queries.describe import describer
from pgiostat.statistics.definitions import Definition
from tests.support.readings import at
from tests.support.relation_histories import DEFINITIONS, NAMES, PKEY, TABLE, Shop, crm, orders

HOSTILE = "=1;@x\x1b\u202e"


def exported(root: Path, out: Path, since: float = 0, until: float = 60) -> dict[str, list[dict]]:  # type: ignore[type-arg]
    export(History.open(root), Window(at(since), at(until)), describer(), out)
    return {
        name: list(csv.DictReader((out / f"{name}.csv").read_text("utf-8").splitlines()))
        for name in ("tables", "indexes", "definitions")
    }


def test_tables_and_indexes_have_a_row_for_each_of_their_intervals(tmp_path: Path) -> None:
    root = Shop().write(tmp_path / "history")
    compact(Layout(root), "prod")
    found = exported(root, tmp_path / "out")
    same = ("interval_start", "seconds", "server", "database", "relation")
    names = ("part", "relpages", "heap_blks_read", "n_tup_hot_upd", "last_analyze", "basis")
    assert [[row[name] for name in (*same, *names)] for row in found["tables"]] == [
        [
            f"2026-11-23T10:00:{second}.000000Z", "30", "prod", "app", "public.orders", part,
            pages, read, hot, analyzed, "previous",
        ]
        for second, n in (("00", 1), ("30", 2))
        for part, pages, read, hot, analyzed in (
            ("heap", str(100 * n), "1800", "6", f"2026-11-23T10:00:0{n}.000000Z"),
            ("toast", "7", "180", "0", ""),
        )
    ]  # fmt: skip
    columns = ("relation", "index", "part", "idx_scan", "idx_blks_read", "idx_blks_hit")
    assert [[row[name] for name in columns] for row in found["indexes"][:3]] == [
        ["public.orders", "public.orders_pkey", "idx", "600", "300", "900"],
        ["public.orders", "public.orders_customer", "idx", "30", "600", "0"],
        ["public.orders", "pg_toast.pg_toast_20100_index", "tidx", "60", "120", "0"],
    ]
    assert len(found["indexes"]) == 6


def test_definitions_are_there_as_they_changed_until_the_end(tmp_path: Path) -> None:
    pkey = DEFINITIONS[0]
    of_role = Definition(0, "setting", 5, 10, "work_mem", "64MB")
    dropped = replace(orders(2), definitions=(replace(pkey, text=None), of_role))
    root = Shop(moved=[orders(0), orders(1), dropped]).write(tmp_path / "history")
    found = exported(root, tmp_path / "out")["definitions"]
    first, last = "2026-11-23T10:00:30.000000Z", "2026-11-23T10:01:00.000000Z"
    assert [list(row.values()) for row in found] == [
        ["1", "prod", first, "app", "index", "public.orders", "", "orders_pkey", str(PKEY),
         pkey.text, "primary key"],
        ["1", "prod", first, "app", "index", "public.orders", "", "orders_customer", "20102",
         DEFINITIONS[1].text, ""],
        ["1", "prod", first, "app", "foreign key", "public.orders", "", "orders_customer_id_fkey",
         "20200", DEFINITIONS[2].text, "20300"],
        ["1", "prod", first, "", "setting", "", "", "work_mem", "", "4MB", ""],
    ]  # fmt: skip
    whole = exported(root, tmp_path / "whole", until=61)["definitions"]
    assert [list(row.values())[2:] for row in whole[4:]] == [
        [last, "app", "index", "public.orders", "", "orders_pkey", str(PKEY), "", "primary key"],
        [last, "app", "setting", "", "api", "work_mem", "", "64MB", ""],
    ]


def test_hostile_names_do_nothing_in_a_spreadsheet(tmp_path: Path) -> None:
    names = replace(
        NAMES,
        relations={**NAMES.relations, PKEY: (TABLE, "", "orders", "idx")},
        index_names={PKEY: HOSTILE},
    )
    definition = Definition(5, "index", PKEY, TABLE, HOSTILE, HOSTILE, HOSTILE)
    root = Shop(names=names, definitions=(definition,)).write(tmp_path / "history")
    found = exported(root, tmp_path / "out")
    shown = "'=1;\\u0040x\\u001b\\u202e"
    assert {row["index"] for row in found["indexes"]} == {shown, ""}
    (row,) = found["definitions"]
    assert [row[name] for name in ("name", "definition", "detail")] == [shown] * 3


def test_a_history_of_an_earlier_version_has_files_without_rows(tmp_path: Path) -> None:
    root = Shop(moved=()).write(tmp_path / "history")
    assert exported(root, tmp_path / "out") == {"tables": [], "indexes": [], "definitions": []}
    page = (tmp_path / "out" / "README.md").read_text("utf-8")
    for line in (
        "## tables.csv",
        "| heap_blks_read | blocks | blocks read, of this relation alone |",
        "## indexes.csv",
        "| index |  | its name, with the schema |",
        "## definitions.csv",
        "| definition |  | text or value; empty if it was dropped |",
    ):
        assert line in page.splitlines()


def test_tables_of_another_database_have_the_names_that_they_have_there(tmp_path: Path) -> None:
    root = crm().write(tmp_path / "history")
    found = exported(root, tmp_path / "out")
    columns = ("database", "relation", "part")
    assert {tuple(row[name] for name in columns) for row in found["tables"]} == {
        ("crm", "sales.visits", "heap"),
        ("crm", "sales.visits", "toast"),
    }
    assert {(row["relation"], row["index"], row["part"]) for row in found["indexes"]} == {
        ("sales.visits", "sales.visits_pkey", "idx"),
        ("sales.visits", "sales.visits_place", "idx"),
        ("sales.visits", "pg_toast.pg_toast_20100_index", "tidx"),
    }
    (definition,) = found["definitions"]
    assert (definition["database"], definition["relation"]) == ("crm", "sales.visits")
    export(History.open(root), Window(at(0), at(60)), describer(), tmp_path / "again")
    rows = (tmp_path / "again" / "relations.csv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + 6 * 5
    assert all("public.orders" in row for row in rows[1:])
