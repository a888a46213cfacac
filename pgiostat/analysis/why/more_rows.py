"""More rows per call: the same query has a larger answer."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_RATIO = 1.25


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if a call has more rows than before."""
    old, new = evidence.before.rows_per_call, evidence.after.rows_per_call
    if not old or new is None or new < LEAST_RATIO * old:
        return None
    words = "a call returns or writes more rows than before"
    return CauseFinding(
        Cause.MORE_ROWS, Certainty.LIKELY, (words,), (Figure("rows per call", old, new),)
    )
