"""What a session adds up, and that it does not grow with time."""

import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest

from pgiostat.analysis.rank import By, rank_totals
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.statistics.names import Names
from pgiostat.watch.model.session import KEPT, WatchSession
from pgiostat.watch.screen.notices import Pulse
from pgiostat.watch.screen.table import table_of, total_cost
from pgiostat.watch.state import ViewState
from tests.support.moments import STATEMENTS, moment
from tests.support.readings import at


def test_intervals_add_up_to_what_ranking_them_together_gives() -> None:
    session, moments = WatchSession(Names()), [moment(n, 4 + n) for n in range(5)]
    for each in moments:
        session.absorb(each)
    whole = session.counted(whole=True)
    assert whole is not None
    parts = [(each.counted, Names()) for each in moments if each.counted]
    found, told = (rank_totals(those, by=By.STATEMENT) for those in ([(whole, Names())], parts))
    assert [(row.key, row.cost, row.share) for row in found.rows] == [
        (row.key, row.cost, row.share) for row in told.rows
    ]
    assert (found.server_blocks, found.lines, found.seconds) == (
        told.server_blocks, told.lines, told.seconds,
    )  # fmt: skip
    assert session.coverage == sum(m.statement_blocks for m in moments) / whole.reads.blocks  # type: ignore[operator]


@pytest.mark.parametrize(
    ("reads", "total", "below"),
    [
        (ServerReads(18, in_transit_blocks=10), 8, ["unattributed", "total", "in transit"]),
        (ServerReads(1, in_transit_blocks=-6), 7, ["unattributed", "total", "in transit"]),
        # A loss of 970 blocks settles, which the server counted before.
        (
            ServerReads(8, in_transit_blocks=-970, earlier_blocks=970),
            8,
            ["unattributed", "total", "in transit", "read earlier"],
        ),
        (
            ServerReads(
                8,
                in_transit_blocks=-970,
                earlier_blocks=970,
                earlier_since=at(-20),
                earlier_until=at(-15),
            ),
            8,
            ["unattributed", "total", "in transit", "read 09:59:40–09:59:45Z"],
        ),
        (ServerReads(9), 9, ["unattributed", "total"]),
        (ServerReads(5, in_transit_blocks=0), 5, ["unattributed", "total", "in transit"]),
        (ServerReads(), 6, ["total"]),
    ],
)
def test_header_and_table_have_the_same_total_and_the_shares_are_of_it(
    reads: ServerReads, total: int, below: list[str]
) -> None:
    interval = moment(0, 4)  # statements read 6 blocks
    assert interval.counted is not None
    counted = replace(interval.counted, reads=reads)
    table = table_of(ViewState(), counted, None, Names())
    rows = {row.name: row for row in table.below}
    assert list(rows) == below
    assert rows["total"].values["blocks_read"] == total == total_cost(counted).blocks
    assert rows["total"].is_uncertain == (reads.blocks is None)
    assert Pulse.of(replace(interval, counted=counted)).blocks_per_s == total
    shares = [row.share or 0.0 for row in (*table.rows, *table.below) if row.name != "total"]
    assert sum(shares) == pytest.approx(total / max(total, 6))
    others = below[below.index("total") + 1 :]
    assert all(rows[name].share is None for name in others)


def test_a_session_counts_a_loss_once_and_a_baseline_after_its_reads_leaves_it_out() -> None:
    read = ServerReads(976, in_transit_blocks=970)
    settles = ServerReads(
        6, in_transit_blocks=-970, earlier_blocks=970, earlier_since=at(0), earlier_until=at(1)
    )
    for first, total in ((0, 6 + 6 + 970), (1, 6)):
        session = WatchSession(Names())
        for number, reads in list(enumerate((read, settles)))[first:]:
            interval = moment(number, 4)
            assert interval.counted is not None
            counted = replace(interval.counted, reads=reads, since=at(number))
            session.absorb(replace(interval, counted=counted, reads=reads))
            assert Pulse.of(replace(interval, counted=counted)).blocks_per_s == 6
        whole = session.counted(whole=True)
        assert total_cost(whole).blocks == total
        assert session.coverage == 6 * (2 - first) / total


def test_the_last_intervals_of_a_row_and_of_all() -> None:
    session = WatchSession(Names())
    for number in range(3):
        session.absorb(moment(number, 4))
    past = session.past(By.STATEMENT, ("3", "5", "10"))
    assert (past.blocks_per_s, past.calls_per_s) == ((3.0,) * 3, (2.0,) * 3)
    assert past.ends == tuple(at(n + 1) for n in range(3))
    assert session.past().blocks_per_s == (6.0,) * 3


def test_a_baseline_is_ours_and_hidden_statements_are_not_lost() -> None:
    session = WatchSession(Names())
    session.absorb(moment(0, 4))
    session.begin()
    assert (session.counted(whole=True), session.coverage, session.seconds) == (None, None, 0.0)
    hidden = moment(1, 3)
    assert hidden.counted is not None
    object.__setattr__(hidden.counted, "statements", [(10, 5, None)] * 3)
    session.absorb(hidden)
    whole = session.counted(whole=True)
    assert whole is not None
    assert rank_totals([(whole, Names())]).explained.blocks == 3


def test_an_hour_of_seconds_takes_no_more_memory_than_its_first_minutes() -> None:
    session = WatchSession(Names())
    for number in range(KEPT + 10):
        session.absorb(moment(number))
    tracemalloc.start()
    try:
        for number in range(KEPT + 10, 3600):
            session.absorb(moment(number))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What is traced has taken the place of what was there before.
    assert grown < KEPT * STATEMENTS * 12 + 1_000_000
    assert session.seconds == timedelta(hours=1).total_seconds()
