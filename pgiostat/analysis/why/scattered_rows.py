"""Scattered rows: the table was rewritten, and rows that are read together lie apart."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_INSERTED = 0.5
MOST_ROWS = 1.25


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if half of a table was inserted since, and calls have as many rows."""
    old, new = evidence.before.rows_per_call, evidence.after.rows_per_call
    if old and new is not None and new >= MOST_ROWS * old:
        return None
    for table in evidence.own_tables:
        inserted, live = table.whole.count("n_tup_ins"), table.whole.live_rows
        if live and inserted >= LEAST_INSERTED * live:
            return CauseFinding(
                Cause.SCATTERED_ROWS,
                Certainty.LIKELY,
                (
                    (
                        f"rows of {table.name} were inserted or written again in another"
                        " order: those that a call needs lie in more blocks"
                    ),
                ),
                (
                    Figure(f"rows inserted into {table.name}", None, inserted),
                    Figure(
                        f"blocks of {table.name} per row",
                        table.before.blocks_per_row,
                        table.after.blocks_per_row,
                    ),
                ),
                table=table.name,
            )
    return None
