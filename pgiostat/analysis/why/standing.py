"""What one window shows by itself, without a window to compare it with.

Counters alone tell few causes for certain without a past; others look alike.
"""

from dataclasses import replace

from pgiostat.analysis.relation_activity import TableActivity
from pgiostat.analysis.why import dead_rows, foreign_key, spill, toast
from pgiostat.analysis.why.evidence import StatementEvidence, TableEvidence, Usage
from pgiostat.analysis.why.finding import Cause, CauseFinding, Certainty, Figure
from pgiostat.analysis.why.index_definition import index_columns
from pgiostat.analysis.why.terms import LEAST_CALLS
from pgiostat.units import format_count, format_counted

__all__ = ["find"]

LEAST_DEAD = 0.25
LEAST_TEMP = 5.0
LEAST_ROWS, LEAST_BLOCKS_PER_ROW, LEAST_ROWS_APART = 15.0, 0.3, 5.0
LEAST_PAGES = 100
LEAST_OF_TOUCHED = 0.5
LEAST_SCANS, LEAST_OF_TABLE = 0.3, 0.5


def find(evidence: StatementEvidence) -> tuple[CauseFinding, ...]:
    """Return the causes that the window after shows by itself."""
    if evidence.after.calls < LEAST_CALLS:
        return ()
    alone = replace(
        evidence,
        before=Usage(evidence.after.seconds),
        tables=tuple(replace(each, before=_nothing(each)) for each in evidence.tables),
        server=replace(evidence.server, settings=()),
    )
    finders = (foreign_key.find, toast.find, _dead_rows, _no_index, _scattered_rows, _spill)
    return tuple(found for each in finders if (found := each(alone)) is not None)


def _nothing(table: TableEvidence) -> TableActivity:
    return replace(table.after, counts={}, newest={}, indexes=(), toast=None)


def _dead_rows(evidence: StatementEvidence) -> CauseFinding | None:
    dead = [each for each in evidence.own_tables if (each.after.dead_share or 0.0) >= LEAST_DEAD]
    return dead_rows.find(replace(evidence, tables=tuple(dead))) if dead else None


def _spill(evidence: StatementEvidence) -> CauseFinding | None:
    return spill.find(evidence) if (evidence.after.temp_per_call or 0.0) >= LEAST_TEMP else None


def _no_index(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if the only table is scanned and no index is on a compared column."""
    tables = evidence.own_tables
    if len(tables) != 1 or tables[0].pages < LEAST_PAGES:
        return None
    (table,) = tables
    compared = {name for each in table.accesses for name in each.points | each.ranges}
    leading = {columns.keys[0] for each in table.indexes_after if (columns := index_columns(each))}
    _, scans = evidence.seq_scans_per_call(table)
    touched = evidence.after.touched_per_call or 0.0
    if not compared or compared & leading or scans < LEAST_SCANS:
        return None
    if touched < LEAST_OF_TABLE * table.pages:
        return None
    names = " or ".join(sorted(compared))
    return CauseFinding(
        Cause.SEQUENTIAL_SCAN,
        Certainty.LIKELY if table.shared_with else Certainty.CERTAIN,
        (f"{table.name} is scanned sequentially: no index begins with {names}",),
        (
            Figure(f"sequential scans of {table.name} per call", None, scans),
            Figure(f"size of {table.name} in blocks", None, table.pages),
        ),
        table=table.name,
    )


def _scattered_rows(evidence: StatementEvidence) -> CauseFinding | None:
    """Return the finding, if the rows of a scan lie in many more blocks than they fill."""
    for table in evidence.own_tables:
        after, live = table.after, table.after.live_rows
        per_scan, per_row = after.rows_per_idx_scan, after.blocks_per_row
        if not live or table.pages < LEAST_PAGES or per_scan is None or per_row is None:
            continue
        rows_per_page = live / table.pages
        bar = max(LEAST_BLOCKS_PER_ROW, LEAST_ROWS_APART / rows_per_page)
        mostly_index = after.count("seq_tup_read") <= after.idx_tup_fetch
        if per_scan < LEAST_ROWS or per_row < bar or not mostly_index:
            continue
        _, heap = evidence.per_call(table, lambda each: each.heap_touched)
        if heap < LEAST_OF_TOUCHED * (evidence.after.touched_per_call or 0.0):
            continue  # most of what a call touches is of another table
        return CauseFinding(
            Cause.SCATTERED_ROWS,
            Certainty.LIKELY,
            (
                (
                    f"rows of {table.name} that a call needs are scattered: {per_row:.2f} blocks"
                    f" for each row, {1 / rows_per_page:.3f} if they lay together"
                ),
                (
                    f"a call touches {format_count(evidence.after.touched_per_call)} blocks and"
                    f" returns {format_counted(evidence.after.rows_per_call or 0, 'row')}"
                ),
            ),
            (
                Figure(f"rows of {table.name} fetched per index scan", None, per_scan),
                Figure(f"blocks of {table.name} per row", None, per_row),
            ),
            table=table.name,
        )
    return None
