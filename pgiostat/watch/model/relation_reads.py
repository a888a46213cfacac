"""Reads by table and statement in the connected database: which statements read a table."""

from collections.abc import Mapping
from dataclasses import dataclass

from pgiostat.analysis.cost import blocks_of
from pgiostat.analysis.rank import By, Totals, group_of
from pgiostat.analysis.relation_reads import AttributedReads, attribute
from pgiostat.queries.tables import resolver, tables_of
from pgiostat.statistics.names import OWN, Names, Statement

__all__ = ["RelationReads", "relation_reads"]

RowKey = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelationReads:
    """Blocks that statements read of tables.

    Attributes:
        blocks: Blocks read of each table with its indexes and TOAST table, by its oid.
        by_statement: By the key of a statement's row: what it read of each table that it touches.
        statements: Blocks that each of these statements read in all.
    """

    blocks: Mapping[int, int]
    by_statement: Mapping[RowKey, Mapping[int, AttributedReads]]
    statements: Mapping[RowKey, int]

    def of_table(self, table: int) -> dict[RowKey, AttributedReads]:
        """Return what each statement read of a table."""
        return {key: each[table] for key, each in self.by_statement.items() if table in each}

    def whole(self, table: int) -> float:
        """Return what shares of a table are of: its own count, or that of statements if larger.

        The server's processes report the blocks of a table up to ten seconds after the statement
        ended: statements may have counted what the table has not.
        """
        return max(self.blocks.get(table, 0), self._statements(table))

    def share(self, table: int, reads: AttributedReads) -> float | None:
        """Return a statement's share of a table's reads; None if nothing was read of it."""
        whole = self.whole(table)
        return reads.blocks / whole if whole else None

    def explained(self, table: int) -> float | None:
        """Return the share of a table's reads that statements explain, known or estimated."""
        whole = self.whole(table)
        return self._statements(table) / whole if whole else None

    def of_statement(self, statement: RowKey) -> float | None:
        """Return the share of a statement's reads that its tables explain; None if it read none."""
        whole = self.statements.get(statement, 0)
        found = sum(each.blocks for each in self.by_statement.get(statement, {}).values())
        return min(found / whole, 1.0) if whole else None

    def _statements(self, table: int) -> float:
        """Return what statements read of a table."""
        return sum(each.blocks for each in self.of_table(table).values())


def relation_reads(counted: Totals, names: Names, by: By, dbname: str = "") -> RelationReads:
    """Attribute the reads of tables to the statements that name them.

    Args:
        counted: The totals of a time.
        names: The meaning of their ids.
        by: By.STATEMENT or By.FINGERPRINT: what a row of statements is.
        dbname: The connected database: relations are counted in it alone. Empty if it is unknown;
            then statements of all databases are taken.
    """
    blocks: dict[int, int] = {}
    read = blocks_of(counted.relation_amounts).tolist()
    for relid, each in zip(counted.relations, read, strict=True):
        owner = names.relations.get(relid, (relid, "", "", ""))[0]
        blocks[owner] = blocks.get(owner, 0) + each
    tables = {owner: (owner, schema, name) for owner, schema, name, _ in names.relations.values()}
    find = resolver(tables.values())
    ids, statements = [], []
    amounts = blocks_of(counted.statement_amounts).tolist()
    for key, each in zip(counted.statements, amounts, strict=True):
        userid, dbid, queryid = key
        is_here = not dbname or names.databases.get(dbid, dbname) == dbname
        if queryid is None or not is_here:
            continue
        known = names.statement((userid, dbid, queryid))
        if known is not None and known.category != OWN and (touched := find(_tables(known))):
            ids.append(key)
            statements.append((each, touched))
    found: dict[RowKey, dict[int, AttributedReads]] = {}
    whole: dict[RowKey, int] = {}
    attributed = attribute(statements, blocks)
    for key, (each, _), reads in zip(ids, statements, attributed, strict=True):
        group = group_of(by, key, names)
        whole[group] = whole.get(group, 0) + each
        of_row = found.setdefault(group, {})
        for table, one in reads.items():
            before = of_row.get(table, AttributedReads(0.0, is_known=True))
            of_row[table] = AttributedReads(
                before.blocks + one.blocks, before.is_known and one.is_known
            )
    return RelationReads(blocks, found, whole)


def _tables(known: Statement) -> frozenset[str]:
    """Return the tables of a statement; categories from the cache of a history have none."""
    return tables_of(known.text) if known.tables is None else known.tables
