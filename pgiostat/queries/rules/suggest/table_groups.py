"""Suggested rules that follow from the catalog: schemas, families of tables, partitions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.families import Family, families
from pgiostat.queries.rules.suggest.groups import (
    NOTABLE,
    SuggestedRule,
    category_named,
    glob_of,
    taken,
)
from pgiostat.queries.rules.suggest.observed import ObservedStatement
from pgiostat.queries.rules.suggest.table_globs import TableGlobs

__all__ = ["table_groups"]

_FEWEST_FOR_PREFIX = 3
"""Tables that one glob stands for."""
Members = TypeVar("Members")


def table_groups(
    tables: Sequence[CatalogTable],
    statements: Sequence[ObservedStatement],
    globs: TableGlobs,
    others: Sequence[CatalogTable] = (),
) -> list[SuggestedRule]:
    """Return rules that fold statements by the tables that they are about.

    Each schema is a group if there are several, and each family of tables within the only schema.
    Rules of families come before that of their schema: of partitioned tables, and of families of
    several tables with more than 1 % of all reads. In a group with more than half of all reads
    that is each family. A table that stands alone gets a rule if it has more than 1 % of all reads.

    Args:
        tables: The tables that are grouped.
        statements: Those of the database.
        globs: Of all tables of the database.
        others: Tables that other rules match: no glob may match them here.
    """
    return list(_Grouping(tables, statements, globs, others).groups())


class _Grouping:
    def __init__(
        self,
        tables: Sequence[CatalogTable],
        statements: Sequence[ObservedStatement],
        globs: TableGlobs,
        others: Sequence[CatalogTable],
    ) -> None:
        self._tables, self._statements, self._globs = tables, statements, globs
        self._names = [name for table in (*tables, *others) for name in _names(table)]
        self._whole = sum(each.blocks for each in statements)

    def groups(self) -> Iterator[SuggestedRule]:
        """Yield the rules in the order in which they are tried."""
        by_schema: dict[str, list[CatalogTable]] = defaultdict(list)
        for table in self._tables:
            by_schema[table.schemaname].append(table)
        if len(by_schema) <= 1:
            yield from self._families(self._tables)
            return
        made = [(self._schema(schema, group), group) for schema, group in by_schema.items()]
        for group, members in self._by_reads(made):
            if self._is_most(group):
                yield from self._families(members)
            else:
                yield from self._notable_families(members)
            yield group

    def _families(self, tables: Sequence[CatalogTable]) -> Iterator[SuggestedRule]:
        for group, family in self._made(tables):
            is_group = len(family.tables) > 1 or _is_partitioned(family)
            if not (is_group or self._is_notable(group)):
                continue
            is_smaller = len(family.tables) < len(tables) or not family.by_name
            if self._is_most(group) and family.by_name and is_smaller:
                yield from (each for each in self._families(family.tables) if each != group)
            yield group

    def _notable_families(self, tables: Sequence[CatalogTable]) -> Iterator[SuggestedRule]:
        """Yield rules of families that are apart from the rest of their schema."""
        for group, family in self._made(tables):
            is_cluster = len(family.tables) > 1 and self._is_notable(group)
            if len(family.tables) < len(tables) and (is_cluster or _is_partitioned(family)):
                yield group

    def _made(self, tables: Sequence[CatalogTable]) -> list[tuple[SuggestedRule, Family]]:
        return self._by_reads((self._family(each), each) for each in families(tables))

    def _by_reads(
        self, made: Iterable[tuple[SuggestedRule, Members]]
    ) -> list[tuple[SuggestedRule, Members]]:
        return sorted(made, key=lambda each: (-self._blocks(each[0]), each[0].name))

    def _blocks(self, group: SuggestedRule) -> int:
        return sum(each.blocks for each in taken(group, self._statements))

    def _is_most(self, group: SuggestedRule) -> bool:
        return self._blocks(group) * 2 > self._whole

    def _is_notable(self, group: SuggestedRule) -> bool:
        return self._blocks(group) > self._whole * NOTABLE

    def _schema(self, schema: str, tables: Sequence[CatalogTable]) -> SuggestedRule:
        """Return the rule of a schema; it names tables, as texts may leave the schema out."""
        of_schema = f"{glob_of(schema)}."
        listed = (each for each in self._globs.of(tables) if not each.startswith(of_schema))
        globs = [f"{of_schema}*", *listed]
        why = f"schema {schema}, {_counted(tables)}{self._globs.shared(tables)}"
        return SuggestedRule(schema, category_named(schema), {"table": globs}, why)

    def _family(self, family: Family) -> SuggestedRule:
        tables, name = family.tables, family.name
        if len(tables) == 1:
            parts = ", and its partitions" if _is_partitioned(family) else ""
            why = f"table {name}{parts}"
        elif family.by_name:
            why = f"{_counted(tables)} named after {name}"
        else:
            why = f"{name}, and tables that belong to it by foreign keys"
        globs = self._prefix(family) or self._globs.of(tables)
        listed = globs if len(globs) > 1 else globs[0]
        why += self._globs.shared(tables)
        if self._globs.is_shared(name):
            name = f"{tables[0].schemaname}.{name}"
        return SuggestedRule(name, category_named(name), {"table": listed}, why)

    def _prefix(self, family: Family) -> list[str]:
        """Return one glob for all tables of a family, if it matches no other table."""
        if not family.by_name or len(family.tables) < _FEWEST_FOR_PREFIX:
            return []
        own = {name for table in family.tables for name in _names(table)}
        prefix = f"{next(iter(own)).partition('_')[0]}_"
        others = (name for name in self._names if name not in own)
        if all(name.startswith(prefix) for name in own) and not any(
            name.startswith(prefix) for name in others
        ):
            return [f"{glob_of(prefix)}*"]
        return []


def _names(table: CatalogTable) -> tuple[str, ...]:
    return (table.relname, *table.partitions)


def _is_partitioned(family: Family) -> bool:
    return any(table.partitions for table in family.tables)


def _counted(tables: Sequence[CatalogTable]) -> str:
    """Return how many tables and views there are.

    >>> _counted([CatalogTable("s", "a", 1, (), (), (), published=False)])
    '1 table'
    """
    views = sum(table.is_view for table in tables)
    counts = ((len(tables) - views, "table"), (views, "view"))
    return " and ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts if count)
