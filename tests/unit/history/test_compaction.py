"""Sealing changes where rows are, never what a reader sees."""

import contextlib
import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgiostat.history.format.compacted import CompactedFile, SharedBatch
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.encode import encode
from pgiostat.history.format.file_index import Listing, files
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import DIMENSIONS, ROLLUP, SCHEMAS, SUMMED
from pgiostat.history.write import compaction as sealing
from pgiostat.history.write.compacted_rows import hourly
from pgiostat.history.write.compaction import compact, compact_shared
from pgiostat.history.write.compaction_policy import MAX_SHARED_SAMPLES, is_due
from pgiostat.history.write.writer import Writer
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names, Statement
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.volume.device.interval import DeviceInterval, Origin
from tests.support.readings import (
    WITHOUT_TOPLEVEL,
    Unsynced,
    at,
    reading,
    relation_changes,
    server,
)

pytestmark = pytest.mark.long

TEXTS = Names(
    {(10, 5, n): Statement(f"select {n}", f"1:{n}", "version") for n in (1, 2, 3)},
    {5: "app"},
    {10: "api"},
    {20100: (20100, "public", "t", "heap")},
)
HOUR = 3600.0


def intervals(count: int, seconds: float, **more: Any) -> list[Delta]:
    """Return intervals in which three statements, a database and a relation counted."""
    readings = [
        reading(
            n * seconds,
            [
                {"queryid": q, "calls": n * q, "shared_blks_read": n * n * q, "rows": n}
                for q in (1, 2, 3)
            ],
            databases=[{"datid": 5, "blks_read": 7 * n * n}],
            relations=[{"relid": 20100, "blks_read": 5 * n * n, "blks_hit": n}],
            **more,
        )
        for n in range(count + 1)
    ]
    return [diff(a, b) for a, b in pairwise(readings)]


def write(root: Path, deltas: list[Delta], collector: str = "prod") -> None:
    """Append intervals."""
    writer = Writer.open(root, collector, Unsynced())
    for number, each in enumerate(deltas):
        delta = replace(each, relation_changes=counted(each, number))
        writer.append(delta, TEXTS, [measured(delta)])
    writer.close()


def counted(delta: Delta, number: int) -> RelationChanges:
    """Return what a table and its index counted meanwhile, and a setting that changed."""
    assert delta.since is not None
    work_mem = Definition(0, Kind.SETTING, 0, 0, "work_mem", f"{number}MB")
    return relation_changes(
        delta.since,
        delta.seconds or 0.0,
        [{"relid": 20100, "seq_scan": 1, "last_vacuum": delta.since}],
        [{"indexrelid": 20101, "relid": 20100, "idx_scan": 2}],
        [work_mem],
    )


def measured(delta: Delta) -> DeviceInterval:
    """Return what a device did meanwhile."""
    assert delta.since is not None
    return DeviceInterval(delta.since, delta.seconds or 0.0, Origin.DISKSTATS, "sda", 4, 32_768)


def seen(root: Path) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return all rows of all tables that a reader sees, and how often."""
    found: dict[str, Counter[tuple[Any, ...]]] = {}
    for table in SCHEMAS:
        rows: Counter[tuple[Any, ...]] = Counter()
        if table not in DIMENSIONS:
            for path in files(Layout(root), table).paths:
                got = pq.ParquetFile(path).read(SCHEMAS[table].names)
                rows.update(zip(*(column.to_pylist() for column in got.columns), strict=True))
        found[table] = rows
    return found


def texts(root: Path) -> set[tuple[int, str]]:
    """Return the texts and names that a reader sees."""
    layout = Layout(root)
    found = set()
    for table, text in (("statement", "text"), ("name", "name")):
        for path in [*files(layout, table).hot, *layout.dimension_files(table)]:
            rows = pq.read_table(path, partitioning=None).to_pylist()
            found |= {(row.get("queryid", row.get("oid")), row[text]) for row in rows}
    return found


def test_sealed_rows_are_those_that_were_written_and_sorted(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(9, 60))
    before, said = seen(root), texts(root)
    assert compact(Layout(root), "prod") == 8
    assert (seen(root), texts(root)) == (before, said)
    layout = Layout(root)
    assert [sample.number for sample in layout.hot_samples()] == [9]  # to go on from
    sealed = root / "stmt" / "date=2026-11-23" / "000000000001-000000000008-prod.parquet"
    table = pq.read_table(sealed, partitioning=None)
    assert table.schema.equals(SCHEMAS["stmt"])
    keys = list(zip(table["sid"].to_pylist(), table["ts"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert compact(layout, "prod") == 0
    assert list(layout.tmp.iterdir()) == []


def test_a_file_holds_one_day_and_an_hours_sums_are_exact(tmp_path: Path) -> None:
    root = tmp_path / "history"
    deltas = intervals(30, HOUR / 2)  # from 10:00 to 01:00 of the next day
    write(root, deltas)
    compact(Layout(root), "prod")
    names = sorted(str(path.relative_to(root)) for path in root.glob("stmt/*/*.parquet"))
    assert names == [
        "stmt/date=2026-11-23/000000000001-000000000028-prod.parquet",
        "stmt/date=2026-11-24/000000000029-000000000029-prod.parquet",
    ]
    rolled = files(Layout(root), "stmt_1h", hot="stmt")
    assert [path.parent.name for path in rolled.hot] == ["000000000030"]
    sums: Counter[tuple[Any, ...]] = Counter()
    for file in rolled.compacted:
        table = pq.read_table(file.path, partitioning=None)
        assert table.schema.equals(ROLLUP)
        for row in table.to_pylist():
            sums[row["queryid"], row["ts"]] += row["shared_blks_read"]
            assert (row["intervals"], row["uncertain"]) in {(2, 0), (1, 0)}
    # Two half hours an hour: n² - (n - 2)² times the number of the statement.
    assert sums[3, at(0)] == 3 * 4
    assert sums[2, at(5 * HOUR)] == 2 * (12**2 - 10**2)
    assert sum(sums.values()) == 6 * 29**2


def test_what_is_null_stays_null_when_it_is_added_up() -> None:
    delta = intervals(1, 60, table=WITHOUT_TOPLEVEL)[0]
    row = hourly(encode(delta)["stmt"]).to_pylist()[0]
    nulls = {name for name in SUMMED if row[name] is None}
    assert nulls == {"local_blk_read_time", "temp_blk_read_time"}
    assert row["toplevel"] is None


class Interrupted(BaseException):
    """The process ends here."""


class Dying(Unsynced):
    """A disk that its process sees the last of after so many operations."""

    def __init__(self, operations: int) -> None:
        self.left = operations

    def _one(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Interrupted

    def write(self, path: Path, content: bytes | memoryview) -> None:
        self._one()
        super().write(path, content)

    def rename(self, source: Path, target: Path) -> None:
        self._one()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._one()
        if path.is_dir():  # half of it
            super().remove(min(path.iterdir()))
            self._one()
        super().remove(path)


def by_hour(root: Path) -> dict[Any, int]:
    """Return the blocks read in each hour, from the rollup and what is not sealed yet."""
    sums: Counter[Any] = Counter()
    for path in files(Layout(root), "stmt_1h", hot="stmt").paths:
        for row in pq.read_table(path, partitioning=None).to_pylist():
            sums[row["ts"].replace(minute=0)] += row["shared_blks_read"]
    return dict(sums)


def alone(root: Path, disk: Disk | None = None) -> int:
    """Seal each collector's samples in files of its own."""
    return sum(compact(Layout(root), collector, disk) for collector in ("prod", "test"))


def shared(root: Path, disk: Disk | None = None) -> int:
    """Seal them in files that they share."""
    return compact_shared(Layout(root), "+fleet", ["prod", "test"], disk)


def shared_after_alone(root: Path, disk: Disk | None = None) -> int:
    """Seal them in shared files, once a turn of one alone has been cut short."""
    with contextlib.suppress(Interrupted):
        compact(Layout(root), "prod", Dying(6))
    return shared(root, disk)


def alone_after_shared(root: Path, disk: Disk | None = None) -> int:
    """Seal each alone, once a turn of both, under another name, has been cut short."""
    with contextlib.suppress(Interrupted):
        compact_shared(Layout(root), "+gone", ["prod", "test"], Dying(9))
    return alone(root, disk)


@pytest.mark.exhaustive
@pytest.mark.parametrize("sealed", [alone, shared, shared_after_alone, alone_after_shared])
def test_a_seal_that_was_interrupted_anywhere_is_gone_on_with(
    tmp_path: Path, sealed: Callable[..., int]
) -> None:
    root = tmp_path / "history"
    whole = intervals(5, 60)
    others = intervals(2, 60, server=server(label="test"))
    for collector, deltas in (("prod", whole), ("test", others)):
        write(root / "whole", deltas, collector)
    after, said = seen(root / "whole"), texts(root / "whole")
    write(root / "begun", whole[:4])
    write(root / "begun", others, "test")
    before = seen(root / "begun")
    operations = 0
    while True:
        operations += 1
        here = shutil.copytree(root / "begun", root / str(operations))
        try:
            sealed(here, Dying(operations))
        except Interrupted:
            assert (seen(here), texts(here)) == (before, said)
            write(here, whole[4:])
            sealed(here, Unsynced())
            assert (seen(here), texts(here)) == (after, said)
            assert by_hour(here) == {at(0): 6 * len(whole) ** 2 + 6 * len(others) ** 2}
            assert Counter(s.collector for s in Layout(here).hot_samples()) == {
                "prod": 1, "test": 1,
            }  # fmt: skip
            assert list(Layout(here).tmp.iterdir()) == []
            assert Layout(here).covers() == {}
        else:
            break
    assert operations > 20


class Full(Disk):
    """A disk on which from the nth file on only the half of it can be written."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def write(self, path: Path, content: bytes | memoryview) -> None:
        self.left -= 1
        if self.left < 0:
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(path, content)


@pytest.mark.parametrize("writes", range(8))
@pytest.mark.parametrize("sealed", [alone, shared])
def test_a_seal_without_room_leaves_nothing_half_and_is_gone_on_with(
    tmp_path: Path, writes: int, sealed: Callable[..., int]
) -> None:
    root = tmp_path / "history"
    whole = intervals(6, 60)
    write(root, whole)
    before, said = seen(root), texts(root)
    with pytest.raises(OSError, match="No space left"):
        sealed(root, Full(writes))
    assert list((root / "tmp").iterdir()) == []
    assert (seen(root), texts(root)) == (before, said)
    sealed(root)
    assert (seen(root), texts(root)) == (before, said)
    assert by_hour(root) == {at(0): 6 * 6**2}


def test_of_one_collector_one_process_seals_at_a_time(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(4, 60), "one")
    write(root, intervals(4, 60), "two")
    with sealing._locked(Layout(root), "one") as ours:
        assert (ours, compact(Layout(root), "one"), compact(Layout(root), "two")) == (True, 0, 3)
    assert compact(Layout(root), "one") == 3


class Overtaken(Layout):
    """A layout of which samples are sealed and removed as soon as the sealed files are listed."""

    def sealed_files(self, table: str) -> list[CompactedFile]:
        found = super().compacted_files(table)
        alone(self.root)
        return found

    def told_files(self, table: str) -> list[Path]:
        found = super().dimension_files(table)
        alone(self.root)
        return found


class OvertakenTogether(Layout):
    """The same, sealed together; and where covers are listed, too."""

    def sealed_files(self, table: str) -> list[CompactedFile]:
        found = super().compacted_files(table)
        shared(self.root)
        return found

    def covers(self) -> dict[tuple[str, int], SharedBatch]:
        found = super().covers()
        shared(self.root)
        return found


class Begun(OvertakenTogether):
    """The same, of a turn that was cut short, and ends when files are listed."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        with pytest.raises(Interrupted):
            shared(root, Dying(14))
        assert self.cover("+fleet", 1).exists()


@pytest.mark.parametrize("table", SCHEMAS)
@pytest.mark.parametrize("layout", [Overtaken, OvertakenTogether, Begun])
def test_what_is_sealed_while_a_reader_lists_files_is_not_missed(
    tmp_path: Path, table: str, layout: Callable[[Path], Layout]
) -> None:
    root = tmp_path / "history"
    write(root, intervals(6, 60))
    listing = Listing(layout(root))
    paths = listing.dimension_files(table) if table in DIMENSIONS else listing.files(table).paths
    rows = sum(len(pq.read_table(path, partitioning=None)) for path in paths)
    assert rows == {"sample": 6, "stmt": 18, "io": 0, "statement": 3, "name": 3}.get(table, 6)


def test_collectors_seal_their_own_samples(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 60), "one")
    write(root, intervals(4, 60), "two")
    before = seen(root)
    assert compact(Layout(root), "two") == 3
    assert seen(root) == before
    assert Counter(s.collector for s in Layout(root).hot_samples()) == {"one": 3, "two": 1}


def test_a_batch_is_cut_where_it_would_be_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "history"
    write(root, intervals(9, 60))
    before = seen(root)
    monkeypatch.setattr(sealing, "MAX_ROWS", 10)
    assert compact(Layout(root), "prod") == 8
    assert seen(root) == before
    names = sorted(path.name[:25] for path in root.glob("stmt/*/*.parquet"))
    assert names == [
        "000000000001-000000000003", "000000000004-000000000006", "000000000007-000000000008",
    ]  # fmt: skip


def test_files_are_shared_by_collectors_until_there_is_too_much_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "history"
    write(root, intervals(5, 60))
    write(root, intervals(4, 60, server=server(label="test")), "test")
    before = seen(root)
    monkeypatch.setattr(sealing, "MAX_SHARED_SAMPLES", 5)
    assert shared(root) == 7
    assert seen(root) == before
    names = sorted(path.name for path in root.glob("stmt/*/*.parquet"))
    assert names == [
        "000000000001-000000000001-+fleet.parquet", "000000000002-000000000002-+fleet.parquet",
    ]  # fmt: skip
    assert len(list(root.glob("dim/*/*.parquet"))) == 3
    write(root, intervals(7, 60)[5:])
    shared(root)
    assert len(list(root.glob("stmt/*/*.parquet"))) == 3


def test_a_collector_that_is_being_sealed_alone_is_left_to_another_turn(tmp_path: Path) -> None:
    root = tmp_path / "history"
    for label in ("prod", "test"):
        write(root, intervals(4, 60, server=server(label=label)), label)
    with sealing._locked(Layout(root), "test"):
        assert shared(root) == 3
    assert shared(root) == 3
    with sealing._locked(Layout(root), "+fleet"):
        assert shared(root) == 0


def test_what_another_seals_together_is_left_to_it(tmp_path: Path) -> None:
    root = tmp_path / "history"
    for label in ("prod", "test"):
        write(root, intervals(4, 60, server=server(label=label)), label)
    with pytest.raises(Interrupted):
        shared(root, Dying(9))
    with sealing._locked(Layout(root), "+fleet"):
        assert compact_shared(Layout(root), "+other", ["prod", "test"]) == 0
        assert alone(root) == 0
    assert alone(root) == 6


def test_numbers_go_on_after_all_was_sealed_and_the_process_ended(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 60))
    compact(Layout(root), "prod")
    (root / "hot" / "prod").rename(tmp_path / "lost")  # as after a repair by hand
    writer = Writer.open(root, "prod")
    assert (writer.number, writer.resume()) == (2, None)
    writer.close()


def test_two_statements_that_share_a_number_are_two_in_an_hour() -> None:
    rows = encode(intervals(1, 600)[0])["stmt"]
    same = rows.set_column(0, "sid", pa.array([7, 7, 7], pa.int64())).cast(rows.schema)
    found = hourly(same)
    assert sorted(zip(found["queryid"].to_pylist(), found["calls"].to_pylist(), strict=True)) == [
        (1, 1), (2, 2), (3, 3),
    ]  # fmt: skip


def test_it_is_time_to_seal_when_the_hour_is_over_or_there_is_much() -> None:
    assert not is_due(3, 10, at(0), at(HOUR - 1))
    assert is_due(3, 10, at(0), at(HOUR))
    assert is_due(720, 10, at(0), at(1))
    assert is_due(3, 500_000, at(0), at(1))
    assert not is_due(720, 10, at(0), at(1), MAX_SHARED_SAMPLES)


def test_sealed_files_are_read_with_a_plain_glob(tmp_path: Path) -> None:
    root = tmp_path / "history"
    deltas = intervals(9, 60)
    write(root, deltas)
    compact(Layout(root), "prod")
    glob = f"{root}/stmt/*/*.parquet"
    query = f"SELECT CAST(SUM(shared_blks_read) AS BIGINT) FROM read_parquet('{glob}')"
    assert duckdb.connect().execute(query).fetchall() == [(6 * 8**2,)]
