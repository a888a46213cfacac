"""Detect a text that ends before its statement: the server cuts at track_activity_query_size."""

import re

from pgiostat.queries.fingerprint.lexer import WHOLE_STRING
from pgiostat.queries.fingerprint.tokens import TokenKind, token
from pgiostat.queries.fingerprint.words import words

__all__ = ["is_truncated"]

# A text that ends in one of these goes on.
_GOES_ON = words(
    """and any array as between by case collate distinct else from having ilike in inner intersect
    into is join lateral left like limit natural not offset on or select set similar then
    union using values when where with ,"""
)
_WHOLE_STRING = re.compile(
    rf"{WHOLE_STRING} | \$(?P<tag>[^$]*)\$.*\$(?P=tag)\$", re.VERBOSE | re.DOTALL
)
_WHOLE_QUOTED = re.compile(r'(?:[uU]&)?+"(?:[^"]++|"")*+"')


def is_truncated(raws: list[str]) -> bool:
    """Return whether tokens end within one, a list or parentheses, or before an operand."""
    if not raws:
        return False
    raw = raws[-1]
    kind, text = token(raw)
    if kind is TokenKind.STRING:
        ends = _WHOLE_STRING.fullmatch(raw) is not None
    elif kind is TokenKind.NAME and '"' in raw:
        ends = _WHOLE_QUOTED.fullmatch(raw) is not None
    elif kind is TokenKind.OPERATOR:
        ends = text in {"*", ">", "?"}  # count(*), <insufficient privilege>
    else:
        ends = text not in _GOES_ON
    return not ends or raws.count("(") > raws.count(")")
