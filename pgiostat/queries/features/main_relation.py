"""What a statement is about: the target of a write, the first table of a query."""

import re
from collections.abc import Iterator
from itertools import chain

from pgiostat.queries.features.command_table import command_table, created_table, dotted_from
from pgiostat.queries.features.model import MainRelation
from pgiostat.queries.features.walk import PACKERS, QUALIFIERS, REDUCERS, Walk, is_created, plain
from pgiostat.queries.fingerprint import Block, TokenKind
from pgiostat.queries.fingerprint.words import words

__all__ = ["WRITES", "main_block", "main_relation", "partitioned_name"]

WRITES = words("insert update delete merge")
"""Verbs of blocks that write rows."""
_ABOUT_ROWS = words("copy truncate lock refresh")
"""Commands that are about the rows of a table."""
_AROUND = REDUCERS | PACKERS | words("coalesce greatest least nullif row")
"""Functions that a query calls on the result of another."""

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

    A write is about its target, also where a common table expression writes, and so is a statement
    that creates a table from a query. A query is about the first base table of its outermost FROM,
    found through common table expressions and subqueries. A query without FROM is about the first
    table of its subqueries. A query of no table is about its first function.

    Args:
        walk: The tokens of the statement.
    """
    blocks = _outermost_first(walk)
    if name := created_table(walk) or _selected_into(walk, blocks):
        return _named("create", name, _first_read(walk, blocks))
    if not blocks:
        return _of_command(walk)
    if _defines_a_view(walk.texts):
        return MainRelation()
    for block in blocks:
        if name := _target(walk, block):
            return _named(block.verb, name, _source(walk, block) if block.verb == "insert" else "")
    if name := _first_read(walk, blocks):
        return _named("select", name)
    return MainRelation("function", _first_function(walk, blocks))


def _named(action: str, name: str, source: str = "") -> MainRelation:
    return MainRelation(action, partitioned_name(name), partitioned_name(source))


def _outermost_first(walk: Walk) -> list[Block]:
    """Return the blocks of a statement, the main one before the others."""
    blocks = walk.found.blocks
    if not blocks:
        return []
    return [blocks[0] if walk.texts[0] == "(" else main_block(walk), *blocks]


def _of_command(walk: Walk) -> MainRelation:
    """Return what a command is about; maintenance and definitions only read a table."""
    if walk.texts[0] == "call":
        return MainRelation("procedure", dotted_from(walk, 1))
    verb, name = command_table(walk)
    table = partitioned_name(name)
    return MainRelation(verb, table) if verb in _ABOUT_ROWS else MainRelation(verb, source=table)


def _defines_a_view(texts: list[str]) -> bool:
    """Return whether CREATE has a query that it does not run."""
    head = texts[: texts.index("as")] if texts[0] == "create" and "as" in texts else []
    return "view" in head and "materialized" not in head


def _selected_into(walk: Walk, blocks: list[Block]) -> str:
    """Return the table that SELECT INTO creates; empty for other statements."""
    created = (
        walk.table_name(table)
        for main in blocks[:1]
        for table in main.tables
        if is_created(main, table)
    )
    return next(created, "")


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


def _first_read(walk: Walk, blocks: list[Block]) -> str:
    """Return the first base table that blocks read; empty if they read none."""
    visited: set[int] = set()
    return next(filter(None, (_first_table(walk, block, visited) for block in blocks)), "")


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


def _first_function(walk: Walk, blocks: list[Block]) -> str:
    """Return the first function of blocks; an aggregate only of the outermost block."""
    called = chain.from_iterable(_functions(walk, block) for block in blocks)
    own = (name for name in called if name not in _AROUND)
    return next(chain(own, _functions(walk, blocks[0])), "")


def _functions(walk: Walk, block: Block) -> Iterator[str]:
    """Yield the functions of a FROM and of a select list."""
    for table in block.tables:
        if table.function:
            yield ".".join(map(plain, table.parts))
    for position in walk.drafts[id(block)].clauses.get("select", []):
        if _is_called(walk, position):
            first = position
            while first >= 2 and walk.texts[first - 1] == ".":  # noqa: PLR2004 - schema and dot
                first -= 2
            yield dotted_from(walk, first)


def _is_called(walk: Walk, position: int) -> bool:
    """Return whether a word is the name of a function: no type, and no OVER or FILTER."""
    is_name = walk.kinds[position] is TokenKind.NAME and walk.texts[position] not in QUALIFIERS
    is_type = walk.texts[max(position - 1, 0)] in {"::", "as"}
    return is_name and not is_type and walk.texts[position + 1 : position + 2] == ["("]


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
