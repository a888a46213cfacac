"""Blocks in transit in a history: the numbers of each interval are those that it had live."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from pgiostat.analysis.in_transit import InTransit
from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.rank import Ranking, rank, rank_totals
from pgiostat.analysis.server_reads import coverage_of
from pgiostat.dataframes import open_history
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.reports.series import series_report
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.watch.sources.replay import ReplaySource
from tests.support.histories import KNOWN, write
from tests.support.readings import at, reading

LATE = (0, 400, 900, 100, 0, 700, 700, 0, 0, 300)
"""Blocks that statements have counted and the server has not, at the end of each interval."""
SECONDS = 10.0
COUNT, FAILED, LOST = 40, 20, 20_000


def deltas() -> list[Delta]:
    """Return intervals of a server that counts late; one statement fails."""
    readings = []
    for n in range(COUNT + 1):
        read = 1000 * n
        readings.append(
            reading(
                n * SECONDS,
                [{"queryid": 1, "calls": n, "shared_blks_read": read}],
                databases=[
                    {"datid": 5, "blks_read": read - LATE[n % 10] + 2 * n + LOST * (n >= FAILED)}
                ],
                relations=[{"relid": 1259, "blks_read": 3 * n}],
            )
        )
    state, found = InTransit(), []
    for delta in (diff(a, b) for a, b in pairwise(readings)):
        state, settlement = state.advance(delta)
        assert settlement is not None
        found.append(settlement.applied(delta))
    return found


def lines(ranking: Ranking) -> dict[str, int]:
    """Return the blocks of each line."""
    return {line.account.value: line.blocks for line in ranking.lines}


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[list[Delta], History, Path]:
    live = deltas()
    write(tmp_path / "history", live)
    return live, History.open(tmp_path / "history"), tmp_path / "history"


def test_each_interval_has_the_lines_and_the_coverage_that_it_had_live(
    recorded: tuple[list[Delta], History, Path],
) -> None:
    live, history, _ = recorded
    window = Window(at(0), at(COUNT * SECONDS))
    names = history.names(describer())
    for number, delta in enumerate(live):
        totals = history.totals(Window(at(number * SECONDS), at((number + 1) * SECONDS)))
        ranking = rank_totals(totals.parts(names))
        expected = rank([delta], KNOWN)
        assert lines(ranking) == lines(expected)
        assert (ranking.whole, totals.sampled.coverage) == (expected.whole, coverage_of(delta))
    ticks = [lines(rank([delta], KNOWN)) for delta in live]
    totals = history.totals(window)
    assert lines(rank_totals(totals.parts(names))) == {
        account.value: sum(tick.get(account.value, 0) for tick in ticks)
        for account in (LedgerLine.CATALOGS, LedgerLine.IN_TRANSIT, LedgerLine.UNATTRIBUTED)
    }
    steps = series_report(history, window, describer(), timedelta(seconds=SECONDS)).steps
    assert [lines(step.ranking) for step in steps] == ticks


def test_a_loss_is_unattributed_when_it_has_lasted_and_nothing_else_is(
    recorded: tuple[list[Delta], History, Path],
) -> None:
    live, _, _ = recorded
    unattributed = [rank([delta], KNOWN).unattributed or 0 for delta in live]
    shown = max(range(COUNT), key=unattributed.__getitem__)
    # Read in the twentieth interval; two intervals must agree that it lasts.
    assert shown == FAILED
    assert LOST - 1000 <= unattributed[shown] <= LOST + 1000
    others = [blocks for n, blocks in enumerate(unattributed) if n != shown]
    # What a loss leaves, 395 blocks of 20,000, settles slowly: 4 % of the reads at most.
    assert [blocks for blocks in others if not -10 <= blocks <= 40] == []


def test_a_replay_has_the_coverage_of_the_report(
    recorded: tuple[list[Delta], History, Path],
) -> None:
    live, history, _ = recorded
    window = Window(at(0), at(COUNT * SECONDS))
    feed = ReplaySource(history, describer(), window, interval=0.01)
    stop = Event()
    found = []
    for interval in feed.intervals(stop):
        feed.session.absorb(interval)
        found.append(interval.coverage)
        if len(found) == COUNT:
            stop.set()
    assert found == [coverage_of(delta) for delta in live]
    whole = history.totals(window).sampled.coverage
    assert feed.session.coverage == pytest.approx(whole)


def test_frames_have_the_columns_and_the_coverage(
    recorded: tuple[list[Delta], History, Path],
) -> None:
    live, _, root = recorded
    samples = open_history(root).samples()
    assert samples["in_transit_blocks"].tolist() == [delta.in_transit for delta in live]
    assert samples["settled_catalog_blocks"].tolist() == [delta.settled_catalogs for delta in live]
    assert samples["coverage"].tolist() == pytest.approx([coverage_of(delta) for delta in live])
