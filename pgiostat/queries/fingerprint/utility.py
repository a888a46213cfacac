"""Statements that are not queries: names, values and passwords in them become placeholders.

A bare word may be a value: SET my.key TO word, WITH (option = word). Which words are values
follows from the grammar (src/backend/parser/gram.y), by their places. Names of relations, columns,
functions, roles and databases stay. Each statement of a text is read in one pass.
"""

from collections.abc import Callable, Collection

from pgiostat.queries.fingerprint.command import TokenRange, TokenRanges, UtilityStatement
from pgiostat.queries.fingerprint.definitions import QUERIES, definitions
from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, TokenKind
from pgiostat.queries.fingerprint.words import CONSTANTS, SIGNS, words

__all__ = ["hide"]

_MAY_HIDE = frozenset({";", "current"})


def hide(kinds: list[TokenKind], texts: list[str]) -> None:
    """Replace names and values of statements that are not queries, in place."""
    if texts[0] in QUERIES and _MAY_HIDE.isdisjoint(texts):
        return
    spans: list[TokenRange] = []
    ends = [position for position, text in enumerate(texts) if text == ";"]
    start = 0
    for end in [*ends, len(texts)]:
        command = UtilityStatement(kinds[start:end], texts[start:end])
        if command.texts:
            spans += [
                TokenRange(start + span.start, start + span.end, span.assigned)
                for span in sorted(_spans(command))
            ]
        start = end + 1
    if spans:
        _replace(kinds, texts, spans)


def _replace(kinds: list[TokenKind], texts: list[str], spans: list[TokenRange]) -> None:
    """Replace spans, in their order, by placeholders; the signs before them go."""
    new_kinds: list[TokenKind] = []
    new_texts: list[str] = []
    position = 0
    for start, end, assigned in spans:
        if start < position:  # it is part of the one before
            position = max(position, end)
            continue
        new_kinds += kinds[position:start]
        new_texts += texts[position:start]
        if assigned:
            new_kinds.append(TokenKind.OPERATOR)
            new_texts.append("=")
        if start + assigned < end:
            while new_texts and new_texts[-1] in SIGNS:
                new_kinds.pop()
                new_texts.pop()
            new_kinds.append(TokenKind.PARAMETER)
            new_texts.append(PLACEHOLDER)
        position = end
        if position < len(texts) and texts[position] in CONSTANTS:  # what kept it is gone
            position += 1
    kinds[:] = new_kinds + kinds[position:]
    texts[:] = new_texts + texts[position:]


def _spans(command: UtilityStatement) -> TokenRanges:
    """Yield the spans to hide in one statement."""
    _skip_explain(command)
    rule = _RULES.get(command.head)
    if rule is not None:
        yield from rule(command)
    if command.closings and command.texts[0] not in QUERIES:
        yield from definitions(command)
    if "current" in command.texts:
        yield from _current(command)


def _skip_explain(command: UtilityStatement) -> None:
    """Find the command that EXPLAIN explains."""
    while command.head == "explain":
        command.at += 1
        if command.head == "(" and command.text(command.at + 1) not in QUERIES:
            command.at = command.closings[command.at] + 1
        while command.head in {"analyze", "analyse", "verbose"}:
            command.at += 1


def _one(command: UtilityStatement, position: int) -> TokenRanges:
    """Yield one token, if there is one."""
    if position < len(command.texts):
        yield TokenRange(position, position + 1)


def _rest(command: UtilityStatement, position: int, *, assigned: bool = False) -> TokenRanges:
    """Yield all tokens from a position on."""
    if position - assigned < len(command.texts):
        yield TokenRange(position - assigned, len(command.texts), assigned)


def _after(command: UtilityStatement, start: int, introductions: Collection[str]) -> TokenRanges:
    """Yield each token that follows one of these words outside parentheses."""
    taken = -1
    for position in command.outside(start):
        if position != taken and command.texts[position] in introductions:
            taken = position + 1
            yield from _one(command, taken)


# --- names within a session


def _named(command: UtilityStatement) -> TokenRanges:
    """Savepoints, cursors, prepared statements, channels: the name after the head."""
    position = command.at + 1
    if command.text(position) in _BEFORE_NAME.get(command.head, ()) and command.text(position + 1):
        position += 1
    if command.text(position) not in _NO_NAMES:
        yield from _one(command, position)


_BEFORE_NAME = {
    "commit": frozenset({"prepared"}),
    "deallocate": frozenset({"prepare"}),
    "prepare": frozenset({"transaction"}),
    "release": frozenset({"savepoint"}),
}
_NO_NAMES = frozenset({"all", "*"})


def _rollback(command: UtilityStatement) -> TokenRanges:
    """ROLLBACK [WORK] TO [SAVEPOINT] name, ROLLBACK PREPARED name."""
    position = command.at + 1
    if command.text(position) == "prepared":
        yield from _rest(command, position + 1)
    while command.text(position) in {"work", "transaction"}:
        position += 1
    if command.text(position) == "to":
        savepoint = command.text(position + 1) == "savepoint" and command.text(position + 2)
        yield from _rest(command, position + (2 if savepoint else 1))


def _commit(command: UtilityStatement) -> TokenRanges:
    if command.text(command.at + 1) == "prepared":
        yield from _named(command)


def _fetch(command: UtilityStatement) -> TokenRanges:
    """FETCH [direction] [FROM] cursor; after the words of FETCH no sign is dropped as such."""
    last = len(command.texts) - 1
    sign = command.at + 1 + command.is_word(command.at + 1)
    if command.text(sign) in SIGNS and command.text(sign + 1) == PLACEHOLDER and sign + 1 < last:
        yield TokenRange(sign, sign + 2)
    if last > command.at:
        yield TokenRange(last, last + 1)


def _current(command: UtilityStatement) -> TokenRanges:
    """WHERE CURRENT OF cursor, in UPDATE and DELETE."""
    for position, text in enumerate(command.texts):
        if text == "of" and command.texts[max(position - 2, 0) : position] == ["where", "current"]:
            yield from _one(command, position + 1)


# --- settings


def _set(command: UtilityStatement) -> TokenRanges:
    yield from _setting(command, command.at + 1)


def _setting(command: UtilityStatement, start: int) -> TokenRanges:
    """Yield the value of a SET that ends the statement."""
    value, assigned = command.assignment(start)
    yield from _rest(command, value, assigned=assigned)


def _settings(command: UtilityStatement, start: int) -> TokenRanges:
    """Yield the values of a routine's options: SET name = value, value, and PARALLEL word."""
    skip = -1
    for position in command.outside(start):
        text = command.texts[position]
        if position < skip:
            continue
        if text == "return" or (text == "begin" and command.text(position + 1) == "atomic"):
            break
        if text == "parallel":
            skip = position + 2
            yield from _one(command, position + 1)
        elif text == "set":
            value, assigned = command.assignment(position + 1)
            skip = value + 1
            if assigned:
                while command.text(skip) == ",":
                    skip += 2
                skip = min(skip, len(command.texts))
                yield TokenRange(value - 1, skip, assigned)
            elif command.text(value) not in {"from", "interval"}:  # FROM CURRENT, INTERVAL ?
                yield from _one(command, value)


# --- objects


def _create(command: UtilityStatement) -> TokenRanges:
    kind, name = _object(command)
    if kind in _ROUTINES:
        yield from _settings(command, command.name_end(name))
    elif kind == "database":
        yield from _database(command, name + 1)
    elif kind == "trigger" and command.text(name - 2) == "event":
        yield from _one(command, name + 2)  # ON event
    elif kind in _VALUES:
        yield from _after(command, name + 1, _VALUES[kind])
    yield from _actions(command)


def _alter(command: UtilityStatement) -> TokenRanges:
    kind, name = _object(command)
    if kind == "system":
        yield from _setting(command, name + 1)
        return
    option = name + 1
    if command.texts[option : option + 2] == ["in", "database"]:
        option += 3
    if kind in _CONFIGURED and command.text(option) == "set":
        yield from _setting(command, option + 1)
    elif kind in _ROUTINES:
        yield from _settings(command, command.name_end(name))
    elif kind == "database" and command.text(option) not in _ALTERS_DATABASE:
        yield from _database(command, option)
    elif kind == "extension" and command.text(option) == "update":
        yield from _after(command, option, {"to"})
    elif kind in _VALUES:
        yield from _after(command, option, _VALUES[kind])
    for position, text in enumerate(command.texts):
        if text in {"storage", "compression"} and command.text(position - 1) == "set":
            yield from _one(command, position + 1)


def _object(command: UtilityStatement) -> tuple[str, int]:
    """Return the kind of an object, and the position of its name."""
    position = command.at + 1
    while command.text(position) in _BEFORE_KIND:
        position += 1
    kind = command.text(position)
    position += 1 + (kind == "user" and command.text(position + 1) == "mapping")
    while command.text(position) in {"if", "not", "exists"}:
        position += 1
    return kind, position


_BEFORE_KIND = words("or replace event constraint")
_ROUTINES = words("function procedure routine")
_CONFIGURED = words("role user database")
_ALTERS_DATABASE = words("rename owner set reset refresh")
_OF_ROLES = words("password until limit sysid")
# The words before values, where it is the kind of the object that makes them so.
_VALUES = {
    "role": _OF_ROLES,
    "user": _OF_ROLES,
    "group": _OF_ROLES,
    "extension": words("version from"),
    "policy": words("as"),
    "server": words("type version"),
    "subscription": words("connection"),
    "tablespace": words("location"),
}


def _database(command: UtilityStatement, start: int) -> TokenRanges:
    """Yield the values of a database's options: name [=] value, without parentheses."""
    position = start + (command.text(start) == "with")
    while position < len(command.texts):
        position += 2 if command.texts[position] == "connection" else 1
        position += command.text(position) == "="
        yield from _one(command, position)
        position += 1


def _actions(command: UtilityStatement) -> TokenRanges:
    """Yield what an object does: AS EXECUTE name, a trigger's function, NOTIFY of a rule."""
    end = command.at
    for position, text in enumerate(command.texts):
        if position < end:
            continue
        before = command.text(position - 1)
        if text == "execute" and command.text(position + 1) in {"function", "procedure"}:
            opening = command.name_end(position + 2)
            end = command.closings.get(opening, opening)
            yield from _arguments(command, opening + 1, end)
        elif (text == "execute" and before == "as") or (text == "notify" and before in _DOES):
            yield from _one(command, position + 1)


_DOES = frozenset({"do", "also", "instead", "("})


def _arguments(command: UtilityStatement, start: int, end: int) -> TokenRanges:
    """Yield the arguments of a trigger's function: whatever they are, they are strings."""
    for position in range(start, end):
        if command.texts[position] != ",":
            yield TokenRange(position, position + 1)


def _copy(command: UtilityStatement) -> TokenRanges:
    """Yield the file of COPY, which is a word only if its quotes are missing."""
    for position in command.outside(command.at + 1):
        if command.texts[position] in {"from", "to"}:
            position += 1 + (command.text(position + 1) == "program")  # noqa: PLW2901 - the walk ends here
            if command.text(position) not in {"stdin", "stdout"}:
                yield from _one(command, position)
            break


def _label(command: UtilityStatement) -> TokenRanges:
    """Yield the provider of SECURITY LABEL FOR, and the text after the last IS of a comment."""
    if command.texts[command.at + 1 : command.at + 3] == ["label", "for"]:
        yield from _one(command, command.at + 3)
    for position in range(len(command.texts) - 2, command.at, -1):
        if command.texts[position] == "is":
            if command.texts[position + 1] != "null":
                yield from _one(command, position + 1)
            break


_RULES: dict[str, Callable[[UtilityStatement], TokenRanges]] = {
    **dict.fromkeys(
        words(
            "close deallocate declare execute listen load notify prepare release savepoint unlisten"
        ),
        _named,
    ),
    "alter": _alter,
    "comment": _label,
    "commit": _commit,
    "copy": _copy,
    "create": _create,
    "fetch": _fetch,
    "move": _fetch,
    "rollback": _rollback,
    "security": _label,
    "set": _set,
}
