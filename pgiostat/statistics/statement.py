"""What is known of a statement apart from its numbers: text, category, action."""

from dataclasses import dataclass, replace
from typing import Protocol

from pgiostat.statistics.preset import FixedPreset

__all__ = [
    "HIDDEN",
    "MANIFEST",
    "OTHER",
    "OWN",
    "UNREAD",
    "UNREADABLE",
    "VERSION",
    "Describe",
    "IfSync",
    "Statement",
    "StatementKey",
    "split_action",
]

StatementKey = tuple[int, int, int]
"""(userid, dbid, queryid)"""

OTHER = "other"
"""Category of statements that cannot be read."""
VERSION = "version"
"""Category of the remote version of a table, under the preset sync."""
MANIFEST = "manifest"
"""Category of the keys and versions of a range, under the preset sync."""
OWN = "pgiostat itself"
"""Category of our own statements: those that our role sends in our database."""
HIDDEN = "hidden"
"""Category of statements that our role may not see."""
UNREAD = "no text yet"
"""Category of statements before their texts are read; it is corrected afterwards."""
UNREADABLE = "not readable"
"""Category of statements with unreadable texts."""


@dataclass(frozen=True, slots=True)
class IfSync:
    """What a statement is where the preset sync comes into force.

    Attributes:
        category: Its category then.
        tables: The tables that it reads, if its category is version or manifest.
    """

    category: str
    tables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Statement:
    """What is known of a statement apart from its numbers.

    Attributes:
        text: The normalized text.
        own_text: The server's own text, without comments; empty if it is unknown, or has constants.
        tables: The tables that it reads or writes; None if they were not determined.
        declares_cursor: Pseudonym of the cursor that it declares.
        uses_cursor: Pseudonym of the cursor that it fetches from.
        holds: It declares a cursor WITH HOLD.
        rolls_back: It is a ROLLBACK of a whole transaction.
        untracks: It may have changed settings so that pg_stat_statements does not count statements.
        action: What it does, and to which table, as in "select orders".
        table_read: The table that it reads, for a ranking by table; empty for none.
        if_sync: What it is under the preset sync; None where the preset is fixed.
        fixed: The preset, where it is fixed.
        tag: Value of one tag in its comments, where a view is by that tag; no history keeps it.
    """

    text: str
    fingerprint: str
    category: str
    declares_cursor: str = ""
    uses_cursor: str = ""
    holds: bool = False
    rolls_back: bool = False
    untracks: bool = False
    action: str = ""
    table_read: str = ""
    if_sync: IfSync | None = None
    fixed: FixedPreset | None = None
    tag: str = ""
    own_text: str = ""
    tables: frozenset[str] | None = None

    def without_text(self) -> "Statement":
        """Return it without what its text says; the category stays."""
        return replace(self, text="", own_text="", fingerprint="", tables=None)


class Describe(Protocol):
    """Describes a statement by its text."""

    def __call__(self, text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        """Return the normalized text, its fingerprint and its category."""


def split_action(action: str) -> tuple[str, str]:
    """Return what a statement does, and the table that it is about.

    Args:
        action: As `Statement.action` has it.

    Returns:
        The verb, as select, session or catalog queries; the table, empty for a statement that is
        about none.

    >>> split_action("select billing.invoice"), split_action("procedure close_day")
    (('select', 'billing.invoice'), ('procedure', ''))
    >>> split_action("session"), split_action("catalog queries")
    (('session', ''), ('catalog queries', ''))
    >>> split_action("foreign key check orders")
    ('foreign key check', 'orders')
    """
    for phrase in _PHRASES:
        if action.startswith(phrase):
            return phrase, action.removeprefix(phrase).lstrip()
    verb, _, table = action.partition(" ")
    return verb, "" if verb in _WITHOUT_TABLE else table


_PHRASES = ("catalog queries", "foreign key check", "foreign key action")
"""Verbs of several words."""
_WITHOUT_TABLE = frozenset({"function", "procedure"})
"""Verbs that are followed by the name of a function, not of a table."""
