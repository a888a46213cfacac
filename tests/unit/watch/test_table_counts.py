"""What a session knows of tables and indexes, and the reads of its last seconds."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from pgiostat.analysis.cost import FIELDS, ReadCost, blocks_of
from pgiostat.analysis.rank import Totals
from pgiostat.statistics.columnar import Rows, counter_matrix
from pgiostat.statistics.names import Names
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import joined
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.watch.model.interval import Interval, SeekContext, Who
from pgiostat.watch.model.recent_reads import RecentReads
from pgiostat.watch.model.running_totals import KEPT_GONE
from pgiostat.watch.model.session import WatchSession
from pgiostat.watch.model.table_counts import SessionTables, TableNews
from pgiostat.watch.screen.frozen import FrozenSession
from pgiostat.watch.screen.notices import NoticeBoard, SideInfo
from pgiostat.watch.screen.rows import Values
from pgiostat.watch.screen.table_columns import (
    TABLE_MEASURES,
    FoldValues,
    TableValues,
    part_of,
    times_of,
)
from tests.support.moments import moment
from tests.support.readings import at
from tests.support.relations import made, read

NAMES = Names(
    relations={
        100: (100, "public", "orders", "heap"),
        101: (100, "public", "orders", "idx"),
        102: (100, "public", "orders", "toast"),
        103: (100, "public", "orders", "tidx"),
    }
)
TABLE = {
    "relid": 100, "seq_scan": 2, "seq_tup_read": 400, "heap_blks_read": 30, "heap_blks_hit": 10,
    "relpages": 64, "n_live_tup": 90, "n_dead_tup": 10,
}  # fmt: skip
INDEX = {
    "indexrelid": 101, "relid": 100, "idx_scan": 20, "idx_tup_read": 60, "idx_tup_fetch": 40,
    "idx_blks_read": 5, "idx_blks_hit": 35, "relpages": 8,
}  # fmt: skip
TOAST = {"relid": 102, "heap_blks_read": 7, "relpages": 2}
TOAST_INDEX = {"indexrelid": 103, "relid": 102, "idx_scan": 4, "relpages": 1}


def counts(deltas: RowDeltas, name: str) -> dict[int, int]:
    """Return a counter by oid."""
    rows = deltas.rows
    return dict(zip(rows[rows.table.key[0]].tolist(), rows[name].tolist(), strict=True))


def test_two_intervals_become_one_and_the_later_sizes_hold() -> None:
    first = made(at(0), 10.0, [TABLE, {"relid": 200, "seq_scan": 1}], [INDEX])
    second = made(
        at(10), 11.0, [{"relid": 100, "seq_scan": 3, "relpages": 70, "basis": Basis.RESET}]
    )
    whole = joined(first, second)
    assert (whole.since, whole.seconds, whole.own_seconds) == (at(0), 21.0, 1.0)
    assert counts(whole.tables, "seq_scan") == {100: 5, 200: 1}
    assert counts(whole.tables, "seq_tup_read") == {100: 400, 200: 0}
    assert whole.tables.rows["relpages"].tolist() == [70, 0]
    assert whole.tables.basis.tolist() == [Basis.RESET, Basis.PREVIOUS]
    assert counts(whole.indexes, "idx_scan") == {101: 20}


def test_what_the_server_counts_since_an_upgrade_is_unknown_for_both_together() -> None:
    first, second = made(at(0), 10.0, [TABLE]), made(at(10), 10.0, [TABLE])
    rows = first.tables.rows
    names = [name for name in rows.counter_names if name != "n_tup_newpage_upd"]
    older = Rows(rows.table, rows.attributes, names, counter_matrix(rows, names))
    whole = joined(replace(first, tables=RowDeltas(older, first.tables.basis)), second)
    assert whole.tables.rows.counter_names == tuple(names)
    assert counts(whole.tables, "seq_scan") == {100: 4}
    assert joined(first, replace(second, tables=made(at(0), 1.0, []).tables)).tables is first.tables


def after(*intervals: RelationInterval) -> SessionTables:
    """Return what is known after intervals."""
    found = SessionTables()
    for each in intervals:
        found = found.after(TableNews(each))
    return found


def test_the_window_is_the_last_intervals_of_ten_seconds() -> None:
    short = [made(at(n * 4), 4.0, [{"relid": 100, "seq_scan": 1}]) for n in range(5)]
    found = after(*short)
    assert [each.interval.since for each in found.newest] == [at(8), at(12), at(16)]
    assert found.recent is not None
    assert (found.recent.seconds, counts(found.recent.interval.tables, "seq_scan")) == (
        12.0,
        {100: 3},
    )
    assert found.whole is not None
    assert (found.whole.seconds, counts(found.whole.interval.tables, "seq_scan")) == (
        20.0,
        {100: 5},
    )
    # Nearly ten seconds are ten.
    assert len(after(*short, made(at(20), 9.99, [])).newest) == 1
    assert found.from_here().whole is None
    assert found.from_here().newest == found.newest
    # Another database begins again.
    other = after(*short, made(at(20), 2.0, [], dbid=6))
    assert ([each.dbid for each in other.newest], other.whole) == ([6], other.newest[0])


def test_dropped_tables_are_forgotten_when_they_are_many() -> None:
    tables = [{"relid": 1000 + n, "seq_scan": 1} for n in range(KEPT_GONE + 2)]
    known = read(at(10), [tables[0]])
    many = SessionTables().after(TableNews(made(at(0), 10.0, tables[1:]), known))
    assert many.whole is not None
    assert len(many.whole.interval.tables) == 0
    kept = SessionTables().after(TableNews(made(at(0), 10.0, tables[:KEPT_GONE]), known))
    assert kept.whole is not None
    assert len(kept.whole.interval.tables) == KEPT_GONE


def test_figures_of_a_table_its_heap_its_index_and_its_toast_table() -> None:
    found = after(made(at(0), 10.0, [TABLE, TOAST], [INDEX, TOAST_INDEX]))
    figures = found.figures([100], NAMES, whole=False)
    assert figures is not None
    assert (figures.seconds, figures.until) == (10.0, at(10))
    cost = ReadCost(10.0, 8192)
    names = [measure.name for measure in TABLE_MEASURES]

    def values(relid: int, part: str, *, is_heap: bool = False) -> dict[str, object]:
        row = TableValues(cost, part_of(figures, 100, relid, part), is_heap=is_heap)
        return {name: row[name] for name in names if name in row}

    whole = TableValues(cost, figures.tables[100])
    assert {name: whole[name] for name in names} == {
        "seq_scans_per_s": 0.2,
        "idx_scans_per_s": 2.0,
        "rows_per_scan": 440 / 22,
        "size_bytes": 64 * 8192,
        "blocks_per_row": 40 / 440,
        "dead_share": 0.1,
        "rows_per_seq_scan": 200.0,
        "rows_per_idx_scan": 2.0,
    }
    assert values(100, "heap", is_heap=True) == {
        "seq_scans_per_s": 0.2,
        "rows_per_scan": 200.0,
        "size_bytes": 64 * 8192,
        "blocks_per_row": 40 / 440,
        "dead_share": 0.1,
        "rows_per_seq_scan": 200.0,
    }
    assert values(101, "idx") == {
        "idx_scans_per_s": 2.0,
        "rows_per_scan": 3.0,
        "size_bytes": 8 * 8192,
        "rows_per_idx_scan": 3.0,
    }
    assert values(103, "tidx")["idx_scans_per_s"] == 0.4
    assert values(102, "toast")["size_bytes"] == 2 * 8192
    assert part_of(figures, 300, 300, "heap") is None
    assert part_of(figures, 300, 300, "toast") is None
    unknown = TableValues(cost, None)
    assert {name: unknown[name] for name in names} == dict.fromkeys(names)
    fold = FoldValues(cost, [whole, whole, unknown])
    assert {name: fold[name] for name in names if name in fold} == {
        "seq_scans_per_s": 0.4,
        "idx_scans_per_s": 4.0,
        "size_bytes": 2 * 64 * 8192,
    }
    assert FoldValues(cost, [unknown])["size_bytes"] is None
    assert "size_bytes" not in FoldValues(cost, [Values(cost)])
    assert set(names) < set(unknown)
    assert len(unknown) == len(list(unknown))


def test_a_table_that_did_nothing_has_its_size_and_zeros_but_before_an_interval_no_rates() -> None:
    known = read(at(10), [TABLE, {"relid": 200, "relpages": 9}], [INDEX])
    before = SessionTables().after(TableNews(None, known))
    figures = before.figures([200], NAMES, whole=False)
    assert figures is not None
    assert (figures.seconds, figures.until, set(figures.tables)) == (None, None, {200})
    table = figures.tables[200]
    assert (table.seq_scans_per_s, table.hit, table.relpages) == (None, None, 9)
    later = before.after(TableNews(made(at(10), 10.0, [TABLE]), known))
    figures = later.figures([200], NAMES, whole=True)
    assert figures is not None
    assert (figures.tables[200].seq_scans_per_s, figures.tables[200].relpages) == (0.0, 9)
    assert figures.tables[100].seq_scans_per_s == 0.2
    assert SessionTables().figures([200], NAMES, whole=False) is None
    assert before.figures([200], NAMES, whole=True) is not None


def test_the_line_of_times() -> None:
    known = read(at(10), [TABLE])
    before = SessionTables().after(TableNews(None, known))
    later = before.after(TableNews(made(at(10), 10.0, [TABLE]), known))
    lines = [
        times_of(9.0, counts.figures([100], NAMES, whole=whole), whole=whole)
        for counts in (SessionTables(), before, later)
        for whole in (False, True)
    ]
    assert lines == [
        "reads of the last 9.0 s",
        "reads since the baseline",
        "reads of the last 9.0 s; scans and rows after the next read of the tables",
        "reads since the baseline; scans and rows after the next read of the tables",
        "reads, scans and rows over 10.0 s until 10:00:20Z",
        "reads, scans and rows since the baseline, over 10.0 s until 10:00:20Z",
    ]


def recent(*seconds: float) -> RecentReads:
    """Return the last of some intervals."""
    found, begin = RecentReads(), 0.0
    for number, each in enumerate(seconds):
        counted = moment(number, 3).counted
        assert counted is not None
        found = found.after(replace(counted, seconds=each), at(0) + timedelta(seconds=begin))
        begin += each
    return found


@pytest.mark.parametrize(
    ("seconds", "since", "long"),
    [
        ([2.0] * 9, 8.0, 10.0),
        ([1.99] * 9, 7.96, 9.95),
        ([10.0, 10.0], 10.0, 10.0),
        ([60.0], 0.0, 60.0),
        ([0.5, 2.0], 0.0, 2.5),
    ],
)
def test_reads_are_those_of_the_last_ten_seconds(
    seconds: list[float], since: float, long: float
) -> None:
    found = recent(*seconds)
    assert found.since is not None
    assert (found.since - at(0)).total_seconds() == pytest.approx(since)
    assert found.total is not None
    assert found.total.seconds == pytest.approx(long)


def test_reads_of_several_intervals_add_up() -> None:
    total = recent(2.0, 2.0, 2.0).total
    one = recent(2.0).total
    assert one is not None
    assert total is not None
    assert total.statements == one.statements
    assert total.statement_amounts.tolist() == (3 * one.statement_amounts).tolist()
    assert total.reads.blocks == 3 * (one.reads.blocks or 0)
    assert RecentReads().total is None


def session() -> WatchSession:
    """Return a session after six seconds, with an interval of tables."""
    found = WatchSession(Names())
    for number in range(6):
        tables = TableNews(made(at(0), 6.0, [TABLE])) if number == 5 else TableNews()
        found.absorb(replace(moment(number, 4), tables=tables))
    return found


def seconds_of(counted: Totals | None) -> float:
    assert counted is not None
    return counted.seconds


def test_a_session_keeps_both_and_a_paused_one_does_not_change() -> None:
    watched = session()
    assert seconds_of(watched.counted(whole=False)) == 1.0
    assert seconds_of(watched.counted(whole=False, is_recent=True)) == 6.0
    still = FrozenSession.of(watched, SideInfo(NoticeBoard()))
    watched.absorb(replace(moment(6, 4), tables=TableNews(made(at(6), 5.0, [TABLE]))))
    assert seconds_of(still.counted(whole=False, is_recent=True)) == 6.0
    assert seconds_of(still.counted(whole=True, is_recent=True)) == 6.0
    assert seconds_of(watched.counted(whole=False, is_recent=True)) == 7.0
    assert (len(still.tables.newest), len(watched.tables.newest)) == (1, 2)
    watched.begin()
    assert (watched.tables.whole, len(watched.tables.newest)) == (None, 2)


def test_what_was_counted_before_a_baseline_is_no_part_of_it() -> None:
    watched = WatchSession(Names())
    for number in range(8):
        is_read = number in {3, 5, 7}
        news = TableNews(made(at(number - 2), 2.0, [TABLE])) if is_read else TableNews()
        watched.absorb(replace(moment(number, 4), tables=news))
        if number == 4:
            watched.begin()
        if number == 5:
            assert watched.tables.whole is None
    assert watched.tables.whole is not None
    assert watched.tables.whole.seconds == 2.0
    # The first read has two intervals more before it than its own time.
    assert [each.server is None for each in watched.tables.newest] == [True, False, False]
    server = watched.tables.whole.server
    assert server is not None
    assert (server.seconds, list(server.relations), list(server.statements)) == (2.0, [], [])


def test_a_dropped_table_has_the_reads_of_the_snapshots() -> None:
    counted = moment(0, 1).counted
    assert counted is not None
    dropped = replace(
        counted,
        relations=[100, 300, 999],
        relation_amounts=np.full((len(FIELDS), 3), 7),
        relation_uncertain=[False, True, True],
    )
    known = read(at(10), [TABLE, {"relid": 300}], [INDEX])
    found = SessionTables().after(TableNews(made(at(0), 10.0, [TABLE], [INDEX]), known), counted)
    totals = found.counted(dropped, whole=False)
    assert totals is not None
    assert (totals.seconds, totals.database_blocks) == (10.0, None)
    assert totals.relations == [100, 101, 999]
    assert blocks_of(totals.relation_amounts).tolist() == [30, 5, 14]
    assert totals.relation_uncertain == [False, False, True]


def test_names_of_the_last_seconds_are_kept() -> None:
    watched = WatchSession(Names())
    watched.absorb(moment(0, 4))
    watched.begin()
    watched.absorb(moment(1, 2))
    statements, _ = watched.names_in_use()
    assert {queryid for _, _, queryid in statements} == {0, 1, 2, 3}


def test_a_seek_restores_both() -> None:
    watched = session()
    tables = after(made(at(30), 10.0, [TABLE]))
    reads = recent(2.0, 2.0)
    watched.absorb(
        Interval(Who("prod"), at(50), at(51), before=SeekContext(at(40), None, (), reads, tables))
    )
    assert (watched.tables, watched.recent) == (tables, reads)
