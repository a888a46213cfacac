"""Fixes of causes: what to run, what a call touches afterwards, and what it costs."""

from dataclasses import replace
from typing import Any

import pytest

from pgiostat.analysis.fixes import Fix, FixKind, Grounds, Prediction, fixes
from pgiostat.analysis.fixes.btree import BTree, b_tree
from pgiostat.analysis.fixes.index_choice import serving_index, wanted_index
from pgiostat.analysis.fixes.table_facts import table_facts
from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.analysis.why.access import Column, TableAccess
from pgiostat.analysis.why.evidence import (
    ServerFacts,
    SettingChange,
    StatementEvidence,
    TableEvidence,
    Usage,
)
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty
from pgiostat.statistics.definitions import Definition

SECONDS, CALLS = 100.0, 100
COLUMNS = (
    Column("id", "bigint"),
    Column("client", "integer"),
    Column("version", "bigint"),
    Column("pad", "text"),
)
PKEY = Definition(
    5, "index", 11, 1, "t_pkey", "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)",
    "primary key",
)  # fmt: skip
BY_CLIENT = Definition(
    5, "index", 12, 1, "t_client", "CREATE INDEX t_client ON public.t USING btree (client)"
)
MAX = TableAccess(
    "t",
    equal=frozenset({"client"}),
    extreme="version",
    mentioned=frozenset({"client", "version"}),
    is_reduced=True,
)


def activity(**counts: int) -> TableActivity:
    """Return a table of 300,000 rows, 40 in a block, that is read by its index on client."""
    sizes = {"relpages": 7500, "reltuples": 300_000, "n_live_tup": 300_000}
    newest = {name: counts.pop(name, value) for name, value in sizes.items()}
    newest |= {name: counts.pop(name) for name in ("n_dead_tup",) if name in counts}
    index = IndexActivity(
        5, 12, 1, SECONDS, idx_scan=100, idx_tup_read=100_000, idx_tup_fetch=100_000,
        blks_read=600, blks_hit=0, relpages=300, reltuples=300_000, is_uncertain=False,
    )  # fmt: skip
    return TableActivity(5, 1, SECONDS, {"heap_blks_read": 93_700} | counts, newest, (index,))


def table(**more: Any) -> TableEvidence:
    known: dict[str, Any] = {
        "before": activity(),
        "after": activity(),
        "whole": activity(),
        "indexes_before": (PKEY, BY_CLIENT),
        "indexes_after": (PKEY, BY_CLIENT),
        "columns": COLUMNS,
        "accesses": (MAX,),
        "updated": frozenset(),
        "sql_name": "public.t",
    }
    return TableEvidence("t", **known | more)


def evidence(
    of: TableEvidence, *, before: float = 943.0, after: float = 943.0, **more: Any
) -> StatementEvidence:
    old, new = (
        Usage(SECONDS, CALLS, CALLS, round(each * CALLS * 0.6), round(each * CALLS))
        for each in (before, after)
    )
    return StatementEvidence("f", "select …", "select t", "select", old, new, (of,), **more)


def proposed(cause: Cause, of: StatementEvidence) -> tuple[Fix, ...]:
    return fixes(of, CauseFinding(cause, Certainty.LIKELY, ("",), table="t"))


def test_scattered_rows_have_an_index_an_order_and_a_table_of_their_answers() -> None:
    index, order, summary = proposed(Cause.SCATTERED_ROWS, evidence(table()))
    assert index == Fix(
        FixKind.CREATE_INDEX,
        "an index on t (client, version)",
        ("CREATE INDEX CONCURRENTLY ON public.t (client, version);",),
        Prediction(3.0, 4.0, 5.0, Grounds.INDEX),
        size_bytes=9453568,
        columns=("client", "version"),
        table="t",
    )
    assert order.statements == ("CLUSTER public.t USING t_client;", "ANALYZE public.t;")
    assert order.prediction is not None
    # 1,000 rows, of which 40 lie in a block and 1,000 in a leaf block of the index.
    assert order.prediction.point == pytest.approx(3 + 0.999 + 25.975, abs=0.001)
    assert order.costs == (
        "it locks t against reads and writes while it runs, and needs as much space again",
        "new rows are not kept in this order: repeat it",
    )
    assert summary.statements == (
        (
            "CREATE TABLE t_latest (client integer, version bigint, PRIMARY KEY (client))"
            " WITH (fillfactor = 70);"
        ),
    )
    assert summary.prediction == Prediction(2.0, 3.0, 4.0, Grounds.INDEX)  # 300 clients


def test_updates_of_a_column_of_the_index_are_a_cost() -> None:
    written = activity(n_tup_ins=100, n_tup_upd=500, n_tup_hot_upd=400)
    (index, *_) = proposed(
        Cause.SCATTERED_ROWS, evidence(table(after=written, updated=frozenset({"version"})))
    )
    assert index.costs == (
        "writes to t make 6.0 entries of it per second",
        (
            "updates set version: 4.0 of them per second are HOT now and would make entries in"
            " all 3 indexes"
        ),
    )
    (index, *_) = proposed(
        Cause.SCATTERED_ROWS, evidence(table(after=written, updated=frozenset({"pad"})))
    )
    assert index.costs == ("writes to t make 2.0 entries of it per second",)
    # The row of the highest value may not be visible to all.
    assert index.prediction == Prediction(3.0, 5.0, 6.0, Grounds.INDEX)


def test_a_dropped_index_is_made_again_as_it_was() -> None:
    gone = table(indexes_after=(PKEY,))
    (fix,) = proposed(Cause.INDEX_DROPPED, evidence(gone, before=4.0, after=7500.0))
    assert fix == Fix(
        FixKind.RECREATE_INDEX,
        "index t_client on t, as it was",
        ("CREATE INDEX CONCURRENTLY t_client ON public.t USING btree (client);",),
        Prediction(4.0, 4.0, 4.0, Grounds.PAST),
        size_bytes=300 * 8192,
        table="t",
    )
    masked = replace(BY_CLIENT, text=f"{BY_CLIENT.text} WHERE (pad <> ?::text)")
    partial = table(indexes_before=(PKEY, masked), indexes_after=(PKEY,))
    (fix,) = proposed(Cause.INDEX_DROPPED, evidence(partial, before=4.0, after=7500.0))
    assert fix.sentence == "index t_client on t, as it was: replace ? by the constant that it had"


def test_rows_whose_place_is_not_known_have_a_range_and_no_point() -> None:
    scanned = TableActivity(
        5, 1, SECONDS, {"heap_blks_read": 750_000, "seq_scan": 100, "seq_tup_read": 30_000_000},
        {"relpages": 7500, "reltuples": 300_000},
    )  # fmt: skip
    rows = TableAccess("t", equal=frozenset({"client"}), mentioned=None)
    of = table(after=scanned, indexes_after=(PKEY,), accesses=(rows,))
    found = evidence(of, after=7500.0)
    found = replace(found, after=replace(found.after, rows=200 * CALLS))
    (fix,) = proposed(Cause.SEQUENTIAL_SCAN, found)
    assert fix.statements == ("CREATE INDEX CONCURRENTLY ON public.t (client);",)
    assert fix.prediction is not None
    assert fix.prediction.point is None
    assert (fix.prediction.low, fix.prediction.high) == pytest.approx((8.14, 204.54), abs=0.01)
    counted = replace(rows, is_reduced=True)
    (fix,) = proposed(Cause.SEQUENTIAL_SCAN, evidence(replace(of, accesses=(counted,)), after=7500))
    assert (fix.prediction, fix.unpredicted) == (
        None,
        "how many rows a call finds is not known from counters",
    )


def test_no_index_helps_a_statement_that_has_one() -> None:
    rows = TableAccess("t", equal=frozenset({"client"}), mentioned=None)
    found = evidence(table(accesses=(rows,)))
    order, no_index = proposed(Cause.SCATTERED_ROWS, found)
    assert order.kind is FixKind.CLUSTER
    assert no_index == Fix(
        FixKind.FEWER_ROWS,
        (
            "no index helps: t_client is on client already, and the 1,000 rows that a call finds"
            " lie in these blocks"
        ),
        unpredicted="it depends on how many of these rows the application needs",
        table="t",
    )


def test_what_saves_hardly_any_block_is_no_fix() -> None:
    found = proposed(Cause.SCATTERED_ROWS, evidence(table(), before=4.2, after=4.2))
    assert [each.kind for each in found] == [FixKind.SUMMARY_TABLE]


def test_an_index_on_a_partition_is_not_on_the_others() -> None:
    of = table(partition_of="events", after=activity(n_tup_ins=100))
    (index, *_) = proposed(Cause.SCATTERED_ROWS, evidence(of))
    assert index.costs == (
        "writes to t make 1.0 entries of it per second",
        "other and later partitions of events do not have it",
    )


def test_dead_rows_are_removed_or_the_table_is_written_again() -> None:
    dead = table(after=activity(n_dead_tup=300_000))
    removed, written = proposed(Cause.DEAD_ROWS, evidence(dead, before=100.0, after=500.0))
    assert removed.statements == (
        "VACUUM (ANALYZE) public.t;",
        "ALTER TABLE public.t SET (autovacuum_vacuum_scale_factor = 0.02);",
    )
    assert removed.prediction == Prediction(100.0, 100.0, 100.0, Grounds.PAST, at_best=True)
    assert written.prediction == Prediction(100.0, 100.0, 100.0, Grounds.PAST)
    # Without a lower past: the blocks of live rows, at best.
    removed, _ = proposed(Cause.DEAD_ROWS, evidence(dead, before=500.0, after=500.0))
    assert removed.prediction == Prediction(250.0, 250.0, 500.0, Grounds.PART, at_best=True)
    (written,) = proposed(Cause.DEAD_ROWS, evidence(table(), before=100.0, after=500.0))
    assert written.kind is FixKind.REWRITE  # VACUUM has run: it would remove nothing


def test_a_foreign_key_gets_an_index_on_its_columns() -> None:
    child = table(
        after=activity(heap_blks_read=750_000),
        foreign_key="t_client_fkey",
        foreign_key_columns=("client",),
    )
    parent = replace(table(), name="parent")
    found = replace(evidence(child, after=7512.0), tables=(parent, child))
    (fix,) = proposed(Cause.FOREIGN_KEY, found)
    assert fix.statements == ("CREATE INDEX CONCURRENTLY ON public.t (client);",)
    assert fix.prediction == Prediction(14.0, 15.0, 16.0, Grounds.PART)


def test_settings_are_set_as_they_were() -> None:
    server = ServerFacts(settings=(SettingChange("random_page_cost", "4", "400"),))
    (fix,) = proposed(Cause.PLAN, evidence(table(), before=4.0, after=7500.0, server=server))
    assert fix.statements == ("SET random_page_cost = '4';",)
    assert fix.prediction == Prediction(4.0, 4.0, 4.0, Grounds.PAST)
    (fix,) = proposed(Cause.PLAN, evidence(table(), before=4.0, after=7500.0))
    assert fix.statements == ("VACUUM (ANALYZE) public.t;",)
    assert fix.prediction == Prediction(4.0, 4.0, 4.0, Grounds.PAST, at_best=True)


def test_a_spill_gets_memory() -> None:
    found = evidence(table(), server=ServerFacts(work_mem="4MB"))
    spilled = replace(found, after=replace(found.after, temp=1000 * CALLS))
    (fix,) = proposed(Cause.SPILL, spilled)
    assert fix.statements == ("SET LOCAL work_mem = '32MB';",)  # 4 MB and 3 × 1,000 blocks
    assert fix.costs == ("each sort and hash of a session may use 32 MB",)


def test_more_calls_are_a_factor() -> None:
    found = evidence(table())
    more = replace(found, after=replace(found.after, calls=4 * CALLS, touched=4 * 94_300))
    (fix,) = proposed(Cause.CALLS, more)
    assert (fix.calls, fix.statements) == (0.25, ())
    assert fix.sentence == (
        "1.0 calls per second as before instead of 4.0: look at what calls it, or keep its result"
    )


@pytest.mark.parametrize(
    ("access", "keys", "included"),
    [
        (MAX, ["client", "version"], []),
        (replace(MAX, has_or=True), None, []),
        (TableAccess("t"), None, []),
        (
            TableAccess("t", equal=frozenset({"client"}), ranges=frozenset({"id"}), mentioned=None),
            ["client", "id"],
            [],
        ),
        (
            TableAccess(
                "t",
                listed=frozenset({"client"}),
                mentioned=frozenset({"client", "version"}),
                is_reduced=True,
            ),
            ["client"],
            ["version"],
        ),
        (
            TableAccess(
                "t", equal=frozenset({"client"}), order_by=("id",), limit=True, mentioned=None
            ),
            ["client", "id"],
            [],
        ),
        # The other table refers to this one's primary key: the condition is what chooses rows.
        (
            TableAccess("t", equal=frozenset({"client"}), joined=frozenset({"id"}), mentioned=None),
            ["client"],
            [],
        ),
        (TableAccess("t", joined=frozenset({"client"}), mentioned=None), ["client"], []),
        # A text may be long: the index does not carry it.
        (
            TableAccess("t", equal=frozenset({"client"}), mentioned=frozenset({"client", "pad"})),
            ["client"],
            [],
        ),
    ],
)
def test_an_index_has_single_values_first(
    access: TableAccess, keys: list[str] | None, included: list[str]
) -> None:
    wanted = wanted_index(table(), access)
    assert (None if wanted is None else list(wanted.names)) == keys
    assert ([] if wanted is None else [each.name for each in wanted.included]) == included


def test_an_existing_index_serves_in_another_order_of_single_values() -> None:
    access = TableAccess("t", equal=frozenset({"client", "id"}), mentioned=None)
    wanted = wanted_index(table(), access)
    assert wanted is not None
    assert serving_index(table(), wanted) is None
    text = "CREATE INDEX i ON public.t USING btree (id, client)"
    both = Definition(5, "index", 13, 1, "i", text)
    assert serving_index(table(indexes_after=(PKEY, both)), wanted) == both
    partial = replace(both, text=f"{text} WHERE (id > ?)")
    assert serving_index(table(indexes_after=(partial,)), wanted) is None
    invalid = replace(both, detail="invalid")
    assert serving_index(table(indexes_after=(invalid,)), wanted) is None


def test_the_shape_of_a_b_tree() -> None:
    pair = b_tree(60_000, [Column("k", "integer"), Column("v", "bigint")])
    assert (pair, pair.height, pair.pages) == (BTree(230, 203, 262), 3, 234)
    carried = b_tree(60_000, [Column("k", "integer")], [Column("n", "integer")])
    assert (carried, carried.height) == (BTree(164, 203, 366), 2)


def test_rows_of_other_statements_scans_do_not_lie_in_fewer_blocks() -> None:
    every = TableAccess("t", equal=frozenset({"client"}), mentioned=None)
    # 100 scans of a hundredth of the table by index, and others that read it whole.
    scanned = activity(
        heap_blks_read=93_700 + 75_000, idx_tup_fetch=100_000, seq_scan=10, seq_tup_read=3_000_000
    )
    facts = table_facts(evidence(table(after=scanned, accesses=(every,))), "t")
    assert facts is not None
    assert facts.blocks_of(1000) == 943.0
    alone = table_facts(evidence(table(after=activity(idx_tup_fetch=100_000))), "t")
    assert alone is not None
    assert alone.blocks_of(1000) == pytest.approx(937.0)
