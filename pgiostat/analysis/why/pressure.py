"""Cache pressure: another statement touches more, and takes the cache."""

from pgiostat.analysis.why.evidence import Neighbour, StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.analysis.why.terms import is_grown

__all__ = ["find"]

LEAST_BLOCKS_PER_S = 10.0
LEAST_OF_BUFFERS = 0.003
LEAST_OF_LOST = 0.5


def _growth(other: Neighbour) -> float:
    return other.after.touched_per_s - other.before.touched_per_s


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if the touched blocks of another statement grew by enough."""
    lost = evidence.after.read_per_s - evidence.before.read_per_s
    bar = max(lost, LEAST_BLOCKS_PER_S, LEAST_OF_BUFFERS * (evidence.server.buffers or 0))
    grown = (
        each
        for each in evidence.neighbours
        if is_grown(each.before, each.after)
        # Only blocks that are read evict others.
        and each.after.read_per_s - each.before.read_per_s >= LEAST_OF_LOST * lost
    )
    culprit = max(grown, key=_growth, default=None)
    if culprit is None or _growth(culprit) < bar:
        return None
    return CauseFinding(
        Cause.PRESSURE,
        Certainty.LIKELY,
        (
            (
                "it touches as many blocks as before and finds fewer of them in"
                " shared_buffers: another statement takes the cache"
            ),
        ),
        (
            Figure("share of misses", evidence.before.miss_share, evidence.after.miss_share),
            Figure(
                "blocks touched per second by the other statement",
                culprit.before.touched_per_s,
                culprit.after.touched_per_s,
            ),
        ),
        culprit.key,
    )
