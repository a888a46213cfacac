"""The table of counters: describes each column of a snapshot once.

It defines the select list of a snapshot, the layout of its bytes, the subtraction of two
snapshots, the headers of CSV files and docs/counters.md.

Sources are sections of the PostgreSQL documentation.  Versions in which a column appears
were checked on servers 13 to 19 with every extension version from 1.4 on.
"""

from pgiostat.statistics.counter_table import ColumnKind, CounterColumn, CounterTable
from pgiostat.statistics.relation_counters import INDEX_STATS, TABLE_STATS
from pgiostat.units import Unit

__all__ = [
    "DATABASES",
    "INDEX_STATS",
    "IO",
    "KCACHE",
    "RELATIONS",
    "STATEMENTS",
    "TABLES",
    "TABLE_STATS",
]

_READS_NOTE = "not found in shared_buffers; may still come from the operating system's cache"

STATEMENTS = CounterTable(
    name="pg_stat_statements",
    versioned_by="pg_stat_statements",
    source="F.30 pg_stat_statements",
    key=("userid", "dbid", "queryid", "toplevel"),
    columns=(
        CounterColumn("userid", ColumnKind.OID, Unit.NONE, "role that ran the statement"),
        CounterColumn("dbid", ColumnKind.OID, Unit.NONE, "database in which it ran"),
        CounterColumn(
            "queryid", ColumnKind.ID, Unit.NONE, "hash of the statement's analysed tree", null="0"
        ),
        CounterColumn(
            "masked",
            ColumnKind.FLAG,
            Unit.NONE,
            "queryid is NULL: the role lacks pg_read_all_stats",
            expression="s.queryid IS NULL",
        ),
        CounterColumn(
            "toplevel",
            ColumnKind.FLAG,
            Unit.NONE,
            "sent by a client; if not, its reads are in its caller's row too",
            since="1.9",
        ),
        CounterColumn(
            "calls", ColumnKind.COUNT, Unit.CALLS, "executions that ended without an error"
        ),
        CounterColumn("rows", ColumnKind.COUNT, Unit.ROWS, "rows returned or affected"),
        CounterColumn(
            "shared_blks_hit",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            "table and index blocks in shared_buffers",
        ),
        CounterColumn(
            "shared_blks_read",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            f"table and index blocks read: {_READS_NOTE}",
        ),
        CounterColumn(
            "shared_blks_dirtied",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            "blocks changed for the first time",
        ),
        CounterColumn(
            "local_blks_hit", ColumnKind.COUNT, Unit.BLOCKS, "blocks of temporary tables in memory"
        ),
        CounterColumn(
            "local_blks_read", ColumnKind.COUNT, Unit.BLOCKS, "blocks of temporary tables read"
        ),
        CounterColumn(
            "temp_blks_read",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            "blocks of sort and hash spill files read",
        ),
        CounterColumn(
            "total_exec_time",
            ColumnKind.TIME,
            Unit.MILLISECONDS,
            "time spent executing",
            older=("total_time",),
        ),
        CounterColumn(
            "shared_blk_read_time",
            ColumnKind.TIME,
            Unit.MILLISECONDS,
            "time spent reading shared blocks (before 1.11: local blocks too); "
            "counted only with track_io_timing; from PostgreSQL 18 on time spent waiting for reads",
            older=("blk_read_time",),
        ),
        CounterColumn(
            "local_blk_read_time",
            ColumnKind.TIME,
            Unit.MILLISECONDS,
            "time spent reading local blocks",
            since="1.11",
        ),
        CounterColumn(
            "temp_blk_read_time",
            ColumnKind.TIME,
            Unit.MILLISECONDS,
            "time spent reading spill files",
            since="1.10",
        ),
        CounterColumn(
            "generic_plan_calls",
            ColumnKind.COUNT,
            Unit.CALLS,
            "executions of a prepared statement with its generic plan",
            since="1.13",
        ),
        CounterColumn(
            "custom_plan_calls",
            ColumnKind.COUNT,
            Unit.CALLS,
            "executions of a prepared statement with a plan for its parameters",
            since="1.13",
        ),
        CounterColumn(
            "min_exec_time",
            ColumnKind.EXTREME,
            Unit.MILLISECONDS,
            "fastest execution; shows that an entry was created again",
            older=("min_time",),
        ),
        CounterColumn(
            "max_exec_time",
            ColumnKind.EXTREME,
            Unit.MILLISECONDS,
            "slowest execution; shows that an entry was created again",
            older=("max_time",),
        ),
        CounterColumn(
            "stats_since",
            ColumnKind.INSTANT,
            Unit.NONE,
            "creation time of the entry; distinguishes a new entry from a grown one",
            since="1.11",
        ),
    ),
)

DATABASES = CounterTable(
    name="pg_stat_database",
    versioned_by="PostgreSQL",
    source="27.2.17 pg_stat_database",
    key=("datid",),
    columns=(
        CounterColumn("datid", ColumnKind.OID, Unit.NONE, "database; 0 for the shared catalogs"),
        CounterColumn("xact_commit", ColumnKind.COUNT, Unit.TRANSACTIONS, "transactions committed"),
        CounterColumn(
            "xact_rollback", ColumnKind.COUNT, Unit.TRANSACTIONS, "transactions rolled back"
        ),
        CounterColumn(
            "blks_read",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            f"blocks read, local ones too: {_READS_NOTE}; "
            "PostgreSQL 13 to 15 also count blocks added to a table",
        ),
        CounterColumn("blks_hit", ColumnKind.COUNT, Unit.BLOCKS, "blocks found in shared_buffers"),
        CounterColumn(
            "temp_bytes", ColumnKind.COUNT, Unit.BYTES, "bytes written to temporary files"
        ),
        CounterColumn(
            "blk_read_time",
            ColumnKind.TIME,
            Unit.MILLISECONDS,
            "time spent reading blocks; counted only with track_io_timing",
        ),
        CounterColumn(
            "stats_reset",
            ColumnKind.INSTANT,
            Unit.NONE,
            "when these counters were last reset",
            null="'-infinity'",
        ),
    ),
)

IO = CounterTable(
    name="pg_stat_io",
    versioned_by="PostgreSQL",
    source="27.2.13 pg_stat_io",
    key=("backend_type", "object", "context"),
    columns=(
        # A cell is NULL where such an operation cannot happen: that is a true zero.
        CounterColumn("backend_type", ColumnKind.NAME, Unit.NONE, "process type that read"),
        CounterColumn(
            "object",
            ColumnKind.NAME,
            Unit.NONE,
            "object that was read: relation, temp relation, wal",
        ),
        CounterColumn(
            "context",
            ColumnKind.NAME,
            Unit.NONE,
            "context of the read: normal, vacuum, bulkread, bulkwrite, init",
        ),
        CounterColumn(
            "reads",
            ColumnKind.COUNT,
            Unit.OPERATIONS,
            "reads: operations from PostgreSQL 18 on, where one may fetch up to 16 blocks; "
            "blocks on 16 and 17",
            null="0",
        ),
        CounterColumn(
            "read_bytes", ColumnKind.COUNT, Unit.BYTES, "bytes read", since="18", null="0"
        ),
        CounterColumn(
            "op_bytes",
            ColumnKind.GAUGE,
            Unit.BYTES,
            "bytes of each read, on 16 and 17 only",
            null="0",
        ),
        CounterColumn(
            "read_time", ColumnKind.TIME, Unit.MILLISECONDS, "time spent reading", null="0"
        ),
        CounterColumn(
            "hits", ColumnKind.COUNT, Unit.BLOCKS, "blocks found in shared_buffers", null="0"
        ),
        CounterColumn(
            "stats_reset",
            ColumnKind.INSTANT,
            Unit.NONE,
            "when these counters were last reset",
            null="'-infinity'",
        ),
    ),
)

RELATIONS = CounterTable(
    name="pg_statio_all_tables",
    versioned_by="PostgreSQL",
    source="27.2.20 pg_statio_all_tables",
    key=("relid",),
    columns=(
        # One row for each table, index and TOAST table, from the functions of which the view is
        # made: the view itself joins and groups the catalog, at eight times the cost.
        CounterColumn(
            "relid",
            ColumnKind.OID,
            Unit.NONE,
            "table, index or TOAST table of the connected database",
            expression="s.oid",
        ),
        CounterColumn(
            "blks_read",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            f"blocks read; added up by table as heap, idx, toast and tidx: {_READS_NOTE}",
            expression="pg_catalog.pg_stat_get_blocks_fetched(s.oid)"
            " OPERATOR(pg_catalog.-) pg_catalog.pg_stat_get_blocks_hit(s.oid)",
        ),
        CounterColumn(
            "blks_hit",
            ColumnKind.COUNT,
            Unit.BLOCKS,
            "blocks found in shared_buffers",
            expression="pg_catalog.pg_stat_get_blocks_hit(s.oid)",
        ),
    ),
)

KCACHE = CounterTable(
    name="pg_stat_kcache",
    versioned_by="pg_stat_kcache",
    source="README of pg_stat_kcache, function pg_stat_kcache()",
    key=("userid", "dbid", "queryid", "top"),
    columns=(
        CounterColumn("userid", ColumnKind.OID, Unit.NONE, "role that ran the statement"),
        CounterColumn("dbid", ColumnKind.OID, Unit.NONE, "database in which it ran"),
        CounterColumn("queryid", ColumnKind.ID, Unit.NONE, "as in pg_stat_statements", null="0"),
        CounterColumn("top", ColumnKind.FLAG, Unit.NONE, "sent by a client", since="2.2"),
        CounterColumn(
            "exec_reads",
            ColumnKind.COUNT,
            Unit.BYTES,
            "bytes that its processes read from storage while executing, by getrusage:"
            " not what the io workers of PostgreSQL 18 and later read for them",
            older=("reads",),
        ),
    ),
)

TABLES = (STATEMENTS, DATABASES, IO, RELATIONS, TABLE_STATS, INDEX_STATS, KCACHE)
