"""Suggested rules for statements that call a function or a procedure, and are about no table."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pgiostat.queries.features import Features
from pgiostat.queries.rules.automatic import automatic_category
from pgiostat.queries.rules.presets import builtin
from pgiostat.queries.rules.suggest.groups import (
    NOTABLE,
    SuggestedRule,
    category_named,
    glob_of,
)
from pgiostat.queries.rules.suggest.observed import ObservedStatement
from pgiostat.statistics.names import split_action

__all__ = ["routine_groups", "routine_of", "routine_rule"]

_VERBS = ("function", "procedure")
_MOST_NAMED = 3


def routine_of(features: Features) -> tuple[str, str]:
    """Return what calls a function or procedure, and its name; empty for other statements.

    >>> from pgiostat.queries.features import extract
    >>> routine_of(extract("CALL billing.close_month(1)")), routine_of(extract("SELECT * FROM t"))
    (('procedure', 'billing.close_month'), ('', ''))
    """
    verb = split_action(automatic_category(features))[0]
    name = features.main.name.removeprefix("public.")
    return (verb, name) if verb in _VERBS and name else ("", "")


def routine_groups(
    schemas: Sequence[str], statements: Sequence[ObservedStatement]
) -> list[SuggestedRule]:
    """Return rules for functions and procedures that statements call.

    Those of a schema belong to the category of its tables if there are several schemas. Another
    one has a rule of its own if it has more than 1 % of all reads.

    Args:
        schemas: Those of the application's tables.
        statements: Those of the database.
    """
    of_frameworks = builtin("general").vocabulary.globs("calls", ["@queue_functions"])
    blocks: dict[tuple[str, str], int] = defaultdict(int)
    for each in statements:
        verb, name = routine_of(each.subject.features)
        if verb and not of_frameworks.match(name):
            blocks[verb, name] += each.blocks
    called = sorted(blocks, key=lambda routine: (-blocks[routine], routine))
    folded = schemas if len(schemas) > 1 else []
    whole = sum(each.blocks for each in statements)
    by_schema = (_of_schema(each, [name for _, name in called]) for each in folded)
    alone = (
        routine_rule(verb, name)
        for verb, name in called
        if name.rpartition(".")[0] not in folded and blocks[verb, name] > whole * NOTABLE
    )
    return [*(rule for rules in by_schema for rule in rules), *alone]


def _of_schema(schema: str, called: Iterable[str]) -> list[SuggestedRule]:
    """Return the rule for the functions and procedures of a schema, if statements call any."""
    names = [name for name in dict.fromkeys(called) if name.rpartition(".")[0] == schema]
    if not names:
        return []
    listed = ", ".join(names[:_MOST_NAMED]) + ", …" * (len(names) > _MOST_NAMED)
    return [
        SuggestedRule(
            f"{schema} routines",
            category_named(schema),
            {"verb": list(_VERBS), "calls": f"{glob_of(schema)}.*"},
            f"calls of {listed}",
        )
    ]


def routine_rule(verb: str, name: str) -> SuggestedRule:
    """Return the rule for one function or procedure, under its name with its schema."""
    return SuggestedRule(
        name, category_named(name), {"verb": verb, "calls": glob_of(name)}, f"{verb} {name}"
    )
