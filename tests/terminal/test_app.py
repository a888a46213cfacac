"""The terminal application: every key, at every size, and nothing that acts in a text."""

import asyncio
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.syntax import Syntax
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Static

from pgiostat.analysis.plans import (
    NoPlan,
    PlanNode,
    RelationSize,
    StatementPlan,
    node_reads,
    shape_of,
)
from pgiostat.analysis.rank import By, rank_totals
from pgiostat.analysis.server_reads import ServerReads
from pgiostat.clock import Backoff
from pgiostat.errors import PgiostatError
from pgiostat.postgres.sampler import IntervalResult
from pgiostat.render.statement_names import distinguishable
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OTHER, OWN, Statement, StatementKey
from pgiostat.statistics.row_deltas import Basis
from pgiostat.volume.bucket import CreditBucket
from pgiostat.volume.models import volume_of
from pgiostat.watch import reader
from pgiostat.watch.app import WatchApp
from pgiostat.watch.model.interval import Interval, interval_of
from pgiostat.watch.model.session import RateHistory, WatchSession
from pgiostat.watch.screen.help import Help
from pgiostat.watch.screen.plot import _stretches
from pgiostat.watch.screen.rows import ReadOf
from pgiostat.watch.screen.statement_page import BASES, StatementPage
from pgiostat.watch.screen.table import io_cost
from pgiostat.watch.screen.themes import Themes
from pgiostat.watch.state import View, ViewState
from tests.support.screens import (
    HOSTILE,
    INTERVALS,
    MANIFEST,
    NAMES,
    NOW,
    Told,
    play,
    screen,
    shown,
    snapshots,
    until,
)


def keys(app: WatchApp) -> list[str]:
    """Return what the line of keys offers."""
    return [
        f"{app.get_key_display(each.binding)} {each.binding.description}"
        for each in app.screen.active_bindings.values()
        if each.binding.show
    ]


def head(app: WatchApp) -> list[str]:
    """Return the heading on the page of a statement."""
    console = Console(width=app.size.width, color_system=None)
    with console.capture() as captured:
        console.print(app.screen.query_one("#head", Static).content)
    return [line.rstrip() for line in captured.get().splitlines()]


def text_of(app: WatchApp) -> str:
    """Return the text on the page of a statement."""
    content = app.screen.query_one("#text", Static).content
    return content.code.rstrip() if isinstance(content, Syntax) else str(content)


def quality(app: WatchApp) -> list[str]:
    """Return how good the numbers of a statement are, on its page."""
    return page_numbers(app)[-4:]


def page_numbers(app: WatchApp) -> list[str]:
    """Return the lines of numbers on the page of a statement."""
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(app.screen.query_one("#numbers", Static).content)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def names(app: WatchApp) -> list[str]:
    """Return the rows of the table, in order."""
    return [row.name for row in app.table.rows]


FIRST = [
    "pgiostat  pgiostat@prod/app  PostgreSQL 18.4 primary  10:00:30Z  10.0 s  ok",
    "read 160 blocks/s ███  1.25 MiB/s  hit 0 % ▁▁▁  coverage 96.9 % ███",
    "category         share            blocks/s  r_await blocks/call  calls/s     hit",
    "version         62.5 % ██████▎         100        –         100     1.00   0.0 %",
    "manifest        31.2 % ███▏             50        –          16     3.10   0.0 %",
    "other            3.1 % ▎                 5        –          50     0.10   0.0 %",
    "unattributed     3.1 %                   5",
    "total          100.0 %                 160",
]


def test_the_first_screen_says_who_reads_and_all_of_it_adds_up() -> None:
    async def script(app: WatchApp, _: Pilot[None]) -> None:
        assert shown(app)[: len(FIRST)] == FIRST
        assert app.picture.rows[3:6] == (0, 1, 2)

    play(script)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
@pytest.mark.parametrize("view", list(View))
def test_no_line_is_wider_than_the_screen_and_rank_and_cost_stay(
    size: tuple[int, int], view: View
) -> None:
    async def script(app: WatchApp, _: Pilot[None]) -> None:
        lines = shown(app)
        assert all(cell_len(line) <= size[0] for line in lines)
        assert len(lines) <= size[1]
        assert "%" in lines[app.picture.headings + 1]

    if view is not View.IO:
        play(script, size, state=ViewState(view=view))


def test_what_reading_costs_the_server_is_told_below_the_table() -> None:
    known = {**NAMES.statements, (10, 5, 3): Statement("/* pgiostat */ select 1", "1:0", OWN)}
    feed = Told()
    feed.session = WatchSession(replace(NAMES, statements=known))

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        told = "pgiostat's own statements: 1 call, 0 ms, 50 blocks read"
        assert shown(app)[-1] == told
        await pilot.press("a")
        assert shown(app)[-1] == told.replace("1 call,", "3 calls,").replace("50", "150")
        await pilot.press("6")
        assert not any(line.startswith("pgiostat's own") for line in shown(app)[1:])

    play(script, feed=feed)


def test_reads_of_no_category_have_a_line_below_the_table() -> None:
    known = {ids: replace(each, category=OTHER) for ids, each in NAMES.statements.items()}
    feed = Told()
    feed.session = WatchSession(replace(NAMES, statements=known))

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        text = "96.9 % matches no rule: key 2 shows the statements"
        assert shown(app)[-1] == text
        await pilot.resize_terminal(120, 24)
        assert shown(app)[-1] == f"{text}; pgiostat rules init writes rules for this application"
        await pilot.press("2")
        assert "matches no rule" not in "".join(shown(app))

    play(script, feed=feed)


def test_coverage_is_of_the_time_that_is_shown() -> None:
    feed = Told()
    last = feed._moments[-1]
    feed._moments[-1] = replace(last, statement_blocks=800, reads=ServerReads(1600))

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        assert "coverage 50.0 %" in shown(app)[1]
        await pilot.press("a")
        # Of 4,800 blocks statements explain 1,550 twice, and 800.
        assert "coverage 81.2 %" in shown(app)[1]
        await pilot.press("2", "enter")
        assert quality(app)[2] == "coverage 81.2 % of the server's reads since the baseline"

    play(script, feed=feed)


@pytest.mark.parametrize(
    ("volume", "low", "told"),
    [
        ("gp2:500", 0.5, ("160 blocks/s  1.25 MiB/s  coverage 96.9 %"
         "  gp2:500: 50.7 %, full in 33 min 5 s")),
        ("gp2:500", 0.42, ("160 blocks/s  coverage 96.9 %"
         "  gp2:500: 42.7 % to 50.7 %, full in 38 min 27 s")),
        ("gp3:500:6000", 0.5, ("160 blocks/s  coverage 96.9 %"
         "  gp3:500:6000: no I/O credits, 2.67 % of its limit")),
    ],
)  # fmt: skip
def test_coverage_stays_on_a_small_screen_beside_a_volume(
    volume: str, low: float, told: str
) -> None:
    feed = Told()
    feed.session.gauge = CreditBucket(volume_of(volume), low, 0.5)

    async def script(app: WatchApp, _: Pilot[None]) -> None:
        assert shown(app)[1] == told

    play(script, feed=feed)


def test_keys_choose_views_and_rows() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        found = {}
        for key in "12345678":
            await pilot.press(key)
            found[key] = (app.state.view, len(app.table.rows))
        assert found == {
            "1": (View.CATEGORY, 3), "2": (View.FINGERPRINT, 3), "3": (View.RELATION, 1),
            "4": (View.DATABASE, 1), "5": (View.USER, 2), "6": (View.IO, 0),
            "7": (View.VERB, 1), "8": (View.TABLE, 2),
        }  # fmt: skip
        await pilot.press("2", "s", "down", "down", "up", "j")
        assert (app.state.view, app.state.row) == (View.STATEMENT, 2)
        await pilot.press("end", "pagedown")
        assert app.state.row == 3
        await pilot.press("home", "k", "pageup")
        assert app.state.row == 0

    play(script)


def test_columns_are_sorted_by_reversed_and_scrolled() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        assert names(app) == ["version", "manifest", "other"]
        for _ in range(3):
            await pilot.press(">")
        assert app.state.sort == "blocks_read_per_call"
        assert "blocks/call▾" in shown(app)[2]
        assert names(app) == ["version", "other", "manifest"]
        await pilot.press("r")
        assert names(app) == ["manifest", "other", "version"]
        assert "blocks/call▴" in shown(app)[2]
        await pilot.press("r", "<", "<", "<", "<")
        assert app.state.sort == ""
        await pilot.press("]")
        assert shown(app)[2].split()[:3] == ["category", "share", "r_await"]
        assert "volume/s" in shown(app)[2]
        await pilot.press("[", "[")
        assert shown(app)[: len(FIRST)] == FIRST

    play(script)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
@pytest.mark.parametrize("view", [View.CATEGORY, View.STATEMENT, View.RELATION])
def test_what_is_sorted_by_is_shown_and_marked(size: tuple[int, int], view: View) -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        for measure in app.table.measures:
            await pilot.press(">")
            assert app.state.sort == measure.name
            assert f"{measure.heading}▾" in shown(app)[app.picture.headings]
        await pilot.press(*["]"] * len(app.table.measures))
        assert f"{app.table.measures[-1].heading}▾" in shown(app)[app.picture.headings]

    play(script, size, state=ViewState(view=view))


@pytest.mark.parametrize("size", [(40, 10), (80, 24)])
def test_all_columns_are_seen_while_sorted(size: tuple[int, int]) -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", *">>>>")
        # On the narrowest screen the name keeps its room until one scrolls.
        seen = {app.table.measures[0].name}
        for _ in app.table.measures:
            seen |= {name for name, _, _ in app.picture.measures}
            assert app.state.sort in {name for name, _, _ in app.picture.measures}
            await pilot.press("]")
        assert seen == {measure.name for measure in app.table.measures}

    play(script, size)


def test_the_heading_is_the_same_in_every_view() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        for key in "12345678":
            await pilot.press(key)
            assert shown(app)[:2] == FIRST[:2]

    play(script)


def test_where_one_has_gone_is_cut_to_the_screen_and_never_blank() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter", "enter")
        assert shown(app)[2] == "manifest > t · c = $ · id  2 of 4 rows"

    play(script, (40, 10))


def test_a_row_is_gone_into_down_to_the_statement_and_back() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter")
        assert (app.state.view, names(app)) == (View.FINGERPRINT, ["select id from t where c = ?"])
        assert shown(app)[2] == "manifest  1 of 3 rows"
        await pilot.press("enter")
        assert (app.state.view, len(app.table.rows)) == (View.STATEMENT, 2)
        assert [row.place for row in app.table.rows] == ["api@app", "batch@app"]
        await pilot.press("enter")
        assert isinstance(app.screen, StatementPage)
        assert text_of(app) == "SELECT id\nFROM t\nWHERE c = $1"
        await pilot.press("escape")
        assert app.state.view is View.STATEMENT
        await pilot.press("escape", "escape")
        assert (app.state.view, app.state.row, app.state.path) == (View.CATEGORY, 1, ())

    play(script)


class _Planning(Told):
    """A feed with a server that plans."""

    answer: StatementPlan | NoPlan = NoPlan("it runs in another database", "Connect there.")

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Sequence[StatementKey]] = []

    def plan(self, keys: Sequence[StatementKey]) -> StatementPlan | NoPlan:
        self.asked.append(keys)
        return self.answer


def _planned(feed: _Planning, size: tuple[int, int] = (100, 40)) -> str:
    """Return the plan on the page of a statement."""
    drawn: list[str] = []

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter", "enter", "enter")
        assert feed.asked == []
        await pilot.press("x")
        page = app.screen
        await until(pilot, lambda: isinstance(page, StatementPage) and page.has_plan)
        await pilot.pause()
        console = Console(width=size[0], file=io.StringIO(), highlight=False)
        console.print(page.query_one("#plan", Static).content)
        assert isinstance(console.file, io.StringIO)
        drawn.append(console.file.getvalue())

    play(script, size, feed=feed)
    return drawn[0]


def test_a_statement_is_planned_on_request() -> None:
    feed = _Planning()
    node = PlanNode(
        "Seq Scan", "public", "t", "t", rows=3.0, conditions=(("Filter", "(t.c = $1)"),)
    )
    limit = PlanNode("Limit", rows=3.0, children=(node,))
    sizes = {("public", "t"): RelationSize(7500, 300_000)}
    nodes = node_reads(limit, sizes)
    feed.answer = StatementPlan(nodes, shape_of(limit), "monitor", "app", "public")
    drawn = _planned(feed).replace(shape_of(limit), "SHAPE")
    assert drawn.splitlines() == PLANNED
    assert [[len(key) for key in keys] for keys in feed.asked] == [[3]]


PLANNED = [
    "",
    "plan                       rows blocks",
    "  Limit                       3      –",
    "  ▶ Seq Scan on t             3  7,500",
    "        Filter: (t.c = $1)",
    "plan: Seq Scan reads all 7,500 blocks of t, about 7,500 blocks per call",
    "  generic plan as monitor, search_path = public; the statement runs as app; shape SHAPE",
]


def test_what_has_no_plan_says_why() -> None:
    assert _planned(_Planning()).splitlines() == [
        "",
        "no plan: it runs in another database",
        "  Connect there.",
    ]


def test_without_a_server_there_is_no_key_for_plans() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter", "enter", "enter")
        assert "plan" not in " ".join(keys(app))
        await pilot.press("x")
        assert isinstance(app.screen, StatementPage)
        assert not app.screen.has_plan

    play(script)


def test_a_verb_and_a_table_are_gone_into_as_a_category_is() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("8")
        assert names(app) == ["t", "🐘"]
        await pilot.press("down", "enter")
        assert (app.state.view, names(app)) == (View.FINGERPRINT, [HOSTILE])
        await pilot.press("escape", "7")
        assert names(app) == ["select"]
        await pilot.press("enter")
        assert len(app.table.rows) == 3

    play(script)


def test_a_view_by_tag_is_there_if_a_tag_is_read() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("9")
        await pilot.pause()
        assert app.state.view is View.CATEGORY
        assert screen(app)[-1].strip() == (
            "no tag is read; start watch with --by tag:KEY, on a server"
        )
        app.state = replace(app.state, tag="controller")
        await pilot.press("9")
        assert (app.state.view, names(app)) == (View.TAG, ["(no tag)", "basket"])
        await pilot.press("down", "enter")
        assert (app.state.view, names(app)) == (View.FINGERPRINT, ["select id from t where c = ?"])
        await pilot.press("1", "9")
        assert (app.state.view, app.state.tag) == (View.TAG, "controller")

    play(script)


def test_a_filter_shows_what_matches_and_totals_stay() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "s", "slash", *"MANIF", "enter")
        assert [row.category for row in app.table.rows] == ["manifest", "manifest"]
        assert shown(app)[2] == "filter “MANIF” 2 of 4 rows"
        server = next(line for line in shown(app) if line.startswith("total"))
        assert server.split()[1:4] == ["100.0", "%", "160"]
        await pilot.press("escape")
        assert (app.state.filter, len(app.table.rows)) == ("", 4)
        await pilot.press("slash", "x", "escape")
        assert (app.state.filter, len(app.table.rows)) == ("", 4)

    play(script)


def test_pause_keeps_the_screen_and_reading_goes_on() -> None:
    feed = Told()
    feed.further = [interval_of(IntervalResult(diff(*snapshots(5)[3:])), NAMES)]

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        before = shown(app)
        assert "PAUSED" in before[0]
        feed.go.set()
        for _ in range(200):
            if app.watch_session.shown > INTERVALS:
                break
            await pilot.pause(0.01)
        await pilot.press("down", "up")
        assert app.watch_session.shown == INTERVALS + 1
        assert shown(app) == before
        (row, *_) = csv.DictReader(io.StringIO(app.as_csv()))
        assert (row["interval_start"], row["interval_end"]) == (
            "2026-11-23T10:00:20.000000Z", "2026-11-23T10:00:30.000000Z",
        )  # fmt: skip
        await pilot.press("a")
        assert "30.0 s since" in shown(app)[0]
        assert [row.values["calls"] for row in app.table.rows] == [30, 93, 3]
        await pilot.press("a", "2", "enter")
        assert head(app)[0] == before[0]
        assert app.session_view.past().ends[-1] == NOW + timedelta(seconds=30)
        await pilot.press("p")
        assert "10:00:40Z" in head(app)[0]
        assert app.session_view.past().ends[-1] == NOW + timedelta(seconds=40)

    play(script, feed=feed)


def test_the_cursor_follows_the_row_it_was_put_on_and_acts_on_no_other() -> None:
    feed = Told()
    before, changed = snapshots(5)[3:]
    rows = changed.statements
    rows["shared_blks_read"][rows["queryid"] == 3] += 100_000
    last = interval_of(IntervalResult(diff(before, changed)), NAMES)
    assert last.counted is not None
    kept = [place for place, ids in enumerate(last.counted.statements) if ids[2] != 1]
    without = replace(
        last.counted,
        statements=[last.counted.statements[place] for place in kept],
        statement_amounts=last.counted.statement_amounts[:, kept],
        statement_uncertain=[False] * len(kept),
    )

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "s", "down", "up")
        assert app.state.row == 0
        feed.further = [last]
        feed.go.set()
        await until(pilot, lambda: names(app)[0] == HOSTILE)
        assert (app.state.row, names(app)[1]) == (1, "select max(v) from t")
        await pilot.press("y")
        assert app.clipboard == "select max(v) from t /* queryid 1 */"
        feed.further = [replace(last, counted=without)]
        feed.go.set()
        await until(pilot, lambda: len(app.table.rows) == 3)
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(app.screen, StatementPage)
        assert screen(app)[-1].strip() == "the selected row had no activity in this interval"
        feed.further = [last]
        feed.go.set()
        await until(pilot, lambda: len(app.table.rows) == 4)
        await pilot.press("enter")
        assert text_of(app) == "SELECT max(v)\nFROM t"

    play(script, feed=feed)


def test_another_size_is_drawn_at_once() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        narrow = screen(app)
        await pilot.resize_terminal(200, 60)
        await pilot.pause()
        wide = screen(app)
        assert (len(wide), "user@database" in wide[2]) == (60, True)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert screen(app) == narrow
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert all(cell_len(line) <= 40 for line in shown(app))

    play(script, state=ViewState(view=View.STATEMENT))


def test_a_table_is_gone_into_for_its_statements_and_a_statement_for_its_tables() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("3", "enter")
        assert (app.state.view, names(app)) == (
            View.FINGERPRINT,
            ["select max(v) from t", "select id from t where c = ?"],
        )
        assert [row.read_of for row in app.table.rows] == [
            ReadOf(1000 / 1500, is_known=True),
            ReadOf(500 / 1500, is_known=True),
        ]
        assert app.table.explained == 1.0
        assert shown(app)[2] == "public.t  these statements explain 100 % of its reads"
        await pilot.press("down", "t")
        assert (app.state.view, names(app)) == (View.RELATION, ["public.t"])
        assert app.table.rows[0].read_of == ReadOf(500 / 1500, is_known=True)
        await pilot.press("escape", "escape")
        assert (app.state.view, app.state.path) == (View.RELATION, ())

    play(script)


def test_the_own_text_is_shown_and_copied_for_explain(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "SELECT id\n  FROM t WHERE c > now() - interval $1"
    monkeypatch.setitem(NAMES.statements, (10, 5, 2), replace(MANIFEST, own_text=own))

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        copied = "SELECT id   FROM t WHERE c > now() - $1::interval /* queryid 2 */"
        await pilot.press("2", "down", "y")
        assert app.clipboard == copied
        await pilot.press("s", "down", "enter")
        assert isinstance(app.screen, StatementPage)
        assert text_of(app) == "SELECT id\nFROM t\nWHERE c > now() - interval $1"
        app.copy_to_clipboard("")
        await pilot.press("y")
        assert app.clipboard == copied
        numbers = page_numbers(app)
        begin = numbers.index("table and its indexes of its reads")
        assert numbers[begin - 1 : begin + 3] == [
            "tables of the statement: reads of the last 10.0 s",
            "table and its indexes of its reads",
            "public.t 26.7 % known",
            "shared with 2 other entries of pg_stat_statements (73.3 % of its reads)",
        ]
        await pilot.press("t")
        assert (app.state.view, names(app)) == (View.RELATION, ["public.t"])

    play(script)


def test_the_field_of_the_filter_names_its_keys() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        await pilot.pause()
        assert screen(app)[-1] == "⏎ apply esc cancel"

    play(script)


def test_since_start_and_the_baseline_are_ours() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("a")
        assert "30.0 s since 10:00:00Z" in shown(app)[0]
        assert [row.values["calls"] for row in app.table.rows] == [30, 93, 3]
        await pilot.press("z")
        assert names(app) == []
        await pilot.press("a")
        assert shown(app)[3:8] == FIRST[3:8]

    play(script)


def test_the_interval_is_changed_by_plus_and_minus() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("plus", "plus")
        assert app.feed.interval == 10.0
        await pilot.press("minus", "minus", "minus", "minus", "minus", "minus")
        assert app.feed.interval == 0.5

    play(script)


def test_a_copied_command_is_not_one_for_explain(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = replace(MANIFEST, text="copy t(a) to stdout", own_text="")
    monkeypatch.setitem(NAMES.statements, (10, 5, 2), copy)
    words = "EXPLAIN does not take this command"
    messages: list[str] = []

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(app, "notify", messages.append)
        await pilot.press("2", "y", "down", "y")
        assert messages == ["copied", f"copied; {words}"]
        await pilot.press("s", "down", "enter")
        notes = [str(each.render()) for each in app.screen.query(Static)]
        assert any(words in note for note in notes)

    play(script)


def test_what_is_shown_is_exported_and_copied(tmp_path: Path) -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "s", "slash", *"from", "enter", ">", "e", "y")
        assert app.clipboard == "select max(v) from t /* queryid 1 */"
        await pilot.press("e")  # the same second: nothing is overwritten

    play(script, out=tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == "pgiostat-statement-20261123T100000Z.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert [row["part"] for row in rows] == ["row"] * 4 + ["part"] * 2
    assert {(row["view"], row["filter"], row["sort"]) for row in rows} == {
        ("statement", "from", "blocks_read_per_s descending")
    }
    assert [row["blocks_read_per_s"] for row in rows] == [
        "100.0",
        "40.0",
        "10.0",
        "5.0",
        "5.0",
        "160.0",
    ]
    assert not any("\x1b" in row["name"] or "\u202e" in row["name"] for row in rows)


def test_a_screenshot_is_put_beside_exports(tmp_path: Path) -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"screenshot")
        await until(pilot, lambda: "Write the screen as SVG" in "".join(screen(app)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(list(tmp_path.iterdir())))
        await pilot.pause()
        assert "written:" in "".join(screen(app)[-3:])

    play(script, (100, 24), out=tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == "pgiostat-category-20261123T100000Z.svg"
    assert "unattributed" in path.read_text("utf-8")
    assert "Search for commands" not in path.read_text("utf-8")


def test_what_all_statements_cost_is_what_ranking_them_says() -> None:
    counted = Told()._moments[-1].counted
    assert counted is not None
    for by in (By.CATEGORY, By.STATEMENT, By.USER):
        assert io_cost(counted) == rank_totals([(counted, NAMES)], by=by).explained


def test_nothing_in_a_text_acts_and_wide_characters_have_their_width() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        lines = shown(app)
        (line,) = [line for line in lines if "数据库" in line]
        assert line.startswith('🐘 · "�[2J[red]数据库\\u202e"')
        assert cell_len(line[: line.index(" 3.1 %") + 5]) == cell_len(
            lines[3][: lines[3].index("62.5 %") + 5]
        )
        assert not any("\x1b" in each for each in lines)
        await pilot.press("end", "enter")
        assert text_of(app) == 'SELECT "�[2J[red]数据库\\u202e"\nFROM 🐘'

    play(script, (120, 24), state=ViewState(view=View.STATEMENT))


def test_help_explains_each_key_and_column() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        for key in ("question_mark", "h", "f1"):
            await pilot.press(key)
            assert isinstance(app.screen, Help)
            texts = [str(each.content).strip() for each in app.screen.query(Static)]
            assert "preset general: no table has both versions and manifests" in texts
            await pilot.press("escape")
            assert not isinstance(app.screen, Help)

    play(script)


def test_the_mouse_chooses_goes_into_and_sorts() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.click(offset=(3, 4))
        assert app.state.row == 1
        name, begin, _ = app.picture.measures[-1]
        await pilot.click(offset=(begin + 2, 2))
        assert app.state.sort == name
        await pilot.click(offset=(3, 3), times=2)
        assert app.state.view is View.FINGERPRINT

    play(script)


def test_a_server_that_is_gone_leaves_its_last_numbers_and_says_so() -> None:
    feed = Told()
    lost = PgiostatError("connection to the server was lost", slug="connection-lost")
    feed.further = [Interval(error=lost, retry_seconds=2.0)]

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        feed.go.set()
        await until(pilot, lambda: app.watch_session.trouble is not None)
        await pilot.pause()
        lines = shown(app)
        assert lines[0].endswith("not updating")
        assert lines[2] == "! connection to the server was lost, retrying in 2 s"
        assert lines[4:9] == FIRST[3:8]

    play(script, feed=feed)


def test_what_is_asked_is_typed_in_a_line_that_is_seen() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        assert "/ filter" in keys(app)
        before = screen(app)
        await pilot.press("slash", *"mani")
        await pilot.pause()
        assert screen(app)[-2:] == ["mani", "⏎ apply esc cancel"]
        await pilot.press("enter")
        await pilot.pause()
        assert screen(app)[-1].startswith("q quit ? help")
        await pilot.press("slash", "escape")
        await pilot.pause()
        assert screen(app) == before

    play(script)


def test_nothing_that_is_said_acts_and_it_covers_nothing(tmp_path: Path) -> None:
    place = tmp_path / "[/x]"
    place.mkdir(parents=True)

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        lines = screen(app)
        await pilot.press("e")
        await pilot.pause()
        # The lines at the bottom moved up, above the message.
        below = [line for line in lines[:-1] if line]
        assert [line for line in screen(app)[:-3] if line] == below
        told = "".join(line.strip() for line in screen(app)[-3:])
        assert told.endswith("[/x]/pgiostat-category-20261123T100000Z.csv".replace(" ", ""))
        await pilot.press("e")
        await pilot.pause()
        assert "".join(line.strip() for line in screen(app)[-3:]).startswith("! could not write")

    play(script, (100, 24), out=place)


def test_a_page_offers_its_own_keys_and_no_key_changes_the_table_below() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        await pilot.pause()
        assert keys(app)[0] == "esc back"
        assert not {"/ filter", "<> sort", "e export"} & set(keys(app))
        before = app.state
        await pilot.press("slash", *"r3e", ">", "]", "down")
        assert app.state == before
        await pilot.press("escape", "question_mark")
        await pilot.pause()
        assert screen(app)[-1] == "esc close"
        await pilot.press("escape", "q")
        assert not app.is_running or app.return_code == 0

    play(script)


def numbers(app: WatchApp) -> dict[str, str]:
    """Return what the page of a statement says of it."""
    group = app.screen.query_one("#numbers", Static).content
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(group)
    words = captured.get().split()
    return dict(itertools.pairwise(words))


def test_the_page_of_a_statement_goes_on_with_what_is_read() -> None:
    feed = Told(count=5)
    *before, last = feed._moments
    feed._moments = before
    lost = PgiostatError("connection to the server was lost", slug="connection-lost")

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        assert numbers(app)["blocks/s"] == "100"
        counted = last.counted
        assert counted is not None
        feed.further = [replace(last, counted=replace(counted, seconds=5.0))]
        feed.go.set()
        await until(pilot, lambda: numbers(app)["blocks/s"] == "200")
        feed.further = [
            replace(
                last,
                counted=replace(
                    counted,
                    statements=[],
                    statement_amounts=counted.statement_amounts[:, :0],
                    statement_uncertain=[],
                ),
            )
        ]
        feed.go.set()
        await until(pilot, lambda: "blocks/s" not in numbers(app))
        assert numbers(app)["not"] == "called"
        feed.further = [Interval(error=lost, retry_seconds=2.0)]
        feed.go.set()
        await until(pilot, lambda: app.watch_session.trouble is not None)
        await pilot.pause()
        assert head(app)[1] == "! connection to the server was lost, retrying in 2 s"

    play(script, (100, 40), feed)


def test_nothing_is_drawn_where_nothing_was_read() -> None:
    ends = [NOW + timedelta(seconds=each) for each in (10, 20, 50, 60)]
    begins = tuple(end - timedelta(seconds=10) for end in ends)
    assert _stretches(RateHistory(begins, tuple(ends), (1, 2, 3, 4), (1, 1, 1, 1))) == [
        (0, 2),
        (2, 4),
    ]
    assert _stretches(RateHistory((), (), (), ())) == []


def test_the_palette_has_all_keys_and_escape_closes_it() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
        titles = [each.title for each in app.get_system_commands(app.screen)]
        assert len(titles) == len(set(titles))
        assert titles == [
            "quit", "help: keys, columns and terms",
            *(f"view by {view}" for view in
              ("category", "statement", "relation", "database", "user", "server io",
               "verb", "table", "the tag of --by tag:KEY")),
            "open the row", "filter by text, category, user or database",
            "sort by the next column to the right", "sort by the next column to the left",
            "scroll columns to the right", "scroll columns to the left",
            "pause the screen, or resume",
            "show the last interval, or all since the baseline",
            "reverse the order", "export the table as CSV to the working directory",
            "copy the statement, or the name",
            "set the baseline to now; nothing on the server is reset",
            "longer interval", "shorter interval", "Theme", "Screenshot",
        ]  # fmt: skip

    play(script)


def test_the_keys_that_there_are_are_told_below() -> None:
    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        assert screen(app)[-1] == (
            "q quit ? help 1-8 view ⏎ open / filter <> sort [] columns ␣ pause a total ^p all"
            " r reverse e export y copy z baseline + longer - shorter"
        )
        await pilot.press("enter")
        await pilot.pause()
        assert "esc back" in screen(app)[-1]
        await pilot.press("escape")
        await pilot.pause()
        assert "esc back" not in screen(app)[-1]

    play(script, (160, 24))


def test_the_top_alone_is_shown_if_asked_for_and_all_of_it_adds_up() -> None:
    async def script(app: WatchApp, _: Pilot[None]) -> None:
        assert [(row.name, row.values["blocks_read"]) for row in app.table.rows] == [
            ("version", 1000), ("manifest", 500),
        ]  # fmt: skip
        assert [(row.name, row.values["blocks_read"]) for row in app.table.below] == [
            ("(1 not shown)", 50), ("unattributed", 50), ("total", 1600),
        ]  # fmt: skip

    play(script, state=ViewState(top=2))


def test_a_theme_is_asked_for_or_kept_from_the_last_time(tmp_path: Path) -> None:
    themes = Themes(tmp_path / "state" / "theme")

    async def choose(app: WatchApp, pilot: Pilot[None]) -> None:
        assert app.theme == "textual-dark"
        app.theme = "nord"
        await pilot.pause()

    play(choose, themes=themes)
    assert WatchApp(Told(), themes=themes).theme == "nord"
    assert WatchApp(Told(), themes=replace(themes, requested="gruvbox")).theme == "gruvbox"
    assert WatchApp(Told()).theme == "textual-dark"
    (tmp_path / "state" / "theme").write_text("no longer there")
    assert WatchApp(Told(), themes=themes).theme == "textual-dark"
    with pytest.raises(PgiostatError, match='there is no theme "x"') as raised:
        WatchApp(Told(), themes=Themes(requested="x"))
    assert raised.value.hint is not None
    assert "textual-light" in raised.value.hint


def test_the_page_of_a_statement_says_how_its_numbers_came_about() -> None:
    feed = Told()
    last = feed._moments[-1]
    others = replace(
        last, bases={(10, 5, 1): Basis.REINSERTED}, qualities=(Quality.EVICTING, Quality.GAP)
    )

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        assert quality(app) == [
            "compared with the previous snapshot, subtracted from this one",
            "quality ok over 10.0 s",
            "coverage 96.9 % of the server's reads in this interval",
            "read times unknown: track_io_timing is off for this statement",
        ]
        feed.further = [others]
        feed.go.set()
        await until(pilot, lambda: app.watch_session.latest is others)
        await pilot.pause()
        assert quality(app)[:2] == [
            f"compared with {BASES[Basis.REINSERTED]}",
            "quality evicting+gap over 10.0 s",
        ]
        await pilot.press("a")
        assert quality(app)[:2] == [
            "compared with each previous snapshot; the differences are added up",
            "quality ok+evicting+gap over 40.0 s",
        ]

    play(script, (100, 40), feed)


def test_statements_that_begin_alike_are_told_apart() -> None:
    texts = [f'select max(row_version) from "h_{n}" where client_id = $1' for n in ("a", "b")]
    assert distinguishable(texts, 30) == [
        f'select max(r…"h_{n}" where client_id = $1' for n in ("a", "b")
    ]
    assert distinguishable([*texts, "delete"], 80) == [*texts, "delete"]


def test_what_nothing_mends_ends_it_and_is_told() -> None:
    error = PgiostatError("the password is wrong", slug="password-wrong")
    feed = Told(error=error)

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        feed.go.set()
        for _ in range(200):
            if app.error is not None:
                break
            await pilot.pause(0.01)

    app = play(script, feed=feed)
    assert (app.error, app.return_code) == (error, 1)


def test_an_unexpected_error_is_shown_and_reading_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "RETRY", Backoff(0.5, 0.5))

    class Failing(Told):
        left = 2

        def intervals(self, stop: Event) -> Iterator[Interval]:
            yield self._moments.pop(0) if self.left else self._moments[-1]
            if self.left:
                self.left -= 1
                raise KeyError("password=s3cret")
            yield from self._moments
            stop.wait(30)

    feed, seen = Failing(), list[str]()

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.watch_session.shown >= INTERVALS)

    class Seeing(WatchApp):
        def draw(self) -> None:
            super().draw()
            seen.extend(line for line in shown(self) if "unexpected error" in line)

    app = Seeing(feed, clock=lambda: NOW)

    async def sit() -> None:
        async with app.run_test(size=(200, 24)) as pilot:
            await script(app, pilot)

    asyncio.run(sit())
    assert app.error is None
    named = re.sub(r"in [0-9.]+ (?:s|ms)", "in 0.5 s", seen[0])
    assert re.sub(r"[0-9a-f]{8}|:\d+ ", "…", named).startswith(
        "! unexpected error …, retrying in 0.5 s: KeyError in pgiostat/watch/reader.py…"
        "(read_intervals), at terminal/test_app.py…(intervals)."
    )
    assert "s3cret" not in "".join(seen)


def test_a_moment_that_cannot_be_shown_is_said_below(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, absorb = Told(5), WatchSession.absorb

    def failing(session: WatchSession, moment: Interval) -> None:
        if feed.fails:
            raise KeyError("password=s3cret")
        absorb(session, moment)

    async def script(app: WatchApp, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(WatchSession, "absorb", failing)
        feed.fails, feed.further = True, [feed._moments[-1]]
        feed.go.set()
        await until(pilot, lambda: any("unexpected error" in line for line in screen(app)))
        feed.fails = False
        before = app.watch_session.shown
        feed.go.set()
        await until(pilot, lambda: app.watch_session.shown > before)

    assert play(script, feed=feed).error is None


def test_a_fault_of_the_screen_ends_with_an_error_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(_app: WatchApp) -> None:
        raise KeyError("password=s3cret")

    async def script(_: WatchApp, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(WatchApp, "action_help", failing)
        await pilot.press("question_mark")

    app = WatchApp(Told(), clock=lambda: NOW)

    async def sit() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await script(app, pilot)

    with pytest.raises(KeyError):  # handed on to tests alone
        asyncio.run(sit())
    assert app.error is not None
    assert (app.error.slug, app.return_code) == ("unexpected-error", 1)
    assert app._exit_renderables == []


def test_q_quits() -> None:
    async def script(_: WatchApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")

    assert play(script).return_code == 0
