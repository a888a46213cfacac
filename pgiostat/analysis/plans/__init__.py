"""Plans of statements: their nodes, which of them reads most, and their shape.

What lives here: pure computation on the JSON of EXPLAIN and on the sizes of relations.
"""

from dataclasses import dataclass, field

from pgiostat.analysis.plans.node import PlanNode, parse_plan
from pgiostat.analysis.plans.reads import IndexSize, NodeReads, RelationSize, node_reads
from pgiostat.analysis.plans.shape import shape_of

__all__ = [
    "IndexSize",
    "NoPlan",
    "NodeReads",
    "PlanNode",
    "RelationSize",
    "StatementPlan",
    "node_reads",
    "parse_plan",
    "shape_of",
]


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """A generic plan of a statement.

    Attributes:
        nodes: Its nodes from the top, each with the blocks that it touches.
        shape: A hash of its nodes, relations, indexes and joins, without costs.
        role: The role that it was planned as.
        statement_role: The role of the statement.
        search_path: The search_path that it was planned with.
        settings: The settings of the planner that have no default value.
    """

    nodes: tuple[NodeReads, ...]
    shape: str
    role: str
    statement_role: str
    search_path: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def marked(self) -> NodeReads | None:
        """The node that touches most blocks; None if none touches any that are known."""
        known = [each for each in self.nodes if each.blocks]
        return max(known, key=lambda each: each.blocks or 0.0, default=None)


@dataclass(frozen=True, slots=True)
class NoPlan:
    """Why there is no plan.

    Attributes:
        reason: The reason, as the end of a sentence.
        hint: What would allow a plan; empty if nothing does.
        statements: SQL that does it.
    """

    reason: str
    hint: str = ""
    statements: tuple[str, ...] = field(default=())
