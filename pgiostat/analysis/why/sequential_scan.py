"""Sequential scans of a table; the indexes that it had before are not known."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_SCANS = 0.3
LEAST_PAGES = 8


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if sequential scans rose and no definitions of before are known."""
    for table in evidence.own_tables:
        old, new = evidence.seq_scans_per_call(table)
        if table.indexes_before is None and table.pages > LEAST_PAGES and new - old >= LEAST_SCANS:
            return CauseFinding(
                Cause.SEQUENTIAL_SCAN,
                Certainty.LIKELY,
                (
                    (
                        f"{table.name} is scanned sequentially: an index is missing, or the"
                        " planner does not use it"
                    ),
                    "the history has no index definitions of the window before",
                ),
                (Figure(f"sequential scans of {table.name} per call", old, new),),
                table=table.name,
            )
    return None
