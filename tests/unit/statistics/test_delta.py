"""What happened between two readings, by hand-made readings."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.analysis.server_reads import coverage_of, reads_of
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.delta import Delta, Lost, Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.row_deltas import Basis
from tests.support.readings import (
    MODERN,
    STARTED,
    WITHOUT_SINCE,
    WITHOUT_TOPLEVEL,
    at,
    reading,
    server,
    settings,
    shown,
)

Record = Mapping[str, Any]


def outcome(delta: Delta) -> list[tuple[int, int, int, Basis]]:
    """Return (queryid, calls, shared_blks_read, basis) of each row, by queryid."""
    rows = shown(delta.statements.rows, "queryid", "calls", "shared_blks_read")
    return sorted(
        (*row, Basis(basis))
        for row, basis in zip(rows, delta.statements.basis.tolist(), strict=True)
    )


def entry(queryid: int, calls: int, reads: int, **more: Any) -> Record:
    """Return a statement; its executions took from 1 to 2 ms."""
    return {
        "queryid": queryid,
        "calls": calls,
        "shared_blks_read": reads,
        "min_exec_time": 1.0,
        "max_exec_time": 2.0,
        "total_exec_time": 1.5 * calls,
        **more,
    }


def test_the_first_reading_is_a_baseline() -> None:
    delta = diff(None, reading(0, [entry(1, 5, 100)]))
    assert (delta.qualities, delta.seconds, outcome(delta)) == ((Quality.FIRST,), None, [])


@pytest.mark.parametrize("table", [MODERN, WITHOUT_SINCE, WITHOUT_TOPLEVEL])
def test_what_an_entry_counted_meanwhile_is_the_difference(table: Any) -> None:
    older = reading(0, [entry(1, 5, 100), entry(2, 7, 10)], table=table)
    newer = reading(10, [entry(1, 8, 160), entry(2, 7, 10)], table=table)
    delta = diff(older, newer)
    assert outcome(delta) == [(1, 3, 60, Basis.PREVIOUS)]
    assert (delta.qualities, delta.seconds) == ((Quality.OK,), 10.0)


def test_times_are_whole_microseconds() -> None:
    older = reading(0, [entry(1, 1, 0, total_exec_time=0.1)])
    newer = reading(1, [entry(1, 2, 0, total_exec_time=0.3004)])
    assert diff(older, newer).statements.rows["total_exec_time"].tolist() == [200]


@pytest.mark.parametrize("table", [MODERN, WITHOUT_SINCE, WITHOUT_TOPLEVEL])
def test_a_new_entry_is_counted_whole(table: Any) -> None:
    older = reading(0, [entry(1, 5, 100)], table=table)
    newer = reading(10, [entry(1, 5, 100), entry(2, 3, 30, stats_since=at(4))], table=table)
    assert outcome(diff(older, newer)) == [(2, 3, 30, Basis.NEW)]


def test_a_first_call_that_began_before_the_older_reading_is_counted_when_it_ends() -> None:
    # Its entry was made when the statement was parsed, and is shown only once it has been called.
    older = reading(0, [entry(1, 5, 100)])
    newer = reading(10, [entry(1, 5, 100), entry(2, 1, 24_737, stats_since=at(-20))])
    assert outcome(diff(older, newer)) == [(2, 1, 24_737, Basis.NEW)]


def test_an_entry_reset_on_its_own_counts_since_then_though_it_counted_more() -> None:
    older = reading(0, [entry(1, 10, 4)])
    newer = reading(10, [entry(1, 15, 28, stats_since=at(5))])
    delta = diff(older, newer)
    assert outcome(delta) == [(1, 15, 28, Basis.RESET)]
    assert (delta.qualities, coverage_of(delta)) == (
        (Quality.RESET,),
        None,
    )


def test_an_entry_evicted_and_back_counts_since_it_came_back() -> None:
    older = reading(0, [entry(1, 10, 400)], dealloc=3)
    newer = reading(10, [entry(1, 15, 28, stats_since=at(5))], dealloc=5)
    delta = diff(older, newer)
    assert outcome(delta) == [(1, 15, 28, Basis.REINSERTED)]
    assert (delta.qualities, delta.dealloc, delta.evicted) == ((Quality.EVICTING,), 2, 500)


@pytest.mark.parametrize(
    "change",
    [
        {"shared_blks_hit": 3, "was": {"shared_blks_hit": 4}},
        {"min_exec_time": 1.1},
        {"max_exec_time": 1.9},
    ],
    ids=["a counter fell", "the minimum rose", "the maximum fell"],
)
def test_without_stats_since_an_entry_made_anew_is_noticed(change: dict[str, Any]) -> None:
    was = change.pop("was", {})
    older = reading(0, [entry(1, 10, 4, **was), entry(2, 1, 1)], table=WITHOUT_SINCE, dealloc=3)
    newer = reading(
        10, [entry(1, 15, 28, **change), entry(2, 1, 1)], table=WITHOUT_SINCE, dealloc=4
    )
    assert outcome(diff(older, newer)) == [(1, 15, 28, Basis.REINSERTED)]


def test_a_minimum_that_rises_from_zero_is_no_sign_of_a_new_entry() -> None:
    # pg_stat_statements_reset(..., minmax_only) and failed statements leave it at 0.
    older = reading(0, [entry(1, 10, 4, min_exec_time=0.0)], table=WITHOUT_SINCE)
    newer = reading(10, [entry(1, 15, 28)], table=WITHOUT_SINCE)
    assert outcome(diff(older, newer)) == [(1, 5, 24, Basis.PREVIOUS)]


@pytest.mark.parametrize("table", [MODERN, WITHOUT_SINCE])
def test_after_a_full_reset_everything_counts_since_then(table: Any) -> None:
    older = reading(0, [entry(1, 10, 400), entry(2, 1, 1)], table=table)
    newer = reading(10, [entry(1, 15, 500, stats_since=at(5))], table=table, statements_reset=at(5))
    delta = diff(older, newer)
    assert outcome(delta) == [(1, 15, 500, Basis.RESET)]
    assert (delta.qualities, delta.vanished) == ((Quality.RESET,), 1)


def test_on_13_a_full_reset_is_inferred_from_the_entries() -> None:
    older = reading(0, [entry(1, 10, 400), entry(2, 9, 9)], table=WITHOUT_TOPLEVEL)
    newer = reading(
        10,
        [entry(1, 2, 500, min_exec_time=1.2), entry(2, 12, 12, min_exec_time=0.7)],
        table=WITHOUT_TOPLEVEL,
    )
    # The second shows no sign of its own; the first, and that none goes on, speak for it.
    assert outcome(diff(older, newer)) == [(1, 2, 500, Basis.RESET), (2, 12, 12, Basis.RESET)]


def test_on_13_one_entry_made_anew_among_others_that_go_on_is_no_full_reset() -> None:
    older = reading(0, [entry(1, 10, 400), entry(2, 9, 9)], table=WITHOUT_TOPLEVEL)
    newer = reading(10, [entry(1, 2, 5), entry(2, 12, 12)], table=WITHOUT_TOPLEVEL)
    assert outcome(diff(older, newer)) == [(1, 2, 5, Basis.RESET), (2, 3, 3, Basis.PREVIOUS)]


def test_on_13_one_entry_made_anew_shows_that_a_restart_lost_all() -> None:
    """Most show nothing: under load the first run after a restart has wider extremes."""
    others = range(2, 12)
    older = reading(0, [entry(i, 10, 100) for i in (1, *others)], table=WITHOUT_TOPLEVEL)
    rows = [entry(1, 3, 0, min_exec_time=1.5, max_exec_time=1.5)]
    rows += [entry(i, 10, 100, min_exec_time=0.9, max_exec_time=2.1) for i in others]
    who: Any = {"table": WITHOUT_TOPLEVEL, "start_time": at(3), "session": 2}
    delta = diff(older, reading(10, rows, bgwriter_reset=at(3), **who))
    assert outcome(delta) == [
        (1, 3, 0, Basis.RESET),
        *((i, 10, 100, Basis.RESET) for i in others),
    ]
    assert delta.qualities == (Quality.RESTART, Quality.GAP)
    # Without a crash a restart loses none: another server has started.
    delta = diff(older, reading(10, rows, **who))
    assert (delta.qualities, outcome(delta)) == ((Quality.OTHER_SERVER,), [])


def test_on_13_an_entry_reset_by_hand_before_a_restart_that_kept_all_is_alone() -> None:
    older = reading(0, [entry(i, 10, 100) for i in (1, 2, 3)], table=WITHOUT_TOPLEVEL)
    rows = [entry(1, 3, 5), entry(2, 12, 102), entry(3, 10, 100)]
    newer = reading(10, rows, table=WITHOUT_TOPLEVEL, start_time=at(3), session=2)
    assert outcome(diff(older, newer)) == [
        (1, 3, 5, Basis.RESET),
        (2, 2, 2, Basis.PREVIOUS),
    ]


def test_a_restart_that_kept_the_statistics_is_subtracted() -> None:
    older = reading(0, [entry(1, 10, 400)])
    newer = reading(10, [entry(1, 12, 410)], start_time=at(3), session=2)
    delta = diff(older, newer)
    assert outcome(delta) == [(1, 2, 10, Basis.PREVIOUS)]
    assert delta.qualities == (Quality.RESTART, Quality.GAP)


def test_a_restart_that_lost_the_statistics_counts_since_then() -> None:
    older = reading(0, [entry(1, 10, 400)], table=WITHOUT_SINCE)
    newer = reading(
        10, [entry(1, 12, 410)], table=WITHOUT_SINCE, start_time=at(3), statements_reset=at(3)
    )
    assert outcome(diff(older, newer)) == [(1, 12, 410, Basis.RESET)]


def test_a_killed_backend_is_a_restart_though_the_start_time_stays() -> None:
    older = reading(0, [entry(1, 10, 400)], databases=[{"datid": 5, "blks_read": 900}])
    newer = reading(
        10,
        [entry(1, 12, 410, stats_since=at(4))],
        databases=[{"datid": 5, "blks_read": 950}],
        statements_reset=at(4),
        bgwriter_reset=at(4),
    )
    delta = diff(older, newer)
    assert delta.qualities == (Quality.RESTART,)
    assert shown(delta.databases.rows, "datid", "blks_read") == [(5, 950)]
    assert delta.databases.basis.tolist() == [Basis.RESET]


def test_an_immediate_stop_keeps_statements_and_zeroes_the_rest() -> None:
    older = reading(0, [entry(1, 10, 400)], databases=[{"datid": 5, "blks_read": 900}])
    newer = reading(
        10,
        [entry(1, 12, 410)],
        databases=[{"datid": 5, "blks_read": 30}],
        start_time=at(4),
        bgwriter_reset=at(4),
    )
    delta = diff(older, newer)
    assert outcome(delta) == [(1, 2, 10, Basis.PREVIOUS)]
    assert shown(delta.databases.rows, "datid", "blks_read") == [(5, 30)]
    assert (delta.quality, coverage_of(delta)) == (
        Quality.RESTART,
        None,
    )


def test_resetting_the_bgwriter_alone_throws_nothing_away() -> None:
    older = reading(0, databases=[{"datid": 5, "blks_read": 900}])
    newer = reading(10, databases=[{"datid": 5, "blks_read": 930}], bgwriter_reset=at(4))
    delta = diff(older, newer)
    assert shown(delta.databases.rows, "blks_read") == [(30,)]
    assert delta.qualities == (Quality.OK,)


def test_one_queryid_of_two_users_databases_and_toplevels_stays_apart() -> None:
    keys: list[Record] = [
        {"userid": 10, "dbid": 5},
        {"userid": 20, "dbid": 5},
        {"userid": 10, "dbid": 6},
        {"userid": 10, "dbid": 5, "toplevel": False},
    ]
    older = reading(0, [entry(7, 10, 100 * i, **key) for i, key in enumerate(keys)])
    newer = reading(5, [entry(7, 11, 100 * i + i + 1, **key) for i, key in enumerate(keys)])
    delta = diff(older, newer)
    got = shown(delta.statements.rows, "userid", "dbid", "toplevel", "shared_blks_read")
    assert got == [(10, 5, True, 1), (20, 5, True, 2), (10, 6, True, 3), (10, 5, False, 4)]
    assert delta.statement_blocks == 1 + 2 + 3


def test_duplicate_keys_of_an_old_extension_are_summed() -> None:
    older = reading(0, [entry(7, 10, 100), entry(7, 4, 40)], table=WITHOUT_TOPLEVEL)
    newer = reading(5, [entry(7, 4, 45), entry(7, 12, 103)], table=WITHOUT_TOPLEVEL)
    assert outcome(diff(older, newer)) == [(7, 2, 8, Basis.PREVIOUS)]


def test_hidden_statements_are_told_apart_by_when_they_were_made() -> None:
    hidden = {"masked": True}
    older = reading(0, [entry(0, 9, 90, **hidden), entry(0, 5, 50, stats_since=at(-9), **hidden)])
    newer = reading(9, [entry(0, 9, 97, **hidden), entry(0, 2, 20, stats_since=at(3), **hidden)])
    delta = diff(older, newer)
    assert [row[1:] for row in outcome(delta)] == [(0, 7, Basis.PREVIOUS), (2, 20, Basis.NEW)]


def test_hidden_statements_without_stats_since_are_one_row() -> None:
    hidden = {"masked": True}
    older = reading(0, [entry(0, 9, 90, **hidden), entry(0, 5, 50, **hidden)], table=WITHOUT_SINCE)
    newer = reading(9, [entry(0, 9, 95, **hidden), entry(0, 7, 60, **hidden)], table=WITHOUT_SINCE)
    assert outcome(diff(older, newer)) == [(0, 2, 15, Basis.PREVIOUS)]


def test_hidden_statements_that_fell_together_are_a_lower_bound_and_said() -> None:
    hidden = {"masked": True}
    older = reading(0, [entry(0, 9, 90, **hidden), entry(0, 5, 50, **hidden)], table=WITHOUT_SINCE)
    newer = reading(9, [entry(0, 15, 95, **hidden)], table=WITHOUT_SINCE)
    delta = diff(older, newer)
    assert (outcome(delta), delta.unknown) == ([(0, 1, 0, Basis.UNKNOWN)], 1)


OURS = {"userid": 11}
"""A statement of our own role is never hidden from us."""


@pytest.mark.parametrize("granted", [True, False], ids=["GRANT", "REVOKE"])
def test_hidden_and_shown_entries_are_matched_by_when_they_were_made(granted: bool) -> None:  # noqa: FBT001
    born = [{"stats_since": at(-50)}, {"stats_since": at(-40)}, {"stats_since": at(-30)}]
    before = [entry(8, 9, 90, **born[0]), entry(9, 5, 50, **born[1]), entry(3, 1, 1, **OURS)]
    after = [entry(8, 10, 95, **born[0]), entry(9, 5, 50, **born[1]), entry(3, 2, 2, **OURS),
             entry(7, 2, 20, stats_since=at(4))]  # fmt: skip
    hide = {"queryid": 0, "masked": True}
    shown_rows = before if granted else after
    hidden = [row if "userid" in row else {**row, **hide} for row in shown_rows]
    older = reading(0, hidden if granted else before)
    newer = reading(9, after if granted else hidden)
    delta = diff(older, newer)
    seen = [(0, 1, 5, Basis.PREVIOUS), (0, 2, 20, Basis.NEW), (3, 1, 1, Basis.PREVIOUS)]
    named = [(3, 1, 1, Basis.PREVIOUS), (7, 2, 20, Basis.NEW), (8, 1, 5, Basis.PREVIOUS)]
    assert outcome(delta) == (named if granted else seen)
    assert (delta.qualities, delta.unknown, delta.lost) == ((Quality.OK,), 0, None)


@pytest.mark.parametrize("table", [WITHOUT_SINCE, WITHOUT_TOPLEVEL])
@pytest.mark.parametrize("granted", [True, False], ids=["GRANT", "REVOKE"])
def test_without_stats_since_what_statements_did_while_privileges_changed_is_lost(
    granted: bool,  # noqa: FBT001
    table: Any,
) -> None:
    one, other = [entry(0, 9, 90, masked=True), entry(3, 1, 1, **OURS)], [
        entry(8, 9, 90), entry(3, 1, 1, **OURS),
    ]  # fmt: skip
    blocks = [{"datid": 5, "blks_read": 7}], [{"datid": 5, "blks_read": 20}]
    older = reading(0, one if granted else other, table=table, databases=blocks[0])
    newer = reading(9, other if granted else one, table=table, databases=blocks[1])
    delta = diff(older, newer)
    assert (delta.qualities, delta.seconds) == ((Quality.PRIVILEGES_CHANGED,), 9.0)
    assert (outcome(delta), delta.unknown, delta.vanished, delta.appeared) == ([], 0, 0, 0)
    assert delta.lost == Lost(at(0), 9.0, server())
    assert (delta.databases.total("blks_read"), coverage_of(delta)) == (13, 0.0)


def test_a_reset_that_leaves_our_own_statements_alone_is_no_change_of_privileges() -> None:
    hidden, ours = entry(0, 9, 90, masked=True), entry(3, 5, 5, **OURS)
    older = reading(0, [hidden, ours], table=WITHOUT_SINCE)
    newer = reading(9, [{**ours, "calls": 1}], table=WITHOUT_SINCE, statements_reset=at(4))
    assert diff(older, newer).qualities == (Quality.RESET,)


def test_hidden_statements_that_got_keys_of_their_own_are_lost_and_not_counted_whole() -> None:
    hidden = [entry(0, 9, 90, masked=True), entry(0, 5, 50, masked=True)]
    delta = diff(reading(0, hidden, table=WITHOUT_SINCE), reading(9, hidden, table=MODERN))
    assert (delta.qualities, outcome(delta)) == ((Quality.EXTENSION_CHANGED,), [])
    assert delta.lost == Lost(at(0), 9.0, server())


def test_another_server_is_a_new_baseline() -> None:
    clone = server(address="10.0.0.2")
    delta = diff(reading(0, [entry(1, 1, 1)]), reading(9, [entry(1, 2, 2)], server=clone))
    assert (delta.qualities, outcome(delta)) == ((Quality.OTHER_SERVER,), [])
    assert (delta.seconds, delta.lost) == (None, Lost(at(0), 9.0, server()))


def test_the_length_of_what_is_lost_is_by_our_own_clock() -> None:
    clone = server(address="10.0.0.2")
    behind = reading(-5000, server=clone, clock=7.5)
    assert diff(reading(0), behind).lost == Lost(at(0), 7.5, server())
    # Of an earlier process only the servers' clocks are known.
    assert diff(reading(0, session=0), behind).lost == Lost(at(0), 0.0, server())
    ahead = reading(60, server=clone, clock=7.5)
    assert diff(reading(0, session=0), ahead).lost == Lost(at(0), 60.0, server())


@pytest.mark.parametrize("tables", list(permutations([WITHOUT_TOPLEVEL, WITHOUT_SINCE, MODERN], 2)))
def test_an_interval_in_which_nested_statements_came_apart_is_lost(tables: Any) -> None:
    databases = [[{"datid": 5, "blks_read": read}] for read in (7, 20)]
    older = reading(0, [entry(1, 9, 9)], table=tables[0], databases=databases[0])
    delta = diff(older, reading(9, [entry(1, 10, 12)], table=tables[1], databases=databases[1]))
    if WITHOUT_TOPLEVEL in tables:
        assert (delta.qualities, outcome(delta)) == ((Quality.EXTENSION_CHANGED,), [])
        assert delta.lost == Lost(at(0), 9.0, server())
    else:
        assert (delta.qualities, delta.lost) == ((Quality.OK,), None)
        assert outcome(delta) == [(1, 1, 3, Basis.PREVIOUS)]
    assert (delta.seconds, delta.databases.total("blks_read")) == (9.0, 13)


def test_columns_that_came_with_an_update_are_not_subtracted_from_nothing() -> None:
    older = reading(0, [entry(1, 9, 9)], table=WITHOUT_SINCE)
    delta = diff(older, reading(9, [entry(1, 10, 12, local_blk_read_time=9.0)], table=MODERN))
    assert outcome(delta) == [(1, 1, 3, Basis.PREVIOUS)]
    assert "local_blk_read_time" not in delta.statements.rows


def test_a_reading_that_came_late_is_a_gap_with_its_measured_length() -> None:
    delta = diff(reading(0), reading(7), expected_seconds=2)
    assert (delta.qualities, delta.seconds) == ((Quality.GAP,), 7.0)


def test_a_clock_that_was_set_gives_the_collectors_own_length() -> None:
    delta = diff(reading(0), reading(3600, clock=10))
    assert (delta.qualities, delta.seconds) == ((Quality.CLOCK_JUMP,), 10)


def test_a_statistics_reset_of_one_database_is_told_and_ends_coverage() -> None:
    older = reading(0, databases=[{"datid": 5, "blks_read": 900}])
    newer = reading(9, databases=[{"datid": 5, "blks_read": 20, "stats_reset": at(3)}])
    delta = diff(older, newer)
    assert (delta.qualities, reads_of(delta).blocks) == ((Quality.RESET,), None)


def test_coverage_is_the_share_of_the_servers_reads_in_toplevel_statements() -> None:
    older = reading(0, [entry(1, 1, 0)], databases=[{"datid": 5}, {"datid": 0}])
    newer = reading(
        9,
        [
            entry(1, 2, 90, local_blks_read=5),
            entry(2, 2, 70, toplevel=False, stats_since=at(1)),
        ],
        databases=[{"datid": 5, "blks_read": 97}, {"datid": 0, "blks_read": 3}],
    )
    delta = diff(older, newer)
    assert (
        delta.statement_blocks,
        reads_of(delta).blocks,
        coverage_of(delta),
    ) == (95, 100, 0.95)


def test_pg_stat_io_is_subtracted_by_backend_type_object_and_context() -> None:
    key = {"backend_type": "client backend", "object": "relation"}
    older = reading(0, io=[{**key, "context": "normal", "reads": 5}, {**key, "context": "vacuum"}])
    newer = reading(
        9, io=[{**key, "context": "vacuum", "reads": 2}, {**key, "context": "normal", "reads": 9}]
    )
    io = diff(older, newer).io
    assert io is not None
    assert shown(io.rows, "context", "reads") == [(b"vacuum", 2), (b"normal", 4)]


def test_a_relation_that_had_read_nothing_is_counted_whole() -> None:
    older = reading(0, relations=[{"relid": 1, "blks_read": 4}])
    newer = reading(9, relations=[{"relid": 2, "blks_read": 7}, {"relid": 1, "blks_read": 4}])
    assert shown(diff(older, newer).relations.rows, "relid", "blks_read") == [(2, 7)]


COUNTERS = ("calls", "rows", "shared_blks_hit", "shared_blks_read", "temp_blks_read")


@st.composite
def histories(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Draw three readings of growing entries; some appear later, none is made anew."""
    keys = draw(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=12))
    born = {key: draw(st.integers(0, 2)) for key in keys}
    totals: dict[int, dict[str, Any]] = {
        key: {"queryid": key, "stats_since": STARTED, "min_exec_time": 1.0, "max_exec_time": 2.0}
        for key in keys
    }
    readings = []
    for turn in range(3):
        for key in keys:
            for name in COUNTERS:
                grown = draw(st.integers(0, 10**6))
                totals[key][name] = totals[key].get(name, 0) + grown
            time = totals[key].get("total_exec_time", 0.0) + draw(st.floats(0, 1e7))
            totals[key]["total_exec_time"] = time
        order = draw(st.permutations(keys))
        readings.append([dict(totals[key]) for key in order if born[key] <= turn])
    return readings


def by_key(rows: Rows) -> dict[int, list[int]]:
    """Return the counters of each row by its queryid."""
    return dict(zip(rows["queryid"].tolist(), rows.counters.T.tolist(), strict=True))


@given(histories())
def test_differences_are_never_negative_and_add_up(history: list[list[dict[str, Any]]]) -> None:
    first, second, third = (reading(10 * i, records) for i, records in enumerate(history))
    parts = [diff(first, second), diff(second, third)]
    summed: dict[int, Any] = {}
    for part in parts:
        assert (part.statements.rows.counters >= 0).all()
        for key, values in by_key(part.statements.rows).items():
            summed[key] = np.add(summed.get(key, 0), values).tolist()
    assert summed == by_key(diff(first, third).statements.rows)


@given(
    histories(),
    histories(),
    st.booleans(),
    st.sampled_from([MODERN, WITHOUT_SINCE, WITHOUT_TOPLEVEL]),
)
def test_whatever_comes_no_difference_is_negative(
    one: list[list[dict[str, Any]]],
    two: list[list[dict[str, Any]]],
    reset: bool,  # noqa: FBT001 - drawn
    table: Any,
) -> None:
    older = reading(0, one[2], table=table)
    newer = reading(
        9, [*two[0], *one[0]], table=table, statements_reset=at(3) if reset else STARTED
    )
    delta = diff(older, newer)
    assert (delta.statements.rows.counters >= 0).all()
    assert set(np.unique(delta.statements.basis)) <= {basis.value for basis in Basis}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_keys_with_equal_numbers_are_still_told_apart(ids: list[int]) -> None:
    # Every key gets the same number: the slow way must give what the quick one gives.
    records = [entry(queryid, 3, 30) for queryid in sorted(set(ids))]
    older, newer = reading(0, records), reading(9, [{**r, "calls": 4} for r in reversed(records)])
    for snapshot in (older, newer):
        keyed = snapshot.keyed
        same = np.zeros_like(keyed.number)
        object.__setattr__(keyed, "number", same)
        object.__setattr__(keyed, "order", np.arange(len(same)))
    assert outcome(diff(older, newer)) == [
        (record["queryid"], 1, 0, Basis.PREVIOUS) for record in records
    ]


def test_a_day_of_readings_closes() -> None:
    """A window's difference equals the sum of its intervals'."""
    readings = [reading(10 * i, [entry(1, i, i * i)]) for i in range(1, 50)]
    total = sum(diff(a, b).statements.total("shared_blks_read") for a, b in pairwise(readings))
    assert (
        total == diff(readings[0], readings[-1]).statements.total("shared_blks_read") == 49**2 - 1
    )
    assert readings[-1].taken_at - readings[0].taken_at == timedelta(seconds=480)


def test_a_delta_knows_when_it_began_and_ended() -> None:
    delta = diff(reading(0), reading(9))
    assert (delta.since, delta.until) == (at(0), at(9))
    assert diff(None, reading(9)).since is None


def test_without_a_dealloc_counter_evicted_entries_are_those_that_vanished() -> None:
    older = reading(0, [entry(1, 1, 1), entry(2, 1, 1)], table=WITHOUT_TOPLEVEL)
    newer = reading(9, [entry(1, 1, 1)], table=WITHOUT_TOPLEVEL)
    delta = diff(older, newer)
    assert (delta.qualities, delta.evicted, delta.vanished) == ((Quality.EVICTING,), 1, 1)


def test_on_13_our_own_reading_that_goes_on_shows_that_there_was_no_reset() -> None:
    own: Any = {"table": WITHOUT_TOPLEVEL, "own_queryid": 99}
    ours = {"userid": 11, "queryid": 99, "min_exec_time": 5.0}
    older = reading(0, [entry(1, 9, 90), {**ours, "calls": 3, "max_exec_time": 6.0}], **own)
    newer = reading(9, [entry(1, 2, 5), {**ours, "calls": 4, "max_exec_time": 7.0}], **own)
    assert outcome(diff(older, newer)) == [
        (1, 2, 5, Basis.RESET),
        (99, 1, 0, Basis.PREVIOUS),
    ]


def test_a_database_that_gets_its_reset_time_late_has_lost_nothing() -> None:
    older = reading(0, databases=[{"datid": 5, "stats_reset": None}])
    newer = reading(9, databases=[{"datid": 5, "blks_read": 20, "stats_reset": at(3)}])
    delta = diff(older, newer)
    assert (delta.qualities, reads_of(delta).blocks) == ((Quality.OK,), 20)


def test_our_own_reading_shows_a_reset_that_no_extreme_does() -> None:
    ours = {"queryid": 9, "userid": 11, "calls": 3, "min_exec_time": 1.0, "max_exec_time": 2.0}
    theirs = {"queryid": 1, "calls": 5, "min_exec_time": 0.1, "max_exec_time": 0.5}
    older = reading(0, [ours, theirs], table=WITHOUT_TOPLEVEL, own_queryid=9)
    grown = theirs | {"calls": 7, "min_exec_time": 0.05, "max_exec_time": 0.6}
    newer = reading(10, [grown], table=WITHOUT_TOPLEVEL, own_queryid=9)
    delta = diff(older, newer)
    assert delta.qualities == (Quality.RESET,)
    assert outcome(delta) == [(1, 7, 0, Basis.RESET)]
    # Where another entry surely went on, ours alone was evicted.
    same = theirs | {"queryid": 2}
    kept = reading(0, [ours, theirs, same], table=WITHOUT_TOPLEVEL, own_queryid=9)
    going = reading(10, [grown, same | {"calls": 6}], table=WITHOUT_TOPLEVEL, own_queryid=9)
    assert Quality.RESET not in diff(kept, going).qualities


EARLIER = at(-3600)


@pytest.mark.parametrize(
    "other",
    [
        {"start_time": EARLIER},  # the standby started before our last look at the primary
        {"start_time": at(0)},
        {"bgwriter_reset": EARLIER},
        {"statements_reset": EARLIER},
    ],
    ids=lambda other: "-".join(f"{name} {when:%H:%M}" for name, when in other.items()),
)
@pytest.mark.parametrize("identifier", [1, 0], ids=["identified", "refused"])
def test_a_mark_that_moved_to_an_earlier_instant_is_of_another_server(
    other: dict[str, Any], identifier: int
) -> None:
    who: Any = {"server": server(system_identifier=identifier)}
    older = reading(0, [entry(1, 100, 10000)], **who)
    newer = reading(10, [entry(1, 2300, 230000)], **other, **who)
    delta = diff(older, newer)
    assert (delta.qualities, delta.seconds, len(delta.statements)) == (
        (Quality.OTHER_SERVER,), None, 0,
    )  # fmt: skip
    # And back again.
    assert diff(newer, reading(20, [entry(1, 120, 12000)], **who)).qualities == (
        Quality.OTHER_SERVER,
    )


def test_a_server_that_started_after_the_older_reading_is_the_same_one() -> None:
    older = reading(0, [entry(1, 100, 10000)])
    newer = reading(10, [entry(1, 105, 10500)], start_time=at(1))
    assert diff(older, newer).qualities == (Quality.RESTART,)


def test_statistics_that_lag_show_a_reset_late_and_are_of_the_same_server() -> None:
    """13 and 14 hand out files half a second old: a reading may not show a reset before it."""
    older = reading(0, [entry(1, 100, 10000)])
    newer = reading(10, [entry(1, 105, 10500)], bgwriter_reset=at(-0.4))
    assert (diff(older, newer).qualities, outcome(diff(older, newer))) == (
        (Quality.OK,), [(1, 5, 500, Basis.PREVIOUS)],
    )  # fmt: skip


def test_an_entry_made_at_another_earlier_instant_is_of_another_server() -> None:
    older = reading(0, [entry(1, 100, 10000, stats_since=at(-500))])
    newer = reading(10, [entry(1, 2300, 230000, stats_since=at(-400))])
    assert diff(older, newer).qualities == (Quality.OTHER_SERVER,)
    again = reading(10, [entry(1, 3, 300, stats_since=at(2))])
    assert diff(older, again).qualities == (Quality.RESET,)


def test_on_13_evictions_of_a_full_table_are_no_reset() -> None:
    """Our own reading is evicted as well, and extremes move: nothing shows that entries go on."""
    full = settings(pg_stat_statements__max="100")
    churn = [entry(1000 + i, 1, 0) for i in range(99)]
    others = [entry(2000 + i, 1, 0) for i in range(99)]
    ours = entry(9, 7, 0, userid=11)
    busy = dict(entry(1, 40, 4000, max_exec_time=3.0))
    more = busy | {
        "calls": 60,
        "shared_blks_read": 6000,
        "min_exec_time": 0.5,
        "max_exec_time": 4.0,
    }
    who: Any = {"table": WITHOUT_TOPLEVEL, "own_queryid": 9, "settings": full}
    delta = diff(reading(0, [busy, ours, *churn], **who), reading(10, [more, *others], **who))
    rows = delta.statements.rows
    found = dict(zip(rows["queryid"].tolist(), rows["calls"].tolist(), strict=True))
    assert (found[1], delta.qualities) == (20, (Quality.EVICTING,))
    # An entry that was evicted and came back shows it, and is counted since then.
    back = busy | {"calls": 3, "shared_blks_read": 300, "min_exec_time": 2.0, "max_exec_time": 2.5}
    delta = diff(reading(0, [busy, ours, *churn], **who), reading(10, [back, *others], **who))
    rows = delta.statements.rows
    found = dict(zip(rows["queryid"].tolist(), rows["calls"].tolist(), strict=True))
    assert found[1] == 3
