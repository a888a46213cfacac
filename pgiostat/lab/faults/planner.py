"""Faults of plans: statistics, settings, memory and partitions."""

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import FaultTarget, InjectableFault, ServerChange, of_setting

__all__ = ["PARTITIONS_NOT_PRUNED", "PLANNER_SETTING", "SPILL", "STALE_STATISTICS"]

_SLOTS = ", ".join(f"stakind{number} = 0" for number in range(1, 6))


def _stale(target: FaultTarget) -> ServerChange:
    """Give a column the statistics of a time when it had `amount` distinct values."""
    column = f"ALTER TABLE {target.table} ALTER {target.columns}"
    return ServerChange(
        (
            (
                f"UPDATE pg_statistic SET stadistinct = {target.amount}, {_SLOTS}"  # noqa: S608 - ours
                f" WHERE starelid = '{target.table}'::regclass AND staattnum = (SELECT attnum"
                f" FROM pg_attribute WHERE attrelid = '{target.table}'::regclass"
                f" AND attname = '{target.columns}')"
            ),
            # Prepared statements are planned again.
            f"{column} SET (n_distinct = {target.amount})",
        ),
        (f"{column} RESET (n_distinct)", f"ANALYZE {target.table}"),
    )


def _priced(target: FaultTarget) -> ServerChange:
    return of_setting("random_page_cost", f"{target.amount:g}", target.table)


def _with_less_memory(target: FaultTarget) -> ServerChange:
    """Set work_mem to `amount` kB."""
    return of_setting("work_mem", f"'{target.amount:.0f}kB'", target.table)


def _not_pruned(target: FaultTarget) -> ServerChange:
    return of_setting("enable_partition_pruning", "off", target.table)


STALE_STATISTICS = InjectableFault(
    "stale statistics",
    "the statistics of a column are those of a table with few different values",
    (Cause.PLAN,),
    _stale,
)
PLANNER_SETTING = InjectableFault(
    "planner setting",
    "random_page_cost is raised: the planner prefers sequential scans",
    (Cause.PLAN,),
    _priced,
)
SPILL = InjectableFault(
    "spill", "work_mem is lowered: sorts and hashes spill", (Cause.SPILL,), _with_less_memory
)
PARTITIONS_NOT_PRUNED = InjectableFault(
    "partitions not pruned",
    "statements look into all partitions of a table",
    (Cause.PARTITIONS,),
    _not_pruned,
)
