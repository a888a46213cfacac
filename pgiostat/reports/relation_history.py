"""What tables and indexes of a history counted in each of several time windows."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pgiostat.analysis.relation_activity import RelationTotals, TableActivity
from pgiostat.history.read.arrow import EPOCH
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.statistics.counter_table import CounterTable
from pgiostat.statistics.counters import INDEX_STATS, TABLE_STATS
from pgiostat.statistics.row_deltas import Basis
from pgiostat.units import MICROSECOND

__all__ = ["RelationWindow", "TableKey", "relation_windows", "vacuumed"]

TableKey = tuple[int, int]
"""(dbid, oid)."""
LEAST_WITHIN = 0.5
_FACTS = (("table_stats", TABLE_STATS), ("index_stats", INDEX_STATS))


@dataclass(frozen=True, slots=True)
class RelationWindow:
    """What tables did in a window, by key; one that counted nothing is not in it.

    is_counted: Whether the window has an interval of tables at all.
    """

    tables: Mapping[TableKey, TableActivity]
    seconds: float
    is_counted: bool = True

    def of(self, key: TableKey) -> TableActivity:
        """Return what a table did; nothing if it is not known."""
        return self.tables.get(key) or TableActivity(*key, self.seconds, {}, {})


def relation_windows(
    history: History,
    windows: Iterable[Window],
    server_id: int,
    tables: Collection[TableKey],
    toast_of: Mapping[TableKey, int],
) -> list[RelationWindow]:
    """Return what some tables, their indexes and TOAST tables did in each of several windows.

    Args:
        history: Where they were counted.
        windows: From when to when; an interval that is not whole in one is left out.
        server_id: The server.
        tables: Which tables.
        toast_of: Oid of the table by (dbid, oid of its TOAST table).
    """
    relids = {oid for _, oid in tables} | {
        key[1] for key, owner in toast_of.items() if (key[0], owner) in tables
    }
    return [_window(history, window, server_id, relids, toast_of) for window in windows]


def _window(
    history: History,
    window: Window,
    server_id: int,
    relids: Collection[int],
    toast_of: Mapping[TableKey, int],
) -> RelationWindow:
    begun = {name: history.facts(name, window, [server_id]) for name, _ in _FACTS}
    facts = {name: _within(rows, window) for name, rows in begun.items()}
    if not any(each.num_rows for each in facts.values()):
        # None is whole in a short window: those of which most is.
        facts = {name: _within(rows, window, LEAST_WITHIN) for name, rows in begun.items()}
    ends = [(begin, end) for rows in facts.values() for begin, end in _spans(rows)]
    last = max((end for _, end in ends), default=0)
    seconds = (last - min((begin for begin, _ in ends), default=0)) / 1e6 or window.seconds
    totals = RelationTotals(seconds)
    wanted = pa.array(sorted(relids), pa.int64())
    for name, table in _FACTS:
        rows = facts[name].filter(pc.is_in(facts[name]["relid"], value_set=wanted))
        totals.add_columns(table, _columns(rows, table))
    found = {(each.dbid, each.relid): each for each in totals.tables(toast_of)}
    return RelationWindow(found, seconds, is_counted=bool(ends))


def _spans(rows: pa.Table) -> list[tuple[int, int]]:
    """Return begin and end of the interval of each row, in microseconds since 1970."""
    begins, lengths = (rows[name].cast(pa.int64()).to_pylist() for name in ("ts", "dur_us"))
    return [(begin, begin + length) for begin, length in zip(begins, lengths, strict=True)]


def _within(rows: pa.Table, window: Window, share: float = 1.0) -> pa.Table:
    """Return the rows of intervals that end in the window, or of which a share lies in it.

    Others hold what happened after it.
    """
    until = (window.until - EPOCH) // MICROSECOND
    kept = [until - begin >= share * (end - begin) for begin, end in _spans(rows)]
    return rows.filter(pa.array(kept, pa.bool_()))


def _columns(rows: pa.Table, table: CounterTable) -> dict[str, Iterable[object]]:
    names = {column.name for column in table.columns} & set(rows.column_names)
    whole = [name for name in rows.column_names if name in names]
    numbers = [name for name in whole if pa.types.is_integer(rows.schema.field(name).type)]
    certain = {int(Basis.PREVIOUS), int(Basis.NEW)}
    columns: dict[str, Iterable[object]] = {name: rows[name].to_pylist() for name in numbers}
    return columns | {
        "dbid": rows["dbid"].to_pylist(),
        "uncertain": [basis not in certain for basis in rows["basis"].to_pylist()],
    }


def vacuumed(history: History, window: Window, server_id: int) -> set[TableKey]:
    """Return the tables that autovacuum vacuumed or analyzed in a window."""
    rows = history.facts("table_stats", window, [server_id])
    columns = [
        rows[name].to_pylist()
        for name in ("dbid", "relid", "autovacuum_count", "autoanalyze_count")
    ]
    return {
        (dbid, relid)
        for dbid, relid, vacuums, analyzes in zip(*columns, strict=True)
        if vacuums or analyzes
    }
