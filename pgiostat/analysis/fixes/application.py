"""What only the application can change: its columns, rows, calls, and the time of its reports."""

from collections.abc import Sequence

from pgiostat.analysis.fixes.btree import b_tree
from pgiostat.analysis.fixes.model import Fix, FixKind, Grounds, Prediction
from pgiostat.analysis.fixes.past import past
from pgiostat.analysis.fixes.table_facts import TableFacts
from pgiostat.analysis.why.access import Column
from pgiostat.analysis.why.index_definition import quoted
from pgiostat.units import per_second

__all__ = ["after_calls", "after_pruning", "after_rows", "after_toast", "summary_table"]

_SUMMARY = "{}_latest"
_SPLIT = 1.4
"""Leaf blocks of an index that rows are inserted into, for each of one that is built at once."""
_BYTES_OF_ROW, _FILLED = 44, 0.7
"""Bytes of a row of two or three numbers, and the share of a block that is filled."""


def after_calls(facts: TableFacts) -> list[Fix]:
    """Return fewer calls: each reads as much as before."""
    before, after = facts.evidence.before, facts.evidence.after
    touched = after.touched_per_call
    if touched is None:
        return []
    return [
        Fix(
            FixKind.FEWER_CALLS,
            f"{before.calls_per_s:,.1f} calls per second as before instead of"
            f" {after.calls_per_s:,.1f}: look at what calls it, or keep its result",
            prediction=Prediction(touched, touched, touched, Grounds.PAST),
            calls=min(before.calls_per_s / after.calls_per_s, 1.0),
        )
    ]


def after_rows(facts: TableFacts) -> list[Fix]:
    """Return fewer rows for each call."""
    prediction, why = past(facts.evidence, Grounds.PAST)
    return [
        Fix(
            FixKind.FEWER_ROWS,
            "fewer rows for each call: LIMIT, or a range of keys for each page",
            prediction=prediction,
            unpredicted=why,
        )
    ]


def after_toast(facts: TableFacts) -> list[Fix]:
    """Return the statement without its large values."""
    own, table = facts.evidence.after, facts.table
    toast = table.after.toast
    if own.touched_per_call is None or toast is None or not own.calls_per_s:
        return []
    stored = (per_second(toast.touched, toast.seconds) or 0.0) / own.calls_per_s
    rest = max(own.touched_per_call - stored, 0.0)
    prediction = Prediction(rest, rest, rest, Grounds.PART, at_best=bool(table.shared_with))
    return [
        Fix(
            FixKind.FEWER_COLUMNS,
            f"large columns of {table.name} left out where they are not needed",
            prediction=prediction,
            table=table.name,
        )
    ]


def after_pruning(facts: TableFacts) -> list[Fix]:
    """Return a condition on the partition key."""
    prediction, why = past(facts.evidence, Grounds.PAST)
    return [
        Fix(
            FixKind.PARTITION_KEY,
            "a condition on the partition key that the planner can use: a parameter of the same"
            " type, without a function or cast around the key",
            prediction=prediction,
            unpredicted=why,
        )
    ]


def summary_table(facts: TableFacts) -> list[Fix]:
    """Return a table that keeps the highest value of each key, for a statement that returns it."""
    access, own = facts.access, facts.evidence.after.touched_per_call
    if access is None or not access.extreme or not access.equal or own is None:
        return []
    columns = {each.name: each.type for each in facts.table.columns}
    keys = sorted(access.equal, key=lambda name: [*columns].index(name) if name in columns else 0)
    if not {*keys, access.extreme} <= columns.keys():
        return []
    name = quoted(_SUMMARY.format(facts.table.name.rpartition(".")[2]))
    listed = ", ".join(map(quoted, keys))
    types = ", ".join(f"{quoted(key)} {columns[key]}" for key in (*keys, access.extreme))
    return [
        Fix(
            FixKind.SUMMARY_TABLE,
            f"a table with {access.extreme} of each ({listed}), kept by the statements that write"
            f" {facts.table.name}: each call looks up one row",
            (f"CREATE TABLE {name} ({types}, PRIMARY KEY ({listed})) WITH (fillfactor = 70);",),
            _lookup(facts, [each for each in facts.table.columns if each.name in keys]),
            costs=(f"each write to {facts.table.name} updates a row of it",),
            columns=(*keys, access.extreme),
            table=facts.table.name,
        ).bounded(own)
    ]


def _lookup(facts: TableFacts, keys: Sequence[Column]) -> Prediction:
    """Return the blocks that a lookup in a table with one row for each key touches."""
    found = facts.found_per_call() or 1.0
    kept = max(facts.rows / max(found, 1.0), 1.0)
    block_size = facts.table.after.block_size
    if kept * _BYTES_OF_ROW / _FILLED < block_size:
        return Prediction(1.0, 1.0, 3.0, Grounds.INDEX)  # one block, which is scanned
    levels = float(b_tree(_SPLIT * kept, keys, (), block_size).height)
    return Prediction(levels, levels + 1, levels + 2, Grounds.INDEX)
