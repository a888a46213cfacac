"""A history on the screen of watch: the same lines, played, paused and sought."""

from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pgiostat.analysis.rank import By, rank_totals
from pgiostat.cli.histories import RulesChoice
from pgiostat.cli.watch_screen import judge_by
from pgiostat.errors import PgiostatError
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.queries.describe import describer
from pgiostat.statistics.row_deltas import Basis
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.session import WatchSession
from pgiostat.watch.screen.statement_page import StatementPage
from pgiostat.watch.sources.replay import ReplaySource
from tests.support.program import pgiostat
from tests.support.screens import play, screen, shown, until

SAMPLE = Path(__file__).parents[2] / "sample_data" / "history"


def history() -> History:
    return History.open(SAMPLE)


def replay(minutes: float = 60.0) -> ReplaySource:
    """Return the first minutes of the sample, played as fast as it can be."""
    opened = history()
    (server,) = opened.servers()
    until = min(server.since + timedelta(minutes=minutes), server.until)
    return ReplaySource(opened, describer(), Window(server.since, until, ""), interval=0.01)


def test_all_intervals_are_shown_once_and_add_up_to_the_report() -> None:
    feed = replay(2)
    stop = Event()
    for moment in feed.intervals(stop):
        feed.session.absorb(moment)
        if feed.position[0] == feed.position[1]:
            stop.set()
    whole = feed.session.counted(whole=True)
    assert whole is not None
    opened = history()
    (server,) = opened.servers()
    seen = opened.totals(Window(server.since, server.since + timedelta(minutes=2)), By.STATEMENT)
    (expected,) = seen.counted.values()
    found, told = (
        rank_totals([(each, feed.session.names)], by=By.STATEMENT) for each in (whole, expected)
    )
    assert [(row.key, row.cost) for row in found.rows] == [(row.key, row.cost) for row in told.rows]
    assert found.server_blocks == told.server_blocks
    assert found.seconds == pytest.approx(told.seconds)
    assert found.lines == told.lines


def test_time_goes_back_and_to_where_it_is_told() -> None:
    feed = replay()

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        await pilot.pause(0.3)
        place = feed.position[0]
        count = feed.position[1]
        assert shown(app)[0] == "pgiostat  demo  PostgreSQL 18.6 primary  10.0 s  ok  preset sync"
        until_ = feed.started(place - 1) + timedelta(seconds=10)
        # The keys have room beside an interval with one digit: how far it came by now varies.
        assert shown(app)[1].removesuffix("  ←→ seek, g: go to a time") == (
            f"REPLAY PAUSED {until_:%Y-%m-%d %H:%M:%SZ}  interval {place}/{count}"
            "  0.01 s per interval"
        )
        await pilot.pause(0.3)
        assert feed.position[0] == place
        await pilot.press("right")
        await until(pilot, lambda: feed.position[0] == place + 1)
        await pilot.press("left")
        await until(pilot, lambda: feed.position[0] == place)
        later = feed.started(0) + timedelta(minutes=40)
        await pilot.press("g", *f"{later:%H:%M}", "enter")
        await until(pilot, lambda: feed.position[0] > place + 1)
        await pilot.pause(0.1)
        moment = app.watch_session.latest
        assert moment is not None
        assert moment.since is not None
        assert abs((moment.since - later).total_seconds()) < 60
        await pilot.press("g", *"never", "enter")
        await pilot.press(*["backspace"] * 5, *"[/b]", "enter")
        await pilot.pause()
        assert feed.started(feed.position[0] - 1) == moment.since
        assert app.query_one("#jump", Input).value == "[/b]"
        assert "[/b]" in screen(app)[-2]
        await pilot.press("escape", "g", *"2020-01-01", "enter")
        await until(pilot, lambda: feed.position[0] == 1)
        await pilot.pause()
        assert screen(app)[-1].strip() == (
            f"the replay begins at {feed.started(0):%Y-%m-%d %H:%M:%SZ}"
        )
        await pilot.press("g", *"2030-01-01", "enter")
        await until(pilot, lambda: feed.position[0] == count)
        await pilot.pause()
        assert screen(app)[-1].strip().startswith("the replay ends at ")
        assert shown(app)[1].startswith("REPLAY END 2026-11-23 ")
        await pilot.press("g", "escape")
        assert not app.query_one("#jump", Input).has_class("open")

    play(script, (100, 20), feed)


def absorbed(feed: ReplaySource, *places: int) -> WatchSession:
    """Show intervals, wherever they are, and return what is known then."""
    for place in places:
        stop = Event()
        feed.seek(place + 1 - feed.position[0])
        for moment in feed.intervals(stop):
            feed.session.absorb(moment)
            stop.set()
    return feed.session


def told(session: WatchSession) -> tuple[object, ...]:
    """Return what depends on what was before."""
    whole = session.counted(whole=True)
    assert whole is not None
    ranking = rank_totals([(whole, session.names)], by=By.STATEMENT)
    past = session.past()
    return (
        session.coverage, session.seconds, session.began, session.qualities,
        [(row.key, row.cost) for row in ranking.rows], ranking.lines, ranking.server_blocks,
        past.begins, past.ends, [round(each) for each in past.blocks_per_s],
    )  # fmt: skip


def test_what_is_shown_does_not_depend_on_how_one_came_there() -> None:
    straight = told(absorbed(replay(), *range(30)))
    assert told(absorbed(replay(), 0, 1, 29)) == straight
    assert told(absorbed(replay(), *range(40), 5, 29)) == straight
    assert told(absorbed(replay(), *range(31), 29)) == straight


def test_the_basis_of_a_statement_is_that_of_the_history() -> None:
    feed = replay()
    stop = Event()
    moment = next(iter(feed.intervals(stop)))
    opened = history()
    (server,) = opened.servers()
    window = Window(server.since, server.since + timedelta(seconds=1))
    rows = opened.facts("stmt", window, [server.server_id]).to_pylist()
    assert moment.bases == {
        (row["userid"], row["dbid"], row["queryid"]): Basis(row["basis"])
        for row in rows
        if row["basis"]
    }
    assert Basis.NEW in moment.bases.values()


def test_a_statement_is_printed_once_on_its_page() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "1", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, StatementPage))
        await pilot.pause()
        assert sum(line.startswith("SELECT max(row_version)") for line in screen(app)) == 1
        # A number is never cut or broken.
        queryid = str(app.screen._row.queryid)  # type: ignore[attr-defined] # it is a Detail
        assert any(line.endswith(queryid) for line in screen(app))
        assert any("-newest (preset sync" in line for line in screen(app))

    play(script, (80, 60), replay(1), judge=judge_by(RulesChoice()))


def test_what_cannot_be_replayed_is_said(tmp_path: Path) -> None:
    opened = history()
    (server,) = opened.servers()
    early = Window(server.since - timedelta(days=2), server.since - timedelta(days=1))
    with pytest.raises(PgiostatError) as raised:
        ReplaySource(opened, describer(), early)
    assert raised.value.slug == "window-empty"
    done = pgiostat("watch", "--replay", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        2, "pgiostat: error: --replay is for a session on a terminal\n",
    )  # fmt: skip
    done = pgiostat("watch", "dbname=x", "--once", "--theme", "nord")
    assert (done.returncode, done.stderr) == (
        2, "pgiostat: error: --theme is for a session on a terminal\n",
    )  # fmt: skip
    done = pgiostat("watch", "dbname=x", "--last", "1h", "--once")
    assert (done.returncode, done.stderr) == (
        2, "pgiostat: error: --since, --until and --last select the time window of --replay\n",
    )  # fmt: skip
