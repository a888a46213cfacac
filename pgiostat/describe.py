"""What a statement is, from its text: normalized, fingerprinted, categorised; or our own."""

from pgiostat import fingerprint
from pgiostat.names import OWN, Describe, Statement
from pgiostat.rules import Classifier, Rules, builtin

__all__ = ["describer"]


def describer(rules: Rules | None = None) -> Describe:
    """Return what describes statements, by these rules; None are the built-in ones."""
    classifier = Classifier(rules or builtin())

    def describe(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        found = classifier.classify(text, user=user, database=database, queryid=queryid)
        own = fingerprint.is_own(text)
        cursor = found.features.cursor
        opens = found.features.statement == "declare"
        return Statement(
            text=found.normalized.text,
            fingerprint=found.normalized.fingerprint,
            category=OWN if own else found.category,
            opens=cursor if opens else "",
            moves=cursor if not opens else "",
        )

    return describe
