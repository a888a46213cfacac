"""Operations of categories in a history, divided by regression where its inputs are there."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pgiostat.analysis.operations import DividedBy, Division
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.writer import Writer
from pgiostat.render.burst import HEADER, document, records
from pgiostat.reports.burst import WindowBurst, burst_report
from pgiostat.reports.operations import chunks, divisions, nearest
from pgiostat.statistics import counters
from pgiostat.statistics.counter_table import CounterTable
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.relation_changes import RelationChanges, RelationInterval
from pgiostat.statistics.row_deltas import Basis, RowDeltas
from pgiostat.volume.models import volume_of
from tests.support.readings import Unsynced, at, reading, rows, server
from tests.support.synthetic_reads import CLASSES, PAGES, ROWS_PER_PAGE, synthetic_reads

SECONDS = 120
MINUTE = timedelta(minutes=1)
TABLES = {20_000 + i: name for i, name in enumerate(("big", "med", "small"))}
INDEX = 100
"""The oid of a table's index, above its own."""
CATEGORY = {
    "scan": "export", "med": "export", "small": "list", "lookup": "page",
    "range": "page", "bitmap": "search", "dense": "list",
}  # fmt: skip
SETTINGS = {"shared_buffers": "16MB", "io_combine_limit": "128kB"}
NAMES = Names(
    {
        (10, 5, i): Statement(
            f"select {each.name} from {list(TABLES.values())[each.table]}",
            f"1:{i}",
            CATEGORY[each.name],
            action="select",
        )
        for i, each in enumerate(CLASSES, start=1)
    },
    {5: "app"},
    {10: "api"},
    {oid: (oid, "public", name, "heap") for oid, name in TABLES.items()},
)


def described(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:  # noqa: ARG001
    """Return what is known of a statement of NAMES."""
    return NAMES.statements[10, 5, queryid]


def relation_changes(second: int, *, known_settings: bool) -> RelationChanges:
    """Return the counters of the tables over the ten seconds up to a second."""
    tables = synthetic_reads(1, SECONDS).intervals.tables
    assert tables is not None
    period = second // 10 - 1
    table_rows = [
        {
            "relid": oid,
            "relpages": int(PAGES[i]),
            "reltuples": int(PAGES[i] * ROWS_PER_PAGE),
            "seq_scan": int(tables.scans[period, i]),
            "bitmap_tup_fetch": int(tables.bitmap_rows[period, i]),
        }
        for i, oid in enumerate(TABLES)
    ]
    index_rows = [
        {"indexrelid": oid + INDEX, "relid": oid, "idx_tup_fetch": int(fetched)}
        for oid, fetched in zip(TABLES, tables.index_rows[period], strict=True)
    ]

    def deltas(table: CounterTable, records: list[dict[str, int]]) -> RowDeltas:
        found = rows(table.select(), records)
        return RowDeltas(found, np.full(len(found), Basis.PREVIOUS, dtype=np.uint8))

    interval = RelationInterval(
        5,
        at(second - 10),
        10.0,
        deltas(counters.TABLE_STATS, table_rows),
        deltas(counters.INDEX_STATS, index_rows),
    )
    settings = [
        Definition(0, Kind.SETTING, 0, 0, name, text)
        for name, text in SETTINGS.items()
        if known_settings and second == 10
    ]
    return RelationChanges((interval,), tuple(settings))


def intervals(*, version: int = 180004, tables: bool = True) -> list[Delta]:
    """Return intervals of a second, with the counters of tables each ten seconds."""
    made = synthetic_reads(1, SECONDS).intervals
    counts, bulk, normal = made.statements, made.bulk, made.normal

    def total(values: np.ndarray, second: int) -> list[int]:
        return [int(value) for value in values[:second].sum(axis=0).reshape(-1)]

    def read(second: int) -> list[dict[str, object]]:
        return [
            {
                "backend_type": "client backend",
                "object": "relation",
                "context": name,
                "reads": total(context.operations, second)[0],
                "read_bytes": total(context.blocks, second)[0] * 8192,
            }
            for name, context in (("bulkread", bulk), ("normal", normal))
        ]

    snapshots = []
    for second in range(SECONDS + 1):
        calls, blocks, touched = (
            total(values, second) for values in (counts.calls, counts.blocks, counts.touched)
        )
        statements = [
            {
                "queryid": i + 1,
                "calls": calls[i],
                "shared_blks_read": blocks[i],
                "shared_blks_hit": touched[i] - blocks[i],
            }
            for i in range(len(CLASSES))
        ]
        whole = total(bulk.blocks + normal.blocks, second)[0]
        snapshots.append(
            reading(
                second,
                statements,
                databases=[{"datid": 5, "blks_read": whole}],
                relations=[{"relid": oid, "blks_hit": second} for oid in TABLES],
                io=read(second),
                server=server(version_num=version),
            )
        )
    deltas = [diff(older, newer) for older, newer in pairwise(snapshots)]
    if not tables:
        return deltas
    return [
        replace(delta, relation_changes=relation_changes(second, known_settings=True))
        if second % 10 == 0
        else delta
        for second, delta in enumerate(deltas, start=1)
    ]


def written(root: Path, deltas: list[Delta]) -> History:
    """Return a history of intervals."""
    writer = Writer.open(root, "prod", Unsynced(), now=lambda: at(86_400))
    for delta in deltas:
        writer.append(delta, NAMES)
    writer.close()
    return History.open(root)


def burst_of(history: History) -> WindowBurst:
    """Return the burst report of the whole window."""
    window = Window(at(0), at(SECONDS))
    return burst_report(history, window, described, volume_of("gp2:500"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WindowBurst:
    """Return the burst report of a history with all inputs."""
    return burst_of(written(tmp_path_factory.mktemp("history"), intervals()))


def truth() -> dict[str, float]:
    """Return the operations a second of each category."""
    operations = synthetic_reads(1, SECONDS).truth
    found: dict[str, float] = {}
    for each, count in zip(CLASSES, operations.tolist(), strict=True):
        name = CATEGORY[each.name]
        found[name] = found.get(name, 0.0) + count / SECONDS
    return found


def test_operations_of_categories_are_divided_by_regression(found: WindowBurst) -> None:
    report = found.burst
    assert report.divisions == {DividedBy.REGRESSION: float(SECONDS)}
    known = {part.name: part for part in report.parts}
    for name, per_s in truth().items():
        assert known[name].per_s == pytest.approx(per_s, rel=0.1)
        ends = known[name].range_per_s
        assert ends is not None
        low, high = ends
        assert low <= per_s <= high
        assert known[name].is_known


def test_the_parts_add_up_to_the_servers_operations(found: WindowBurst) -> None:
    made = synthetic_reads(1, SECONDS).intervals
    whole = sum(part.per_s for part in found.burst.parts) * SECONDS
    assert whole == pytest.approx(made.operations)


def test_the_report_names_the_regression_and_the_interval(found: WindowBurst) -> None:
    text = document(found.totals, found.burst)
    assert "I/O operations: reads by pg_stat_io, divided by regression" in text.facts
    assert [column.heading for column in text.tables[0].columns][4] == "95 % interval"
    [whole] = text.objects
    assert whole["seconds_by_division"] == {"regression": float(SECONDS)}
    assert {part["part"]: part["is_known"] for part in whole["parts"]}["page"] is True


def test_csv_has_the_division_and_the_interval_of_each_part(found: WindowBurst) -> None:
    rows_ = [dict(zip(HEADER, row, strict=True)) for row in records(found.totals, found.burst)]
    assert {row["divided_by"] for row in rows_} == {"regression"}
    parts = [row for row in rows_ if row["part"] == "page"]
    assert parts
    for row in parts:
        assert row["operations_low"] <= row["operations"] <= row["operations_high"]


@pytest.mark.parametrize("how", ["17", "without tables", "without settings", "short"])
def test_without_its_inputs_operations_are_divided_by_blocks(tmp_path: Path, how: str) -> None:
    deltas = intervals(version=170010 if how == "17" else 180004, tables=how != "without tables")
    if how == "without settings":
        deltas = [
            replace(delta, relation_changes=RelationChanges(delta.relation_changes.intervals))
            if delta.relation_changes is not None
            else delta
            for delta in deltas
        ]
    history = written(tmp_path, deltas[:11] if how == "short" else deltas[:30])
    window = Window(at(0), at(SECONDS))
    totals = history.totals(window)
    assert divisions(history, totals, history.names(described, window)) == []
    report = burst_of(history).burst
    assert set(report.divisions) == {DividedBy.BLOCKS}
    assert [part.range_per_s for part in report.parts] == [None] * len(report.parts)


def minutes(window: Window) -> list[tuple[float, float]]:
    """Return begin and end of the chunks of a window, in minutes of it."""
    return [
        ((since - window.since) / MINUTE, (until - window.since) / MINUTE)
        for since, until in chunks(window)
    ]


def test_a_short_window_is_read_as_a_whole() -> None:
    assert minutes(Window(at(0), at(600))) == [(0.0, 10.0)]
    assert minutes(Window(at(0), at(2400))) == [
        (0.0, pytest.approx(40 / 3)),
        (pytest.approx(40 / 3), pytest.approx(80 / 3)),
        (pytest.approx(80 / 3), 40.0),
    ]


def test_of_a_long_window_quarters_of_an_hour_are_read_evenly_spread() -> None:
    found = minutes(Window(at(0), at(86_400)))
    assert found == [(82.5 + 180 * i, 97.5 + 180 * i) for i in range(8)]


def test_a_step_is_divided_as_the_nearest_chunk() -> None:
    first, second = (Division(at(begin), at(begin + 900), {}, 1.0) for begin in (0, 10_000))
    assert nearest([first, second], at(500)) is first
    assert nearest([first, second], at(5_000)) is first
    assert nearest([first, second], at(6_000)) is second
    assert nearest([], at(0)) is None
