"""The visibility map: index-only scans fetch rows from the table again."""

from pgiostat.analysis.relation_activity import IndexActivity
from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.units import per_second

__all__ = ["find"]

LEAST_RISE = 0.15
LEAST_OF_GROWTH = 0.2
MOST_DEAD = 0.2


def _fetched(index: IndexActivity | None) -> float | None:
    return index.idx_tup_fetch / index.idx_tup_read if index and index.idx_tup_read else None


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if a larger share of index entries needs the row itself."""
    for table in evidence.own_tables:
        if (table.after.dead_share or 0.0) >= MOST_DEAD:
            continue
        for before, index in table.index_pairs():
            old, new = _fetched(before), _fetched(index)
            if old is None or new is None or new - old < LEAST_RISE:
                continue
            fetches = per_second(index.idx_tup_fetch, index.seconds) or 0.0
            if fetches < LEAST_OF_GROWTH * evidence.touched_growth_per_s:
                continue
            name = table.index_name(index.indexrelid)
            return CauseFinding(
                Cause.VISIBILITY_MAP,
                Certainty.LIKELY,
                (
                    (
                        f"index-only scans of {name} fetch rows of {table.name}: its"
                        " visibility map was cleared by writes and not set by VACUUM"
                    ),
                ),
                (Figure(f"share of entries of {name} with their row fetched", old, new),),
                table=table.name,
            )
    return None
