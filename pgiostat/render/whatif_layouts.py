"""Supposed indexes and orders of rows in the report of what if."""

from collections.abc import Iterator, Sequence
from typing import Any

from pgiostat.analysis.why.index_definition import quoted
from pgiostat.render.document import Table, TableColumn
from pgiostat.render.ledger import displayed
from pgiostat.reports.whatif_layouts import LayoutEffect, StatementEffect
from pgiostat.units import format_bytes, format_count

__all__ = ["layout_in_words", "layout_object", "layout_sentences", "layout_tables"]


def layout_in_words(effect: LayoutEffect) -> str:
    """Return a layout as part of a sentence."""
    layout = effect.layout
    if layout.index:
        return f"with rows of {displayed(effect.table)} in the order of {displayed(layout.index)}"
    columns = ", ".join(map(quoted, layout.columns))
    return f"with an index on {displayed(effect.table)} ({displayed(columns)})"


def layout_sentences(effects: Sequence[LayoutEffect]) -> Iterator[str]:
    """Yield what each layout does, what it costs, and which statements have no prediction."""
    for effect in effects:
        predicted = [each for each in effect.statements if each.factors is not None]
        name = layout_in_words(effect).removeprefix("with ")
        if not predicted:
            yield f"{name}: no statement is known to use it"
        if (fix := effect.fix) is not None:
            yield from (displayed(statement) for statement in fix.statements)
            if fix.size_bytes is not None:
                yield f"the index takes at most {format_bytes(float(fix.size_bytes))}"
            yield from map(displayed, fix.costs)
        for each in effect.statements:
            if each.factors is None:
                yield (
                    f"not predicted, counted as it is now: {each.key} {displayed(each.text)}:"
                    f" {each.fix.unpredicted}"
                )
        if effect.others:
            statements = "statement touches" if effect.others == 1 else "statements touch"
            yield f"{effect.others} other {statements} as many blocks of {effect.table} as now"


def layout_tables(effects: Sequence[LayoutEffect]) -> list[Table]:
    """Return a table of the blocks per call of each statement with a prediction."""
    rows = [
        (each.text, each.calls_per_s, *_blocks(each))
        for effect in effects
        for each in effect.statements
        if each.factors is not None
    ]
    if not rows:
        return []
    columns = [
        TableColumn("statement", most=28),
        TableColumn("calls/s", right=True, format=format_count),
        TableColumn("blocks/call", right=True, format=format_count),
        TableColumn("expected", right=True, format=format_count),
        TableColumn("at least", right=True, format=format_count),
        TableColumn("at most", right=True, format=format_count),
    ]
    cells = [[displayed(text), *numbers] for text, *numbers in rows]
    return [Table(columns, cells, apart=True)]


def _blocks(each: StatementEffect) -> tuple[float | None, float | None, float | None, float | None]:
    """Return blocks per call: now, expected, at least, at most."""
    found = each.fix.prediction
    if found is None:
        return each.touched_per_call, None, None, None
    return each.touched_per_call, found.point, found.low, found.high


def layout_object(effect: LayoutEffect) -> dict[str, Any]:
    """Return a layout as an object."""
    fix = effect.fix
    return {
        "option": effect.layout.option,
        "table": effect.table,
        "run": list(fix.statements) if fix is not None else [],
        "size_bytes": fix.size_bytes if fix is not None else None,
        "costs": list(fix.costs) if fix is not None else [],
        "statements": [_statement(each) for each in effect.statements],
        "unchanged_statements": effect.others,
    }


def _statement(each: StatementEffect) -> dict[str, Any]:
    now, expected, low, high = _blocks(each)
    return {
        "fingerprint": each.key,
        "statement": each.text,
        "calls_per_s": each.calls_per_s,
        "touched_per_call": now,
        "expected": expected,
        "at_least": low,
        "at_most": high,
        "unpredicted": each.fix.unpredicted or None,
    }
