"""Faults of the server: a restart, autovacuum."""

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import FaultTarget, InjectableFault, ServerChange, written

__all__ = ["AUTOVACUUM_FREEZE", "COLD_RESTART"]

_TRANSACTIONS = 120_000
_FREEZE_AGE = 100_000
"""The least that the server allows."""


def _restarted(_target: FaultTarget) -> ServerChange:
    return ServerChange(restarts=True)


def _frozen(target: FaultTarget) -> ServerChange:
    """Let autovacuum freeze tables, with a cost limit of `amount`.

    The table of the target may be several, with commas.
    """
    tables = [each.strip() for each in target.table.split(",")]
    page = "(ctid::text::point)[1]::int = 1"
    settings = {
        "autovacuum": "on",
        "autovacuum_naptime": "1",
        "autovacuum_vacuum_cost_limit": f"{target.amount:.0f}",
    }
    return ServerChange(
        (
            *(
                written(
                    each,
                    f"UPDATE {each} SET {target.columns} = {target.columns} WHERE {page}",  # noqa: S608 - ours
                )
                for each in tables
            ),
            (
                f"DO $$ BEGIN FOR i IN 1..{_TRANSACTIONS} LOOP PERFORM txid_current();"
                " COMMIT; END LOOP; END $$"
            ),
            *(
                f"ALTER TABLE {each} SET (autovacuum_freeze_max_age = {_FREEZE_AGE})"
                for each in tables
            ),
            *(f"ALTER SYSTEM SET {name} = {value}" for name, value in settings.items()),
            "SELECT pg_reload_conf()",
        ),
        (
            *(f"ALTER TABLE {each} RESET (autovacuum_freeze_max_age)" for each in tables),
            *(f"ALTER SYSTEM RESET {name}" for name in settings),
            "SELECT pg_reload_conf()",
        ),
        alone=True,
    )


COLD_RESTART = InjectableFault(
    "cold restart",
    "the server restarts, and shared_buffers are empty",
    (Cause.RESTART,),
    _restarted,
)
AUTOVACUUM_FREEZE = InjectableFault(
    "autovacuum freeze",
    "autovacuum reads whole tables to freeze their rows",
    (Cause.VACUUM,),
    _frozen,
)
