"""The key `!` of the demo: a list of incidents, caused and taken back."""

from textual.pilot import Pilot

from pgiostat.errors import PgiostatError
from pgiostat.lab.faults.incident import WorkloadIncident
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.interval import Interval
from tests.support.screens import Told, play, screen, shown, until

HINTS = (
    "a line that is too long for a screen of eighty columns and so gives way to the other of them",
    "a short line",
)


class Incidents:
    """Two incidents, of which none reaches a server."""

    incidents = (
        WorkloadIncident("index dropped", "the index on order_items(order_id) is gone"),
        WorkloadIncident("skip bug", "nothing is skipped"),
    )

    def __init__(self, active: str = "") -> None:
        self.active = active

    def is_running(self) -> bool:
        return self.active != "ended"

    def switch(self, name: str) -> None:
        self.active = name

    def hints(self) -> tuple[str, ...]:
        return HINTS


def test_the_key_lists_incidents_causes_one_and_takes_it_back() -> None:
    incidents = Incidents()

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("exclamation_mark")
        await pilot.pause()
        listed = "\n".join(screen(app))
        assert "1  index dropped" in listed
        assert "the index on order_items(order_id) is gone" in listed
        assert "2  skip bug" in listed
        assert "One is in force at a time: another one takes its place." in listed
        assert "in force: select it" not in listed
        await pilot.press("down", "enter")
        await pilot.pause()
        assert incidents.active == "skip bug"
        assert "caused: skip bug; it shows within seconds" in "\n".join(screen(app))
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert "skip bug  in force: select it to take it back" in "\n".join(screen(app))
        await pilot.press("1")
        assert incidents.active == "index dropped"
        assert "caused: index dropped in place of skip bug; it shows" in "\n".join(screen(app))
        await pilot.press("exclamation_mark", "3", "1")
        await pilot.pause()
        assert incidents.active == ""
        assert "taken back: index dropped" in "\n".join(screen(app))
        await pilot.press("exclamation_mark", "escape")
        assert incidents.active == ""

    play(script, incidents=incidents)


def test_the_line_below_the_table_is_the_longest_that_fits() -> None:
    found = []

    async def script(app: WatchApp, _pilot: Pilot[None]) -> None:
        found.append(shown(app)[-1])

    play(script, (80, 24), incidents=Incidents())
    play(script, (100, 24), incidents=Incidents())
    play(script, (80, 24))
    assert found[:2] == [HINTS[1], HINTS[0]]
    assert found[2] not in HINTS


def test_a_session_without_incidents_has_no_key_for_them() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert len(app.screen_stack) == 1
        await pilot.press("question_mark")
        await pilot.pause()
        assert "cause an incident" not in "\n".join(screen(app))

    play(script)


def test_a_screen_that_outlives_its_demo_says_so_and_causes_no_incident() -> None:
    feed = Told()
    lost = PgiostatError("connection to the server was lost", slug="connection-lost")
    feed.further = [Interval(error=lost, retry_seconds=2.0)]
    incidents = Incidents()

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        feed.go.set()
        await until(pilot, lambda: app.watch_session.trouble is not None)
        await pilot.pause()
        assert shown(app)[2] == "! connection to the server was lost, retrying in 2 s"
        assert shown(app)[-1] == HINTS[1]
        incidents.active = "ended"
        app.draw()
        assert shown(app)[2] == "! the demo has ended; q quits"
        assert [line for line in shown(app) if "retrying" in line or line in HINTS] == []
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert len(app.screen_stack) == 1

    play(script, feed=feed, incidents=incidents)


def test_the_help_of_the_demo_has_the_key() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert "cause an incident, to be found on the screen, or take it back" in "\n".join(
            screen(app)
        )

    play(script, (100, 24), incidents=Incidents())
