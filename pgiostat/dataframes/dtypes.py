"""The dtypes and units of frames: the same whatever the values are."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from pgiostat.analysis.cost import FIELDS
from pgiostat.render.activity_columns import ACTIVITY
from pgiostat.render.columns import KEYS
from pgiostat.statistics.counters import STATEMENTS
from pgiostat.units import Unit

__all__ = ["framed", "mapper", "shown_in", "typed", "units"]

_UNITS = {
    "blocks_read": "blocks",
    "blocks_read_per_s": "blocks/s",
    "read_operations_per_s": "operations/s",
    "bytes_read_per_s": "bytes/s",
    "physical_bytes_per_s": "bytes/s",
    "physical_share": "ratio",
    "physical_bytes": "bytes",
    "traced_blocks": "blocks",
    "read_time_ms": "ms",
    "rd_await_ms": "ms",
    "reading_sessions": "sessions",
    "blocks_read_per_call": "blocks/call",
    "calls_per_s": "calls/s",
    "total_exec_time_ms": "ms",
    "mean_exec_time_ms": "ms",
    "share": "ratio",
    "hit_ratio": "ratio",
    "coverage": "ratio",
    "balance": "ratio",
    "balance_high": "ratio",
    "operations": "operations",
    "operations_per_s": "operations/s",
    "operations_low": "operations",
    "operations_high": "operations",
    "change": "ratio",
    "change_low": "ratio",
    "change_high": "ratio",
    "certainty": "ratio",
    "seconds": "s",
    "own_seconds": "s",
    "total_exec_us": "µs",
    "read_us": "µs",
    "timed_blocks": "blocks",
    "statement_blocks": "blocks",
    "server_blocks": "blocks",
    "scans_per_s": "scans/s",
    "seq_scans_per_s": "scans/s",
    "idx_scans_per_s": "scans/s",
    "rows_per_scan": "rows/scan",
    "rows_per_seq_scan": "rows/scan",
    "rows_per_idx_scan": "rows/scan",
    "blocks_per_scan": "blocks/scan",
    "blocks_per_row": "blocks/row",
    "size_bytes": "bytes",
    "dead_rows": "rows",
    "dead_share": "ratio",
    **dict.fromkeys(("seq_scan", "idx_scan"), "scans"),
    **dict.fromkeys(("seq_tup_read", "idx_tup_read", "idx_tup_fetch"), "rows"),
}
_WHOLE = {"calls", "rows", "rank", "members", "blocks_read", "queryid", "samples", "evicted"}
_WHOLE |= {name for name in FIELDS if name.endswith(("_hit", "_read", "_us", "_blocks", "_bytes"))}
_WHOLE |= {"idx_scan", "idx_tup_read", "idx_tup_fetch", "seq_scan", "seq_tup_read"}
_WHOLE |= {"size_bytes", "dead_rows"}
_WHOLE |= {"statement_blocks", "server_blocks", "unknown", "version_num"}
_WORDS = {key.name for keys in KEYS.values() for key in keys if not key.name.endswith("_read")}
_WORDS |= {"server", "part", "key", "category_a", "category_b", "per", "verdict", "quality"}
_WORDS |= {"volume", "provenance", "divided_by", "measure", "unit"}
_WORDS |= {each.name for of in ACTIVITY.values() for each in of if each.is_text}
_WORDS -= {"queryid"}


def mapper(kind: Any) -> Any:
    """Return the dtype of a column of a history: whole numbers may be unknown."""
    return {
        pa.int64(): pd.Int64Dtype(),
        pa.int8(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }.get(kind)


def framed(rows: Sequence[Any], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return rows as a frame in which each column has its stated dtype.

    As objects first: one unknown would make floats of all whole numbers of a column, and an id of
    64 bits would be another one from then on.
    """
    named = None if columns is None else list(columns)
    return typed(pd.DataFrame(rows, columns=named, dtype=object))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame in which each column has its stated dtype, whatever its values are."""
    kinds = {}
    for name in map(str, frame.columns):
        values = frame[name]
        if name in {"since", "until", "step"}:
            kinds[name] = "datetime64[us, UTC]"
        elif name.removesuffix("_a").removesuffix("_b") in _WHOLE or name.endswith("_blks_read"):
            kinds[name] = "Int64"
        elif name in _WORDS:
            kinds[name] = "string"
        elif pd.api.types.infer_dtype(values, skipna=False) == "boolean":
            kinds[name] = "boolean"
        else:
            kinds[name] = "float64"
    return frame.astype(kinds)


def shown_in(frame: pd.DataFrame, kept: Mapping[str, Unit]) -> dict[str, str]:
    """Turn microseconds of a frame into milliseconds, and return the units of its columns.

    kept: the unit that people are shown, of each column as a history has it.
    """
    found: dict[str, str] = {}
    for column, unit in kept.items():
        name = column
        if unit is Unit.MILLISECONDS:
            name = f"{column}_ms"
            place = list(frame.columns).index(column)
            frame.insert(place, name, frame.pop(column).astype("float64") / 1000)
        if unit is not Unit.NONE:
            found[name] = unit.value
    return found


def units(frame: pd.DataFrame) -> dict[str, str]:
    """Return the units of the columns that have one."""
    found = {}
    views = {column.name: column.unit for column in STATEMENTS.columns}
    for name in map(str, frame.columns):
        bare = name.removesuffix("_a").removesuffix("_b")
        unit = _UNITS.get(bare)
        if unit is None and bare in views and views[bare] is not Unit.NONE:
            unit = views[bare].value
        if unit is None and bare.endswith("_us"):
            unit = "µs"
        if unit is not None:
            found[name] = unit
    return found
