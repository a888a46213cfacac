"""Which statements an argument of the command line names."""

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

__all__ = ["Matchable", "matching"]


class Matchable(Protocol):
    """What a statement is found by: fingerprint, category, queryids and text."""

    @property
    def key(self) -> str:
        """Its fingerprint."""

    @property
    def category(self) -> str:
        """Its category."""

    @property
    def queryids(self) -> Collection[int]:
        """Its queryids."""

    @property
    def text(self) -> str:
        """Its normalized text."""


S = TypeVar("S", bound=Matchable)


def matching(statements: Iterable[S], target: str) -> list[S]:
    """Return the statements of a fingerprint, queryid or category; else those with that text.

    Args:
        statements: All statements.
        target: Fingerprint, queryid, category or part of a text.
    """
    there = [*statements]
    found = [
        each for each in there if target in {each.key, each.category, *map(str, each.queryids)}
    ]
    return found or [each for each in there if target.lower() in each.text.lower()]
