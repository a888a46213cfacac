"""The table of counters, and rows as they travel."""

import struct

import numpy as np
import pytest

from pgiostat.statistics import counters
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.counter_table import NAME_BYTES, ColumnKind, CounterTable
from pgiostat.statistics.counters import IO, STATEMENTS, TABLES
from tests.support.readings import at, rows, since

_OF_1_4 = """userid dbid queryid query calls total_time min_time max_time mean_time stddev_time rows
    shared_blks_hit shared_blks_read shared_blks_dirtied shared_blks_written local_blks_hit
    local_blks_read local_blks_dirtied local_blks_written temp_blks_read temp_blks_written
    blk_read_time blk_write_time"""
OLDEST = frozenset(_OF_1_4.split())
"""Columns of extension 1.4."""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_column_of_a_table_is_there_once_and_the_key_among_them(
    table: CounterTable,
) -> None:
    names = [name for column in table.columns for name in (column.name, *column.older)]
    assert len(names) == len(set(names))
    assert [table.column(name).name for name in table.key] == list(table.key)


def test_a_column_that_there_is_not_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        STATEMENTS.column("query")


def test_the_oldest_extension_is_read_by_its_older_names() -> None:
    reading = STATEMENTS.select(OLDEST)
    chosen = {column.name: selected for column, selected in reading.picked}
    assert chosen["total_exec_time"] == "s.total_time"
    assert chosen["shared_blk_read_time"] == "s.blk_read_time"
    assert chosen["min_exec_time"] == "s.min_time"
    missing = {c.name for c in STATEMENTS.columns} - chosen.keys()
    assert missing == {
        "toplevel",
        "local_blk_read_time",
        "temp_blk_read_time",
        "generic_plan_calls",
        "custom_plan_calls",
        "stats_since",
    }


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_packed_row_has_a_part_for_each_column(table: CounterTable) -> None:
    reading = table.select()
    parts = reading.packed.split(" OPERATOR(pg_catalog.||) ")
    assert len(parts) == len(reading.columns)
    assert np.dtype(reading.wire).names == tuple(c.name for c in reading.columns)
    widths = {"oidsend": 4, "boolsend": 1, "convert_to": NAME_BYTES}
    expected = sum(
        widths.get(part.partition("(")[0].removeprefix("pg_catalog."), 8) for part in parts
    )
    assert np.dtype(reading.wire).itemsize == expected


def test_packed_rows_become_columns_with_times_in_microseconds() -> None:
    reading = counters.DATABASES.select()
    packed = b"".join(
        struct.pack(">Iqqqqqdq", datid, 1, 2, 3, 4, 5, 0.0015, since(7)) for datid in (0, 16384)
    )
    unpacked = Rows.unpack(reading, packed)
    assert unpacked["datid"].tolist() == [0, 16384]
    assert unpacked["blk_read_time"].tolist() == [2, 2]
    assert unpacked["stats_reset"].tolist() == [since(7)] * 2
    assert unpacked.total("blks_read") == 6
    assert "temp_files" not in unpacked
    assert unpacked.get("temp_files") is None


def test_bytes_that_are_not_whole_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes are not a whole number of rows of 60"):
        Rows.unpack(counters.DATABASES.select(), b"1234567")


def test_no_rows_are_no_rows() -> None:
    assert len(Rows.unpack(STATEMENTS.select(), b"")) == 0


def test_names_come_without_the_blanks_they_travel_with() -> None:
    reading = IO.select({"backend_type", "object", "context"})
    packed = b"".join(name.ljust(32) for name in (b"client backend", b"relation", b"normal"))
    unpacked = Rows.unpack(reading, packed)
    assert [unpacked[name].tolist() for name in IO.key] == [
        [b"client backend"],
        [b"relation"],
        [b"normal"],
    ]


def test_rows_that_came_one_by_one_are_the_same_as_packed_ones() -> None:
    made = rows(counters.DATABASES.select(), [{"datid": 5, "blks_read": 9, "stats_reset": at(7)}])
    packed = struct.pack(">Iqqqqqdq", 5, 0, 0, 9, 0, 0, 0.0, since(7))
    unpacked = Rows.unpack(counters.DATABASES.select(), packed)
    assert made.counters.tolist() == unpacked.counters.tolist()
    assert made["stats_reset"].tolist() == unpacked["stats_reset"].tolist()
    assert made.take(np.array([True])).counters.tolist() == made.counters.tolist()


def test_what_only_grows_is_counted_and_nothing_else() -> None:
    assert [kind.name for kind in ColumnKind if kind.is_counter] == ["COUNT", "TIME"]
