"""Predictions from the window before."""

from pgiostat.analysis.fixes.model import Grounds, Prediction
from pgiostat.analysis.why.evidence import StatementEvidence

__all__ = ["past"]

_NO_PAST = "the window before has no call of the statement"


def past(
    evidence: StatementEvidence, basis: Grounds, *, at_best: bool = False
) -> tuple[Prediction | None, str]:
    """Return what a call touched in the window before as a prediction, or why there is none."""
    before = evidence.before.touched_per_call
    if before is None:
        return None, _NO_PAST
    return Prediction(before, before, before, basis, at_best), ""
