"""Blocks in transit in a history: the numbers of each interval are those that it had live."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event

import pandas as pd
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
from pgiostat.statistics.delta import Delta, Earlier
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
    expected_lines = {
        account.value: sum(tick.get(account.value, 0) for tick in ticks)
        for account in (LedgerLine.CATALOGS, LedgerLine.IN_TRANSIT, LedgerLine.UNATTRIBUTED)
    }
    # What was read within the window is not earlier.
    expected_lines["unattributed"] += sum(tick.get("earlier", 0) for tick in ticks)
    assert lines(rank_totals(totals.parts(names))) == expected_lines
    assert lines(rank(live, KNOWN)) == expected_lines
    steps = series_report(history, window, describer(), timedelta(seconds=SECONDS)).steps
    assert [lines(step.ranking) for step in steps] == ticks


def test_a_loss_is_shown_when_it_has_lasted_with_the_time_of_its_reads(
    recorded: tuple[list[Delta], History, Path],
) -> None:
    live, _, _ = recorded
    rankings = [rank([delta], KNOWN) for delta in live]
    # Read in the interval before; two intervals must agree that it lasts.
    assert [n for n, ranking in enumerate(rankings) if ranking.earlier is not None] == [FAILED]
    line = rankings[FAILED].earlier
    assert line is not None
    assert LOST - 1000 <= line.blocks <= LOST + 1000
    assert (line.since, line.until) == (at((FAILED - 1) * SECONDS), at(FAILED * SECONDS))
    # What a loss leaves, 395 blocks of 20,000, settles slowly: 4 % of the reads at most.
    unattributed = [ranking.unattributed or 0 for ranking in rankings]
    assert [blocks for blocks in unattributed if not -10 <= blocks <= 40] == []
    # Neither the interval of the reads nor that of the settlement has 20,000 blocks too many.
    assert [ranking.total for ranking in rankings if not 990 <= ranking.total <= 1050] == []


@pytest.mark.parametrize("first", [0, FAILED - 1, FAILED, FAILED + 1])
@pytest.mark.parametrize("last", [FAILED, FAILED + 1, COUNT])
def test_each_window_counts_a_loss_once(
    recorded: tuple[list[Delta], History, Path], first: int, last: int
) -> None:
    if first >= last:
        return
    live, history, _ = recorded
    window = Window(at(first * SECONDS), at(last * SECONDS))
    totals = history.totals(window)
    ranking = rank_totals(totals.parts(history.names(describer())))
    some = live[first:last]
    assert ranking.explained.blocks + sum(lines(ranking).values()) == ranking.server_blocks
    assert lines(rank(some, KNOWN)) == lines(ranking)
    is_whole = first < FAILED < last
    earlier = (live[FAILED].earlier or Earlier(0)).blocks
    ticks = sum(rank([delta], KNOWN).total for delta in some)
    assert ranking.total == ticks + earlier * is_whole
    assert (ranking.earlier is not None) == (first == FAILED < last)
    assert totals.sampled.coverage == pytest.approx(ranking.explained.blocks / ranking.total)
    step = series_report(history, window, describer(), timedelta(seconds=3 * SECONDS)).steps
    assert sum(each.ranking.server_blocks or 0 for each in step) == ranking.server_blocks
    for each in step:
        begin = round((each.since - at(0)).total_seconds() / SECONDS)
        end = round((each.until - at(0)).total_seconds() / SECONDS)
        assert lines(each.ranking) == lines(rank(live[begin:end], KNOWN))


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
    earlier = [None if each.earlier is None else each.earlier.blocks for each in live]
    assert [None if pd.isna(n) else n for n in samples["earlier_blocks"]] == earlier
    assert samples["earlier_since"].dropna().tolist() == [at((FAILED - 1) * SECONDS)]
    assert samples["earlier_until"].dropna().tolist() == [at(FAILED * SECONDS)]
    assert samples["settled_catalog_blocks"].tolist() == [delta.settled_catalogs for delta in live]
    assert samples["coverage"].tolist() == pytest.approx([coverage_of(delta) for delta in live])
