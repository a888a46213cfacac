"""pgiostat collect and report, as they are used."""

import csv
import io
import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pgiostat.collector.targets import targets
from pgiostat.errors import PgiostatError
from pgiostat.history.write.writer import Writer
from pgiostat.render.report import _QUALITIES
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names, Statement
from pgiostat.timespec import duration, instant
from tests.support.histories import intervals, write
from tests.support.program import pgiostat
from tests.support.readings import at, reading
from tests.support.workloads import client, fill, run

KNOWN = Names(
    {
        (10, 5, 1): Statement("select max(rev) from t", "2:aaaaaaaaaaaaaaaa", ""),
        (10, 5, 2): Statement("select id, rev from t where id > ?", "2:bbbbbbbbbbbbbbbb", ""),
    },
    {5: "app"},
    {10: "api"},
)

REPORT = """\
pgiostat  prod  2026-11-23 10:00:00Z – 2026-11-23 10:30:00Z  3 intervals
read 1.83 blocks/s  14.7 KiB/s  hit 0 %  sessions reading –  coverage 90.9 %
preset sync: versions and manifests of t
category       share            blocks/s  r_await blocks/call  calls/s
version       60.6 % ██████         1.11        –         667    <0.01
manifest      30.3 % ███            0.56        –         333    <0.01
unattributed   9.1 %                0.17
server       100.0 %                1.83
"""


def history(directory: Path) -> Path:
    """Make a history of three intervals of ten minutes."""
    root = directory / "history"
    readings = [
        reading(
            600.0 * n,
            [
                {"queryid": 1, "calls": n, "shared_blks_read": 2000 * n // 3},
                {"queryid": 2, "calls": n, "shared_blks_read": 1000 * n // 3},
            ],
            databases=[{"datid": 5, "blks_read": 1100 * n}],
        )
        for n in range(4)
    ]
    writer = Writer.open(root, "prod")
    for older, newer in pairwise(readings):
        writer.append(diff(older, newer), KNOWN)
    writer.close()
    return root


def report(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pgiostat report."""
    return pgiostat("report", "--history", str(root), *arguments)


def test_a_report_is_the_ranking_of_a_window(tmp_path: Path) -> None:
    done = report(history(tmp_path))
    shown, _, following = done.stdout.rpartition("Next: ")
    lines = [line.rstrip() for line in shown.splitlines()]
    root = tmp_path / "history"
    assert " ".join(following.split()) == (
        f"pgiostat compare {root} A B, burst --volume gp2:GIB or whatif --drop CATEGORY"
    )
    assert (done.returncode, done.stderr, lines) == (0, "", REPORT.splitlines())


def test_forms_of_a_report_say_the_same(tmp_path: Path) -> None:
    root = history(tmp_path)
    rows = list(csv.DictReader(io.StringIO(report(root, "--format", "csv").stdout)))
    assert [(row["part"], row["category"], row["blocks_read"]) for row in rows] == [
        ("row", "version", "2000"),
        ("row", "manifest", "1000"),
        ("unattributed", "unattributed", "300"),
    ]
    told = json.loads(report(root, "--format", "json", "--last", "10m").stdout)
    assert {name: told[name] for name in ("interval_start", "seconds", "server", "samples")} == {
        "interval_start": "2026-11-23T10:20:00.000000Z",
        "seconds": 600.0,
        "server": "prod",
        "samples": 1,
    }
    assert [row["category"] for row in told["rows"]] == ["version", "manifest", "unattributed"]
    lines = report(root, "--format", "markdown", "--by", "fingerprint").stdout.splitlines()
    assert lines[0].startswith("**prod**, 2026-11-23 10:00:00Z – 2026-11-23 10:30:00Z, 3 interv")
    assert [line.split(" | ")[0] for line in lines if line.startswith("|")] == [
        "| fingerprint",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
        "| `2:aaaaaaaaaaaaaaaa`",
        "| `2:bbbbbbbbbbbbbbbb`",
        "| unattributed",
        "| server",
    ]


def test_entries_of_one_fingerprint_are_one_statement_for_people(tmp_path: Path) -> None:
    root = tmp_path / "history"
    texts = {queryid: KNOWN.statements[10, 5, 1 + (queryid > 5)] for queryid in (1, 2, 3, 4, 5, 6)}
    known = Names(
        {(10, 5, queryid): text for queryid, text in texts.items()}, {5: "app"}, {10: "api"}
    )
    readings = [
        reading(
            600.0 * n,
            [{"queryid": each, "calls": n, "shared_blks_read": 100 * each * n} for each in texts],
            databases=[{"datid": 5, "blks_read": 3000 * n}],
        )
        for n in range(2)
    ]
    writer = Writer.open(root, "prod")
    writer.append(diff(*readings), known)
    writer.close()

    def identified(*arguments: str) -> list[str]:
        lines = report(root, *arguments).stdout.splitlines()
        return [line.rstrip() for line in lines if "queryid " in line]

    assert identified("--by", "statement") == [
        "1  queryid 5, 4, 3, 2 more  fingerprint 2:aaaaaaaaaaaaaaaa  api@app",
        "2  queryid 6  fingerprint 2:bbbbbbbbbbbbbbbb  api@app",
    ]
    assert [line.split("  ")[1] for line in identified("--by", "queryid")] == [
        f"queryid {each}" for each in (6, 5, 4, 3, 2, 1)
    ]
    page = report(root, "--by", "statement", "--format", "markdown").stdout.splitlines()
    assert [line.split(" | ")[:2] for line in page if line.startswith("| ")][:3] == [
        ["| queryid", "fingerprint"],
        ["| 5, 4, 3, 2 more", "`2:aaaaaaaaaaaaaaaa`"],
        ["| 6", "`2:bbbbbbbbbbbbbbbb`"],
    ]
    for by in ("statement", "queryid"):
        found = json.loads(report(root, "--by", by, "--format", "json").stdout)
        rows = [(int(row["queryid"]), row["blocks_read"]) for row in found["rows"][:6]]
        assert (found["by"], rows) == (
            "statement",
            [(each, 100 * each) for each in (6, 5, 4, 3, 2, 1)],
        )


def test_what_an_interval_of_a_report_cost_the_server_itself(tmp_path: Path) -> None:
    root = tmp_path / "history"
    names = Names({(10, 5, 1): Statement("/* pgiostat */ select 1", "1:0", OWN)})
    counted = {"calls": 7, "shared_blks_read": 40, "temp_blks_read": 3, "total_exec_time": 5.5}
    readings = [
        reading(
            600.0 * n,
            [{"queryid": 1, **{name: value * n for name, value in counted.items()}}],
            databases=[{"datid": 5, "blks_read": 40 * n}],
        )
        for n in range(4)
    ]
    writer = Writer.open(root, "prod")
    for older, newer in pairwise(readings):
        writer.append(diff(older, newer), names)
    writer.close()
    line = "per interval: 7 calls, 5.50 ms, 40 blocks, 3 temp blocks read"
    assert f"pgiostat, {line}" in report(root).stdout.splitlines()
    assert f"- pgiostat's own statements, {line}" in report(root, "--format", "markdown").stdout
    told = json.loads(report(root, "--format", "json").stdout)
    assert told["own_per_interval"] == {
        "calls": 7, "exec_ms": 5.5, "blocks_read": 40, "temp_blks_read": 3,
    }  # fmt: skip
    assert told["operations_by"] is None


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--label", "test"], 1, 'there is no server "test" in the history'),
        (["--since", "tomorrow"], 2, 'invalid time: "tomorrow"'),
        (["--last", "1y"], 2, 'invalid duration: "1y"'),
        (["--last", "1h", "--since", "-1h"], 2, "--last and --since cannot be used together"),
        (
            ["--since", "2026-11-24", "--until", "2026-11-23"],
            2,
            "the time window ends before it begins",
        ),
        (["--since", "2020-01-01", "--until", "2020-01-02"], 3, "there is nothing between"),
        (["--by", "colour"], 2, 'invalid value for --by: "colour"'),
        (["--format", "xml"], 2, 'invalid value for --format: "xml"'),
    ],
)
def test_what_cannot_be_reported_is_said(
    tmp_path: Path, arguments: list[str], status: int, told: str
) -> None:
    done = report(history(tmp_path), *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"pgiostat: error: {told}")


@pytest.mark.once
def test_a_server_is_collected_and_reported(database: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    with client(database) as other:
        fill(other, "parcel", 1_000)
    command = [
        sys.executable, "-m", "pgiostat", "collect", database, "--label", "prod",
        "--interval", "0.5", "--for", "2s", "--history", str(root),
    ]  # fmt: skip
    collector = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with client(database) as other:
        while collector.poll() is None:
            run(other, "SELECT max(id) AS version FROM parcel")
    assert collector.stderr is not None
    said = collector.stderr.read().splitlines()
    assert collector.returncode == 0, said
    collector.stderr.close()
    assert said[0].endswith(f"pgiostat: collecting 1 server into {root}")
    assert said[-1].split(": ", 1)[1].partition(" intervals committed in ")[1]
    done = report(root, "--by", "statement", "--sort", "calls", "--format", "json")
    rows = json.loads(done.stdout)["rows"]
    found = {row.get("query"): row["calls"] for row in rows}
    assert found["select max(id) from parcel"] > 10


@pytest.mark.once
def test_a_check_reads_each_server_once(database: str, tmp_path: Path) -> None:
    root = tmp_path / "new" / "history"
    labels = ("--label", "a", "--label", "b", "--history", str(root))
    done = pgiostat("collect", database, "host=/nowhere", "--check", *labels)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0] == f"history: {root}; pgiostat collect will create it"
    assert lines[1].startswith("a: PostgreSQL ")
    assert lines[2].startswith("a: device: ")
    assert lines[3].startswith("b: error: could not connect to server")
    assert not root.parent.exists()


def test_labels_come_from_addresses_or_are_given() -> None:
    made = targets(["host=db.example.com", "postgresql://h:6543/app", "host=/run/pg port=5432"], [])
    assert [target.label for target in made] == ["db.example.com", "h_6543", "run_pg"]
    for dsns, labels, told in [
        (["host=a", "host=a dbname=b"], [], 'two servers would have the label "a"'),
        (["host=a", "host=b"], ["x"], "number of labels (1) differs from number of servers (2)"),
    ]:
        with pytest.raises(PgiostatError, match=re.escape(told)):
            targets(dsns, labels)


def test_times_are_read_as_people_write_them() -> None:
    zone = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 11, 23, 12, 30, tzinfo=zone)
    assert instant("-90m", now) == now - timedelta(minutes=90)
    assert instant("today", now) == datetime(2026, 11, 23, tzinfo=zone)
    assert instant("Yesterday 14:00", now) == datetime(2026, 11, 22, 14, tzinfo=zone)
    assert instant("9:05", now) == datetime(2026, 11, 23, 9, 5, tzinfo=zone)
    assert instant("2026-11-23T10:00:00Z", now) == at(0)
    assert instant("2026-11-20", now) == datetime(2026, 11, 20, tzinfo=zone)
    assert (duration("1.5h"), duration("2d 3h")) == (5400.0, 183_600.0)
    for text in ("", "h", "5 parsecs", "-5m"):
        with pytest.raises(PgiostatError, match="invalid duration"):
            duration(text)
    for text in ("soon", "25:00", "2026-13-01", "yesterday noon"):
        with pytest.raises(PgiostatError, match="invalid time"):
            instant(text, now)


def test_what_was_evicted_reset_and_missed_is_said(tmp_path: Path) -> None:
    root = tmp_path / "history"
    rows = [{"queryid": 1, "calls": n, "shared_blks_read": n} for n in (1, 2, 3, 4)]
    readings = [
        reading(0, rows[:1]),
        reading(60, rows[1:2], dealloc=7),
        reading(1800, rows[2:3], dealloc=7),
        reading(1860, rows[3:], dealloc=0, statements_reset=at(1850)),
    ]
    writer = Writer.open(root, "prod")
    for older, newer in pairwise(readings):
        writer.append(diff(older, newer, expected_seconds=60), KNOWN)
    writer.close()
    told = json.loads(report(root, "--format", "json", "--until", "2026-11-23T12:00Z").stdout)
    assert told["remarks"] == [
        "the reads of statements in 50.0 s are lost: pg_stat_statements was reset",
        f"1 of 3 intervals: {_QUALITIES['reset']}",
        f"1 of 3 intervals: {_QUALITIES['gap']}",
        f"1 of 3 intervals: {_QUALITIES['evicting']}",
        "at least 1,750 entries were evicted",
        "nothing was collected for 1 h 29 min of the window",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--since", ""], 'invalid time: ""'),
        (["--until", ""], 'invalid time: ""'),
        (["--last", "0s"], 'invalid duration: "0s"'),
        (["--since", "2999-01-01T00:00Z"],
         "the time window begins in the future, at 2999-01-01 00:00:00Z"),
    ],
)  # fmt: skip
def test_times_that_hold_nothing_by_themselves_are_refused(
    tmp_path: Path, words: list[str], message: str
) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 600))
    done = report(root, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"pgiostat: error: {message}"


def test_texts_in_steps_are_told_apart_by_numbers(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 600))
    lines = report(root, "--series", "10m", "--by", "fingerprint", "--top", "2").stdout.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        next(line for line in lines if line.startswith("#1 ") and "█" in line),
        next(line for line in lines if line.startswith("#2 ") and "█" in line),
        "#1 fetch $ from $",
        "#2 t · id between $ and $ · id, rev",
    ]
    (heading,) = [line for line in lines if line.startswith("from ")]
    assert heading.split() == ["from", "server/s", "coverage", "#1", "#2", "(1", "more)"]


def test_a_time_after_the_last_sample_holds_nothing(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 600))
    ended = report(root, "--since", "-1s")
    assert (ended.returncode, ended.stdout) == (3, "")
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("pgiostat: error: there is nothing between ")
    assert lines[1] == (
        "HINT:  The history goes from 2026-11-23 10:00:00Z to 2026-11-23 10:30:00Z."
    )
