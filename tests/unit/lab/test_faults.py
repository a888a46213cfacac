"""The library of faults: which there are, what they send, and where they hit the lab's systems."""

import pytest

from pgiostat.analysis.why import Cause
from pgiostat.lab.faults.fault import FaultTarget, FaultTargets
from pgiostat.lab.faults.library import FAULTS, SEVERITIES, incidents_of, injections
from pgiostat.lab.workload import faults as sync
from pgiostat.lab.workload import load
from pgiostat.lab.workload.shop import faults as shop

SYSTEMS = {"sync": sync.TARGETS, "shop": shop.TARGETS}


def test_each_fault_has_a_cause_that_is_right() -> None:
    assert {name: fault.causes for name, fault in FAULTS.items()} == {
        "index dropped": (Cause.INDEX_DROPPED,),
        "wrong column order": (Cause.INDEX_REPLACED,),
        "foreign key without index": (Cause.FOREIGN_KEY,),
        "rows scattered": (Cause.SCATTERED_ROWS,),
        "dead rows": (Cause.DEAD_ROWS,),
        "visibility map cleared": (Cause.VISIBILITY_MAP,),
        "values toasted": (Cause.TOAST,),
        "stale statistics": (Cause.PLAN,),
        "planner setting": (Cause.PLAN,),
        "spill": (Cause.SPILL,),
        "partitions not pruned": (Cause.PARTITIONS,),
        "report started": (Cause.NEW_STATEMENT,),
        "working set outgrown": (Cause.WORKING_SET,),
        "cold restart": (Cause.RESTART,),
        "calls tripled": (Cause.CALLS,),
        "more rows": (Cause.MORE_ROWS,),
        "table added": (Cause.NEW_STATEMENT,),
        "skip bug": (Cause.CALLS,),
        "autovacuum freeze": (Cause.VACUUM,),
    }


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("sync", {"foreign key without index", "spill"}),
        ("shop", {"partitions not pruned", "more rows"}),
    ],
)
def test_a_fault_that_does_not_apply_has_no_target(name: str, missing: set[str]) -> None:
    assert {*FAULTS} - {*SYSTEMS[name]} == missing
    assert {*SYSTEMS[name]} <= {*FAULTS}


@pytest.mark.parametrize("targets", SYSTEMS.values(), ids=SYSTEMS)
def test_each_severity_is_another_target(targets: FaultTargets) -> None:
    for name, of_fault in targets.items():
        assert 1 <= len(of_fault) <= len(SEVERITIES), name
        assert len({repr(each) for each in of_fault}) == len(of_fault), name
    assert len(list(injections(targets))) == sum(map(len, targets.values()))


def test_the_traffic_of_each_target_is_known() -> None:
    named = {
        traffic
        for _, _, target in injections(sync.TARGETS)
        for traffic in (target.traffic, target.healthy)
        if traffic
    }
    assert named == {*load.TRAFFIC}


@pytest.mark.parametrize("system", [sync, shop], ids=SYSTEMS)
def test_the_demo_has_its_incidents_from_the_library(system: object) -> None:
    incidents = system.INCIDENTS  # type: ignore[attr-defined]
    assert [each.name for each in incidents] == [
        "index dropped",
        "table added",
        "report started",
        "skip bug",
    ]
    # The process of a demo's workload runs all statements of an incident in one transaction.
    assert not any(each.alone or each.holds_snapshot or each.restarts for each in incidents)


def test_an_index_with_its_columns_in_another_order() -> None:
    target = FaultTarget(
        "from items where", "shop.items", "items_order", "order_id, id", "id, order_id"
    )
    (incident,) = incidents_of({"wrong column order": (target,)}, ("wrong column order",))
    assert incident.cause == (
        "DROP INDEX IF EXISTS shop.items_order",
        "CREATE INDEX IF NOT EXISTS items_order_2 ON shop.items (id, order_id)",
    )
    assert incident.back == (
        "DROP INDEX IF EXISTS shop.items_order_2",
        "CREATE INDEX IF NOT EXISTS items_order ON shop.items (order_id, id)",
    )
    assert incident.text == "an index is made again with its columns in another order"


def test_rows_are_written_alone_as_the_load_would_deadlock() -> None:
    incident = FAULTS["dead rows"].on(FaultTarget("", "items", columns="stock", amount=2))
    update = "UPDATE items SET stock = stock"
    assert incident.cause == (
        f"BEGIN; LOCK TABLE items IN SHARE ROW EXCLUSIVE MODE; {update}; {update}; COMMIT",
    )
    assert incident.alone
    assert incident.holds_snapshot


def test_a_target_may_have_other_right_causes() -> None:
    fault = FAULTS["skip bug"]
    assert fault.right_causes(FaultTarget("")) == (Cause.CALLS,)
    target = shop.TARGETS["skip bug"][0]
    assert fault.right_causes(target) == (Cause.NEW_STATEMENT,)
