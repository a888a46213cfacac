"""Suggested rules that follow from the catalog: schemas, families of tables, partitions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pgiostat.queries.features.main_relation import partitioned_name
from pgiostat.queries.rules.presets import builtin
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.families import Family, families
from pgiostat.queries.rules.suggest.groups import SuggestedRule, category_named, glob_of, taken
from pgiostat.queries.rules.suggest.observed import ObservedStatement

__all__ = ["table_groups"]

_FEWEST_FOR_PREFIX = 3
"""Tables that one glob stands for."""
_NOTABLE = 0.01
"""Share of reads of a table that gets a rule although it stands alone."""
_DEFAULT_SCHEMA = "public"
"""The schema of a name without one, by the default search_path."""
_OF_FRAMEWORKS = ["@queues", "@migration_tables", "@web_sessions"]
Members = TypeVar("Members")


def table_groups(
    tables: Sequence[CatalogTable], statements: Sequence[ObservedStatement]
) -> list[SuggestedRule]:
    """Return rules that fold statements by the tables that they are about.

    Each schema is a group if there are several, and each family of tables within the only schema.
    A group with more than half of all reads is divided further: the rules of its families
    come before its own. A table that stands alone gets a rule if it has more than 1 % of all
    reads. Tables of frameworks are left to the rules of presets.
    """
    return list(_Grouping(tables, statements).groups())


class _Grouping:
    def __init__(
        self, tables: Sequence[CatalogTable], statements: Sequence[ObservedStatement]
    ) -> None:
        known = builtin("general").vocabulary.globs("table", _OF_FRAMEWORKS)
        self._tables = [
            table for table in tables if not known.match(f"{table.schemaname}.{table.relname}")
        ]
        self._schemas: dict[str, list[str]] = defaultdict(list)
        for table in tables:
            self._schemas[table.relname].append(table.schemaname)
        self._names = [name for table in tables for name in (table.relname, *table.partitions)]
        self._statements = statements
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
            yield group

    def _families(self, tables: Sequence[CatalogTable]) -> Iterator[SuggestedRule]:
        made = [(self._family(each), each) for each in families(tables)]
        for group, family in self._by_reads(made):
            if not (len(family.tables) > 1 or _is_divided(family) or self._is_notable(group)):
                continue
            is_smaller = len(family.tables) < len(tables) or not family.by_name
            if self._is_most(group) and family.by_name and is_smaller:
                yield from (each for each in self._families(family.tables) if each != group)
            yield group

    def _by_reads(
        self, made: Iterable[tuple[SuggestedRule, Members]]
    ) -> list[tuple[SuggestedRule, Members]]:
        return sorted(made, key=lambda each: (-self._blocks(each[0]), each[0].name))

    def _blocks(self, group: SuggestedRule) -> int:
        return sum(each.blocks for each in taken(group, self._statements))

    def _is_most(self, group: SuggestedRule) -> bool:
        return self._blocks(group) * 2 > self._whole

    def _is_notable(self, group: SuggestedRule) -> bool:
        return self._blocks(group) > self._whole * _NOTABLE

    def _schema(self, schema: str, tables: Sequence[CatalogTable]) -> SuggestedRule:
        """Return the rule of a schema; it names tables, as texts may leave the schema out."""
        of_schema = f"{glob_of(schema)}."
        listed = [glob for table in tables for glob in self._globs(table)]
        globs = [f"{of_schema}*", *(glob for glob in listed if not glob.startswith(of_schema))]
        why = f"schema {schema}, {_counted(tables)}{self._shared(tables)}"
        return SuggestedRule(schema, category_named(schema), {"table": globs}, why)

    def _family(self, family: Family) -> SuggestedRule:
        globs = self._prefix(family) or [
            glob for table in family.tables for glob in self._globs(table)
        ]
        if len(family.tables) == 1:
            parts = ", and its partitions" if _is_divided(family) else ""
            why = f"table {family.name}{parts}"
        elif family.by_name:
            why = f"{_counted(family.tables)} named after {family.name}"
        else:
            why = f"{family.name}, and tables that belong to it by foreign keys"
        listed = globs if len(globs) > 1 else globs[0]
        why += self._shared(family.tables)
        return SuggestedRule(family.name, category_named(family.name), {"table": listed}, why)

    def _globs(self, table: CatalogTable) -> Iterator[str]:
        others = [each for each in self._schemas[table.relname] if each != table.schemaname]
        for name in map(glob_of, (table.relname, *_partitions(table))):
            if others and table.schemaname != _DEFAULT_SCHEMA:
                yield f"{glob_of(table.schemaname)}.{name}"
                continue
            yield name
            yield from (f"!{glob_of(other)}.{name}" for other in others)

    def _shared(self, tables: Sequence[CatalogTable]) -> str:
        """Return what becomes of names that several schemas have, where a text has no schema."""
        names = sorted({each.relname for each in tables if len(self._schemas[each.relname]) > 1})
        if not names:
            return ""
        if tables[0].schemaname == _DEFAULT_SCHEMA:
            return f"; {', '.join(names)} also without a schema, as by the default search_path"
        return f"; {', '.join(names)} only with the schema, as other schemas have the name too"

    def _prefix(self, family: Family) -> list[str]:
        """Return one glob for all tables of a family, if it matches no other table."""
        if not family.by_name or len(family.tables) < _FEWEST_FOR_PREFIX:
            return []
        own = {name for table in family.tables for name in (table.relname, *table.partitions)}
        prefix = f"{next(iter(own)).partition('_')[0]}_"
        others = (name for name in self._names if name not in own)
        if all(name.startswith(prefix) for name in own) and not any(
            name.startswith(prefix) for name in others
        ):
            return [f"{glob_of(prefix)}*"]
        return []


def _partitions(table: CatalogTable) -> list[str]:
    """Return the partitions that are not named as partitions of their table are."""
    return sorted(
        {name for each in table.partitions if (name := partitioned_name(each)) != table.relname}
    )


def _is_divided(family: Family) -> bool:
    return any(_partitions(table) for table in family.tables)


def _counted(tables: Sequence[CatalogTable]) -> str:
    """Return how many tables and views there are.

    >>> _counted([CatalogTable("s", "a", 1, (), (), (), published=False)])
    '1 table'
    """
    views = sum(table.is_view for table in tables)
    counts = ((len(tables) - views, "table"), (views, "view"))
    return " and ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts if count)
