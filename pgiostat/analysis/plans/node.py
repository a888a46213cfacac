"""The JSON of EXPLAIN as nodes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PlanNode", "parse_plan"]

CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Order By",
    "Sort Key",
    "Group Key",
    "Cache Key",
)
"""What is shown of a node, in this order."""


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of a plan, in the words of EXPLAIN.

    Attributes:
        kind: Node Type.
        schema: Schema of its relation; empty without one.
        relation: Its relation.
        alias: The name of the relation in the statement.
        index: The index that it uses.
        join_type: Inner, Left, Semi and so on; empty for other nodes.
        strategy: Sorted, Hashed and so on, of an aggregate.
        operation: Insert, Update, Delete or Merge.
        relationship: Outer, Inner, Member, InitPlan, SubPlan, Subquery; empty for the top node.
        subplan: The name of a subplan, or of the CTE that it reads.
        rows: Rows that the planner expects for one execution.
        startup_cost: Cost before the first row.
        total_cost: Cost of all rows.
        conditions: Conditions and keys, each with its name.
        removed: Subplans that were pruned when execution would begin.
        children: The nodes below it.
    """

    kind: str
    schema: str = ""
    relation: str = ""
    alias: str = ""
    index: str = ""
    join_type: str = ""
    strategy: str = ""
    operation: str = ""
    relationship: str = ""
    subplan: str = ""
    rows: float = 0.0
    startup_cost: float = 0.0
    total_cost: float = 0.0
    conditions: tuple[tuple[str, str], ...] = ()
    removed: int = 0
    children: tuple["PlanNode", ...] = ()

    def condition(self, name: str) -> str:
        """Return a condition; empty if the node has none of that name."""
        return dict(self.conditions).get(name, "")

    @property
    def own_cost(self) -> float:
        """Cost without that of the nodes below it."""
        return max(self.total_cost - sum(each.total_cost for each in self.children), 0.0)

    def walk(self) -> Iterator["PlanNode"]:
        """Yield this node and all below it, from the top."""
        yield self
        for each in self.children:
            yield from each.walk()


def parse_plan(plan: Mapping[str, Any], shown: Callable[[str], str] = str) -> PlanNode:
    """Return the nodes of a plan.

    Args:
        plan: The value of "Plan" in the JSON of EXPLAIN.
        shown: Returns a condition as it may be shown: those of views have constants.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: It is no plan.

    >>> parse_plan({"Node Type": "Seq Scan", "Relation Name": "t", "Plan Rows": 3}).relation
    't'
    """

    def text(*names: str) -> str:
        return next((str(plan[name]) for name in names if name in plan), "")

    conditions = tuple((name, shown(_words(plan[name]))) for name in CONDITIONS if name in plan)
    return PlanNode(
        kind=str(plan["Node Type"]),
        schema=text("Schema"),
        relation=text("Relation Name"),
        alias=text("Alias"),
        index=text("Index Name"),
        join_type=text("Join Type"),
        strategy=text("Strategy"),
        operation=text("Operation"),
        relationship=text("Parent Relationship"),
        subplan=text("Subplan Name", "CTE Name", "Function Name"),
        rows=float(plan.get("Plan Rows", 0)),
        startup_cost=float(plan.get("Startup Cost", 0)),
        total_cost=float(plan.get("Total Cost", 0)),
        conditions=conditions,
        removed=int(plan.get("Subplans Removed", 0)),
        children=tuple(parse_plan(each, shown) for each in plan.get("Plans", ())),
    )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
