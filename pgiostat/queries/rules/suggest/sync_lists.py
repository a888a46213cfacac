"""The vocabulary of the preset sync, from the catalog's keys, versions and version caches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgiostat.queries.rules.presets import builtin
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.verdicts import Rules
from pgiostat.units import format_counted

__all__ = ["SuggestedLists", "suggest"]

FEW_ROWS = 100_000
"""Highest number of rows of a version cache: it has one for each table, or for each client's."""


@dataclass(frozen=True, slots=True)
class SuggestedLists:
    """Lists for [vocab]: names, each with its reason."""

    synced: dict[str, str]
    keys: dict[str, str]
    versions: dict[str, str]
    changed: dict[str, str]
    caches: dict[str, str]


def suggest(tables: Iterable[CatalogTable], rules: Rules | None = None) -> SuggestedLists:
    """Return the vocabulary of these tables, by names and types.

    A column is a version if the built-in vocabulary says so and its type can be one. Keys are the
    columns of primary keys. A table is synced if it has a primary key and a version, or if a
    publication has it.
    """
    lists = (rules or builtin()).vocabulary
    is_version = lists.globs("versions", "@versions")
    is_changed = lists.globs("changed", "@changed")
    is_synced = lists.globs("synced", "@synced")
    is_cache = lists.globs("caches", "@caches")
    is_naming = lists.globs("table_names", "@table_names")
    found = SuggestedLists({}, {}, {}, {}, {})
    for table in tables:
        if table.is_view:
            continue
        qualified = f"{table.schemaname}.{table.relname}"
        versions = [name for name in table.candidates if is_version.match(name)]
        changed = [name for name in table.candidates if is_changed.match(name)]
        named = is_cache.match(table.relname) or is_naming.any(table.columns)
        if named and versions and (table.reltuples or 0) <= FEW_ROWS:
            found.caches[table.relname] = _described(table, versions)
            _note(found.versions, versions, qualified)
            continue
        if not is_synced.match(qualified) or not table.keys:
            continue
        _note(found.keys, table.keys, qualified)
        if not (versions or changed or table.published):
            continue
        found.synced[table.relname] = _described(table, versions or changed)
        _note(found.versions, versions, qualified)
        _note(found.changed, [] if versions else changed, qualified)
    return found


def _note(listed: dict[str, str], names: Sequence[str], table: str) -> None:
    """Add columns to a list, with the first table that has them."""
    for name in names:
        if name in listed:
            listed[name] = f"{listed[name].removesuffix(', …')}, …"
        else:
            listed[name] = table


def _described(table: CatalogTable, versions: Sequence[str]) -> str:
    parts = [table.schemaname]
    if table.keys:
        parts.append(f"key {', '.join(table.keys)}")
    if versions:
        parts.append(f"version {', '.join(versions)}")
    if table.reltuples is not None:
        parts.append(format_counted(table.reltuples, "row"))
    if table.published:
        parts.append("published")
    return "; ".join(parts)
