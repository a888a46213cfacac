"""The table that a command names which is no query: COPY, VACUUM, CREATE INDEX, ALTER TABLE."""

from collections.abc import Iterator

from pgiostat.queries.features.walk import WORDS, Walk, plain
from pgiostat.queries.fingerprint import command_start
from pgiostat.queries.fingerprint.words import STARTS_QUERY, words

__all__ = ["command_table", "created_table", "dotted_from", "truncated_tables"]

_QUALIFIERS = words("table only concurrently if exists not materialized view")
_KINDS_OF_TABLE = words("global local temp temporary unlogged")
_HOLDS_ROWS = words("table materialized")
_STARTS_ROWS = STARTS_QUERY | words("execute (")
_BEFORE_TABLES = words("truncate table only")
_NAMES_A_TABLE = words("truncate lock refresh vacuum analyze analyse cluster repack")
_NAMES_A_KIND = words("alter reindex")


def command_table(walk: Walk) -> tuple[str, str]:
    """Return what a command does, and the table that it names; empty for other commands.

    CREATE INDEX is the action index, and the table is the one that it reads.
    """
    texts, verb = walk.texts, walk.texts[0]
    if verb == "copy":
        return verb, dotted_from(walk, 1)
    if verb == "create" and "index" in texts[1:3]:
        return "index", _first_name(walk, texts.index("on") + 1 if "on" in texts else len(texts))
    if verb in _NAMES_A_KIND:
        kind = next((at for at in _outside_options(texts, 1)), 1)
        is_table = texts[kind : kind + 1] == ["table"] and texts[kind + 1 : kind + 2] != ["all"]
        return (verb, _first_name(walk, kind + 1)) if is_table else ("", "")
    return (verb, _first_name(walk, 1)) if verb in _NAMES_A_TABLE else ("", "")


def created_table(walk: Walk) -> str:
    """Return the table or materialized view that CREATE fills from a query; empty for others.

    An EXPLAIN may precede CREATE.
    """
    texts = walk.texts
    start = command_start(texts)
    if texts[start : start + 1] != ["create"]:
        return ""
    outside = list(_outside_options(texts, start + 1))
    ends = (at for at in outside if texts[at] == "as" and texts[at + 1 :][:1])
    end = next((at for at in ends if texts[at + 1] in _STARTS_ROWS), start)
    if _HOLDS_ROWS.isdisjoint(texts[start:end]):
        return ""
    named = (at for at in outside if at < end and walk.kinds[at] in WORDS)
    skipped = _QUALIFIERS | _KINDS_OF_TABLE
    return next((dotted_from(walk, at) for at in named if texts[at] not in skipped), "")


def truncated_tables(walk: Walk) -> Iterator[str]:
    """Yield the tables that TRUNCATE names."""
    is_named = walk.texts[0] == "truncate"
    for position in range(1, len(walk.texts) if is_named else 0):
        text, before = walk.texts[position], walk.texts[position - 1]
        is_first = before == "," or before in _BEFORE_TABLES
        if is_first and walk.kinds[position] in WORDS and text not in _QUALIFIERS:
            yield dotted_from(walk, position)


def dotted_from(walk: Walk, position: int) -> str:
    """Return the name, perhaps with a schema, that starts at a position."""
    parts = walk.texts[position : position + 1]
    while walk.texts[position + 1 : position + 2] == ["."]:
        position += 2
        parts += walk.texts[position : position + 1]
    return ".".join(map(plain, parts))


def _first_name(walk: Walk, start: int) -> str:
    """Return the first name that is no word of the grammar and not in parentheses."""
    for position in _outside_options(walk.texts, start):
        if walk.kinds[position] in WORDS and walk.texts[position] not in _QUALIFIERS:
            return dotted_from(walk, position)
    return ""


def _outside_options(texts: list[str], start: int) -> Iterator[int]:
    """Yield the positions that are not in parentheses."""
    depth = 0
    for position in range(start, len(texts)):
        depth += texts[position] == "("
        if not depth:
            yield position
        depth -= texts[position] == ")"
