"""Statements that are not queries: names and values in them become placeholders."""

from pgiostat.fingerprint.lexer import PLACEHOLDER, Kind
from pgiostat.fingerprint.literals import SIGNS
from pgiostat.fingerprint.words import CONSTANTS

__all__ = ["hide"]

# Where the name that becomes a placeholder stands: after these words, the optional ones skipped.
_NAMED = {
    "savepoint": frozenset[str](),
    "release": frozenset({"savepoint"}),
    "close": frozenset[str](),
    "deallocate": frozenset({"prepare"}),
    "prepare": frozenset[str](),
    "execute": frozenset[str](),
    "declare": frozenset[str](),
}
_NO_NAME = frozenset({"all", "transaction", ""})
_SET_OPTIONS = frozenset({"session", "local"})
_SET_KEPT = frozenset({"transaction", "constraints", "characteristics"})
_ALTERED = frozenset({"system", "role", "user", "database"})
_ROUTINES = frozenset({"function", "procedure", "routine"})
_BODY = frozenset({"begin", "return"})
_ROLES = frozenset({"role", "user", "group"})


def hide(kinds: list[Kind], texts: list[str]) -> None:
    """Replace names and values of a statement that is not a query, in place."""
    head = texts[0]
    second = texts[1] if len(texts) > 1 else ""
    if head in _NAMED:
        position = 2 if second in _NAMED[head] and len(texts) > 2 else 1  # noqa: PLR2004
        if texts[position : position + 1] and texts[position] not in _NO_NAME:
            _replace(kinds, texts, position, position + 1)
    elif head == "rollback" and "to" in texts[:3]:
        _replace(kinds, texts, len(texts) - 1, len(texts))
    elif head in {"fetch", "move"} and len(texts) > 1:
        _replace(kinds, texts, len(texts) - 1, len(texts))
        if texts[2:3] == ["-"]:  # ABSOLUTE -1: FETCH's words are none that a sign follows
            del kinds[2], texts[2]
    elif head == "set":
        _set(kinds, texts, 2 if second in _SET_OPTIONS else 1)
    elif head == "alter" and second in _ALTERED and "set" in texts and "(" not in texts:
        _set(kinds, texts, texts.index("set") + 1)
    else:
        _hide_within(kinds, texts)
    if head in {"create", "alter"} and second in _ROLES and "password" in texts[:-1]:
        position = texts.index("password") + 1
        _replace(kinds, texts, position, position + 1)


def _hide_within(kinds: list[Kind], texts: list[str]) -> None:
    head = texts[0]
    if head in {"create", "alter"} and _ROUTINES.intersection(texts[1:4]):
        _set_options(kinds, texts)
    elif head in {"explain", "create"} and "execute" in texts[:-1]:
        position = texts.index("execute") + 1
        _replace(kinds, texts, position, position + 1)


def _set_options(kinds: list[Kind], texts: list[str]) -> None:
    """Replace the values of a routine's settings: SET name = value, value."""
    position = 0
    while "set" in texts[position:] and not _BODY.intersection(texts[:position]):
        position = texts.index("set", position) + 1
        equals = next((i for i, text in enumerate(texts[position:][:5]) if text in {"=", "to"}), -1)
        if equals < 0:
            continue
        position += equals
        texts[position], kinds[position] = "=", Kind.OPERATOR
        following = "="
        while following in {"=", ","} and position + 1 < len(texts):
            _replace(kinds, texts, position + 1, position + 2)
            position += 2
            following = texts[position] if position < len(texts) else ""


def _set(kinds: list[Kind], texts: list[str], position: int) -> None:
    """Replace the value in SET name = value, name TO value, TIME ZONE, ROLE and the like."""
    rest = texts[position:]
    if not rest or rest[0] in _SET_KEPT:
        return
    for word in ("=", "to"):
        if word in rest[:6]:
            position += rest.index(word)
            texts[position] = "="
            kinds[position] = Kind.OPERATOR
            _replace(kinds, texts, position + 1, len(texts))
            return
    first = {"time": 2, "authorization": 1, "session": 2}.get(rest[0], 1)
    if not _SET_KEPT.intersection(rest[:3]):
        _replace(kinds, texts, position + first, len(texts))


def _replace(kinds: list[Kind], texts: list[str], start: int, end: int) -> None:
    while start and texts[start - 1] in SIGNS:
        start -= 1
    if start < end and start < len(texts):
        if texts[end : end + 1] and texts[end] in CONSTANTS:  # what kept it is gone
            end += 1
        kinds[start:end] = [Kind.PARAMETER]
        texts[start:end] = [PLACEHOLDER]
