"""The newest version of PostgreSQL that pgiostat knows, and the columns of its views.

Of a newer server the same columns are read. What differs is reported.
"""

from collections.abc import Collection, Iterator, Mapping

from pgiostat.statistics.counter_table import CounterTable

__all__ = ["COLUMNS", "NEWEST_MAJOR", "differences", "is_newer", "lacking"]

NEWEST_MAJOR = 19


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLUMNS: Mapping[str, frozenset[str]] = {
    "pg_stat_statements": _words(
        """userid dbid toplevel queryid query plans total_plan_time min_plan_time max_plan_time
        mean_plan_time stddev_plan_time calls total_exec_time min_exec_time max_exec_time
        mean_exec_time stddev_exec_time rows shared_blks_hit shared_blks_read shared_blks_dirtied
        shared_blks_written local_blks_hit local_blks_read local_blks_dirtied local_blks_written
        temp_blks_read temp_blks_written shared_blk_read_time shared_blk_write_time
        local_blk_read_time local_blk_write_time temp_blk_read_time temp_blk_write_time wal_records
        wal_fpi wal_bytes wal_buffers_full jit_functions jit_generation_time jit_inlining_count
        jit_inlining_time jit_optimization_count jit_optimization_time jit_emission_count
        jit_emission_time jit_deform_count jit_deform_time parallel_workers_to_launch
        parallel_workers_launched generic_plan_calls custom_plan_calls stats_since
        minmax_stats_since showtext"""
    ),
    "pg_stat_database": _words(
        """datid datname numbackends xact_commit xact_rollback blks_read blks_hit tup_returned
        tup_fetched tup_inserted tup_updated tup_deleted conflicts temp_files temp_bytes deadlocks
        checksum_failures checksum_last_failure blk_read_time blk_write_time session_time
        active_time idle_in_transaction_time sessions sessions_abandoned sessions_fatal
        sessions_killed parallel_workers_to_launch parallel_workers_launched stats_reset"""
    ),
    "pg_stat_io": _words(
        """backend_type object context reads read_bytes read_time writes write_bytes write_time
        writebacks writeback_time extends extend_bytes extend_time hits evictions reuses fsyncs
        fsync_time stats_reset"""
    ),
}
"""Columns of the views that a snapshot reads; of pg_stat_statements also the argument."""


def is_newer(version_num: int) -> bool:
    """Return whether a server is newer than the newest version that pgiostat knows.

    >>> is_newer(190005), is_newer(200000)
    (False, True)
    """
    return version_num // 10_000 > NEWEST_MAJOR


def lacking(table: CounterTable, available: Collection[str]) -> tuple[str, ...]:
    """Return the columns of a table that no supported version lacks, and that are not available.

    Args:
        table: A table of counters.
        available: The columns that a server has.
    """
    return tuple(
        column.name
        for column in table.columns
        if not column.since
        and not column.expression
        and column.name != "op_bytes"  # of 16 and 17 alone
        and not {column.name, *column.older} & set(available)
    )


def differences(version: str, columns: Mapping[str, Collection[str]]) -> str:
    """Return what a newer server has or lacks, as a sentence.

    Args:
        version: Of the server.
        columns: The columns that its views have, by view.
    """
    parts = "; ".join(_parts(columns))
    return (
        f"PostgreSQL {version} is newer than {NEWEST_MAJOR}, the newest version that pgiostat knows"
        f": {parts or 'its views have the same columns'}"
    )


def _parts(columns: Mapping[str, Collection[str]]) -> Iterator[str]:
    for view, known in COLUMNS.items():
        found = set(columns.get(view, ()))
        if added := sorted(found - known):
            yield f"{view} has {', '.join(added)}, which is not read"
        if missing := sorted(known - found):
            yield f"{view} lacks {', '.join(missing)}"
