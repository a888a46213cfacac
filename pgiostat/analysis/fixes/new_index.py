"""An index that a statement can use, or why no index helps it."""

from pgiostat.analysis.fixes.btree import BTree, adjacent_pages, b_tree
from pgiostat.analysis.fixes.index_choice import WantedIndex, serving_index, wanted_index
from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.fixes.writes import index_costs, sql_name
from pgiostat.analysis.why.index_definition import quoted
from pgiostat.units import format_counted

__all__ = ["find", "index_on"]

_MAP = 1
"""The block of the visibility map that an index-only scan touches."""
_CLOSE = 0.2
"""Share of the blocks by which the range may differ if one figure is to stand for it."""
_DISTINCT_WIDTH = 8
_UNKNOWN = "how many rows a call finds is not known from counters"


def find(facts: TableFacts) -> list[Fix]:
    """Return the index that the statement needs; a sentence if no index helps."""
    access = facts.access
    wanted = wanted_index(facts.table, access) if access is not None else None
    if access is None or wanted is None:
        return []
    if (served := serving_index(facts.table, wanted)) is not None:
        return [_no_index(facts, wanted, served.name)] if _reads_its_rows(facts, wanted) else []
    return [index_on(facts, wanted)]


def _reads_its_rows(facts: TableFacts, wanted: WantedIndex) -> bool:
    """Return whether the statement uses an index and touches what its rows take."""
    return facts.used_index is not None and not wanted.gives_order


def _no_index(facts: TableFacts, wanted: WantedIndex, name: str) -> Fix:
    found = facts.found_per_call()
    rows = "the rows" if found is None else f"the {format_counted(round(found), 'row')}"
    columns = ", ".join(wanted.names)
    return Fix(
        FixKind.FEWER_ROWS,
        f"no index helps: {name} is on {columns} already, and {rows} that a call finds"
        f" {'lies' if found == 1 else 'lie'} in these blocks",
        unpredicted="it depends on how many of these rows the application needs",
        table=facts.table.name,
    )


def index_on(facts: TableFacts, wanted: WantedIndex) -> Fix:
    """Return the fix of a new index, with its prediction, size and costs."""
    table = facts.table
    keys = ", ".join(map(quoted, wanted.names))
    include = ", ".join(quoted(each.name) for each in wanted.included)
    carried = f" INCLUDE ({include})" if include else ""
    block_size = table.after.block_size
    tree = b_tree(facts.rows, wanted.keys, wanted.included, block_size)
    prediction = _prediction(facts, wanted, tree)
    return Fix(
        FixKind.CREATE_INDEX,
        f"an index on {table.name} ({keys}){carried}",
        (f"CREATE INDEX CONCURRENTLY ON {sql_name(table)} ({keys}){carried};",),
        prediction,
        "" if prediction else _UNKNOWN,
        tree.pages * block_size if facts.rows else None,
        index_costs(table, [each.name for each in wanted.columns]),
        wanted.names,
        table.name,
    ).bounded(facts.evidence.after.touched_per_call)


def _prediction(facts: TableFacts, wanted: WantedIndex, tree: BTree) -> Prediction | None:
    access, own = facts.access, facts.evidence.after
    if access is None or not facts.rows or own.touched_per_call is None:
        return None
    part = facts.touched_per_call
    others = own.touched_per_call - part if part is not None else 0.0
    levels = float(tree.height)
    if wanted.gives_order and access.extreme:
        # The highest value was often written just now: its row is not yet visible to all.
        found = others + levels + _MAP + _is_written(facts)
        return Prediction(others + levels, found, found + 1, Grounds.INDEX)
    rows = facts.found_per_call(wanted)
    if rows is None:
        return None
    low, high = (
        others + levels + tree.leaves_of(rows, repeated=repeated)
        for repeated in (_may_repeat(wanted), False)
    )
    if wanted.is_covering:
        return _range(low + _MAP, high + _MAP, _MAP)
    least = adjacent_pages(rows, facts.rows_per_page or 1.0)
    most = min(rows, float(facts.table.pages))
    if wanted.gives_order and access.limit:
        least = _newest_pages(facts, rows)
    elif facts.used_index is not None and (blocks := facts.blocks_of(rows)):
        least = most = min(max(blocks, least), most)
    return _range(low + min(least, most), high + most, 1)


def _is_written(facts: TableFacts) -> bool:
    """Return whether rows of the table are inserted or updated."""
    after = facts.table.after
    return bool(after.count("n_tup_ins") or after.count("n_tup_upd"))


def _newest_pages(facts: TableFacts, rows: float) -> float:
    """Return the blocks of rows that follow each other in the order, if that is the table's own.

    Between two of them lie the rows of other keys.
    """
    found, per_page = facts.found_per_call() or rows, facts.rows_per_page or 1.0
    apart = min(facts.rows / max(found, 1.0) / per_page, 1.0)
    return 1 + max(rows - 1, 0.0) * apart


def _may_repeat(wanted: WantedIndex) -> bool:
    """Return whether entries may repeat; large numbers and times are assumed to differ."""
    return not wanted.included and wanted.keys[-1].width < _DISTINCT_WIDTH


def _range(low: float, high: float, more: float) -> Prediction:
    """Return a prediction of what is known but for a range, and one block more or less.

    It has a point only if the range is narrow.
    """
    point = high if high - low <= _CLOSE * high else None
    return Prediction(max(low - more, 1.0), point, high + more, Grounds.INDEX)
