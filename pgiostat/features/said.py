"""What only the text of a statement says: the name of its cursor, and its comments."""

from urllib.parse import unquote

from pgiostat.features.model import NONE, Names
from pgiostat.features.walk import plain
from pgiostat.fingerprint import Kind, comments, lex

__all__ = ["cursor", "tags"]

MAX_TAG = 200


def cursor(statement: str, text: str) -> str:
    """Return the name of the cursor that a statement declares, moves or closes."""
    if statement not in {"declare", "fetch", "move", "close"}:
        return ""
    words = [token for token in lex(text) if token.kind is not Kind.COMMENT and token.text != ";"]
    kind, name = words[1 if statement == "declare" else -1] if len(words) > 1 else words[0]
    return plain(name) if kind is Kind.NAME else ""


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
