"""Suggested rules for what belongs to an application: its queues, tables and functions."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pgiostat.queries.rules.automatic import automatic_category
from pgiostat.queries.rules.presets import builtin
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.groups import (
    NOTABLE,
    SuggestedRule,
    category_named,
    glob_of,
    matcher,
)
from pgiostat.queries.rules.suggest.observed import ObservedStatement
from pgiostat.queries.rules.suggest.queues import queue_group, queue_tables
from pgiostat.queries.rules.suggest.routine_groups import routine_groups
from pgiostat.queries.rules.suggest.table_globs import TableGlobs
from pgiostat.queries.rules.suggest.table_groups import table_groups
from pgiostat.statistics.names import split_action

__all__ = ["application_groups", "table_rule"]

_OF_FRAMEWORKS = ["@queues", "@migration_tables", "@web_sessions"]


def application_groups(
    tables: Sequence[CatalogTable], statements: Sequence[ObservedStatement]
) -> list[SuggestedRule]:
    """Return rules for an application, in the order in which they are tried.

    Tables and functions of frameworks are left to the rules of presets.
    """
    known = builtin("general").vocabulary.globs("table", _OF_FRAMEWORKS)
    own = [each for each in tables if not known.match(f"{each.schemaname}.{each.relname}")]
    globs = TableGlobs(tables)
    queues = queue_tables(own, statements, globs)
    rest = [table for table in own if table not in queues]
    others = [table for table in tables if table not in rest]
    schemas = list(dict.fromkeys(table.schemaname for table in own))
    found = [
        *queue_group(queues, globs),
        *table_groups(rest, statements, globs, others),
        *routine_groups(schemas, statements),
    ]
    return [*found, *_missing(found, statements)]


def _missing(
    groups: Sequence[SuggestedRule], statements: Sequence[ObservedStatement]
) -> Iterator[SuggestedRule]:
    """Yield rules for tables of no group, with more than 1 % of all reads.

    The catalog has no temporary tables, and a text without a schema may be about one of several.
    """
    matches = [matcher(group) for group in groups]
    blocks: Counter[str] = Counter()
    for each in statements:
        table = split_action(automatic_category(each.subject.features))[1]
        if table and not (each.is_ruled or any(is_of(each.subject) for is_of in matches)):
            blocks[table] += each.blocks
    least = NOTABLE * sum(each.blocks for each in statements)
    for table, read in blocks.most_common():
        if read > least:
            yield table_rule(table, "in no group above")


def table_rule(table: str, note: str = "") -> SuggestedRule:
    """Return the rule for one table, under its name with its schema if texts have it.

    Another schema may have the name too.
    """
    why = f"table {table}" + f", {note}" * bool(note)
    return SuggestedRule(table, category_named(table), {"table": glob_of(table)}, why)
