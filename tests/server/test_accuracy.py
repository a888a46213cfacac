"""Ledgers of real servers: exact, and with nothing unattributed that could be known."""

import psycopg

from benchmarks.accuracy import TRACK_ALL, WORKS, Work, judged, statements, told
from pgiostat.analysis.ledger import ADDED, FORGOTTEN, HELD, LATE, NESTED_TWICE, LedgerLine
from tests.conftest import MakeServer

TRIED = (
    "parallel scan", "cancelled", "function, nested", "cursor open at COMMIT, track = all",
    "cursor WITH HOLD", "temporary table",
    "planning of 64 partitions",
)  # fmt: skip
READ = "SELECT sum(length(pad)) FROM big"
UNTRACKED = (
    Work("off in a session", statements("SET pg_stat_statements.track = 'none'", READ)),
    Work(
        "off for all",
        statements(
            "ALTER SYSTEM SET pg_stat_statements.track = 'none'",
            "SELECT pg_reload_conf()",
            "SELECT pg_sleep(0.2)",
            READ,
            "ALTER SYSTEM RESET pg_stat_statements.track",
            "SELECT pg_reload_conf()",
        ),
    ),
    Work("all in a session", statements(TRACK_ALL, READ)),
)
ROWS = 40_000
"""Some 2,700 blocks, more than shared_buffers hold."""


def test_each_ledger_adds_up_and_leaves_nothing_that_could_be_known(
    make_server: MakeServer,
) -> None:
    server = make_server()
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        major = connection.info.server_version // 10_000
    works = [work for work in WORKS if work.name in TRIED]
    found = {each.work: each for each in judged(server.dsn(), ROWS, works)}
    assert tuple(found) == TRIED
    shown = "\n".join(told(str(major), list(found.values())))
    assert all(each.adds_up for each in found.values()), shown
    assert all(each.is_within for each in found.values()), shown
    assert found["parallel scan"].statements > 1000, shown
    cancelled = found["cancelled"]
    assert cancelled.lines[LedgerLine.UNATTRIBUTED.value] > 100, shown
    assert cancelled.because == "failed or cancelled statements", shown
    assert cancelled.causes[0] == "failed or cancelled statements"
    assert found["temporary table"].causes == ((ADDED,) if major < 16 else ())
    held = found["cursor WITH HOLD"]
    assert held.causes == (HELD,)
    assert (held.statements < 100, held.lines[LedgerLine.UNATTRIBUTED.value] > 1000) == (True, True)


def test_reads_while_tracking_was_off_between_two_snapshots_have_that_as_their_cause(
    make_server: MakeServer,
) -> None:
    server = make_server()
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    found = {each.work: each for each in judged(server.dsn(), ROWS, UNTRACKED)}
    for work in ("off in a session", "off for all"):
        assert found[work].lines[LedgerLine.UNATTRIBUTED.value] > 1000
        assert found[work].causes == ("statements that are not tracked",)
    assert found["all in a session"].is_within


def test_on_13_a_server_with_track_all_says_that_nested_statements_count_twice(
    make_server: MakeServer,
) -> None:
    server = make_server(**{"pg_stat_statements.track": "all"})
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        major = connection.info.server_version // 10_000
    nested = next(work for work in WORKS if work.name == "function, nested")
    (found,) = judged(server.dsn(), ROWS, [nested])
    if major > 13:
        assert (found.is_within, found.causes) == (True, ())
    else:
        assert found.lines[LedgerLine.UNATTRIBUTED.value] < -100
        assert found.causes == (NESTED_TWICE, LATE, FORGOTTEN)
