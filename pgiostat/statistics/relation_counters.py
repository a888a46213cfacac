"""The counters of tables and of indexes, each described once.

They come from the functions of which pg_stat_all_tables and pg_stat_all_indexes are made, called
for named relations: the views join and group the catalog, at four times the cost. Blocks are read
with them, so that blocks and rows of one read belong together.
"""

from pgiostat.statistics.counter_table import ColumnKind, CounterColumn, CounterTable
from pgiostat.units import Unit

__all__ = ["INDEX_STATS", "TABLE_STATS"]

_ROWS = Unit.ROWS
_BLOCKS = Unit.BLOCKS
_NO_TIME = "'-infinity'"


def _function(name: str) -> str:
    return f"pg_catalog.pg_stat_get_{name}(s.oid)"


def _count(name: str, function: str, unit: Unit, meaning: str, since: str = "") -> CounterColumn:
    return CounterColumn(
        name, ColumnKind.COUNT, unit, meaning, since=since, expression=_function(function)
    )


def _gauge(name: str, expression: str, unit: Unit, meaning: str) -> CounterColumn:
    return CounterColumn(name, ColumnKind.GAUGE, unit, meaning, expression=expression)


def _event(name: str, function: str, meaning: str, since: str = "") -> CounterColumn:
    return CounterColumn(
        name,
        ColumnKind.EVENT,
        Unit.NONE,
        meaning,
        since=since,
        expression=_function(function),
        null=_NO_TIME,
    )


def _milliseconds(name: str, function: str, meaning: str) -> CounterColumn:
    return CounterColumn(
        name,
        ColumnKind.TIME,
        Unit.MILLISECONDS,
        meaning,
        since="18",
        expression=_function(function),
    )


def _blocks(prefix: str) -> tuple[CounterColumn, ...]:
    fetched, hit = _function("blocks_fetched"), _function("blocks_hit")
    return (
        CounterColumn(
            f"{prefix}_blks_read",
            ColumnKind.COUNT,
            _BLOCKS,
            "blocks read, of this relation alone",
            expression=f"{fetched} OPERATOR(pg_catalog.-) {hit}",
        ),
        _count(f"{prefix}_blks_hit", "blocks_hit", _BLOCKS, "blocks found in shared_buffers"),
    )


def _size() -> tuple[CounterColumn, ...]:
    stale = "as of the last VACUUM, ANALYZE or index build"
    return (
        _gauge("relpages", "s.relpages", _BLOCKS, f"size in blocks, {stale}"),
        _gauge(
            "reltuples",
            "s.reltuples",
            _ROWS,
            f"live rows or index entries, {stale}; −1 (13: 0) if never counted",
        ),
    )


_RELFILENODE = CounterColumn(
    "relfilenode",
    ColumnKind.OID,
    Unit.NONE,
    "file of the relation: another one after TRUNCATE, CLUSTER, VACUUM FULL or REINDEX",
    expression="s.relfilenode",
)
_STATS_RESET = CounterColumn(
    "stats_reset",
    ColumnKind.INSTANT,
    Unit.NONE,
    "when the counters of this relation were last reset",
    since="19",
    expression=_function("stat_reset_time"),
    null=_NO_TIME,
)

TABLE_STATS = CounterTable(
    name="pg_stat_all_tables",
    versioned_by="PostgreSQL",
    source="27.2.18 pg_stat_all_tables, 27.2.20 pg_statio_all_tables, 52.11 pg_class",
    key=("relid",),
    columns=(
        CounterColumn(
            "relid",
            ColumnKind.OID,
            Unit.NONE,
            "table, materialized view or TOAST table",
            expression="s.oid",
        ),
        _RELFILENODE,
        *_size(),
        _gauge(
            "relallvisible",
            "s.relallvisible",
            _BLOCKS,
            "blocks that an index-only scan need not look at, as of the last VACUUM or ANALYZE",
        ),
        *_blocks("heap"),
        _count(
            "seq_scan", "numscans", Unit.SCANS, "sequential scans; each parallel worker counts one"
        ),
        _count("seq_tup_read", "tuples_returned", _ROWS, "live rows read by sequential scans"),
        _count(
            "bitmap_tup_fetch",
            "tuples_fetched",
            _ROWS,
            "live rows fetched by bitmap heap scans: idx_tup_fetch of the view is this and"
            " idx_tup_fetch of all its indexes",
        ),
        _count("n_tup_ins", "tuples_inserted", _ROWS, "rows inserted"),
        _count("n_tup_upd", "tuples_updated", _ROWS, "rows updated, rolled back or not"),
        _count("n_tup_del", "tuples_deleted", _ROWS, "rows deleted, rolled back or not"),
        _count(
            "n_tup_hot_upd",
            "tuples_hot_updated",
            _ROWS,
            "rows updated without a new index entry (HOT)",
        ),
        _count(
            "n_tup_newpage_upd",
            "tuples_newpage_updated",
            _ROWS,
            "rows updated with the new version in another block",
            since="16",
        ),
        _gauge("n_live_tup", _function("live_tuples"), _ROWS, "estimated live rows"),
        _gauge("n_dead_tup", _function("dead_tuples"), _ROWS, "estimated dead rows"),
        _gauge(
            "n_mod_since_analyze",
            _function("mod_since_analyze"),
            _ROWS,
            "rows modified since the last ANALYZE",
        ),
        _gauge(
            "n_ins_since_vacuum",
            _function("ins_since_vacuum"),
            _ROWS,
            "rows inserted since the last VACUUM",
        ),
        _count("vacuum_count", "vacuum_count", Unit.RUNS, "runs of VACUUM, not VACUUM FULL"),
        _count("autovacuum_count", "autovacuum_count", Unit.RUNS, "runs of autovacuum"),
        _count("analyze_count", "analyze_count", Unit.RUNS, "runs of ANALYZE"),
        _count("autoanalyze_count", "autoanalyze_count", Unit.RUNS, "runs of auto-analyze"),
        _event("last_vacuum", "last_vacuum_time", "when VACUUM last ended"),
        _event("last_autovacuum", "last_autovacuum_time", "when autovacuum last ended"),
        _event("last_analyze", "last_analyze_time", "when ANALYZE last ended"),
        _event("last_autoanalyze", "last_autoanalyze_time", "when auto-analyze last ended"),
        _milliseconds("total_vacuum_time", "total_vacuum_time", "time spent in VACUUM"),
        _milliseconds("total_autovacuum_time", "total_autovacuum_time", "time spent in autovacuum"),
        _milliseconds("total_analyze_time", "total_analyze_time", "time spent in ANALYZE"),
        _milliseconds(
            "total_autoanalyze_time", "total_autoanalyze_time", "time spent in auto-analyze"
        ),
        _event("last_seq_scan", "lastscan", "when the last sequential scan began", since="16"),
        _STATS_RESET,
    ),
)

INDEX_STATS = CounterTable(
    name="pg_stat_all_indexes",
    versioned_by="PostgreSQL",
    source="27.2.19 pg_stat_all_indexes, 27.2.21 pg_statio_all_indexes, 52.11 pg_class",
    key=("indexrelid",),
    columns=(
        CounterColumn("indexrelid", ColumnKind.OID, Unit.NONE, "index", expression="s.oid"),
        CounterColumn("relid", ColumnKind.OID, Unit.NONE, "its table", expression="i.indrelid"),
        _RELFILENODE,
        *_size(),
        *_blocks("idx"),
        _count(
            "idx_scan",
            "numscans",
            Unit.SCANS,
            "index scans: descents, not statements; the planner's look at the end of the index"
            " counts one",
        ),
        _count("idx_tup_read", "tuples_returned", Unit.ROWS, "index entries returned by scans"),
        _count(
            "idx_tup_fetch",
            "tuples_fetched",
            Unit.ROWS,
            "live rows fetched by plain index scans, and by index-only scans of blocks that are"
            " not all-visible",
        ),
        _event("last_idx_scan", "lastscan", "when the last scan began", since="16"),
        _STATS_RESET,
    ),
)
