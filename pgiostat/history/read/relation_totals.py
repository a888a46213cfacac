"""What tables and indexes did in a window of a history."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pgiostat.analysis.rank import Totals
from pgiostat.analysis.relation_activity import RelationTotals
from pgiostat.history.format.schema import FACTS, RELATION_STATS
from pgiostat.history.read import plan
from pgiostat.history.read.arrow import rows_by_server
from pgiostat.history.read.query_runner import QueryRunner
from pgiostat.history.read.windows import Window

__all__ = ["relation_totals"]


def relation_totals(
    history: QueryRunner, window: Window, counted: Mapping[int, Totals]
) -> dict[int, RelationTotals]:
    """Return what tables and indexes of servers counted in a window, by server_id.

    Tables and indexes have intervals of their own, longer than those of statements. An interval
    belongs to the window in which it starts. The sums are made by the engine: memory grows with the
    relations, not with the window.

    Args:
        history: Where the intervals are.
        window: From when to when.
        counted: The servers, with the seconds that their samples cover: rates are per second of
            them.

    Returns:
        The totals of each server; without a row where nothing was collected, as in a history of an
        earlier version.

    Raises:
        PgiostatError: history-unreadable.
    """
    ids = sorted(counted)
    found = {
        server: RelationTotals(totals.seconds, totals.block_size)
        for server, totals in counted.items()
    }
    for name in RELATION_STATS:
        rows = history.query(plan.relation_stats(history.engine, name, window, ids))
        for server, of_server in rows_by_server(rows, ids).items():
            columns = _columns(of_server)
            del columns["server_id"]
            found[server].add_columns(FACTS[name], columns)
    return found


def _columns(rows: pa.Table) -> dict[str, list[Any]]:
    """Return rows as lists by column; times are in UTC, without a zone."""
    return {
        name: values.to_numpy().astype("datetime64[us]").tolist()
        # Arrow's own way imports pandas, which takes longer than most reports.
        if pa.types.is_timestamp(values.type)
        else values.to_pylist()
        for name, values in zip(rows.column_names, rows.columns, strict=True)
    }
