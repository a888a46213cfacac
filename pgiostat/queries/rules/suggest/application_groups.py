"""Suggested rules for what belongs to an application: its queues, tables and functions."""

from collections.abc import Sequence

from pgiostat.queries.rules.presets import builtin
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.groups import SuggestedRule
from pgiostat.queries.rules.suggest.observed import ObservedStatement
from pgiostat.queries.rules.suggest.queues import queue_group, queue_tables
from pgiostat.queries.rules.suggest.routine_groups import routine_groups
from pgiostat.queries.rules.suggest.table_globs import TableGlobs
from pgiostat.queries.rules.suggest.table_groups import table_groups

__all__ = ["application_groups"]

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
    return [
        *queue_group(queues, globs),
        *table_groups(rest, statements, globs, others),
        *routine_groups(schemas, statements),
    ]
