"""Features that a normalized text lacks: the name of the cursor, and comments."""

import re
from hashlib import blake2b
from itertools import dropwhile, takewhile
from urllib.parse import unquote

from pgiostat.queries.features.model import NONE, Names
from pgiostat.queries.features.walk import plain
from pgiostat.queries.fingerprint import TokenKind, comments, lex

__all__ = ["cursor", "pseudonym", "tags"]

MAX_TAG = 200
_PSEUDONYM = re.compile("#[0-9a-f]{16}")


def cursor(statement: str, text: str) -> str:
    """Return the name of the cursor that a statement declares, uses or closes; empty for others."""
    if statement not in {"declare", "fetch", "move", "close"}:
        return ""
    tokens = (token for token in lex(text) if token.kind is not TokenKind.COMMENT)
    first = dropwhile(lambda token: token.text == ";", tokens)
    words = list(takewhile(lambda token: token.text != ";", first))
    kind, name = words[1 if statement == "declare" else -1] if len(words) > 1 else words[0]
    return plain(name) if kind is TokenKind.NAME else ""


def pseudonym(name: str) -> str:
    """Return the stored form of a cursor's name, the same for DECLARE and FETCH.

    Programs make names of their data, and of the input of their users. A pseudonym and an empty
    name stay unchanged.

    >>> pseudonym("page of bob"), pseudonym("")
    ('#a5c8f6f07d744d23', '')
    """
    if not name or _PSEUDONYM.fullmatch(name):
        return name
    return f"#{blake2b(name.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def tags(text: str) -> Names:
    """Return comments, and the pairs of those that follow https://google.github.io/sqlcommenter."""
    tags: set[str] = set()
    if "--" not in text and "/*" not in text:
        return NONE
    for comment in comments(text):
        inner = comment[2:] if comment.startswith("--") else comment[2:].removesuffix("*/")
        tags.add(inner.strip()[:MAX_TAG])
        for pair in inner.split(","):
            key, equals, value = pair.strip().partition("=")
            if equals:
                plain_value = value.strip().removeprefix("'").removesuffix("'")
                tags.add(f"{unquote(key.strip())}={unquote(plain_value)}"[:MAX_TAG])
    return frozenset(tags)
