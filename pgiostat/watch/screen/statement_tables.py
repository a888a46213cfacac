"""The tables of a statement on its page: what they and their indexes did, and who shares them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.cells import cell_len

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import By, Totals
from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.escape import terminal
from pgiostat.render.document import TableColumn
from pgiostat.render.table import Cell, Line, lay, wrapped
from pgiostat.statistics.definitions import Definition, Kind
from pgiostat.statistics.names import Names
from pgiostat.units import (
    UNKNOWN,
    format_count,
    format_counted,
    format_duration,
    format_share,
)
from pgiostat.watch.model.relation_reads import relation_reads
from pgiostat.watch.model.table_counts import SessionTables, TableFigures
from pgiostat.watch.screen.rows import Measure, ReadOf, shown_read
from pgiostat.watch.screen.table_columns import TABLE_MEASURES, Part, TableValues, times_of
from pgiostat.watch.state import RowKey

__all__ = ["IndexLines", "StatementTables", "TableLines", "table_lines", "tables_of_statement"]

MOST_TABLES, MOST_INDEXES = 6, 8
NEARLY_ALL = 0.9995
"""Shares from which a rest is not worth a word."""
LEAST_NUMBER, LEAST_NAME = 8, 21
INDENT = "  "
UNKNOWN_DEAD = f"dead rows {UNKNOWN}"
_SHOWN = ("seq_scans_per_s", "idx_scans_per_s", "rows_per_scan", "size_bytes", "blocks_per_row")


@dataclass(frozen=True, slots=True)
class IndexLines:
    """An index: its name, what it did, and its definition; empty if that was not read."""

    name: str
    activity: IndexActivity | None
    definition: str


@dataclass(frozen=True, slots=True)
class TableLines:
    """A table of a statement.

    Attributes:
        name: With its schema.
        read: The statement's share of its reads.
        statements: How many entries name it and ran in this time, this one included.
        explained: The share of its reads that these entries explain; None if nothing was read.
        activity: What it did; None if that is unknown.
        last_vacuum: When VACUUM or autovacuum last ended; None if neither is known to have run.
        last_analyze: The same of ANALYZE.
        indexes: Its indexes.
    """

    name: str
    read: ReadOf
    statements: int
    explained: float | None
    activity: TableActivity | None
    last_vacuum: datetime | None
    last_analyze: datetime | None
    indexes: tuple[IndexLines, ...]


@dataclass(frozen=True, slots=True)
class StatementTables:
    """The tables of a statement, those of which it read most first.

    Attributes:
        tables: The tables, at most MOST_TABLES.
        left: How many more there are.
        explained: The share of the statement's reads that its tables explain; None if it read none.
        times: Over which time their numbers are.
        block_size: Bytes of a block.
        now: The end of the newest interval; None if there is none.
    """

    tables: tuple[TableLines, ...] = ()
    left: int = 0
    explained: float | None = None
    times: str = ""
    block_size: int = 0
    now: datetime | None = None


def tables_of_statement(
    counted: Totals | None,
    counts: SessionTables,
    names: Names,
    key: RowKey,
    dbname: str,
    *,
    whole: bool,
    now: datetime | None,
) -> StatementTables:
    """Return the tables that a statement names, with their indexes.

    Args:
        counted: Reads of statements and tables over the same time.
        counts: What tables and indexes counted.
        names: The meaning of ids.
        key: The row of the statement, an entry of pg_stat_statements.
        dbname: The connected database.
        whole: Since the baseline.
        now: The end of the newest interval.
    """
    if counted is None:
        return StatementTables()
    reads = relation_reads(counted, names, By.STATEMENT, dbname)
    found = sorted(reads.by_statement.get(key, {}).items(), key=lambda each: -each[1].blocks)
    oids = [table for table, _ in found]
    figures = counts.figures(oids, names, whole=whole, block_size=counted.block_size)
    lines = []
    for table, each in found[:MOST_TABLES]:
        activity = None if figures is None else figures.tables.get(table)
        newest = {} if activity is None else activity.newest
        lines.append(
            TableLines(
                names.shown_relation(table),
                ReadOf(reads.share(table, each), each.is_known),
                len(reads.of_table(table)),
                reads.explained(table),
                activity,
                _last(newest.get("last_vacuum"), newest.get("last_autovacuum")),
                _last(newest.get("last_analyze"), newest.get("last_autoanalyze")),
                _indexes(table, counts, figures, names),
            )
        )
    times = times_of(counted.seconds, figures, whole=whole, is_shared=True)
    left = max(len(found) - MOST_TABLES, 0)
    explained = reads.of_statement(key)
    return StatementTables(tuple(lines), left, explained, times, counted.block_size, now)


def _indexes(
    table: int, counts: SessionTables, figures: TableFigures | None, names: Names
) -> tuple[IndexLines, ...]:
    """Return the indexes of a table: those that did something, and all that are defined."""
    defined: dict[int, Definition] = {}
    if counts.news is not None:
        for each in counts.news.definitions.values():
            if each.kind == Kind.INDEX and each.owner == table and each.text is not None:
                defined[each.oid] = each
    active = {} if figures is None else figures.indexes
    oids = {oid for oid, each in active.items() if each.relid == table} | defined.keys()
    lines = [
        IndexLines(
            defined[oid].name if oid in defined else names.index_names.get(oid, f"index {oid}"),
            active.get(oid),
            (defined[oid].text or "") if oid in defined else "",
        )
        for oid in oids
    ]
    return tuple(sorted(lines, key=_most_used))


def _most_used(line: IndexLines) -> tuple[int, int, str]:
    activity = line.activity
    if activity is None:
        return (0, 0, line.name)
    return (-activity.blks_read, -activity.idx_scan, line.name)


def _last(*times: object) -> datetime | None:
    """Return the newest time; numpy's have no time zone and are in UTC."""
    known = [each for each in times if isinstance(each, datetime)]
    aware = [each if each.tzinfo else each.replace(tzinfo=UTC) for each in known]
    return max(aware, default=None)


def table_lines(found: StatementTables, width: int) -> list[Line]:
    """Return the tables of a statement as lines; none without a table."""
    if not found.tables:
        return []
    is_known = any(each.activity is not None for each in found.tables)
    measures = [each for each in TABLE_MEASURES if is_known and each.name in _SHOWN]
    cells: list[list[Cell]] = []
    below: list[list[Line]] = []
    for table in found.tables:
        cells.append(_cells(table.name, shown_read(table.read), table.activity, found, measures))
        below.append(_paragraph(_remarks(table, found.now), 1, width))
        for index in table.indexes[:MOST_INDEXES]:
            cells.append(_cells(f"{INDENT}{index.name}", "", index.activity, found, measures))
            below.append(_paragraph(index.definition, 2, width))
        if len(table.indexes) > MOST_INDEXES:
            left = len(table.indexes) - MOST_INDEXES
            words = "1 more index" if left == 1 else f"{left} more indexes"
            below[-1] = [*below[-1], *_paragraph(f"and {words}", 1, width)]
    headings, *rows = lay(list(_columns(measures, _name_width(cells, width))), cells, width)
    lines = _paragraph(f"tables of the statement: {found.times}", 0, width)
    lines.append([(text, "bold") for text, _ in headings])
    for row, more in zip(rows, below, strict=True):
        lines += [row, *more]
    return [*lines, *_paragraph(_rest(found), 0, width)]


def _rest(found: StatementTables) -> str:
    """Return what the tables above leave: further tables, and reads of the statement elsewhere."""
    words = [f"and {format_counted(found.left, 'more table')}"] * (found.left > 0)
    if found.explained is not None and found.explained < NEARLY_ALL:
        share = format_share(1.0 - found.explained)
        words.append(f"{share} of the statement's reads are of no table that its text names")
    return "; ".join(words)


def _name_width(cells: list[list[Cell]], width: int) -> int:
    """Return the width of the names: columns of numbers give way to them."""
    longest = max(cell_len(row[0][0]) for row in cells)
    return min(max(longest, LEAST_NAME), max(width // 2 - LEAST_NUMBER, LEAST_NAME))


def _columns(measures: list[Measure], name: int) -> Iterator[TableColumn]:
    yield TableColumn("table and its indexes", least=name, most=name)
    yield TableColumn("of its reads", right=True)
    if measures:
        yield TableColumn("blocks/s", right=True, least=LEAST_NUMBER)
    for measure in measures:
        yield TableColumn(measure.heading, right=True, least=LEAST_NUMBER, optional=True)


def _cells(
    name: str, read: str, part: Part, found: StatementTables, measures: list[Measure]
) -> list[Cell]:
    style = "dim" if name.startswith(INDENT) else ""
    values = TableValues(ReadCost(0.0, found.block_size), part)
    is_index = bool(style)
    numbers = [
        measure.shown(values[measure.name])
        if measure.name in values and not (part is None and is_index)
        else ""
        for measure in measures
    ]
    rate = [format_count(None if part is None else part.blocks_per_s)] if measures else []
    return [(each, style) for each in (terminal(name), read, *rate, *numbers)]


def _remarks(table: TableLines, now: datetime | None) -> str:
    """Return what belongs to no column: who shares the table, dead rows, vacuum and analyze."""
    others = table.statements - 1
    shared = "no other statement names it"
    if others:
        shared = f"shared with {format_counted(others, 'other entry')} of pg_stat_statements"
    shared += _shares(table)
    if table.activity is None:
        return shared
    if others:
        shared += "; scans and rows are of all"
    dead, share = table.activity.dead_rows, table.activity.dead_share
    words = [
        shared,
        UNKNOWN_DEAD
        if dead is None
        else f"{format_counted(dead, 'dead row')} ({format_share(share)})",
        f"vacuum {_ago(table.last_vacuum, now)}",
        f"analyze {_ago(table.last_analyze, now)}",
    ]
    return "; ".join(words)


def _shares(table: TableLines) -> str:
    """Return the shares of a table's reads that this statement does not have."""
    own, explained = table.read.share, table.explained
    if own is None or explained is None:
        return ""
    others, rest = max(explained - own, 0.0), 1.0 - explained
    words = [f"{format_share(others)} of its reads"] * (table.statements > 1)
    words += [f"{format_share(rest)} not explained"] * (rest > 1.0 - NEARLY_ALL)
    return f" ({', '.join(words)})" if words else ""


def _ago(then: datetime | None, now: datetime | None) -> str:
    if then is None:
        return "never"
    if now is None:
        return UNKNOWN
    return f"{format_duration(max((now - then).total_seconds(), 0.0))} ago"


def _paragraph(text: str, depth: int, width: int) -> list[Line]:
    indent = INDENT * depth
    return [[(indent, ""), (line, "dim")] for line in wrapped(terminal(text), width - len(indent))]
