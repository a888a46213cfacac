"""A new statement, perhaps with a new table."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if the statement was not called in the window before."""
    if evidence.before.calls or not evidence.after.read:
        return None
    fresh = [
        each.name for each in evidence.own_tables if not each.before.touched and each.after.touched
    ]
    words = ["it was not called in the window before"]
    words += [f"{name} was not touched in the window before" for name in fresh]
    rate = evidence.after.calls_per_s
    return CauseFinding(
        Cause.NEW_STATEMENT,
        Certainty.CERTAIN,
        tuple(words),
        (Figure("calls per second", 0.0, rate),),
    )
