"""Description of a statement from its text: normalized text, fingerprint, category.

Descriptions are shown and stored: they have no constants, no comments and no names of cursors. The
exception is the value of one tag, which is shown where a view is by that tag, and never stored.
"""

import re

from pgiostat.queries import fingerprint
from pgiostat.queries.features.comments_and_cursors import cursor, pseudonym, tag_pairs
from pgiostat.queries.own_text import own_text
from pgiostat.queries.rules import Classified, Classifier, RuleBook, rule_book
from pgiostat.queries.rules.automatic import automatic_category, table_read
from pgiostat.redaction import HIDDEN, may_hold_secret
from pgiostat.statistics.names import MANIFEST, OTHER, VERSION, Describe, IfSync, Statement

__all__ = ["describer", "uncategorized"]

LONGEST_TAG = 100
_HOLDS = re.compile(r"declare \S+ (?:\w+ )*?cursor with hold ")
_UNTRACKS = re.compile(
    r"pg_stat_statements\.track(?:_utility)?+\b\"?+\s*+(?:=|to\b)?+\s*+(?!'?+(?:top|all|on)\b)",
    re.IGNORECASE,
)
"""PostgreSQL 18 replaces the value by $1."""
_ROLLS_BACK = re.compile(r"(?:rollback|abort)\b(?!(?: work| transaction)? to )")
"""Of a normalized text: a ROLLBACK TO SAVEPOINT ends no transaction."""


def describer(
    book: RuleBook | None = None, classifier: Classifier | None = None, *, tag: str = ""
) -> Describe:
    """Return the function that describes a statement from its text.

    Args:
        book: Rules for the categories; None for those of the presets.
        classifier: Applies them, if the caller has one: each text is read once.
        tag: Key of a tag in comments; a description has its value. Empty for none.

    Returns:
        A function of text, user, database and queryid that returns a `Statement`: normalized text,
        fingerprint and category.
    """
    book = rule_book() if book is None else book
    classifier = classifier or Classifier(book.rules, book.if_sync)

    def describe(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        found = classifier.classify(text, user=user, database=database, queryid=queryid)
        name = pseudonym(found.features.cursor)
        declares = found.features.statement == "declare"
        return Statement(
            text=found.normalized.text,
            fingerprint=found.normalized.fingerprint,
            category=found.category,
            declares_cursor=name if declares else "",
            uses_cursor=name if not declares else "",
            holds=_HOLDS.match(found.normalized.text) is not None,
            rolls_back=_ROLLS_BACK.match(found.normalized.text) is not None,
            untracks=_untracks(found.normalized.text, _string(text)),
            action=automatic_category(found.features),
            table_read=table_read(found.features),
            if_sync=_if_sync(found),
            fixed=book.fixed,
            tag=_tag(text, tag) if tag else "",
            own_text=own_text(text, found.normalized.text),
            tables=found.features.reads | found.features.writes,
        )

    return describe


def _tag(text: str | bytes, key: str) -> str:
    """Return the value of a tag; *** if it may hold a secret."""
    value = tag_pairs(text).get(key, "")[:LONGEST_TAG]
    return HIDDEN if may_hold_secret(value) else value


def _if_sync(found: Classified) -> IfSync | None:
    """Return the category under the preset sync, with the tables that speak for that preset."""
    if found.if_sync is None:
        return None
    category = found.if_sync.category
    is_evidence = category in {VERSION, MANIFEST} and found.if_sync.rule is not None
    return IfSync(category, found.features.reads if is_evidence else frozenset())


def uncategorized(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:  # noqa: ARG001 - a Describe
    """Return the description for a history: complete but for its category.

    Categories are determined when a history is read; here they would take most of the time and
    memory of a collector.
    """
    normalized = fingerprint.normalize(text)
    verb = normalized.text.partition(" ")[0]
    string = _string(text)
    name = pseudonym(cursor(verb, string))
    return Statement(
        text=normalized.text,
        fingerprint=normalized.fingerprint,
        category=OTHER,
        declares_cursor=name if verb == "declare" else "",
        uses_cursor=name if verb != "declare" else "",
        holds=_HOLDS.match(normalized.text) is not None,
        rolls_back=_ROLLS_BACK.match(normalized.text) is not None,
        untracks=_untracks(normalized.text, string),
    )


def _string(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def _untracks(normalized: str, text: str) -> bool:
    """Return whether a statement may turn off what pg_stat_statements counts."""
    is_setting = normalized.startswith(("set ", "reset ", "alter "))
    return is_setting and _UNTRACKS.search(text) is not None
