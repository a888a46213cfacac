"""Integers that name a column of the select list: ORDER BY 2, GROUP BY 1, DISTINCT ON (1).

PostgreSQL resolves them when it parses a statement, so they are no constants: pg_stat_statements
shows them as they were written, and each is a statement of its own. In the ORDER BY of a window or
of an aggregate an integer is a constant, like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, TokenKind
from pgiostat.queries.fingerprint.words import SIGNS, STARTS_QUERY, words

__all__ = ["BEFORE_ORDINAL", "ordinal", "restore"]

MAX_COLUMNS = 1664
"""MaxTupleAttributeNumber: a select list has no more."""
_MAX_LENGTH = 12

BEFORE_ORDINAL = frozenset({"by", ",", "(", "all", "distinct"})
"""Tokens that may precede an ordinal."""
_ENDS_LIST = words(
    """limit offset fetch for having window union intersect except on returning order group
    with ;"""
) | {""}
_ENDS_ITEM = _ENDS_LIST | words("asc desc nulls using , )")
_GROUPS = words("by , ( all distinct rollup cube sets")


def ordinal(text: str) -> str:
    """Return an integer as it is shown, empty if it is no place in a select list.

    >>> ordinal("2"), ordinal("0x1_0"), ordinal("1665"), ordinal("1.0")
    ('2', '16', '', '')
    """
    if len(text) > _MAX_LENGTH:
        return ""
    plain = text.replace("_", "")
    try:
        value = int(plain) if plain.isdecimal() else int(plain, 0)
    except ValueError:
        return ""
    return str(value) if 1 <= value <= MAX_COLUMNS else ""


@dataclass(slots=True)
class _Level:
    """A pair of parentheses.

    Attributes:
        query: Whether a query is in it, or may be.
        clause: The list of ordinals that is open: by, on (of DISTINCT ON), or none.
        opener: The list that it is an item of.
        items: Number of its items up to the current position.
        found: Positions of ordinals in it.
    """

    query: bool
    clause: str = ""
    opener: str = ""
    items: int = 1
    found: list[int] = field(default_factory=list)


def restore(kinds: list[TokenKind], texts: list[str], written: Mapping[int, str]) -> None:
    """Write ordinals again as they were, in place, and drop the signs after DISTINCT ON (...).

    Args:
        kinds: Of the tokens.
        texts: Of the tokens; constants are placeholders.
        written: Integers that may be ordinals, by position.
    """
    found, signs = _find(kinds, texts, written)
    for position in found:
        if shown := ordinal(written[position]):
            kinds[position], texts[position] = TokenKind.NUMBER, shown
    if signs:
        dropped = set(signs)
        kinds[:] = [kind for position, kind in enumerate(kinds) if position not in dropped]
        texts[:] = [text for position, text in enumerate(texts) if position not in dropped]


def _find(
    kinds: list[TokenKind], texts: list[str], written: Mapping[int, str]
) -> tuple[list[int], list[int]]:
    """Return the positions of ordinals, and of the signs of constants after DISTINCT ON (...)."""
    queries = _queries(kinds, texts)
    found: list[int] = []
    signs: list[int] = []
    stack = [_Level(query=True)]
    for position, text in enumerate(texts):
        level = stack[-1]
        if text == "(":
            stack.append(_opened(texts, position, level, is_query=queries[position]))
        elif text == ")" and len(stack) > 1:
            stack.pop()
            _close(texts, position, level, stack[-1], found)
            if level.opener == "on":
                signs += _signs(texts, position + 1)
        elif text == ",":
            level.items += 1
        elif position in written and level.clause and _is_item(texts, position):
            (level.found if level.opener else found).append(position)
        elif level.query:
            _read_word(texts, position, level)
    return found, signs


def _read_word(texts: list[str], position: int, level: _Level) -> None:
    """Note where a list of ordinals begins and ends."""
    text = texts[position]
    before = texts[position - 1] if position else ""
    if text == "by" and before in {"order", "group"}:
        level.clause = before
    elif text in _ENDS_LIST:
        level.clause = ""


def _queries(kinds: list[TokenKind], texts: list[str]) -> list[bool]:
    """Return of each opening parenthesis whether a query is in it, perhaps in more of them."""
    found = [False] * (len(texts) + 1)
    for position in range(len(texts) - 2, -1, -1):
        if texts[position] == "(":
            after = texts[position + 1]
            nested = after == "(" and found[position + 1]
            is_call = position > 0 and kinds[position - 1] is TokenKind.NAME
            found[position] = (after in STARTS_QUERY) or (nested and not is_call)
    return found


def _opened(texts: list[str], position: int, outer: _Level, *, is_query: bool) -> _Level:
    before = texts[position - 1] if position else ""
    if is_query:
        return _Level(query=True)
    if before == "on" and texts[position - 2 : position - 1] == ["distinct"]:
        return _Level(query=False, clause="on", opener="on")
    if outer.clause and before in _GROUPS:
        return _Level(query=False, clause=outer.clause, opener=outer.clause)
    return _Level(query=False)


def _close(texts: list[str], position: int, level: _Level, outer: _Level, found: list[int]) -> None:
    """Take over the ordinals of a level, if it is an item as a whole.

    (1) is an ordinal everywhere, (1, 2) are two in GROUP BY alone; elsewhere it is a row.
    """
    if level.opener == "on" and outer.clause != "on":
        found += level.found
        return
    is_whole = level.items == 1 or level.opener == "group"
    if level.found and is_whole and _after(texts, position) in _ENDS_ITEM:
        (outer.found if outer.opener else found).extend(level.found)


def _is_item(texts: list[str], position: int) -> bool:
    before = texts[position - 1] if position else ""
    if before in {"all", "distinct"} and texts[position - 2 : position - 1] != ["by"]:
        return False
    return before in BEFORE_ORDINAL and _after(texts, position) in _ENDS_ITEM


def _after(texts: list[str], position: int) -> str:
    return texts[position + 1] if position + 1 < len(texts) else ""


def _signs(texts: list[str], start: int) -> list[int]:
    """Return the positions of the signs of a constant."""
    end = start
    while end < len(texts) and texts[end] in SIGNS:
        end += 1
    return [*range(start, end)] if end > start and texts[end : end + 1] == [PLACEHOLDER] else []
