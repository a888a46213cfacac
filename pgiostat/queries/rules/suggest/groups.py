"""A suggested rule, and the observed statements that match it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from glob import escape
from typing import Any

from pgiostat.queries.rules.conditions import STATEMENT_KEYS, Subject, conditions
from pgiostat.queries.rules.names import NameLists
from pgiostat.queries.rules.presets import builtin
from pgiostat.queries.rules.rules_file import RESERVED
from pgiostat.queries.rules.suggest.observed import ObservedStatement

__all__ = [
    "NOTABLE",
    "MeasuredRule",
    "SuggestedRule",
    "category_named",
    "glob_of",
    "matcher",
    "measured",
    "taken",
]

NOTABLE = 0.01
"""Share of reads from which on a table or a function gets a rule of its own."""
_LONGEST_NAME = 60
_IN_PLACE = {"{": "(", "}": ")"}


@dataclass(frozen=True, slots=True)
class SuggestedRule:
    """A suggested rule.

    Attributes:
        name: Of the rule.
        category: What it gives a statement.
        when: Its conditions, as a rules file has them.
        why: Why it is suggested, in a few words.
    """

    name: str
    category: str
    when: Mapping[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class MeasuredRule:
    """A suggested rule with the statements that match it.

    Attributes:
        statements: These, the greatest reads first.
        share: Their share of all reads; None if nothing was read.
    """

    group: SuggestedRule
    statements: tuple[ObservedStatement, ...]
    share: float | None

    @property
    def blocks(self) -> int:
        """Blocks that the statements read."""
        return sum(each.blocks for each in self.statements)

    @property
    def calls(self) -> int:
        """Calls of the statements."""
        return sum(each.calls for each in self.statements)


def glob_of(name: str) -> str:
    """Return the glob of a rules file that matches one name.

    >>> [glob_of(name) for name in ("invoice", "a*b", "@synced", "!x")]
    ['invoice', 'a[*]b', '[@]synced', '[]!]x']
    """
    # Before a glob @ names a list and ! takes out; no class of a glob has ! alone, so ] is with it.
    first = {"@": "[@]", "!": "[]!]"}.get(name[:1])
    return escape(name) if first is None else first + escape(name[1:])


def category_named(name: str) -> str:
    r"""Return a name as a category that a rules file may have.

    >>> category_named("orders"), category_named("{table}"), category_named("a\nb")
    ('orders', '(table)', 'a b')
    >>> category_named("hidden"), category_named("")
    ('hidden group', 'group')
    """
    printable = "".join(_IN_PLACE.get(c, c if c.isprintable() else " ") for c in name)
    shown = printable.strip()[:_LONGEST_NAME]
    return f"{shown} group".strip() if not shown or shown in RESERVED else shown


def matcher(group: SuggestedRule) -> Callable[[Subject], bool]:
    """Return the function that tells whether a suggested rule matches a statement."""
    compiled = conditions("when", dict(group.when), STATEMENT_KEYS, _vocabulary())
    return lambda subject: all(condition.holds(subject) for condition in compiled)


@cache
def _vocabulary() -> NameLists:
    return builtin("general").vocabulary


def taken(
    group: SuggestedRule, statements: Iterable[ObservedStatement]
) -> Iterator[ObservedStatement]:
    """Yield the statements that match a suggested rule."""
    matches = matcher(group)
    return (each for each in statements if matches(each.subject))


def measured(
    groups: Iterable[SuggestedRule],
    statements: Sequence[ObservedStatement],
    whole: int,
    *,
    in_order: bool,
) -> list[MeasuredRule]:
    """Return suggested rules with the statements that match them.

    Args:
        groups: The rules.
        statements: What was observed.
        whole: Blocks of which statements have shares.
        in_order: Whether a statement belongs to the first rule that it matches.
    """
    found: list[MeasuredRule] = []
    left = list(statements)
    for group in groups:
        mine = tuple(taken(group, left))
        if in_order:
            identities = set(map(id, mine))
            left = [each for each in left if id(each) not in identities]
        share = sum(each.blocks for each in mine) / whole if whole else None
        found.append(MeasuredRule(group, mine, share))
    return found
