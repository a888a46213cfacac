"""From texts to categories; each text is read once, features once per fingerprint."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pgiostat.queries.features import Features, extract
from pgiostat.queries.fingerprint import Normalized, normalize
from pgiostat.queries.rules.verdicts import Match, Rules

__all__ = ["Classified", "Classifier"]

CACHED = 20_000
LONG = 4096


@dataclass(frozen=True, slots=True)
class Classified:
    """A text with its fingerprint, its features, and its category with the rule that matched.

    Attributes:
        if_sync: The same under the preset sync, where that preset may come into force.
    """

    normalized: Normalized
    features: Features
    match: Match
    if_sync: Match | None = None

    @property
    def category(self) -> str:
        """The category alone."""
        return self.match.category


class Classifier:
    """Classifies texts.

    Args:
        rules: Those in force.
        if_sync: Those of the preset sync, where it may come into force.
    """

    def __init__(self, rules: Rules, if_sync: Rules | None = None) -> None:
        self.rules = rules
        self.if_sync = if_sync
        self._texts: dict[str | bytes, tuple[Normalized, Features]] = {}
        self._features: dict[str, Features] = {}

    def classify(
        self,
        text: str | bytes,
        *,
        user: str | None = None,
        database: str | None = None,
        queryid: int | None = None,
    ) -> Classified:
        """Return a text's normalized form, features and category."""
        normalized, features = self.read(text)

        def match(rules: Rules) -> Match:
            return rules.classify(
                features,
                fingerprint=normalized.fingerprint,
                normalized_text=normalized.text,
                user=user,
                database=database,
                queryid=queryid,
            )

        if_sync = None if self.if_sync is None else match(self.if_sync)
        return Classified(normalized, features, match(self.rules), if_sync)

    def read(self, text: str | bytes) -> tuple[Normalized, Features]:
        """Return a text's normalized form and features."""
        key = text if len(text) < LONG else _digest(text)
        found = self._texts.get(key)
        if found is None:
            normalized = normalize(text)
            base = self._features.get(normalized.fingerprint)
            features = extract(text, normalized=normalized, base=base)
            found = normalized, features
            _keep(self._features, normalized.fingerprint, features)
            _keep(self._texts, key, found)
        return found


def _digest(text: str | bytes) -> bytes:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return blake2b(raw, digest_size=32).digest()


def _keep(cache: dict[Any, Any], key: object, value: object) -> None:
    """Remember a value; the oldest one goes when there are too many."""
    if len(cache) >= CACHED:
        del cache[next(iter(cache))]
    cache[key] = value
