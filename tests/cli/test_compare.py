"""pgiostat compare on a history: windows, labels, other histories, and all forms."""

import csv
import functools
import io
import json
import random
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import pytest

from pgiostat.errors import PgiostatError
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.window_spec import parse_window_spec
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer
from pgiostat.reports.compare import compare_windows
from pgiostat.reports.steps import step_for
from pgiostat.statistics.difference import diff
from tests.support.halves import HALVES, KNOWN, MIDDLE, record
from tests.support.program import pgiostat
from tests.support.readings import Unsynced, at, reading, server

pytestmark = pytest.mark.long

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Recorded(Protocol):
    def __call__(self, *, half: tuple[float, float] = (1.0, 1.0)) -> Path: ...


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Return what records a history once for all tests, which read it and change nothing."""

    @functools.cache
    def once(*, half: tuple[float, float] = (1.0, 1.0)) -> Path:
        root = tmp_path_factory.mktemp("recorded") / "history"
        record(root, half=half)
        return root

    return once


def compare(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pgiostat compare."""
    return pgiostat("compare", "--history", str(root), *arguments)


STEADY = """\
A  prod  2026-11-23 10:00:00Z – 10:30:00Z  30 min  coverage 100 %
B  prod  2026-11-23 10:30:00Z – 11:00:00Z  30 min  coverage 100 %
preset sync: versions and manifests of t
No change.
blocks read per second; 99 % confidence, from pairs of steps of 1 min
category A/s B/s change           range verdict
total    261 264 +1.1 % -4.7 % … +7.2 % no change
version  201 204 +1.1 % -5.7 % … +8.4 % no change
manifest  60  60 +1.0 % -6.9 % … +9.5 % no change
session    0   0  0.0 %               – –

A/s B/s change           range verdict   category query
201 204 +1.1 % -5.4 % … +8.1 % no change version  t · max(rev)
 60  60 +1.0 % -6.5 % … +9.1 % no change manifest t · id > $ · id, rev
  0   0  0.0 %               – –         session  select $
"""


def test_two_halves_of_one_run_are_no_change(recorded: Recorded) -> None:
    root = recorded()
    done = compare(root, *HALVES)
    shown, _, following = done.stdout.rpartition("Next: ")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.rstrip() for line in shown.splitlines()] == STEADY.splitlines()
    assert following.split() == ["pgiostat", "report", str(root), "--by", "fingerprint"]


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the verdict of each category of a comparison as JSON."""
    rows = json.loads(done.stdout)["rows"]
    return {row["key"]: row["verdict"] for row in rows if row["part"] != "fingerprint"}


def test_a_change_is_found_by_what_it_was(tmp_path: Path) -> None:
    root = tmp_path / "history"
    record(root, half=(1.0, 0.8))
    compact(Layout(root), "prod")
    per_second = compare(root, *HALVES, "--format", "json")
    assert verdicts(per_second) == {
        "total": "better", "version": "better", "manifest": "no change", "session": "not judged",
    }  # fmt: skip
    told = json.loads(per_second.stdout)
    assert told["conclusion"].startswith("B reads less than A (-1")
    assert (told["judged"], told["step_seconds"], told["a"]["samples"]) == (True, 60.0, 60)
    # It was asked for less often: one call costs what it did, in all less for each manifest.
    assert verdicts(compare(root, *HALVES, "--format", "json", "--per", "call"))["version"] == (
        "no change"
    )
    anchored = compare(root, *HALVES, "--format", "json", "--per", "manifest:calls")
    assert verdicts(anchored)["version"] == "better"
    assert json.loads(anchored.stdout)["anchors"][0] > 5000


def test_forms_say_the_same(recorded: Recorded) -> None:
    root = recorded(half=(1.0, 3.0))
    rows = list(csv.DictReader(io.StringIO(compare(root, *HALVES, "--format", "csv").stdout)))
    assert [(row["part"], row["key"], row["verdict"]) for row in rows] == [
        ("total", "total", "worse"),
        ("category", "version", "worse"),
        ("category", "manifest", "no change"),
        ("category", "session", "not judged"),
        ("fingerprint", "2:0000000000000001", "worse"),
        ("fingerprint", "2:0000000000000002", "no change"),
        ("fingerprint", "2:0000000000000003", "not judged"),
    ]
    assert 1.8 < float(rows[1]["change"]) < 2.2
    assert float(rows[1]["a"]) == float(rows[1]["blocks_read_per_s_a"])
    lines = compare(root, *HALVES, "--format", "markdown", "--top", "1").stdout.splitlines()
    assert lines[3] == "- why: t · `max(rev)`: certain: it is called more often"
    assert lines[5].startswith("**B reads more than A (+1")
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")] == [
        "| category", "| total", "| version", "| manifest", "| session", "| query",
        "| `select max(rev) from t`", "| 2 others",
    ]  # fmt: skip


def test_labels_and_other_histories_are_compared(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    record(here)
    record(here, label="perf", half=(2.0, 2.0), seed=2, first=77)
    record(there, seed=3, half=(0.5, 0.5))
    assert verdicts(compare(here, "prod", "perf", "--format", "json"))["version"] == "worse"
    for elsewhere in (str(there), f"{there}:prod@..{MIDDLE.isoformat()}"):
        done = compare(here, "prod", elsewhere, "--format", "json")
        assert verdicts(done)["version"] == "better"


def test_whole_hours_are_compared_from_the_rollup_with_the_same_totals(tmp_path: Path) -> None:
    root = tmp_path / "history"
    record(root, intervals=28 * 6, seconds=600.0)
    hours = [at(3600.0 * n).isoformat() for n in (0, 14, 28)]
    a, b = (
        parse_window_spec(f"prod@{since}..{until}", root, NOW) for since, until in pairwise(hours)
    )
    before = compare_windows(a, b, describer())
    assert before.step == timedelta(minutes=30)
    compact(Layout(root), "prod")
    for file in Layout(root).compacted_files("stmt"):
        file.path.unlink()
    with pytest.raises(PgiostatError, match="only hourly totals are left"):
        compare_windows(a, b, describer())


def test_a_window_as_a_report_prints_it_is_accepted(recorded: Recorded) -> None:
    printed = f"prod@{at(300):%Y-%m-%d %H:%M:%SZ} – {at(600):%Y-%m-%d %H:%M:%SZ}"
    found = parse_window_spec(printed, recorded(), NOW)
    assert (found.window.since, found.window.until) == (at(300), at(600))


def test_steps_suit_the_windows(recorded: Recorded) -> None:
    root = recorded()
    whole = parse_window_spec("prod", root, NOW)
    seen = whole.history.totals(whole.window)
    assert step_for(seen) == timedelta(seconds=120)
    short = parse_window_spec(f"prod@..{at(300).isoformat()}", root, NOW)
    assert step_for(seen, short.history.totals(short.window)) == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("a", "b", "status", "told"),
    [
        ("prod", "prod", 2, "the two windows overlap"),
        ("prod", "test", 1, 'there is no server "test" in the history'),
        ("prod@10:00", "prod", 2, 'invalid window: "prod@10:00"'),
        ("prod@then..now", "prod", 2, 'invalid time: "then"'),
        ("prod@now..-1h", "prod", 2, "the time window ends before it begins"),
        ("/nowhere", "prod", 1, 'there is no history in "/nowhere"'),
        ("prod@2020-01-01..2020-01-02", "prod", 3, "there is nothing between"),
        ("--per=colour", "prod prod", 2, 'invalid value for --per: "colour"'),
        ("--per=colour:calls", "prod prod", 2, 'there is no category or fingerprint "colour"'),
        ("--format=xml", "prod prod", 2, 'invalid value for --format: "xml"'),
    ],
)
def test_what_cannot_be_compared_is_said(
    recorded: Recorded, a: str, b: str, status: int, told: str
) -> None:
    sides = HALVES if b == "prod prod" else (b,)
    done = compare(recorded(), a, *sides)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"pgiostat: error: {told}")


def test_too_little_is_shown_and_not_judged(recorded: Recorded) -> None:
    root = recorded()
    early = f"prod@..{at(150).isoformat()}"
    done = compare(root, early, HALVES[1])
    assert done.returncode == 0
    assert "! A has 5 steps; 12 are needed to estimate the variance" in done.stdout
    assert "Inconclusive: not enough comparable data." in done.stdout
    assert "better" not in done.stdout


def test_what_is_not_among_the_top_is_one_row(recorded: Recorded) -> None:
    root = recorded(half=(1.0, 3.0))
    done = compare(root, *HALVES, "--format", "csv", "--top", "1")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    by_part = {part: [row for row in rows if row["part"] == part] for part in
               ("total", "fingerprint", "rest")}  # fmt: skip
    assert [row["query"] for row in by_part["fingerprint"]] == ["select max(rev) from t"]
    (rest,) = by_part["rest"]
    assert (rest["key"], rest["query"], rest["verdict"]) == ("rest", "2 others", "not judged")
    for column in ("blocks_read_a", "blocks_read_b", "calls_a", "calls_b"):
        parts = [*by_part["fingerprint"], rest]
        assert sum(int(row[column]) for row in parts) == int(by_part["total"][0][column])
    shown, _, following = compare(root, *HALVES, "--top", "1").stdout.rpartition("Next: ")
    assert shown.split()[-2:] == ["2", "others"]
    assert following.split() == ["pgiostat", "report", str(root), "--by", "fingerprint"]


def both_watched(
    root: Path, *, every: tuple[float, float] = (2.0, 5.0), quiet: int = 0, gap: range = range(0),
    factor: float = 1.0, first: float = 0.0, seed: int = 1,
) -> None:  # fmt: skip
    """Write one traffic that bursts as two servers counted it, of which the second began later.

    every: the length of their intervals.  quiet: seconds in which only the first was watched and
    nothing ran.  gap: seconds in which nobody read the second.  factor: what it reads more.
    """
    dice = random.Random(seed)  # noqa: S311 - the same numbers each time
    bursts = [50 * dice.choice((0.2, 1.0, 4.0)) * dice.uniform(0.5, 1.5) for _ in range(45)]
    traffic = [0.0] * quiet + [burst for burst in bursts for _ in range(10)]
    for label, length, begins, times in (
        ("app", every[0], 0.0, 1.0), ("second", every[1], quiet + first, factor),
    ):  # fmt: skip
        moment, calls, blocks, older = begins, 0.0, 0.0, None
        writer = Writer.open(root, label, Unsynced())
        noise = random.Random(f"{seed} {label}")  # noqa: S311
        while moment <= len(traffic):
            unread = label == "second" and round(moment) in gap
            if older is None or not unread:
                rows = [{"queryid": 1, "calls": round(calls), "shared_blks_read": round(blocks)}]
                newer = reading(
                    moment, rows, databases=[{"datid": 5, "blks_read": round(blocks)}],
                    server=server(label=label, address=label),
                )  # fmt: skip
                if older is not None:
                    writer.append(diff(older, newer, expected_seconds=length), KNOWN)
                older = newer
            for second in range(round(moment), min(round(moment + length), len(traffic))):
                calls += traffic[second]
                blocks += traffic[second] * 20 * times * noise.uniform(0.98, 1.02)
            moment += length
        writer.close()


SAME_TRAFFIC: list[tuple[dict[str, Any], float]] = [
    ({}, 0.15),
    ({"every": (5.0, 5.0), "first": 3.0}, 0.35),
    ({"quiet": 200}, 0.15),
    ({"quiet": 47, "gap": range(300, 345)}, 0.25),
]
"""How, and how wide the interval may be; as wholes it would be wider than 0.6."""


@pytest.mark.parametrize(("how", "width"), SAME_TRAFFIC, ids=str)
def test_one_traffic_on_two_servers_is_compared_step_by_step(
    tmp_path: Path, how: dict[str, Any], width: float
) -> None:
    both_watched(tmp_path, **how)
    found = json.loads(compare(tmp_path, "app", "second", "--format", "json").stdout)
    total = found["rows"][0]
    assert (found["paired"], found["cut_to_shared_time"]) == (True, True)
    assert (found["conclusion"], total["verdict"]) == ("No change.", "no change")
    assert total["change_low"] < 0 < total["change_high"]
    assert total["change_high"] - total["change_low"] < width


def test_what_one_of_two_servers_reads_more_of_the_same_traffic_is_found(tmp_path: Path) -> None:
    both_watched(tmp_path, quiet=100, factor=1.1, gap=range(300, 345))
    found = json.loads(compare(tmp_path, "app", "second", "--format", "json").stdout)
    total = found["rows"][0]
    assert total["verdict"] == "worse"
    assert total["change_low"] < 0.1 < total["change_high"]
    text = compare(tmp_path, "app", "second").stdout
    assert "(3 of A and 1 of B left out, without a counterpart)" in " ".join(text.split())
