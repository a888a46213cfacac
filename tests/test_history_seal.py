"""Sealing changes where rows are, never what a reader sees."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pgiostat.delta import Delta, diff
from pgiostat.history import seal as sealing
from pgiostat.history.disk import Disk
from pgiostat.history.encode import encode
from pgiostat.history.files import files
from pgiostat.history.layout import Layout
from pgiostat.history.schema import ROLLUP, SCHEMAS, SUMMED, TOLD_ONCE
from pgiostat.history.seal import hourly, is_due, seal
from pgiostat.history.writer import Writer
from pgiostat.names import Names, Statement
from tests.readings import WITHOUT_TOPLEVEL, at, reading

TEXTS = Names(
    {(10, 5, n): Statement(f"select {n}", f"1:{n}", "version") for n in (1, 2, 3)},
    {5: "app"},
    {10: "api"},
    {100: (100, "public", "t", "heap")},
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
            relations=[{"relid": 100, "blks_read": 5 * n * n, "blks_hit": n}],
            **more,
        )
        for n in range(count + 1)
    ]
    return [diff(a, b) for a, b in pairwise(readings)]


def write(root: Path, deltas: list[Delta], collector: str = "prod") -> None:
    """Append intervals."""
    writer = Writer.open(root, collector)
    for delta in deltas:
        writer.append(delta, TEXTS)
    writer.close()


def seen(root: Path) -> dict[str, Counter[tuple[Any, ...]]]:
    """Return all rows of all tables that a reader sees, and how often."""
    found: dict[str, Counter[tuple[Any, ...]]] = {}
    for table in SCHEMAS:
        rows: Counter[tuple[Any, ...]] = Counter()
        if table not in TOLD_ONCE:
            for path in files(Layout(root), table).paths:
                got = pq.read_table(path, partitioning=None).select(SCHEMAS[table].names)
                rows.update(zip(*(column.to_pylist() for column in got.columns), strict=True))
        found[table] = rows
    return found


def texts(root: Path) -> set[tuple[int, str]]:
    """Return the texts and names that a reader sees."""
    layout = Layout(root)
    found = set()
    for table, text in (("statement", "text"), ("name", "name")):
        for path in [*files(layout, table).hot, *layout.told_files(table)]:
            rows = pq.read_table(path, partitioning=None).to_pylist()
            found |= {(row.get("queryid", row.get("oid")), row[text]) for row in rows}
    return found


def test_sealed_rows_are_those_that_were_written_and_sorted(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(9, 60))
    before, said = seen(root), texts(root)
    assert seal(Layout(root), "prod") == 8
    assert (seen(root), texts(root)) == (before, said)
    layout = Layout(root)
    assert [sample.number for sample in layout.hot_samples()] == [9]  # to go on from
    sealed = root / "stmt" / "date=2026-11-23" / "000000000001-000000000008-prod.parquet"
    table = pq.read_table(sealed, partitioning=None)
    assert table.schema.equals(SCHEMAS["stmt"])
    keys = list(zip(table["sid"].to_pylist(), table["ts"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert seal(layout, "prod") == 0
    assert list(layout.tmp.iterdir()) == []


def test_a_file_holds_one_day_and_an_hours_sums_are_exact(tmp_path: Path) -> None:
    root = tmp_path / "history"
    deltas = intervals(30, HOUR / 2)  # from 10:00 to 01:00 of the next day
    write(root, deltas)
    seal(Layout(root), "prod")
    names = sorted(str(path.relative_to(root)) for path in root.glob("stmt/*/*.parquet"))
    assert names == [
        "stmt/date=2026-11-23/000000000001-000000000028-prod.parquet",
        "stmt/date=2026-11-24/000000000029-000000000029-prod.parquet",
    ]
    rolled = files(Layout(root), "stmt_1h", hot="stmt")
    assert [path.parent.name for path in rolled.hot] == ["000000000030"]
    sums: Counter[tuple[Any, ...]] = Counter()
    for file in rolled.sealed:
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


class Dying(Disk):
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


def test_a_seal_that_was_interrupted_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    root = tmp_path / "history"
    whole = intervals(4, 60)
    operations = 0
    while True:
        operations += 1
        here = root / str(operations)
        write(here, whole)
        before, said = seen(here), texts(here)
        try:
            seal(Layout(here), "prod", Dying(operations))
        except Interrupted:
            assert (seen(here), texts(here)) == (before, said)
            seal(Layout(here), "prod")
            assert (seen(here), texts(here)) == (before, said)
            assert len(Layout(here).hot_samples()) == 1
        else:
            break
    assert operations > 20


def test_collectors_seal_their_own_samples(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 60), "one")
    write(root, intervals(4, 60), "two")
    before = seen(root)
    assert seal(Layout(root), "two") == 3
    assert seen(root) == before
    assert Counter(s.collector for s in Layout(root).hot_samples()) == {"one": 3, "two": 1}


def test_a_batch_is_cut_where_it_would_be_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "history"
    write(root, intervals(9, 60))
    before = seen(root)
    monkeypatch.setattr(sealing, "MOST_ROWS", 10)
    assert seal(Layout(root), "prod") == 8
    assert seen(root) == before
    names = sorted(path.name[:25] for path in root.glob("stmt/*/*.parquet"))
    assert names == [
        "000000000001-000000000003", "000000000004-000000000006", "000000000007-000000000008",
    ]  # fmt: skip


def test_numbers_go_on_after_all_was_sealed_and_the_process_ended(tmp_path: Path) -> None:
    root = tmp_path / "history"
    write(root, intervals(3, 60))
    seal(Layout(root), "prod")
    (root / "hot" / "prod").rename(tmp_path / "lost")  # as after a repair by hand
    writer = Writer.open(root, "prod")
    assert (writer.number, writer.resume()) == (2, None)
    writer.close()


def test_it_is_time_to_seal_when_the_hour_is_over_or_there_is_much() -> None:
    assert not is_due(3, 10, at(0), at(HOUR - 1))
    assert is_due(3, 10, at(0), at(HOUR))
    assert is_due(720, 10, at(0), at(1))
    assert is_due(3, 500_000, at(0), at(1))


def test_sealed_files_are_read_with_a_plain_glob(tmp_path: Path) -> None:
    root = tmp_path / "history"
    deltas = intervals(9, 60)
    write(root, deltas)
    seal(Layout(root), "prod")
    glob = f"{root}/stmt/*/*.parquet"
    query = f"SELECT CAST(SUM(shared_blks_read) AS BIGINT) FROM read_parquet('{glob}')"
    assert duckdb.connect().execute(query).fetchall() == [(6 * 8**2,)]
