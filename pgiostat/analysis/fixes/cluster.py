"""Rows in the order of an index, so that those of a call lie together."""

from pgiostat.analysis.fixes.btree import BTree, adjacent_pages, b_tree
from pgiostat.analysis.fixes.index_choice import wanted_index
from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.fixes.writes import LOCKS, sql_name
from pgiostat.analysis.why.index_definition import IndexColumns, index_columns, quoted
from pgiostat.statistics.definitions import Definition

__all__ = ["clustered", "find"]

LEAST_ROWS = 2.0
"""Rows per call from which on their order matters."""


def find(facts: TableFacts) -> list[Fix]:
    """Return CLUSTER by an index on the columns that the statement compares."""
    index = _index(facts)
    fix = None if index is None else clustered(facts, *index)
    return [] if fix is None else [fix]


def clustered(facts: TableFacts, name: Definition, columns: IndexColumns) -> Fix | None:
    """Return CLUSTER by an index; None if too few rows are found for their order to matter.

    Args:
        facts: The statement and the table.
        name: The index.
        columns: Its columns.
    """
    rows, per_page = facts.found_per_call(), facts.rows_per_page
    if rows is None or rows < LEAST_ROWS or not per_page:
        return None
    table, own = facts.table, facts.evidence.after.touched_per_call
    part = facts.touched_per_call
    others = own - part if own is not None and part is not None else 0.0
    tree = _tree(facts, name, columns)
    blocks = tree.height + (rows - 1) / tree.per_leaf + adjacent_pages(rows, per_page)
    costs = [LOCKS.format(table.name), "new rows are not kept in this order: repeat it"]
    if table.shared_with:
        costs.append(
            f"{len(table.shared_with)} other statements of {table.name} may touch more blocks: the"
            " rows of each other index move apart"
        )
    prediction = Prediction(
        others + blocks - 1, others + blocks, others + blocks + 1, Grounds.LAYOUT
    )
    return Fix(
        FixKind.CLUSTER,
        f"rows of {table.name} in the order of index {name.name}",
        (
            f"CLUSTER {sql_name(table)} USING {quoted(name.name)};",
            f"ANALYZE {sql_name(table)};",
        ),
        prediction,
        costs=tuple(costs),
        columns=columns.keys,
        table=table.name,
    ).bounded(own)


def _tree(facts: TableFacts, index: Definition, columns: IndexColumns) -> BTree:
    """Return the shape of an index.

    The server knows its size, if it was in use; duplicates make it smaller than its columns tell.
    """
    known = [each for each in facts.table.columns if each.name in columns.keys]
    tree = b_tree(facts.rows, known, (), facts.table.after.block_size)
    for each in facts.table.after.indexes:
        if each.indexrelid == index.oid and each.relpages > 1 and each.reltuples:
            return BTree(each.relpages, tree.fanout, each.reltuples / each.relpages)
    return tree


def _index(facts: TableFacts) -> tuple[Definition, IndexColumns] | None:
    """Return a whole B-tree that begins with a column that the statement compares."""
    access = facts.access
    wanted = wanted_index(facts.table, access) if access is not None else None
    if wanted is None:
        return None
    points = {*wanted.names[: wanted.points]} or {*wanted.names[:1]}
    found = [
        (each, columns)
        for each in facts.table.indexes_after
        if each.text is not None
        and each.detail != "invalid"
        and (columns := index_columns(each)) is not None
        and columns.method == "btree"
        and not columns.is_partial
        and {*columns.keys[: len(points)]} == points
    ]
    return next(iter(found), None)
