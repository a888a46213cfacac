"""Dead rows: versions of rows that scans pass over until VACUUM removes them."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_SHARE = 0.1
LEAST_CHANGED = 0.2
LEAST_FILLED = 0.5


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if much of a table is dead, or was changed since."""
    for table in evidence.own_tables:
        old, new = table.before.dead_share, table.after.dead_share
        live = table.whole.live_rows or 0
        changed = table.whole.count("n_tup_upd") + table.whole.count("n_tup_del")
        is_dead = new is not None and new >= LEAST_SHARE
        # A table that was filled again has another cause: its rows lie in another order.
        is_filled = table.whole.count("n_tup_ins") >= LEAST_FILLED * live
        if is_dead or (live and changed >= LEAST_CHANGED * live and not is_filled):
            return CauseFinding(
                Cause.DEAD_ROWS,
                Certainty.LIKELY,
                (
                    (
                        f"{table.name} has dead rows, or new versions of rows away from the"
                        " old ones: scans touch more blocks for each row"
                    ),
                ),
                (
                    Figure(f"dead rows of {table.name}, share", old, new),
                    Figure(f"rows of {table.name} updated or deleted", None, changed),
                    Figure(
                        f"blocks of {table.name} per row",
                        table.before.blocks_per_row,
                        table.after.blocks_per_row,
                    ),
                ),
                table=table.name,
            )
    return None
