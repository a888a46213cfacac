"""The shape of a plan: what stays equal while only costs and estimates change."""

from hashlib import blake2b

from pgiostat.analysis.plans.node import PlanNode

__all__ = ["shape_of"]

_HEX_DIGITS = 16


def shape_of(root: PlanNode) -> str:
    """Return a hash of nodes, relations, indexes and the order of joins.

    Args:
        root: The top node.

    >>> a, b = PlanNode("Seq Scan", relation="t"), PlanNode("Seq Scan", relation="t", rows=9.0)
    >>> shape_of(a) == shape_of(b), shape_of(a) == shape_of(PlanNode("Seq Scan", relation="u"))
    (True, False)
    """
    written = "\n".join(_lines(root, 0))
    return blake2b(written.encode(), digest_size=_HEX_DIGITS // 2).hexdigest()


def _lines(node: PlanNode, depth: int) -> list[str]:
    parts = (
        node.kind,
        node.relationship,
        node.join_type,
        node.strategy,
        node.operation,
        node.schema,
        node.relation,
        node.index,
    )
    found = [f"{depth}\0" + "\0".join(parts)]
    for each in node.children:
        found += _lines(each, depth + 1)
    return found
