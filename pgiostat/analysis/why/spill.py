"""Spill files: a sort or hash does not fit into work_mem."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding: the term itself is the cause."""
    before, after = evidence.before, evidence.after
    memory = f" of {evidence.server.work_mem}" if evidence.server.work_mem else ""
    words = [f"a sort, hash or materialized result does not fit into work_mem{memory}"]
    words += [
        f"{each.name} changed from {each.before or 'not set'} to {each.after or 'not set'}"
        for each in evidence.server.settings
        if each.name in {"work_mem", "hash_mem_multiplier"}
    ]
    return CauseFinding(
        Cause.SPILL,
        Certainty.CERTAIN,
        tuple(words),
        (
            Figure("blocks of spill files per call", before.temp_per_call, after.temp_per_call),
            Figure("rows per call", before.rows_per_call, after.rows_per_call),
        ),
    )
