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
    """A text with its fingerprint, its features, and its category with the rule that matched."""

    normalized: Normalized
    features: Features
    match: Match

    @property
    def category(self) -> str:
        """The category alone."""
        return self.match.category


class Classifier:
    """Classifies texts."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
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
        normalized, features = self._read(text)
        match = self.rules.classify(
            features,
            fingerprint=normalized.fingerprint,
            normalized_text=normalized.text,
            user=user,
            database=database,
            queryid=queryid,
        )
        return Classified(normalized, features, match)

    def _read(self, text: str | bytes) -> tuple[Normalized, Features]:
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
