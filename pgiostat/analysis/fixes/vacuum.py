"""VACUUM, and settings that make autovacuum come in time."""

from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction
from pgiostat.analysis.fixes.past import past
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.fixes.writes import LOCKS, sql_name
from pgiostat.units import per_second

__all__ = ["after_dead_rows", "after_map"]

LEAST_DEAD = 0.05
"""Share of dead rows from which on VACUUM has something to remove."""
_OFTEN = "autovacuum_vacuum_scale_factor = 0.02"
_HORIZON = "an open transaction keeps dead rows: look at xact_start in pg_stat_activity"


def after_dead_rows(facts: TableFacts) -> list[Fix]:
    """Return VACUUM and a rewrite for a table with dead rows."""
    table, name = facts.table, sql_name(facts.table)
    prediction, why = _without_dead(facts, at_best=True)
    rewritten, _ = _without_dead(facts, at_best=False)
    removed = Fix(
        FixKind.VACUUM,
        f"{table.name} without dead rows: new versions of rows stay where they are",
        (f"VACUUM (ANALYZE) {name};", f"ALTER TABLE {name} SET ({_OFTEN});"),
        prediction,
        why,
        costs=(_HORIZON,),
        table=table.name,
    )
    written = Fix(
        FixKind.REWRITE,
        f"{table.name} written again without gaps",
        (f"VACUUM (FULL, ANALYZE) {name};",),
        rewritten,
        why,
        costs=(LOCKS.format(table.name),),
        table=table.name,
    )
    is_dead = (table.after.dead_share or 0.0) >= LEAST_DEAD
    return [removed, written] if is_dead else [written]


def after_map(facts: TableFacts) -> list[Fix]:
    """Return VACUUM for a table with a cleared visibility map."""
    table, name = facts.table, sql_name(facts.table)
    own, calls = facts.evidence.after, facts.evidence.after.calls_per_s
    prediction = None
    if calls and own.touched_per_call is not None:
        heap = (per_second(table.after.heap_touched, table.after.seconds) or 0.0) / calls
        rest = max(own.touched_per_call - heap, 0.0) + 1
        prediction = Prediction(rest, rest, rest + 1, Grounds.PART, at_best=bool(table.shared_with))
    return [
        Fix(
            FixKind.VACUUM,
            f"blocks of {table.name} marked as visible to all, so that index-only scans skip them",
            (
                f"VACUUM {name};",
                f"ALTER TABLE {name} SET ({_OFTEN}, autovacuum_vacuum_insert_scale_factor = 0.02);",
            ),
            prediction,
            "" if prediction else "the statement has no calls",
            costs=(_HORIZON,),
            table=table.name,
        ).bounded(own.touched_per_call)
    ]


def _without_dead(facts: TableFacts, *, at_best: bool) -> tuple[Prediction | None, str]:
    """Return what a call touched before there were dead rows, or what it would without them."""
    before, after = (
        each.touched_per_call for each in (facts.evidence.before, facts.evidence.after)
    )
    if after is None or (before is not None and before < after):
        return past(facts.evidence, Grounds.PAST, at_best=at_best)
    rest = after * (1 - (facts.table.after.dead_share or 0.0))
    return Prediction(rest, rest, after, Grounds.PART, at_best), ""
