"""Normalized text: tokens as one line of SQL."""

from pgiostat.queries.fingerprint.tokens import PLACEHOLDER
from pgiostat.queries.fingerprint.words import KEYWORDS, words

__all__ = ["render"]

_APART = frozenset({PLACEHOLDER, ")", ",", "]"})
# Words before parentheses that are no function's arguments.
_SPACED = KEYWORDS | words("conflict exists explain filter materialized options over reset within")
_SPACED -= frozenset({"any", "cast", "left", "right", "row", "some"})
_BEFORE_COLUMNS = frozenset({"copy", "into", "references", "table"})
_NO_SPACE_BEFORE = frozenset({",", ")", "]", ".", "::", "[", ";"})
_ALONE = frozenset({":", "::", ":=", ".", ".."})  # two of these would be another one
_NO_SPACE_AFTER = frozenset({"(", "[", ".", "::", ""})


def render(texts: list[str]) -> str:
    """Return tokens as one line of SQL."""
    pieces: list[str] = []
    before = ""
    columns = False  # the next parentheses hold a table's columns
    for text in texts:
        if text == "(":
            glued = before in _NO_SPACE_AFTER or not (
                columns or before in _SPACED or before in _APART
            )
            columns = False
        else:
            columns = (columns and text != ";") or text in _BEFORE_COLUMNS
            glued = text in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER
            glued = glued and not (before in _ALONE and (text in _ALONE or ":" in {text, before}))
        pieces.append(text if glued else " " + text)
        before = text
    return "".join(pieces)
