"""Globs of a rules file that match the tables of a database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from pgiostat.queries.features.main_relation import partitioned_name
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.groups import glob_of

__all__ = ["TableGlobs", "oddly_named_partitions"]

_DEFAULT_SCHEMA = "public"
"""The schema of a name without one, by the default search_path."""


class TableGlobs:
    """Globs of tables, which keep tables of one name in several schemas apart.

    Args:
        tables: All tables of the database.
    """

    def __init__(self, tables: Sequence[CatalogTable]) -> None:
        self._schemas: dict[str, list[str]] = defaultdict(list)
        for table in tables:
            self._schemas[table.relname].append(table.schemaname)

    def of(self, tables: Sequence[CatalogTable]) -> list[str]:
        """Return the globs of tables, and of the partitions that are not named as such."""
        return [glob for table in tables for glob in self._of_one(table)]

    def _of_one(self, table: CatalogTable) -> Iterator[str]:
        others = [each for each in self._schemas[table.relname] if each != table.schemaname]
        for name in map(glob_of, (table.relname, *oddly_named_partitions(table))):
            if not self.is_without_schema(table):
                yield f"{glob_of(table.schemaname)}.{name}"
                continue
            yield name
            yield from (f"!{glob_of(other)}.{name}" for other in others)

    def is_without_schema(self, table: CatalogTable) -> bool:
        """Return whether a name without a schema is that of a table."""
        return table.schemaname == _DEFAULT_SCHEMA or not self.is_shared(table.relname)

    def is_shared(self, name: str) -> bool:
        """Return whether several schemas have a table of a name."""
        return len(self._schemas.get(name, ())) > 1

    def shared(self, tables: Sequence[CatalogTable]) -> str:
        """Return what becomes of names that several schemas have, where a text has no schema."""
        names = sorted({each.relname for each in tables if self.is_shared(each.relname)})
        if not names:
            return ""
        if tables[0].schemaname == _DEFAULT_SCHEMA:
            return f"; {', '.join(names)} also without a schema, as by the default search_path"
        return f"; {', '.join(names)} only with the schema, as other schemas have the name too"


def oddly_named_partitions(table: CatalogTable) -> list[str]:
    """Return the partitions that are not named as partitions of their table are."""
    return sorted(
        {name for each in table.partitions if (name := partitioned_name(each)) != table.relname}
    )
