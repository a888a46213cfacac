"""All faults, by name, and those of a system as incidents."""

from collections.abc import Iterator, Mapping, Sequence

from pgiostat.lab.faults import indexes, planner, rows, server, traffic
from pgiostat.lab.faults.fault import FaultTarget, FaultTargets, InjectableFault
from pgiostat.lab.faults.incident import WorkloadIncident

__all__ = ["FAULTS", "SEVERITIES", "incidents_of", "injections"]

FAULTS: Mapping[str, InjectableFault] = {
    each.name: each
    for each in (
        indexes.INDEX_DROPPED,
        indexes.WRONG_COLUMN_ORDER,
        indexes.FOREIGN_KEY_WITHOUT_INDEX,
        rows.ROWS_SCATTERED,
        rows.DEAD_ROWS,
        rows.VISIBILITY_MAP_CLEARED,
        rows.TOASTED,
        planner.STALE_STATISTICS,
        planner.PLANNER_SETTING,
        planner.SPILL,
        planner.PARTITIONS_NOT_PRUNED,
        traffic.REPORT_STARTED,
        traffic.WORKING_SET_OUTGROWN,
        server.COLD_RESTART,
        traffic.CALLS_TRIPLED,
        traffic.MORE_ROWS,
        traffic.TABLE_ADDED,
        traffic.SKIP_BUG,
        server.AUTOVACUUM_FREEZE,
    )
}
SEVERITIES = ("mild", "severe", "extreme")
"""The names of a system's targets of a fault, in their order."""


def incidents_of(targets: FaultTargets, names: Sequence[str]) -> tuple[WorkloadIncident, ...]:
    """Return some faults of a system as incidents, each at its mildest."""
    return tuple(FAULTS[name].on(targets[name][0]) for name in names)


def injections(targets: FaultTargets) -> Iterator[tuple[InjectableFault, str, FaultTarget]]:
    """Yield the faults of a system with each severity and its target."""
    for name, fault in FAULTS.items():
        for severity, target in zip(SEVERITIES, targets.get(name, ()), strict=False):
            yield fault, severity, target
