"""Features that a normalized text lacks: the name of the cursor, and comments."""

import re
from collections.abc import Iterator
from hashlib import blake2b
from itertools import dropwhile, takewhile
from urllib.parse import unquote

from pgiostat.queries.features.model import NONE, Names
from pgiostat.queries.features.walk import plain
from pgiostat.queries.fingerprint import TokenKind, comments, lex

__all__ = ["cursor", "pseudonym", "tag_pairs", "tags"]

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
    found: set[str] = set()
    for inner in _comments(text):
        found.add(inner.strip()[:MAX_TAG])
        found |= {f"{key}={value}"[:MAX_TAG] for key, value in _pairs(inner)}
    return frozenset(found) or NONE


def tag_pairs(text: str | bytes) -> dict[str, str]:
    """Return the pairs in comments, as sqlcommenter adds them; of a repeated key the first.

    >>> tag_pairs("SELECT 1 /* controller='orders',route='%2Forders%2F%3Cid%3E' */ -- job=export")
    {'controller': 'orders', 'route': '/orders/<id>', 'job': 'export'}
    """
    string = text if isinstance(text, str) else text.decode("utf-8", "replace")
    found: dict[str, str] = {}
    for inner in _comments(string):
        for key, value in _pairs(inner):
            found.setdefault(key, value)
    return found


def _comments(text: str) -> Iterator[str]:
    """Yield the comments of a text without what encloses them."""
    if "--" not in text and "/*" not in text:
        return
    for comment in comments(text):
        yield comment[2:] if comment.startswith("--") else comment[2:].removesuffix("*/")


def _pairs(comment: str) -> Iterator[tuple[str, str]]:
    for pair in comment.split(","):
        key, equals, value = pair.strip().partition("=")
        if equals:
            plain_value = value.strip().removeprefix("'").removesuffix("'")
            yield unquote(key.strip()), unquote(plain_value)
