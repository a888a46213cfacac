"""The terminal application: played from recorded intervals, and its screen as text."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from textual.pilot import Pilot

from pgiostat.errors import PgiostatError
from pgiostat.postgres.sampler import IntervalResult
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.interval import Interval, interval_of
from pgiostat.watch.model.session import WatchSession
from pgiostat.watch.sources.source import IntervalSource
from tests.support.readings import at, reading

HOSTILE = 'select "\x1b[2J[red]数据库\u202e" from 🐘'
RELID = 20_000
MANIFEST = Statement(
    "select id from t where c = ?",
    "1:02",
    "manifest",
    action="select t",
    table_read="t",
    tag="basket",
)
NAMES = Names(
    statements={
        (10, 5, 1): Statement(
            "select max(v) from t", "1:01", "version", action="select t", table_read="t"
        ),
        (10, 5, 2): MANIFEST,
        (20, 5, 2): MANIFEST,
        (10, 5, 3): Statement(HOSTILE, "1:03", "other", action="select 🐘", table_read="🐘"),
    },
    databases={5: "app"},
    roles={10: "api", 20: "batch"},
    relations={RELID: (RELID, "public", "t", "heap")},
)
INTERVALS = 3
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def snapshots(count: int) -> list[Snapshot]:
    """Return readings ten seconds apart, in each of which three statements read."""
    found = []
    for number in range(count):
        rows: list[dict[str, Any]] = [
            {"queryid": 1, "calls": 10 * number, "shared_blks_read": 1000 * number},
            {"queryid": 2, "calls": 30 * number, "shared_blks_read": 400 * number},
            {"queryid": 2, "userid": 20, "calls": number, "shared_blks_read": 100 * number},
            {"queryid": 3, "calls": number, "shared_blks_read": 50 * number},
        ]
        for row in rows:
            row["stats_since"] = at(-100)
        found.append(
            reading(
                10 * number,
                rows,
                databases=[{"datid": 5, "blks_read": 1600 * number}],
                relations=[{"relid": RELID, "blks_read": 1500 * number}],
            )
        )
    return found


class Told:
    """A feed of what was read before; it waits to be told before each further moment."""

    def __init__(self, count: int = 4, error: PgiostatError | None = None) -> None:
        self.session = WatchSession(NAMES)
        self.interval = 2.0
        self.error = error
        self.fails = False
        read = snapshots(count)
        deltas = [diff(None, read[0]), *(diff(a, b) for a, b in itertools.pairwise(read))]
        self._moments = [interval_of(IntervalResult(delta), NAMES) for delta in deltas]
        self.go = Event()
        self.further: list[Interval] = []

    def intervals(self, stop: Event) -> Iterator[Interval]:
        yield from self._moments
        while not stop.wait(0.01):
            if self.go.is_set():
                self.go.clear()
                yield from self.further
                if self.error is not None:
                    raise self.error


def shown(app: WatchApp) -> list[str]:
    """Return the lines of the screen."""
    return ["".join(text for text, _ in line).rstrip() for line in app.picture.lines]


def screen(app: WatchApp) -> list[str]:
    """Return all lines that a person sees: the page, the line typed in, what is said, the keys."""
    compositor = app.screen._compositor
    pages = [page._compositor for page in app.screen_stack if page.is_attached]
    lines = [strip.text.rstrip() for strip in compositor.render_strips()]
    if app.screen.is_modal:
        below = [strip.text.rstrip() for strip in pages[0].render_strips()]
        lines = [line or under for line, under in zip(lines, below, strict=True)]
    return lines


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(1000):
        if holds():
            return
        await pilot.pause(0.01)
    pytest.fail("it never came")


Script = Callable[[WatchApp, Pilot[None]], Coroutine[Any, Any, None]]


def play(
    script: Script,
    size: tuple[int, int] = (80, 24),
    feed: IntervalSource | None = None,
    **options: Any,
) -> WatchApp:
    """Run a session on a terminal of a size, from the third interval on."""
    app = WatchApp(feed or Told(), clock=lambda: NOW, **options)

    async def sit() -> None:
        async with app.run_test(size=size) as pilot:
            for _ in range(500):
                if app.watch_session.shown >= INTERVALS:
                    break
                await pilot.pause(0.01)
            await pilot.pause()
            await script(app, pilot)

    asyncio.run(sit())
    return app
