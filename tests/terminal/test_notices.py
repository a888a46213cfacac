"""Notices stay in their place, in whole sentences, long enough to be read."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from pgiostat.analysis.notices import Notice, NoticeKind
from pgiostat.errors import PgiostatError
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.interval import Interval
from pgiostat.watch.screen.notices import NoticeBoard, Posted
from pgiostat.watch.state import View, ViewState
from tests.support.readings import at
from tests.support.screens import NOW, Told, play, shown, until

RESET = Notice("reset", "Statistics were reset: what was counted before that is lost.",
               kind=NoticeKind.HAPPENED)  # fmt: skip
OFF = Notice(
    "io-timing-off",
    "track_io_timing is off: read times are unknown, the ranking is by blocks.",
    "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
)
UNREAD = Notice("text-missing", "Texts have not been read yet.", kind=NoticeKind.PASSING)


def board(*said: tuple[int, tuple[Notice, ...]]) -> NoticeBoard:
    """Return what is posted after intervals that end at these seconds."""
    found = NoticeBoard()
    for seconds, notices in said:
        found = found.after(Interval(until=at(seconds), notices=notices))
    return found


def test_what_happened_stays_ten_minutes_and_what_held_one() -> None:
    assert board((0, (OFF, RESET)), (60, ())).posted == (
        Posted(RESET, at(0), is_now=False), Posted(OFF, at(0), is_now=False),
    )  # fmt: skip
    assert board((0, (OFF, RESET)), (61, ())).posted == (Posted(RESET, at(0), is_now=False),)
    assert board((0, (OFF, RESET)), (601, ())).posted == ()


def test_a_notice_keeps_its_place_when_it_comes_again() -> None:
    low = Notice("coverage-low", "So far statements explain only 50 % of the server's reads.")
    both = board((0, (OFF,)), (1, (low,)), (2, (low, OFF)))
    assert [each.notice.slug for each in both.posted] == ["io-timing-off", "coverage-low"]
    assert all(each.is_now for each in both.posted)


class Telling(Told):
    """A feed that has notices."""

    def tell(self, seconds: int, *notices: Notice, **others: object) -> None:
        """Let an interval come with these."""
        last = self._moments[-1]
        assert last.until is not None
        until_ = last.until + timedelta(seconds=seconds)
        self.further = [replace(last, until=until_, notices=notices, **others)]  # type: ignore[arg-type]
        self.go.set()


async def came(app: WatchApp, pilot: Pilot[None], feed: Telling) -> None:
    """Wait until what was told is shown."""
    (moment,) = feed.further
    await until(
        pilot, lambda: app.watch_session.latest is moment or app.watch_session.trouble is moment
    )
    await pilot.pause()


def test_what_passes_is_told_below_the_table_which_stays_where_it_is() -> None:
    feed = Telling()

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        for seconds in range(6):
            feed.tell(seconds, *(() if seconds % 2 else (UNREAD,)))
            await came(app, pilot, feed)
            assert app.picture.headings == 2
            assert shown(app)[-1].startswith("· Text" if seconds % 2 else "! Text")

    play(script, feed=feed)


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((40, 10), ["! 10:00:30Z Statistics were reset: what",
                    "  was counted before that is lost.",
                    "! track_io_timing is off: read times… ?"]),
        ((80, 24), [
            "! 10:00:30Z Statistics were reset: what was counted before that is lost.",
            "! track_io_timing is off: read times are unknown, the ranking is by blocks.",
            "  ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
        ]),
    ],
)  # fmt: skip
def test_notices_are_whole_sentences_as_far_as_there_is_room(
    size: tuple[int, int], told: list[str]
) -> None:
    feed = Telling()

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        feed.tell(0, OFF, RESET)
        await came(app, pilot, feed)
        assert shown(app)[2 : 2 + len(told)] == told
        assert app.picture.headings == 2 + len(told)
        assert all(cell_len(line) <= size[0] for line in shown(app))

    play(script, size, feed, state=ViewState(view=View.STATEMENT))


def test_the_time_until_it_is_tried_again_runs_down() -> None:
    feed = Telling()
    now: list[datetime] = [NOW]

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        app._clock = lambda: now[0]
        error = PgiostatError("connection to the server was lost", slug="connection-lost")
        feed.further = [Interval(error=error, retry_seconds=14.4)]
        feed.go.set()
        await came(app, pilot, feed)
        assert shown(app)[2].endswith("lost, retrying in 15 s")
        now[0] += timedelta(seconds=9)
        app.draw()
        assert shown(app)[2].endswith("lost, retrying in 6 s")
        now[0] += timedelta(seconds=9)
        app.draw()
        assert shown(app)[2].endswith("lost, retrying now")
        assert app._countdown is not None
        feed.tell(20)
        await came(app, pilot, feed)
        assert app._countdown is None

    play(script, feed=feed)
