"""What a statement is about: the target of a write, the first table of a query."""

import re

from pgiostat.queries.features.command_table import command_table, dotted_from
from pgiostat.queries.features.model import MainRelation
from pgiostat.queries.features.walk import Walk, plain
from pgiostat.queries.fingerprint import Block, TokenKind
from pgiostat.queries.fingerprint.words import words

__all__ = ["WRITES", "main_block", "main_relation", "partitioned_name"]

WRITES = words("insert update delete merge")
"""Verbs of blocks that write rows."""
_ABOUT_ROWS = words("copy truncate lock refresh")
"""Commands that are about the rows of a table."""

_PARTITION = re.compile(
    r"""(?<=[^\W_]) (?: _default
      | (?: _p | _y | _part_? | _prt_? | _ )? (?: 19 | 20 )\d\d
        (?: _? (?: [mq]? \d{1,2} | w\d\d ) (?: _? d? \d\d )? )? (?: _\d{4,6} )?
      | (?: _p | _part_? | _prt_? | _hash_? | _chunk_? | _shard_? ) \d+ )$""",
    re.VERBOSE | re.IGNORECASE,
)


def main_block(walk: Walk) -> Block:
    """Return the block outside parentheses, which follows common table expressions."""
    depth = 0
    for position, text in enumerate(walk.texts):
        if text in {"(", "["}:
            depth += 1
        elif text in {")", "]"}:
            depth -= 1
        elif depth <= 0 and position in walk.starts:
            return walk.starts[position]
    return walk.found.blocks[0]


def main_relation(walk: Walk) -> MainRelation:
    """Return what a statement is about, and what it does with it.

    A write is about its target, also where a common table expression writes. A query is about the
    first base table of its outermost FROM, found through common table expressions and subqueries.
    A query without FROM is about the first table of its subqueries. A query of no table is about
    its first function.

    Args:
        walk: The tokens of the statement.
    """
    blocks = walk.found.blocks
    if not blocks:
        return _of_command(walk)
    if _defines_a_view(walk.texts):
        return MainRelation()
    main = blocks[0] if walk.texts[0] == "(" else main_block(walk)
    for block in [main, *blocks]:
        if name := _target(walk, block):
            source = _source(walk, block) if block.verb == "insert" else ""
            return MainRelation(block.verb, partitioned_name(name), partitioned_name(source))
    visited: set[int] = set()
    for block in [main, *blocks]:
        if name := _first_table(walk, block, visited):
            return MainRelation("select", partitioned_name(name))
    return MainRelation("function", _first_function(walk, main))


def _of_command(walk: Walk) -> MainRelation:
    """Return what a command is about; maintenance and definitions only read a table."""
    verb, name = command_table(walk)
    table = partitioned_name(name)
    return MainRelation(verb, table) if verb in _ABOUT_ROWS else MainRelation(verb, source=table)


def _defines_a_view(texts: list[str]) -> bool:
    """Return whether CREATE has a query that it does not run."""
    head = texts[: texts.index("as")] if texts[0] == "create" and "as" in texts else []
    return "view" in head and "materialized" not in head


def _target(walk: Walk, block: Block) -> str:
    """Return the table that a block writes; empty for a query."""
    if block.verb not in WRITES:
        return ""
    return next(filter(None, map(walk.table_name, block.tables)), "")


def _source(walk: Walk, insert: Block) -> str:
    """Return the table that an INSERT reads its rows from: that of the query after its target."""
    after = (block for block in walk.found.blocks if block.start > insert.start)
    query = next(after, None)
    return "" if query is None else _first_table(walk, query, set())


def _first_table(walk: Walk, block: Block, visited: set[int]) -> str:
    """Return the first base table of a block's FROM, in the order of the text."""
    if id(block) in visited:  # a recursive query reads itself
        return ""
    visited.add(id(block))
    if target := _target(walk, block):  # DELETE ... RETURNING in a common table expression
        return target
    for table in block.tables:
        if table.clause in {"from", "on"}:
            inner = walk.query(table)
            name = _first_table(walk, inner.block, visited) if inner else walk.table_name(table)
            if name:
                return name
    return ""


def _first_function(walk: Walk, block: Block) -> str:
    for table in block.tables:
        if table.function:
            return ".".join(map(plain, table.parts))
    for position in walk.drafts[id(block)].clauses.get("select", []):
        if walk.kinds[position] is TokenKind.NAME and walk.texts[position + 1 :][:1] == ["("]:
            first = position
            while first >= 2 and walk.texts[first - 1] == ".":  # noqa: PLR2004 - schema and dot
                first -= 2
            return dotted_from(walk, first)
    return ""


def partitioned_name(name: str) -> str:
    """Return the name of a partitioned table from that of a partition, as partitions are named.

    >>> [
    ...     partitioned_name(name)
    ...     for name in ("events_p2026_11", "public.log_20261130", "m_y2026m11")
    ... ]
    ['events', 'public.log', 'm']
    >>> partitioned_name("t_default"), partitioned_name("orders_part_3"), partitioned_name("area51")
    ('t', 'orders', 'area51')
    """
    return _PARTITION.sub("", name)
