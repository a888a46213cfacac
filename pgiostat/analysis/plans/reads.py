"""How many blocks each node of a plan touches, by the planner's rows and the sizes of relations.

The numbers rank the nodes. Counters know how many blocks a statement touches; a plan knows where.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pgiostat.analysis.plans.node import PlanNode

__all__ = ["IndexSize", "NodeReads", "RelationSize", "node_reads"]

DESCENT = 3.0
"""Blocks from the root of a B-tree to a leaf."""
RANDOM_PAGE_COST = 4.0
MOSTLY_VISIBLE = 0.9
"""Share of all-visible blocks below which an index-only scan is noted to fetch rows."""
_BLOCKING = ("Sort", "Hash", "Materialize")
"""Nodes that take all rows of the node below them, before the first row is returned."""
_PLAIN_NAME = re.compile(r'(?:[a-z_][\w$]*|"(?:[^"]|"")+")')

RelationKey = tuple[str, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class IndexSize:
    """An index: its blocks, and its first column as SQL has it."""

    pages: float
    first_column: str = ""


@dataclass(frozen=True, slots=True)
class RelationSize:
    """A table, as of its last VACUUM or ANALYZE.

    Attributes:
        pages: Its blocks.
        tuples: Its rows.
        visible_pages: Its all-visible blocks.
        indexes: Its indexes by name.
    """

    pages: float
    tuples: float
    visible_pages: float = 0.0
    indexes: Mapping[str, IndexSize] = field(default_factory=dict)

    @property
    def hidden_share(self) -> float:
        """Share of blocks that are not all-visible."""
        return min(max(1 - self.visible_pages / self.pages, 0.0), 1.0) if self.pages > 0 else 0.0


@dataclass(frozen=True, slots=True)
class NodeReads:
    """A node, and the blocks that it touches.

    Attributes:
        node: The node.
        depth: How deep it lies in the plan; 0 is the top node.
        blocks: The blocks that it touches in one call, estimated; None if it reads no table.
        words: How it reads, as the end of a sentence; empty if it reads no table.
    """

    node: PlanNode
    depth: int
    blocks: float | None = None
    words: str = ""


def node_reads(
    root: PlanNode,
    relations: Mapping[RelationKey, RelationSize],
    random_page_cost: float = RANDOM_PAGE_COST,
) -> tuple[NodeReads, ...]:
    """Return the nodes of a plan from the top, with the blocks that each touches.

    Args:
        root: The top node.
        relations: Sizes by schema and name.
        random_page_cost: The planner's cost of a block.
    """
    found: list[NodeReads] = []
    _add(found, root, 0, 1.0, _Sizes(relations, random_page_cost))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Sizes:
    relations: Mapping[RelationKey, RelationSize]
    random_page_cost: float


def _add(found: list[NodeReads], node: PlanNode, depth: int, times: float, sizes: _Sizes) -> None:
    """Append a node and those below it.

    Args:
        found: The nodes above it.
        node: The node.
        depth: Its depth.
        times: How often it is executed; less than 1 if only a part of its rows is taken.
        sizes: The sizes of relations.
    """
    size = sizes.relations.get((node.schema, node.relation))
    if node.kind == "Bitmap Index Scan":
        size = _size_by_index(node.index, sizes)
    blocks, words = (None, "") if size is None else _touched(node, size, sizes)
    found.append(NodeReads(node, depth, None if blocks is None else blocks * times, words))
    for child in node.children:
        _add(found, child, depth + 1, times * _executions(node, child), sizes)


def _size_by_index(index: str, sizes: _Sizes) -> RelationSize | None:
    return next((each for each in sizes.relations.values() if index in each.indexes), None)


def _executions(node: PlanNode, child: PlanNode) -> float:
    """Return how often a node executes one below it, or which part of its rows it takes."""
    if child.relationship == "InitPlan":
        return 1.0
    if child.relationship == "SubPlan":
        return max(node.rows, 1.0)
    if node.kind == "Nested Loop" and child.relationship == "Inner":
        outer = next((each for each in node.children if each.relationship == "Outer"), child)
        return 1.0 if child.kind == "Materialize" else max(outer.rows, 1.0)
    if node.kind == "Limit" and child.kind not in _BLOCKING and child.rows > 0:
        return min(node.rows / child.rows, 1.0)
    return 1.0


def _touched(node: PlanNode, size: RelationSize, sizes: _Sizes) -> tuple[float | None, str]:
    """Return the blocks that a scan touches, and how it reads."""
    if node.kind in {"Seq Scan", "Sample Scan"}:
        return size.pages, f"reads all {size.pages:,.0f} blocks of {node.relation}"
    if node.kind == "Bitmap Heap Scan":
        rows = max((each.rows for each in node.children), default=node.rows)
        return _distinct(size.pages, rows), f"reads the blocks of {_count(rows)} of {node.relation}"
    if node.kind not in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}:
        return None, ""
    index = size.indexes.get(node.index, IndexSize(0.0))
    is_whole, words = _whole_index(node, index)
    rows = node.rows
    if node.condition("Filter"):
        # Rows that the filter removes are read, and only the cost knows of them.
        rows = max(rows, min(node.own_cost / sizes.random_page_cost, size.tuples))
    leaves = index.pages * rows / size.tuples if size.tuples > 0 else 0.0
    entries = index.pages if is_whole else min(DESCENT + leaves, max(index.pages, DESCENT))
    if node.kind == "Bitmap Index Scan":
        return entries, words or f"reads {node.index}"
    if node.kind == "Index Scan":
        return entries + rows, words or f"fetches {_count(rows)} of {node.relation} by {node.index}"
    if 1 - size.hidden_share < MOSTLY_VISIBLE:
        visible = f"{1 - size.hidden_share:.0%} of its blocks are all-visible"
        words = words or f"has to fetch rows of {node.relation}: {visible}".replace("%", " %")
    return entries + rows * size.hidden_share, words or f"reads {node.index} alone"


def _count(rows: float) -> str:
    return f"{rows:,.0f} row{'' if round(rows) == 1 else 's'}"


def _whole_index(node: PlanNode, index: IndexSize) -> tuple[bool, str]:
    """Return whether a scan reads a whole index, and how it does."""
    condition = node.condition("Index Cond")
    if not condition:
        is_limited = bool(node.condition("Order By"))
        return not is_limited, "" if is_limited else f"reads all of {node.index}"
    first = index.first_column
    if not _PLAIN_NAME.fullmatch(first):
        return False, ""
    if re.search(rf'(?<![\w$"]){re.escape(first)}(?![\w$"])', condition):
        return False, ""
    words = f"uses {node.index} without its first column, {first}, and may read all of it"
    return True, words


def _distinct(pages: float, rows: float) -> float:
    """Return the distinct blocks of rows that lie anywhere: Cardenas' formula."""
    return pages * (1 - (1 - 1 / pages) ** rows) if pages > 1 else min(pages, rows)
