"""Ways out of a cause: statements to run, with what they would do and cost.

A fix is a function of the facts of a table, in the list of its cause. Nothing is run. Predictions
are blocks that a call touches; docs/why.md has how often they were right.
"""

from collections.abc import Callable, Mapping

from pgiostat.analysis.fixes import (
    application,
    cache,
    cluster,
    new_index,
    recreate,
    referencing_index,
    settings,
    vacuum,
)
from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction, blocks_factors
from pgiostat.analysis.fixes.table_facts import TableFacts, table_facts
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding

__all__ = ["FIXES", "Fix", "FixKind", "Grounds", "Prediction", "blocks_factors", "fixes"]

LEAST_GAIN = 0.9
"""Share of the blocks of a call that may be left after a fix."""
FIXES: Mapping[Cause, tuple[Callable[[TableFacts], list[Fix]], ...]] = {
    Cause.PARTITIONS: (application.after_pruning,),
    Cause.FOREIGN_KEY: (referencing_index.find,),
    Cause.INDEX_DROPPED: (recreate.find,),
    Cause.INDEX_REPLACED: (recreate.find,),
    Cause.TOAST: (application.after_toast,),
    Cause.SEQUENTIAL_SCAN: (new_index.find,),
    Cause.FULL_INDEX_SCAN: (new_index.find,),
    Cause.PLAN: (settings.after_plan,),
    Cause.LOSSY_BITMAP: (settings.after_plan,),
    Cause.VISIBILITY_MAP: (vacuum.after_map,),
    Cause.DEAD_ROWS: (vacuum.after_dead_rows,),
    Cause.MORE_ROWS: (application.after_rows,),
    Cause.SCATTERED_ROWS: (new_index.find, cluster.find, application.summary_table),
    Cause.RESTART: (cache.after_restart,),
    Cause.PRESSURE: (cache.after_pressure,),
    Cause.VACUUM: (cache.after_vacuum,),
    Cause.WORKING_SET: (cache.after_working_set,),
    Cause.CALLS: (application.after_calls,),
    Cause.NEW_STATEMENT: (new_index.find, cluster.find),
    Cause.SPILL: (settings.after_spill,),
}
"""The fixes of each cause, the one first that changes least."""


def fixes(evidence: StatementEvidence, finding: CauseFinding) -> tuple[Fix, ...]:
    """Return the ways out of a cause.

    Args:
        evidence: What is known of the statement.
        finding: Its cause.
    """
    facts = table_facts(evidence, finding.table)
    if facts is None:
        return ()
    now = evidence.after.touched_per_call
    found = [fix for find in FIXES[finding.cause] for fix in find(facts) if _helps(fix, now)]
    return tuple(sorted(found, key=lambda fix: not fix.statements))


def _helps(fix: Fix, now: float | None) -> bool:
    """Return whether a new index or order of rows is worth its cost."""
    found = fix.prediction
    if fix.kind not in {FixKind.CREATE_INDEX, FixKind.CLUSTER} or found is None or now is None:
        return True
    return found.low <= LEAST_GAIN * now if found.point is None else found.point <= LEAST_GAIN * now
