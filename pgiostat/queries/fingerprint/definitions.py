"""Definitions: names with values, in parentheses; the values become placeholders.

They follow WITH and OPTIONS, or come after the names of commands (EXPLAIN, VACUUM), in COPY, after
ALTER ... SET, after the operator class of an index, and are all that CREATE AGGREGATE, OPERATOR,
TYPE, COLLATION and TEXT SEARCH have. Conditions, columns and arguments look alike and are none.
"""

from collections.abc import Iterator

from pgiostat.queries.fingerprint.command import TokenRange, TokenRanges, UtilityStatement
from pgiostat.queries.fingerprint.literals import ends_operand
from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, TokenKind
from pgiostat.queries.fingerprint.words import STARTS_QUERY, words

__all__ = ["QUERIES", "definitions"]

QUERIES = STARTS_QUERY | {"("}
_HAS_OPTIONS = frozenset({"alter", "create", "import"})
_DEFINES = frozenset({"alter", "create"})
_NO_OPTIONS = frozenset({"copy", "fetch", "move"})
_ALTERED = frozenset({"set", "reset", "skip"})
# After these an expression comes, or a query.
_EXPRESSIONS = words("as check default generated on return using when where")
_NAMED = (TokenKind.NAME, TokenKind.OPERATOR)
_PREFIXES = frozenset({"add", "drop", "set"})


def definitions(command: UtilityStatement) -> TokenRanges:
    """Yield the values of all definitions in a statement."""
    for start, end in _lists(command):
        yield from _values(command, start, end)


def _lists(command: UtilityStatement) -> Iterator[tuple[int, int]]:
    """Yield the openings of definitions, and where they close."""
    expressions: list[bool] = []  # of the parentheses that are open: whether they hold one
    query = command.head not in _DEFINES
    condition = False
    copied = False  # COPY's options may come
    position = 0
    while position < len(command.texts):
        text = command.texts[position]
        if text == "(":
            within = query or (expressions[-1] if expressions else condition)
            if (
                _is_introduced(command, position)
                or (copied and not expressions)
                or (not within and _is_definition(command, position, inner=bool(expressions)))
            ):
                yield position, command.closings[position]
                position = command.closings[position]
            else:
                inner = bool(expressions) and expressions[-1]
                expressions.append(inner or _holds_expression(command, position))
        elif text == ")":
            del expressions[-1:]
        elif not expressions and position > command.at:
            query = query or text in _QUERY_VERBS
            condition = condition or text in _CONDITIONS
            copied = command.head == "copy" and (copied or text in _COPIED) and text != "where"
        position += 1


_QUERY_VERBS = words("select insert update delete merge return")
_CONDITIONS = words("check default when where")
_COPIED = frozenset({"from", "to"})


def _is_introduced(command: UtilityStatement, position: int) -> bool:
    """Return whether the words before parentheses say that a definition is in them."""
    before = command.text(position - 1)
    if before == "with":
        return True
    if before == "options":
        return command.head in _HAS_OPTIONS
    if before in _ALTERED:
        return command.head == "alter"
    if position not in {1, command.at + 1}:
        return False
    return not {before, command.text(position + 1)} & QUERIES and before not in _NO_OPTIONS


def _is_definition(command: UtilityStatement, position: int, *, inner: bool) -> bool:
    """Return whether parentheses without an introduction hold a definition: name = value.

    inner: They are in others, where only an operator class may have one.
    """
    if command.text(command.name_end(position + 1)) != "=" or not command.is_word(position + 1):
        return False
    before = position - 1
    kind, text = command.kinds[before], command.texts[before]
    if not inner:
        return text == ")" or (kind in _NAMED and text != PLACEHOLDER)
    while command.text(before - 1) == ".":
        before -= 2
    operand = ends_operand(command.kinds[before - 1], command.texts[before - 1])
    return kind is TokenKind.NAME and operand


def _holds_expression(command: UtilityStatement, position: int) -> bool:
    before = command.text(position - 1)
    return before in _EXPRESSIONS or before in {"(", ","}


def _values(command: UtilityStatement, opening: int, end: int) -> TokenRanges:
    """Yield the values of one definition."""
    prefixed = command.text(opening - 1) == "options"
    start = opening + 1
    for position in command.outside(start):
        if position >= end:
            break
        if command.texts[position] == ",":
            yield from _value(command, start, position, prefixed=prefixed)
            start = position + 1
    yield from _value(command, start, end, prefixed=prefixed)


def _value(command: UtilityStatement, start: int, end: int, *, prefixed: bool) -> TokenRanges:
    """Yield the value of one item: name, name value, name = value, SET name value."""
    after = start
    if command.is_word(start):
        if prefixed and command.texts[start] in _PREFIXES and command.is_word(start + 1):
            start += 1
        after = command.name_end(start)
        after += command.text(after) == "="
    if after < end:
        yield TokenRange(after, end)
