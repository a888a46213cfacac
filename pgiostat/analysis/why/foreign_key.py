"""A foreign key without an index: each deleted or updated key scans the referencing table."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_SCANS = 0.3
_VERBS = {"delete", "update"}


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if a table that only a foreign key connects is scanned for each call."""
    if evidence.verb not in _VERBS:
        return None
    for table in evidence.tables:
        old, new = evidence.seq_scans_per_call(table)
        if table.foreign_key and new - old >= LEAST_SCANS:
            return CauseFinding(
                Cause.FOREIGN_KEY,
                Certainty.CERTAIN,
                (
                    (
                        f"foreign key {table.foreign_key} is checked by sequential scans of"
                        f" {table.name}: no index serves it"
                    ),
                ),
                (Figure(f"sequential scans of {table.name} per call", old, new),),
                table=table.name,
            )
    return None
