"""Partitions not pruned: a call scans several times as many of them."""

from pgiostat.analysis.relation_activity import TableActivity
from pgiostat.analysis.why.evidence import StatementEvidence, TableEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure

__all__ = ["find"]

LEAST_RATIO = 1.8


def _scans(activity: TableActivity) -> float:
    return activity.count("seq_scan") + activity.idx_scan


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if scans per call and partitions in use both rose."""
    by_parent: dict[str, list[TableEvidence]] = {}
    for table in evidence.own_tables:
        if table.partition_of:
            by_parent.setdefault(table.partition_of, []).append(table)
    for parent, parts in by_parent.items():
        per_call = [evidence.per_call(each, _scans) for each in parts]
        old, new = (sum(pair[side] for pair in per_call) for side in (0, 1))
        used = [sum(1 for pair in per_call if pair[side]) for side in (0, 1)]
        if old and new / old >= LEAST_RATIO and used[0] and used[1] >= 2 * used[0]:
            return CauseFinding(
                Cause.PARTITIONS,
                Certainty.CERTAIN,
                (
                    (
                        f"partitions of {parent} are no longer pruned: {used[1]} of them are"
                        f" scanned instead of {used[0]}"
                    ),
                ),
                (
                    Figure(f"scans of partitions of {parent} per call", old, new),
                    Figure(f"partitions of {parent} in use", used[0], used[1]),
                ),
                table=parts[0].name,
            )
    return None
