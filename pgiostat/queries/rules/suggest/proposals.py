"""Proposed rules for statements that match no rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgiostat.analysis.rank import RankRow
from pgiostat.queries.rules.automatic import automatic_category
from pgiostat.queries.rules.conditions import Subject
from pgiostat.queries.rules.suggest.application_groups import application_groups, table_rule
from pgiostat.queries.rules.suggest.catalog_table import CatalogTable
from pgiostat.queries.rules.suggest.groups import (
    MeasuredRule,
    SuggestedRule,
    matcher,
    measured,
)
from pgiostat.queries.rules.suggest.observed import Observation
from pgiostat.queries.rules.suggest.routine_groups import routine_of, routine_rule
from pgiostat.statistics.names import OTHER, split_action

__all__ = ["Unclear", "UnclearStatement", "proposals"]


@dataclass(frozen=True, slots=True)
class UnclearStatement:
    """Statements of one fingerprint that match no rule, and the proposed rule.

    Attributes:
        rule: Name of the rule.
    """

    row: RankRow
    rule: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Statements that match no rule, and rules for them.

    Attributes:
        statements: The greatest reads first.
        rules: In the order in which they are to be tried, each with the
            statements that would match it, of those that match no rule now.
    """

    statements: tuple[UnclearStatement, ...] = ()
    rules: tuple[MeasuredRule, ...] = ()


def proposals(
    rows: Iterable[RankRow], tables: Sequence[CatalogTable], observed: Observation, top: int
) -> Unclear:
    """Return the statements that match no rule, with a rule for each.

    Commands such as VACUUM, SET and CREATE need none: their names are categories. Statements that
    read nothing are left out, too.

    Args:
        rows: Statements by fingerprint, the greatest reads first.
        tables: Those of the database.
        observed: The statements of the server.
        top: Number of statements.
    """
    free = [each for each in observed.statements if not each.is_ruled]
    subjects = {each.subject.fingerprint: each.subject for each in reversed(free)}
    groups = application_groups(tables, observed.statements)
    matches = [(group, matcher(group)) for group in groups]
    found: list[UnclearStatement] = []
    wanted: list[SuggestedRule] = []
    for row in rows:
        subject = subjects.get(row.fingerprint)
        if len(found) >= top or subject is None or not row.cost.blocks:
            continue
        group = next((group for group, is_of in matches if is_of(subject)), None)
        group = group or _of_its_own(subject)
        if group is not None:
            found.append(UnclearStatement(row, group.name))
            wanted.append(group)
    ordered = [*(each for each in groups if each in wanted)]
    ordered += [each for n, each in enumerate(wanted) if each not in ordered + wanted[:n]]
    return Unclear(tuple(found), tuple(measured(ordered, free, observed.blocks, in_order=True)))


def _of_its_own(subject: Subject) -> SuggestedRule | None:
    """Return the rule of a statement that no group matches; None if it needs none."""
    category = automatic_category(subject.features)
    table = split_action(category)[1]
    if table:
        return table_rule(table)
    verb, name = routine_of(subject.features)
    if verb:
        return routine_rule(verb, name)
    if category == OTHER and subject.fingerprint:
        why = "its text says neither table nor function"
        name = f"statement {subject.fingerprint}"
        return SuggestedRule(name, name, {"fingerprint": [subject.fingerprint]}, why)
    return None
