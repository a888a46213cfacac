"""Vacuum: autovacuum reads tables, and takes the cache."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_SHARE = 0.3


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if much is read outside statements while autovacuum ran."""
    share, tables = evidence.server.outside_share, evidence.server.vacuumed
    if share is None or share < LEAST_SHARE or not tables:
        return None
    return CauseFinding(
        Cause.VACUUM,
        Certainty.LIKELY,
        (f"autovacuum or auto-analyze ran on {', '.join(tables)} and took the cache",),
        (
            Figure("share of misses", evidence.before.miss_share, evidence.after.miss_share),
            Figure("share of the server's reads outside statements", None, share),
        ),
    )
