"""What a history knows of names: what was called how and when, and why texts were not read."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pgiostat.analysis.rank import By, rank_totals
from pgiostat.export import export
from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.writer import Writer
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Renamed, Statement
from pgiostat.watch.sources.replay import ReplaySource
from tests.support.program import pgiostat
from tests.support.readings import Unsynced, at, reading

SELECT = Statement("select a from t", "2:00000000000000aa", "")
OLD = Names({(10, 5, 1): SELECT}, {5: "app"}, {10: "api"}, {100: (100, "public", "t", "heap")})
NEW = Names({(10, 5, 1): SELECT}, {5: "shop"}, {10: "web"}, {100: (100, "sales", "t", "heap")})


def interval(n: int, **more: Any) -> Delta:
    """Return the interval of ten seconds that begins at 10 n."""
    readings = [
        reading(
            10 * each,
            [{"queryid": 1, "calls": each + 1, "shared_blks_read": 10 * each}],
            databases=[{"datid": 5, "blks_read": 10 * each}],
            relations=[{"relid": 100, "blks_read": 10 * each}],
            **more,
        )
        for each in (n, n + 1)
    ]
    return diff(*readings)


def write(root: Path, names: list[Names], collector: str = "prod", first: int = 0) -> None:
    """Append an interval for each of these names; a collector that is restarted tells all again."""
    writer = Writer.open(root, collector, Unsynced())
    for n, each in enumerate(names, first):
        writer.append(interval(n), each)
    writer.close()


def shown(root: Path, since: float, until: float, by: By) -> list[str]:
    history = History.open(root)
    window = Window(at(since), at(until))
    names = history.names(describer(), window)
    seen = history.totals(window, by)
    parts = [(counted, names[whose]) for whose, counted in seen.counted.items()]
    found = [row.name for row in rank_totals(parts, by=by).rows]
    history.close()
    return found


@pytest.mark.parametrize("sealed", [False, True])
def test_an_interval_has_the_names_of_its_time(tmp_path: Path, *, sealed: bool) -> None:
    root = tmp_path / "history"
    write(root, [OLD, OLD])
    write(root, [OLD, NEW, NEW], first=2)
    write(root, [NEW, OLD, OLD], first=5)
    if sealed:
        assert compact(Layout(root), "prod", Unsynced()) == 7
    for by, before, after in (
        (By.DATABASE, "app", "shop"),
        (By.USER, "api", "web"),
        (By.RELATION, "public.t", "sales.t"),
    ):
        assert shown(root, 0, 30, by) == [before]
        assert shown(root, 30, 60, by) == [after]
        assert shown(root, 60, 80, by) == [before]
        assert shown(root, 20, 50, by) == [after]  # the last one, and the change is told
    history = History.open(root)
    (names,) = history.names(describer(), Window(at(20), at(50))).values()
    assert names.renamed == (
        Renamed("database", "app", "shop", at(30)),
        Renamed("relation", "public.t", "sales.t", at(30)),
        Renamed("role", "api", "web", at(30)),
    )
    (names,) = history.names(describer(), Window(at(30), at(60))).values()
    assert names.renamed == ()
    history.close()


def test_what_a_restarted_collector_tells_again_is_kept_once(tmp_path: Path) -> None:
    root = tmp_path / "history"
    for n in range(5):
        write(root, [OLD], first=n)
    write(root, [NEW, NEW], first=5)
    assert compact(Layout(root), "prod", Unsynced()) == 6
    kept = pq.read_table(Layout(root).dimension("name", "prod")).to_pylist()
    found = [(row["kind"], row["name"], row["schema"], row["since"]) for row in kept]
    assert found == [
        ("database", "app", "", at(0)),
        ("database", "shop", "", at(50)),
        ("relation", "t", "public", at(0)),
        ("relation", "t", "sales", at(50)),
        ("role", "api", "", at(0)),
        ("role", "web", "", at(50)),
    ]


def test_names_of_an_older_file_have_no_time_and_are_the_first(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, [OLD, OLD])
    path = Layout(root).sample("prod", 1) / "name.parquet"
    without(path, "since")
    without(Layout(root).sample("prod", 1) / "statement.parquet", "unread")
    write(root, [NEW, NEW], first=2)
    for _ in range(2):
        assert shown(root, 0, 20, By.DATABASE) == ["app"]
        assert shown(root, 20, 40, By.DATABASE) == ["shop"]
        compact(Layout(root), "prod", Unsynced())


def without(path: Path, column: str) -> None:
    """Write a file anew without a column, as an earlier version did: it has no checksum."""
    older = pq.read_table(path).drop_columns([column]).replace_schema_metadata(None)
    pq.write_table(older, path, use_dictionary=False)


def test_rules_by_role_follow_the_name_of_the_time(tmp_path: Path) -> None:
    root = tmp_path / "history"
    rules = tmp_path / "rules.toml"
    rules.write_text(
        'schema = 1\n[[rule]]\nname = "web"\ncategory = "web"\nwhen = { user = "web" }\n'
    )
    write(root, [OLD, NEW])
    history = History.open(root)
    describe = describer(rule_book(rules))
    for since, category in ((0, "select t"), (10, "web")):
        names = history.names(describe, Window(at(since), at(since + 10)))
        assert [
            known.category for each in names.values() for known in each.statements.values()
        ] == [category]
    history.close()


def test_a_report_tells_both_names_and_an_export_has_that_of_each_interval(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, [OLD, NEW])
    done = pgiostat("report", "--history", root, "--by", "user", "--format", "json")
    told = json.loads(done.stdout)
    when = "at 2026-11-23 10:00:10Z: names and categories are those at the end of the time window"
    assert [line for line in told["remarks"] if "renamed" in line] == [
        f"database app was renamed to shop {when}",
        f"relation public.t was renamed to sales.t {when}",
        f"role api was renamed to web {when}",
    ]
    history = History.open(root)
    export(history, Window(at(0), at(20)), describer(), tmp_path / "out")
    history.close()
    for file, column, expected in (
        ("statements", "database", ["app", "shop"]),
        ("statements", "user", ["api", "web"]),
        ("databases", "database", ["app", "shop"]),
        ("relations", "relation", ["public.t", "sales.t"]),
    ):
        with (tmp_path / "out" / f"{file}.csv").open(encoding="utf-8") as lines:
            assert [row[column] for row in csv.DictReader(lines)] == expected


def test_a_replay_shows_the_names_of_each_interval(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, [OLD, NEW, OLD])
    history = History.open(root)
    replay = ReplaySource(history, describer(), Window(at(0), at(30)))
    found = [replay._names_at(place).database(5) for place in range(3)]
    assert found == ["app", "shop", "app"]
    history.close()


def test_a_database_that_was_made_again_is_another_one(tmp_path: Path) -> None:
    root = tmp_path / "history"
    writer = Writer.open(root, "prod", Unsynced())
    statements: list[list[dict[str, object]]] = [
        [{"queryid": 1, "dbid": dbid, "calls": n + 1, "shared_blks_read": n} for dbid in (5, 6)]
        for n in range(2)
    ]
    readings = [reading(10 * n, rows) for n, rows in enumerate(statements)]
    writer.append(diff(*readings), replace(OLD, databases={5: "app", 6: "app"}))
    writer.close()
    assert shown(root, 0, 10, By.DATABASE) == ["app (oid 5)", "app (oid 6)"]


# texts that could not be read


UNREAD = replace(OLD, statements={}, unreadable={(10, 5, 1): "Invalid byte sequence."})


@pytest.mark.parametrize("sealed", [False, True])
def test_why_a_text_could_not_be_read_is_kept_until_it_can(tmp_path: Path, *, sealed: bool) -> None:
    root = tmp_path / "history"
    nothing = replace(OLD, statements={})
    write(root, [nothing])
    assert shown(root, 0, 10, By.CATEGORY) == ["no text yet"]
    write(root, [UNREAD, UNREAD, UNREAD], first=1)
    if sealed:
        compact(Layout(root), "prod", Unsynced())
    assert shown(root, 0, 40, By.CATEGORY) == ["not readable"]
    assert shown(root, 0, 40, By.STATEMENT) == ["(not readable: Invalid byte sequence; queryid 1)"]
    write(root, [OLD, UNREAD, UNREAD], first=4)
    if sealed:
        compact(Layout(root), "prod", Unsynced())
    # Also in what was counted before, and in the rollup.
    assert shown(root, 0, 40, By.CATEGORY) == ["select t"]
    assert shown(root, 0, 40, By.STATEMENT) == ["select a from t"]


def test_a_reason_is_written_once_and_the_text_when_it_comes(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, [UNREAD, UNREAD, OLD, OLD])
    found = [
        [(row["text"], row["unread"]) for row in pq.read_table(path).to_pylist()]
        for n in range(1, 5)
        if (path := Layout(root).sample("prod", n) / "statement.parquet").exists()
    ]
    assert found == [[("", "Invalid byte sequence.")], [("select a from t", None)]]
