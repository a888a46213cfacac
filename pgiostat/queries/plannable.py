"""Whether a server's own text is one statement that EXPLAIN may be sent, and nothing else.

The text comes from the server and may be hostile. Three things keep it from running anything. It
is checked here. It follows `PREPARE … AS`, which takes one statement that returns or changes rows,
and prepares it only. And it is sent by the extended protocol, which refuses a second statement.
"""

import re
from typing import NamedTuple

from pgiostat.queries.fingerprint import TokenKind, lex, normalize, split
from pgiostat.queries.fingerprint.lexer import significant
from pgiostat.queries.fingerprint.truncation import is_truncated
from pgiostat.queries.own_text import LONGEST, explainable, own_text

__all__ = ["MOST_PARAMETERS", "Plannable", "plannable"]

VERBS = ("select", "insert", "update", "delete", "merge", "with", "values")
MOST_PARAMETERS = 2000
_PARAMETER = re.compile(r"\$(\d+)")
HIDDEN = "<insufficient privilege>"
_OTHERS = (TokenKind.COMMENT, TokenKind.STRING, TokenKind.ALIAS)
_SQUEEZED_LIST = re.compile(r"/\*\s*,\s*\.\.\.\s*\*/")
"""PostgreSQL 18 writes it in place of the further constants of a list."""


class Plannable(NamedTuple):
    """What may be sent, and why not.

    Attributes:
        text: The statement; empty if it may not be sent.
        verb: Its first word.
        parameters: How many parameters it has.
        reason: Why it may not be sent, as the end of a sentence.
    """

    text: str = ""
    verb: str = ""
    parameters: int = 0
    reason: str = ""

    @property
    def changes_rows(self) -> bool:
        """Whether it is sure to need more than the right to read."""
        return self.verb in {"insert", "update", "delete", "merge"}


def plannable(text: str) -> Plannable:
    """Return a text as it may be sent after PREPARE.

    Args:
        text: The server's own text.

    >>> plannable("SELECT a FROM t /* why */ WHERE b = $1").text
    'SELECT a FROM t WHERE b = $1'
    >>> plannable("select 1; drop table t").reason
    'its text has several statements'
    >>> plannable("vacuum t").reason
    'EXPLAIN does not take this command'
    """
    reason = _refusal(text)
    if reason:
        return Plannable(reason=reason)
    (whole,) = split(text)
    shown = own_text(whole, normalize(whole).text)
    if not shown:
        return Plannable(reason="its text has constants, which are not sent")
    return _checked(explainable(shown))


def _refusal(text: str) -> str:
    """Return why a text may not be sent, as the end of a sentence; empty if it may."""
    statements = split(text)
    tokens, is_open = significant(text)
    refusals = (
        (text == HIDDEN, "its text is hidden from our role"),
        (not statements, "its text is lost"),
        (len(statements) > 1, "its text has several statements"),
        ("\ufffd" in text or "\0" in text, "its text has bytes that are no characters"),
        (len(text) > LONGEST, f"its text is longer than {LONGEST:,} characters"),
        (_verb(text) not in VERBS, "EXPLAIN does not take this command"),
        (is_open or is_truncated(tokens), "its text is truncated"),
    )
    return next((words for is_refused, words in refusals if is_refused), "")


def _verb(text: str) -> str:
    """Return the first word of a text, in lower case."""
    return next(
        (
            each.text
            for each in lex(text)
            if each.kind is not TokenKind.COMMENT and each.text != "("
        ),
        "",
    )


def _checked(sent: str) -> Plannable:
    """Return what is sent, if it is one statement and nothing else."""
    tokens = lex(sent)
    is_one = len(split(sent)) == 1 and all(each.text != ";" for each in tokens)
    has_more = any(
        each.kind in _OTHERS and not _SQUEEZED_LIST.fullmatch(each.text) for each in tokens
    )
    verb = _verb(sent)
    if not is_one or has_more or verb not in VERBS:
        return Plannable(reason="its text is not one plain statement")
    number = max((int(each) for each in _PARAMETER.findall(sent)), default=0)
    if number > MOST_PARAMETERS:
        return Plannable(reason=f"it has more than {MOST_PARAMETERS:,} parameters")
    return Plannable(sent, verb, number)
