"""What a statement is about: the target of a write, the first table of a query."""

import re
from collections.abc import Iterator

from pgiostat.queries.features.model import MainRelation
from pgiostat.queries.features.walk import WORDS, Walk, plain
from pgiostat.queries.fingerprint import Block, TokenKind
from pgiostat.queries.fingerprint.words import words

__all__ = ["WRITES", "main_block", "main_relation", "partitioned_name", "truncated_tables"]

WRITES = words("insert update delete merge")
"""Verbs of blocks that write rows."""

_QUALIFIERS = words("table only concurrently if exists not materialized view")
_BEFORE_TABLES = words("truncate table only")
_NAMES_A_TABLE = words("truncate lock refresh")

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
        return _utility(walk)
    main = blocks[0] if walk.texts[0] == "(" else main_block(walk)
    for block in [main, *blocks]:
        if block.verb in WRITES:
            for table in block.tables:
                if name := walk.table_name(table):
                    return MainRelation(block.verb, partitioned_name(name))
    visited: set[int] = set()
    for block in [main, *blocks]:
        if name := _first_table(walk, block, visited):
            return MainRelation("select", partitioned_name(name))
    return MainRelation("function", _first_function(walk, main))


def _utility(walk: Walk) -> MainRelation:
    """Return what TRUNCATE and the like name, and whether CREATE makes an index."""
    verb = walk.texts[0]
    if verb == "create" and "index" in walk.texts[1:3]:
        return MainRelation("index")
    if verb in _NAMES_A_TABLE:
        for position in range(1, len(walk.texts)):
            if walk.kinds[position] in WORDS and walk.texts[position] not in _QUALIFIERS:
                return MainRelation(verb, partitioned_name(_dotted_from(walk, position)))
    return MainRelation()


def truncated_tables(walk: Walk) -> Iterator[str]:
    """Yield the tables that TRUNCATE names."""
    is_named = walk.texts[0] == "truncate"
    for position in range(1, len(walk.texts) if is_named else 0):
        text, before = walk.texts[position], walk.texts[position - 1]
        is_first = before == "," or before in _BEFORE_TABLES
        if is_first and walk.kinds[position] in WORDS and text not in _QUALIFIERS:
            yield _dotted_from(walk, position)


def _first_table(walk: Walk, block: Block, visited: set[int]) -> str:
    """Return the first base table of a block's FROM, in the order of the text."""
    if id(block) in visited:  # a recursive query reads itself
        return ""
    visited.add(id(block))
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
            return _dotted_from(walk, first)
    return ""


def _dotted_from(walk: Walk, position: int) -> str:
    parts = [walk.texts[position]]
    while walk.texts[position + 1 : position + 2] == ["."]:
        position += 2
        parts += walk.texts[position : position + 1]
    return ".".join(map(plain, parts))


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
