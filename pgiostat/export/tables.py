"""The CSV files of an export: their rows and columns, made from the table of counters."""

from dataclasses import dataclass, replace

from pgiostat.analysis.server_reads import MEASURED
from pgiostat.history.format.schema import FACTS, READS, TIMED, columns_of
from pgiostat.statistics import counters
from pgiostat.statistics.counter_table import ColumnKind, CounterColumn
from pgiostat.statistics.names import HIDDEN, UNREAD
from pgiostat.units import Unit
from pgiostat.volume.device.interval import MEASURED as DEVICE

__all__ = ["BASIS", "ELSEWHERE", "SCHEMA_VERSION", "TABLES", "Exported", "Field", "dictionary"]

SCHEMA_VERSION = 1
"""Rises when a column changes its name or meaning; new columns do not raise it."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a CSV file.

    sql: where its value comes from.  microseconds_as: the unit in which microseconds are written.
    """

    name: str
    sql: str
    unit: str
    meaning: str
    microseconds_as: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """A CSV file: what a row of it is, and its columns. table: of the history, empty for texts."""

    name: str
    rows: str
    fields: tuple[Field, ...]
    table: str = ""
    text: str = "export"
    joins: str = ""
    order: str = "f.dur_us"


_FIRST = (
    Field("schema_version", str(SCHEMA_VERSION), "", "version of these files' columns"),
    Field("interval_start", "f.ts", "UTC", "start of the interval, by the server's clock"),
    Field("seconds", "f.dur_us", "s", "measured length of the interval", "s"),
    Field("server", "v.label", "", "label of the server"),
)
BASIS = Field(
    "basis",
    "f.basis",
    "",
    "what the row was subtracted from: previous snapshot, new entry, since a reset, since it was"
    " reinserted, unknown (a lower bound)",
)
_CATEGORY = Field("category", "category", "", "category of the query, by the rules of this export")
_FINGERPRINT = Field("fingerprint", "t.fingerprint", "", "equal for similar statements")
_TEXTS = (
    "LEFT JOIN texts AS t ON t.server_id = f.server_id AND t.userid = f.userid"
    " AND t.dbid = f.dbid AND t.queryid = f.queryid"
)


ELSEWHERE = " elsewhere"
"""Ends the kind of a name of a relation beside the connected database."""


def _named(alias: str, kind: str, column: str) -> str:
    return (
        f"LEFT JOIN names AS {alias} ON {alias}.server_id = f.server_id"
        f" AND {alias}.kind = '{kind}' AND {alias}.oid = f.{column}"
        f" AND f.ts >= {alias}.since AND f.ts < {alias}.until"
    )


def _named_anywhere(alias: str, kind: str, column: str) -> str:
    """Return the join of names of relations by database and oid."""
    return (
        f"LEFT JOIN names AS {alias} ON {alias}.server_id = f.server_id"
        f" AND {alias}.kind IN ('{kind}', '{kind}{ELSEWHERE}') AND {alias}.oid = f.{column}"
        f" AND {alias}.dbid = f.dbid AND f.ts >= {alias}.since AND f.ts < {alias}.until"
    )


def _field(column: CounterColumn) -> Field:
    """Return a column of a view: counters by their names, times in milliseconds."""
    unit = "" if column.unit is Unit.NONE else column.unit.value
    if column.kind is ColumnKind.TIME:
        return Field(f"{column.name}_ms", f"f.{column.name}", "ms", column.meaning, "ms")
    return Field(column.name, f"f.{column.name}", unit, column.meaning)


def _measure(name: str, unit: Unit, meaning: str) -> Field:
    """Return a column of a measurement of a device."""
    if unit is Unit.MILLISECONDS:
        return Field(f"{name}_ms", f"f.{name}", "ms", meaning, "ms")
    return Field(name, f"f.{name}", unit.value, meaning)


def _fields(table: str) -> tuple[Field, ...]:
    return tuple(_field(column) for column in columns_of(FACTS[table]))


_PHYSICAL = "read from storage, by pg_stat_kcache"
_TRACED = "blocks read by the executions it traced"
_TIMED = (
    Field(
        f"{TIMED[0].removesuffix('_us')}_ms",
        f"f.{TIMED[0]}",
        "ms",
        "read time, where it is plausible",
        "ms",
    ),
    Field(TIMED[1], f"f.{TIMED[1]}", "blocks", "blocks read in that time"),
    Field(TIMED[2], f"f.{TIMED[2]}", "bytes", _PHYSICAL),
    Field(TIMED[3], f"f.{TIMED[3]}", "blocks", _TRACED),
)
_SUMS = (
    *(
        Field(
            name,
            f"f.{name}",
            counters.STATEMENTS.column(name).unit.value,
            counters.STATEMENTS.column(name).meaning,
        )
        for name in (
            "calls",
            "rows",
            "shared_blks_hit",
            "shared_blks_read",
            "local_blks_read",
            "temp_blks_read",
        )
    ),
    Field("total_exec_time_ms", "f.total_exec_us", "ms", "time spent executing", "ms"),
    Field("timed_read_ms", "f.read_us", "ms", "read time, where it is plausible", "ms"),
    Field("timed_blks", "f.timed_blocks", "blocks", "blocks read in that time"),
    Field("physical_bytes", "f.physical_bytes", "bytes", _PHYSICAL),
    Field("traced_blks", "f.traced_blocks", "blocks", _TRACED),
)

TABLES: tuple[Exported, ...] = (
    Exported(
        "samples",
        "interval of a server",
        (
            *_FIRST,
            Field("quality", "f.qualities", "", "ok, or the quality of the interval"),
            Field(
                "lost_seconds",
                "f.lost_us",
                "s",
                "time without statement counts, for the cause in quality; where not even"
                " the server was counted, seconds is 0",
                "s",
            ),
            Field("evicted", "f.evicted", "", "entries that were evicted, at least"),
            Field("statement_blocks", "f.statement_blocks", "blocks", "read by statements"),
            *(
                Field(READS[name], f"f.{READS[name]}", unit.value, meaning)
                for name, (unit, meaning) in MEASURED.items()
            ),
            Field(
                "earlier_since",
                "f.earlier_since",
                "UTC",
                "when the first of earlier_blocks were counted; empty if unknown",
            ),
            Field("earlier_until", "f.earlier_until", "UTC", "when the last of them were counted"),
            Field("statements", "f.statements", "", "entries of pg_stat_statements at its end"),
            Field("appeared", "f.appeared", "", "entries that are new"),
            Field("vanished", "f.vanished", "", "entries that disappeared"),
            Field("unknown", "f.unknown", "", "rows that could not be assigned to an interval"),
            Field("own_ms", "f.own_us", "ms", "duration of the snapshot", "ms"),
            Field("block_size", "f.block_size", "bytes", "size of a block"),
            Field("max_statements", "f.max_statements", "", "pg_stat_statements.max"),
            Field("track_io_timing", "f.track_io_timing", "", "whether reads are timed"),
            Field("version_num", "f.version_num", "", "server_version_num"),
            Field("extension_version", "f.extension_version", "", "of pg_stat_statements"),
        ),
        "sample",
    ),
    Exported(
        "categories",
        "category and interval of a server",
        (*_FIRST, _CATEGORY, *_SUMS),
        "stmt",
        "export_categories",
    ),
    Exported(
        "statements",
        "interval and statement with activity in it",
        (
            *_FIRST,
            Field("database", "d.name", "", "where it ran"),
            Field("user", "r.name", "", "role that ran it"),
            _FINGERPRINT,
            Field(
                "category",
                f"CASE WHEN f.masked THEN '{HIDDEN}' ELSE COALESCE(t.category, '{UNREAD}') END",
                "",
                _CATEGORY.meaning,
            ),
            *_fields("stmt"),
            *_TIMED,
            BASIS,
        ),
        "stmt",
        joins="\n".join((_TEXTS, _named("d", "database", "dbid"), _named("r", "role", "userid"))),
        order="f.sid",
    ),
    Exported(
        "databases",
        "interval and database",
        (*_FIRST, Field("database", "d.name", "", "its name"), *_fields("database"), BASIS),
        "database",
        joins=_named("d", "database", "datid"),
        order="f.datid",
    ),
    Exported(
        "relations",
        "interval and table, index or TOAST table",
        (
            *_FIRST,
            Field("relation", "d.name", "", "its table, with the schema"),
            Field("part", "d.part", "", "heap, idx, toast or tidx"),
            *_fields("relation"),
            BASIS,
        ),
        "relation",
        joins=_named("d", "relation", "relid"),
        order="f.relid",
    ),
    Exported(
        "tables",
        "table, materialized view or TOAST table, and interval of the tables of a server",
        (
            *_FIRST,
            Field("database", "d.name", "", "where it is"),
            Field("relation", "r.name", "", "its table, with the schema"),
            Field("part", "r.part", "", "heap or toast"),
            *_fields("table_stats"),
            BASIS,
        ),
        "table_stats",
        joins="\n".join(
            (_named("d", "database", "dbid"), _named_anywhere("r", "relation", "relid"))
        ),
        order="f.dbid, f.relid",
    ),
    Exported(
        "indexes",
        "index and interval of the tables of a server",
        (
            *_FIRST,
            Field("database", "d.name", "", "where it is"),
            Field("relation", "r.name", "", "its table, with the schema"),
            Field("index", "i.name", "", "its name, with the schema"),
            Field("part", "r.part", "", "idx, or tidx for the index of a TOAST table"),
            *_fields("index_stats"),
            BASIS,
        ),
        "index_stats",
        joins="\n".join(
            (
                _named("d", "database", "dbid"),
                _named_anywhere("r", "relation", "indexrelid"),
                _named_anywhere("i", "index", "indexrelid"),
            )
        ),
        order="f.dbid, f.indexrelid",
    ),
    Exported(
        "io",
        "interval and row of pg_stat_io (PostgreSQL 16 and later)",
        (*_FIRST, *_fields("io"), BASIS),
        "io",
        order="f.backend_type, f.object, f.context",
    ),
    Exported(
        "devices",
        "period in which the device of a server was measured",
        (
            _FIRST[0],
            replace(_FIRST[1], meaning="start of the period, by the clock of the source"),
            replace(_FIRST[2], meaning="its length"),
            _FIRST[3],
            Field("source", "f.source", "", "source: diskstats or cloudwatch"),
            Field("device", "f.name", "", "name of the device, or of its instance or cluster"),
            *(_measure(name, unit, meaning) for name, (unit, meaning) in DEVICE.items()),
        ),
        "device",
        order="f.source, f.name",
    ),
    Exported(
        "definitions",
        "change of a definition until the end of the window",
        (
            _FIRST[0],
            _FIRST[3],
            *(
                Field(name, name, unit, meaning)
                for name, unit, meaning in (
                    ("since", "UTC", "when the change was found"),
                    ("database", "", "where it holds; empty for the whole server"),
                    ("kind", "", "columns, index, foreign key, setting or server"),
                    ("relation", "", "table of columns, an index or a foreign key"),
                    ("role", "", "role of a setting; empty for all"),
                    ("name", "", "its name"),
                    ("oid", "", "oid of a table, an index or a foreign key"),
                    ("definition", "", "text or value; empty if it was dropped"),
                    (
                        "detail",
                        "",
                        "primary key, unique or invalid; referenced table's oid; storage options",
                    ),
                )
            ),
        ),
    ),
    Exported(
        "texts",
        "statement with a known text",
        (
            _FIRST[0],
            _FIRST[3],
            *(
                Field(name, name, "", meaning)
                for name, meaning in (
                    ("database", "where it ran"),
                    ("user", "role that ran it"),
                    ("queryid", "the server's hash of the statement"),
                    ("fingerprint", _FINGERPRINT.meaning),
                    ("category", _CATEGORY.meaning),
                    ("query", "normalized text, without constants and comments"),
                )
            ),
        ),
    ),
)
"""The files of an export, in the order in which they are written."""

_INTRODUCTION = """# What these files hold

Written by pgiostat; `schema_version` {version}. CSV by RFC 4180, UTF-8, one header line. Times are
ISO 8601 in UTC. Counters are differences over the interval. An empty cell is unknown, or not
counted by that version of PostgreSQL; it is not zero. A text that a spreadsheet would interpret as
a formula, and a text that begins with `'`, has a `'` before it. Invisible characters are written as
their codes, `\\u202e`; a backslash before such a code, or before another backslash, is doubled.
docs/output.md of pgiostat has a function that returns the original texts."""


def dictionary() -> str:
    """Return the data dictionary: each file, and each of its columns with unit and meaning."""
    lines = [_INTRODUCTION.format(version=SCHEMA_VERSION)]
    for exported in TABLES:
        lines += ["", f"## {exported.name}.csv", "", f"One row per {exported.rows}.", ""]
        lines += ["| column | unit | meaning |", "|---|---|---|"]
        lines += [f"| {f.name} | {f.unit} | {f.meaning} |" for f in exported.fields]
    return "\n".join(lines) + "\n"
