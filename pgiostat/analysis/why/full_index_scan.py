"""Full index scans: the first column of the index is not the one that the query restricts."""

from pgiostat.analysis.why.evidence import StatementEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_SHARE = 0.3
LEAST_PAGES = 20


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if a scan reads much of an index and did not before."""
    for table in evidence.own_tables:
        if table.after.count("vacuum_count") or table.after.count("autovacuum_count"):
            continue  # blocks that vacuum reads count for the index, too
        for old, new in table.index_pairs():
            before = old.blocks_per_scan if old else None
            after = new.blocks_per_scan
            if (
                after is not None
                and new.relpages > LEAST_PAGES
                and after >= LEAST_SHARE * new.relpages
                and after >= 2 * (before or 0.0)
            ):
                name = table.index_name(new.indexrelid)
                return CauseFinding(
                    Cause.FULL_INDEX_SCAN,
                    Certainty.LIKELY,
                    (
                        (
                            f"index {name} on {table.name} is read nearly whole by each scan:"
                            " its first column is not restricted"
                        ),
                    ),
                    (
                        Figure(f"blocks of {name} per scan", before, after),
                        Figure(f"size of {name} in blocks", None, new.relpages),
                    ),
                    table=table.name,
                )
    return None
