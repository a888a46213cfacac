"""Fixes of a cause: sentences, statements to run, predictions and costs."""

from collections.abc import Iterator, Sequence
from typing import Any

from pgiostat.analysis.fixes import Fix, FixKind, Prediction
from pgiostat.analysis.whatif import Estimate
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import CauseFinding
from pgiostat.render.ledger import displayed
from pgiostat.reports.why_fixes import ProposedFix
from pgiostat.units import format_bytes, format_count, format_share

__all__ = ["fix_object", "fixes_in_words", "standing_in_words"]

_NEGLIGIBLE = 0.02
_LOCKING = (FixKind.CLUSTER, FixKind.REWRITE)
LEAST_SAVED = 0.001


def fixes_in_words(
    proposed: Sequence[ProposedFix], evidence: StatementEvidence, prefix: str, *, is_only: bool
) -> Iterator[str]:
    """Yield the fixes of a statement as lines.

    Args:
        proposed: The fixes.
        evidence: The statement.
        prefix: What a line begins with.
        is_only: Whether it is the only statement of the report: all fixes are shown with their
            costs. Otherwise the first one is.
    """
    for each in proposed if is_only else proposed[:1]:
        fix = each.fix
        yield f"{prefix}fix: {displayed(fix.sentence)}"
        yield from (f"{prefix}  {displayed(statement)}" for statement in fix.statements)
        yield f"{prefix}  {_effect(each, evidence)}"
        # What locks a table is never proposed without that.
        costs = fix.costs if is_only else fix.costs[: fix.kind in _LOCKING]
        yield from (f"{prefix}  {displayed(cost)}" for cost in costs)
    if not is_only and (rest := len(proposed) - 1) > 0:
        others = f"{rest} more fix{'es' * (rest > 1)}"
        yield f"{prefix}{others}, and what each costs: pgiostat why {evidence.key} …"


def _effect(proposed: ProposedFix, evidence: StatementEvidence) -> str:
    """Return what a fix does, in one sentence."""
    found, reads, size = proposed.fix.prediction, proposed.reads, proposed.fix.size_bytes
    if found is None:
        return f"not predicted: {proposed.fix.unpredicted}"
    words = f"a call touches {'at best ' * found.at_best}{_blocks(found)}"
    words += f" blocks instead of {format_count(evidence.after.touched_per_call)}"
    if reads is not None and (saved := _saved(reads)):
        words += f"; the server reads {saved}"
    if size is not None:
        words += f"; the index takes about {format_bytes(float(size))}"
    return words


def _blocks(found: Prediction) -> str:
    low, high = format_count(found.low), format_count(found.high)
    if found.point is None:
        return f"{low} to {high}"
    is_exact = found.high - found.low <= _NEGLIGIBLE * found.point
    return format_count(found.point) + ("" if is_exact else f" ({low} – {high})")


def _saved(reads: Estimate) -> str:
    """Return the reads that a fix saves, as point and range; empty if hardly any."""
    shares = [(reads.now - each) / reads.now for each in (reads.point, reads.high, reads.low)]
    if shares[2] < LEAST_SAVED:
        return ""
    point, low, high = map(format_share, shares)
    return f"{point} less ({low} – {high})"


def fix_object(proposed: ProposedFix, evidence: StatementEvidence) -> dict[str, Any]:
    """Return a fix as an object."""
    fix, reads = proposed.fix, proposed.reads
    found = fix.prediction
    return {
        "cause": str(proposed.finding.cause),
        "kind": str(fix.kind),
        "sentence": fix.sentence,
        "statements": list(fix.statements),
        "touched_per_call": None
        if found is None
        else {
            "now": evidence.after.touched_per_call,
            "low": found.low,
            "point": found.point,
            "high": found.high,
            "basis": str(found.basis),
            "at_best": found.at_best,
        },
        "unpredicted": fix.unpredicted,
        "reads_per_s": None
        if reads is None
        else {"now": reads.now, "low": reads.low, "point": reads.point, "high": reads.high},
        "size_bytes": fix.size_bytes,
        "costs": list(fix.costs),
    }


def standing_in_words(
    evidence: StatementEvidence, finding: CauseFinding, fix: Fix | None
) -> Iterator[str]:
    """Yield why a statement reads as much as it does, and a fix.

    Args:
        evidence: The statement.
        finding: What one window shows.
        fix: A way out; None without one.
    """
    yield f"{finding.certainty}: {finding.sentences[0]}"
    if fix is not None:
        what = fix.statements[0].rstrip(";") if fix.statements else fix.sentence
        # What the server as a whole would read is not known from one statement.
        yield f"fix: {what}; {_effect(ProposedFix(finding, fix), evidence)}"
