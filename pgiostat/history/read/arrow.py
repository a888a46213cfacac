"""Columns of Arrow tables as Python and numpy values, without pandas."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS
from pgiostat.statistics.columnar import Counts

__all__ = ["EPOCH", "instants", "matrix", "rows_by_server"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instants(column: pa.ChunkedArray) -> list[datetime]:
    """Return timestamps; Arrow's own way imports pandas, which takes longer than most reports."""
    microseconds: list[int] = column.to_numpy().astype("datetime64[us]").astype(np.int64).tolist()
    return [EPOCH + timedelta(microseconds=each) for each in microseconds]


def matrix(rows: pa.Table) -> Counts:
    """Return the columns of FIELDS as int64, shape (FIELDS, rows); an unknown value adds 0."""
    counts = np.zeros((len(FIELDS), len(rows)), dtype=np.int64)
    for number, name in enumerate(FIELDS):
        column = rows[name]
        # The first call of an Arrow function registers all of them, which takes as long as a
        # query: columns without any value, as in files of earlier versions, need no call.
        if column.null_count < len(column):
            known = column.fill_null(0) if column.null_count else column
            counts[number] = known.to_numpy()
    return counts


def rows_by_server(rows: pa.Table, ids: Sequence[int]) -> dict[int, pa.Table]:
    """Return the rows of each server, from rows that are ordered by server_id first."""
    server_ids = rows["server_id"].to_numpy()
    begins, ends = (np.searchsorted(server_ids, ids, side).tolist() for side in ("left", "right"))
    return {
        server: rows.slice(begin, end - begin)
        for server, begin, end in zip(ids, begins, ends, strict=True)
    }
