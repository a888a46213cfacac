"""Recognises options, keys and messages that may contain a secret, and removes the secret.

Secrets in the texts of statements are constants: `queries.fingerprint` replaces those.

A connection string, or a key of an object store, may be in the place of something else: as the
value of another option, or as a key of a file.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from pgiostat.escape import line

__all__ = ["HIDDEN", "has_credentials", "hidden", "is_connection", "may_hold_secret"]

HIDDEN = "***"
SHORTEST_QUOTED = 4
"""A message quotes a shorter text by chance."""

_SECRET_NAME = re.compile(
    r"""(?:pas+w?o?r?d?|passwd|passphrase|pwd|secret|token|credentials?)["']?\s*[=:](?!:)"""
    r"""|(?:pas+wo?r?d\w*|pwd\w*|(?<![a-z])secret\w*|token\w*|(?<![a-z])sig|signature"""
    r"""|(?:account|access|secret|api|private|shared|scram|storage|client|server)[\w-]*key(?:[_-]?id)?"""
    r"""|x-(?:amz|goog)-[\w-]*)["']?\s*=""",
    re.IGNORECASE,
)
"""The name of a password, a key or a signature, before its value."""
_CONNECTION = re.compile(
    r"\s*(?:postgres\w*|jdbc)(?:\+\w+)?:"
    r"|\s*(?:host|hostaddr|hostname|server|servername|port|dbname|database|user|username|user\s+id"
    r"|uid|service|data\s+source|initial\s+catalog)\s*=",
    re.IGNORECASE,
)
"""The beginning of a connection string of libpq or of another driver."""
_PASSWORD_FILE = re.compile(r"\s*(?!\d{4}-\d\d-)[^\s:@/]*:(?:\d+|\*):[^\s:]*:[^\s:]*:\S")
"""A line of .pgpass; no window of time."""
_BEFORE_HOST = re.compile(r":(?!//)[^@]*@")
"""user:password@"""
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:/+")
_TIME = r"(?:now|today|yesterday|ago|utc|gmt|secs?|hours?|minutes?|[\dTZhmsdwin:+. -])*"
_WINDOW = re.compile(rf":[^:/@\s]*@{_TIME}\.\.{_TIME}$")
"""The label and the times of a window, after the URI or the directory of a history."""
_DIRECTORY = re.compile(r"/|\.{1,2}/|~")
_VALUE = re.compile(
    r"""[\w-]*(?:pass|pwd|pasw|secret|token|sig|signature|key|credentials?)\w*["']?\s*[=:]"""
    r"""\s*(?:'(?:[^'\\]|\\.)*'|"[^"]*"|[^\s&;,"']+)|[^\s/:@]*:(?!//)[^@]*@""",
    re.IGNORECASE,
)
"""A secret, with the name before it or the sign after it: what is cut out of a text has these."""


def may_hold_secret(text: str) -> bool:
    """Return whether a text is a connection string, or has a password, a key or a token in it.

    >>> [may_hold_secret(text) for text in ("host=db", "AK:s3cret@bucket", "AccountKey=s3cret")]
    [True, True, True]
    >>> [may_hold_secret(text) for text in ("/var/lib/a:b@c", "abfs://c@account/p", "year=2026/a")]
    [False, False, False]
    """
    return has_credentials(text) or is_connection(text) or _PASSWORD_FILE.match(text) is not None


def is_connection(text: str) -> bool:
    """Return whether a text begins as a connection string of libpq or of another driver.

    >>> [is_connection(text) for text in ("postgresql://db/shop", "host=db", "s3://b/h", "shop")]
    [True, True, False, False]
    """
    return _CONNECTION.match(text) is not None


def has_credentials(text: str) -> bool:
    """Return whether a text has a password, a key or a token in it, with its name or before a host.

    >>> [has_credentials(text) for text in ("b/AK:s3cret@x", "b/p%3Fsecret_key=s3cret", "host=db")]
    [True, True, False]
    """
    return any(_has_credentials(each) for each in (text, unquote(text)))


def hidden(message: str, arguments: Iterable[str]) -> str:
    """Return a message with *** for each argument that may hold a secret.

    Upper and lower case are alike: some messages quote what a parser made of a text.

    >>> hidden('invalid value for --by: "host=db password=s3cret"', ["host=db password=s3cret"])
    'invalid value for --by: "***"'
    >>> hidden('no instance "password=s3cret"', ["host=db password=s3cret"])
    'no instance "***"'
    """
    quoted = {each for text in arguments if may_hold_secret(text) for each in _quoted(text)}
    for each in sorted(quoted, key=len, reverse=True):
        message = re.sub(re.escape(each), HIDDEN, message, flags=re.IGNORECASE)
    return message


def _has_credentials(text: str) -> bool:
    if _SECRET_NAME.search(text):
        return True
    if _DIRECTORY.match(text):
        return False
    place = _WINDOW.sub("", text)
    scheme = _SCHEME.match(place)
    return _BEFORE_HOST.search(place[scheme.end() :] if scheme else place) is not None


def _quoted(text: str) -> Iterator[str]:
    """Yield a text and the parts of it that have a secret, as a message may quote them."""
    value = text.partition("=")[2] if text.startswith("-") else ""
    for part in (text, value, *_VALUE.findall(text)):
        for each in (part, str(Path(part)) if "\0" not in part else part):
            yield from (
                form
                for form in (each, line(each), repr(each)[1:-1])
                if len(form) >= SHORTEST_QUOTED
            )
