"""Identity of a statement: PostgreSQL's lexer, normalized text, fingerprint.

The rules, fingerprint version 2:

1. The text is cut into tokens as src/backend/parser/scan.l does; an unterminated token runs to the
   end of the text, and nothing is an error. So does a string with another end if a backslash
   escapes in it (standard_conforming_strings = off).
2. White space and comments go, semicolons stay between statements.
3. Unquoted words are folded (ASCII only, as downcase_identifier does for UTF-8), quoted
   identifiers that need no quotes lose them, != becomes <>.
4. Every literal and parameter becomes a ?, with its sign. Integers that name a column of the select
   list stay (ORDER BY 2, GROUP BY 1, DISTINCT ON (1)): they are no constants.
5. Lists of constants in IN (...) and ARRAY[...], and equal rows of VALUES, become one.
6. In statements that are no queries the words that the grammar takes for values become ? as
   well: names of cursors, savepoints, prepared statements and channels, counts of FETCH, values
   of SET, of options and of definitions.
7. Table aliases become @1, @2 in order of definition. Column aliases go, unless an outer
   query, ORDER BY or GROUP BY refers to them: there they distinguish statements.
8. The fingerprint is a 64-bit hash of the remaining tokens, preceded by the version.

Normalizing a normalized text changes nothing. Time and memory are linear in the text; nesting
costs a list entry, never a Python call.

Must not import any other package of pgiostat.
"""

from dataclasses import dataclass
from hashlib import blake2b

from pgiostat.queries.fingerprint.aliases import rename, spell_out
from pgiostat.queries.fingerprint.blocks import Reader, places
from pgiostat.queries.fingerprint.lexer import comments, decode, is_own, lex, raws, significant
from pgiostat.queries.fingerprint.lists import collapse
from pgiostat.queries.fingerprint.literals import fold, placeholders
from pgiostat.queries.fingerprint.operators import without_schemas
from pgiostat.queries.fingerprint.render import render
from pgiostat.queries.fingerprint.structure import (
    Block,
    ClausePosition,
    TableReference,
    command_start,
    query_start,
)
from pgiostat.queries.fingerprint.tokens import PLACEHOLDER, Token, TokenKind, token
from pgiostat.queries.fingerprint.truncation import is_truncated
from pgiostat.queries.fingerprint.utility import hide

__all__ = [
    "VERSION",
    "Block",
    "ClausePosition",
    "Normalized",
    "Outline",
    "TableReference",
    "Token",
    "TokenKind",
    "command_start",
    "comments",
    "fingerprint",
    "is_own",
    "known_as",
    "lex",
    "normalize",
    "outline",
    "renewed",
    "split",
]

VERSION = 2
"""Part of every fingerprint. It rises when an equal query would get another fingerprint.

Other statements may get another one when more of them has to be hidden.  Version 2 keeps ordinals,
and drops the signs of more constants.  Where both versions have the same tokens, their fingerprints
differ in the version alone.
"""


@dataclass(frozen=True, slots=True)
class Normalized:
    """A text without its constants.

    Attributes:
        fingerprint: VERSION:hash.
        truncated: Whether the text seems to end before its statement does.
    """

    text: str
    fingerprint: str
    truncated: bool


@dataclass(slots=True)
class Outline:
    """Tokens of a text without literals, and the clause of each."""

    kinds: list[TokenKind]
    texts: list[str]
    places: list[ClausePosition]
    blocks: list[Block]
    column_aliases: frozenset[int]


def normalize(text: str | bytes) -> Normalized:
    """Return the normalized text and the fingerprint of a statement.

    >>> normalize("SELECT a FROM t AS x WHERE x.id IN (1, 2) -- why").text
    'select a from t @1 where @1.id in (?)'
    >>> normalize("ALTER ROLE bob PASSWORD 'secret'").text
    'alter role bob password ?'
    """
    raws, within_comment = significant(decode(text))
    texts = _canonical(raws)
    return Normalized(render(texts), _hash(texts), within_comment or is_truncated(raws))


def fingerprint(text: str | bytes) -> str:
    """Return the fingerprint of a statement alone.

    >>> fingerprint("SELECT 1") == fingerprint("select $1;") == normalize("SELECT 2").fingerprint
    True
    """
    return _hash(_canonical(significant(decode(text))[0]))


def known_as(shown: str) -> tuple[str, ...]:
    """Return a fingerprint, and those of earlier versions for the same tokens.

    >>> known_as("2:5f0839ecfbcb918f")
    ('2:5f0839ecfbcb918f', '1:5f0839ecfbcb918f')
    """
    version, _, digest = shown.partition(":")
    earlier = range(1, VERSION) if version == str(VERSION) else ()
    return (shown, *(f"{each}:{digest}" for each in earlier))


def renewed(stored: str, text: str) -> str:
    """Return the fingerprint of a normalized text that was stored with one of any version."""
    return stored if stored.startswith(f"{VERSION}:") or not text else fingerprint(text)


def split(text: str | bytes) -> list[str]:
    """Return the statements of a text, as written, without their semicolons.

    >>> split("SELECT ';'; /* ; */ SELECT 2;")
    ["SELECT ';'", '/* ; */ SELECT 2']
    """
    decoded = decode(text)
    found: list[str] = []
    start = position = 0
    for raw in [*raws(decoded), ";"]:
        at = decoded.find(raw, position)
        end = len(decoded) if at < 0 else at
        position = end + len(raw)
        if raw == ";":
            part = decoded[start:end].strip()
            found += [part] if significant(part)[0] else []
            start = position
    return found


def outline(text: str | bytes, *, bare_operators: bool = False) -> Outline:
    """Return the structure of a text: tokens without literals, blocks, clauses, tables.

    Args:
        text: The statement.
        bare_operators: Whether OPERATOR(schema.=) is the token =, as it has the same meaning.
    """
    tokens = significant(decode(text))[0]
    reader = _read(without_schemas(tokens) if bare_operators else tokens)
    aliases = frozenset(column.position for column in reader.columns)
    return Outline(reader.kinds, reader.texts, places(reader), reader.blocks, aliases)


def _read(raws: list[str]) -> Reader:
    """Return the reader of tokens without literals."""
    tokens = map(token, raws)
    kinds, texts = fold(placeholders(list(tokens)) if PLACEHOLDER in raws else tokens)
    if TokenKind.ALIAS in kinds and query_start(texts) == len(texts):
        spell_out(kinds, texts)
    reader = Reader(kinds, texts)
    if texts:
        hide(kinds, texts)
        reader.read(query_start(texts))
    return reader


def _canonical(raws: list[str]) -> list[str]:
    """Return the tokens that are shown and hashed."""
    reader = _read(raws)
    renamed = reader.labelled or reader.columns or TokenKind.ALIAS in reader.kinds
    return collapse(rename(reader) if renamed else reader.texts)


def _hash(texts: list[str]) -> str:
    digest = blake2b(" ".join(texts).encode(), digest_size=8).hexdigest()
    return f"{VERSION}:{digest}"
