"""Causes of reads that grew, and their fixes, as a frame."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from pgiostat.dataframes.attrs import with_attrs
from pgiostat.reports.why import ExplainedStatement, WhyReport
from pgiostat.reports.why_fixes import ProposedFix

__all__ = ["why_frame"]

_WORDS = ("fingerprint", "category", "query", "outcome", "cause", "certainty", "sentence")
_FIX_WORDS = ("fix", "statement", "unpredicted")
_RATES = {
    "blocks_read_per_s_before": "blocks/s",
    "blocks_read_per_s_after": "blocks/s",
    "touched_per_call_before": "blocks/call",
    "touched_per_call_after": "blocks/call",
}
_PREDICTED = {
    "predicted": "blocks/call",
    "predicted_low": "blocks/call",
    "predicted_high": "blocks/call",
    "server_reads_per_s_now": "blocks/s",
    "server_reads_per_s_point": "blocks/s",
    "server_reads_per_s_low": "blocks/s",
    "server_reads_per_s_high": "blocks/s",
    "index_bytes": "bytes",
}
_COLUMNS = (*_WORDS, *_RATES, *_FIX_WORDS, *_PREDICTED)


def why_frame(report: WhyReport) -> pd.DataFrame:
    """Return a row for each fix of each cause.

    A cause without a fix has one row, and so has a statement without a cause.
    """
    rows = [row for each in report.statements for row in _rows(each)]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)
    words = (*_WORDS, *_FIX_WORDS)
    frame = frame.astype(dict.fromkeys(words, "string") | dict.fromkeys(_RATES, "float64"))
    frame = frame.astype(dict.fromkeys(_PREDICTED, "float64"))
    found = with_attrs(frame, report.after.window, report.after)
    found.attrs["units"] = _RATES | _PREDICTED
    found.attrs["missing"] = list(report.missing)
    return found


def _rows(each: ExplainedStatement) -> Iterator[dict[str, Any]]:
    evidence, answer = each.evidence, each.answer
    before, after = evidence.before, evidence.after
    own = {
        "fingerprint": evidence.key,
        "category": evidence.category,
        "query": evidence.name,
        "outcome": str(answer.outcome),
        "blocks_read_per_s_before": before.read_per_s if before.seconds else None,
        "blocks_read_per_s_after": after.read_per_s,
        "touched_per_call_before": before.touched_per_call,
        "touched_per_call_after": after.touched_per_call,
    }
    findings = (*answer.findings, *answer.standing)
    if not findings:
        yield own
    for finding in findings:
        named = own | {
            "cause": str(finding.cause),
            "certainty": str(finding.certainty),
            "sentence": "; ".join(finding.sentences),
        }
        proposed = [fix for fix in each.fixes if fix.finding is finding]
        if not proposed:
            yield named
        yield from (named | _fix(fix) for fix in proposed)
    for root in each.roots:
        yield from _rows(root)


def _fix(proposed: ProposedFix) -> dict[str, Any]:
    fix, reads = proposed.fix, proposed.reads
    row: dict[str, Any] = {
        "fix": fix.sentence,
        "statement": "\n".join(fix.statements) or None,
        "unpredicted": fix.unpredicted or None,
        "index_bytes": fix.size_bytes,
    }
    if (found := fix.prediction) is not None:
        row |= {
            "predicted": found.point,
            "predicted_low": found.low,
            "predicted_high": found.high,
        }
    if reads is not None:
        row |= {
            "server_reads_per_s_now": reads.now,
            "server_reads_per_s_point": reads.point,
            "server_reads_per_s_low": reads.low,
            "server_reads_per_s_high": reads.high,
        }
    return row
