"""A setting of the planner changed at the same time, and nothing else explains the growth."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty
from pgiostat.analysis.why.plan import planner_settings

__all__ = ["find"]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if such a setting changed."""
    changes = planner_settings(evidence)
    if not changes:
        return None
    words = "a setting of the planner changed, which may have changed the plan"
    return CauseFinding(Cause.PLAN, Certainty.POSSIBLE, (words, *changes))
