"""Settings of the planner and of memory, and statistics of the planner."""

from math import ceil, log2

from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction
from pgiostat.analysis.fixes.past import past
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.fixes.writes import sql_name
from pgiostat.analysis.why.plan import is_of_planner
from pgiostat.units import bytes_of_setting

__all__ = ["after_plan", "after_spill"]

_SPILL_FACTOR = 3
"""Rows in memory take up to this many times the space of a spill file."""


def after_plan(facts: TableFacts) -> list[Fix]:
    """Return the settings as they were, or new statistics."""
    evidence = facts.evidence
    prediction, why = past(evidence, Grounds.PAST)
    changed = [each for each in evidence.server.settings if is_of_planner(each.name)]
    if changed:
        return [
            Fix(
                FixKind.SETTING,
                f"{each.name} as it was",
                (
                    f"SET {each.name} = '{each.before}';"
                    if each.before
                    else f"RESET {each.name};  -- it was not set",
                ),
                prediction,
                why,
            )
            for each in changed
        ]
    prediction, why = past(evidence, Grounds.PAST, at_best=True)
    return [
        Fix(
            FixKind.STATISTICS,
            f"new statistics and visibility map of {facts.table.name}; for columns that depend on"
            " each other, CREATE STATISTICS",
            (f"VACUUM (ANALYZE) {sql_name(facts.table)};",),
            prediction,
            why,
            table=facts.table.name,
        )
    ]


def after_spill(facts: TableFacts) -> list[Fix]:
    """Return the work_mem that a call needs."""
    own = facts.evidence.after
    if not own.temp_per_call or own.touched_per_call is None:
        return []
    block_size = facts.table.after.block_size
    now = bytes_of_setting(facts.evidence.server.work_mem) or 0
    needed = now + _SPILL_FACTOR * own.temp_per_call * block_size
    megabytes = 2 ** max(ceil(log2(needed / (1 << 20))), 0)
    touched = own.touched_per_call
    return [
        Fix(
            FixKind.SETTING,
            "work_mem for the transactions of this statement: its spill files go, its other reads"
            " stay",
            (f"SET LOCAL work_mem = '{megabytes}MB';",),
            Prediction(touched, touched, touched, Grounds.PART),
            costs=(f"each sort and hash of a session may use {megabytes} MB",),
        )
    ]
