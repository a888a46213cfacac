"""Queues of an application's own: tables that programs claim rows of with SKIP LOCKED."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from pgiostat.queries.features.walk import Walk, plain
from pgiostat.queries.fingerprint import Block, outline
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.groups import SuggestedRule
from pgiostat.queries.rules.suggest.observed import ObservedStatement
from pgiostat.queries.rules.suggest.table_globs import TableGlobs

__all__ = ["claimed_tables", "queue_group", "queue_tables"]

_CATEGORY = "queue"
"""That of the preset's rule for the queues of frameworks."""


def queue_group(queues: Sequence[CatalogTable], globs: TableGlobs) -> list[SuggestedRule]:
    """Return the rule for queues, if there are any."""
    if not queues:
        return []
    listed = globs.of(queues)
    names = ", ".join(table.relname for table in queues)
    return [
        SuggestedRule(
            "job queue",
            _CATEGORY,
            {"table": listed if len(listed) > 1 else listed[0]},
            f"{names}, claimed with SKIP LOCKED",
        )
    ]


def queue_tables(
    tables: Sequence[CatalogTable], statements: Sequence[ObservedStatement], globs: TableGlobs
) -> list[CatalogTable]:
    """Return the tables that are queues.

    Programs claim some rows of a queue with FOR UPDATE SKIP LOCKED. A table that others refer to is
    no queue: a hotel claims a free room in the same way.

    Args:
        tables: Candidates.
        statements: Those of the database.
        globs: Of all tables of the database.
    """
    claimed = {
        name for each in statements for name in claimed_tables(each.subject.normalized_text or "")
    }
    referred = {(key.schemaname, key.relname) for table in tables for key in table.foreign_keys}
    return [
        table
        for table in tables
        if not claimed.isdisjoint(_known_as(table, globs))
        and (table.schemaname, table.relname) not in referred
    ]


def _known_as(table: CatalogTable, globs: TableGlobs) -> Iterator[str]:
    """Yield the names of a table and of its partitions, as texts have them."""
    for name in (table.relname, *table.partitions):
        yield f"{table.schemaname}.{name}"
        if globs.is_without_schema(table):
            yield name


@lru_cache(maxsize=4096)
def claimed_tables(text: str) -> frozenset[str]:
    """Return the tables of which a statement claims some rows.

    Args:
        text: The normalized text.

    >>> sorted(claimed_tables("select * from s.task order by id limit ? for update skip locked"))
    ['s.task']
    >>> claimed_tables("select * from task where id = ? for update skip locked")
    frozenset()
    """
    if "skip locked" not in text:
        return frozenset()
    walk = Walk(outline(text, bare_operators=True))
    return frozenset(name for block in walk.found.blocks for name in _claimed(walk, block))


def _claimed(walk: Walk, block: Block) -> Iterator[str]:
    """Yield the tables of a query with a limit that locks their rows, and skips locked ones."""
    clauses = walk.drafts[id(block)].clauses
    words = [walk.texts[position] for position in clauses.get("for", [])]
    if "skip" not in words or clauses.keys().isdisjoint({"limit", "fetch"}):
        return
    locked = words[words.index("of") + 1 :] if "of" in words else []
    for table in block.tables:
        if not locked or table.alias in locked or plain(table.parts[-1]) in map(plain, locked):
            yield from filter(None, [walk.table_name(table)])
