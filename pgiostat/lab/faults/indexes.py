"""Faults of indexes."""

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import FaultTarget, InjectableFault, ServerChange

__all__ = ["FOREIGN_KEY_WITHOUT_INDEX", "INDEX_DROPPED", "WRONG_COLUMN_ORDER"]


def _dropped(target: FaultTarget) -> ServerChange:
    if not target.is_key:
        return ServerChange(
            (f"DROP INDEX IF EXISTS {target.schema}{target.index}",),
            (f"CREATE INDEX IF NOT EXISTS {target.index} ON {target.table} ({target.columns})",),
        )
    return ServerChange(
        (f"ALTER TABLE {target.table} DROP CONSTRAINT IF EXISTS {target.index}",),
        (
            (
                f"CREATE UNIQUE INDEX IF NOT EXISTS {target.index}"
                f" ON {target.table} ({target.columns})"
            ),
            (
                "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint"
                f" WHERE conname = '{target.index}') THEN ALTER TABLE {target.table}"
                f" ADD CONSTRAINT {target.index} PRIMARY KEY USING INDEX {target.index};"
                " END IF; END $$"
            ),
        ),
    )


def _reordered(target: FaultTarget) -> ServerChange:
    dropped = _dropped(target)
    unique = "UNIQUE " if target.is_key else ""
    wrong = f"{target.index}_2"
    return ServerChange(
        (
            *dropped.cause,
            f"CREATE {unique}INDEX IF NOT EXISTS {wrong} ON {target.table} ({target.wrong})",
        ),
        (f"DROP INDEX IF EXISTS {target.schema}{wrong}", *dropped.back),
    )


INDEX_DROPPED = InjectableFault(
    "index dropped",
    "an index is gone: statements read the whole table",
    (Cause.INDEX_DROPPED,),
    _dropped,
)
WRONG_COLUMN_ORDER = InjectableFault(
    "wrong column order",
    "an index is made again with its columns in another order",
    (Cause.INDEX_REPLACED,),
    _reordered,
)
FOREIGN_KEY_WITHOUT_INDEX = InjectableFault(
    "foreign key without index",
    "the index on a referencing column is gone: each deleted row scans the referencing table",
    (Cause.FOREIGN_KEY,),
    _dropped,
)
