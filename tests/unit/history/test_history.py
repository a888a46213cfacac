"""What is asked of a history is what was counted, from whichever files it is answered."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from pgiostat.analysis.rank import By, Totals, rank, rank_totals
from pgiostat.collector.recorder import Recorder
from pgiostat.collector.schedule import Schedule
from pgiostat.collector.targets import Target
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window, whole_hours
from pgiostat.history.write.compaction import compact
from pgiostat.queries.describe import describer, uncategorized
from pgiostat.render.report import remarks
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names
from tests.conftest import MakeServer
from tests.support.histories import KNOWN, MINUTE, TEXTS, intervals, write
from tests.support.readings import at, reading, said_to, server
from tests.support.workloads import client, fill, run


def blocks(history: History, window: Window, by: By = By.CATEGORY) -> dict[str, int]:
    """Return the blocks of each row of a ranking of a window."""
    seen = history.totals(window)
    names = history.names(describer())
    parts = [(counted, names[whose]) for whose, counted in seen.counted.items()]
    return {row.name: row.cost.blocks for row in rank_totals(parts, by=by).rows}


def test_a_window_is_ranked_as_its_intervals_would_be(tmp_path: Path) -> None:
    root = tmp_path / "history"
    deltas = intervals(30, 10 * MINUTE)
    write(root, deltas)
    history = History.open(root)
    window = Window(at(0), at(30 * 10 * MINUTE))
    names = history.names(describer())
    for by in set(By) - {By.SERVER, By.HOUR}:
        seen = history.totals(window, by)
        parts = [(counted, names[whose]) for whose, counted in seen.counted.items()]
        found, expected = rank_totals(parts, by=by), rank(deltas, KNOWN, by=by)
        assert [(row.name, row.cost, row.share) for row in found.rows] == [
            (row.name, row.cost, row.share) for row in expected.rows
        ]
        assert (found.server_blocks, found.unattributed) == (
            expected.server_blocks, expected.unattributed,
        )  # fmt: skip
    assert (seen.sampled.samples, seen.sampled.seconds, seen.sampled.qualities) == (
        30,
        18_000.0,
        {"ok": 30},
    )
    assert seen.sampled.coverage == 10 * 900 / (11 * 900 + 30)


def test_what_nested_statements_read_is_told_apart(tmp_path: Path) -> None:
    rows = [
        {"queryid": 1, "calls": 1, "shared_blks_read": 50, "stats_since": at(1)},
        {"queryid": 2, "calls": 1, "shared_blks_read": 30, "stats_since": at(1),
         "toplevel": False},
    ]  # fmt: skip
    root = tmp_path / "history"
    write(root, [diff(reading(0), reading(MINUTE, rows))])
    (counted,) = History.open(root).totals(Window(at(0), at(MINUTE)), By.STATEMENT).counted.values()
    told = rank_totals([(counted, KNOWN)], by=By.STATEMENT)
    assert (told.explained.blocks, told.nested, told.nested_blocks) == (50, 1, 30)


@pytest.mark.parametrize("sealed", [False, True])
def test_whole_hours_and_edges_give_what_the_rows_give(tmp_path: Path, sealed: bool) -> None:  # noqa: FBT001
    root = tmp_path / "history"
    deltas = intervals(60, 10 * MINUTE)  # ten hours
    write(root, deltas)
    if sealed:
        compact(Layout(root), "prod")
    history = History.open(root)
    for first, last in [(0, 60), (3, 57), (6, 12), (1, 5), (7, 8), (5, 59), (12, 60), (59, 60)]:
        window = Window(at(first * 10 * MINUTE), at(last * 10 * MINUTE))
        expected = rank(deltas[first:last], KNOWN)
        assert blocks(history, window) == {row.name: row.cost.blocks for row in expected.rows}
    assert blocks(history, Window(at(599), at(601))) == blocks(history, Window(at(600), at(1200)))


def test_a_better_rule_corrects_the_past(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(2, MINUTE))
    names = next(iter(History.open(root).names(describer()).values()))
    categories = {n: names.statements[10, 5, n].category for n in TEXTS}
    assert categories == {1: "version", 2: "manifest", 3: "manifest", 4: OWN}
    assert {n: names.statements[10, 5, n].text for n in TEXTS} == {
        n: text for n, (text, _, _) in TEXTS.items()
    }


def test_servers_are_told_apart_by_label_and_address(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, MINUTE), "prod")
    write(root, intervals(2, MINUTE, server=server(label="perf", address="10.0.0.2")), "perf")
    history = History.open(root)
    assert [(s.label, s.since, s.until, s.samples) for s in history.servers()] == [
        ("perf", at(0), at(2 * MINUTE), 2),
        ("prod", at(0), at(3 * MINUTE), 3),
    ]
    both = Window(at(0), at(3600))
    assert len(history.totals(both).counted) == 2
    assert blocks(history, Window(at(0), at(3600), "perf"))["version"] == 4
    with pytest.raises(PgiostatError) as raised:
        history.totals(Window(at(0), at(3600), "test"))
    assert (raised.value.slug, raised.value.hint) == ("label-unknown", "Servers: perf, prod.")


def test_a_window_without_an_interval_is_nothing_to_report(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(2, MINUTE))
    with pytest.raises(PgiostatError) as raised:
        History.open(root).totals(Window(at(-60), at(-30)))
    assert raised.value.status is ExitStatus.NOTHING_TO_REPORT
    assert (
        raised.value.hint == "The history goes from 2026-11-23 10:00:00Z to 2026-11-23 10:02:00Z."
    )


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, MINUTE))
    damaged = Layout(root).sample("prod", 2) / "stmt.parquet"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(PgiostatError) as raised:
        History.open(root).totals(Window(at(0), at(3600)))
    assert raised.value.slug == "history-unreadable"
    assert str(damaged) in raised.value.message


def test_whole_hours_are_those_within_a_window() -> None:
    def hours(since: float, until: float) -> tuple[Any, ...]:
        found = whole_hours(Window(at(since), at(until)))
        return tuple((instant - at(0)) / timedelta(minutes=1) for instant in found)

    assert hours(0, 3600) == (0, 60)
    assert hours(1, 3600 * 3 + 1) == (60, 180)
    assert hours(1, 3599) == (1 / 60, 1 / 60)
    assert hours(1, 3601) == (1 / 60, 1 / 60)


def test_what_a_collector_keeps_adds_up_to_the_servers_own_counts(
    make_server: MakeServer, tmp_path: Path
) -> None:
    dsn = make_server().dsn()
    said: list[str] = []
    with client(dsn) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        fill(other, "parcel", 5_000)
        run(other, "SELECT count(*) FROM parcel", 2)
    counted: Counter[str] = Counter()
    for part in range(2):  # the second collector goes on where the first one ended
        stop = Event()
        recorder = Recorder(
            Target(dsn, "prod", 0.2),
            tmp_path / "history",
            uncategorized,
            Schedule(stop),
            said_to(said),
        )
        worker = Thread(target=recorder.run)
        worker.start()
        while recorder.samples < 3:
            stop.wait(0.05)
        with client(dsn) as other:
            run(other, "SELECT max(id) FROM parcel WHERE client_id < 50", 5 + part)
            counted["max"] += 5 + part
        seen_until = recorder.samples + 3
        while recorder.samples < seen_until:
            stop.wait(0.05)
        stop.set()
        worker.join()
        with client(dsn) as other:  # between the two
            run(other, "SELECT min(id) FROM parcel WHERE client_id < 50", 3)
            counted["min"] += 3 if not part else 0
    history = History.open(tmp_path / "history")
    whole = history.servers()[0]
    seen = history.totals(Window(whole.since, whole.until))
    names = history.names(describer())
    parts: list[tuple[Totals, Names]] = [
        (each, names[whose]) for whose, each in seen.counted.items()
    ]
    calls = {row.text: row.cost.calls for row in rank_totals(parts, by=By.STATEMENT).rows}
    asked = {name: calls[f"select {name}(id) from parcel where client_id < ?"] for name in counted}
    assert asked == counted
    assert seen.sampled.qualities["gap"] >= 1  # a snapshot that a busy machine delays is one more
    usual = re.compile(" intervals committed in |^device: |: gap$")
    logged = [line for line in said if not usual.search(line)]
    assert [line.split(" of ")[0] for line in logged] == ["continuing from the snapshot"]


def test_servers_that_follow_one_another_under_a_label_share_no_second(tmp_path: Path) -> None:
    """After a failover behind one address ids mean something else, and rates are of the sum."""
    root = tmp_path / "history"
    first = intervals(4, 10.0)
    second = intervals(8, 10.0, server=server(system_identifier=2, address="10.0.0.2"))[4:]
    write(root, [*first, *second])
    history = History.open(root)
    window = Window(at(0), at(80))
    seen = history.totals(window)
    assert (len(seen.counted), dict(seen.seconds_by_label)) == (2, {"prod": 80.0})
    names = history.names(describer())
    assert [len(each.statements) for each in names.values()] == [4, 4]
    parts = [(counted, names[whose]) for whose, counted in seen.counted.items()]
    assert rank_totals(parts).seconds == 80.0
    assert not [line for line in remarks(seen) if "watched" in line or "nothing was" in line]
