"""Intervals of tables and indexes, and their definitions."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.statistics.counters import INDEX_STATS, TABLE_STATS
from pgiostat.statistics.definitions import Definition, Kind, changes
from pgiostat.statistics.relation_stats import RelationRead, interval_between, merged
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from tests.support.readings import at, rows


def read(seconds: float, tables: dict[int, int], indexes: dict[int, Any]) -> RelationRead:
    """Return a read: sequential scans of tables, (table, scans) of indexes, by oid."""
    return RelationRead(
        dbid=5,
        taken_at=at(seconds),
        tables=rows(
            TABLE_STATS.select(),
            [{"relid": oid, "seq_scan": n, "relpages": n} for oid, n in tables.items()],
        ),
        indexes=rows(
            INDEX_STATS.select(),
            [
                {"indexrelid": oid, "relid": table, "idx_scan": n}
                for oid, (table, n) in indexes.items()
            ],
        ),
    )


def scans(deltas: RowDeltas) -> dict[int, tuple[int, Basis]]:
    key, counter = (
        ("relid", "seq_scan") if deltas.rows.table is TABLE_STATS else ("indexrelid", "idx_scan")
    )
    columns = (deltas.rows[key].tolist(), deltas.rows[counter].tolist(), deltas.basis.tolist())
    return {oid: (count, Basis(basis)) for oid, count, basis in zip(*columns, strict=True)}


def test_a_partial_read_has_what_moved_and_all_else_counted_nothing() -> None:
    older = read(0, {1: 5, 2: 7}, {10: (1, 3), 11: (1, 4)})
    newer = read(60, {1: 6}, {11: (1, 9)})
    interval = interval_between(older, newer, existing=[1, 2, 10, 11])
    assert (interval.since, interval.seconds) == (at(0), 60.0)
    assert scans(interval.tables) == {1: (1, Basis.PREVIOUS)}
    assert scans(interval.indexes) == {11: (5, Basis.PREVIOUS)}


def test_what_was_not_there_has_counted_all_of_it_since() -> None:
    interval = interval_between(read(0, {1: 5}, {}), read(60, {1: 5, 2: 3}, {12: (2, 8)}))
    assert scans(interval.tables) == {2: (3, Basis.NEW)}
    assert scans(interval.indexes) == {12: (8, Basis.NEW)}


def test_a_counter_that_fell_was_reset() -> None:
    interval = interval_between(read(0, {1: 5, 2: 5}, {}), read(60, {1: 3, 2: 6}, {}))
    assert scans(interval.tables) == {1: (3, Basis.RESET), 2: (1, Basis.PREVIOUS)}


def test_after_a_crash_all_counts_are_since_then() -> None:
    interval = interval_between(read(0, {1: 5}, {}), read(60, {1: 9}, {}), discarded=True)
    assert scans(interval.tables) == {1: (9, Basis.RESET)}


def test_an_index_that_another_one_replaced_continues_its_counters() -> None:
    older = read(0, {}, {10: (1, 50), 11: (1, 20), 12: (2, 40)})
    newer = read(60, {}, {20: (1, 53)})
    interval = interval_between(older, newer, existing=[11, 12, 20])
    assert scans(interval.indexes) == {20: (3, Basis.PREVIOUS)}


def test_an_index_beside_another_one_is_new() -> None:
    older = read(0, {}, {10: (1, 50)})
    interval = interval_between(older, read(60, {}, {20: (1, 53)}), existing=[10, 20])
    assert scans(interval.indexes) == {20: (53, Basis.NEW)}


def test_one_index_is_replaced_by_one_other() -> None:
    older = read(0, {}, {10: (1, 50)})
    newer = read(60, {}, {20: (1, 53), 21: (1, 60)})
    interval = interval_between(older, newer, existing=[20, 21])
    assert scans(interval.indexes) == {20: (3, Basis.PREVIOUS), 21: (60, Basis.NEW)}


def test_all_is_known_after_a_partial_read() -> None:
    older = read(0, {1: 5, 2: 7, 3: 1}, {10: (1, 3)})
    known = merged(older, read(60, {1: 6, 4: 2}, {}), vanished=[3, 10])
    assert known.taken_at == at(60)
    assert dict(
        zip(known.tables["relid"].tolist(), known.tables["seq_scan"].tolist(), strict=True)
    ) == {1: 6, 2: 7, 4: 2}
    assert known.tables["relpages"].tolist() == [7, 6, 2]
    assert len(known.indexes) == 0


Reads = st.lists(st.dictionaries(st.integers(1, 6), st.integers(0, 5), min_size=1), max_size=6)


@given(Reads)
def test_intervals_of_partial_reads_add_up(moves: list[dict[int, int]]) -> None:
    counted = dict.fromkeys(range(1, 7), 10)
    known = read(0, counted, {})
    totals = dict.fromkeys(counted, 0)
    for number, moved in enumerate(moves):
        for oid, scans_more in moved.items():
            counted[oid] += scans_more
        newer = read(60.0 * (number + 1), {oid: counted[oid] for oid in moved}, {})
        for oid, (count, _) in scans(interval_between(known, newer).tables).items():
            totals[oid] += count
        known = merged(known, newer)
    assert totals == {oid: count - 10 for oid, count in counted.items()}
    assert (
        dict(zip(known.tables["relid"].tolist(), known.tables["seq_scan"].tolist(), strict=True))
        == counted
    )


def test_an_impossible_counter_is_damage() -> None:
    damaged = read(0, {1: 1 << 53}, {})
    with pytest.raises(ValueError, match="an impossible counter of pg_stat_all_tables"):
        damaged.check()


def test_a_time_is_a_calendar_time_and_none_is_not() -> None:
    found = rows(TABLE_STATS.select(), [{"relid": 1, "last_vacuum": at(90)}, {"relid": 2}])
    assert found["last_vacuum"].tolist() == [
        (at(0) + timedelta(seconds=90)).replace(tzinfo=None),
        None,
    ]


INDEX = Definition(5, Kind.INDEX, 10, 1, "a_x", "CREATE INDEX a_x ON a (x)")
SETTING = Definition(0, Kind.SETTING, 0, 0, "work_mem", "4MB")


@pytest.mark.parametrize(
    ("found", "covered", "expected"),
    [
        ([INDEX, SETTING], {(5, "index", 1), (0, "setting", 0)}, []),
        ([], {(5, "index", 2)}, []),  # its table was not read
        ([], {(5, "index", 1)}, [("a_x", None)]),
        ([SETTING], {(0, "setting", 0)}, []),
        (
            [Definition(5, Kind.INDEX, 10, 1, "a_y", "CREATE INDEX a_y ON a (x)")],
            {(5, "index", 1)},
            [("a_y", "CREATE INDEX a_y ON a (x)")],
        ),
        (
            [Definition(0, Kind.SETTING, 0, 9, "work_mem", "64MB"), SETTING],
            {(0, "setting", 0)},
            [("work_mem", "64MB")],
        ),
    ],
    ids=["same", "not covered", "dropped", "setting", "renamed", "of a role"],
)
def test_definitions_are_new_changed_or_dropped(
    found: list[Definition],
    covered: set[tuple[int, str, int]],
    expected: list[tuple[str, str | None]],
) -> None:
    known = {each.key: each for each in (INDEX, SETTING)}
    assert [(each.name, each.text) for each in changes(known, found, covered)] == expected


def test_a_dropped_definition_is_reported_once() -> None:
    dropped = Definition(5, Kind.INDEX, 10, 1, "a_x", None)
    assert changes({dropped.key: dropped}, [], {(5, "index", 1)}) == ()
    again = changes({dropped.key: dropped}, [INDEX], {(5, "index", 1)})
    assert again == (INDEX,)
