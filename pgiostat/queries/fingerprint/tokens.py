"""Tokens: their kinds, and the canonical text of each."""

import re
from enum import IntEnum
from typing import NamedTuple

from pgiostat.queries.fingerprint.words import GLUED, KEYWORDS, NEEDS_QUOTES

__all__ = ["GLUED_PARAMETER", "PLACEHOLDER", "Plain", "Token", "TokenKind", "token"]

PLACEHOLDER = "?"
GLUED_PARAMETER = re.compile(r"([A-Za-z_]++)\$([1-9][0-9]{0,4}+)")
"""A word and the parameter after it, in one token: see `lexer.significant`."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BARE = re.compile(r"[a-z_\x80-\U0010ffff][a-z0-9_$\x80-\U0010ffff]*")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class TokenKind(IntEnum):
    """Kinds of token. Literals come first, so that one comparison finds them."""

    STRING = 1
    NUMBER = 2
    PARAMETER = 3
    NAME = 4
    KEYWORD = 5
    OPERATOR = 6
    PUNCTUATION = 7
    ALIAS = 8  # @1: a table alias in a normalized text
    COMMENT = 9


class Token(NamedTuple):
    """A token; its text is canonical (folded, unquoted) except for literals and comments."""

    kind: TokenKind
    text: str


_MAX_REMEMBERED = 20_000
_LAST_LITERAL = TokenKind.PARAMETER
_MAX_LITERAL = 4
_MAX_WORD = 64


Plain = tuple[TokenKind, str]
"""A token without its name: Python unpacks plain tuples twice as fast."""


class _Tokens(dict[str, Plain]):
    """Tokens by their raw text. Words, symbols and small numbers repeat."""

    def __missing__(self, raw: str) -> Plain:
        found = _classify(raw)
        # Longer literals, strings and comments seldom come twice.
        if len(raw) <= (_MAX_LITERAL if found[0] <= _LAST_LITERAL else _MAX_WORD):
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[raw] = found
        return found


def _classify(raw: str) -> Plain:
    first = raw[0]
    if first == "'" or (first in "eEbBnNxXuU" and "'" in raw[1:3]):
        return (TokenKind.STRING, raw)
    if first == '"' or raw[:3] in {'u&"', 'U&"'}:
        return (TokenKind.NAME, _unquote(raw))
    if first == "_" or first.isalpha() or first >= "\x80":
        return _classify_word(raw)
    if first.isdigit() or (first == "." and raw not in _PUNCTUATION):
        return (TokenKind.NUMBER, raw)
    if first == "$" and raw != "$":
        return (TokenKind.PARAMETER if raw[1:].isdigit() else TokenKind.STRING, raw)
    return _classify_symbol(raw)


def _classify_word(raw: str) -> Plain:
    word = raw.lower() if raw.isascii() else raw.translate(_ASCII_LOWER)
    return (TokenKind.KEYWORD if word in KEYWORDS else TokenKind.NAME, _CONTROL.sub("\ufffd", word))


def _classify_symbol(raw: str) -> Plain:
    if raw in _PUNCTUATION:
        return (TokenKind.PUNCTUATION, raw)
    if raw.startswith(("--", "/*")):
        return (TokenKind.COMMENT, raw)
    if raw[0] == "@" and raw[1:].isdigit():
        return (TokenKind.ALIAS, raw)
    return (TokenKind.OPERATOR, "<>" if raw == "!=" else raw)


def _unquote(raw: str) -> str:
    """Return the shortest way to write a quoted identifier on one line."""
    if raw[0] != '"':  # its escapes are left alone
        return "U" + _CONTROL.sub("\ufffd", raw[1:] if raw.endswith('"') else raw[1:] + '"')
    inner = raw[1:-1] if len(raw) > 1 and raw.endswith('"') else raw[1:]
    inner = _CONTROL.sub("\ufffd", inner)
    if _BARE.fullmatch(inner) and inner not in NEEDS_QUOTES:
        glued = GLUED_PARAMETER.fullmatch(inner)
        if glued is None or glued[1] not in GLUED:
            return inner
    return f'"{inner}"'


_PUNCTUATION = frozenset({"(", ")", "[", "]", ",", ".", "..", ";", "::"})
token = _Tokens().__getitem__
"""The token of a raw text."""
