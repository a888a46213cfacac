"""PostgreSQL's scanner once more, character by character: where constants and comments are.

src/backend/parser/scan.l as its states, under either standard_conforming_strings. It shares no
line with pgiostat's lexer. libpg_query judges it where the setting is on, a server where it is off.
"""

import re
from collections.abc import Iterator

__all__ = ["constants_and_comments"]

Stretch = tuple[int, int, str]
"""Start and end of a constant or comment, and which of the two it is."""

_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_OPENING = re.compile("([bBeEnNxX]|[uU]&|)'")
_DOLLAR = re.compile(r"\$([A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_NUMBER = re.compile(
    r"0[xX](_?[0-9A-Fa-f])+|0[oO](_?[0-7])+|0[bB](_?[01])+"
    r"|([0-9](_?[0-9])*(\.(?!\.)([0-9](_?[0-9])*)?)?|\.[0-9](_?[0-9])*)([eE][+-]?[0-9](_?[0-9])*)?"
)
_PARAMETER = re.compile(r"\$[0-9]+")
_ONE = (_WORD, re.compile(r"\.\."), _NUMBER, _PARAMETER)
_CONTINUED = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'")


def constants_and_comments(text: str, *, conforming: bool) -> list[Stretch]:
    """Return the constants and comments of a text, in their order.

    Args:
        text: Any text; what is unterminated runs to its end.
        conforming: Whether a backslash is an ordinary character in '...'.
    """
    return list(_walk(text, conforming=conforming))


def _walk(text: str, *, conforming: bool) -> Iterator[Stretch]:
    position = 0
    while position < len(text):
        start = position
        comment = _comment_end(text, position)
        string = _string_end(text, position, conforming=conforming)
        if comment:
            position = comment
            yield start, position, "comment"
        elif string:
            position = string
            yield start, position, "constant"
        else:
            position = _other_end(text, position)


def _comment_end(text: str, position: int) -> int:
    """Return where the comment that starts here ends; 0 if none does."""
    if text.startswith("--", position):
        while position < len(text) and text[position] not in "\n\r":
            position += 1
        return position
    if not text.startswith("/*", position):
        return 0
    depth = 0
    while position < len(text):
        if text.startswith("/*", position):
            depth += 1
            position += 2
        elif text.startswith("*/", position):
            depth -= 1
            position += 2
            if not depth:
                return position
        else:
            position += 1
    return position


def _string_end(text: str, position: int, *, conforming: bool) -> int:
    """Return where the string that starts here ends; 0 if none does."""
    if dollar := _DOLLAR.match(text, position):
        end = text.find(dollar[0], dollar.end())
        return len(text) if end < 0 else end + len(dollar[0])
    opening = _OPENING.match(text, position)
    if opening is None:
        return 0
    prefix = opening[1].lower()
    escapes = prefix == "e" or (prefix in {"", "n"} and not conforming)
    return _quoted_end(text, opening.end(), escapes=escapes, doubles=prefix not in {"b", "x"})


def _quoted_end(text: str, position: int, *, escapes: bool, doubles: bool) -> int:
    while position < len(text):
        if text[position] == "\\" and escapes:
            position += 2
        elif text[position] != "'":
            position += 1
        elif doubles and text.startswith("''", position):
            position += 2
        elif more := _CONTINUED.match(text, position + 1):
            position = more.end()
        else:
            return position + 1
    return len(text)


def _other_end(text: str, position: int) -> int:
    """Return where a word, quoted identifier, number, parameter or any other character ends."""
    if text.startswith('"', position) or text[position : position + 3].lower() == 'u&"':
        position = text.index('"', position) + 1
        while position < len(text):
            if text.startswith('""', position):
                position += 2
            elif text[position] == '"':
                return position + 1
            else:
                position += 1
        return len(text)
    found = next(filter(None, (each.match(text, position) for each in _ONE)), None)
    return found.end() if found else position + 1
