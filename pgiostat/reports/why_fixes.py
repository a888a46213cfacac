"""The fixes of a cause, with what each would do to the reads of the server."""

from dataclasses import dataclass

from pgiostat.analysis.fixes import Fix, blocks_factors, fixes
from pgiostat.analysis.whatif import (
    Amounts,
    Assumption,
    ChangeKind,
    Estimate,
    Touches,
    estimate_between,
)
from pgiostat.analysis.why import Explanation
from pgiostat.analysis.why.evidence import StatementEvidence, Usage
from pgiostat.analysis.why.finding import CauseFinding

__all__ = ["ProposedFix", "proposed_fixes"]

_OUTSIDE = ""
"""What no statement reads; no fingerprint is empty."""
_MOST_OUTSIDE = 0.99


@dataclass(frozen=True, slots=True)
class ProposedFix:
    """A fix of a cause.

    Attributes:
        finding: The cause.
        fix: The fix.
        reads: What it does to the reads of the server; None without a prediction.
    """

    finding: CauseFinding
    fix: Fix
    reads: Estimate | None = None


def proposed_fixes(evidence: StatementEvidence, answer: Explanation) -> tuple[ProposedFix, ...]:
    """Return the fixes of the causes of a statement, each once.

    Args:
        evidence: What is known of the statement.
        answer: Its causes.
    """
    found: dict[tuple[str, ...], ProposedFix] = {}
    for finding in (*answer.findings, *answer.standing):
        for fix in fixes(evidence, finding):
            proposed = ProposedFix(finding, fix, _reads_after(evidence, fix))
            found.setdefault((fix.kind, *(fix.statements or (fix.sentence,))), proposed)
    return tuple(found.values())


def _reads_after(evidence: StatementEvidence, fix: Fix) -> Estimate | None:
    """Return the blocks per second that the server reads after a fix; None if it has no figures."""
    own = evidence.after
    factors = blocks_factors(fix, own.touched_per_call)
    if factors is None or not own.read:
        return None
    had = {each.key: _amounts(each.after) for each in evidence.neighbours}
    had[evidence.key] = _amounts(own)
    touches = [Touches(each.key, each.tables, _amounts(each.after)) for each in evidence.neighbours]
    touches.append(
        Touches(evidence.key, tuple(each.name for each in evidence.own_tables), _amounts(own))
    )
    share = min(max(evidence.server.outside_share or 0.0, 0.0), _MOST_OUTSIDE)
    had[_OUTSIDE] = Amounts(share / (1 - share) * sum(each.reads for each in had.values()), 0.0)
    least, expected, most = (
        [Assumption(evidence.key, ChangeKind.CALLS, factor)] for factor in factors
    )
    return estimate_between(had, least, expected, most, touches)


def _amounts(usage: Usage) -> Amounts:
    return Amounts(usage.read_per_s, usage.touched_per_s - usage.read_per_s)
