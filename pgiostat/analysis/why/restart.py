"""A cold cache: the server started, and shared_buffers were empty."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if the server started after the window before began."""
    started = evidence.server.started
    if started is None:
        return None
    misses = Figure("share of misses", evidence.before.miss_share, evidence.after.miss_share)
    words = f"the server started at {started:%Y-%m-%d %H:%M:%SZ}: its cache was empty"
    return CauseFinding(Cause.RESTART, Certainty.CERTAIN, (words,), (misses,))
