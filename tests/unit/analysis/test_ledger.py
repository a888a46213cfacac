"""The ledger: who read what no statement explains, exactly as much as the server counted."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.analysis.failures import Failures
from pgiostat.analysis.ledger import (
    ADDED,
    FORGOTTEN,
    HELD,
    LATE,
    MEANINGS,
    NESTED_TWICE,
    LedgerLine,
    Line,
    reconcile,
    total_of,
    whole_of,
)
from pgiostat.analysis.server_reads import (
    MEASURED,
    PerBlock,
    ServerReads,
    coverage,
    coverage_of,
    reads_of,
)
from pgiostat.statistics import counters
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.snapshot import Snapshot
from tests.support.readings import IO_IN_BLOCKS, WITHOUT_TOPLEVEL, at, reading, settings

COUNTS = st.one_of(st.none(), st.integers(0, 10**12))
Record = dict[str, Any]
SIGNED = st.one_of(st.none(), st.integers(-(10**12), 10**12))
READS = st.builds(
    ServerReads,
    **(
        dict.fromkeys(MEASURED, COUNTS)
        | {"in_transit_blocks": SIGNED, "earlier_blocks": SIGNED}
        # Those of earlier intervals are among the settled ones.
        | {"settled_catalog_blocks": st.just(10**12), "earlier_catalog_blocks": COUNTS}
    ),
)
OTHERS = (LedgerLine.IN_TRANSIT, LedgerLine.EARLIER)


@given(st.integers(0, 10**12), READS)
def test_the_lines_add_up_to_what_statements_leave(explained: int, reads: ServerReads) -> None:
    lines = reconcile(explained, reads)
    if reads.blocks is None:
        assert lines == ()
        return
    assert explained + sum(line.blocks for line in lines) == reads.blocks
    assert [line.account for line in lines] == sorted(
        {line.account for line in lines}, key=list(LedgerLine).index
    )
    assert lines[-1].account is LedgerLine.UNATTRIBUTED
    of_interval = [line for line in lines if line.account not in OTHERS]
    assert all(line.blocks > 0 for line in of_interval[:-1])
    accounts = [line.account for line in lines]
    is_settled = reads.in_transit_blocks is not None
    assert (LedgerLine.IN_TRANSIT in accounts) == is_settled
    assert (LedgerLine.EARLIER in accounts) == (is_settled and bool(reads.earlier_blocks))
    assert not any(line.causes for line in lines[:-1] if line.account is not LedgerLine.EARLIER)
    if is_settled:
        total = explained + sum(line.blocks for line in of_interval)
        assert total_of(explained, reads) == total


def test_catalogs_take_what_is_left_at_most() -> None:
    reads = ServerReads(blocks=100, autovacuum_blocks=30, walsender_blocks=0, catalog_blocks=25)
    assert reconcile(50, reads) == (
        Line(LedgerLine.AUTOVACUUM, 30),
        Line(LedgerLine.CATALOGS, 20),
        Line(LedgerLine.UNATTRIBUTED, 0),
    )
    assert reconcile(80, reads) == (
        Line(LedgerLine.AUTOVACUUM, 30),
        Line(LedgerLine.UNATTRIBUTED, -10, (LATE,)),
    )


FAILED = "failed or cancelled statements"


def test_what_is_unattributed_has_possible_causes_and_is_not_hidden_by_them() -> None:
    reads = ServerReads(
        blocks=100, catalog_blocks=10, rollbacks=9, failures=2, evictions=1, utility_untracked=1
    )
    causes = (FAILED, "evicted statements", "statements that are not tracked")
    assert reconcile(40, reads) == (
        Line(LedgerLine.CATALOGS, 10),
        Line(LedgerLine.UNATTRIBUTED, 50, causes),
    )


@pytest.mark.parametrize("failures", [0, None])
def test_a_rollback_alone_is_no_cause(failures: int | None) -> None:
    reads = ServerReads(blocks=100, rollbacks=9, failures=failures, evictions=None)
    assert reconcile(40, reads) == (Line(LedgerLine.UNATTRIBUTED, 60),)


def test_a_cause_may_settle_in_a_later_interval() -> None:
    reads = ServerReads(blocks=100, autovacuum_blocks=0)
    recent = ServerReads(failures=2, evictions=0)
    assert reconcile(40, reads, recent) == (Line(LedgerLine.UNATTRIBUTED, 60, (FAILED,)),)
    assert reconcile(100, reads, recent) == (Line(LedgerLine.UNATTRIBUTED, 0),)


def test_what_is_in_transit_is_a_line_of_its_own_and_no_sign_of_a_loss() -> None:
    reads = ServerReads(
        blocks=100, catalog_blocks=50, in_transit_blocks=30, settled_catalog_blocks=4, failures=1
    )
    assert reconcile(64, reads) == (
        Line(LedgerLine.CATALOGS, 4),
        Line(LedgerLine.IN_TRANSIT, 30),
        Line(LedgerLine.UNATTRIBUTED, 2, (FAILED,)),
    )
    assert coverage(64, reads) == 64 / 70
    early = ServerReads(blocks=100, in_transit_blocks=-30, settled_catalog_blocks=0)
    assert reconcile(130, early) == (
        Line(LedgerLine.IN_TRANSIT, -30),
        Line(LedgerLine.UNATTRIBUTED, 0),
    )
    assert coverage(130, early) == 1.0


@pytest.mark.parametrize(
    ("explained", "reads", "expected"),
    [
        (70, ServerReads(blocks=100), 100),
        (130, ServerReads(blocks=100), 130),
        (105, ServerReads(blocks=100), 100),
        (106, ServerReads(blocks=100), 106),
        (70, ServerReads(blocks=100, in_transit_blocks=30), 70),
        (130, ServerReads(blocks=100, in_transit_blocks=-30), 130),
        # A loss of 900 blocks settles after the interval in which the server read them.
        (100, ServerReads(blocks=100, in_transit_blocks=-900), 1000),
        (100, ServerReads(), 100),
    ],
)
def test_shares_are_of_all_that_was_read_or_settled(
    explained: int, reads: ServerReads, expected: int
) -> None:
    lines = reconcile(explained, reads)
    assert whole_of(explained, reads) == expected
    settled = [line.blocks for line in lines if line.account is not LedgerLine.IN_TRANSIT]
    assert max(settled, default=0) <= expected
    assert total_of(explained, reads) == (explained + sum(settled) if lines else explained)


def test_a_server_that_counts_by_relation_forgets_those_that_were_dropped() -> None:
    by_relation = ServerReads(blocks=100)
    assert reconcile(150, by_relation) == (Line(LedgerLine.UNATTRIBUTED, -50, (LATE, FORGOTTEN)),)
    by_process = ServerReads(blocks=100, autovacuum_blocks=0)
    assert reconcile(150, by_process) == (Line(LedgerLine.UNATTRIBUTED, -50, (LATE,)),)
    settled = replace(by_process, in_transit_blocks=0)
    assert reconcile(150, settled) == (
        Line(LedgerLine.IN_TRANSIT, 0),
        Line(LedgerLine.UNATTRIBUTED, -50),
    )


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        # (ROLLBACKs of clients, rollbacks that the server counted) in intervals of five seconds.
        ([(0, 3), (0, 0), (0, 1)], [3, 0, 1]),
        ([(9, 0), (9, 5), (9, 9), (9, 20), (0, 2), (0, 0), (0, 0)],
         [None, None, 0, 0, 0, 0, 0]),
        # What clients rolled back before we began is no failure.
        ([(9, 12), (9, 9), (9, 9), (9, 9), (9, 9)], [None, None, 0, 0, 0]),
        # Thirteen failures among ROLLBACKs that the server counts late. Nine of them may be
        # ROLLBACKs of the time before; the others are certain when they last.
        ([(9, 9), (9, 9), (9, 22), (9, 9), (9, 9), (9, 9)], [None, None, 0, 0, 4, 0]),
        ([(9, 9), (9, 9), (9, 13), (9, 5), (9, 9), (9, 9)], [None, None, 0, 0, 0, 0]),
        # Fewer than clients roll back in a second are not certain.
        ([(60, 60), (60, 60), (60, 70), *[(60, 60)] * 4], [None, None, 0, 0, 0, 0, 0]),
        ([(60, 60), (60, 60), (60, 160), *[(60, 60)] * 4], [None, None, 0, 0, 40, 0, 0]),
        # A ROLLBACK without a transaction is counted by its statement alone.
        ([(9, 9), (9, 9), (12, 9), (9, 9), (9, 9), (9, 9)], [None, None, 0, 0, 0, 0]),
        ([(0, 3), (None, 7), (0, 2)], [3, None, 2]),
    ],
)  # fmt: skip
def test_failures_are_rollbacks_that_no_client_asked_for(
    each: list[tuple[int | None, int]], expected: list[int | None]
) -> None:
    failures, found, total = Failures(), [], 0
    before = reading(0, [], databases=[{"datid": 5}])
    for n, (calls, rollbacks) in enumerate(each, 1):
        total += rollbacks
        after = reading(5.0 * n, [], databases=[{"datid": 5, "xact_rollback": total}])
        found.append(failures.note(diff(before, after), calls))
        before = after
    assert found == expected


def test_all_accounts_and_counts_are_explained() -> None:
    assert list(MEANINGS) == list(LedgerLine)
    times = ["earlier_since", "earlier_until"]
    assert [*MEASURED, *times] == [field.name for field in fields(ServerReads)]


def io(kind: str, what: str, context: str, blocks: int, reads: int) -> Record:
    """Return what a kind of process reads each time, in blocks and operations."""
    return {"backend_type": kind, "object": what, "context": context,
            "reads": reads, "read_bytes": blocks * 8192}  # fmt: skip


EACH_TIME = (
    io("client backend", "relation", "normal", 20, 20),
    io("client backend", "relation", "bulkread", 32, 4),
    io("client backend", "temp relation", "normal", 6, 3),
    io("background worker", "relation", "bulkread", 16, 1),
    io("autovacuum worker", "relation", "vacuum", 11, 2),
    io("walsender", "relation", "normal", 2, 2),
    io("walsender", "wal", "normal", 1000, 10),
    io("checkpointer", "relation", "normal", 1, 1),
)


def after(n: int, version: int, *, io_lost: bool, **of_settings: str) -> Snapshot:
    """Return a reading after all was done n times: 40 blocks of statements, and what else reads."""
    counted = [
        {**row, "reads": row["reads"] * n, "read_bytes": row["read_bytes"] * n}
        if version >= 18
        else {**row, "reads": row["read_bytes"] * n // 8192, "op_bytes": 8192}
        for row in EACH_TIME
    ]
    if io_lost and n == 2:
        counted = [{**row, "reads": 0, "read_bytes": 0, "stats_reset": at(5)} for row in counted]
    return reading(
        10.0 * n,
        [{"queryid": 1, "calls": n, "shared_blks_read": 34 * n, "local_blks_read": 6 * n}],
        databases=[{"datid": 5, "blks_read": 90 * n, "xact_rollback": 3 * n}],
        relations=[{"relid": 1259, "blks_read": 5 * n}, {"relid": 16384, "blks_read": 60 * n}],
        io=counted if version >= 16 else None,
        io_table=counters.IO.select() if version >= 18 else IO_IN_BLOCKS,
        settings=settings(**of_settings),
        dealloc=n - 1,
    )


def interval(version: int = 18, *, io_lost: bool = False, **of_settings: str) -> Delta:
    """Return an interval in which all was done once."""
    older, newer = (after(n, version, io_lost=io_lost, **of_settings) for n in (1, 2))
    return diff(older, newer)


def test_each_kind_of_process_has_its_reads_and_clients_their_operations() -> None:
    reads = reads_of(interval())
    assert reads == ServerReads(
        blocks=20 + 32 + 6 + 16 + 11 + 2 + 1,
        autovacuum_blocks=11,
        walsender_blocks=2,
        process_blocks=1,
        catalog_blocks=5,
        rollbacks=3,
        evictions=1,
        utility_untracked=0,
        nested_twice=0,
        operations=25,
        operation_blocks=68,
        local_operations=3,
        local_operation_blocks=6,
    )
    assert reads.per_block == PerBlock(25 / 68, 3 / 6, counted=True)
    assert coverage_of(interval()) == 40 / 88


def test_sixteen_and_seventeen_count_blocks_and_no_operations() -> None:
    reads = reads_of(interval(17))
    assert (reads.blocks, reads.autovacuum_blocks, reads.operations) == (88, 11, None)
    assert reads.per_block == PerBlock()


def test_before_sixteen_databases_tell_the_whole_and_nobody_the_processes() -> None:
    reads = reads_of(interval(15, pg_stat_statements__track_utility="off"))
    assert reads == ServerReads(
        blocks=90,
        catalog_blocks=5,
        rollbacks=3,
        evictions=1,
        utility_untracked=1,
        blocks_added=1,
        nested_twice=0,
    )


@pytest.mark.parametrize(
    ("columns", "added"),
    [
        ({}, 0),
        ({"shared_blks_read": 9}, 0),
        ({"shared_blks_dirtied": 1}, 1),
        ({"local_blks_hit": 1}, 1),
        ({"local_blks_read": 1}, 1),
    ],
)
def test_before_sixteen_statements_that_change_blocks_may_have_added_some(
    columns: dict[str, int], added: int
) -> None:
    delta = diff(reading(0, []), reading(10, [{"queryid": 1, "calls": 1, **columns}]))
    assert reads_of(delta).blocks_added == added
    (line,) = reconcile(9, ServerReads(blocks=20, blocks_added=added))
    assert line == Line(LedgerLine.UNATTRIBUTED, 11, (ADDED,) if added else ())


def test_what_no_statement_counts_is_a_cause_of_what_is_left() -> None:
    reads = ServerReads(blocks=100, held_cursors=2, autovacuum_blocks=0)
    assert reconcile(40, reads) == (Line(LedgerLine.UNATTRIBUTED, 60, (HELD,)),)
    assert reconcile(40, ServerReads(blocks=100, held_cursors=0)) == (
        Line(LedgerLine.UNATTRIBUTED, 60),
    )


@pytest.mark.parametrize(("before", "after"), [("top", "all"), ("all", "top"), ("all", "all")])
def test_on_13_nested_statements_are_counted_twice_in_each_interval_with_track_all(
    before: str, after: str
) -> None:
    row = {"queryid": 1, "calls": 1, "shared_blks_read": 150}
    ends = [
        reading(n * 10, [row] * n, table=WITHOUT_TOPLEVEL,
                settings=settings(pg_stat_statements__track=track),
                databases=[{"datid": 5, "blks_read": 100 * n}])
        for n, track in enumerate((before, after))
    ]  # fmt: skip
    delta = diff(*ends)
    reads = reads_of(delta)
    assert reads.nested_twice == 1
    assert reconcile(delta.statement_blocks, reads) == (
        Line(LedgerLine.UNATTRIBUTED, -50, (NESTED_TWICE, LATE, FORGOTTEN)),
    )


@pytest.mark.parametrize(
    ("before", "after", "untracked"),
    [("top", "none", 1), ("none", "top", 1), ("none", "none", 1), ("top", "all", 0),
     ("all", "top", 0)],
)  # fmt: skip
def test_what_ran_while_track_was_none_has_that_as_its_cause(
    before: str, after: str, untracked: int
) -> None:
    older, newer = (
        reading(n * 10, [], settings=settings(pg_stat_statements__track=track),
                databases=[{"datid": 5, "blks_read": 100 * n}])
        for n, track in enumerate((before, after))
    )  # fmt: skip
    reads = reads_of(diff(older, newer))
    assert reads.utility_untracked == untracked
    cause = ("statements that are not tracked",) if untracked else ()
    assert reconcile(0, reads) == (Line(LedgerLine.UNATTRIBUTED, 100, cause),)


def test_tracking_that_was_off_between_two_snapshots_is_a_cause_too() -> None:
    delta = diff(reading(0), reading(10))
    assert [
        reads_of(replace(delta, untracked=untracked)).utility_untracked
        for untracked in (False, True)
    ] == [0, 1]


def test_where_pg_stat_io_alone_was_reset_databases_tell_the_whole() -> None:
    reads = reads_of(interval(io_lost=True))
    assert (reads.blocks, reads.autovacuum_blocks, reads.operations) == (90, None, None)


def test_times_and_servers_add_up() -> None:
    known = ServerReads(blocks=10, autovacuum_blocks=2, operations=3, operation_blocks=6)
    partly = ServerReads(blocks=5, catalog_blocks=1)
    both = ServerReads(blocks=15, autovacuum_blocks=2, catalog_blocks=1)
    counted = ServerReads(15, 2, catalog_blocks=1, operations=3, operation_blocks=6)
    assert ServerReads.total([known, partly]) == counted
    assert ServerReads.of_servers([known, partly]) == both
    assert ServerReads.total([known, ServerReads()]).blocks is None
    assert ServerReads.total([]) == ServerReads()
