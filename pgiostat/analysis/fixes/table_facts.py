"""What the fixes of a statement are computed from: its rows and blocks of one table."""

from dataclasses import dataclass

from pgiostat.analysis.fixes.index_choice import WantedIndex
from pgiostat.analysis.relation_activity import IndexActivity
from pgiostat.analysis.why.access import TableAccess
from pgiostat.analysis.why.evidence import StatementEvidence, TableEvidence
from pgiostat.analysis.why.index_definition import index_columns

__all__ = ["TableFacts", "table_facts"]

LEAST_SCANS = 0.3
"""Scans per call from which on an index counts as used by the statement."""
LEAST_APART = 0.3
"""Blocks per row from which on rows count as scattered."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table of a statement, in the window after.

    Attributes:
        evidence: The statement.
        table: The table.
        access: How the statement accesses it; None if its text does not tell.
    """

    evidence: StatementEvidence
    table: TableEvidence
    access: TableAccess | None

    @property
    def rows(self) -> int:
        """Rows of the table, as of its last VACUUM or ANALYZE."""
        return self.table.after.live_rows or self.table.whole.live_rows or 0

    @property
    def rows_per_page(self) -> float | None:
        """Rows of a block; None for an empty table."""
        return self.rows / self.table.pages if self.table.pages and self.rows else None

    @property
    def is_alone(self) -> bool:
        """Whether the statement names only this table, and no other statement uses it."""
        return len(self.evidence.own_tables) == 1 and not self.table.shared_with

    @property
    def touched_per_call(self) -> float | None:
        """Blocks of the table and its indexes that a call touches, at most; None if unknown."""
        own = self.evidence.after.touched_per_call
        if own is None or len(self.evidence.own_tables) == 1:
            return own
        _, of_table = self.evidence.per_call(self.table, lambda each: each.touched)
        return min(own, of_table)

    @property
    def used_index(self) -> IndexActivity | None:
        """The index that the statement reads most entries of; None if it uses none."""
        used = [
            each
            for each in self.table.after.indexes
            if self.scans_per_call(each) >= LEAST_SCANS and self._may_use(each)
        ]
        return max(used, key=lambda each: each.idx_tup_read, default=None)

    def _may_use(self, index: IndexActivity) -> bool:
        """Return whether the first column of an index is one that the statement compares."""
        definition = next(
            (each for each in self.table.indexes_after if each.oid == index.indexrelid), None
        )
        columns = index_columns(definition) if definition is not None else None
        if columns is None or self.access is None:
            return True
        searched = self.access.points | self.access.ranges | {*self.access.order_by}
        return columns.keys[0] in searched

    def scans_per_call(self, index: IndexActivity) -> float:
        """Return the scans of an index for each call; others may scan it too."""
        calls = self.evidence.after.calls_per_s
        return (index.scans_per_s or 0.0) / calls if calls else 0.0

    def found_per_call(self, wanted: WantedIndex | None = None) -> float | None:
        """Return the rows of the table that the conditions of a call find; None if unknown.

        Args:
            wanted: An index to be made; with it only conditions on its columns count.
        """
        access, calls = self.access, self.evidence.after.calls
        if access is None or not calls:
            return None
        returned = self.evidence.after.rows_per_call
        if wanted is not None and wanted.gives_order and access.limit:
            return returned
        if (scattered := self._scattered_rows()) is not None:
            return scattered
        index = self.used_index
        if index is not None and index.idx_scan:
            definition = next(
                (each for each in self.table.indexes_after if each.oid == index.indexrelid), None
            )
            columns = index_columns(definition) if definition is not None else None
            if columns is not None and {*columns.keys} & access.points:
                return index.idx_tup_read / index.idx_scan * self._scans(index)
        if not access.is_reduced and not access.limit and len(self.evidence.own_tables) == 1:
            return returned
        return None

    def blocks_of(self, rows: float) -> float | None:
        """Return the blocks of the table that a call touches for some rows; None if unknown.

        Sequential scans of others fetch many rows of each block: then the counters of the table
        do not tell, and the blocks of the statement are an upper bound.
        """
        if not self.table.after.count("seq_scan"):
            per_row = self.table.after.blocks_per_row
            return None if per_row is None else rows * per_row
        return self.touched_per_call if len(self.evidence.own_tables) == 1 else None

    def _scattered_rows(self) -> float | None:
        """Return the rows that the blocks of a call hold, if each lies in a block of its own.

        The counters of the table are those of all its statements; the blocks of a call are its own.
        """
        touched, per_row = self.evidence.after.touched_per_call, self.table.after.blocks_per_row
        alone = len(self.evidence.own_tables) == 1
        index = self.used_index
        if not alone or touched is None or per_row is None or index is None:
            return None
        if per_row < LEAST_APART or self.table.after.count("seq_scan"):
            return None
        entries = index.idx_tup_read
        per_entry = (index.blks_read + index.blks_hit) / entries if entries else 0.0
        return touched / (per_row + per_entry)

    def _scans(self, index: IndexActivity) -> float:
        """Return the scans of an index by this statement: one, unless it has the table alone."""
        return max(self.scans_per_call(index), 1.0) if self.is_alone else 1.0


def table_facts(evidence: StatementEvidence, name: str) -> TableFacts | None:
    """Return the facts of a table of a statement by name; of its largest one if empty."""
    tables = [each for each in evidence.tables if each.name == name]
    own = sorted(evidence.own_tables, key=lambda each: -each.after.touched)
    table = next(iter(tables or (own if not name else [])), None)
    if table is None:
        return None
    return TableFacts(evidence, table, next(iter(table.accesses), None))
