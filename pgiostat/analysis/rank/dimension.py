"""Dimensions of a ranking, and what a statement is in those that follow from its text."""

from enum import StrEnum

from pgiostat.statistics.names import split_action

__all__ = ["OF_RELATIONS", "By", "table_of", "tag_of", "verb_of"]

NO_TABLE = "(no table)"
"""Row of statements that read no table."""
NO_TAG = "(no tag)"
"""Row of statements without the tag."""


class By(StrEnum):
    """The dimension of a ranking's rows.

    Attributes:
        CATEGORY: A category of queries, by the rules.
        VERB: What statements do: select, insert, copy, session.
        TABLE: The table that statements read.
        TAG: The value of a tag in comments of statements, live; `describer` has its key.
        FINGERPRINT: Statements of the same normalized shape.
        STATEMENT: An entry of pg_stat_statements: user, database and queryid.
        RELATION: A table, with its indexes and its TOAST table.
        INDEX: An index.
        DATABASE: A database.
        USER: A role.
        SERVER: A server of a history, by its label.
        HOUR: An hour of a history.
    """

    CATEGORY = "category"
    VERB = "verb"
    TABLE = "table"
    TAG = "tag"
    FINGERPRINT = "fingerprint"
    STATEMENT = "statement"
    RELATION = "relation"
    INDEX = "index"
    DATABASE = "database"
    USER = "user"
    SERVER = "server"
    HOUR = "hour"


OF_RELATIONS = frozenset({By.RELATION, By.INDEX})
"""Dimensions that rank the reads of relations of one database, not those of statements."""


def verb_of(action: str, category: str) -> str:
    """Return what a statement does; its category if it has no text."""
    return split_action(action)[0] or category


def table_of(table: str, action: str, category: str) -> str:
    """Return the table that a statement reads; its category if it has no text."""
    return table or (NO_TABLE if action else category)


def tag_of(tag: str, action: str, category: str) -> str:
    """Return the value of a statement's tag; its category if it has no text."""
    return tag or (NO_TAG if action else category)
