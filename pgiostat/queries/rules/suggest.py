"""A first rules file, from the catalog's keys, versions and version caches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import escape

from pgiostat.escape import terminal, toml
from pgiostat.queries.rules import Rules, builtin
from pgiostat.units import format_count

__all__ = ["CatalogTable", "SuggestedLists", "glob_of", "rules_file", "suggest"]

FEW_ROWS = 100_000
"""Highest number of rows of a version cache: it has one for each table, or for each client's."""


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table of the catalog.

    Attributes:
        reltuples: Estimated rows; None if it was never analyzed.
        keys: Columns of the primary key.
        candidates: Columns of the types of versions.
    """

    schemaname: str
    relname: str
    reltuples: int | None
    keys: tuple[str, ...]
    candidates: tuple[str, ...]
    columns: tuple[str, ...]
    published: bool


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

    A column is a version if the built-in vocabulary says so and its type can be one; a table is
    synced if it has a primary key and a version, or if a publication has it.
    """
    lists = (rules or builtin()).vocabulary
    is_version = lists.globs("versions", "@versions")
    is_changed = lists.globs("changed", "@changed")
    is_synced = lists.globs("synced", "@synced")
    is_cache = lists.globs("caches", "@caches")
    is_naming = lists.globs("table_names", "@table_names")
    found = SuggestedLists({}, {}, {}, {}, {})
    for table in tables:
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
        if not (versions or changed or table.published):
            continue
        found.synced[table.relname] = _described(table, versions or changed)
        _note(found.keys, table.keys, qualified)
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
        parts.append(f"{format_count(table.reltuples)} rows")
    if table.published:
        parts.append("published")
    return "; ".join(parts)


_HEAD = """\
# Categories for pgiostat{server}.
#
# Rules are tried in the order of this file, yours before the built-in ones; the first that
# matches gives a statement its category, and what no rule matches is "other".
#   pgiostat rules test --rules {path} DSN      the categories of the server's statements
#   pgiostat rules test --rules {path} 'SQL'    why a statement has its category
#   pgiostat rules show                         the rules in force and their vocabulary
schema = 1

# A list of one of these names replaces that of the preset sync, and its rules become exact.
# Names are shell globs on identifiers as PostgreSQL folds them; schema.table also matches
# the schema, and ! excludes a name.
[vocab]
"""

_LISTS = {
    "synced": (
        "Synchronized tables: versions, manifests and downloads are read from these.",
        ["customer*", "invoice*"],
    ),
    "versions": (
        "Columns that increase with every change.",
        ["row_version", "RowVersion"],
    ),
    "changed": (
        "Columns with the time of a change; treated as versions where their use is unambiguous.",
        ["updated_at"],
    ),
    "keys": ("Columns of primary keys.", ["id", "*_id"]),
    "caches": (
        "Small tables with the versions of other tables: version caches.",
        ["table_version"],
    ),
}

_EXAMPLES = """
# A category of your own: every report that groups stock. Keys of "when" must all hold, a list
# means any of it, and "block" must hold within one SELECT.
#
# [[rule]]
# name = "stock-report"
# category = "report"
# when = { statement = "select", reads = "stock_*", block = { group_by = "*" } }
#
# One statement, by the fingerprint that pgiostat shows for it.
#
# [[rule]]
# name = "that-one"
# category = "legacy"
# when = { fingerprint = ["2:5f0839ecfbcb918f"] }
#
# Statements with a comment at their end, /* job='nightly' */. Leading comments are dropped by
# PostgreSQL 18.
#
# [[rule]]
# name = "nightly"
# category = "batch"
# when = { tag = "job=nightly" }
"""


def glob_of(name: str) -> str:
    """Return the glob of a rules file that matches one name.

    >>> [glob_of(name) for name in ("invoice", "a*b", "@synced", "!x")]
    ['invoice', 'a[*]b', '[@]synced', '[]!]x']
    """
    # Before a glob @ names a list and ! takes out; no class of a glob has ! alone, so ] is with it.
    first = {"@": "[@]", "!": "[]!]"}.get(name[:1])
    return escape(name) if first is None else first + escape(name[1:])


def rules_file(found: SuggestedLists | None, *, path: str, server: str = "") -> str:
    """Return the text of a rules file.

    Empty lists become comments, so that the built-in ones apply.

    Args:
        found: From the catalog; None without one.
        path: Of the file, for its examples of commands.
        server: Label for its first line; empty without one.
    """
    return "".join(_lines(found, path, server))


def _lines(found: SuggestedLists | None, path: str, server: str) -> Iterator[str]:
    # A comment ends with its line: a name in it must not.
    yield _HEAD.format(path=terminal(path), server=f" on {terminal(server)}" if server else "")
    for name, (meaning, example) in _LISTS.items():
        yield f"\n# {meaning}\n"
        listed: dict[str, str] = getattr(found, name) if found is not None else {}
        if not listed:
            if found is not None:
                yield "# None found in the catalog.\n"
            yield f"# {name} = [{', '.join(map(toml, example))}]\n"
            continue
        yield f"{name} = [\n"
        written = [f"{toml(glob_of(item))}," for item in listed]
        if name == "versions" and "xmin" not in listed:
            written.append('"xmin",')
        width = max(map(len, written))
        for item, why in zip(written, [*listed.values(), "the system column"], strict=False):
            yield f"    {item:<{width}}  # {terminal(why)}\n"
        yield "]\n"
    yield _EXAMPLES
