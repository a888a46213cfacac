"""The tables of a history, as Arrow schemas made from the table of counters."""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from pgiostat.analysis.server_reads import MEASURED
from pgiostat.statistics import counters
from pgiostat.statistics.counter_table import ColumnKind, CounterColumn, CounterTable
from pgiostat.units import Unit
from pgiostat.volume.device.interval import MEASURED as MEASURED_OF_DEVICE

__all__ = [
    "COMPACTED",
    "DEFINITIONS",
    "DIMENSIONS",
    "FACTS",
    "LATER",
    "LONG",
    "NAMES",
    "OPTIONAL",
    "READS",
    "RELATION_STATS",
    "ROLLUP",
    "SCHEMAS",
    "SORTED_BY",
    "STATEMENT_TEXTS",
    "SUMMED",
    "TIMED",
    "columns_of",
]

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
_TYPES: Mapping[ColumnKind, pa.DataType] = {
    ColumnKind.OID: pa.int64(),
    ColumnKind.ID: pa.int64(),
    ColumnKind.FLAG: pa.bool_(),
    ColumnKind.NAME: pa.string(),
    ColumnKind.COUNT: pa.int64(),
    ColumnKind.GAUGE: pa.int64(),
    ColumnKind.TIME: pa.int64(),
    ColumnKind.EVENT: TIMESTAMP,
}
"""Extremes and instants tell entries apart while they are collected; a history has intervals."""

_INTERVAL = (
    pa.field("server_id", pa.int64(), nullable=False),
    pa.field("ts", TIMESTAMP, nullable=False),
    pa.field("dur_us", pa.int64(), nullable=False),
)


def columns_of(table: CounterTable) -> tuple[CounterColumn, ...]:
    """Return the columns of a view that a history keeps."""
    return tuple(column for column in table.columns if column.kind in _TYPES)


TIMED: Final = ("timed_read_us", "timed_blks", "physical_bytes", "traced_blks")
"""Of a statement's interval: read time that is believed, and the blocks read in it; bytes that
storage gave, and the blocks for which that was counted.  Older files lack the last two."""


def _fact(table: CounterTable, first: Sequence[str] = (), last: Sequence[str] = ()) -> pa.Schema:
    kept = [pa.field(column.name, _TYPES[column.kind]) for column in columns_of(table)]
    return pa.schema(
        [
            *(pa.field(name, pa.int64(), nullable=False) for name in first),
            *_INTERVAL,
            *kept,
            *(pa.field(name, pa.int64(), nullable=False) for name in last),
            pa.field("basis", pa.int8(), nullable=False),
        ]
    )


READS: Final = {
    name: {"blocks": "server_blocks", "evictions": "dealloc"}.get(name, name) for name in MEASURED
}
"""Columns of what the server counted, by the name in ServerReads; the first two are older."""

LATER: Final = (
    {"physical_bytes", "traced_blks", "since", "unread"}
    | (set(READS.values()) - {READS["blocks"], READS["evictions"]})
    | {"lost_us", "evicted", "earlier_since", "earlier_until"}
    | {"generic_plan_calls", "custom_plan_calls"}
    | {"relation_dbid", "own_name"}
)
"""Columns that files of earlier versions lack; every other one is in every file of its table."""

LONG: Final = {"text"}
"""Columns that may hold long texts: statements. Every other text is a name, a label or a word."""

_SAMPLE = pa.schema(
    [
        *_INTERVAL,
        pa.field("label", pa.string(), nullable=False),
        pa.field("dbid", pa.int64(), nullable=False),
        pa.field("qualities", pa.string(), nullable=False),
        pa.field("statement_blocks", pa.int64(), nullable=False),
        *(pa.field(column, pa.int64()) for column in READS.values()),
        pa.field("earlier_since", TIMESTAMP),  # earlier_blocks were counted between these
        pa.field("earlier_until", TIMESTAMP),
        pa.field("statements", pa.int64(), nullable=False),
        pa.field("appeared", pa.int64(), nullable=False),
        pa.field("vanished", pa.int64(), nullable=False),
        pa.field("unknown", pa.int64(), nullable=False),
        pa.field("own_us", pa.int64(), nullable=False),
        pa.field("block_size", pa.int64(), nullable=False),
        pa.field("max_statements", pa.int64()),
        pa.field("track_io_timing", pa.bool_(), nullable=False),
        pa.field("version_num", pa.int64(), nullable=False),
        pa.field("extension_version", pa.string(), nullable=False),
        pa.field("lost_us", pa.int64()),  # of it, or instead of it: statements were not counted
        pa.field("evicted", pa.int64()),  # entries, at least
    ]
)

_DEVICE = pa.schema(
    [
        *_INTERVAL,
        pa.field("source", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        *(
            pa.field(name, pa.float64() if unit is Unit.PERCENT else pa.int64())
            for name, (unit, _) in MEASURED_OF_DEVICE.items()
        ),
    ]
)

STATEMENT_TEXTS = pa.schema(
    [
        pa.field("server_id", pa.int64(), nullable=False),
        pa.field("userid", pa.int64(), nullable=False),
        pa.field("dbid", pa.int64(), nullable=False),
        pa.field("queryid", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("cursor", pa.string(), nullable=False),
        pa.field("own", pa.bool_(), nullable=False),
        pa.field("first_seen", TIMESTAMP, nullable=False),
        pa.field("unread", pa.string()),  # why there is no text
    ]
)

NAMES = pa.schema(
    [
        pa.field("server_id", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # database, role or relation
        pa.field("oid", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("schema", pa.string(), nullable=False),
        pa.field("owner", pa.int64(), nullable=False),  # the table of an index or TOAST table
        pa.field("part", pa.string(), nullable=False),  # heap, idx, toast or tidx
        pa.field("since", TIMESTAMP),  # begin of the first interval with this name
        pa.field("relation_dbid", pa.int64()),  # beside the connected database; else NULL
        pa.field("own_name", pa.string()),  # of such a relation: an index has the table's name
    ]
)

DEFINITIONS = pa.schema(
    [
        pa.field("server_id", pa.int64(), nullable=False),
        pa.field("dbid", pa.int64(), nullable=False),  # 0: of the whole server
        pa.field(
            "kind", pa.string(), nullable=False
        ),  # columns, index, foreign key, setting or server
        pa.field("oid", pa.int64(), nullable=False),
        pa.field("owner", pa.int64(), nullable=False),  # the table; the role of a setting
        pa.field("name", pa.string(), nullable=False),
        pa.field("text", pa.string()),  # NULL: dropped
        pa.field("detail", pa.string(), nullable=False),
        pa.field("since", TIMESTAMP, nullable=False),  # when the change was found
    ]
)

FACTS: Mapping[str, CounterTable] = {
    "stmt": counters.STATEMENTS,
    "database": counters.DATABASES,
    "io": counters.IO,
    "relation": counters.RELATIONS,
    "table_stats": counters.TABLE_STATS,
    "index_stats": counters.INDEX_STATS,
}
"""Tables with a row for each thing that counted in an interval, and the views they come from."""

RELATION_STATS: Final = ("table_stats", "index_stats")
"""Facts with intervals of their own: tables and indexes are read less often than statements."""

SCHEMAS: Mapping[str, pa.Schema] = {
    "stmt": _fact(counters.STATEMENTS, ["sid"], TIMED),
    "database": _fact(counters.DATABASES),
    "io": _fact(counters.IO),
    "relation": _fact(counters.RELATIONS),
    **{name: _fact(FACTS[name], ["dbid"]) for name in RELATION_STATS},
    "device": _DEVICE,
    "sample": _SAMPLE,
    "statement": STATEMENT_TEXTS,
    "name": NAMES,
    "definition": DEFINITIONS,
}

OPTIONAL: Final = (*RELATION_STATS, "device")
"""Facts that a collector may not have read: compacted samples without rows have no file."""

COMPACTED: Final = (*FACTS, "device", "sample")
"""Tables with a time: compacted in this order, samples last."""

SUMMED: Final = (
    "dur_us",
    *(column.name for column in columns_of(counters.STATEMENTS) if column.kind.is_counter),
    *TIMED,
)
"""What is added up over the intervals of a statement."""

ROLLUP: Final = pa.schema(
    [
        *(SCHEMAS["stmt"].field(name) for name in ("sid", "server_id", "ts")),
        *(
            SCHEMAS["stmt"].field(column.name)
            for column in columns_of(counters.STATEMENTS)
            if not column.kind.is_counter
        ),
        *(SCHEMAS["stmt"].field(name) for name in SUMMED),
        pa.field("uncertain", pa.int64(), nullable=False),
        pa.field("intervals", pa.int64(), nullable=False),
    ]
)
"""Statements by hour; ts is where the hour begins."""

DIMENSIONS: Mapping[str, Sequence[str]] = {
    "statement": ("server_id", "userid", "dbid", "queryid"),
    "name": ("server_id", "kind", "oid", "since", "relation_dbid"),
    "definition": ("server_id", "dbid", "kind", "oid", "owner", "name", "since"),
}
"""Dimension tables: the key of a row, which each collector writes once."""

SORTED_BY: Mapping[str, Sequence[str]] = {
    "stmt": ("server_id", "sid", "ts"),
    "database": ("server_id", "datid", "ts"),
    "io": ("server_id", "backend_type", "object", "context", "ts"),
    "relation": ("server_id", "relid", "ts"),
    "table_stats": ("server_id", "dbid", "relid", "ts"),
    "index_stats": ("server_id", "dbid", "indexrelid", "ts"),
    "device": ("server_id", "source", "name", "ts"),
    "sample": ("server_id", "ts"),
}
"""Like values beside each other: two thirds of the size of files in order of time."""
