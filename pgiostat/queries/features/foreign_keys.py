"""Queries that PostgreSQL sends for foreign keys (src/backend/utils/adt/ri_triggers.c).

A trigger of a foreign key looks up the rows that a key refers to or that refer to it, or it changes
the rows that refer to it. ALTER TABLE looks up rows without a match. All of them name operators
with their schemas, as applications do not.
"""

import re

__all__ = ["ACTION", "CHECK", "foreign_key_query"]

CHECK = "foreign key check"
"""Lookups: of the row that a new key refers to, of rows that refer to a key that goes."""
ACTION = "foreign key action"
"""ON DELETE and ON UPDATE with CASCADE, SET NULL and SET DEFAULT."""

_LONGEST = 10_000
"""Characters of a query of 32 columns, which is the longest."""
_NAME = r'(?:"(?:[^"]|"")+"|[^\s".,()]+)'
_TABLE = rf"(?:only )?{_NAME}\.{_NAME}"
_COLUMNS = rf"@1\.{_NAME}(?:, @1\.{_NAME})*"
_VALUE = r"(?:\?|default)"
_VALUES = rf"{_NAME} = {_VALUE}(?:, {_NAME} = {_VALUE})*"
_OPERATOR = r"operator\("

_CHECKS = re.compile(
    rf"select \? from {_TABLE} @1 where .*{_OPERATOR}.* for key share of @1"  # noqa: S608 - patterns
    # a foreign key with PERIOD
    rf"|select \? from \(select {_NAME} as r from {_TABLE} @1 where .*{_OPERATOR}.*"
    r" for key share of @1\) @2 having \?.*"
    # a constraint that is added, and a partition that is detached
    rf"|select {_COLUMNS} from {_TABLE} @1 (?:left outer )?join {_TABLE} @2"
    rf" on \(@2\.{_NAME}\S* {_OPERATOR}.*\) where .* is not null\)"
)
_ACTIONS = re.compile(
    rf"(?:delete from {_TABLE}|update {_TABLE} set {_VALUES}) where \?\S* {_OPERATOR}.*"  # noqa: S608 - a pattern
)


def foreign_key_query(text: str) -> str:
    """Return what a query of a foreign key does; empty for other statements.

    Args:
        text: The normalized text.

    >>> foreign_key_query("delete from only s.t where ? operator(pg_catalog.=) a")
    'foreign key action'
    >>> foreign_key_query("delete from s.t where a = ?")
    ''
    """
    if len(text) > _LONGEST or "operator(" not in text:
        return ""
    if _CHECKS.fullmatch(text):
        return CHECK
    return ACTION if _ACTIONS.fullmatch(text) else ""
