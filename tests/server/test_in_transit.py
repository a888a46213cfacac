"""Reads in transit on a real server: no alarm in the first seconds, and a loss is shown in time."""

from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

import psycopg

from pgiostat.analysis.ledger import LedgerLine
from pgiostat.analysis.notices import notices
from pgiostat.analysis.rank import Ranking, rank, rank_totals
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.writer import Writer
from pgiostat.postgres.sampler import Sampler
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Delta
from tests.support.syncing import syncing
from tests.support.workloads import client, fill

SHOWN_SECONDS = 15.0
GIVEN_UP_SECONDS = 40.0


def blocks(ranking: Ranking) -> dict[str, int]:
    """Return the blocks of each line of a ledger."""
    return {line.account.value: line.blocks for line in ranking.lines}


def test_a_load_in_its_first_seconds_is_in_transit_and_a_history_has_the_same(
    database: str, tmp_path: Path
) -> None:
    writer = Writer.open(tmp_path / "history", "test")
    live: list[tuple[Delta, Ranking]] = []

    def recorded(delta: Delta) -> bool:
        if delta.seconds is not None:
            writer.append(delta, sampler.names)
        return True

    sampler = Sampler(database, 0.5, describer(), Event().wait, label="test", on_interval=recorded)
    with syncing(database):
        for _, result in zip(range(9), sampler.intervals(), strict=False):
            delta = result.delta
            assert delta is not None
            if delta.seconds is not None:
                ranking = rank([delta], sampler.names)
                live.append((delta, ranking))
                # A busy machine may delay a snapshot.
                assert [each for each in notices(delta, ranking) if each.slug != "gap"] == []
    writer.close()
    assert sum(ranking.explained.blocks for _, ranking in live) > 1000
    history = History.open(tmp_path / "history")
    names = history.names(describer())
    for delta, ranking in live:
        found = blocks(ranking)
        assert found[LedgerLine.IN_TRANSIT.value] == delta.in_transit
        assert found[LedgerLine.UNATTRIBUTED.value] <= 0
        assert ranking.explained.blocks + sum(found.values()) == ranking.server_blocks
        assert delta.since is not None
        totals = history.totals(Window(delta.since, delta.until))
        assert blocks(rank_totals(totals.parts(names))) == found


def test_a_failed_statement_is_shown_within_fifteen_seconds(database: str) -> None:
    with client(database) as other:
        fill(other, "big", 120_000)
    sampler = Sampler(database, 0.5, describer(), Event().wait)
    ended, found, texts = 0.0, [0], [""]
    for result in sampler.intervals():
        delta = result.delta
        assert delta is not None
        if delta.seconds is None:
            with client(database) as failing, suppress(psycopg.errors.DivisionByZero):
                failing.execute("SET max_parallel_workers_per_gather = 0")
                failing.execute("SELECT 1 / (count(*) - count(*)) FROM big WHERE pad > ''")
            ended = monotonic()
            continue
        ranking = rank([delta], sampler.names)
        found.append(ranking.earlier_blocks or 0)
        # The blocks of the failed statement are in no interval's total.
        assert (ranking.unattributed or 0) < 1000
        assert ranking.total < 4000
        texts = [
            notice.text for notice in notices(delta, ranking) if notice.slug == "reads-unexplained"
        ]
        if texts or monotonic() - ended > GIVEN_UP_SECONDS:
            break
    assert monotonic() - ended <= SHOWN_SECONDS
    # Some 8,000 blocks, of which shared_buffers hold 2,000.
    assert found[-1] >= 4000
    assert [text.split("possible cause: ")[1] for text in texts] == [
        "failed or cancelled statements."
    ]
    assert all(earlier <= 0 for earlier in found[:-1])
