"""Lists of constants in IN (...) and ARRAY[...], and equal rows of VALUES, become one."""

from dataclasses import dataclass, field
from itertools import pairwise

from pgiostat.queries.fingerprint.tokens import PLACEHOLDER
from pgiostat.queries.fingerprint.words import KEYWORDS

__all__ = ["collapse"]


@dataclass(slots=True)
class _List:
    """An open pair of parentheses or brackets."""

    start: int
    constants: bool  # IN (...) or ARRAY[...]
    row: bool = False  # of VALUES
    commas: list[int] = field(default_factory=list)
    rows: set[tuple[str, ...]] | None = None  # of the VALUES in it
    row_end: int = -1


_MAX_ROW = 4096  # longer rows are not compared


def collapse(texts: list[str]) -> list[str]:
    """Make lists of constants, and equal rows of VALUES, one."""
    if not ("in" in texts or "array" in texts or "values" in texts):
        return texts
    out: list[str] = []
    top = _List(0, constants=False)
    stack = [top]
    for text in texts:
        if text in _OPENS:
            stack.append(_opened(text, out, stack[-1]))
        elif text == ",":
            stack[-1].commas.append(len(out))
        elif text in _CLOSED and len(stack) > 1:
            closed = stack.pop()
            if closed.constants:
                _merge_constants(out, closed)
            out.append(text)
            if closed.row:
                _merge_row(out, closed, stack[-1])
            continue
        out.append(text)
    return out


_OPENS = frozenset({"(", "["})
_CLOSED = frozenset({")", "]"})


def _opened(text: str, out: list[str], outer: _List) -> _List:
    before = out[-1] if out else ""
    start = len(out)
    if text == "[":
        nested = outer.constants and before in {"[", ","}
        return _List(start, constants=before == "array" or nested)
    if before == "values":
        outer.rows = set()
        return _List(start, constants=False, row=True)
    follows = outer.rows is not None and before == "," and outer.row_end == start - 1
    return _List(start, constants=before == "in", row=follows)


def _merge_row(out: list[str], row: _List, outer: _List) -> None:
    if len(out) - row.start <= _MAX_ROW and outer.rows is not None:
        tokens = tuple(out[row.start :])
        if tokens in outer.rows:
            del out[row.start - 1 :]
        outer.rows.add(tokens)
    outer.row_end = len(out)


def _merge_constants(out: list[str], closed: _List) -> None:
    """Make a list that holds nothing but constants one of them; each shape of row stays.

    PostgreSQL 18 squashes such a list with all casts in it, if it has more than one item.
    """
    edges = [closed.start, *closed.commas, len(out)]
    parts = dict.fromkeys(tuple(out[a + 1 : b]) for a, b in pairwise(edges))
    if not all(map(_is_constant, parts)):
        return
    kept = dict.fromkeys(part if part[0] in _ROWS else (PLACEHOLDER,) for part in parts)
    items: list[str] = []
    for part in kept:
        items += [*part, ","]
    out[closed.start + 1 :] = items[:-1]


def _is_constant(item: tuple[str, ...]) -> bool:
    """Return whether an item is a placeholder, perhaps of a named type or cast to one."""
    if item[:4] == _CAST and item[-1] == ")":
        return True
    cast = False
    for text, after in pairwise((*item, "")):
        if text == "::":
            cast = True
        elif text in {PLACEHOLDER, ","}:
            cast = False
        elif text in _IN_CONSTANTS or cast:
            continue
        elif after != PLACEHOLDER or text in KEYWORDS:
            return False
    return PLACEHOLDER in item


_CAST = ("cast", "(", PLACEHOLDER, "as")
_ROWS = frozenset({"(", "[", "row", "array"})
_IN_CONSTANTS = frozenset({"(", ")", "[", "]", "array", "row", "."})
