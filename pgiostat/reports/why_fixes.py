"""The fixes of a cause, with what each would do to the reads of the server."""

from dataclasses import dataclass

from pgiostat.analysis.fixes import Fix, fixes
from pgiostat.analysis.whatif import Amounts, Assumption, ChangeKind, estimate
from pgiostat.analysis.why import Explanation
from pgiostat.analysis.why.evidence import StatementEvidence, Usage
from pgiostat.analysis.why.finding import CauseFinding

__all__ = ["ProposedFix", "ReadsAfter", "proposed_fixes"]

_OUTSIDE = ""
"""What no statement reads; no fingerprint is empty."""
_MOST_OUTSIDE = 0.99


@dataclass(frozen=True, slots=True)
class ReadsAfter:
    """Blocks per second that the server reads: now, and after a fix."""

    now: float
    low: float
    point: float
    high: float


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
    reads: ReadsAfter | None = None


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


def _reads_after(evidence: StatementEvidence, fix: Fix) -> ReadsAfter | None:
    own, predicted = evidence.after, fix.prediction
    if predicted is None or not own.touched_per_call or not own.read:
        return None
    had = {each.key: _amounts(each.after) for each in evidence.neighbours}
    had[evidence.key] = _amounts(own)
    share = min(max(evidence.server.outside_share or 0.0, 0.0), _MOST_OUTSIDE)
    had[_OUTSIDE] = Amounts(share / (1 - share) * sum(each.reads for each in had.values()), 0.0)
    now = sum(each.reads for each in had.values())
    expected = predicted.point
    middle = (predicted.low + predicted.high) / 2 if expected is None else expected
    factors = [
        min(fix.calls * touched / own.touched_per_call, 1.0)
        for touched in (predicted.low, middle, predicted.high)
    ]
    if factors[0] >= 1:
        return ReadsAfter(now, now, now, now)
    least, most = (
        estimate(had, [Assumption(evidence.key, ChangeKind.CALLS, factor)])
        for factor in (factors[0], factors[2])
    )
    # Its reads go as its blocks do, if those that go are read as often as those that stay.
    point = now - own.read_per_s * (1 - factors[1])
    return ReadsAfter(now, least.low, min(max(point, least.low), most.high), most.high)


def _amounts(usage: Usage) -> Amounts:
    return Amounts(usage.read_per_s, usage.touched_per_s - usage.read_per_s)
