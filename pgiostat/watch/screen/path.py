"""Rows that belong to what was gone into: a category, a statement, a table, a fold."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pgiostat.analysis.rank import By, RankRow, Totals
from pgiostat.statistics.names import Names
from pgiostat.watch.model.relation_reads import RelationReads, relation_reads
from pgiostat.watch.screen.folding import is_catalog, is_idle
from pgiostat.watch.screen.rows import ReadOf, TableRow
from pgiostat.watch.state import Drill, Fold, RowKey, View, ViewState

__all__ = ["Touched", "belongs", "touched", "with_read"]


@dataclass(frozen=True, slots=True)
class Touched:
    """Rows of the statements of a table, or of the tables of a statement, with what was read."""

    rows: Mapping[RowKey, ReadOf]


def touched(
    state: ViewState, counted: Totals | None, names: Names, dbname: str
) -> tuple[Touched | None, float | None]:
    """Return what the step between tables and statements leads to, if the path has one.

    Args:
        state: The path.
        counted: What is ranked.
        names: What ids mean.
        dbname: The connected database, of which tables are.

    Returns:
        Rows by their keys, and the share of the reads that they explain: of the table's by its
        statements, or of the statement's by its tables.
    """
    drill = next((each for each in _steps(state) if _crosses(each, state.view)), None)
    if drill is None or counted is None:
        return None, None
    if drill.view is View.RELATION:
        table = int(drill.key[0])
        reads = relation_reads(counted, names, state.view.by or By.FINGERPRINT, dbname)
        rows = {
            key: ReadOf(reads.share(table, each), each.is_known)
            for key, each in reads.of_table(table).items()
        }
        return Touched(rows), reads.explained(table)
    reads = relation_reads(counted, names, drill.view.by or By.FINGERPRINT, dbname)
    return Touched(dict(_tables(reads, drill.key))), reads.of_statement(drill.key)


def _tables(reads: RelationReads, statement: RowKey) -> Iterator[tuple[RowKey, ReadOf]]:
    for table, each in reads.by_statement.get(statement, {}).items():
        yield (str(table),), ReadOf(reads.share(table, each), each.is_known)


def _crosses(drill: Drill, view: View) -> bool:
    """Return whether a step leads from a table to statements, or from a statement to tables."""
    if drill.fold is not None:
        return False
    return (drill.view is View.RELATION) != (view is View.RELATION)


def _steps(state: ViewState) -> Iterator[Drill]:
    """Yield the steps that restrict the rows, the last one first.

    What was before a step between tables and statements restricts no more.
    """
    for drill in reversed(state.path):
        yield drill
        if _crosses(drill, state.view):
            return


def belongs(row: TableRow, state: ViewState, touch: Touched | None) -> bool:
    """Return whether a row is of what was gone into."""
    if row.of is None:
        return True
    for drill in _steps(state):
        if drill.fold is not None:
            if not _IN_FOLD[drill.fold](row):
                return False
        elif _crosses(drill, state.view):
            if touch is None or row.key not in touch.rows:
                return False
        elif drill.view in _GROUP_OF:
            wanted = drill.name if drill.view in _BY_NAME else drill.key[0]
            if _GROUP_OF[drill.view](row.of) != wanted:
                return False
    return True


def with_read(row: TableRow, touch: Touched) -> TableRow:
    """Return a row with its share of the reads of the table that was gone into."""
    return replace(row, read_of=touch.rows.get(row.key))


def _fingerprint(row: RankRow) -> str:
    return row.fingerprint or (f"queryid {row.queryid}" if row.queryid is not None else row.key[0])


_IN_FOLD: dict[Fold, Callable[[TableRow], bool]] = {Fold.IDLE: is_idle, Fold.CATALOGS: is_catalog}
_GROUP_OF: dict[View, Callable[[RankRow], str]] = {
    View.CATEGORY: lambda of: of.category,
    View.VERB: lambda of: of.verb,
    View.TABLE: lambda of: of.table,
    View.TAG: lambda of: of.tag_group,
    View.FINGERPRINT: _fingerprint,
    View.DATABASE: lambda of: of.database,
    View.USER: lambda of: of.user,
}
_BY_NAME = frozenset({View.DATABASE, View.USER})
