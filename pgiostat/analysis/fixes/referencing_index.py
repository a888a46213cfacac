"""An index on the referencing columns of a foreign key."""

from dataclasses import replace

from pgiostat.analysis.fixes.btree import b_tree
from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.fixes.writes import index_costs, sql_name
from pgiostat.analysis.why.access import Column
from pgiostat.analysis.why.index_definition import quoted

__all__ = ["find"]


def find(facts: TableFacts) -> list[Fix]:
    """Return the index that the checks of a foreign key need."""
    table = facts.table
    if not table.foreign_key_columns:
        return []
    known = {each.name: each for each in table.columns}
    columns = [known.get(name, Column(name, "")) for name in table.foreign_key_columns]
    keys = ", ".join(map(quoted, table.foreign_key_columns))
    tree = b_tree(facts.rows, columns, (), table.after.block_size)
    fix = Fix(
        FixKind.CREATE_INDEX,
        f"an index on {table.name} ({keys}), for the checks of {table.foreign_key}",
        (f"CREATE INDEX CONCURRENTLY ON {sql_name(table)} ({keys});",),
        size_bytes=tree.pages * table.after.block_size if facts.rows else None,
        costs=index_costs(table, table.foreign_key_columns),
        columns=table.foreign_key_columns,
        table=table.name,
    )
    own = facts.evidence.after.touched_per_call
    if own is None:
        return [replace(fix, unpredicted="the statement has no calls")]
    _, checked = facts.evidence.per_call(table, lambda each: each.heap_touched)
    rest = max(own - checked, 0.0) + tree.height
    return [
        replace(fix, prediction=Prediction(rest - 1, rest, rest + 1, Grounds.PART)).bounded(own)
    ]
