"""TOAST: reads of large values, which are stored apart from their rows."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.units import per_second

__all__ = ["find"]

LEAST_SHARE = 0.4


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if blocks of a TOAST table are much of the growth."""
    growth = evidence.touched_growth_per_s
    for table in evidence.own_tables:
        old, new = (
            per_second(each.toast.touched if each.toast else 0, each.seconds) or 0.0
            for each in (table.before, table.after)
        )
        if growth > 0 and new - old >= LEAST_SHARE * growth:
            return CauseFinding(
                Cause.TOAST,
                Certainty.LIKELY if table.shared_with else Certainty.CERTAIN,
                (f"it reads large values of {table.name}, which are stored in its TOAST table",),
                (Figure(f"TOAST blocks of {table.name} touched per second", old, new),),
                table=table.name,
            )
    return None
