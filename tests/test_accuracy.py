"""Ledgers of real servers: exact, and with nothing unattributed that could be known."""

import psycopg

from benchmarks.accuracy import WORKS, judged, told
from pgiostat.analysis.ledger import Account
from tests.conftest import MakeServer

TRIED = (
    "parallel scan", "cancelled", "function, nested", "cursor open at COMMIT, track = all",
    "cursor WITH HOLD", "temporary table",
    "planning of 64 partitions",
)  # fmt: skip
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
    assert cancelled.lines[Account.UNATTRIBUTED.value] > 100, shown
    assert cancelled.because == "failed or cancelled statements", shown
    held = found["cursor WITH HOLD"]
    assert (held.statements < 100, held.lines[Account.UNATTRIBUTED.value] > 1000) == (True, True)
