"""Structure of a text: query blocks, the tables that they name, and the clauses of tokens."""

from dataclasses import dataclass, field
from enum import IntEnum

from pgiostat.queries.fingerprint.words import STARTS_QUERY, words

__all__ = [
    "Block",
    "ClausePosition",
    "ColumnAlias",
    "Frame",
    "ParseState",
    "TableReference",
    "command_start",
    "query_start",
]

_QUERIES = STARTS_QUERY | words("explain prepare declare (")
_OPTIONS = words("analyze analyse verbose")
"""Options of EXPLAIN without parentheses."""


@dataclass(slots=True)
class TableReference:
    """A table, function or subquery in a block.

    Attributes:
        parts: Schema and name; empty for a subquery.
        query: First block of a subquery, which names its columns.
    """

    clause: str
    parts: list[str]
    alias: str = ""
    function: bool = False
    query: "Block | None" = None


@dataclass(slots=True, eq=False)
class Block:
    """A query block: one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES.

    start: the position of its first token.
    """

    verb: str
    start: int
    parent: "Block | None"
    tables: list[TableReference] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class ClausePosition:
    """The clause of a token, and its block."""

    clause: str
    block: Block | None


@dataclass(slots=True, eq=False)
class Frame:
    """A pair of parentheses, with what to return to at its end."""

    opener: int
    state: "ParseState"
    place: ClausePosition
    block: Block | None
    base: Block | None
    end: int = 0
    tail: int = -1  # where its ORDER BY or GROUP BY starts
    first: Block | None = None  # it names the columns of a subquery
    united: bool = False  # UNION and the like came: the next block is a sibling


class ParseState(IntEnum):
    """What the reader expects at the current level."""

    INSIDE = 0  # within an expression in parentheses
    IDLE = 1
    LIST = 2  # a select list: column aliases
    WANT = 3  # FROM, JOIN, INTO, UPDATE: a table must come
    TABLE = 4  # it came: its alias may
    NAMED = 5  # that came too
    JOINED = 6  # in a join's condition: , and JOIN start another table
    REST = 7


@dataclass(slots=True)
class ColumnAlias:
    """Where a column is named, in which parentheses."""

    position: int
    named: int  # position of its AS, or -1
    frame: Frame


def query_start(texts: list[str]) -> int:
    """Return where the query starts; the number of tokens if there is none."""
    start = command_start(texts)
    head = texts[start : start + 1]
    if head == ["create"]:
        for position, text in enumerate(texts[start:-1], start):
            if text == "as" and (texts[position + 1] in STARTS_QUERY or texts[position + 1] == "("):
                return position + 1
        return len(texts)
    is_query = texts[0] in _QUERIES or texts[:2] == ["copy", "("]
    return 0 if is_query else len(texts)


def command_start(texts: list[str]) -> int:
    """Return where the statement starts that EXPLAIN has after its options; 0 without EXPLAIN.

    >>> command_start(["explain", "(", "costs", "?", ")", "create"]), command_start(["select"])
    (5, 0)
    """
    if texts[:1] != ["explain"]:
        return 0
    start = 1
    if texts[1:2] == ["("]:
        is_query = not _QUERIES.isdisjoint(texts[2:3])
        return 1 if is_query or ")" not in texts else texts.index(")") + 1
    while texts[start : start + 1] and texts[start] in _OPTIONS:
        start += 1
    return start
