"""A time whose statements could not be counted is in the history, with its length and its cause."""

import csv
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pgiostat import open_history
from pgiostat.analysis.cost import FIELDS
from pgiostat.analysis.notices import lost as lost_notices
from pgiostat.errors import PgiostatError
from pgiostat.export import export
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.inventory import inventory
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.render.report import remarks
from pgiostat.statistics.delta import Delta, diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.snapshot import Snapshot
from pgiostat.timespec import duration, instant
from tests.readings import MODERN, WITHOUT_SINCE, WITHOUT_TOPLEVEL, Unsynced, at, reading, server

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
        "what statements read in 12.0 s is lost: another server answered at that address",
        "what statements read in 10.0 s is lost: pg_stat_statements was updated or created again",
        "what statements read in 15.0 s is lost: pg_read_all_stats was granted or revoked",
    ]
    (kept,) = inventory(history, at(100)).kept
    assert (kept.lost_seconds, kept.missing_seconds, kept.seconds) == (37.0, 0.0, 65.0)
    history.close()


def pgiostat(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(
        [sys.executable, "-m", "pgiostat", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_show_what_is_lost(root: Path) -> None:
    text = pgiostat("report", "--history", root)
    assert "37.0 s lost" in text.stdout.splitlines()[0]
    assert "! what statements read in 10.0 s is lost: pg_stat_statements was" in text.stdout
    told = json.loads(pgiostat("report", "--history", root, "--format", "json").stdout)
    assert told["lost_seconds"] == EXPECTED
    assert told["quality"] == "extension changed+ok+other server+privileges changed"
    assert ", 37.0 s lost." in pgiostat("report", "--history", root, "--format", "markdown").stdout
    beside = pgiostat("report", "--history", root, "--format", "csv").stderr.splitlines()
    assert len([line for line in beside if "is lost" in line]) == 3
    listed = pgiostat("history", "--history", root).stdout
    assert "  what statements read in 37.0 s is lost\n" in listed
    whole = json.loads(pgiostat("history", "--history", root, "--format", "json").stdout)
    assert [label["lost_seconds"] for label in whole["labels"]] == [37.0]
    steps = pgiostat("report", "--history", root, "--series", "10s", "--format", "csv").stdout
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
    said = pgiostat("report", "--history", root, *alone, "--series", "10s")
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr == (
        "pgiostat: error: nothing is known of that time: what statements read in it is lost\n"
    )
    assert "12.0 s lost" in pgiostat("report", "--history", root, *alone).stdout


def test_who_watches_is_told_of_another_server() -> None:
    other = next(delta for delta in lossy() if delta.seconds is None)
    assert [(each.slug, each.text) for each in lost_notices(other)] == [
        ("other-server", "Another server answers now: what statements read in 12.0 s is lost.")
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
    assert asked.streams < 100
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
    assert raised.value.message.startswith('length of time out of range: "')
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
    done = pgiostat(*words, "--history", tmp_path / "history")
    assert (done.returncode, done.stdout) == (2, "")
    assert "out of range: " in done.stderr
    assert "Traceback" not in done.stderr
