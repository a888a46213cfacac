"""The working set outgrew the cache: what is left if no other cause explains the misses."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.analysis.why.terms import Term, moved_terms

__all__ = ["find"]

LEAST_Z = 4.0


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if misses rose by much more than they vary between steps."""
    terms = moved_terms(evidence)
    if terms.miss_z is None or terms.miss_z < LEAST_Z or Term.TOUCHED in terms.moved:
        return None
    return CauseFinding(
        Cause.WORKING_SET,
        Certainty.POSSIBLE,
        (
            (
                "it touches as many blocks as before and finds fewer of them in"
                " shared_buffers, and no other statement explains that: it may need other"
                " rows than before, or more than shared_buffers hold"
            ),
        ),
        (Figure("share of misses", evidence.before.miss_share, evidence.after.miss_share),),
    )
