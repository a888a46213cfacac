"""What a statement does: the features that rules look at, taken from its tokens.

They are collected per query block, because what makes a query what it is (the maximum of a
version, keys with their versions over a range) happens within one block. A statement's own
features are what all its blocks read, write and call. Constants play no part.

May import `fingerprint`.
"""

from dataclasses import replace

from pgiostat.queries.features.comments_and_cursors import cursor, tags
from pgiostat.queries.features.model import BlockFeatures, Features
from pgiostat.queries.features.statement import features
from pgiostat.queries.features.walk import Walk
from pgiostat.queries.fingerprint import Normalized, normalize, outline

__all__ = ["BlockFeatures", "Features", "extract"]


def extract(
    text: str | bytes,
    *,
    normalized: Normalized | None = None,
    base: Features | None = None,
) -> Features:
    """Return the features of a statement.

    They are read from the normalized text, so that equal fingerprints have equal features;
    cursor and tags from the text itself. normalized: if it is known already. base: the features
    of another text with the same fingerprint.
    """
    normalized = normalized or normalize(text)
    if base is None:
        base = features(Walk(outline(normalized.text)))
    string = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return replace(
        base,
        cursor=cursor(base.statement, string),
        tags=tags(string),
        truncated=normalized.truncated,
    )
