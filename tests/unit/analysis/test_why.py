"""The causes of reads: each by the figures that show it, and what stays silent."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.analysis.why import (
    Cause,
    CauseFinding,
    Certainty,
    Explanation,
    Figure,
    WhyOutcome,
    explain,
)
from pgiostat.analysis.why.access import TableAccess
from pgiostat.analysis.why.evidence import (
    Neighbour,
    ServerFacts,
    SettingChange,
    StatementEvidence,
    TableEvidence,
    Usage,
)
from pgiostat.analysis.why.terms import Term, moved_terms
from pgiostat.statistics.definitions import Definition

SECONDS = 100.0
CALLS = 100


def usage(touched: float = 10.0, miss: float = 0.0, calls: int = CALLS, **more: int) -> Usage:
    """Return what ten equal steps count, by blocks touched per call and share of misses."""
    blocks = round(touched * calls)
    read = round(blocks * miss)
    step = (calls // 10, read // 10, blocks // 10)
    whole = {"rows": calls} | more
    return Usage(SECONDS, calls, read=read, touched=blocks, steps=(step,) * 10, **whole)


def index(oid: int = 11, **counts: int) -> IndexActivity:
    known: dict[str, Any] = dict.fromkeys(
        ("idx_scan", "idx_tup_read", "idx_tup_fetch", "blks_read", "blks_hit"), 0
    )
    known |= {"relpages": 1000, "reltuples": 100_000} | counts
    return IndexActivity(5, oid, 1, SECONDS, is_uncertain=False, **known)


def activity(
    *indexes: IndexActivity,
    counts: Mapping[str, int] | None = None,
    toast: int = 0,
    **newest: int,
) -> TableActivity:
    stored = TableActivity(5, 9, SECONDS, {"heap_blks_hit": toast}, {}) if toast else None
    sizes = {"relpages": 5000, "reltuples": 100_000, "n_live_tup": 100_000} | newest
    return TableActivity(5, 1, SECONDS, counts or {}, sizes, indexes, stored)


USED = activity(index(idx_scan=100, idx_tup_read=400, idx_tup_fetch=400, blks_hit=400))
BY_ORDER = Definition(5, "index", 11, 1, "i_order", "CREATE INDEX i_order ON t (order_id)")
BY_BOTH = Definition(5, "index", 12, 1, "i_both", "CREATE INDEX i_both ON t (at, order_id)")


def table(
    before: TableActivity = USED,
    after: TableActivity = USED,
    *,
    whole: TableActivity | None = None,
    indexes: tuple[tuple[Definition, ...] | None, tuple[Definition, ...]] = (
        (BY_ORDER,),
        (BY_ORDER,),
    ),
    **more: object,
) -> TableEvidence:
    names = {11: "i_order", 12: "i_both"}
    return TableEvidence(
        "t",
        before,
        after,
        whole or after,
        index_names=names,
        indexes_before=indexes[0],
        indexes_after=indexes[1],
        **more,  # type: ignore[arg-type]
    )


def evidence(
    *tables: TableEvidence,
    before: Usage | None = None,
    after: Usage | None = None,
    verb: str = "select",
    **more: object,
) -> StatementEvidence:
    return StatementEvidence(
        "f1",
        "select * from t where order_id = $",
        "select t",
        verb,
        before or usage(),
        after or usage(1000.0),
        tables,
        **more,  # type: ignore[arg-type]
    )


def cause(of: StatementEvidence) -> tuple[Cause, Certainty] | None:
    """Return the main cause and how sure it is."""
    found = explain(of).findings
    return (found[0].cause, found[0].certainty) if found else None


SCANNED = activity(counts={"seq_scan": 100})


def test_a_dropped_index_is_certain_if_the_table_is_scanned_since() -> None:
    found = explain(evidence(table(after=SCANNED, indexes=((BY_ORDER,), ()))))
    assert found == Explanation(
        WhyOutcome.FOUND,
        (Term.TOUCHED,),
        (
            CauseFinding(
                Cause.INDEX_DROPPED,
                Certainty.CERTAIN,
                (
                    "index i_order on t was dropped, and the table is scanned sequentially",
                    "was: CREATE INDEX i_order ON t (order_id)",
                ),
                (
                    Figure("scans of i_order per second", 1.0, 0.0),
                    Figure("sequential scans of t per call", 0.0, 1.0),
                ),
                table="t",
            ),
        ),
    )


def test_a_dropped_index_that_nobody_used_is_no_cause() -> None:
    unused = table(before=activity(), after=activity(), indexes=((BY_ORDER,), ()))
    assert explain(evidence(unused)) == Explanation(WhyOutcome.NO_CAUSE, (Term.TOUCHED,))


def test_a_rebuilt_index_has_another_oid_and_is_no_change() -> None:
    rebuilt = replace(BY_ORDER, oid=77)
    same = table(indexes=((BY_ORDER,), (rebuilt,)))
    assert explain(evidence(same)) == Explanation(WhyOutcome.NO_CAUSE, (Term.TOUCHED,))


OLD_SETTING = SettingChange("random_page_cost", "1.1", "40")
MANY_DEAD = activity(n_dead_tup=50_000, n_live_tup=50_000)


def _parts(used: int, scans: int) -> tuple[TableEvidence, ...]:
    some = activity(index(idx_scan=100))
    many = activity(index(idx_scan=scans))
    return tuple(
        table(some if n == 0 else activity(), many if n < used else activity(), partition_of="log")
        for n in range(12)
    )


BITMAP = index(idx_scan=100, idx_tup_read=1000)
COVERING = index(idx_scan=100, idx_tup_read=100_000, idx_tup_fetch=5_000)
CLEARED = index(idx_scan=100, idx_tup_read=100_000, idx_tup_fetch=100_000)
OTHER_INDEX = index(12, idx_scan=100)
RISES = {
    "partitions": (
        evidence(*_parts(12, 100)),
        (Cause.PARTITIONS, Certainty.CERTAIN),
    ),
    "foreign key": (
        evidence(table(after=SCANNED, foreign_key="child_fk"), verb="delete"),
        (Cause.FOREIGN_KEY, Certainty.CERTAIN),
    ),
    "index replaced": (
        evidence(table(after=activity(OTHER_INDEX), indexes=((BY_ORDER,), (BY_BOTH,)))),
        (Cause.INDEX_REPLACED, Certainty.CERTAIN),
    ),
    "toast, alone": (
        evidence(table(after=activity(toast=90_000))),
        (Cause.TOAST, Certainty.CERTAIN),
    ),
    "toast, shared": (
        evidence(table(after=activity(toast=90_000), shared_with=("other",))),
        (Cause.TOAST, Certainty.LIKELY),
    ),
    "no definitions": (
        evidence(table(after=SCANNED, indexes=(None, ()))),
        (Cause.SEQUENTIAL_SCAN, Certainty.LIKELY),
    ),
    "full index scan": (
        evidence(table(after=activity(index(idx_scan=100, blks_hit=99_000)))),
        (Cause.FULL_INDEX_SCAN, Certainty.LIKELY),
    ),
    "plan, sequential": (evidence(table(after=SCANNED)), (Cause.PLAN, Certainty.CERTAIN)),
    "plan, another index": (
        evidence(table(after=activity(OTHER_INDEX))),
        (Cause.PLAN, Certainty.CERTAIN),
    ),
    "plan, only a setting": (
        evidence(table(), server=ServerFacts(settings=(OLD_SETTING,))),
        (Cause.PLAN, Certainty.POSSIBLE),
    ),
    "lossy": (
        evidence(
            table(
                activity(BITMAP, counts={"bitmap_tup_fetch": 1000}),
                activity(BITMAP, counts={"bitmap_tup_fetch": 16_500}),
            )
        ),
        (Cause.LOSSY_BITMAP, Certainty.CERTAIN),
    ),
    "visibility map": (
        evidence(table(activity(COVERING), activity(CLEARED))),
        (Cause.VISIBILITY_MAP, Certainty.LIKELY),
    ),
    "dead rows": (evidence(table(after=MANY_DEAD)), (Cause.DEAD_ROWS, Certainty.LIKELY)),
    "updated": (
        evidence(table(whole=activity(counts={"n_tup_upd": 20_000}))),
        (Cause.DEAD_ROWS, Certainty.LIKELY),
    ),
    "more rows": (
        evidence(table(), after=usage(1000.0, rows=500)),
        (Cause.MORE_ROWS, Certainty.LIKELY),
    ),
    "scattered": (
        evidence(table(whole=activity(counts={"n_tup_ins": 100_000}))),
        (Cause.SCATTERED_ROWS, Certainty.LIKELY),
    ),
}


@pytest.mark.parametrize("name", RISES)
def test_more_blocks_per_call_have_their_cause(name: str) -> None:
    of, expected = RISES[name]
    assert cause(of) == expected


STARTED = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
REPORT = Neighbour("f2", "select report", usage(10.0), usage(50_000.0, miss=0.5))
MISSES = {
    "restart": (
        ServerFacts(started=STARTED),
        (),
        (Cause.RESTART, Certainty.CERTAIN),
    ),
    "pressure": (ServerFacts(buffers=2048), (REPORT,), (Cause.PRESSURE, Certainty.LIKELY)),
    "vacuum": (
        ServerFacts(outside_share=0.5, vacuumed=("t",)),
        (),
        (Cause.VACUUM, Certainty.LIKELY),
    ),
    "rest": (ServerFacts(), (), (Cause.WORKING_SET, Certainty.POSSIBLE)),
}


@pytest.mark.parametrize("name", MISSES)
def test_more_misses_have_their_cause(name: str) -> None:
    server, others, expected = MISSES[name]
    of = evidence(before=usage(), after=usage(miss=0.5), server=server, neighbours=others)
    assert cause(of) == expected


def test_pressure_names_the_other_statement() -> None:
    of = evidence(before=usage(), after=usage(miss=0.5), neighbours=(REPORT,))
    (found,) = explain(of).findings
    assert (found.culprit, found.figures) == (
        "f2",
        (
            Figure("share of misses", 0.0, 0.5),
            Figure("blocks touched per second by the other statement", 10.0, 50_000.0),
        ),
    )


@pytest.mark.parametrize(
    "other",
    [
        usage(50_000.0),  # it finds all in the cache, and evicts nothing
        usage(10.4, miss=0.5),  # chance
    ],
    ids=["no reads", "no growth"],
)
def test_a_statement_that_evicts_nothing_is_no_pressure(other: Usage) -> None:
    steady = Neighbour("f2", "select report", usage(10.0), other)
    of = evidence(before=usage(), after=usage(miss=0.5), neighbours=(steady,))
    assert cause(of) == (Cause.WORKING_SET, Certainty.POSSIBLE)


def test_misses_without_steps_have_no_cause() -> None:
    before, after = (replace(each, steps=()) for each in (usage(), usage(miss=0.5)))
    assert explain(evidence(before=before, after=after)).outcome is WhyOutcome.NO_CAUSE


def test_more_calls_are_their_own_cause() -> None:
    of = evidence(before=usage(miss=0.5), after=usage(miss=0.5, calls=300))
    assert explain(of).findings == (
        CauseFinding(
            Cause.CALLS,
            Certainty.CERTAIN,
            ("it is called more often",),
            (Figure("calls per second", 1.0, 3.0),),
        ),
    )


def test_spill_files_name_work_mem() -> None:
    server = ServerFacts(work_mem="64kB", settings=(SettingChange("work_mem", "8MB", "64kB"),))
    of = evidence(before=usage(), after=usage(temp=5100), server=server)
    assert explain(of).findings == (
        CauseFinding(
            Cause.SPILL,
            Certainty.CERTAIN,
            (
                "a sort, hash or materialized result does not fit into work_mem of 64kB",
                "work_mem changed from 8MB to 64kB",
            ),
            (
                Figure("blocks of spill files per call", 0.0, 51.0),
                Figure("rows per call", 1.0, 1.0),
            ),
        ),
    )


def test_a_new_statement_names_its_new_table() -> None:
    touched = activity(counts={"heap_blks_read": 100})
    of = evidence(
        table(before=activity(), after=touched), before=usage(calls=0), after=usage(miss=0.5)
    )
    assert explain(of).findings[0].sentences == (
        "it was not called in the window before",
        "t was not touched in the window before",
    )


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (usage(miss=0.5), usage(miss=0.5), WhyOutcome.NO_GROWTH),
        (usage(miss=0.5), usage(5.0, miss=0.1, calls=50), WhyOutcome.NO_GROWTH),
        (usage(10.0), usage(11.4), WhyOutcome.NO_GROWTH),
        (usage(calls=31), usage(calls=54), WhyOutcome.NO_GROWTH),
        (usage(), usage(1000.0, calls=11), WhyOutcome.NOT_ENOUGH),
        (usage(calls=11), usage(1000.0), WhyOutcome.NOT_ENOUGH),
        (replace(usage(), seconds=14.0), usage(1000.0), WhyOutcome.NOT_ENOUGH),
        (usage(), usage(1000.0), WhyOutcome.NO_CAUSE),
    ],
)
def test_what_stays_silent(before: Usage, after: Usage, outcome: WhyOutcome) -> None:
    """Nothing that did not grow has a cause, whatever else is known of the server."""
    found = explain(evidence(table(), before=before, after=after))
    assert (found.outcome, found.findings) == (outcome, ())


def test_faults_without_growth_are_not_named() -> None:
    faults = table(after=MANY_DEAD, indexes=((BY_ORDER,), ()))
    server = ServerFacts(started=STARTED, settings=(OLD_SETTING,), outside_share=0.9)
    of = evidence(faults, before=usage(), after=usage(), server=server, neighbours=(REPORT,))
    found = explain(of)
    assert (found.outcome, found.terms, found.findings) == (WhyOutcome.NO_GROWTH, (), ())
    assert [each.cause for each in found.standing] == [Cause.DEAD_ROWS]


def test_more_blocks_per_call_come_before_the_misses_that_they_cause() -> None:
    of = evidence(before=usage(10.0, miss=0.01), after=usage(16.0, miss=0.9))
    assert moved_terms(of).moved == (Term.TOUCHED, Term.MISSES)


def test_calls_are_compared_per_second() -> None:
    longer = replace(usage(calls=400), seconds=400.0)
    assert moved_terms(evidence(before=usage(), after=longer)).moved == ()


# What one window shows by itself

BY_TEXT = TableAccess("t", equal=frozenset({"client"}), mentioned=None)


def alone(*tables: TableEvidence, **more: Any) -> Explanation:
    """Return the explanation of a statement with one window."""
    nothing = tuple(replace(each, before=activity(), indexes_before=None) for each in tables)
    found = evidence(*nothing, before=Usage(0.0), **more)
    return explain(replace(found, is_alone=True))


def standing(*tables: TableEvidence, **more: Any) -> list[tuple[Cause, Certainty]]:
    return [(each.cause, each.certainty) for each in alone(*tables, **more).standing]


def test_one_window_without_a_cause_says_so() -> None:
    assert alone(table()) == Explanation(WhyOutcome.ONE_WINDOW)
    assert alone(table(), after=usage(calls=10)).outcome is WhyOutcome.NOT_ENOUGH


def test_scattered_rows_are_shown_by_one_window() -> None:
    fetched = index(idx_scan=100, idx_tup_read=100_000, idx_tup_fetch=100_000, blks_hit=600)
    apart = activity(fetched, counts={"heap_blks_read": 95_000})
    (found,) = alone(table(after=apart)).standing
    assert found == CauseFinding(
        Cause.SCATTERED_ROWS,
        Certainty.LIKELY,
        (
            (
                "rows of t that a call needs are scattered: 0.95 blocks for each row, 0.050 if they"
                " lay together"
            ),
            "a call touches 1,000 blocks and returns 1 row",
        ),
        (
            Figure("rows of t fetched per index scan", None, 1000.0),
            Figure("blocks of t per row", None, 0.95),
        ),
        table="t",
    )
    together = activity(fetched, counts={"heap_blks_read": 6_000})
    assert standing(table(after=together)) == []
    # A call touches a hundred times as much: of another table.
    assert standing(table(after=apart), after=usage(100_000.0)) == []
    few = activity(index(idx_scan=100, idx_tup_read=500), counts={"heap_blks_read": 500})
    assert standing(table(after=few)) == []


def test_a_scan_without_an_index_on_what_is_compared_is_shown_by_one_window() -> None:
    scanned = table(after=SCANNED, accesses=(BY_TEXT,))
    whole = {"after": usage(5000.0)}
    assert standing(scanned, **whole) == [(Cause.SEQUENTIAL_SCAN, Certainty.CERTAIN)]
    shared = replace(scanned, shared_with=("select …",))
    assert standing(shared, **whole) == [(Cause.SEQUENTIAL_SCAN, Certainty.LIKELY)]
    text = "CREATE INDEX i ON public.t USING btree (client)"
    has_one = replace(scanned, indexes_after=(Definition(5, "index", 12, 1, "i", text),))
    assert standing(has_one, **whole) == []  # the planner does not use it: a plan would tell
    assert standing(replace(scanned, accesses=()), **whole) == []  # it reads the whole table
    assert standing(scanned, after=usage(100.0)) == []
    other = replace(scanned, name="u")
    assert standing(scanned, other, **whole) == []  # a join: the scan may be the other's


@pytest.mark.parametrize(
    ("dead", "live", "expected"),
    [
        (50_000, 100_000, [(Cause.DEAD_ROWS, Certainty.LIKELY)]),
        (20_000, 100_000, []),
        # After a crash the server knows of no live rows, until the table is analyzed.
        (50, 0, []),
    ],
)
def test_dead_rows_are_shown_by_one_window(
    dead: int, live: int, expected: list[tuple[Cause, Certainty]]
) -> None:
    of = activity(n_dead_tup=dead, n_live_tup=live)
    assert standing(table(after=of)) == expected


def test_toast_a_spill_and_a_foreign_key_are_shown_by_one_window() -> None:
    assert standing(table(after=activity(toast=50_000))) == [(Cause.TOAST, Certainty.CERTAIN)]
    spilled = usage(1000.0, temp=600)
    assert standing(table(), after=spilled) == [(Cause.SPILL, Certainty.CERTAIN)]
    child = replace(table(after=SCANNED), foreign_key="k")
    assert standing(child, verb="delete") == [(Cause.FOREIGN_KEY, Certainty.CERTAIN)]
    assert standing(child, verb="select") == []


def test_what_stands_is_not_named_twice() -> None:
    toast = table(after=activity(toast=100_000))
    found = explain(evidence(toast))
    assert [each.cause for each in found.findings] == [Cause.TOAST]
    assert found.standing == ()
