"""Who reads, and that it adds up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.ledger import LedgerLine, Line
from pgiostat.analysis.notices import notices, unexplained
from pgiostat.analysis.rank import By, EvictedTotals, Ranking, Sort, Totals, rank, rank_totals
from pgiostat.analysis.rank.groups import Unread
from pgiostat.analysis.server_reads import coverage_of
from pgiostat.errors import PgiostatError
from pgiostat.statistics.capabilities import capabilities
from pgiostat.statistics.delta import Delta, Earlier
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import HIDDEN, OTHER, OWN, UNREAD, UNREADABLE, Names, Statement
from tests.support.readings import WITHOUT_TOPLEVEL, at, reading, server, settings

Record = Mapping[str, Any]

NAMES = Names(
    statements={
        (10, 5, 1): Statement("select max(v) from t", "1:aa", "version"),
        (20, 5, 1): Statement("select max(v) from t", "1:aa", "version"),
        (10, 6, 1): Statement("select max(v) from t", "1:aa", "version"),
        (10, 5, 2): Statement("select id, v from t", "1:bb", "manifest"),
        (10, 5, 3): Statement("select ours", "1:cc", OWN),
        (10, 5, 4): Statement("commit", "1:dd", OTHER),
    },
    databases={5: "app", 6: "shop"},
    roles={10: "api", 20: "batch"},
    relations={
        100: (100, "public", "t", "heap"),
        101: (100, "public", "t", "idx"),
        102: (100, "public", "t", "toast"),
        200: (200, "public", "u", "heap"),
    },
)

TABLE = NAMES.relations[100]


def happened(
    records: Sequence[Record],
    server_blocks: int = 0,
    relations: Sequence[Record] = (),
    **more: Any,
) -> Delta:
    """Return ten seconds in which these statements appeared and did this."""
    born = [{"stats_since": at(1), **record} for record in records]
    older = reading(0, databases=[{"datid": 5}], **more)
    newer = reading(
        10,
        born,
        databases=[{"datid": 5, "blks_read": server_blocks}],
        relations=relations,
        **more,
    )
    return diff(older, newer)


def ran(queryid: int, reads: int, calls: int = 1, **more: Any) -> Record:
    """Return a statement that read so much."""
    return {"queryid": queryid, "calls": calls, "shared_blks_read": reads, **more}


def places(ranking: Ranking) -> list[tuple[str, int]]:
    """Return (name, blocks) of each row."""
    return [(row.name, row.cost.blocks) for row in ranking.rows]


def test_parts_and_the_unattributed_rest_add_up_to_the_servers_count() -> None:
    delta = happened([ran(1, 60), ran(2, 30), ran(3, 4), ran(4, 1)], server_blocks=100)
    ranking = rank([delta], NAMES)
    assert places(ranking) == [("version", 60), ("manifest", 30), (OTHER, 1)]
    assert ranking.own is not None
    assert (ranking.own.cost.blocks, ranking.unattributed, ranking.server_blocks) == (4, 5, 100)
    assert [row.share for row in ranking.rows] == [0.6, 0.3, 0.01]


def test_a_server_that_lags_gives_a_negative_rest_and_shares_of_what_is_known() -> None:
    delta = happened([ran(1, 200)], server_blocks=50)
    ranking = rank([delta], NAMES)
    assert (ranking.unattributed, ranking.whole, ranking.rows[0].share) == (-150, 200, 1.0)
    assert notices(delta, ranking) == []


def test_after_a_reset_there_is_no_rest_and_shares_are_of_the_statements() -> None:
    older = reading(0, [ran(1, 5)], databases=[{"datid": 5, "blks_read": 9}])
    newer = reading(
        10,
        [ran(1, 8, stats_since=at(2))],
        databases=[{"datid": 5, "blks_read": 50}],
        statements_reset=at(2),
    )
    ranking = rank([diff(older, newer)], NAMES)
    assert (ranking.unattributed, ranking.server_blocks) == (None, None)
    assert [(row.share, row.uncertain) for row in ranking.rows] == [(1.0, True)]


def test_a_quick_statement_with_the_most_reads_is_first() -> None:
    slow = ran(2, 10, total_exec_time=60_000.0)
    quick = ran(1, 900, calls=9_000, total_exec_time=9.0)
    assert [
        row.queryid for row in rank([happened([slow, quick])], NAMES, by=By.STATEMENT).rows
    ] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.CATEGORY, [("version", 16)]),
        (By.FINGERPRINT, [("select max(v) from t", 16)]),
        (By.DATABASE, [("app", 13), ("shop", 3)]),
        (By.USER, [("api", 8), ("batch", 8)]),
        (By.STATEMENT, [("select max(v) from t", n) for n in (8, 5, 3)]),
    ],
)
def test_one_queryid_of_two_users_and_databases_adds_up_where_it_is_one(
    by: By, expected: list[tuple[str, int]]
) -> None:
    delta = happened([ran(1, 5), ran(1, 8, userid=20), ran(1, 3, dbid=6)])
    assert places(rank([delta], NAMES, by=by)) == expected


def test_nested_statements_are_in_their_callers_and_not_counted_again() -> None:
    ranking = rank([happened([ran(1, 50), ran(2, 50, toplevel=False)])], NAMES)
    assert (places(ranking), ranking.nested) == ([("version", 50)], 1)


def test_hidden_statements_are_one_row_by_user_and_database() -> None:
    hidden = [ran(0, n, masked=True, stats_since=at(n)) for n in (1, 2, 3)]
    delta = happened([*hidden, ran(1, 4)])
    assert places(rank([delta], NAMES)) == [(HIDDEN, 6), ("version", 4)]
    by_statement = rank([delta], NAMES, by=By.STATEMENT)
    assert places(by_statement)[0] == ("(statements of api, hidden: no privilege)", 6)
    said = notices(delta, rank([delta], NAMES))
    assert [n.hint for n in said if n.slug == "no-privilege"] == [
        'GRANT pg_read_all_stats TO "pgiostat";'
    ]


def test_a_statement_without_a_text_has_a_category_of_its_own_and_keeps_its_queryid() -> None:
    delta = happened([ran(77, 9)])
    assert places(rank([delta], NAMES)) == [(UNREAD, 9)]
    ranking = rank([delta], NAMES, by=By.FINGERPRINT)
    assert (places(ranking), ranking.untexted) == ([("(no text yet: queryid 77)", 9)], 1)


def test_below_the_top_all_is_one_row() -> None:
    delta = happened([ran(1, 50), ran(2, 30), ran(4, 20)])
    ranking = rank([delta], NAMES, by=By.STATEMENT, top=1)
    assert places(ranking) == [("select max(v) from t", 50)]
    assert ranking.rest is not None
    assert (ranking.rest.name, ranking.rest.cost.blocks) == ("(2 more)", 50)


def test_equal_costs_are_ordered_by_key() -> None:
    records = [ran(i, 5) for i in (40, 30, 20)]
    one = rank([happened(records)], NAMES, by=By.STATEMENT)
    two = rank([happened(records[::-1])], NAMES, by=By.STATEMENT)
    assert [row.queryid for row in one.rows] == [row.queryid for row in two.rows] == [20, 30, 40]


def test_intervals_add_up_and_rates_are_over_their_whole_length() -> None:
    first = happened([ran(1, 50, calls=5)], server_blocks=60)
    second = happened([ran(1, 30, calls=3)], server_blocks=30)
    ranking = rank([diff(None, reading(0)), first, second], NAMES)
    (row,) = ranking.rows
    assert (row.cost.blocks, row.cost.calls, ranking.seconds) == (80, 8, 20.0)
    assert (row.cost.blocks_per_s, row.cost.blocks_per_call) == (4.0, 10.0)
    assert ranking.unattributed == 10


def test_a_few_blocks_in_many_seconds_are_not_rounded_away() -> None:
    (row,) = rank([happened([ran(1, 5)])], NAMES).rows
    assert row.cost.blocks_per_s == 0.5


def test_reads_that_were_not_timed_have_no_time() -> None:
    records = [ran(1, 50), ran(2, 10, shared_blk_read_time=2.5, total_exec_time=5.0)]
    version, manifest = rank([happened(records)], NAMES).rows
    assert (version.cost.read_ms, version.cost.rd_await_ms) == (None, None)
    assert (manifest.cost.read_ms, manifest.cost.rd_await_ms) == (2.5, 0.25)
    whole = rank([happened(records)], NAMES).explained
    assert (whole.rd_await_ms, whole.timed_share) == (0.25, 10 / 60)


def test_a_read_time_beyond_what_can_have_elapsed_is_not_believed() -> None:
    delta = happened([ran(1, 50, shared_blk_read_time=1e9, total_exec_time=20.0)])
    ranking = rank([delta], NAMES)
    assert (ranking.rows[0].cost.read_ms, ranking.absurd_times) == (None, 1)
    assert "times-absurd" in [notice.slug for notice in notices(delta, ranking)]


def test_a_relation_has_its_indexes_and_toast_and_no_calls() -> None:
    relations = [
        {"relid": 100, "blks_read": 7, "blks_hit": 13},
        {"relid": 101, "blks_read": 2},
        {"relid": 102, "blks_read": 1},
        {"relid": 200, "blks_read": 3},
        {"relid": 999, "blks_read": 1},
    ]
    ranking = rank([happened([], 20, relations)], NAMES, by=By.RELATION)
    assert places(ranking) == [("public.t", 10), ("public.u", 3), ("oid 999", 1)]
    top = ranking.rows[0]
    assert top.parts == (("heap_blks_read", 7), ("idx_blks_read", 2), ("toast_blks_read", 1))
    assert (top.cost.calls, top.cost.hit_ratio, ranking.unattributed) == (None, 13 / 23, 6)


@pytest.mark.parametrize(
    ("sort", "first"),
    [(Sort.READS, 1), (Sort.TIME, 2), (Sort.TEMP, 4), (Sort.CALLS, 2), (Sort.PER_CALL, 1)],
)
def test_the_greatest_by_the_chosen_measure_is_first(sort: Sort, first: int) -> None:
    delta = happened(
        [
            ran(1, 100, shared_blk_read_time=1.0, total_exec_time=9.0),
            ran(2, 50, calls=60, shared_blk_read_time=7.0, total_exec_time=9.0),
            ran(4, 1, temp_blks_read=5),
        ]
    )
    assert rank([delta], NAMES, by=By.STATEMENT, sort=sort).rows[0].queryid == first


@pytest.mark.parametrize(
    ("changed", "slug"),
    [
        ({"track_io_timing": "off"}, "io-timing-off"),
        ({"pg_stat_statements__track": "none"}, "track-none"),
    ],
)
def test_settings_that_spoil_the_numbers_are_told_with_what_mends_them(
    changed: dict[str, str], slug: str
) -> None:
    delta = happened([ran(1, 9)], 9, settings=settings(**changed))
    said = {notice.slug: notice.hint for notice in notices(delta, rank([delta], NAMES))}
    assert said[slug].startswith("ALTER SYSTEM SET")


def test_where_nested_statements_cannot_be_told_the_doubt_is_stated() -> None:
    every = settings(pg_stat_statements__track="all")
    delta = happened([ran(1, 9)], 9, settings=every, table=WITHOUT_TOPLEVEL)
    assert [n.slug for n in notices(delta, rank([delta], NAMES))] == ["nested-twice"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3, 4, 5, 6]),
            st.sampled_from([10, 20]),
            st.sampled_from([5, 6]),
            st.booleans(),
            st.integers(0, 1000),
        ),
        unique_by=lambda row: row[:4],
    ),
    st.integers(0, 10_000),
    st.sampled_from([by for by in By if by is not By.RELATION]),
    st.one_of(st.none(), st.integers(1, 3)),
)
def test_whatever_is_ranked_adds_up_exactly(
    rows: list[tuple[int, int, int, bool, int]], server_blocks: int, by: By, top: int | None
) -> None:
    records = [
        ran(queryid, reads, userid=userid, dbid=dbid, toplevel=toplevel)
        for queryid, userid, dbid, toplevel, reads in rows
    ]
    ranking = rank([happened(records, server_blocks)], NAMES, by=by, top=top)
    parts = [*ranking.rows, *(part for part in (ranking.rest, ranking.own) if part)]
    assert sum(part.cost.blocks for part in parts) == ranking.explained.blocks
    assert ranking.unattributed is not None
    assert ranking.explained.blocks + ranking.unattributed == ranking.server_blocks == server_blocks


def test_a_cost_without_calls_accesses_or_reads_has_no_ratios() -> None:
    cost = rank([happened([ran(1, 0, calls=0, rows=1)])], NAMES).rows[0].cost
    assert (cost.blocks_per_call, cost.hit_ratio, cost.timed_share, cost.mean_exec_ms) == (
        None,
        None,
        None,
        None,
    )
    assert (cost.temp_blocks_per_s, cost.read_ms, cost.reading_sessions) == (0.0, 0.0, 0.0)


def test_with_planning_tracked_reading_may_outlast_executing() -> None:
    planning = settings(pg_stat_statements__track_planning="on")
    delta = happened([ran(1, 5, shared_blk_read_time=50.0)], settings=planning)
    ranking = rank([delta], NAMES)
    assert (ranking.rows[0].cost.read_ms, ranking.absurd_times) == (50.0, 0)


def test_a_low_coverage_is_told_unless_evictions_explain_it() -> None:
    delta = happened([ran(1, 9)], 100)
    ranking = rank([delta], NAMES)
    said = [notice.slug for notice in notices(delta, ranking, coverage=0.5)]
    assert said == ["coverage-low"]


def test_evictions_are_told_with_their_number_and_what_to_do() -> None:
    older = reading(0, [ran(1, 1)], dealloc=1)
    newer = reading(10, [ran(1, 5)], dealloc=4)
    delta = diff(older, newer)
    notice = notices(delta, rank([delta], NAMES), coverage=0.1)[0]
    assert notice.text.startswith("At least 750 statements were evicted")
    assert notice.hint == "Raise pg_stat_statements.max, or choose a shorter interval."


def test_texts_that_cannot_be_read_are_told() -> None:
    delta = happened([])
    error = PgiostatError("texts are unreadable", hint="Mend it.", slug="texts-unreadable")
    (notice,) = notices(delta, rank([delta], NAMES), texts_error=error)
    assert (notice.slug, notice.text, notice.hint) == (
        "texts-unreadable",
        "Texts are unreadable.",
        "Mend it.",
    )


def test_rows_that_could_not_be_assigned_are_told() -> None:
    # Statements hidden from us are one row, which falls when one of them goes.
    older = reading(0, [ran(0, 95, masked=True)], table=WITHOUT_TOPLEVEL)
    newer = reading(10, [ran(0, 90, masked=True)], table=WITHOUT_TOPLEVEL)
    delta = diff(older, newer)
    assert "rows-unknown" in [n.slug for n in notices(delta, rank([delta], NAMES))]


def test_what_a_server_cannot_tell_is_said_with_the_reason() -> None:
    older = server(version="13.23", version_num=130023, extension_version="1.8")
    snapshot = reading(
        0,
        [ran(0, 1, masked=True)],
        table=WITHOUT_TOPLEVEL,
        server=older,
        settings=settings(track_io_timing="off"),
    )
    assert {c.name: c.missing for c in capabilities(snapshot)} == {
        "known_version": "",
        "all_statements": "pgiostat lacks pg_read_all_stats",
        "toplevel": "needs pg_stat_statements 1.9, this is 1.8",
        "evictions": "needs pg_stat_statements 1.9, this is 1.8",
        "stats_since": "needs pg_stat_statements 1.11, this is 1.8",
        "read_times": "track_io_timing is off",
        "local_read_times": "track_io_timing is off",
        "temp_read_times": "track_io_timing is off",
        "physical_reads": "pg_stat_kcache is not installed",
        "pg_stat_io": "needs PostgreSQL 16, this is 13.23",
        "read_operations": "needs PostgreSQL 18, this is 13.23",
    }
    able = server(kcache_missing="")
    assert all(c.available for c in capabilities(reading(0, server=able)))


def test_what_a_cursor_reads_belongs_to_the_query_it_was_declared_for() -> None:
    names = Names()
    names.add(
        (10, 5, 1), Statement("declare ? cursor for …", "1:aa", "manifest", declares_cursor="c")
    )
    names.add((10, 5, 2), Statement("fetch ? from ?", "1:bb", OTHER, uses_cursor="c"))
    names.add((20, 5, 2), Statement("fetch ? from ?", "1:bb", OTHER, uses_cursor="c"))
    fetched = dict(ran(2, 7))
    deltas = [happened([ran(1, 1), fetched, {**fetched, "userid": 20}], 15)]
    found = {row.name: row.cost.blocks for row in rank(deltas, names).rows}
    assert found == {"manifest": 8, OTHER: 7}  # another role's cursor is another cursor


def test_a_cursor_declared_for_two_kinds_of_query_is_of_neither() -> None:
    names = Names()
    names.add((10, 5, 2), Statement("fetch ? from ?", "1:bb", OTHER, uses_cursor="c"))
    for queryid, category in [(1, "manifest"), (3, "manifest"), (4, "version")]:
        statement = Statement("declare ? cursor for …", "1:aa", category, declares_cursor="c")
        names.add((10, 5, queryid), statement)
        known = names.statement((10, 5, 2))
        assert known is not None
        assert known.category == ("manifest" if queryid < 4 else OTHER)


def test_a_rule_about_a_fetch_stands_before_its_cursors_query() -> None:
    names = Names()
    names.add(
        (10, 5, 1), Statement("declare ? cursor for …", "1:aa", "manifest", declares_cursor="c")
    )
    names.add((10, 5, 2), Statement("fetch ? from ?", "1:bb", "report", uses_cursor="c"))
    assert names.statement((10, 5, 2)) == Statement(
        "fetch ? from ?", "1:bb", "report", uses_cursor="c"
    )


FAILED = "failed or cancelled statements"


def test_what_is_in_transit_gives_no_notice_and_a_settled_loss_does() -> None:
    delta = happened([ran(1, 50)], server_blocks=500)
    moved = replace(delta, in_transit=450, settled_catalogs=0)
    ranking = rank([moved], NAMES)
    assert (ranking.in_transit, ranking.unattributed, notices(moved, ranking)) == (450, 0, [])
    settled = replace(
        delta, in_transit=50, settled_catalogs=0, recent_causes={"failures": 1, "evictions": None}
    )
    ranking = rank([settled], NAMES)
    assert (ranking.in_transit, ranking.unattributed) == (50, 400)
    assert [(n.slug, n.text) for n in notices(settled, ranking, coverage=0.99)] == [
        (
            "reads-unexplained",
            f"88.9 % of the reads are unattributed (400 blocks); possible cause: {FAILED}.",
        )
    ]
    # Without a cause nothing is to be done, and if coverage is low that is what is reported.
    plain = replace(settled, recent_causes={})
    ranking = rank([plain], NAMES)
    assert notices(plain, ranking) == []
    assert [n.slug for n in notices(plain, ranking, coverage=0.5)] == ["coverage-low"]


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (41_000, "41,000 blocks were read {}, and no statement counted them"),
        (-900, "Statements counted 900 blocks {}, and the server did not count them"),
    ],
)
def test_a_loss_of_earlier_intervals_changes_no_total_and_its_notice_has_its_time(
    blocks: int, sentence: str
) -> None:
    sentence = sentence.format("between 09:59:45 and 09:59:55Z")
    delta = happened([ran(1, 50)], server_blocks=60)
    settled = replace(
        delta,
        in_transit=-blocks,
        settled_catalogs=0,
        earlier=Earlier(blocks, 0, at(-15), at(-5)),
        recent_causes={"rollbacks": 1},
    )
    ranking = rank([settled], NAMES)
    (cause,) = ranking.earlier.causes if ranking.earlier is not None else ()
    assert (ranking.total, ranking.whole, ranking.unattributed) == (60, 60, 10)
    assert ranking.rows[0].share == 50 / 60
    assert coverage_of(settled) == 50 / 60
    assert [n.text for n in notices(settled, ranking)] == (
        [f"{sentence}; possible cause: {FAILED}."] if blocks > 0 else []
    )
    assert ranking.earlier == Line(LedgerLine.EARLIER, blocks, (cause,), at(-15), at(-5))
    assert unexplained(ranking, ranking.earlier) == f"{sentence}; possible cause: {cause}."


def test_what_has_gone_is_in_all_sums_though_not_told_apart() -> None:
    amounts = np.zeros((len(FIELDS), 3), dtype=np.int64)
    amounts[FIELDS.index("shared_blks_read")] = [30, 5, 1]
    gone = EvictedTotals(
        statements=[(10, 5, "version"), (10, 6, "version"), (10, 5, OWN)], sizes=[7, 2, 1],
        statement_amounts=amounts, statement_uncertain=[False, True, False],
        relations=[(100, "idx"), (None, "heap")], relation_amounts=amounts[:, :2],
        relation_uncertain=[False, False],
    )  # fmt: skip
    names = Names(databases={5: "app", 6: "old"}, roles={10: "api"}, relations={100: TABLE})
    parts = [(Totals(1.0, 8192, evicted=gone), names)]

    def rows(by: By) -> list[tuple[str, int, int, bool]]:
        found = rank_totals(parts, by=by).rows
        return [(row.name, row.cost.blocks, row.members, row.uncertain) for row in found]

    assert rows(By.CATEGORY) == [("version", 35, 9, True)]
    assert rows(By.DATABASE) == [("app", 30, 7, False), ("old", 5, 2, True)]
    assert rows(By.USER) == [("api", 35, 9, True)]
    kept = "(statements that have gone: version)"
    assert rows(By.FINGERPRINT) == [(kept, 35, 9, True)]
    assert rows(By.STATEMENT) == [(kept, 30, 7, False), (kept, 5, 2, True)]
    assert rows(By.RELATION) == [
        ("public.t", 30, 1, False), ("(relations that have gone)", 5, 1, False),
    ]  # fmt: skip
    own = rank_totals(parts).own
    assert own is not None
    assert own.cost.blocks == 1


def test_a_row_is_what_was_known_when_it_was_ranked() -> None:
    names = Names()
    amounts = np.ones((len(FIELDS), 1), dtype=np.int64)
    counted = Totals(
        1.0, 8192, statements=[(10, 5, 1)], statement_amounts=amounts, statement_uncertain=[False]
    )
    before = rank_totals([(counted, names)], by=By.STATEMENT).rows
    names.add((10, 5, 1), Statement("select ?", "1:01", "version"))
    assert [row.category for row in before] == [UNREAD]
    assert [row.category for row in rank_totals([(counted, names)], by=By.STATEMENT).rows] == [
        "version"
    ]


def test_names_that_are_not_needed_are_forgotten_and_so_are_their_cursors() -> None:
    names = Names(relations={100: TABLE, 101: TABLE})
    for queryid, cursor in ((1, "a"), (2, "b"), (3, "b")):
        opens, moves = ("", cursor) if queryid == 3 else (cursor, "")
        names.add(
            (10, 5, queryid), Statement("…", "", "version" if opens else "other", opens, moves)
        )
    names.retain({(10, 5, 3)}, {101})
    assert (set(names.statements), set(names.relations)) == ({(10, 5, 3)}, {101})
    assert set(names.cursors) == {(10, 5, "b")}
    fetch = names.statement((10, 5, 3))
    assert fetch is not None
    assert fetch.category == "version"


def test_a_table_that_was_made_again_is_told_from_the_one_that_was_dropped() -> None:
    index = (200, "public", "t", "idx")
    names = Names(relations={100: (100, "public", "t", "heap"), 200: (200, "public", "t", "heap"),
                             201: index, 300: (300, "public", "u", "heap")})  # fmt: skip
    assert [names.shown_relation(oid) for oid in (100, 200, 201, 300, 400)] == [
        "public.t (oid 100)", "public.t (oid 200)", "public.t (oid 200)", "public.u", "oid 400",
    ]  # fmt: skip
    # Names that are looked at again are in another mapping.
    names.relations = names.relations | {100: (100, "public", "old", "heap")}
    assert [names.shown_relation(oid) for oid in (100, 200)] == ["public.old", "public.t"]


def test_statements_without_a_text_are_counted_by_their_reason() -> None:
    names = replace(NAMES, unreadable={(10, 5, 78): "Damaged."})
    ranking = rank([happened([ran(77, 9), ran(78, 5), ran(1, 3)])], names)
    assert ranking.unread == (Unread(UNREAD, "", 1, 9), Unread(UNREADABLE, "Damaged.", 1, 5))
    assert {row.name: row.cost.blocks for row in ranking.rows} == {
        UNREAD: 9, UNREADABLE: 5, "version": 3,
    }  # fmt: skip
    shown = [row.name for row in rank([happened([ran(78, 5)])], names, by=By.FINGERPRINT).rows]
    assert shown == ["(not readable: Damaged; queryid 78)"]
