"""The rows of compacted files: hourly sums, and the newest row of each key."""

import pyarrow as pa
import pyarrow.compute as pc

from pgiostat.history.format.schema import DIMENSIONS, ROLLUP, SCHEMAS, SUMMED
from pgiostat.statistics.row_deltas import Basis

__all__ = ["hourly", "newest_rows"]


def hourly(rows: pa.Table) -> pa.Table:
    """Return the hourly rollup of statements: exact, for all counts are integers.

    Args:
        rows: Rows of `stmt`, one for each statement and interval.

    Returns:
        Rows of `stmt_1h`, one for each statement and hour. uncertain: part of a count was counted
        since a reset, or is a lower bound.
    """
    known = pa.array([Basis.PREVIOUS, Basis.NEW], pa.int8())
    uncertain = pc.cast(pc.invert(pc.is_in(rows["basis"], known)), pa.int64())
    hour = pc.floor_temporal(rows["ts"], unit="hour")
    wide = rows.set_column(rows.schema.get_field_index("ts"), "ts", hour).append_column(
        "uncertain", uncertain
    )
    # By the statements' own keys too: two statements with the same sid stay two.
    keys = ["sid", "server_id", "ts", "userid", "dbid", "queryid", "masked", "toplevel"]
    added = wide.group_by(keys, use_threads=False).aggregate(
        [*((name, "sum") for name in SUMMED), ("uncertain", "max"), ("basis", "count")]
    )
    renamed = {f"{name}_sum": name for name in SUMMED}
    renamed |= {"uncertain_max": "uncertain", "basis_count": "intervals"}
    named = added.rename_columns([renamed.get(name, name) for name in added.column_names])
    ordered = named.select(ROLLUP.names).cast(ROLLUP)
    return ordered.sort_by([(name, "ascending") for name in ("server_id", "sid", "ts")])


def newest_rows(table: str, rows: pa.Table) -> pa.Table:
    """Return the newest row of each key of a dimension; of `name` every row that is a change.

    Args:
        table: "statement" or another of DIMENSIONS.
        rows: Rows in the order in which they were written.
    """
    rows = rows.select(SCHEMAS[table].names)
    if table == "statement":
        # A text that was read once stays known when it cannot be read a second time.
        is_known = rows["unread"].is_null()
        rows = pa.concat_tables([rows.filter(pc.invert(is_known)), rows.filter(is_known)])
    keys = list(DIMENSIONS[table])
    place = rows.append_column("place", pa.array(range(len(rows)), pa.int64()))
    newest = place.group_by(keys, use_threads=False).aggregate([("place", "max")])["place_max"]
    kept = rows.take(newest.combine_chunks())
    ordered = kept.sort_by([(name, "ascending") for name in keys])
    return _changes(ordered) if table == "name" else ordered


def _changes(names: pa.Table) -> pa.Table:
    """Return names in order of time, without those that repeat the name before.

    A collector writes all names at its start. A name in an older file has no time: it is the first
    of its oid.
    """
    names = names.sort_by([("since", "ascending")])
    first = names.filter(names["since"].is_null())
    timed = names.filter(names["since"].is_valid())
    kept: list[int] = []
    last: dict[tuple[object, ...], tuple[object, ...]] = {}
    rows = pa.concat_tables([first, timed])
    columns = (rows[name].to_pylist() for name in rows.column_names if name != "since")
    for place, (server, kind, oid, *name) in enumerate(zip(*columns, strict=True)):
        key = (server, kind, oid, name[-2])  # the same oid in another database is another relation
        if last.get(key) != tuple(name):
            last[key] = tuple(name)
            kept.append(place)
    keys = [(name, "ascending") for name in ("server_id", "kind", "oid", "since")]
    return rows.take(pa.array(kept, pa.int64())).sort_by(keys)
