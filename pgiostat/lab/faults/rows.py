"""Faults of rows: where they lie, how many are dead, how large they are."""

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import FaultTarget, InjectableFault, ServerChange, written

__all__ = ["DEAD_ROWS", "ROWS_SCATTERED", "TOASTED", "VISIBILITY_MAP_CLEARED"]


def _scattered(target: FaultTarget) -> ServerChange:
    """Write a share of a table's rows, `amount`, in random order."""
    table = target.table
    return ServerChange(
        (
            f"LOCK TABLE {table}",
            "SET LOCAL session_replication_role = replica",
            f"CREATE TEMPORARY TABLE moved_rows ON COMMIT DROP AS TABLE {table}",
            f"TRUNCATE {table}",
            "SELECT setseed(0.5)",
            (
                f"INSERT INTO {table} SELECT t.* FROM moved_rows t,"  # noqa: S608 - ours
                " (SELECT count(*) AS n FROM moved_rows) c"
                f" ORDER BY CASE WHEN random() < {target.amount} THEN random()"
                f" ELSE row_number() OVER (ORDER BY {target.columns})::float8 / c.n END"
            ),
            f"ANALYZE {table}",
        ),
        (f"CLUSTER {table} USING {target.index}", f"ANALYZE {table}"),
    )


def _dead(target: FaultTarget) -> ServerChange:
    """Update rows `amount` times, under an old transaction."""
    update = f"UPDATE {target.table} SET {target.columns} = {target.columns}"  # noqa: S608 - ours
    return ServerChange(
        (written(target.table, *(update,) * int(target.amount)),),
        (f"VACUUM (FULL, ANALYZE) {target.table}",),
        alone=True,
        holds_snapshot=True,
    )


def _not_visible(target: FaultTarget) -> ServerChange:
    """Update one row on a share of the table's pages, `amount`."""
    page, line = "(ctid::text::point)[0]::int", "(ctid::text::point)[1]::int"
    return ServerChange(
        (
            written(
                target.table,
                f"UPDATE {target.table} SET {target.columns} = {target.columns}"  # noqa: S608 - ours
                f" WHERE {line} = 1 AND {page} % 100 < {100 * target.amount:.0f}",
            ),
        ),
        (f"VACUUM (ANALYZE) {target.table}",),
        alone=True,
    )


def _toasted(target: FaultTarget) -> ServerChange:
    """Make values `amount` kB long, and store them apart from their rows."""
    column, table = target.columns, target.table
    times = int(target.amount * 1024) // 32
    saved = f"{target.schema}saved_values"
    save = (
        f"CREATE TABLE IF NOT EXISTS {saved} AS SELECT {target.key}, {column} FROM {table}"  # noqa: S608 - ours
        f" WHERE {target.where}"
    )
    mine, other = (
        ", ".join(f"{alias}.{each.strip()}" for each in target.key.split(",")) for alias in "ts"
    )
    return ServerChange(
        (
            save,
            f"ALTER TABLE {table} ALTER {column} SET STORAGE EXTERNAL",
            written(
                table,
                f"UPDATE {table} SET {column} = repeat(md5({column}), {times})"  # noqa: S608 - ours
                f" WHERE {target.where}",
            ),
            f"VACUUM (ANALYZE) {table}",
        ),
        (
            save,
            f"ALTER TABLE {table} ALTER {column} SET STORAGE EXTENDED",
            written(
                table,
                f"UPDATE {table} t SET {column} = s.{column} FROM {saved} s"  # noqa: S608 - ours
                f" WHERE ({mine}) = ({other})",
            ),
            f"DROP TABLE {saved}",
            f"VACUUM (FULL, ANALYZE) {table}",
        ),
        alone=True,
    )


ROWS_SCATTERED = InjectableFault(
    "rows scattered",
    "a table is written again in another order: rows of one key lie apart",
    (Cause.SCATTERED_ROWS,),
    _scattered,
)
DEAD_ROWS = InjectableFault(
    "dead rows",
    "all rows of a table are updated under an old transaction, which keeps the old versions",
    (Cause.DEAD_ROWS,),
    _dead,
)
VISIBILITY_MAP_CLEARED = InjectableFault(
    "visibility map cleared",
    "one row on each page is updated: index-only scans fetch rows from the table",
    (Cause.VISIBILITY_MAP,),
    _not_visible,
)
TOASTED = InjectableFault(
    "values toasted",
    "values become so large that they are stored apart from their rows",
    (Cause.TOAST,),
    _toasted,
)
