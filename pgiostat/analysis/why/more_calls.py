"""More calls, each of which touches as much as before."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding: the term itself is the cause."""
    before, after = evidence.before, evidence.after
    rates = Figure("calls per second", before.calls_per_s, after.calls_per_s)
    return CauseFinding(Cause.CALLS, Certainty.CERTAIN, ("it is called more often",), (rates,))
