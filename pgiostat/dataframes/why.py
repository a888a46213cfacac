"""Causes of reads that grew, and their fixes, as a frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pgiostat.dataframes.arguments import step_of
from pgiostat.dataframes.attrs import with_attrs
from pgiostat.dataframes.relations import RelationFrames
from pgiostat.reports.why import (
    ExplainedStatement,
    WhyReport,
    why_lately,
    why_report,
    window_before,
)
from pgiostat.reports.why_fixes import ProposedFix
from pgiostat.timespec import Instant, Length

__all__ = ["WhyFrames"]

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


@dataclass(slots=True, repr=False)
class WhyFrames(RelationFrames):
    """Causes of reads that grew, and their fixes."""

    def why(
        self,
        statement: str = "",
        *,
        against: Length | None = None,
        label: str = "",
        since: Instant | None = None,
        until: Instant | None = None,
        last: Length | None = None,
    ) -> pd.DataFrame:
        """Return the causes of reads that grew, and their fixes: `pgiostat why`.

        Args:
            statement: Fingerprint, queryid, category or part of a text; the five statements that
                read most if empty.
            against: Length of the window before, which ends where the other one begins. An hour if
                None; without anything there, what one window shows by itself is named.
            label: One server; all if empty.
            since: Start of the window; 15 minutes before its end if there is no last either.
            until: End of the window; the end of the newest interval if None.
            last: Length of the window, instead of a start.

        Returns:
            A row for each fix of each cause: fingerprint, category, query, outcome, cause,
            certainty, sentence, fix, statement (SQL to run) and unpredicted are string, numbers
            float64 with their units in attrs. predicted, predicted_low and predicted_high are the
            blocks that a call touches after the fix. A cause without a fix and a statement without
            a cause have one row. attrs["missing"] has what could not be looked at.

        Raises:
            PgiostatError: option-invalid, statement-unknown, window-empty, time-invalid,
                label-unknown, history-empty, history-unreadable.
        """
        if since is None and last is None:
            last = "15m"
        after = self._window(label, since, until, last)
        history, describe = self.history, self.describe
        if against is None:
            return _why_frame(why_lately(history, after, describe=describe, target=statement))
        before = window_before(after, step_of(against))
        return _why_frame(why_report(history, before, after, describe=describe, target=statement))


def _why_frame(report: WhyReport) -> pd.DataFrame:
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
