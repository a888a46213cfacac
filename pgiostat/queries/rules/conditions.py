"""Keys of "when" in a rule: which feature each key observes, and how it tests a value."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pgiostat.queries.features import BlockFeatures, Features
from pgiostat.queries.fingerprint import known_as
from pgiostat.queries.rules.automatic import automatic_category
from pgiostat.queries.rules.names import NameLists
from pgiostat.queries.rules.rule_errors import Mistake
from pgiostat.statistics.names import split_action

__all__ = [
    "BLOCK_KEYS",
    "STATEMENT_KEYS",
    "Condition",
    "Subject",
    "allow",
    "conditions",
    "observed",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """A statement: its features, text and origin."""

    features: Features
    fingerprint: str | None = None
    normalized_text: str | None = None
    user: str | None = None
    database: str | None = None
    queryid: int | None = None


Test = Callable[[Any], bool]
WRAPPERS = ("explain", "explain_analyze", "prepare", "declare", "copy")


class ConditionKey(NamedTuple):
    """A key of a rule.

    Attributes:
        observe: Returns the feature of a statement or block.
        test: Makes the test of that feature from a value in a rules file.
    """

    observe: Callable[[Any], Any]
    test: Callable[[str, Any, NameLists], Test]


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of "when" with its value; inner: those of a block or of what must not hold."""

    key: str
    value: object
    observe: Callable[[Any], Any]
    test: Test
    inner: tuple["Condition", ...] = ()

    def holds(self, subject: object) -> bool:
        """Return whether a statement, or a block, meets the condition."""
        return self.test(self.observe(subject))

    def failed(self, subject: Any) -> Iterator[tuple["Condition", Any]]:
        """Yield the failing conditions with the observed features; of blocks, those of the best."""
        if self.holds(subject):
            return
        if self.key != "block":
            yield self, self.observe(subject)
            return
        blocks = subject.features.blocks
        worst = [[part for part in self.inner if not part.holds(block)] for block in blocks]
        if not worst:
            yield self, frozenset()
            return
        best = min(range(len(worst)), key=lambda index: len(worst[index]))
        for part in worst[best]:
            yield part, part.observe(blocks[best])


# --- tests -------------------------------------------------------------------------------


def _any_of(key: str, value: Any, vocabulary: NameLists) -> Test:
    """At least one name is in the list; true and false: there is one at all."""
    if isinstance(value, bool):
        return lambda names: bool(names) is value
    return vocabulary.globs(key, value).any


def _all_of(key: str, value: Any, vocabulary: NameLists) -> Test:
    """Each item of the list has a name."""
    values = value if isinstance(value, list) else [value]
    each = [vocabulary.globs(key, item) for item in values]
    return lambda names: all(globs.any(names) for globs in each)


def _only(key: str, value: Any, vocabulary: NameLists) -> Test:
    """No name is outside the list, and none is hidden behind a *."""
    globs = vocabulary.globs(key, value)
    return lambda names: names is not None and globs.all(names)


def _number(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mistake("rules-value", f'"{key}" must be a whole number', key=key)
    return value


def _count(key: str, value: Any) -> int:
    if _number(key, value) < 0:
        raise Mistake("rules-value", f'"{key}" must not be negative', key=key)
    return int(value)


def _word(*allowed: str) -> Callable[[str, Any, NameLists], Test]:
    """One of a few words, or a glob that matches one of them."""

    def test(key: str, value: Any, vocabulary: NameLists) -> Test:
        made = _any_of(key, value, vocabulary)
        if not isinstance(value, bool) and not any(made((word,)) for word in allowed):
            raise Mistake(
                "rules-value",
                f'"{key}" can never be {_listed(value)}',
                key=key,
                hint=f"Values of {key}: {', '.join(allowed)}.",
            )
        return made

    return test


def _listed(value: Any) -> str:
    return " or ".join(f'"{item}"' for item in (value if isinstance(value, list) else [value]))


def _is(key: str, value: Any, _vocabulary: NameLists) -> Test:
    if not isinstance(value, bool):
        raise Mistake("rules-value", f'"{key}" must be true or false', key=key)
    return lambda observed: observed is value


def _at_most(key: str, value: Any, _vocabulary: NameLists) -> Test:
    high = _count(key, value)
    return lambda count: count is not None and count <= high


def _at_least(key: str, value: Any, _vocabulary: NameLists) -> Test:
    low = _count(key, value)
    return lambda count: count is None or count >= low


def _one_of(key: str, value: Any, _vocabulary: NameLists) -> Test:
    wanted = {_number(key, item) for item in (value if isinstance(value, list) else [value])}
    return lambda number: number in wanted


def _regex(key: str, value: Any, _vocabulary: NameLists) -> Test:
    try:
        search = re.compile(value).search
    except (re.error, TypeError) as error:
        message = f'"{key}" is not a regular expression: {error}'
        raise Mistake("rules-value", message, key=key) from None
    return lambda text: bool(search(text))


# --- keys --------------------------------------------------------------------------------


def _values(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()


def _verb(subject: "Subject") -> tuple[str, ...]:
    return _values(split_action(automatic_category(subject.features))[0])


def _fingerprints(subject: "Subject") -> tuple[str, ...]:
    """Return a fingerprint as this and earlier versions have it: rules may name either."""
    return known_as(subject.fingerprint) if subject.fingerprint else ()


def _shown(get: Callable[[BlockFeatures], Any]) -> Callable[[BlockFeatures], Any]:
    """Return an observer of the select list; it returns None where a * hides the columns."""
    return lambda block: None if block.star else get(block)


BLOCK_KEYS: dict[str, ConditionKey] = {
    "reads": ConditionKey(lambda block: block.reads, _any_of),
    "aggregates": ConditionKey(lambda block: block.aggregates, _any_of),
    "aggregate_columns": ConditionKey(lambda block: block.aggregate_columns, _any_of),
    "newest": ConditionKey(lambda block: block.newest, _any_of),
    "calls": ConditionKey(lambda block: block.calls, _any_of),
    "projects": ConditionKey(lambda block: block.projects, _any_of),
    "projects_calls": ConditionKey(lambda block: block.projects_calls, _any_of),
    "row_calls": ConditionKey(lambda block: block.row_calls, _any_of),
    "projects_all": ConditionKey(lambda block: block.projects, _all_of),
    "projects_only": ConditionKey(_shown(lambda block: block.projects), _only),
    "carries_only": ConditionKey(_shown(lambda block: block.carries), _only),
    "mentions": ConditionKey(lambda block: block.mentions, _any_of),
    "mentions_all": ConditionKey(lambda block: block.mentions, _all_of),
    "star": ConditionKey(lambda block: block.star, _is),
    "order_by": ConditionKey(lambda block: block.order_by, _any_of),
    "order_dir": ConditionKey(lambda block: _values(block.order_dir), _word("asc", "desc")),
    "limit": ConditionKey(lambda block: block.limit, _is),
    "group_by": ConditionKey(lambda block: block.group_by, _any_of),
    "distinct_on": ConditionKey(lambda block: block.distinct_on, _any_of),
    "max_columns": ConditionKey(_shown(lambda block: len(block.projects)), _at_most),
    "min_columns": ConditionKey(_shown(lambda block: len(block.projects)), _at_least),
    "min_varying": ConditionKey(_shown(lambda block: len(block.varies)), _at_least),
    "where_eq": ConditionKey(lambda block: block.where_eq, _any_of),
    "where_range": ConditionKey(lambda block: block.where_range, _any_of),
    "where_in": ConditionKey(lambda block: block.where_in, _any_of),
    "where_in_negated": ConditionKey(lambda block: block.where_in_negated, _any_of),
}
"""Keys of "block"; all conditions must hold for one query block."""

STATEMENT_KEYS: dict[str, ConditionKey] = {
    "statement": ConditionKey(lambda subject: _values(subject.features.statement), _any_of),
    "wrapper": ConditionKey(lambda subject: _values(subject.features.wrapper), _word(*WRAPPERS)),
    "verb": ConditionKey(_verb, _any_of),
    "table": ConditionKey(lambda subject: _values(subject.features.main.table), _any_of),
    "writes": ConditionKey(lambda subject: subject.features.writes, _any_of),
    "reads": ConditionKey(lambda subject: subject.features.reads, _any_of),
    "calls": ConditionKey(lambda subject: subject.features.calls, _any_of),
    "cursor": ConditionKey(lambda subject: _values(subject.features.cursor), _any_of),
    "tag": ConditionKey(lambda subject: subject.features.tags, _any_of),
    "user": ConditionKey(lambda subject: _values(subject.user), _any_of),
    "database": ConditionKey(lambda subject: _values(subject.database), _any_of),
    "fingerprint": ConditionKey(_fingerprints, _any_of),
    "queryid": ConditionKey(lambda subject: subject.queryid, _one_of),
    "text_regex": ConditionKey(lambda subject: subject.normalized_text or "", _regex),
}
"""Keys of "when" beside "block" and "not"."""

_NESTED = ("block", "not")
_DERIVED = frozenset(
    {"projects_all", "projects_only", "mentions_all", "max_columns", "min_columns"}
)


def observed(subject: Subject | BlockFeatures) -> dict[str, Any]:
    """Return the features of a statement or block by key, without empty ones."""
    keys = STATEMENT_KEYS if isinstance(subject, Subject) else BLOCK_KEYS
    found = {key: entry.observe(subject) for key, entry in keys.items() if key not in _DERIVED}
    return {key: value for key, value in found.items() if value}


def conditions(
    key: str, table: Any, keys: Mapping[str, ConditionKey], vocabulary: NameLists
) -> tuple[Condition, ...]:
    """Return the conditions of a table in a rules file.

    Raises:
        Mistake: An unknown key, or an invalid value.
    """
    if not isinstance(table, dict):
        raise Mistake("rules-value", f'"{key}" must be a table, {key} = {{ … }}', key=key)
    if not table:
        raise Mistake(
            "rules-value", f'"{key}" must not be empty: it would match everything', key=key
        )
    allow(table, [*keys, *(_NESTED if keys is STATEMENT_KEYS else ())], f'"{key}"')
    return tuple(_condition(name, value, keys, vocabulary) for name, value in table.items())


def _condition(
    name: str, value: Any, keys: Mapping[str, ConditionKey], vocabulary: NameLists
) -> Condition:
    if name in keys:
        key = keys[name]
        return Condition(name, value, key.observe, key.test(name, value, vocabulary))
    if name == "block":
        inner = conditions(name, value, BLOCK_KEYS, vocabulary)
        return Condition(
            name,
            value,
            lambda subject: subject.features.blocks,
            lambda blocks: any(all(part.holds(block) for part in inner) for block in blocks),
            inner,
        )
    inner = conditions(name, value, STATEMENT_KEYS, vocabulary)
    return Condition(
        name,
        value,
        lambda subject: subject,
        lambda subject: not all(part.holds(subject) for part in inner),
        inner,
    )


def allow(table: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """Raise Mistake for a key that is not allowed."""
    known = list(allowed)
    for key in table:
        if key not in known:
            raise Mistake(
                "rules-key",
                f'"{key}" is not a key of {where}',
                key=key,
                hint=f"Keys of {where}: {', '.join(known)}.",
            )
