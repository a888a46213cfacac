"""Tables, indexes and definitions as frames."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import pgiostat
from pgiostat.statistics.definitions import Definition
from tests.support.readings import at
from tests.support.relation_histories import (
    CUSTOMER,
    DEFINITIONS,
    PKEY,
    TABLE,
    TOAST,
    TOAST_INDEX,
    Shop,
    crm,
    orders,
)

HEADS = {"seconds": "float64", **dict.fromkeys(("server", "database", "relation"), "string")}


def test_tables_have_a_row_for_each_of_their_intervals(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    found = pgiostat.open_history(tmp_path).tables()
    kinds = found.dtypes.astype(str).to_dict()
    assert {name: kinds[name] for name in HEADS} == HEADS
    assert {name: kinds[name] for name in ("part", "relid", "relpages", "last_analyze")} == {
        "part": "string",
        "relid": "Int64",
        "relpages": "Int64",
        "last_analyze": "datetime64[us, UTC]",
    }
    assert (kinds["total_vacuum_time_ms"], kinds["basis"]) == ("float64", "string")
    assert found.index.tolist() == [at(0), at(0), at(30), at(30)]
    columns = ["seconds", "server", "database", "relation", "part", "relid", "relpages", "seq_scan"]
    assert found[columns].to_numpy().tolist() == [
        [30.0, "prod", "app", "public.orders", "heap", TABLE, 100, 3],
        [30.0, "prod", "app", "public.orders", "toast", TOAST, 7, 0],
        [30.0, "prod", "app", "public.orders", "heap", TABLE, 200, 3],
        [30.0, "prod", "app", "public.orders", "toast", TOAST, 7, 0],
    ]
    units = found.attrs["units"]
    assert {name: units[name] for name in ("seconds", "heap_blks_read", "seq_scan")} == {
        "seconds": "s",
        "heap_blks_read": "blocks",
        "seq_scan": "scans",
    }
    assert (units["total_vacuum_time_ms"], units["n_dead_tup"]) == ("ms", "rows")


def test_indexes_have_their_own_names(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    found = pgiostat.open_history(tmp_path).indexes(until=at(20))
    columns = ["relation", "index", "part", "indexrelid", "idx_scan"]
    assert found[columns].to_numpy().tolist() == [
        ["public.orders", "public.orders_pkey", "idx", PKEY, 600],
        ["public.orders", "public.orders_customer", "idx", CUSTOMER, 30],
        ["public.orders", "pg_toast.pg_toast_20100_index", "tidx", TOAST_INDEX, 60],
    ]
    assert found.dtypes.astype(str)["last_idx_scan"] == "datetime64[us, UTC]"


def test_definitions_are_in_order_of_time(tmp_path: Path) -> None:
    pkey = DEFINITIONS[0]
    more = (replace(pkey, text=None), Definition(0, "setting", 5, 10, "work_mem", "64MB"))
    Shop(moved=[orders(0), orders(1), replace(orders(2), definitions=more)]).write(tmp_path)
    found = pgiostat.open_history(tmp_path).definitions(label="prod")
    assert found.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(("server", "database", "kind", "relation", "role", "name"), "string"),
        "oid": "Int64",
        **dict.fromkeys(("text", "detail"), "string"),
    }
    assert found.index.tolist() == [*[at(30)] * 4, *[at(60)] * 2]
    rows = found.astype(object).where(found.notna(), None).to_numpy().tolist()
    assert rows[0] == [
        "prod", "app", "index", "public.orders", None, "orders_pkey", PKEY, pkey.text,
        "primary key",
    ]  # fmt: skip
    assert rows[3:] == [
        ["prod", None, "setting", None, None, "work_mem", None, "4MB", ""],
        ["prod", "app", "index", "public.orders", None, "orders_pkey", PKEY, None, "primary key"],
        ["prod", "app", "setting", None, "api", "work_mem", None, "64MB", ""],
    ]


def test_a_ranking_by_index_has_numbers_of_stated_types(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    found = pgiostat.open_history(tmp_path).ranking("index")
    kinds = found.dtypes.astype(str)
    names = ["index", "relation", "scans_per_s", "size_bytes", "constraint", "idx_scan"]
    assert kinds[names].tolist() == ["string", "string", "float64", "Int64", "string", "Int64"]
    assert found[names].iloc[2].tolist() == [
        "public.orders_pkey on public.orders", "public.orders", 20.0, 81_920, "primary key", 1200,
    ]  # fmt: skip
    assert {name: found.attrs["units"][name] for name in names if name in found.attrs["units"]} == {
        "scans_per_s": "scans/s",
        "size_bytes": "bytes",
        "idx_scan": "scans",
    }


@pytest.mark.parametrize("name", ["tables", "indexes", "definitions"])
@pytest.mark.parametrize("has_tables", [True, False])
def test_each_frame_goes_into_parquet_and_is_the_same_without_rows(
    tmp_path: Path,
    name: str,
    has_tables: bool,  # noqa: FBT001
) -> None:
    Shop(moved=[orders(n) for n in range(3)] if has_tables else ()).write(tmp_path / "history")
    frame = getattr(pgiostat.open_history(tmp_path / "history"), name)()
    assert bool(len(frame)) is has_tables
    frame.to_parquet(tmp_path / "frame.parquet")
    back = pd.read_parquet(tmp_path / "frame.parquet")
    pd.testing.assert_frame_equal(back, frame)
    assert back.attrs == frame.attrs
    Shop().write(tmp_path / "other")
    full = getattr(pgiostat.open_history(tmp_path / "other"), name)()
    assert frame.dtypes.to_dict() == full.dtypes.to_dict()


def test_tables_of_another_database_have_the_names_that_they_have_there(tmp_path: Path) -> None:
    crm().write(tmp_path)
    frames = pgiostat.open_history(tmp_path)
    tables, indexes = frames.tables(until=at(20)), frames.indexes(until=at(20))
    assert tables[["database", "relation", "part"]].to_numpy().tolist() == [
        ["crm", "sales.visits", "heap"],
        ["crm", "sales.visits", "toast"],
    ]
    assert indexes["index"].tolist() == [
        "sales.visits_pkey",
        "sales.visits_place",
        "pg_toast.pg_toast_20100_index",
    ]
    (definition,) = frames.definitions()[["database", "relation", "name"]].to_numpy().tolist()
    assert definition == ["crm", "sales.visits", "visits_pkey"]
