"""A statement as a person reads it: laid out by sqlparse, coloured by rich."""

import sqlparse
from rich.syntax import Syntax
from rich.text import Text
from sqlparse.exceptions import SQLParseError

from pgiostat.escape import terminal

__all__ = ["laid_out", "statement"]

LONGEST = 20_000
"""Longer texts are shown as they are: laying them out takes time, and they stay unreadable."""

# sqlparse takes no @1 for an identifier; this is one to it, and as long.
_STAND_IN = "À"


def laid_out(text: str) -> str:
    """Return a normalized statement in lines, nothing in it acting on a terminal.

    What is too long or too deep for sqlparse stays one line.

    >>> print(laid_out("select @1.a from t @1 where @1.b = ?"))
    SELECT @1.a
    FROM t @1
    WHERE @1.b = ?
    """
    # Before it is laid out: a break within a name would make a line of its own.
    shown = terminal(text)
    if len(shown) > LONGEST or _STAND_IN in shown:
        return shown
    try:
        laid: str = sqlparse.format(
            shown.replace("@", _STAND_IN), reindent=True, keyword_case="upper"
        )
    except (SQLParseError, RecursionError):
        return shown
    return laid.replace(_STAND_IN, "@")


def statement(text: str) -> Syntax | Text:
    """Return a statement to print: coloured where the console has colours."""
    lines = laid_out(text)
    if len(lines) > LONGEST:
        return Text(lines)
    return Syntax(
        lines, "postgresql", theme="ansi_dark", background_color="default", word_wrap=True
    )
