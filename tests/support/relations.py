"""Counters of tables and indexes made by hand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from pgiostat.statistics import counters
from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.counter_table import ColumnKind, CounterTable
from pgiostat.statistics.relation_changes import RelationInterval
from pgiostat.statistics.relation_stats import RelationRead
from pgiostat.statistics.row_deltas import Basis, RowDeltas

__all__ = ["made", "read", "row_deltas", "rows"]

NEVER = np.datetime64("NaT")
Records = Sequence[Mapping[str, Any]]


def rows(table: CounterTable, records: Records) -> Rows:
    """Return rows in which what is not there is 0, or never."""
    counted = [column.name for column in table.columns if column.kind.is_counter]
    attributes = {}
    for column in table.columns:
        if column.kind.is_counter:
            continue
        missing: Any = NEVER if column.kind is ColumnKind.EVENT else 0
        values = [record.get(column.name, missing) for record in records]
        attributes[column.name] = np.array(values, dtype=column.kind.kept)
    amounts = [[record.get(name, 0) for record in records] for name in counted]
    matrix = np.array(amounts, dtype=np.int64).reshape(len(counted), len(records))
    return Rows(table, attributes, counted, matrix)


def row_deltas(table: CounterTable, records: Records) -> RowDeltas:
    """Return rows with a basis each: `basis`, else the previous read."""
    basis = [record.get("basis", Basis.PREVIOUS) for record in records]
    return RowDeltas(rows(table, records), np.array(basis, dtype=np.uint8))


def made(
    since: datetime, seconds: float, tables: Records, indexes: Records = (), dbid: int = 5
) -> RelationInterval:
    """Return an interval of tables and indexes."""
    return RelationInterval(
        dbid,
        since,
        seconds,
        row_deltas(counters.TABLE_STATS, tables),
        row_deltas(counters.INDEX_STATS, indexes),
        own_seconds=0.5,
    )


def read(at: datetime, tables: Records, indexes: Records = (), dbid: int = 5) -> RelationRead:
    """Return all tables and indexes as they were read."""
    return RelationRead(
        dbid, at, rows(counters.TABLE_STATS, tables), rows(counters.INDEX_STATS, indexes)
    )
