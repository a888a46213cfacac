"""A time whose statements could not be counted is in the history, with its length and its cause."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pgiostat import open_history
from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.notices import happened, notices
from pgiostat.analysis.notices import lost as lost_notices
from pgiostat.analysis.rank import rank
from pgiostat.errors import PgiostatError
from pgiostat.export import export
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.inventory import inventory
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.render.report import _QUALITIES, remarks
from pgiostat.statistics.counter_table import SelectedColumns
from pgiostat.statistics.delta import Delta, Lost, Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.timespec import duration, instant
from pgiostat.units import format_duration
from pgiostat.watch.sources.replay import ReplaySource
from tests.support.program import run_program
from tests.support.readings import (
    MODERN,
    WITHOUT_SINCE,
    WITHOUT_TOPLEVEL,
    Unsynced,
    at,
    reading,
    server,
)

CLONE = server(system_identifier=2)
EXPECTED = {"extension changed": 10.0, "privileges changed": 15.0, "other server": 12.0}


def counted(reads: int, seconds: float, **more: Any) -> Snapshot:
    """Return a reading in which a statement and the server have read so many blocks."""
    row = {"queryid": 1, "calls": reads, "shared_blks_read": reads, **more.pop("row", {})}
    return reading(seconds, [row], databases=[{"datid": 5, "blks_read": reads}], **more)


def lossy() -> list[Delta]:
    """Return intervals of 10 s, of which three are lost; of each cause one."""
    hidden = {"row": {"queryid": 0, "masked": True}}
    taken = [
        counted(10, 0, table=WITHOUT_TOPLEVEL),
        counted(20, 10, table=WITHOUT_TOPLEVEL),
        counted(35, 20, table=WITHOUT_SINCE),
        counted(45, 30, table=WITHOUT_SINCE),
        counted(65, 45, table=WITHOUT_SINCE, **hidden),
        counted(75, 55, table=WITHOUT_SINCE, **hidden),
        counted(500, 67, server=CLONE, table=MODERN),
        counted(530, 77, server=CLONE, table=MODERN),
    ]
    return [diff(older, newer) for older, newer in pairwise(taken)]


@pytest.fixture(params=[False, True], ids=["hot", "compacted"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a history of these intervals."""
    writer = Writer.open(tmp_path / "history", "prod", Unsynced())
    for delta in lossy():
        writer.append(delta, Names())
    writer.close()
    if request.param:
        compact(Layout(tmp_path / "history"), "prod", Unsynced())
    return tmp_path / "history"


def test_a_report_says_what_is_lost_and_counts_all_else(root: Path) -> None:
    history = History.open(root)
    seen = history.totals(Window(at(0), at(77)))
    sampled = seen.sampled
    assert sampled.lost == EXPECTED
    assert (sampled.samples, sampled.seconds) == (7, 65.0)
    # The server's own counts of an interval are known where it is the same server.
    assert (sampled.statement_blocks, sampled.server_blocks) == (60, 95)
    assert sampled.coverage == 60 / 95
    read = FIELDS.index("shared_blks_read")
    assert [int(part.statement_amounts[read].sum()) for part in seen.counted.values()] == [
        30, 30,
    ]  # fmt: skip
    assert list(remarks(seen))[:3] == [
        "the reads of statements in 12.0 s are lost: another server answered at this address",
        (
            "the reads of statements in 10.0 s are lost: "
            "pg_stat_statements was updated or created again"
        ),
        "the reads of statements in 15.0 s are lost: pg_read_all_stats was granted or revoked",
    ]
    (kept,) = inventory(history, at(100)).kept
    assert (kept.lost_seconds, kept.missing_seconds, kept.seconds) == (37.0, 0.0, 65.0)
    history.close()


def test_commands_show_what_is_lost(root: Path) -> None:
    text = run_program("report", "--history", root)
    assert "37.0 s lost" in text.stdout.splitlines()[0]
    assert "! the reads of statements in 10.0 s are lost: pg_stat_statements was" in text.stdout
    told = json.loads(run_program("report", "--history", root, "--format", "json").stdout)
    assert told["lost_seconds"] == EXPECTED
    assert told["quality"] == "extension changed+ok+other server+privileges changed"
    assert (
        ", 37.0 s lost." in run_program("report", "--history", root, "--format", "markdown").stdout
    )
    beside = run_program("report", "--history", root, "--format", "csv").stderr.splitlines()
    assert len([line for line in beside if "are lost" in line]) == 3
    listed = run_program("history", "--history", root).stdout
    assert "  reads of statements in 37.0 s are lost\n" in listed
    whole = json.loads(run_program("history", "--history", root, "--format", "json").stdout)
    assert [label["lost_seconds"] for label in whole["labels"]] == [37.0]
    steps = run_program("report", "--history", root, "--series", "10s", "--format", "csv").stdout
    starts = {line[14:19] for line in steps.splitlines() if line.startswith("2026")}
    # No step where nothing is known, and nothing made up for the others.
    assert starts == {"00:00", "00:10", "00:20", "00:30", "00:40", "01:00"}


def test_an_export_has_length_and_cause(root: Path, tmp_path: Path) -> None:
    history = History.open(root)
    export(history, Window(at(0), at(77)), describer(), tmp_path / "out")
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = [
            (row["seconds"], row["quality"], row["lost_seconds"], row["statement_blocks"],
             row["server_blocks"]) for row in csv.DictReader(file)
        ]  # fmt: skip
    assert rows == [
        ("10", "ok", "0", "10", "10"),
        ("10", "extension changed", "10", "0", "15"),
        ("10", "ok", "0", "10", "10"),
        ("15", "privileges changed", "15", "0", "20"),
        ("10", "ok", "0", "10", "10"),
        ("0", "other server", "12", "0", ""),
        ("10", "ok", "0", "30", "30"),
    ]
    frame = open_history(root).samples()
    assert frame["lost_us"].tolist() == [0, 10**7, 0, 15 * 10**6, 0, 12 * 10**6, 0]
    history.close()


def test_a_time_of_which_all_is_lost_has_no_steps(root: Path) -> None:
    alone = ("--since", f"{at(55):%Y-%m-%dT%H:%M:%SZ}", "--until", f"{at(66):%Y-%m-%dT%H:%M:%SZ}")
    said = run_program("report", "--history", root, *alone, "--series", "10s")
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr == ("pgiostat: error: the counts of statements in this window are lost\n")
    assert "12.0 s lost" in run_program("report", "--history", root, *alone).stdout


EARLIER = "the reads of statements in the first {} s are lost as well, in a gap that began earlier"


@pytest.mark.parametrize(
    ("window", "lost", "earlier", "remark"),
    [
        # Window, lost seconds of its intervals, and of one that began before it.
        ((60, 77), {}, {"other server": 7.0},
         f"{EARLIER.format('7.0')}: another server answered at this address"),
        ((35, 50), {}, {"privileges changed": 10.0},
         f"{EARLIER.format('10.0')}: pg_read_all_stats was granted or revoked"),
        ((67, 77), {}, {}, ""),
        ((30, 66), {"privileges changed": 15.0, "other server": 12.0}, {}, ""),
    ],
)  # fmt: skip
def test_a_lost_time_that_began_before_a_window_is_in_its_report(
    root: Path, window: tuple[float, float], lost: dict[str, float], earlier: dict[str, float],
    remark: str,
) -> None:  # fmt: skip
    since, until = window
    history = History.open(root)
    seen = history.totals(Window(at(since), at(until)))
    assert (seen.sampled.lost, seen.lost_earlier) == (lost, earlier)
    told = [line for line in remarks(seen) if "began earlier" in line]
    assert told == ([remark] if remark else [])
    assert not any("nothing was collected" in line for line in remarks(seen))
    history.close()


def test_a_report_in_json_has_a_lost_time_that_began_before(root: Path) -> None:
    words = ("--since", f"{at(60):%Y-%m-%dT%H:%M:%SZ}", "--format", "json")
    told = json.loads(run_program("report", "--history", root, *words).stdout)
    assert (told["lost_seconds"], told["lost_seconds_earlier"]) == ({}, {"other server": 7.0})


def test_a_window_within_a_lost_time_says_so(root: Path) -> None:
    words = (
        f"--{name}={at(when):%Y-%m-%dT%H:%M:%SZ}" for name, when in (("since", 57), ("until", 61))
    )
    done = run_program("report", "--history", root, *words)
    assert (done.returncode, done.stdout) == (3, "")
    assert "DETAIL:  Reads of statements in 4.0 s of it are lost." in done.stderr


# --- resets and evictions -----------------------------------------------------------------


def before_and_after(
    seconds: float = 10.0, *, table: SelectedColumns = MODERN, **after: Any
) -> Delta:
    """Return an interval in which all statements began anew."""
    row = {"min_exec_time": 1.0, "max_exec_time": 2.0}
    older = counted(1000, 0, table=table, row=row)
    again = {"min_exec_time": 0.5, "max_exec_time": 0.6, "stats_since": at(seconds - 1)}
    return diff(older, counted(20, seconds, table=table, row=again, **after))


RESETS = {
    # Case: interval, quality, and the seconds that are lost.
    "reset": (before_and_after(statements_reset=at(4)), Quality.RESET, 4.0),
    "reset at once": (before_and_after(statements_reset=at(0.5)), Quality.RESET, 0.5),
    "crash of a backend": (
        before_and_after(statements_reset=at(7), bgwriter_reset=at(7)), Quality.RESTART, 7.0,
    ),
    "crash": (
        before_and_after(statements_reset=at(6), bgwriter_reset=at(6), start_time=at(5)),
        Quality.RESTART, 6.0,
    ),
    "restart, save off": (
        before_and_after(statements_reset=at(3), start_time=at(3)), Quality.RESTART, 3.0,
    ),
    "crash, 13": (
        before_and_after(table=WITHOUT_TOPLEVEL, start_time=at(8), bgwriter_reset=at(8)),
        Quality.RESTART, 8.0,
    ),
    "reset, 13": (before_and_after(table=WITHOUT_TOPLEVEL), Quality.RESET, 10.0),
    "the clock was set": (
        before_and_after(30, statements_reset=at(4), clock=10.0), Quality.RESET, 10.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RESETS)
def test_a_reset_loses_what_ran_before_it(case: str) -> None:
    delta, quality, seconds = RESETS[case]
    assert delta.quality is quality
    assert delta.lost == Lost(at(0), seconds, server())
    assert delta.statements.rows["shared_blks_read"].tolist() == [20]


def test_a_restart_that_keeps_all_statements_loses_nothing() -> None:
    older, newer = counted(10, 0), counted(30, 10, start_time=at(4))
    delta = diff(older, newer)
    assert (delta.qualities, delta.lost, delta.statement_blocks) == ((Quality.RESTART,), None, 20)


@pytest.fixture(params=[False, True], ids=["hot", "compacted"])
def flawed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a history of 10 s: with a reset, a crash, evictions, and one that is whole."""
    began = {"statements_reset": at(14)}
    crashed = {"statements_reset": at(27), "start_time": at(26), "bgwriter_reset": at(26)}
    again = {"stats_since": at(28)}
    taken = [
        counted(10, 0),
        counted(20, 10),
        counted(5, 20, row={"stats_since": at(15)}, **began),
        counted(7, 30, row=again, **crashed),
        counted(9, 40, row=again, dealloc=2, **crashed),
        counted(12, 50, row=again, dealloc=2, **crashed),
    ]
    writer = Writer.open(tmp_path / "flawed", "prod", Unsynced())
    for older, newer in pairwise(taken):
        writer.append(diff(older, newer), Names())
    writer.close()
    if request.param:
        compact(Layout(tmp_path / "flawed"), "prod", Unsynced())
    return tmp_path / "flawed"


EMPTY = "the server restarted, and pg_stat_statements began empty"
LOST_7 = "the reads of statements in 7.0 s are lost."
EVICTED = (
    "At least 500 statements were evicted from pg_stat_statements in this interval; their reads are"
    " in unattributed."
)


def test_a_history_tells_the_length_of_resets_and_how_much_was_evicted(
    flawed: Path, tmp_path: Path
) -> None:
    history = History.open(flawed)
    seen = history.totals(Window(at(0), at(50)))
    assert (seen.sampled.lost, seen.sampled.evicted) == ({"restart": 7.0, "reset": 4.0}, 500)
    assert list(remarks(seen)) == [
        f"the reads of statements in 7.0 s are lost: {EMPTY}",
        "the reads of statements in 4.0 s are lost: pg_stat_statements was reset",
        f"1 of 5 intervals: {_QUALITIES['restart']}",
        (
            "1 of 5 intervals: "
            "statistics were reset, and counts of statements before the reset are lost"
        ),
        f"1 of 5 intervals: {_QUALITIES['evicting']}",
        "at least 500 entries were evicted",
    ]
    (kept,) = inventory(history, at(100)).kept
    assert (kept.lost_seconds, kept.missing_seconds, kept.seconds) == (11.0, 0.0, 50.0)
    export(history, Window(at(0), at(50)), describer(), tmp_path / "out")
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = [
            (row["quality"], row["lost_seconds"], row["evicted"], row["statement_blocks"])
            for row in csv.DictReader(file)
        ]
    assert rows == [
        ("ok", "0", "0", "10"),
        ("reset", "4", "0", "5"),
        ("restart", "7", "0", "7"),
        ("evicting", "0", "500", "2"),
        ("ok", "0", "0", "3"),
    ]
    frame = open_history(flawed).samples()
    assert frame["lost_us"].tolist() == [0, 4 * 10**6, 7 * 10**6, 0, 0]
    assert frame["evicted"].tolist() == [0, 0, 0, 500, 0]
    replay = ReplaySource(history, describer(), Window(at(0), at(50)))
    told = []
    for place in range(5):
        replay.seek(place - replay.position[0] + 1)
        told.append([each.text for each in next(replay.intervals(Event())).notices])
    assert told == [
        [],
        ["pg_stat_statements was reset: the reads of statements in 4.0 s are lost."],
        [f"The server restarted and pg_stat_statements began empty: {LOST_7}"],
        [EVICTED],
        [],
    ]  # fmt: skip
    history.close()


def test_a_report_tells_the_length_of_resets_and_how_much_was_evicted(flawed: Path) -> None:
    told = json.loads(run_program("report", "--history", flawed, "--format", "json").stdout)
    assert (told["lost_seconds"], told["evicted"]) == ({"restart": 7.0, "reset": 4.0}, 500)
    text = run_program("report", "--history", flawed).stdout
    assert "11.0 s lost" in text.splitlines()[0]
    assert "! at least 500 entries were evicted" in text


@pytest.mark.parametrize("case", ["reset", "crash", "reset, 13"])
def test_watch_tells_how_long_statements_were_lost_for_a_reset(case: str) -> None:
    delta, quality, seconds = RESETS[case]
    (notice,) = happened(delta.qualities, delta.seconds, delta.evicted, seconds)
    what = f"the reads of statements in {format_duration(seconds)} are lost."
    why = {
        Quality.RESET: "pg_stat_statements was reset",
        Quality.RESTART: "The server restarted and pg_stat_statements began empty",
    }
    assert notice.text == f"{why[quality]}: {what}"
    assert notice.text in [each.text for each in notices(delta, rank([delta], Names()))]


def test_a_reset_after_which_a_clock_is_bounded_keeps_its_length(tmp_path: Path) -> None:
    writer = Writer.open(tmp_path / "history", "prod", Unsynced(), now=lambda: at(20))
    delta = before_and_after(statements_reset=at(4))
    writer.append(replace(delta, seconds=10.0 * 86_400), Names())
    writer.close()
    frame = open_history(tmp_path / "history").samples()
    assert (frame["seconds"].tolist(), frame["lost_us"].tolist()) == ([20.0], [4 * 10**6])


def test_who_watches_is_told_of_another_server() -> None:
    other = next(delta for delta in lossy() if delta.seconds is None)
    assert [(each.slug, each.text) for each in lost_notices(other)] == [
        (
            "other-server",
            "Another server answers at this address: the reads of statements in 12.0 s are lost.",
        )
    ]
    assert lost_notices(diff(None, counted(1, 0))) == []


class Counting:
    """An engine that counts how often rows are streamed."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.streams = 0

    def __getattr__(self, name: str) -> Any:
        self.streams += name == "stream"
        return getattr(self.engine, name)


def test_an_export_of_a_century_looks_into_hours_that_hold_something(
    root: Path, tmp_path: Path
) -> None:
    history = History.open(root)
    written = export(history, Window(at(0), at(77)), uncategorized, tmp_path / "short")
    asked = Counting(history.engine)
    history.engine = asked
    century = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(2070, 1, 1, tzinfo=UTC))
    again = export(history, century, uncategorized, tmp_path / "long")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]
    # Tables with intervals of their own are looked for in the hours of a day around an interval.
    assert asked.streams < 200
    history.close()


# --- times out of range ------------------------------------------------------------------

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "length", ["99999999d", "9" * 400, "36526d", "1" * 30 + "w", timedelta.max, timedelta.min]
)
def test_a_length_of_time_out_of_range_is_an_error(length: Any) -> None:
    with pytest.raises(PgiostatError) as raised:
        duration(length)
    assert (raised.value.slug, raised.value.hint) == (
        "time-invalid", "The longest is 100 years, 36525d.",
    )  # fmt: skip
    assert raised.value.message.startswith('duration out of range: "')
    assert len(raised.value.message) < 80


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01", "1969-12-31T23:59:59Z", "9000-01-01", "9999-12-31T23:59:59Z", "-36525d",
     "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00",
     datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],
)  # fmt: skip
def test_an_instant_out_of_range_is_an_error(moment: Any) -> None:
    with pytest.raises(PgiostatError) as raised:
        instant(moment, NOW)
    assert (raised.value.slug, raised.value.hint) == (
        "time-invalid", "Times are from 1970-01-01 to 8999-12-31.",
    )  # fmt: skip
    assert raised.value.message == f'time out of range: "{moment}"'


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--last", "99999999d"),
        ("report", "--since", "0001-01-01"),
        ("report", "--until", "9999-12-31"),
        ("report", "--series", "99999999d"),
        ("export", "--out", "x", "--last", "99999999d"),
        ("compare", "@0001-01-01..", "@..9999-12-31"),
        ("burst", "--volume", "gp2:500", "--last", "99999999d"),
        ("whatif", "--drop", "other", "--last", "99999999d"),
        ("collect", "--interval", "99999999d"),
        ("collect", "--for", "99999999d"),
        ("collect", "--keep", "99999999d"),
        ("ship", "--to", "file:///x", "--every", "99999999d"),
        ("ship", "--to", "file:///x", "--keep", "99999999d"),
    ],
    ids=" ".join,
)
def test_each_command_refuses_times_out_of_range(tmp_path: Path, words: tuple[str, ...]) -> None:
    writer = Writer.open(tmp_path / "history", "prod", Unsynced())
    writer.append(lossy()[0], Names())
    writer.close()
    done = run_program(*words, "--history", tmp_path / "history")
    assert (done.returncode, done.stdout) == (2, "")
    assert "out of range: " in done.stderr
    assert "Traceback" not in done.stderr
