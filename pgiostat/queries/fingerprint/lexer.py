"""PostgreSQL's lexer (src/backend/parser/scan.l), as regular expressions.

An unterminated token runs to the end of the text, and nothing is an error. Time is linear in the
text: quantifiers are possessive, and alternatives differ in their first characters.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache

from pgiostat.queries.fingerprint.tokens import GLUED_PARAMETER, Token, TokenKind, token
from pgiostat.queries.fingerprint.words import GLUED

__all__ = ["WHOLE_STRING", "comments", "decode", "is_own", "lex", "raws", "significant"]

OWN_MARK = "/* pgiostat */"
OWN_WITHIN = 200
"""Characters of a text that are searched for our mark; it is at the start of our statements."""

# Characters between tokens; more lenient than scan.l, which knows no \x00.
_BLANK = r"[\x00-\x20\x7f]*+"
_BLANKS = "".join(map(chr, [*range(0x21), 0x7F]))
_COMMENT = r"--[^\n\r]*+ | /\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
_SKIP = rf"(?: [\x00-\x20\x7f]++ | {_COMMENT} )*+"
_START = r"[A-Za-z_\x80-\U0010ffff]"
_REST = r"[A-Za-z0-9_$\x80-\U0010ffff]*+"
# A word may start as the prefix of a string does: E'', B'', X'', N'', U&'', U&"".
_WORD = rf"""
    [ACDF-MO-TVWYZacdf-mo-tvwyz_\x80-\U0010ffff]{_REST}
"""
_OTHER_WORD = rf"""
    (?: [bBeEnNxX](?!') | [uU](?!&['"]) ){_REST}
"""
# Contents of a string. Whether a backslash escapes in '...' depends on the setting
# standard_conforming_strings, which a text does not show. If the two values would end a string at
# different places (an unescaped backslash before a quote), all the rest is the string.
_EITHER = r"(?:[^'\\]++|''|\\[^'])*+"
_ESCAPED = r"(?:[^'\\]++|''|\\(?:.|\Z))*+"
_DOUBLED = r"(?:[^']++|'')*+"
_DIGIT_STRING = r"[^']*+"
# Between two parts of a string: only here does the second one keep the prefix of the first.
_GAP = r"(?:[\x20\t\f\v]|--[^\n\r]*+)*+[\n\r](?:[\x20\t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+"
_PREFIXED = "|".join(
    rf"{prefix}'{body}(?:'{_GAP}'{body})*+"
    for prefix, body in (("[eE]", _ESCAPED), ("[bBxX]", _DIGIT_STRING), ("[uU]&", _DOUBLED))
)
_STRING = rf"[nN]?+'{_EITHER}(?:'|\\.*+)?+ | (?:{_PREFIXED})'?+"
WHOLE_STRING = rf"[nN]?+'{_DOUBLED}' | (?:{_PREFIXED})'"
"""A string that ends, as standard_conforming_strings = on reads it."""
_QUOTED = r'(?:[uU]&)?+"(?:[^"]++|"")*+"?+'
_DIGITS = r"[0-9](?:_?[0-9])*+"
_NUMBER = rf"""
    0[xX](?:_?[0-9A-Fa-f])++ | 0[oO](?:_?[0-7])++ | 0[bB](?:_?[01])++
  | (?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?+)?+ | \.{_DIGITS})(?:[eE][+-]?+{_DIGITS})?+
"""
# The operator rule: a run of these, cut before a comment, that ends in + or - only if it holds
# one of the first set. The bounds keep a megabyte of plus signs linear.
_SPECIAL = r"[~!@#^&|`?%]"
_PLAIN = r"[*<>=+] | -(?!-) | /(?!\*)"
_OPERATOR = rf"""
    (?:{_PLAIN}){{0,16}}+{_SPECIAL}(?:{_SPECIAL}|{_PLAIN})*+
  | (?:(?:\+|-(?!-)){{0,16}}+(?:[*<>=]|/(?!\*)))++
  | [+-]
"""
# The most frequent ones first.
_TOKEN = rf"""
    {_WORD}
  | [,()]
  | \.(?![0-9.])
  | {_OTHER_WORD}
  | \$[0-9]++
  | =(?![~!@#^&|`?%*<>=+/-])
  | (?: {_NUMBER} )
  | (?: {_STRING} )
  | (?: {_QUOTED} )
  | /\*
  | :[:=]
  | \.\.
  | @[1-9][0-9]{{0,4}}+(?![0-9A-Za-z_$]|\.[0-9])
  | (?: {_OPERATOR} )
  | .
"""
_TAG = rf"(?:{_START}[A-Za-z0-9_\x80-\U0010ffff]*+)?+"
_DOLLAR = rf"\$(?P<tag>{_TAG})\$(?:[^$]++|\$(?!(?P=tag)\$))*+(?:\$(?P=tag)\$)?+"
_HAS_DOLLAR_QUOTE = re.compile(rf"\${_TAG}\$")

# A megabyte of VALUES (...), (...) or IN (...) is mostly constants: such a list is taken as one
# token, from which equal rows are removed before it is cut further.
_LIST_PART = rf"""
    [^()\[\]'"$/;-]++ | \$[0-9]++ | (?<![A-Za-z&$])'{_EITHER}' | -(?!-)
"""
_ROW = rf"\((?:{_LIST_PART}|\(\x20*+\))*+\)"
_LIST = rf"""
    [vV][aA][lL][uU][eE][sS]{_BLANK}{_ROW}(?:{_BLANK},{_BLANK}{_ROW})++
  | [iI][nN]{_BLANK}\((?:{_LIST_PART})*+\)
  | [aA][rR][rR][aA][yY]{_BLANK}\[(?:{_LIST_PART})*+\]
"""
_LONG = 8192
_LONG_LIST = 256
_LIST_CONSTANT = re.compile(
    r"""'(?:[^']++|'')*+'
    | (?<![A-Za-z0-9_$"\x80-\U0010ffff])
      (?:\$[0-9]++|\.?[0-9][A-Za-z0-9_.]*+(?:(?<=[eE])[+-][0-9]++)?+)
    | (?<=[(,\[])\s*+(?i:true|false|null)(?=\s*+[,)\]])""",
    re.VERBOSE,
)
_BETWEEN_ROWS = re.compile(r"\)\s*,\s*\(")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
# What pg_stat_statements makes of a string without a blank before it: of N'text' N$1, of
# date'2026-11-30' date$1. To PostgreSQL's lexer that is an identifier.
_MAY_BE_GLUED = re.compile(r"[A-Za-z_]\$[0-9]")


# What becomes of comments, if there are any. Those that are nested or unterminated give a /*.
_NONE, _SKIPPED, _KEPT_TOO = range(3)


@cache
def _lexer(comments: int, dollar: bool, lists: bool) -> re.Pattern[str]:  # noqa: FBT001 - by place: keywords cost as much as a token
    """Return a pattern; its first group is a token, and empty at the end of the text.

    It does not test at each token for a syntax that the text lacks. A second group, and with it
    tuples from findall, is there for dollar quotes only.
    """
    kept = [_COMMENT] * (comments == _KEPT_TOO)
    tokens = [*kept, *[_LIST] * lists, *[_DOLLAR] * dollar, _TOKEN, r"\Z"]
    skip = _SKIP if comments == _SKIPPED else _BLANK
    return re.compile(rf"{skip}( {'|'.join(tokens)} )", re.VERBOSE | re.DOTALL)


def _has_dollar_quote(text: str) -> bool:
    return "$" in text and _HAS_DOLLAR_QUOTE.search(text) is not None


def _find(text: str, comments: int, *, lists: bool = False) -> list[str]:
    dollar = _has_dollar_quote(text)
    found = _lexer(comments, dollar, lists).findall(text)
    if dollar:
        found = [raw for raw, _ in found]
    while found and not found[-1]:
        found.pop()
    return found


def lex(text: str) -> list[Token]:
    """Return the tokens of a text, comments among them, white space not.

    >>> [token.text for token in lex('SELECT "a", "B", $$c$$ /* d */ <> -1')]
    ['select', 'a', ',', '"B"', ',', '$$c$$', '/* d */', '<>', '-', '1']
    """
    return [Token(*token(raw)) for raw in raws(text)]


# --- texts of tokens ---------------------------------------------------------------------


def raws(text: str) -> list[str]:
    """Return the tokens of a text as written, comments too."""
    text = text.rstrip(_BLANKS)
    if not _may_comment(text):
        return _find(text, _NONE)
    found = _find(text, _KEPT_TOO)
    return _nested(text) if "/*" in found else found


def significant(text: str) -> tuple[list[str], bool]:
    """Return the tokens of a text as written, but no comments, and not every row of a list.

    Returns:
        The tokens, and whether the text ends within a comment.
    """
    text = text.rstrip(_BLANKS)
    found, is_open = _significant(text)
    if "$" in text and _MAY_BE_GLUED.search(text):
        found = list(_apart(found))
    return found, is_open


def _significant(text: str) -> tuple[list[str], bool]:
    lists = len(text) >= _LONG
    found = _find(text, _SKIPPED if _may_comment(text) else _NONE, lists=lists)
    if "/*" in found:
        found = _nested(text)
        within = found[-1].startswith("/*") and not _closes(found[-1])
        return [raw for raw in found if not raw.startswith(("--", "/*"))], within
    if lists:
        found = [part for raw in found for part in (_cut(raw) if _is_list(raw) else (raw,))]
    return found, False


def _apart(found: list[str]) -> Iterator[str]:
    """Yield tokens, of which a word and the parameter after it are two."""
    numbers = {raw[1:] for raw in found if raw[0] == "$"}
    before, last = "", 0
    for raw in found:
        glued = GLUED_PARAMETER.fullmatch(raw) if "$" in raw and raw[0] != "$" else None
        if glued is None:
            parts = [raw]
        elif before != "." and _is_parameter(glued[1], glued[2], numbers, last):
            parts = [f"${glued[2]}"] if glued[1] in {"n", "N"} else [glued[1], f"${glued[2]}"]
        else:  # an identifier: quoted if it looks like two tokens
            parts = [f'"{raw.lower()}"' if glued[1].lower() in GLUED else raw]
        yield from parts
        before = parts[-1]
        if before[0] == "$" and before[1:].isdecimal() and len(before) <= _LONGEST_PARAMETER:
            last = max(last, int(before[1:]))


def _is_parameter(word: str, number: str, numbers: Collection[str], last: int) -> bool:
    """Return whether a parameter follows a word, and the two are no identifier.

    The server numbers each constant once and in order. Few write n'text', and identifiers are
    seldom in capitals: N$1 is a constant, and n$2 is one if it fills the place after $1.
    """
    if number in numbers:
        return False
    if word == "n":
        return last > 0 and int(number) == last + 1
    return word.lower() in GLUED


_LONGEST_PARAMETER = 6


def _may_comment(text: str) -> bool:
    return "--" in text or "/*" in text


def _is_list(raw: str) -> bool:
    """Return whether it is VALUES (...), IN (...) or ARRAY[...], and no single token."""
    return raw[-1:] in {")", "]"} and raw[0] in "vViIaA"


def _cut(raw: str) -> list[str]:
    return raws(_shorten(raw) if len(raw) > _LONG_LIST else raw)


def _shorten(raw: str) -> str:
    """Return VALUES with each kind of row once, IN or ARRAY with one of all constants."""
    shape = _LIST_CONSTANT.sub("$1", raw)
    if raw[0] in "vV":
        head, _, rows = shape.partition("(")
        return f"{head}({'), ('.join(dict.fromkeys(_BETWEEN_ROWS.split(rows[:-1])))})"
    head, opening, items = shape.partition("(" if raw[-1] == ")" else "[")
    if {item.strip() for item in items[:-1].split(",")} == {"$1"}:
        return f"{head}{opening}$1{raw[-1]}"
    return raw


def _nested(text: str) -> list[str]:
    """Cut a text with a comment that is nested or unterminated: no regular expression can."""
    found: list[str] = []
    lexer = _lexer(_KEPT_TOO, _has_dollar_quote(text), False)
    position = 0
    while position < len(text):
        end = len(text)
        for match in lexer.finditer(text, position):
            raw = match[1]
            if raw == "/*":
                end = _comment_end(text, match.end(1))
                raw = text[match.start(1) : end]
                found.append(raw)
                break
            if raw:
                found.append(raw)
        position = end
    return found


def _comment_end(text: str, position: int) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return len(text)


def _closes(comment: str) -> bool:
    edges = _COMMENT_EDGE.findall(comment)
    return edges.count("*/") >= edges.count("/*")


def decode(text: str | bytes) -> str:
    """Return a printable text: bytes that are not UTF-8 become U+FFFD."""
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def comments(text: str | bytes) -> list[str]:
    """Return the comments of a text, as written."""
    return [found.text for found in lex(decode(text)) if found.kind is TokenKind.COMMENT]


def is_own(text: str | bytes) -> bool:
    """Return whether a text is one of ours: it has our mark as a comment near its start."""
    head = text[:OWN_WITHIN]
    needle: str | bytes = OWN_MARK if isinstance(head, str) else OWN_MARK.encode()
    return needle in head and OWN_MARK in comments(head)  # type: ignore[operator]
