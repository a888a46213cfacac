"""All SQL that pgiostat sends to a monitored server.

Whoever may create a function, an operator or a type in a database can give it the name of one of
PostgreSQL's own. An unqualified name would then run their code with our rights. So every function,
operator, type and relation below is qualified, and the operators that SQL's own words look up by
name (IN, LIKE, BETWEEN, simple CASE, NULLIF, IS DISTINCT FROM, USING) are not used.
tests/unit/postgres/test_sent_sql.py parses every statement and fails on a name that is not
qualified.

What lives here: texts, from pgiostat/postgres/sql. Nothing is sent from here.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import LiteralString

from psycopg import sql

from pgiostat.statistics import counters
from pgiostat.statistics.counter_table import CounterTable, SelectedColumns

__all__ = [
    "DOCTOR_SETTINGS",
    "IO_WORKERS",
    "SETTINGS",
    "Function",
    "SentSql",
    "clock_query",
    "doctor_query",
    "is_plan_query",
    "plan_prepare",
    "plan_query",
    "quoted_schema",
    "resets_query",
    "static_statements",
    "text_of",
]

SETTINGS = (
    "block_size",
    "shared_buffers",
    "max_connections",
    "max_parallel_workers",
    "track_counts",
    "track_io_timing",
    "compute_query_id",
    "io_method",
    "autovacuum_max_parallel_workers",
    "pg_stat_statements.max",
    "pg_stat_statements.track",
    "pg_stat_statements.track_planning",
    "pg_stat_statements.track_utility",
    "pg_stat_statements.save",
)
"""Settings that decide what the numbers mean; any user may read them."""

IO_WORKERS = ("io_workers", "io_min_workers", "io_max_workers")
"""How many processes read for others: the first on PostgreSQL 18, the others from 19 on."""

DOCTOR_SETTINGS = (*SETTINGS, "shared_preload_libraries", "track_activities", *IO_WORKERS)

Function = tuple[int, str, str]
"""Oid, schema and name of a function that we call."""

_STATIC = (
    "activity_texts",
    "as_role",
    "base_tables",
    "catalog",
    "columns",
    "databases",
    "definitions",
    "doctor_identified",
    "doctor_objects",
    "doctor_pending",
    "doctor_stat_file",
    "doctor_texts",
    "extension",
    "foreign_keys",
    "io_method",
    "is_superuser",
    "kcache",
    "limits",
    "partitions",
    "plan_relations",
    "plan_set",
    "plan_settings",
    "plan_target",
    "pooled",
    "relations",
    "roles",
    "server",
    "session",
    "settings",
    "system_identifier",
    "timeout",
    "whereabouts",
)
"""Statements without gaps: equal on every server."""

RESET_VIEWS = ("pg_stat_database", "pg_stat_bgwriter", "pg_stat_io")
CLOCK_ROWS = 200_000

_IO_SINCE = 160000
_IO_BYTES_SINCE = 180000
_QUERY_ID_SINCE = 140000
_NAMED_RELATIONS: LiteralString = "s.oid OPERATOR(pg_catalog.=) ANY (%(relids)s::pg_catalog.oid[])"
_MOVED_RELATIONS: LiteralString = (
    "pg_catalog.pg_stat_get_blocks_fetched(s.oid) OPERATOR(pg_catalog.>) 0"
)


@cache
def text_of(name: str) -> LiteralString:
    """Return a statement of postgres/sql, without the comment lines that explain it to us."""
    text = files("pgiostat.postgres").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip()


def quoted_schema(name: str, *, has_parameters: bool = False) -> sql.Composable:
    """Return the name of a schema as an identifier.

    Args:
        name: As the catalog has it.
        has_parameters: Whether psycopg looks for placeholders in the statement: then a "%" of the
            name must be doubled.
    """
    if not has_parameters:
        return sql.Identifier(name)
    quoted = '"' + name.replace('"', '""') + '"'
    return sql.SQL(quoted.replace("%", "%%"))


def clock_query(*, timing: bool) -> sql.Composed:
    """Return the statement with which the server measures the cost of reading its clock."""
    return sql.SQL(text_of("doctor_clock")).format(
        timing=sql.SQL("ON" if timing else "OFF"), rows=sql.Literal(CLOCK_ROWS)
    )


def resets_query(view: str) -> sql.Composed:
    """Return the statement that reads when a cumulative view was last reset."""
    return sql.SQL(text_of("doctor_resets")).format(view=sql.Identifier(view))


def doctor_query() -> sql.Composed:
    """Return the first statement of doctor, with the values of DOCTOR_SETTINGS."""
    setting = sql.SQL(text_of("doctor_setting"))
    return sql.SQL(text_of("doctor")).format(
        settings=sql.SQL(", ").join(
            setting.format(name=sql.Literal(name)) for name in DOCTOR_SETTINGS
        ),
        names=sql.SQL(", ").join(map(sql.Literal, DOCTOR_SETTINGS)),
    )


def plan_prepare(text: str) -> str:
    """Return the statement that prepares one of another role, to be planned and never executed.

    Args:
        text: What `queries.plannable` has checked. After AS the grammar takes one statement that
            returns or changes rows.
    """
    return f"PREPARE pgiostat_plan AS {text}"


def plan_query(parameters: int, *, is_generic: bool) -> str:
    """Return the statement that plans the prepared one; without ANALYZE it executes nothing.

    Args:
        parameters: How many parameters it has: each is NULL.
        is_generic: Whether the server has GENERIC_PLAN: then partitions are not pruned by NULL.

    >>> plan_query(2, is_generic=False)
    'EXPLAIN /* pgiostat */ (FORMAT JSON, VERBOSE, SETTINGS) EXECUTE pgiostat_plan(NULL, NULL)'
    """
    options = "GENERIC_PLAN, " * is_generic + "FORMAT JSON, VERBOSE, SETTINGS"
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    return f"EXPLAIN /* pgiostat */ ({options}) EXECUTE pgiostat_plan{values}"


_PLAN_QUERY = re.compile(
    r"EXPLAIN /\* pgiostat \*/ \([A-Z_, ]+\) EXECUTE pgiostat_plan(?:\((?:NULL|\$\d+|, )*\))?"
)


def is_plan_query(text: str) -> bool:
    """Return whether a text is one of `plan_query`, with constants or without."""
    return _PLAN_QUERY.fullmatch(text) is not None


def static_statements() -> Iterator[tuple[str, str]]:
    """Yield the name and text of each statement that is equal on every server."""
    yield from ((name, text_of(name)) for name in _STATIC)
    yield "doctor", doctor_query().as_string()
    yield "doctor_clock (timing on)", clock_query(timing=True).as_string()
    yield "doctor_clock (timing off)", clock_query(timing=False).as_string()
    for view in RESET_VIEWS:
        yield f"doctor_resets ({view})", resets_query(view).as_string()


class SentSql:
    """The statements for one server, by the columns that its extensions and its version have.

    Attributes:
        statements: The columns of pg_stat_statements, in the order in which they are read.
        views: The columns of each further view of a snapshot, in order.
        guard: Whether the functions that a snapshot calls are still the extensions'.
        snapshot: One snapshot as one row.
        snapshot_without_statements: The same, where statements are read row by row.
        statement_rows: Statements row by row.
        table_stats: The columns of pg_stat_all_tables, in the order in which they are read.
        index_stats: The same of pg_stat_all_indexes.
        relation_stats: Counters of the tables and indexes in `relids`.
        all_relation_stats: The same of all that have counted anything.
    """

    def __init__(
        self,
        *,
        version_num: int,
        schema: str,
        columns: Collection[str],
        has_info: bool,
        functions: Collection[Function] = (),
        kcache_schema: str = "",
        kcache_columns: Collection[str] = (),
        view_columns: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Make the statements; kcache_schema is empty where pg_stat_kcache is not read.

        view_columns: of pg_stat_database and pg_stat_io, where the version does not say which.
        """
        plain = quoted_schema(schema)
        with_parameters = quoted_schema(schema, has_parameters=True)
        self.statements: SelectedColumns = counters.STATEMENTS.select(columns)
        self.views: list[SelectedColumns] = []
        sources: list[sql.Composable] = []
        for selected, source in self._sources(
            version_num, kcache_schema, kcache_columns, view_columns or {}
        ):
            self.views.append(selected)
            sources.append(source)
        reset: sql.Composable = sql.SQL("NULL::pg_catalog.timestamptz")
        dealloc: sql.Composable = sql.SQL("NULL::pg_catalog.int8")
        if has_info:
            # The function, not the view upon it: whoever owns the view can replace it.
            info = "(SELECT i.{column} FROM {schema}.pg_stat_statements_info() AS i)"
            reset, dealloc = (
                sql.SQL(info).format(column=sql.Identifier(name), schema=plain)
                for name in ("stats_reset", "dealloc")
            )
        parts = {
            "reset": reset,
            "dealloc": dealloc,
            "settings": sql.SQL(", ").join(
                sql.SQL("pg_catalog.current_setting({}, true)").format(sql.Literal(name))
                for name in SETTINGS
            ),
            "tables": sql.SQL(", ").join(
                _packed(selected, source)
                for selected, source in zip(self.views, sources, strict=True)
            ),
        }
        whole = _packed(
            self.statements, sql.SQL("FROM {}.pg_stat_statements(false) AS s").format(plain)
        )
        nothing = sql.SQL("NULL::pg_catalog.bytea")
        text = sql.SQL(text_of("snapshot"))
        # Built once: it is sent for every snapshot.
        self.snapshot = sql.SQL(text.format(statements=whole, **parts).as_string())
        self.snapshot_without_statements = text.format(statements=nothing, **parts)
        self.statement_rows = sql.SQL(text_of("statements_rows")).format(
            listed=sql.SQL(self.statements.listed), schema=plain
        )
        self.table_stats, self.index_stats = (
            table.select(_since(table, version_num))
            for table in (counters.TABLE_STATS, counters.INDEX_STATS)
        )
        self.relation_stats, self.all_relation_stats = (
            self._relation_stats(chosen) for chosen in (_NAMED_RELATIONS, _MOVED_RELATIONS)
        )
        self.guard = _guard(functions)
        self.running = sql.SQL(text_of("running")).format(
            queryid=sql.SQL(
                "a.query_id" if version_num >= _QUERY_ID_SINCE else "NULL::pg_catalog.int8"
            ),
            read_bytes=sql.SQL(
                text_of("running_read")
                if version_num >= _IO_BYTES_SINCE
                else "NULL::pg_catalog.int8"
            ),
        )
        self.texts = sql.SQL(text_of("texts")).format(schema=with_parameters)
        self.own = sql.SQL(text_of("own")).format(schema=with_parameters)
        self.probe = sql.SQL(text_of("probe")).format(schema=plain)
        self.kcache_probe = (
            sql.SQL(text_of("kcache_probe")).format(schema=quoted_schema(kcache_schema))
            if kcache_schema
            else None
        )

    @staticmethod
    def _sources(
        version_num: int,
        kcache_schema: str,
        kcache_columns: Collection[str],
        view_columns: Mapping[str, Collection[str]],
    ) -> Iterator[tuple[SelectedColumns, sql.Composable]]:
        """Yield each view of a snapshot beside pg_stat_statements, with its FROM clause."""
        databases = counters.DATABASES.select(view_columns.get("pg_stat_database"))
        yield databases, sql.SQL("FROM pg_catalog.pg_stat_database AS s")
        # Only what was read at all: a relation that is missing has read nothing yet.
        yield (
            counters.RELATIONS.select(),
            sql.SQL(
                "FROM pg_catalog.pg_class AS s"
                " WHERE s.relkind OPERATOR(pg_catalog.=)"
                """ ANY ('{{r,m,i,t}}'::pg_catalog."char"[])"""
                " AND pg_catalog.pg_stat_get_blocks_fetched(s.oid) OPERATOR(pg_catalog.>) 0"
            ).format(),
        )
        if version_num >= _IO_SINCE:
            missing = {"op_bytes"} if version_num >= _IO_BYTES_SINCE else {"read_bytes"}
            names = {column.name for column in counters.IO.columns} - missing
            yield (
                counters.IO.select(view_columns.get("pg_stat_io", names)),
                sql.SQL("FROM pg_catalog.pg_stat_io AS s"),
            )
        if kcache_schema:
            yield (
                counters.KCACHE.select(kcache_columns),
                sql.SQL("FROM {}.pg_stat_kcache() AS s").format(quoted_schema(kcache_schema)),
            )

    def _relation_stats(self, chosen: LiteralString) -> sql.SQL:
        """Return the statement that reads the counters of some relations."""
        tables = sql.SQL(text_of("table_stats_source")).format(chosen=sql.SQL(chosen))
        indexes = sql.SQL(text_of("index_stats_source")).format(chosen=sql.SQL(chosen))
        text = sql.SQL(text_of("relation_stats")).format(
            tables=_packed(self.table_stats, tables), indexes=_packed(self.index_stats, indexes)
        )
        return sql.SQL(text.as_string())

    def by_name(self) -> Iterator[tuple[str, str]]:
        """Yield the name and text of each statement, with the static ones."""
        composed = {
            "snapshot": self.snapshot,
            "snapshot_without_statements": self.snapshot_without_statements,
            "statement_rows": self.statement_rows,
            "relation_stats": self.relation_stats,
            "all_relation_stats": self.all_relation_stats,
            "guard": self.guard,
            "running": self.running,
            "texts": self.texts,
            "own": self.own,
            "probe": self.probe,
            "kcache_probe": self.kcache_probe,
        }
        yield from ((name, text.as_string()) for name, text in composed.items() if text is not None)
        yield from static_statements()


def _guard(functions: Collection[Function]) -> sql.SQL:
    """Return the statement that finds out whether functions have kept their names and schemas."""
    one = sql.SQL(
        "p.oid OPERATOR(pg_catalog.=) {}::pg_catalog.oid AND n.nspname OPERATOR(pg_catalog.=) {}"
        " AND p.proname OPERATOR(pg_catalog.=) {}"
    )
    each: list[sql.Composable] = [
        one.format(*map(sql.Literal, function)) for function in sorted(functions)
    ]
    text = sql.SQL(text_of("guard")).format(
        number=sql.Literal(len(each)),
        is_one_of_them=sql.SQL(" OR ").join(each or [sql.SQL("false")]),
    )
    return sql.SQL(text.as_string())


def _packed(selected: SelectedColumns, source: sql.Composable) -> sql.Composed:
    """Return a subquery for all rows of a table as one value."""
    return sql.SQL(text_of("view_packed")).format(packed=sql.SQL(selected.packed), source=source)


def _since(table: CounterTable, version_num: int) -> set[str]:
    """Return the columns of a table that a version of PostgreSQL has."""
    return {
        column.name
        for column in table.columns
        if not column.since or version_num >= int(column.since) * 10_000
    }
