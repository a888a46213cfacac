"""A plan of a statement: sentences, a table of its nodes, an object."""

from collections.abc import Iterator
from typing import Any

from pgiostat.analysis.plans import NodeReads, NoPlan, PlanNode, StatementPlan
from pgiostat.render.document import Mark, Table, TableColumn
from pgiostat.units import format_count

__all__ = ["MARK", "plan_object", "plan_sentences", "plan_table"]

MOST_NODES = 60
"""Nodes of a table for people; a plan may have one for each partition."""
MARK = "▶"


def plan_sentences(plan: StatementPlan | NoPlan) -> Iterator[str]:
    """Yield what a plan says, or why there is none; each line after the first is indented."""
    if isinstance(plan, NoPlan):
        yield f"no plan: {plan.reason}"
        if plan.hint:
            yield f"  {plan.hint}"
        yield from (f"  {each}" for each in plan.statements)
        return
    marked = plan.marked
    if marked is None:
        yield "plan: no node reads a table of known size"
    else:
        yield (
            f"plan: {_title(marked.node)} {marked.words}, about"
            f" {format_count(marked.blocks)} blocks per call"
        )
    words = f"generic plan as {plan.role}, search_path = {plan.search_path}"
    if plan.role != plan.statement_role:
        words += f"; the statement runs as {plan.statement_role}"
    yield f"  {words}; shape {plan.shape}"
    if plan.settings:
        yield f"  settings: {', '.join(f'{name} = {value}' for name, value in plan.settings)}"


def plan_table(plan: StatementPlan, title: str) -> Table:
    """Return the nodes of a plan; the one that touches most blocks is marked.

    Args:
        plan: The plan.
        title: The heading of the first column.
    """
    return Table(
        columns=(
            TableColumn(title, rest=True),
            TableColumn("rows", right=True, format=format_count),
            TableColumn("blocks", right=True, format=format_count),
        ),
        rows=list(_rows(plan)),
        apart=True,
    )


def _rows(plan: StatementPlan) -> Iterator[tuple[Any, ...]]:
    marked = plan.marked
    for each in plan.nodes[:MOST_NODES]:
        indent = "  " * each.depth
        is_marked = each is marked
        name = f"{indent}{MARK if is_marked else ' '} {_title(each.node, full=True)}"
        style = "bold" if is_marked else ""
        yield Mark(name, style), each.node.rows, each.blocks
        for word, condition in each.node.conditions:
            yield Mark(f"{indent}      {word}: {condition}", "dim"), "", ""
    if (rest := len(plan.nodes) - MOST_NODES) > 0:
        yield f"… {rest} more nodes", "", ""


def _title(node: PlanNode, *, full: bool = False) -> str:
    """Return a node as EXPLAIN names it."""
    words = node.kind
    if node.operation:
        words = node.operation
    elif node.join_type not in {"", "Inner"}:
        words = f"{node.kind} {node.join_type}"
    elif node.strategy not in {"", "Plain"}:
        words = f"{node.strategy} {node.kind}"
    if not full:
        return words
    if node.index:
        words += f" using {node.index}"
    if node.relation:
        words += f" on {node.relation}"
        words += f" {node.alias}" if node.alias not in {"", node.relation} else ""
    if node.relationship in {"InitPlan", "SubPlan"} or node.subplan:
        words += f" ({node.subplan or node.relationship})"
    return words


def plan_object(plan: StatementPlan | NoPlan | None) -> dict[str, Any] | None:
    """Return a plan as an object; None if none was requested."""
    if plan is None:
        return None
    if isinstance(plan, NoPlan):
        return {"reason": plan.reason, "hint": plan.hint, "statements": list(plan.statements)}
    marked = plan.marked
    return {
        "shape": plan.shape,
        "role": plan.role,
        "statement_role": plan.statement_role,
        "search_path": plan.search_path,
        "settings": dict(plan.settings),
        "marked": None
        if marked is None
        else next(n for n, each in enumerate(plan.nodes) if each is marked),
        "nodes": [_node_object(each) for each in plan.nodes],
    }


def _node_object(each: NodeReads) -> dict[str, Any]:
    node = each.node
    return {
        "depth": each.depth,
        "node": node.kind,
        "schema": node.schema or None,
        "relation": node.relation or None,
        "alias": node.alias or None,
        "index": node.index or None,
        "join_type": node.join_type or None,
        "conditions": dict(node.conditions),
        "rows": node.rows,
        "total_cost": node.total_cost,
        "blocks": each.blocks,
        "reads": each.words or None,
    }
