"""Watching for hours: the whole application on a server whose statements come and go."""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Iterator
from threading import Event

import pytest

from benchmarks.watch_load import CATEGORIES, World, watching
from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.rank import By, rank_totals
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.table import io_cost
from pgiostat.watch.sources.live import LiveSource
from pgiostat.watch.state import View, ViewState

pytestmark = pytest.mark.long

TICKS, STEADY, COLLECT_EVERY = 700, 450, 10
"""By then the plots are full, and most of what came has gone."""
PATIENCE_SECONDS = 300
"""A reading that fails again and again is tried again for as long."""
READ = FIELDS.index("shared_blks_read")


@pytest.fixture
def blocks() -> dict[int, int]:
    """Return how many blocks of memory there are, by turn."""
    return {}


@pytest.fixture
def feed(blocks: dict[int, int]) -> Iterator[LiveSource]:
    def begin(turn: int) -> None:
        # After many other tests the garbage collector seldom looks at everything by itself.
        if turn % COLLECT_EVERY == 0:
            gc.collect()
            blocks[turn] = sys.getallocatedblocks()

    world = World(TICKS, begin=begin)
    with watching(world) as made:
        yield made


def test_what_goes_is_forgotten_and_the_sums_since_the_beginning_stay_right(
    feed: LiveSource, blocks: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_category: Counter[str] = Counter()
    of_relations = 0
    read = feed.intervals

    def counting(stop: Event) -> Iterator[Interval]:
        nonlocal of_relations
        for moment in read(stop):
            if moment.counted is not None:
                amounts = moment.counted.statement_amounts[READ].tolist()
                for (_, _, queryid), each in zip(moment.counted.statements, amounts, strict=True):
                    by_category[CATEGORIES[(queryid or 0) % len(CATEGORIES)]] += each
                of_relations += int(moment.counted.relation_amounts[READ].sum())
            yield moment

    monkeypatch.setattr(feed, "intervals", counting)
    app = WatchApp(feed, ViewState(view=View.STATEMENT))

    async def sit() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), app.run_test(size=(80, 24)) as pilot:
            while app.watch_session.shown < TICKS:
                await pilot.pause(0.05)
            await pilot.press("1", "a")
            shown = {row.name: row.values["blocks_read"] for row in app.table.rows}
            assert shown == by_category

    asyncio.run(sit())

    whole = app.watch_session.counted(whole=True)
    assert whole is not None
    assert io_cost(whole).blocks == by_category.total()
    parts = [(whole, app.watch_session.names)]
    for by in (By.FINGERPRINT, By.STATEMENT, By.DATABASE, By.USER):
        rows = rank_totals(parts, by=by).rows
        assert sum(row.cost.blocks for row in rows) == by_category.total(), by
    rows = rank_totals(parts, by=By.RELATION).rows
    assert sum(row.cost.blocks for row in rows) == of_relations
    assert (len(whole.statements), len(app.watch_session.names.statements)) < (5_000, 8_000)
    half = (STEADY + TICKS) // 2
    earlier = [count for turn, count in blocks.items() if STEADY <= turn < half]
    later = [count for turn, count in blocks.items() if turn >= half]
    grown = max(later) - max(earlier)
    assert grown < 10_000
