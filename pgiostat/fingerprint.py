"""What makes two texts the same statement: PostgreSQL's lexer, normalized text, fingerprint.

The rules, fingerprint version 1:

1. The text is cut into tokens as src/backend/parser/scan.l does; what is unterminated runs to
   the end of the text, and nothing is an error.
2. White space, comments and semicolons go.
3. Unquoted words are folded (ASCII only, as downcase_identifier does for UTF-8), quoted
   identifiers that need no quotes lose them, != becomes <>.
4. Every literal and parameter becomes a ?, with its sign.
5. Lists of constants in IN (...) and ARRAY[...], and equal rows of VALUES, become one.
6. Names of cursors, savepoints and prepared statements, counts of FETCH, and values of SET
   become ? as well.
7. Table aliases become @1, @2 in order of definition. Column aliases go, unless an outer
   query, ORDER BY or GROUP BY refers to them: there they tell statements apart.
8. The fingerprint is a 64-bit hash of the remaining tokens, preceded by the version.

Normalizing a normalized text changes nothing. Time and memory are linear in the text; nesting
costs a list entry, never a Python call.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "VERSION",
    "Block",
    "Kind",
    "Normalized",
    "Outline",
    "Place",
    "Table",
    "Token",
    "comments",
    "is_own",
    "lex",
    "normalize",
    "outline",
]

VERSION = 1
"""Part of every fingerprint. It rises when an equal text would get another fingerprint."""

OWN_MARK = "/* pgiostat */"
OWN_WITHIN = 200
"""How far into a text our mark is looked for; it stands at the start of what we send."""


class Kind(IntEnum):
    """What a token is. Literals come first, so that one comparison tells them."""

    STRING = 1
    NUMBER = 2
    PARAMETER = 3
    NAME = 4
    KEYWORD = 5
    OPERATOR = 6
    PUNCTUATION = 7
    ALIAS = 8  # @1: stands for a table alias in a text that is normalized already
    COMMENT = 9


class Token(NamedTuple):
    """A token; its text is canonical (folded, unquoted) except for literals and comments."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Normalized:
    """A text without its constants.

    truncated: the text seems to end before its statement does.
    """

    text: str
    fingerprint: str
    truncated: bool


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- words -------------------------------------------------------------------------------

# src/include/parser/kwlist.h: reserved words and those that may name a type or function.
# They can be neither a table's name nor its alias, and need quotes as identifiers.
_RESERVED = _words(
    """all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create current_catalog current_date current_role current_time current_timestamp
    current_user default deferrable desc distinct do else end except false fetch for foreign
    from grant group having in initially intersect into lateral leading limit localtime
    localtimestamp not null offset on only or order placing primary references returning select
    session_user some symmetric system_user table then to trailing true union unique user using
    variadic when where window with
    authorization binary collation concurrently cross current_schema freeze full ilike inner is
    isnull join left like natural notnull outer overlaps right similar tablesample
    verbose"""
)
# Unreserved words that the rules below read as keywords.
_LEADING = _words("insert update delete merge set values by overriding ordinality")
_KEYWORDS = _RESERVED | _LEADING
# Words that quote_identifier() quotes although they may name a column.
_COLUMN_NAMES = _words(
    """between bigint bit boolean char character coalesce dec decimal exists extract float
    greatest grouping inout int integer interval json json_array json_arrayagg json_exists
    json_object json_objectagg json_query json_scalar json_serialize json_table json_value least
    merge_action national nchar none normalize nullif numeric out overlay position precision
    real row setof smallint substring time timestamp treat trim values varchar xmlattributes
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
    xmltable"""
)
_NEEDS_QUOTES = _KEYWORDS | _COLUMN_NAMES
# After these an operand follows, so that + and - are signs and ? is a placeholder.
_EXPECTS = _words(
    """all and any as both by case collate default distinct do else except fetch for from having
    ilike in intersect into is join leading like limit not offset on only or placing
    returning select set similar some symmetric asymmetric then to trailing union using values
    variadic when where with"""
) | {"between", "interval", "return"}
# Keywords that are, or end, an operand.
_OPERAND_KEYWORDS = _words(
    """current_catalog current_date current_role current_schema current_time current_timestamp
    current_user end isnull localtime localtimestamp notnull session_user system_user
    user"""
)
# Words that start an operand: a ? between an operand and one of these is an operator.
_STARTS_OPERAND = frozenset({"array", "case", "cast", "not", "null", "true", "false"})
_CONSTANTS = frozenset({"true", "false", "null"})
# After these, true, false and null are part of the grammar (IS NULL, SET NOT NULL).
_KEEPS_CONSTANT = frozenset({"is", "not", "default", "set", "nulls", "as"})
# What cannot be a column alias without AS (BareColLabel in gram.y).
_NEVER_BARE = _words(
    """char character day filter hour minute month over precision second varying within without
    year zone"""
)
# These connect what precedes with a name that is no alias: OVER w, AT TIME ZONE column.
_AFTER_OPERAND = frozenset({"at", "over", "zone"})
# What may follow an item of a select list.
_ENDS_ITEM = _words(
    """, ) from into where group having order limit offset fetch for window union intersect
    except returning on with"""
) | {""}

# --- lexer -------------------------------------------------------------------------------

_BLANK = r"[\x00-\x20\x7f]*+"  # what is no character of a token; more lenient than scan.l
_START = r"[A-Za-z_\x80-\U0010ffff]"
_DIGITS = r"[0-9](?:_?[0-9])*+"
_STRING = r"""
    [eE]'(?:[^'\\]++|\\(?:.|\Z)|'')*+'?+
  | (?:[bBnNxX]|[uU]&)?+'(?:[^']++|'')*+'?+
"""
_DOLLAR = rf"""
    \$(?P<tag>(?:{_START}[A-Za-z0-9_\x80-\U0010ffff]*+)?+)\$
    (?:[^$]++|\$(?!(?P=tag)\$))*+(?:\$(?P=tag)\$)?+
"""
_NUMBER = rf"""
    0[xX](?:_?[0-9A-Fa-f])++ | 0[oO](?:_?[0-7])++ | 0[bB](?:_?[01])++
  | (?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?+)?+ | \.{_DIGITS})(?:[eE][+-]?+{_DIGITS})?+
"""
_COMMENT = r"--[^\n\r]*+ | /\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
# The operator rule: a run of these, cut before a comment, that ends in + or - only if it holds
# one of the first set. The bounds keep a megabyte of plus signs linear.
_SPECIAL = r"[~!@#^&|`?%]"
_PLAIN = r"[*<>=+] | -(?!-) | /(?!\*)"
_OPERATOR = rf"""
    (?:{_PLAIN}){{0,16}}+{_SPECIAL}(?:{_SPECIAL}|{_PLAIN})*+
  | (?:(?:\+|-(?!-)){{0,16}}+(?:[*<>=]|/(?!\*)))++
  | [+-]
"""
_TOKEN = rf"""
    (?: {_STRING} )
  | (?: [uU]&)?+"(?:[^"]++|"")*+"?+
  | {_START}[A-Za-z0-9_$\x80-\U0010ffff]*+
  | (?: {_NUMBER} )
  | \$[0-9]++
  | /\*
  | ::
  | @[1-9][0-9]{{0,4}}+(?![0-9A-Za-z_$]|\.[0-9])
  | (?: {_OPERATOR} )
  | .
"""
_FLAGS = re.VERBOSE | re.DOTALL
_LEXER = re.compile(rf"{_BLANK}( (?: {_COMMENT} ) | {_DOLLAR} | {_TOKEN} )", _FLAGS)
# For what needs no comments: they are skipped, and the end of the text is an empty token. The
# quick one, for a short text without dollar quotes, has one group, so that findall gives texts.
_SKIP = rf"(?: [\x00-\x20\x7f]++ | {_COMMENT} )*+"
_QUICK_LEXER = re.compile(rf"{_SKIP}( {_TOKEN} | \Z)", _FLAGS)
_HAS_DOLLAR_QUOTE = re.compile(rf"\$(?:{_START}[A-Za-z0-9_\x80-\U0010ffff]*+)?+\$")

# A megabyte of VALUES (...), (...) or IN (...) is mostly constants: the third lexer takes such
# a list as one token, from which equal rows are removed before it is cut further.
_LIST_PART = r"""[^()\[\]'"$/;-]++ | \$[0-9]++ | (?<![A-Za-z&$])'(?:[^']++|'')*+' | -(?!-)"""
_ROW = rf"\((?:{_LIST_PART}|\(\x20*+\))*+\)"
_LONG_LEXER = re.compile(
    rf"""{_SKIP}(
    (?i:values){_BLANK}{_ROW}(?:{_BLANK},{_BLANK}{_ROW})++
  | (?i:in){_BLANK}\((?:{_LIST_PART})*+\)
  | (?i:array){_BLANK}\[(?:{_LIST_PART})*+\]
  | {_DOLLAR} | {_TOKEN} | \Z )""",
    _FLAGS,
)
_LONG = 8192
_LONG_LIST = 256
_LIST_CONSTANT = re.compile(
    r"""'(?:[^']++|'')*+' | (?<![\w$"])(?:\$[0-9]++|\.?[0-9][\w.]*+(?:(?<=[eE])[+-][0-9]++)?+)
    | (?<=[(,\[])\s*+(?i:true|false|null)(?=\s*+[,)\]])""",
    re.VERBOSE,
)
_BETWEEN_ROWS = re.compile(r"\)\s*,\s*\(")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BARE = re.compile(r"[a-z_\x80-\U0010ffff][a-z0-9_$\x80-\U0010ffff]*")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_BLANKS = "".join(map(chr, [*range(0x21), 0x7F]))

_MEMO_LIMIT = 20_000


class _Memo(dict[str, Token]):
    """Tokens by their raw text. Words, symbols and small numbers repeat."""

    def __missing__(self, raw: str) -> Token:
        token = _classify(raw)
        if len(raw) <= _KEPT.get(token.kind, 0):
            if len(self) >= _MEMO_LIMIT:
                self.clear()
            self[raw] = token
        return token


def _classify(raw: str) -> Token:
    first = raw[0]
    if first == "'" or (first in "eEbBnNxXuU" and "'" in raw[1:3]):
        return Token(Kind.STRING, raw)
    if first == '"' or raw[:3] in {'u&"', 'U&"'}:
        return Token(Kind.NAME, _unquote(raw))
    if first == "_" or first.isalpha() or first >= "\x80":
        word = raw.lower() if raw.isascii() else raw.translate(_ASCII_LOWER)
        word = _CONTROL.sub("\ufffd", word)
        return Token(Kind.KEYWORD if word in _KEYWORDS else Kind.NAME, word)
    if first.isdigit() or (first == "." and raw != "."):
        return Token(Kind.NUMBER, raw)
    if first == "$" and raw != "$":
        return Token(Kind.PARAMETER if raw[1:].isdigit() else Kind.STRING, raw)
    return _classify_symbol(raw)


def _classify_symbol(raw: str) -> Token:
    if raw in _PUNCTUATION:
        return Token(Kind.PUNCTUATION, raw)
    if raw.startswith(("--", "/*")):
        return Token(Kind.COMMENT, raw)
    if raw[0] == "@" and raw[1:].isdigit():
        return Token(Kind.ALIAS, raw)
    return Token(Kind.OPERATOR, "<>" if raw == "!=" else raw)


def _unquote(raw: str) -> str:
    """Return the shortest way to write a quoted identifier on one line."""
    if raw[0] != '"':  # its escapes are left alone
        return "U" + _CONTROL.sub("\ufffd", raw[1:] if raw.endswith('"') else raw[1:] + '"')
    inner = raw[1:-1] if len(raw) > 1 and raw.endswith('"') else raw[1:]
    inner = _CONTROL.sub("\ufffd", inner)
    if _BARE.fullmatch(inner) and inner not in _NEEDS_QUOTES:
        return inner
    return f'"{inner}"'


PLACEHOLDER = "?"
_SIGNS = frozenset({"+", "-"})
_CLOSES = frozenset({")", "]", "."})
_EXTRACT = ["extract", "("]
_APART = frozenset({PLACEHOLDER, ")", ",", "]"})
_PUNCTUATION = frozenset({"(", ")", "[", "]", ",", ".", ";", "::"})
# Up to which length tokens of a kind are remembered. Strings and comments never are.
_KEPT = {
    Kind.NAME: 64,
    Kind.KEYWORD: 64,
    Kind.OPERATOR: 64,
    Kind.PUNCTUATION: 64,
    Kind.ALIAS: 64,
    Kind.NUMBER: 4,
    Kind.PARAMETER: 4,
}
_memo = _Memo()


def lex(text: str) -> list[Token]:
    """Return the tokens of a text, comments among them, white space not.

    >>> [token.text for token in lex('SELECT "a", "B", $$c$$ /* d */ <> -1')]
    ['select', 'a', ',', '"B"', ',', '$$c$$', '/* d */', '<>', '-', '1']
    """
    return [_memo[raw] for raw in _raws(text)]


def _raws(text: str) -> list[str]:
    """Return the tokens of a text as written."""
    text = text.rstrip(_BLANKS)
    raws = [raw for raw, _ in _LEXER.findall(text)]
    return _nested(text) if "/*" in raws else raws


def _significant_raws(text: str) -> list[str]:
    """Return the tokens of a text as written, but no comments, and not every row of a list."""
    text = text.rstrip(_BLANKS)
    if len(text) < _LONG and not _HAS_DOLLAR_QUOTE.search(text):
        raws: list[str] = _QUICK_LEXER.findall(text)
    else:
        raws = [raw for raw, _ in _LONG_LEXER.findall(text)]
        if "/*" not in raws:
            raws = [part for raw in raws for part in (_cut(raw) if _is_list(raw) else (raw,))]
    if "/*" in raws:
        return [raw for raw in _nested(text) if not raw.startswith(("--", "/*"))]
    while raws and not raws[-1]:
        raws.pop()
    return raws


def _is_list(raw: str) -> bool:
    """Tell VALUES (...), IN (...) and ARRAY[...] from tokens: none that starts so ends so."""
    return raw[-1:] in {")", "]"} and raw[0] in "vViIaA"


def _cut(raw: str) -> list[str]:
    return _raws(_shorten(raw) if len(raw) > _LONG_LIST else raw)


def _shorten(raw: str) -> str:
    """Return VALUES with each kind of row once, IN or ARRAY with one of all constants."""
    shape = _LIST_CONSTANT.sub("$1", raw)
    if raw[0] in "vV":
        head, _, rows = shape.partition("(")
        return f"{head}({'), ('.join(dict.fromkeys(_BETWEEN_ROWS.split(rows[:-1])))})"
    head, opening, items = shape.partition("(" if raw[-1] == ")" else "[")
    if {item.strip() for item in items[:-1].split(",")} == {"$1"}:
        return f"{head}{opening}$1{raw[-1]}"
    return raw


def _nested(text: str) -> list[str]:
    """Cut a text with a comment that is nested or unterminated: no regular expression can."""
    raws: list[str] = []
    position = 0
    while position < len(text):
        end = len(text)
        for match in _LEXER.finditer(text, position):
            raw = match[1]
            if raw == "/*":
                end = _comment_end(text, match.end(1))
                raw = text[match.start(1) : end]
                raws.append(raw)
                break
            raws.append(raw)
        position = end
    return raws


def _comment_end(text: str, position: int) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return len(text)


def _decode(text: str | bytes) -> str:
    """Return a text that can be printed: what is not UTF-8 becomes U+FFFD."""
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def comments(text: str | bytes) -> list[str]:
    """Return the comments of a text, as written."""
    return [token.text for token in lex(_decode(text)) if token.kind is Kind.COMMENT]


def is_own(text: str | bytes) -> bool:
    """Tell whether a text is one of ours: it has our mark as a comment near its start."""
    head = text[:OWN_WITHIN]
    needle: str | bytes = OWN_MARK if isinstance(head, str) else OWN_MARK.encode()
    return needle in head and OWN_MARK in comments(head)  # type: ignore[operator]


# --- literals ----------------------------------------------------------------------------


class _Fold:
    """Tokens without semicolons and literals: each literal becomes a ?, its sign goes."""

    __slots__ = ("kinds", "operand", "signs", "string", "texts")

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.texts: list[str] = []
        self.operand = False  # the token before ends an operand
        self.signs = 0  # how many unary signs precede
        self.string = False  # the token before is a string: adjacent ones are one

    def feed(self, tokens: list[Token]) -> None:
        literal = self._literal
        by_kind = {
            Kind.STRING: self._string,
            Kind.NUMBER: literal,
            Kind.PARAMETER: literal,
            Kind.NAME: self._name,
            Kind.KEYWORD: self._keyword,
            Kind.OPERATOR: self._operator,
            Kind.PUNCTUATION: self._punctuation,
            Kind.ALIAS: self._alias,
        }
        for kind, text in tokens:
            by_kind[kind](text)

    def _literal(self, _text: str) -> None:
        if self.signs:
            del self.kinds[-self.signs :], self.texts[-self.signs :]
            self.signs = 0
        self.operand = True
        self.string = False
        self.kinds.append(Kind.PARAMETER)
        self.texts.append(PLACEHOLDER)

    def _string(self, text: str) -> None:
        if self.texts and self.texts[-1] == "uescape":  # part of the literal before
            self.kinds.pop()
            self.texts.pop()
        elif not self.string:
            self._literal(text)
        self.string = True

    def _name(self, text: str) -> None:
        self.signs = 0
        self.operand = True
        self.string = False
        self.kinds.append(Kind.NAME)
        self.texts.append(text)

    def _alias(self, text: str) -> None:
        self._name(text)
        self.kinds[-1] = Kind.ALIAS

    def _keyword(self, text: str) -> None:
        before = self.texts[-1] if self.texts else ""
        if before == ".":  # any word may name a column there
            self._name(text)
            return
        if text in _CONSTANTS and before not in _KEEPS_CONSTANT:
            self._literal(text)
            return
        if text == "from" and self.texts[-3:-1] == _EXTRACT:
            self.kinds[-1] = Kind.PARAMETER
            self.texts[-1] = PLACEHOLDER
        self.signs = 0
        self.operand = text not in _EXPECTS
        self.string = False
        self.kinds.append(Kind.KEYWORD)
        self.texts.append(text)

    def _operator(self, text: str) -> None:
        self.signs = self.signs + 1 if text in _SIGNS and not self.operand else 0
        self.operand = False
        self.string = False
        self.kinds.append(Kind.OPERATOR)
        self.texts.append(text)

    def _punctuation(self, text: str) -> None:
        if text == ";":
            return
        self.signs = 0
        self.operand = text in _CLOSES
        self.string = False
        self.kinds.append(Kind.PUNCTUATION)
        self.texts.append(text)


def _placeholders(tokens: list[Token]) -> list[Token]:
    """Tell the placeholder ? from the jsonb operator, which stands between two operands."""
    told = list(tokens)
    operand = False
    for position, (kind, text) in enumerate(tokens):
        if kind is Kind.OPERATOR:
            if text == PLACEHOLDER and not (operand and _starts_operand(tokens, position + 1)):
                told[position] = Token(Kind.PARAMETER, text)
                operand = True
            else:
                operand = False
        elif kind is Kind.KEYWORD:
            operand = text not in _EXPECTS
        elif kind is Kind.PUNCTUATION:
            operand = text in _CLOSES
        else:
            operand = True
    return told


def _starts_operand(tokens: list[Token], position: int) -> bool:
    if position >= len(tokens):
        return False
    kind, text = tokens[position]
    if kind is Kind.KEYWORD:
        return text in _STARTS_OPERAND
    return kind <= Kind.NAME or kind is Kind.ALIAS or text in {"(", PLACEHOLDER}


# --- statements that are not queries -----------------------------------------------------

# Where the name that becomes a placeholder stands: after these words, the optional ones skipped.
_NAMED = {
    "savepoint": frozenset[str](),
    "release": frozenset({"savepoint"}),
    "close": frozenset[str](),
    "deallocate": frozenset({"prepare"}),
    "prepare": frozenset[str](),
    "execute": frozenset[str](),
    "declare": frozenset[str](),
}
_NO_NAME = frozenset({"all", "transaction", ""})
_SET_OPTIONS = frozenset({"session", "local"})
_SET_KEPT = frozenset({"transaction", "constraints", "characteristics"})
_ALTERED = frozenset({"system", "role", "user", "database"})
_ROLES = frozenset({"role", "user", "group"})


def _utility(kinds: list[Kind], texts: list[str]) -> None:
    """Replace names and values of a statement that is not a query, in place."""
    head = texts[0]
    second = texts[1] if len(texts) > 1 else ""
    if head in _NAMED:
        position = 2 if second in _NAMED[head] and len(texts) > 2 else 1  # noqa: PLR2004
        if texts[position : position + 1] and texts[position] not in _NO_NAME:
            _replace(kinds, texts, position, position + 1)
    elif head == "rollback" and "to" in texts[:3]:
        _replace(kinds, texts, len(texts) - 1, len(texts))
    elif head in {"fetch", "move"} and len(texts) > 1:
        _replace(kinds, texts, len(texts) - 1, len(texts))
        if texts[2:3] == ["-"]:  # ABSOLUTE -1: FETCH's words are none that a sign follows
            del kinds[2], texts[2]
    elif head == "set":
        _set(kinds, texts, 2 if second in _SET_OPTIONS else 1)
    elif head == "alter" and second in _ALTERED and "set" in texts and "(" not in texts:
        _set(kinds, texts, texts.index("set") + 1)
    if head in {"create", "alter"} and second in _ROLES and "password" in texts[:-1]:
        position = texts.index("password") + 1
        _replace(kinds, texts, position, position + 1)


def _set(kinds: list[Kind], texts: list[str], position: int) -> None:
    """Replace the value in SET name = value, name TO value, TIME ZONE, ROLE and the like."""
    rest = texts[position:]
    if not rest or rest[0] in _SET_KEPT:
        return
    for word in ("=", "to"):
        if word in rest[:6]:
            position += rest.index(word)
            texts[position] = "="
            kinds[position] = Kind.OPERATOR
            _replace(kinds, texts, position + 1, len(texts))
            return
    first = {"time": 2, "authorization": 1, "session": 2}.get(rest[0], 1)
    if not _SET_KEPT.intersection(rest[:3]):
        _replace(kinds, texts, position + first, len(texts))


def _replace(kinds: list[Kind], texts: list[str], start: int, end: int) -> None:
    while start and texts[start - 1] in _SIGNS:
        start -= 1
    if start < end and start < len(texts):
        if texts[end : end + 1] and texts[end] in _CONSTANTS:  # what kept it is gone
            end += 1
        kinds[start:end] = [Kind.PARAMETER]
        texts[start:end] = [PLACEHOLDER]


# --- query blocks and their clauses ------------------------------------------------------


@dataclass(slots=True)
class Table:
    """Something a block reads or writes, under the clause that names it.

    parts: schema and name; empty for a subquery.  function: it is called.  query: the first
    block of a subquery, which names its columns.
    """

    clause: str
    parts: list[str]
    alias: str = ""
    function: bool = False
    query: "Block | None" = None


@dataclass(slots=True, eq=False)
class Block:
    """A query block: one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES.

    start: the position of its first token.
    """

    verb: str
    start: int
    parent: "Block | None"
    tables: list[Table] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Place:
    """Where a token stands: in which clause of which block."""

    clause: str
    block: Block | None


@dataclass(slots=True, eq=False)
class _Frame:
    """A pair of parentheses, with what to return to at its end."""

    opener: int
    state: "_State"
    place: Place
    block: Block | None
    base: Block | None
    end: int = 0
    tail: int = -1  # where its ORDER BY or GROUP BY starts
    first: Block | None = None  # whose names a subquery's columns have
    united: bool = False  # UNION and the like came: the next block is a sibling


class _State(IntEnum):
    """What the reader expects at the level it is at."""

    INSIDE = 0  # within an expression in parentheses
    IDLE = 1
    LIST = 2  # a select list: column aliases
    WANT = 3  # FROM, JOIN, INTO, UPDATE: a table must come
    TABLE = 4  # it came: its alias may
    NAMED = 5  # that came too
    JOINED = 6  # in a join's condition: , and JOIN start another table
    REST = 7


@dataclass(slots=True)
class Outline:
    """A text taken apart: tokens without literals, and the clause each stands in."""

    kinds: list[Kind]
    texts: list[str]
    places: list[Place]
    blocks: list[Block]
    column_aliases: frozenset[int]


@dataclass(slots=True)
class _ColumnAlias:
    position: int
    named: int  # where its AS stands, or -1
    frame: _Frame


class _Reader:
    """Finds query blocks, their tables and aliases, in one walk over the tokens."""

    __slots__ = (
        "block", "blocks", "columns", "frame", "frames", "kinds", "labelled", "named", "opener",
        "place", "places", "state", "table_names", "texts",
    )  # fmt: skip

    def __init__(self, kinds: list[Kind], texts: list[str]) -> None:
        self.kinds = kinds
        self.texts = texts
        self.places: list[Place] = []
        self.blocks: list[Block] = []
        self.columns: list[_ColumnAlias] = []
        self.labelled: list[tuple[int, str]] = []  # where table aliases are defined
        self.table_names: set[int] = set()
        self.named: list[int] = []  # where names stand
        self.place = Place("", None)
        self.block: Block | None = None
        self.state = _State.IDLE
        self.frame = _Frame(-1, _State.IDLE, self.place, None, None, end=len(texts))
        self.frames: list[_Frame] = []
        self.opener = -1  # where the parentheses closed last were opened

    def read(self, start: int) -> None:
        """Walk over the tokens once, from the first of the query."""
        words = self.texts
        words.append("")  # so that each has one after it
        places = self.places
        places.extend([self.place] * start)
        names, word_kinds = _WORDS, (Kind.KEYWORD, Kind.PUNCTUATION)
        for position, kind in enumerate(self.kinds[start:], start):
            if kind in names:
                self.named.append(position)
                if kind is Kind.NAME or self.state is _State.TABLE:
                    self._name(position)
            elif kind in word_kinds:
                handle = _READ.get(words[position])
                if handle is not None:
                    handle(self, position)
            places.append(self.place)
        words.pop()

    # names

    def _name(self, position: int) -> None:
        before = self.texts[position - 1] if position else ""
        if self.state is _State.LIST:
            self._column_alias(position, before)
        elif self.state is _State.WANT:
            self._table([self.texts[position]])
            self.table_names.add(position)
        elif self.state is not _State.TABLE or self.block is None or not self.block.tables:
            return
        elif before == ".":
            self.block.tables[-1].parts.append(self.texts[position])
            self.table_names.add(position)
        else:
            self._table_alias(self.block, position)

    def _table(self, parts: list[str]) -> None:
        self.state = _State.TABLE
        if self.block is not None:
            self.block.tables.append(Table(self.place.clause, parts))

    def _table_alias(self, block: Block, position: int) -> None:
        text = self.texts[position]
        label = f"@{len(self.labelled) + 1}"
        block.tables[-1].alias = text
        block.labels[text] = label
        self.labelled.append((position, label))
        self.state = _State.NAMED

    def _column_alias(self, position: int, before: str) -> None:
        named = position - 1 if before == "as" else -1
        if self.texts[position + 1] not in _ENDS_ITEM or not self._ends_operand(
            position - 1 if named < 0 else named - 1,
        ):
            return
        if named >= 0 or self.texts[position] not in _NEVER_BARE:
            self.columns.append(_ColumnAlias(position, named, self.frame))

    def _ends_operand(self, position: int) -> bool:
        """Tell whether a column's expression may end here."""
        text, kind = self.texts[position], self.kinds[position]
        if kind is Kind.KEYWORD:
            return text in _OPERAND_KEYWORDS
        if kind is Kind.PUNCTUATION:
            before = self.texts[max(self.opener - 1, 0)]
            return text == "]" or (text == ")" and before not in {"operator", "on"})
        if kind is Kind.ALIAS:
            return True
        before = self.texts[position - 1] if position else ""
        if before == "as" or (text == PLACEHOLDER == before):
            return False
        if kind is Kind.NAME and text not in _NEVER_BARE and self.follows_operand(position):
            return False  # two operands in a row are no expression
        return kind is not Kind.OPERATOR and text not in _AFTER_OPERAND

    def follows_operand(self, position: int) -> bool:
        if not position:
            return False
        text, kind = self.texts[position - 1], self.kinds[position - 1]
        if kind in _WORDS or text == PLACEHOLDER:
            return True
        return text in _OPERAND_KEYWORDS or text in {"as", ")", "]"}

    # parentheses

    def open_(self, position: int) -> None:
        frame = _Frame(position, self.state, self.place, self.block, self.frame.base)
        after = self.texts[position + 1]
        query = after in _STARTS_QUERY and self.texts[position] == "("
        if query and self.kinds[position + 1] is Kind.KEYWORD:
            frame.base = self.block or self.frame.base
            frame.united = True
            self.block = None
            self.state = _State.IDLE
        elif self.state is _State.TABLE:
            if self.block is not None and self.block.tables and self.place.clause != "into":
                self.block.tables[-1].function = True
            self.state = _State.INSIDE
        elif self.state is not _State.WANT:  # where a table must come: a join in parentheses
            self.state = _State.INSIDE
        self.frames.append(self.frame)
        self.frame = frame

    def close(self, position: int) -> None:
        if not self.frames:
            return
        frame = self.frame
        frame.end = position
        self.opener = frame.opener
        self.state, self.place, self.block = frame.state, frame.place, frame.block
        self.frame = self.frames.pop()
        if self.state is _State.WANT:
            self._table([])
            if self.block is not None:
                self.block.tables[-1].query = frame.first

    def comma(self, _position: int) -> None:
        if self.state in _IN_FROM and self.place.clause in _LISTS_TABLES:
            self.state = _State.WANT

    # keywords

    def _start(self, verb: str, position: int, state: _State) -> None:
        frame = self.frame
        parent = frame.base if frame.united or self.block is None else self.block
        frame.united = False
        self.block = Block(verb, position, parent)
        self.blocks.append(self.block)
        frame.first = frame.first or self.block
        self._enter(verb, state)

    def _enter(self, clause: str, state: _State) -> None:
        self.place = Place(clause, self.block)
        self.state = state

    def select(self, position: int) -> None:
        if self.state is not _State.INSIDE:
            self._start("select", position, _State.LIST)

    def values(self, position: int) -> None:
        if self.state is _State.INSIDE:
            return
        if self.block is None or self.frame.united:
            self._start("values", position, _State.REST)
        else:
            self.clause(position)

    def command(self, position: int) -> None:
        """TABLE name, where a query may stand."""
        if self.state is _State.IDLE:
            self._start("select", position, _State.WANT)
            self.place = Place("from", self.block)

    def write(self, position: int) -> None:
        """INSERT INTO, MERGE INTO, DELETE FROM, UPDATE; not FOR UPDATE, THEN INSERT, DO UPDATE."""
        verb = self.texts[position]
        before = self.texts[position - 1] if position else ""
        if self.state is _State.INSIDE or before in {"for", "key", "then", "do", "on", "."}:
            return
        if verb == "update":
            self._start(verb, position, _State.WANT)
        elif self.texts[position + 1] in {"into", "from"}:
            self._start(verb, position, _State.REST)

    def into(self, _position: int) -> None:
        if self.state is not _State.INSIDE:
            self._enter("into", _State.WANT)

    def from_(self, position: int) -> None:
        if self.state is _State.INSIDE or self.block is None:
            return
        before = self.texts[max(position - 2, 0) : position]
        if before in (["is", "distinct"], ["not", "distinct"]):
            return
        if before[-1:] == ["rows"] and self.state is _State.TABLE:  # ROWS FROM (f(), g())
            self.block.tables.pop()
        clause = "into" if before[-1:] == ["delete"] else "from"
        self._enter(clause, _State.WANT)

    def using(self, _position: int) -> None:
        if self.state not in _IN_FROM or self.block is None:
            return
        if self.place.clause == "into" and self.block.verb in {"delete", "merge"}:
            self._enter("from", _State.WANT)
        else:
            self._enter("on", _State.JOINED)

    def join(self, _position: int) -> None:
        if self.state in _IN_FROM:
            self._enter("from", _State.WANT)

    def on(self, _position: int) -> None:
        if self.state in _IN_FROM and self.place.clause in _LISTS_TABLES:
            self._enter("on", _State.JOINED)
        elif self.state not in {_State.INSIDE, _State.LIST}:
            self._enter("conflict", _State.REST)

    def unite(self, position: int) -> None:
        if self.state is not _State.INSIDE:
            self.frame.united = True
            self.clause(position)
            self.block = None
            self.state = _State.IDLE

    def sample(self, _position: int) -> None:
        if self.state is _State.TABLE:
            self.state = _State.NAMED

    def returning(self, _position: int) -> None:
        if self.state is not _State.INSIDE:
            self._enter("returning", _State.LIST)

    def clause(self, position: int) -> None:
        if self.state is not _State.INSIDE and self.block is not None:
            self._enter(self.texts[position], _State.REST)

    def tail(self, position: int) -> None:
        if self.state is not _State.INSIDE:
            if self.frame.tail < 0:
                self.frame.tail = position
            self.clause(position)


_WORDS = (Kind.NAME, Kind.ALIAS)
_IN_FROM = frozenset({_State.WANT, _State.TABLE, _State.NAMED, _State.JOINED})
_LISTS_TABLES = frozenset({"from", "on"})
_STARTS_QUERY = frozenset(
    {"select", "with", "values", "table", "insert", "update", "delete", "merge"}
)
_READ = {
    "(": _Reader.open_,
    "[": _Reader.open_,
    ")": _Reader.close,
    "]": _Reader.close,
    ",": _Reader.comma,
    "select": _Reader.select,
    "values": _Reader.values,
    "table": _Reader.command,
    "insert": _Reader.write,
    "update": _Reader.write,
    "delete": _Reader.write,
    "merge": _Reader.write,
    "into": _Reader.into,
    "from": _Reader.from_,
    "using": _Reader.using,
    "join": _Reader.join,
    "tablesample": _Reader.sample,
    "on": _Reader.on,
    "union": _Reader.unite,
    "intersect": _Reader.unite,
    "except": _Reader.unite,
    "returning": _Reader.returning,
    "group": _Reader.tail,
    "order": _Reader.tail,
} | dict.fromkeys(
    ["where", "having", "limit", "offset", "fetch", "for", "window", "set"],
    _Reader.clause,
)


_QUERIES = _words(
    """select with insert update delete merge values table explain prepare declare ("""
)


def _query_start(texts: list[str]) -> int:
    """Return where the query starts; the number of tokens if there is none."""
    head = texts[0]
    if head in _QUERIES or texts[:2] == ["copy", "("]:
        return 0
    if head == "create":
        for position, text in enumerate(texts[:-1]):
            if text == "as" and (
                texts[position + 1] in _STARTS_QUERY or texts[position + 1] == "("
            ):
                return position + 1
    return len(texts)


def _rename(reader: _Reader) -> list[str]:
    """Return the texts with table aliases numbered and column aliases dropped."""
    texts = reader.texts.copy()
    dropped: set[int] = set()
    if Kind.ALIAS in reader.kinds:
        texts = [
            _ABSOLUTE if kind is Kind.ALIAS else text
            for kind, text in zip(reader.kinds, texts, strict=True)
        ]
    for position, label in reader.labelled:
        texts[position] = label
        before = position - 1
        while texts[before] == "as" and reader.kinds[before] is Kind.KEYWORD:
            dropped.add(before)
            before -= 1
    _refer(reader, texts)
    shown = _column_aliases(reader, texts, dropped)
    out: list[str] = []
    for position, text in enumerate(texts):
        if position in shown:
            out.append("as")
        if text == _ABSOLUTE:
            out += text.split()
        elif position not in dropped:
            out.append(text)
    return out


def _spell_out(kinds: list[Kind], texts: list[str]) -> None:
    """Write @1 as an operator and a constant, in place: outside queries it is no alias."""
    pairs: list[tuple[Kind, str]] = []
    for kind, text in zip(kinds, texts, strict=True):
        alias = kind is Kind.ALIAS
        pairs += _ABSOLUTE_PAIR if alias else [(kind, text)]
    kinds[:] = [kind for kind, _ in pairs]
    texts[:] = [text for _, text in pairs]


_ABSOLUTE_PAIR = [(Kind.OPERATOR, "@"), (Kind.PARAMETER, PLACEHOLDER)]
_ABSOLUTE = "@ ?"  # what @1 is if it is nobody's alias: the absolute value of a constant


def _refer(reader: _Reader, texts: list[str]) -> None:
    """Replace references to table aliases by their labels, in place."""
    known = {label for block in reader.blocks for label in block.labels}
    if not known:
        return
    words = [*reader.texts, ""]
    defined = {position for position, _ in reader.labelled} | reader.table_names
    for position in reader.named:
        word = words[position]
        if word not in known or word in _AFTER_OPERAND or position in defined:
            continue
        before, after = words[position - 1] if position else "", words[position + 1]
        place = reader.places[position]
        target = after == "=" and place.clause == "set" and before in {"set", ","}
        if before in {".", "::", "as"} or after in {"(", "=>"} or target or place.clause == "into":
            continue
        label = _label(place.block, word)
        if label and not reader.follows_operand(position):
            texts[position] = label


def _label(block: Block | None, alias: str) -> str:
    for _ in range(_MAX_SCOPES):
        if block is None:
            break
        label = block.labels.get(alias)
        if label:
            return label
        block = block.parent
    return ""


_MAX_SCOPES = 64  # how far out an alias is looked for


def _column_aliases(reader: _Reader, texts: list[str], dropped: set[int]) -> set[int]:
    """Drop the column aliases that nothing refers to; return those that need an AS."""
    columns = reader.columns
    own = {column.position for column in columns}
    wanted = {texts[position] for position in own}
    uses: dict[str, _Uses] = {}
    for position in reader.named if wanted else ():
        text = texts[position]
        if text in wanted and position not in own and texts[position + 1 : position + 2] != ["("]:
            found = uses.setdefault(text, _Uses([], []))
            found.places.append(position)
            if texts[position - 1] != ".":
                found.bare.append(position)
    shown: set[int] = set()
    for column in columns:
        start = column.position if column.named < 0 else column.named
        name = texts[column.position]
        same = name == texts[start - 1] and texts[start - 2] in _STARTS_ITEM
        if same or name not in uses or not uses[name].reach(column.frame):
            dropped.update(range(start, column.position + 1))
        elif column.named < 0:
            shown.add(column.position)
    return shown


_STARTS_ITEM = frozenset({",", ".", "select", "distinct", "all", "returning"})


class _Uses(NamedTuple):
    """Where a name stands that is a column alias somewhere."""

    places: list[int]
    bare: list[int]  # without a table before it

    def reach(self, frame: _Frame) -> bool:
        """Tell whether one may mean an output column of a query in these parentheses."""
        if frame.opener >= 0 and (self.places[0] < frame.opener or self.places[-1] > frame.end):
            return True
        if frame.tail < 0:
            return False
        first = bisect_right(self.bare, frame.tail)
        return first < len(self.bare) and self.bare[first] < frame.end


# --- lists -------------------------------------------------------------------------------


@dataclass(slots=True)
class _List:
    """An open pair of parentheses or brackets."""

    start: int
    constants: bool  # IN (...) or ARRAY[...]
    row: bool = False  # of VALUES
    commas: list[int] = field(default_factory=list)
    rows: set[tuple[str, ...]] | None = None  # of the VALUES that stands in it
    row_end: int = -1


_MAX_ROW = 4096  # longer rows are not compared


def _collapse(texts: list[str]) -> list[str]:
    """Make lists of constants, and equal rows of VALUES, one."""
    if not ("in" in texts or "array" in texts or "values" in texts):
        return texts
    out: list[str] = []
    top = _List(0, constants=False)
    stack = [top]
    for text in texts:
        if text in _OPENS:
            stack.append(_opened(text, out, stack[-1]))
        elif text == ",":
            stack[-1].commas.append(len(out))
        elif text in _CLOSED and len(stack) > 1:
            closed = stack.pop()
            if closed.constants and closed.commas:
                _merge_constants(out, closed)
            out.append(text)
            if closed.row:
                _merge_row(out, closed, stack[-1])
            continue
        out.append(text)
    return out


_OPENS = frozenset({"(", "["})
_CLOSED = frozenset({")", "]"})


def _opened(text: str, out: list[str], outer: _List) -> _List:
    before = out[-1] if out else ""
    start = len(out)
    if text == "[":
        nested = outer.constants and before in {"[", ","}
        return _List(start, constants=before == "array" or nested)
    if before == "values":
        outer.rows = set()
        return _List(start, constants=False, row=True)
    follows = outer.rows is not None and before == "," and outer.row_end == start - 1
    return _List(start, constants=before == "in", row=follows)


def _merge_row(out: list[str], row: _List, outer: _List) -> None:
    if len(out) - row.start <= _MAX_ROW and outer.rows is not None:
        tokens = tuple(out[row.start :])
        if tokens in outer.rows:
            del out[row.start - 1 :]
        outer.rows.add(tokens)
    outer.row_end = len(out)


def _merge_constants(out: list[str], closed: _List) -> None:
    """Keep one of each constant of a list, if it holds nothing else."""
    items = out[closed.start + 1 :]
    if set(items) != {PLACEHOLDER, ","}:
        edges = [closed.start, *closed.commas, len(out)]
        parts = dict.fromkeys(tuple(out[a + 1 : b]) for a, b in pairwise(edges))
        if not all(map(_is_constant, parts)):
            return
        items = []
        for part in parts:
            items += [*part, ","]
        out[closed.start + 1 :] = items[:-1]
    else:
        out[closed.start + 1 :] = [PLACEHOLDER]


def _is_constant(item: tuple[str, ...]) -> bool:
    """Tell whether an item is a placeholder, perhaps of a named type or cast to one."""
    cast = False
    for text, after in pairwise((*item, "")):
        if text == "::":
            cast = True
        elif text in {PLACEHOLDER, ","}:
            cast = False
        elif text not in _IN_CONSTANTS and not cast and after != PLACEHOLDER:
            return False
    return PLACEHOLDER in item


_IN_CONSTANTS = frozenset({"(", ")", "[", "]", "array", "row", "."})

# --- the whole ---------------------------------------------------------------------------

# A text that ends in one of these goes on.
_ENDS_TRUNCATED = _words(
    """and any array as between by case collate distinct else from having ilike in inner intersect
    into is join lateral left like limit natural not offset on or select set similar then
    union using values when where with"""
)
_WHOLE_STRING = re.compile(
    r"""[eE]'(?:[^'\\]++|\\.|'')*+' | (?:[bBnNxX]|[uU]&)?+'(?:[^']++|'')*+'
    | \$(?P<tag>[^$]*)\$.*\$(?P=tag)\$""",
    re.VERBOSE | re.DOTALL,
)
_WHOLE_QUOTED = re.compile(r'(?:[uU]&)?+"(?:[^"]++|"")*+"')


def _is_truncated(raws: list[str], tokens: list[Token]) -> bool:
    """Tell whether a text ends within a token, a list or parentheses, or before an operand."""
    if not raws:
        return False
    raw = raws[-1]
    kind, text = _memo[raw]
    if kind is Kind.STRING:
        ends = _WHOLE_STRING.fullmatch(raw) is not None
    elif kind is Kind.NAME and '"' in raw:
        ends = _WHOLE_QUOTED.fullmatch(raw) is not None
    elif kind is Kind.OPERATOR:
        ends = text in {"*", ">", "?"}  # count(*), <insufficient privilege>
    else:
        ends = text not in _ENDS_TRUNCATED and text != ","
    return not ends or tokens.count(_OPENING) > tokens.count(_CLOSING)


_OPENING = Token(Kind.PUNCTUATION, "(")
_CLOSING = Token(Kind.PUNCTUATION, ")")


def _read(text: str) -> tuple[_Reader, bool]:
    """Return a text taken apart, and whether it is truncated."""
    raws = _significant_raws(text)
    tokens = [_memo[raw] for raw in raws]
    truncated = _is_truncated(raws, tokens)
    if PLACEHOLDER in text:
        tokens = _placeholders(tokens)
    fold = _Fold()
    fold.feed(tokens)
    if Kind.ALIAS in fold.kinds and _query_start(fold.texts) == len(fold.texts):
        _spell_out(fold.kinds, fold.texts)
    if fold.texts:
        _utility(fold.kinds, fold.texts)
    reader = _Reader(fold.kinds, fold.texts)
    if fold.texts:
        reader.read(_query_start(fold.texts))
    return reader, truncated


def outline(text: str | bytes) -> Outline:
    """Return a text taken apart: tokens without literals, blocks, clauses, tables."""
    reader, _ = _read(_decode(text))
    aliases = frozenset(column.position for column in reader.columns)
    return Outline(reader.kinds, reader.texts, reader.places, reader.blocks, aliases)


def normalize(text: str | bytes) -> Normalized:
    """Return the normalized text and the fingerprint of a statement.

    >>> normalize("SELECT a FROM t AS x WHERE x.id IN (1, 2) -- why").text
    'select a from t @1 where @1.id in (?)'
    >>> normalize("ALTER ROLE bob PASSWORD 'secret'").text
    'alter role bob password ?'
    """
    reader, truncated = _read(_decode(text))
    texts = reader.texts
    if reader.labelled or reader.columns or Kind.ALIAS in reader.kinds:
        texts = _rename(reader)
    texts = _collapse(texts)
    digest = blake2b(" ".join(texts).encode(), digest_size=8).hexdigest()
    return Normalized(_render(texts), f"{VERSION}:{digest}", truncated)


# Words before parentheses that are no function's arguments.
_SPACED = _KEYWORDS | _words(
    "conflict exists explain filter materialized options over reset within"
)
_SPACED -= frozenset({"any", "cast", "left", "right", "row", "some"})
_BEFORE_COLUMNS = frozenset({"copy", "into", "references", "table"})
_NO_SPACE_BEFORE = frozenset({",", ")", "]", ".", "::", "["})
_NO_SPACE_AFTER = frozenset({"(", "[", ".", "::", ""})


def _render(texts: list[str]) -> str:
    """Return tokens as one line of SQL."""
    pieces: list[str] = []
    before = ""
    columns = False  # the next parentheses hold a table's columns
    for text in texts:
        if text == "(":
            glued = before in _NO_SPACE_AFTER or not (
                columns or before in _SPACED or before in _APART
            )
            columns = False
        else:
            columns = columns or text in _BEFORE_COLUMNS
            glued = text in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER
            glued = glued and not (before == "::" == text or (before and ":" in {text, before}))
        pieces.append(text if glued else " " + text)
        before = text
    return "".join(pieces)
