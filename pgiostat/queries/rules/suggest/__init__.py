"""Suggested rules: groups found in the catalog and in the statements, each measured.

    catalog_table     a table as the catalog has it
    observed          the statements of a server, with their reads
    groups            a suggested rule, measured on these
    families, table_globs   tables that belong together, and globs that match them
    table_groups, queues, routine_groups, application_groups   rules for an application
    statement_groups, sync_lists   what else is suggested
    suggestions       all of it for one server
    proposals         rules for statements that match no rule
    file              the text of a rules file

May import the other modules of `rules`. Nothing here gives a statement its category.
"""

from pgiostat.queries.rules.suggest.catalog_table import CatalogTable, ForeignKey
from pgiostat.queries.rules.suggest.file import rule_lines, rules_file
from pgiostat.queries.rules.suggest.groups import (
    MeasuredRule,
    SuggestedRule,
    category_named,
    glob_of,
)
from pgiostat.queries.rules.suggest.observed import (
    Observation,
    ObservedStatement,
    Observer,
    observation,
)
from pgiostat.queries.rules.suggest.proposals import Unclear, UnclearStatement, proposals
from pgiostat.queries.rules.suggest.suggestions import Suggestions, suggestions
from pgiostat.queries.rules.suggest.sync_lists import SuggestedLists, suggest

__all__ = [
    "CatalogTable",
    "ForeignKey",
    "MeasuredRule",
    "Observation",
    "ObservedStatement",
    "Observer",
    "SuggestedLists",
    "SuggestedRule",
    "Suggestions",
    "Unclear",
    "UnclearStatement",
    "category_named",
    "glob_of",
    "observation",
    "proposals",
    "rule_lines",
    "rules_file",
    "suggest",
    "suggestions",
]
