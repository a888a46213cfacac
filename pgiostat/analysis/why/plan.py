"""The plan changed: other scans of the same table, with the same indexes."""

from pgiostat.analysis.why.evidence import StatementEvidence, TableEvidence
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.analysis.why.index_changed import changed

__all__ = ["find", "is_of_planner", "planner_settings"]

LEAST_SCANS = 0.3
LEAST_PAGES = 8
MORE_INDEX_SCANS, FEWER_INDEX_SCANS = 0.5, 0.4
_OF_PARTITIONS = {"constraint_exclusion", "enable_partition_pruning"}
LEAST_RATIO = 1.5
_ANALYZED = ("analyze_count", "autoanalyze_count")


def is_of_planner(setting: str) -> bool:
    """Return whether the planner decides by a setting."""
    return setting not in _OF_PARTITIONS and (
        setting.startswith("enable_")
        or setting.endswith("_cost")
        or setting in {"work_mem", "effective_cache_size", "plan_cache_mode"}
    )


def planner_settings(evidence: StatementEvidence) -> list[str]:
    """Return sentences on changed settings of the planner."""
    return [
        f"{each.name} changed from {each.before or 'not set'} to {each.after or 'not set'}"
        for each in evidence.server.settings
        if is_of_planner(each.name)
    ]


def find(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if a table is scanned in another way."""
    for table in evidence.own_tables:
        if table.indexes_before is None or any(changed(table)):
            continue
        found = (
            _sequential(evidence, table)
            or _no_longer_sequential(evidence, table)
            or _other_index(evidence, table)
        )
        if found is not None:
            words, figures = found
            analyzed = any(table.whole.count(name) for name in _ANALYZED)
            reasons = planner_settings(evidence) or (
                [f"{table.name} was analyzed: new statistics may be the reason"] if analyzed else []
            )
            certainty = Certainty.LIKELY if table.shared_with else Certainty.CERTAIN
            reason = reasons or ["the reason is not known: a plan would tell"]
            return CauseFinding(Cause.PLAN, certainty, (words, *reason), figures, table=table.name)
    return None


_Found = tuple[str, tuple[Figure, ...]]


def _sequential(evidence: StatementEvidence, table: TableEvidence) -> _Found | None:
    old, new = evidence.seq_scans_per_call(table)
    if table.pages <= LEAST_PAGES or new - old < LEAST_SCANS or new < LEAST_RATIO * old:
        return None
    words = f"the plan changed: {table.name} is scanned sequentially, with the same indexes"
    return words, (Figure(f"sequential scans of {table.name} per call", old, new),)


def _no_longer_sequential(evidence: StatementEvidence, table: TableEvidence) -> _Found | None:
    """Return which index is used instead of sequential scans."""
    old, new = evidence.seq_scans_per_call(table)
    if table.pages <= LEAST_PAGES or old - new < LEAST_SCANS:
        return None
    for before, index in table.index_pairs():
        scans = [
            0.0
            if each is None or not usage.calls
            else (each.scans_per_s or 0.0) / usage.calls_per_s
            for each, usage in ((before, evidence.before), (index, evidence.after))
        ]
        if scans[1] - scans[0] >= LEAST_SCANS:
            name = table.index_name(index.indexrelid)
            words = (
                f"the plan changed: {table.name} is read by index {name} instead of sequentially"
            )
            figures = (
                Figure(f"sequential scans of {table.name} per call", old, new),
                Figure(f"scans of {name} per call", scans[0], scans[1]),
            )
            return words, figures
    return None


def _other_index(evidence: StatementEvidence, table: TableEvidence) -> _Found | None:
    """Return which index is used instead of which."""
    per_call: dict[int, list[float]] = {}
    for side, (activity, usage) in enumerate(
        ((table.before, evidence.before), (table.after, evidence.after))
    ):
        for index in activity.indexes:
            scans = (index.scans_per_s or 0.0) / usage.calls_per_s if usage.calls else 0.0
            per_call.setdefault(index.indexrelid, [0.0, 0.0])[side] = scans
    more = [oid for oid, (old, new) in per_call.items() if new - old >= MORE_INDEX_SCANS]
    fewer = [oid for oid, (old, new) in per_call.items() if old - new >= FEWER_INDEX_SCANS]
    if not more or not fewer:
        return None
    names = table.index_name(more[0]), table.index_name(fewer[0])
    figures = tuple(
        Figure(f"scans of {table.index_name(oid)} per call", *per_call[oid])
        for oid in (more[0], fewer[0])
    )
    words = f"the plan changed: {table.name} is read by index {names[0]} instead of {names[1]}"
    return words, figures
