"""What tables and indexes did in a window of a history, and their definitions at an instant."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgiostat.analysis.relation_activity import IndexActivity, RelationTotals
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.definitions import DefinitionHistory, Definitions
from pgiostat.history.read.history import History
from pgiostat.history.read.relation_totals import relation_totals
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.statistics.definitions import Definition, Kind
from tests.support.readings import at, server
from tests.support.relation_histories import (
    CUSTOMER,
    DEFINITIONS,
    PKEY,
    TABLE,
    TOAST,
    Moved,
    Shop,
    orders,
)


def totals(root: Path, since: float, until: float) -> dict[str, RelationTotals]:
    """Return what tables and indexes did between two instants, by label."""
    history = History.open(root)
    window = Window(at(since), at(until))
    counted = history.totals(window).counted
    return {
        counted[server_id].server: each
        for server_id, each in relation_totals(history, window, counted).items()
    }


def index(oid: int, found: RelationTotals) -> IndexActivity:
    (activity,) = (each for each in found.indexes() if each.indexrelid == oid)
    return activity


@pytest.mark.parametrize("compacted", [False, True])
def test_counters_are_sums_and_sizes_the_newest(tmp_path: Path, compacted: bool) -> None:  # noqa: FBT001
    Shop().write(tmp_path)
    if compacted:
        compact(Layout(tmp_path), "prod")
    found = totals(tmp_path, 0, 60)["prod"]
    assert found.dbids == {5}
    assert index(CUSTOMER, found) == IndexActivity(
        dbid=5,
        indexrelid=CUSTOMER,
        relid=TABLE,
        seconds=60.0,
        idx_scan=60,
        idx_tup_read=2400,
        idx_tup_fetch=300,
        blks_read=1200,
        blks_hit=0,
        relpages=20,
        reltuples=5000,
        is_uncertain=False,
    )
    (table,) = found.tables({(5, TOAST): TABLE})
    assert table.relid == TABLE
    assert table.toast is not None
    assert (table.toast.relid, table.toast.heap_read) == (TOAST, 360)
    assert [each.indexrelid for each in table.indexes] == [CUSTOMER, PKEY]
    assert {name: value for name, value in table.counts.items() if value} == {
        "heap_blks_read": 3600,
        "heap_blks_hit": 400,
        "seq_scan": 6,
        "seq_tup_read": 6000,
        "bitmap_tup_fetch": 100,
        "n_tup_upd": 16,
        "n_tup_hot_upd": 12,
    }
    assert {name: value for name, value in table.newest.items() if value} == {
        "relid": TABLE,
        "relpages": 200,
        "reltuples": 5000,
        "relallvisible": 50,
        "n_live_tup": 900,
        "n_dead_tup": 100,
        "last_analyze": at(2).replace(tzinfo=None),
    }
    assert table.blks_read == 3600 + 1200 + 600 + 360 + 240
    assert (table.seq_scans_per_s, table.idx_scans_per_s) == (0.1, 21.0)
    assert (table.size_bytes, table.dead_rows, table.dead_share) == (200 * 8192, 100, 100 / 5100)
    assert table.blocks_per_row == 4000 / (6000 + 100 + 300 + 1200)


@pytest.mark.parametrize(
    ("since", "until", "scans", "relpages"),
    [(0, 30, 30, 100), (0, 20, 30, 100), (10, 60, 30, 200), (0, 40, 60, 200)],
    ids=["the first", "its statements", "the second", "until its statements"],
)
def test_an_interval_belongs_to_the_window_in_which_it_starts(
    tmp_path: Path, since: float, until: float, scans: int, relpages: int
) -> None:
    Shop().write(tmp_path)
    found = totals(tmp_path, since, until)["prod"]
    assert index(CUSTOMER, found).idx_scan == scans
    assert found.tables()[0].relpages == relpages
    assert found.seconds == until - since


def test_a_window_without_a_read_of_tables_has_no_rows(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    found = totals(tmp_path, 40, 60)["prod"]
    assert (found.tables(), found.indexes(), found.dbids) == ([], [], set())


def test_a_history_without_tables_has_no_rows(tmp_path: Path) -> None:
    Shop(moved=()).write(tmp_path)
    found = totals(tmp_path, 0, 60)["prod"]
    assert (found.tables(), found.indexes(), found.dbids) == ([], [], set())
    rows = History.open(tmp_path).dimension("definition")
    assert DefinitionHistory(rows, 1).at() == Definitions()


def test_servers_are_kept_apart_and_databases_too(tmp_path: Path) -> None:
    Shop().write(tmp_path)
    other = [
        Moved(30 * n, [{"relid": TABLE, "relpages": 1, "seq_scan": 30 * n}], dbid=6)
        for n in range(3)
    ]
    Shop(moved=other, more={"server": server(label="test")}).write(tmp_path, "test")
    found = totals(tmp_path, 0, 60)
    assert {label: each.dbids for label, each in found.items()} == {"prod": {5}, "test": {6}}
    (table,) = found["test"].tables()
    assert (table.dbid, table.count("seq_scan"), table.seq_scans_per_s) == (6, 60, 1.0)
    assert index(CUSTOMER, found["prod"]).idx_scan == 60


def test_what_was_counted_since_a_reset_is_uncertain(tmp_path: Path) -> None:
    counted = [replace(orders(n), until=until) for n, until in ((2, 0), (3, 30), (1, 60))]
    Shop(moved=counted).write(tmp_path)
    found = totals(tmp_path, 0, 60)["prod"]
    assert [each.is_uncertain for each in found.tables({(5, TOAST): TABLE})] == [True]
    assert [each.is_uncertain for each in found.indexes()] == [True, True, True]
    first = totals(tmp_path, 0, 30)["prod"]
    assert [each.is_uncertain for each in first.indexes()] == [False, False, False]


def row(since: float, definition: Definition, server_id: int = 1) -> dict[str, Any]:
    names = ("dbid", "kind", "oid", "owner", "name", "text", "detail")
    values = {name: getattr(definition, name) for name in names}
    return {"server_id": server_id, **values, "since": at(since)}


def test_definitions_are_those_of_an_instant() -> None:
    pkey, customer, key, setting = DEFINITIONS
    changed = replace(customer, text="CREATE INDEX orders_customer ON public.orders (a)")
    rows = [
        row(50, replace(pkey, text=None)),
        *(row(30, each) for each in DEFINITIONS),
        row(40, replace(setting, text="8MB")),
        row(45, changed),
        row(30, replace(setting, text="64MB"), server_id=2),
    ]

    def state(at_seconds: float) -> tuple[list[Definition], list[Definition], list[Definition]]:
        found = DefinitionHistory(rows, 1).at(at(at_seconds), or_first=True)
        indexes = found.of_table(5, TABLE, Kind.INDEX)
        return indexes, found.of_table(5, TABLE, Kind.FOREIGN_KEY), found.settings()

    # What was found first also holds before: it was there before its table was in use.
    assert state(10) == ([customer, pkey], [key], [setting])
    assert state(39) == ([customer, pkey], [key], [setting])
    assert state(40) == ([customer, pkey], [key], [replace(setting, text="8MB")])
    assert state(50) == ([changed], [key], [replace(setting, text="8MB")])
    # An index that was found after the others of its table is new.
    late = replace(customer, oid=78, name="orders_late")
    later = DefinitionHistory([*rows, row(60, late)], 1).at(at(10), or_first=True)
    assert later.of_table(5, TABLE, Kind.INDEX) == [customer, pkey]
    newest = {server_id: DefinitionHistory(rows, server_id).at() for server_id in (1, 2)}
    assert DefinitionHistory(rows, 1).at(at(10)) == Definitions()
    assert newest[1].index(5, TABLE, PKEY) == replace(pkey, text=None)
    assert newest[1].index(6, TABLE, PKEY) is None
    assert newest[1].of_table(5, TABLE + 1, Kind.INDEX) == []
    assert [each.text for each in newest[2].settings()] == ["64MB"]
    assert Definitions().settings() == []
