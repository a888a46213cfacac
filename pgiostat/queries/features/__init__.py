"""Features of a statement for rules, from its tokens.

They are collected by query block, because the characteristics of a query (the maximum of a
version, keys with their versions over a range) are within one block. The features of the statement
itself are the reads, writes and calls of all its blocks. Constants play no part.

May import `fingerprint`.
"""

from dataclasses import replace

from pgiostat.queries.features.comments_and_cursors import cursor, tag_pairs, tags
from pgiostat.queries.features.foreign_keys import foreign_key_query
from pgiostat.queries.features.model import BlockFeatures, Features
from pgiostat.queries.features.statement import features
from pgiostat.queries.features.walk import Walk
from pgiostat.queries.fingerprint import Normalized, normalize, outline

__all__ = ["BlockFeatures", "Features", "extract", "tag_pairs"]


def extract(
    text: str | bytes,
    *,
    normalized: Normalized | None = None,
    base: Features | None = None,
) -> Features:
    """Return the features of a statement.

    They come from the normalized text, so that equal fingerprints have equal features; cursor and
    tags come from the text itself.

    Args:
        text: The statement.
        normalized: Its normalized form, if known.
        base: Features of another text with the same fingerprint, if known.
    """
    normalized = normalized or normalize(text)
    if base is None:
        base = features(Walk(outline(normalized.text, bare_operators=True)))
        if action := foreign_key_query(normalized.text):
            base = replace(base, main=replace(base.main, action=action))
    string = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return replace(
        base,
        cursor=cursor(base.statement, string),
        tags=tags(string),
        truncated=normalized.truncated,
    )
