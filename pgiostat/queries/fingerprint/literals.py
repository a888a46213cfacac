"""Literals, and so secrets, become placeholders; the operator ? stays an operator."""

from collections.abc import Iterable

from pgiostat.queries.fingerprint.ordinals import BEFORE_ORDINAL, restore
from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, Plain, TokenKind
from pgiostat.queries.fingerprint.words import (
    CONSTANTS,
    EXPECTS,
    EXPECTS_AFTER_OPERAND,
    KEEPS_CONSTANT,
    SIGNS,
    STARTS_OPERAND,
)

__all__ = ["ends_operand", "fold", "placeholders"]

_CLOSES = frozenset({")", "]", "."})
_EXTRACT = ["extract", "("]


def fold(tokens: Iterable[Plain]) -> tuple[list[TokenKind], list[str]]:  # noqa: C901, PLR0912 - one loop: each call costs a token as much again
    """Return kinds and texts without literals: each becomes a ?, its sign goes.

    Semicolons stay between two statements only.
    """
    kinds: list[TokenKind] = []
    texts: list[str] = []
    string, name, keyword, punctuation = (
        TokenKind.STRING,
        TokenKind.NAME,
        TokenKind.KEYWORD,
        TokenKind.PUNCTUATION,
    )
    number, parameter = TokenKind.NUMBER, TokenKind.PARAMETER
    before = ""
    written: dict[int, str] = {}
    after_string = -1  # the position after the last string: adjacent ones are one
    for kind, text in tokens:
        if kind is name:
            pass
        elif kind is punctuation:
            if text == ";" and (not texts or texts[-1] == ";"):
                continue
        elif kind is keyword:
            if before == ".":  # any word may name a column there
                kind = name  # noqa: PLW2901 - the pair is not used again
            elif text in CONSTANTS and before not in KEEPS_CONSTANT:
                _literal(kinds, texts)
                before = PLACEHOLDER
                continue
            elif text == "all" and before == "limit":  # the server takes it for LIMIT NULL
                kind, text = parameter, PLACEHOLDER  # noqa: PLW2901
            elif text == "from" and texts[-3:-1] == _EXTRACT:
                kinds[-1] = TokenKind.PARAMETER
                texts[-1] = PLACEHOLDER
        elif kind is parameter or kind is number:
            if before in SIGNS:
                _drop_signs(kinds, texts)
            elif before in BEFORE_ORDINAL and kind is number:
                written[len(texts)] = text
            kind, text = parameter, PLACEHOLDER  # noqa: PLW2901
        elif kind is string:
            if before == "uescape" and _is_escaped(texts, after_string):  # part of the token before
                kinds.pop()
                texts.pop()
            elif after_string != len(texts):
                _literal(kinds, texts)
            after_string = len(texts)
            before = PLACEHOLDER
            continue
        kinds.append(kind)
        texts.append(text)
        before = text
    if texts and texts[-1] == ";":
        kinds.pop()
        texts.pop()
    if (written and "by" in texts) or "distinct" in texts:
        restore(kinds, texts, written)
    return kinds, texts


def _is_escaped(texts: list[str], after_string: int) -> bool:
    """Return whether the word at the end is UESCAPE: after a string, or an identifier U&"…"."""
    return after_string == len(texts) - 1 or "".join(texts[-2:-1]).startswith('U&"')


def _literal(kinds: list[TokenKind], texts: list[str]) -> None:
    if texts and texts[-1] in SIGNS:
        _drop_signs(kinds, texts)
    kinds.append(TokenKind.PARAMETER)
    texts.append(PLACEHOLDER)


def _drop_signs(kinds: list[TokenKind], texts: list[str]) -> None:
    """Drop the signs at the end, if an operand must come there."""
    start = len(texts)
    while start and texts[start - 1] in SIGNS:
        start -= 1
    if start and not _expects_operand(kinds, texts, start - 1):
        start += 1  # the first one is between two operands
    del kinds[start:], texts[start:]


def _expects_operand(kinds: list[TokenKind], texts: list[str], position: int) -> bool:
    """Return whether an operand must come after a token, by the tokens before it too."""
    text = texts[position]
    if text == ")":
        return _names_operator(kinds, texts, position)
    if kinds[position] is TokenKind.NAME and text in EXPECTS_AFTER_OPERAND and position:
        # x BETWEEN -1: after an operand this is no column of that name.
        before = texts[position - 1]
        return before in {"fetch", "not", "set"} or (
            before != "." and ends_operand(kinds[position - 1], before)
        )
    return not ends_operand(kinds[position], text)


def _names_operator(kinds: list[TokenKind], texts: list[str], closing: int) -> bool:
    """Return whether parentheses are those of OPERATOR(schema.name)."""
    position = closing - 1
    if position < 0 or kinds[position] is not TokenKind.OPERATOR:
        return False
    while position > 1 and texts[position - 1] == "." and closing - position < _LONGEST_OPERATOR:
        position -= 2
    return texts[max(position - 2, 0) : position] == ["operator", "("]


_LONGEST_OPERATOR = 8
"""Tokens of a qualified operator's name."""


def ends_operand(kind: TokenKind, text: str) -> bool:
    """Return whether an operand may end with a token."""
    if kind is TokenKind.KEYWORD:
        return text not in EXPECTS
    if kind is TokenKind.PUNCTUATION:
        return text in _CLOSES
    return kind is not TokenKind.OPERATOR


def placeholders(tokens: list[Plain]) -> list[Plain]:
    """Return tokens with each ? as a parameter, unless it is jsonb's operator between operands."""
    found = list(tokens)
    operand = False
    for position, (kind, text) in enumerate(tokens):
        placeholder = kind is TokenKind.OPERATOR and text == PLACEHOLDER
        if placeholder and not (operand and _starts_operand(tokens, position + 1)):
            found[position] = (TokenKind.PARAMETER, text)
            operand = True
        else:
            operand = ends_operand(kind, text)
    return found


def _starts_operand(tokens: list[Plain], position: int) -> bool:
    if position >= len(tokens):
        return False
    kind, text = tokens[position]
    if kind is TokenKind.KEYWORD:
        return text in STARTS_OPERAND
    return kind <= TokenKind.NAME or kind is TokenKind.ALIAS or text in {"(", PLACEHOLDER}
