"""What a statement is, from its text: normalized, fingerprinted, categorised.

What is returned is shown and kept: it has no constant, no comment and no name of a cursor.
"""

import re

from pgiostat.queries import fingerprint
from pgiostat.queries.features.comments_and_cursors import cursor, pseudonym
from pgiostat.queries.rules import Classifier, Rules, builtin
from pgiostat.statistics.names import OTHER, Describe, Statement

__all__ = ["describer", "unsorted"]

_HOLDS = re.compile(r"declare \S+ (?:\w+ )*?cursor with hold ")
_ROLLS_BACK = re.compile(r"(?:rollback|abort)\b(?!(?: work| transaction)? to )")
"""Of a normalized text: a ROLLBACK TO SAVEPOINT ends no transaction."""


def describer(rules: Rules | None = None) -> Describe:
    """Return the function that says what a statement is, from its text.

    Args:
        rules: Rules for the categories; None for the built-in ones.

    Returns:
        A function of text, user, database and queryid that returns a `Statement`: normalized text,
        fingerprint and category.
    """
    classifier = Classifier(rules or builtin())

    def describe(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        found = classifier.classify(text, user=user, database=database, queryid=queryid)
        name = pseudonym(found.features.cursor)
        opens = found.features.statement == "declare"
        return Statement(
            text=found.normalized.text,
            fingerprint=found.normalized.fingerprint,
            category=found.category,
            opens=name if opens else "",
            moves=name if not opens else "",
            **_of_transactions(found.normalized.text),
        )

    return describe


def unsorted(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:  # noqa: ARG001 - a Describe
    """Return what a history keeps of a statement: all but its category.

    Categories are found when a history is read; to look for them here would take most of the time
    and memory of a collector.
    """
    normalized = fingerprint.normalize(text)
    verb = normalized.text.partition(" ")[0]
    string = text if isinstance(text, str) else text.decode("utf-8", "replace")
    name = pseudonym(cursor(verb, string))
    return Statement(
        text=normalized.text,
        fingerprint=normalized.fingerprint,
        category=OTHER,
        opens=name if verb == "declare" else "",
        moves=name if verb != "declare" else "",
        **_of_transactions(normalized.text),
    )


def _of_transactions(text: str) -> dict[str, bool]:
    """Return how a normalized statement outlives its transaction, or ends it."""
    return {
        "holds": _HOLDS.match(text) is not None,
        "rolls_back": _ROLLS_BACK.match(text) is not None,
    }
