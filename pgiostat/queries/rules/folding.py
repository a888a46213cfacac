"""Placeholders in the category of a rule: one rule folds automatic categories into a few."""

import re

from pgiostat.queries.features import Features
from pgiostat.queries.rules.automatic import automatic_category
from pgiostat.queries.rules.rule_errors import Mistake
from pgiostat.statistics.names import split_action

__all__ = ["PLACEHOLDERS", "check_placeholders", "filled_in"]

PLACEHOLDERS = ("{verb}", "{schema}", "{table}")
"""What a statement does, and the schema and the name of the table that it is about."""

_BRACES = re.compile(r"\{[a-z_]+\}")


def filled_in(category: str, features: Features) -> str:
    """Return the category of a rule for a statement.

    Where the text of a statement lacks a part, it keeps its automatic category.

    >>> from pgiostat.queries.features import extract
    >>> invoice = extract("UPDATE billing.invoice SET paid = true")
    >>> filled_in("{schema} {verb}", invoice), filled_in("preload {table}", invoice)
    ('billing update', 'preload billing.invoice')
    >>> filled_in("{schema} {verb}", extract("SELECT * FROM public.orders"))
    'public select'
    >>> filled_in("{schema} {verb}", extract("SELECT * FROM orders"))
    'select orders'
    """
    if "{" not in category:
        return category
    automatic, name = automatic_category(features), features.main.name
    values = {
        "{verb}": split_action(automatic)[0],
        "{schema}": name.rpartition(".")[0],
        "{table}": split_action(automatic)[1] or features.main.table.removeprefix("public."),
    }
    if not all(values[found] for found in _BRACES.findall(category)):
        return automatic
    return " ".join(_BRACES.sub(lambda found: values[found[0]], category).split())


def check_placeholders(category: str) -> None:
    """Raise Mistake for a placeholder that there is not."""
    for found in _BRACES.findall(category):
        if found not in PLACEHOLDERS:
            raise Mistake(
                "rules-value",
                f'"{found}" is not a placeholder of a category',
                key="category",
                hint=f"Placeholders: {', '.join(PLACEHOLDERS)}.",
            )
