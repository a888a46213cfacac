"""Rules in order: the first one that matches a statement gives its category."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pgiostat.queries.features import Features
from pgiostat.queries.rules.automatic import automatic_category
from pgiostat.queries.rules.conditions import Condition, Subject
from pgiostat.queries.rules.folding import filled_in
from pgiostat.queries.rules.names import NameLists
from pgiostat.queries.rules.rules_file import Rule

__all__ = ["Match", "RuleVerdict", "Rules"]


@dataclass(frozen=True, slots=True)
class Match:
    """A category, and the rule that gave it; without a rule it is what the statement does."""

    category: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """Verdict of a rule on a statement.

    Attributes:
        place: Of the rule, from 1.
        failed: Conditions that do not hold, each with the observed feature; none if it matches.
    """

    place: int
    rule: Rule
    failed: tuple[tuple[Condition, Any], ...]

    @property
    def held(self) -> float:
        """The share of its conditions that hold; those of a block count one by one."""
        count = sum(len(part.inner) if part.key == "block" else 1 for part in self.rule.conditions)
        return 1 - len(self.failed) / max(count, 1)


class Rules:
    """Rules in order, and the vocabulary that they are written in."""

    def __init__(self, rules: Iterable[Rule], vocabulary: NameLists) -> None:
        self.rules = tuple(rules)
        self.vocabulary = vocabulary

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that the rules name, in order of their first rule."""
        return tuple(dict.fromkeys(rule.category for rule in self.rules))

    def classify(
        self,
        features: Features,
        *,
        fingerprint: str | None = None,
        normalized_text: str | None = None,
        user: str | None = None,
        database: str | None = None,
        queryid: int | None = None,
    ) -> Match:
        """Return the category of the first rule that matches, or what the statement does."""
        subject = Subject(features, fingerprint, normalized_text, user, database, queryid)
        automatic = Match(automatic_category(features))
        return next(self._matches(subject), automatic)

    def _matches(self, subject: Subject) -> Iterator[Match]:
        for rule in self.rules:
            if all(condition.holds(subject) for condition in rule.conditions):
                yield Match(filled_in(rule.category, subject.features), rule.name)

    def verdicts(self, subject: Subject) -> list[RuleVerdict]:
        """Return the verdict of each rule in order; the first without failures wins."""
        return [
            RuleVerdict(
                place,
                rule,
                tuple(failed for part in rule.conditions for failed in part.failed(subject)),
            )
            for place, rule in enumerate(self.rules, 1)
        ]
