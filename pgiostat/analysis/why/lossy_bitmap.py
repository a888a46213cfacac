"""Lossy bitmaps: a bitmap that does not fit into work_mem keeps blocks instead of rows."""

from pgiostat.analysis.relation_activity import TableActivity
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_RATIO = 1.5
LEAST_GROWTH = 3


def _rows_per_entry(activity: TableActivity) -> float | None:
    """Return rows fetched by bitmap scans per index entry that these read."""
    entries = sum(each.idx_tup_read - each.idx_tup_fetch for each in activity.indexes)
    return activity.count("bitmap_tup_fetch") / entries if entries > 0 else None


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if bitmap scans fetch many more rows than the indexes name."""
    for table in evidence.own_tables:
        old, new = _rows_per_entry(table.before), _rows_per_entry(table.after)
        if old and new and new >= LEAST_RATIO and new >= LEAST_GROWTH * old:
            memory = f" of {evidence.server.work_mem}" if evidence.server.work_mem else ""
            return CauseFinding(
                Cause.LOSSY_BITMAP,
                Certainty.CERTAIN,
                (
                    (
                        f"bitmap scans of {table.name} are lossy: their bitmaps do not fit"
                        f" into work_mem{memory}"
                    ),
                    (
                        "lossy bitmaps themselves cost CPU and hardly any reads; the planner"
                        " may have moved calls to another scan"
                    ),
                ),
                (Figure(f"rows of {table.name} per index entry of bitmap scans", old, new),),
                table=table.name,
            )
    return None
