"""Suggested rules that follow from the statements: roles, tags, and loads of related rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from pgiostat.queries.rules.suggest.groups import SuggestedRule, category_named, glob_of
from pgiostat.queries.rules.suggest.observed import ObservedStatement
from pgiostat.redaction import may_hold_secret

__all__ = ["TAG_KEYS", "preloads", "role_groups", "tag_groups"]

TAG_KEYS = (
    *("application", "app", "service", "component", "module", "framework"),
    *("controller", "namespaced_controller", "action", "route", "endpoint", "handler"),
    *("job", "task", "worker", "queue", "team", "feature", "query_name"),
)
"""Keys of tags that name a part of an application; others may name a request or a person."""
_LEAST_SHARE = 0.001
"""Of all reads: roles that look after the server read less."""
_MOST_VALUES = 12
_LONGEST_VALUE = 100


def preloads() -> SuggestedRule:
    """Return the rule of the preset general for loads of related rows, before the other rules."""
    when = {
        "statement": "select",
        "block": {
            "where_in": "@foreign_keys",
            "aggregates": False,
            "group_by": False,
            "limit": False,
        },
    }
    return SuggestedRule(
        "preload", "preload {table}", when, "rows loaded by a list of foreign keys, as mappers do"
    )


def role_groups(statements: Sequence[ObservedStatement]) -> list[SuggestedRule]:
    """Return a rule for each role that reads, if several roles do."""
    blocks: Counter[str] = Counter()
    for each in statements:
        blocks[each.subject.user or ""] += each.blocks
    least = blocks.total() * _LEAST_SHARE
    roles = [role for role, read in blocks.items() if role and read and read >= least]
    roles.sort(key=lambda role: (-blocks[role], role))
    if len(roles) <= 1:
        return []
    return [
        SuggestedRule(role, category_named(role), {"user": glob_of(role)}, f"role {role}")
        for role in roles
    ]


def tag_groups(statements: Sequence[ObservedStatement]) -> list[SuggestedRule]:
    """Return a rule for each value of a tag that names a part of the application."""
    return [group for key in TAG_KEYS for group in _of_key(key, statements)]


def _of_key(key: str, statements: Sequence[ObservedStatement]) -> Iterator[SuggestedRule]:
    blocks: dict[str, int] = defaultdict(int)
    for each in statements:
        value = each.tags.get(key, "")
        if _is_name(value):
            blocks[value] += each.blocks
    for value in sorted(blocks, key=lambda value: (-blocks[value], value))[:_MOST_VALUES]:
        tag = f"{key}={value}"
        yield SuggestedRule(tag, category_named(value), {"tag": glob_of(tag)}, f"tag {tag}")


def _is_name(value: str) -> bool:
    is_short = 0 < len(value) <= _LONGEST_VALUE
    return is_short and value.isprintable() and not may_hold_secret(value)
