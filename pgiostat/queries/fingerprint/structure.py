"""What a text consists of: query blocks, the tables that they name, and where tokens stand."""

from dataclasses import dataclass, field
from enum import IntEnum

__all__ = ["Block", "ClausePosition", "ColumnAlias", "Frame", "ParseState", "TableReference"]


@dataclass(slots=True)
class TableReference:
    """Something a block reads or writes, under the clause that names it.

    parts: schema and name; empty for a subquery.  function: it is called.  query: the first
    block of a subquery, which names its columns.
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
    """Where a token stands: in which clause of which block."""

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
    first: Block | None = None  # whose names a subquery's columns have
    united: bool = False  # UNION and the like came: the next block is a sibling


class ParseState(IntEnum):
    """What the reader expects at the level it is at."""

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
    named: int  # where its AS stands, or -1
    frame: Frame
