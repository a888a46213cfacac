"""The text of a statement as pg_stat_statements has it, to read and to run EXPLAIN on.

The server's own text is what an application sent, with `$1` in place of constants. Comments may
contain anything and go. A text that still has constants is not shown: those of commands have them,
and so has an entry that was evicted while its statement ran. The normalized text with numbered
parameters takes its place, as it does in a history, which has no other text.
"""

import re
from collections.abc import Iterator, Sequence

from pgiostat.queries.fingerprint import TokenKind, lex, outline
from pgiostat.queries.fingerprint.lexer import decode, raws
from pgiostat.queries.fingerprint.render import render
from pgiostat.queries.fingerprint.tokens import GLUED_PARAMETER, PLACEHOLDER, token
from pgiostat.queries.fingerprint.words import words

__all__ = ["NOT_EXPLAINABLE", "explainable", "is_explainable", "numbered", "own_text", "to_copy"]

LONGEST = 16_384
"""Characters of an own text; of a longer one only the normalized text is kept."""
_QUERIES = words("select insert update delete merge with values table (")
_MAY_HAVE_CONSTANTS = re.compile(r"['@]|\$[^0-9]|(?<![\w$\x80-\U0010ffff])\.?[0-9]|(?<![^\s(,])\?")
_CREATES_ROWS = re.compile(
    r"create (?:materialized view|(?:\w+ )*table) .*? as (?:\(?select|with|values)"
)
_LITERALS = (TokenKind.STRING, TokenKind.NUMBER)
MOST_QUERYIDS = 8
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")
_SQUEEZED_LIST = re.compile(r"/\*\s*,\s*\.\.\.\s*\*/")
"""PostgreSQL 18 writes it in place of the further constants of a list."""

NOT_EXPLAINABLE = "EXPLAIN does not take this command"

_TYPES = words(
    """bigint bit bool boolean box bpchar bytea char character cidr circle date daterange decimal
    dec float float4 float8 inet int int2 int4 int4range int8 int8range integer interval json jsonb
    jsonpath line lseg macaddr money numeric numrange oid path point polygon real regclass smallint
    text time timestamp timestamptz timetz tsquery tsrange tstzrange tsvector uuid varbit varchar
    xml double"""
)
_TYPE_PARTS = words("precision varying with without time zone")
_FIELDS = words("year month day hour minute second to")


def own_text(text: str | bytes, normalized: str) -> str:
    """Return the server's own text of a query without its comments; empty if it may not be shown.

    Args:
        text: As the server has it.
        normalized: The normalized text.

    >>> own_text("SELECT a FROM t /* why */ WHERE b = $1", "select a from t where b = ?")
    'SELECT a FROM t WHERE b = $1'
    >>> own_text("SELECT 'secret'", "select ?"), own_text("SET a TO b", "set a to ?")
    ('', '')
    """
    if len(text) > LONGEST or normalized.partition(" ")[0].strip("()") not in _QUERIES | {""}:
        return ""
    decoded = decode(text)
    if _MAY_HAVE_CONSTANTS.search(decoded) and not _is_without_constants(decoded, normalized):
        return ""
    if "--" not in decoded and "/*" not in decoded:
        return decoded.strip()
    return _BLANK_LINES.sub("\n", "".join(_without_comments(decoded))).strip()


def _is_without_constants(text: str, normalized: str) -> bool:
    """Return whether a text has no constants but the ordinals that its normalized text keeps."""
    kinds = list(_kinds(text))
    kept = [found.kind for found in lex(normalized)]
    is_normalized = TokenKind.ALIAS in kinds or ("?" in text and text.strip() == normalized.strip())
    return not is_normalized and all(kinds.count(each) == kept.count(each) for each in _LITERALS)


def _kinds(text: str) -> Iterator[TokenKind]:
    """Yield the kinds of a text's tokens, without the numbers of types as numeric(10, 2)."""
    before, is_type = "", False
    for kind, each in lex(text):
        is_type = (each == "(" and before in _TYPES) or (is_type and each != ")")
        if not (is_type and kind is TokenKind.NUMBER):
            yield kind
        before = each


def _placed(text: str) -> Iterator[tuple[str, str]]:
    """Yield the tokens of a text, each with the blanks before it."""
    position = 0
    for raw in raws(text):
        at = text.index(raw, position)
        yield text[position:at], raw
        position = at + len(raw)


def _without_comments(text: str) -> Iterator[str]:
    for blank, raw in _placed(text):
        is_comment = raw.startswith(("--", "/*")) and not _SQUEEZED_LIST.fullmatch(raw)
        yield blank.rstrip(" \t") if is_comment else blank + raw


def numbered(normalized: str) -> str:
    """Return a normalized text with `$1` for each placeholder, and aliases that PostgreSQL takes.

    >>> numbered("select @1.a from t @1 where @1.id in (?) and @1.b = ?")
    'select t1.a from t t1 where t1.id in ($1) and t1.b = $2'
    """
    found = outline(normalized)
    prefix = "t"
    while any(f"{prefix}{number}" in found.texts for number in range(1, 100)):
        prefix += "_"
    written, number = [], 0
    texts, skipped = found.texts, -1
    for position, (kind, text) in enumerate(zip(found.kinds, texts, strict=True)):
        if position < skipped:
            continue
        if kind is TokenKind.PARAMETER or _stands_for_a_constant(texts, position):
            number += 1
            written.append(f"${number}")
        else:
            written.append(f"{prefix}{text[1:]}" if kind is TokenKind.ALIAS else text)
        skipped = _modifiers_end(texts, position)
    return render(written).strip()


def _stands_for_a_constant(texts: list[str], position: int) -> bool:
    """Return whether a ? between operands is a placeholder: INTERVAL ? DAY, FIRST ? ROWS."""
    if texts[position] != PLACEHOLDER:
        return False
    before, after = texts[max(position - 1, 0)], "".join(texts[position + 1 : position + 2])
    is_count = before in {"first", "next", "rows"} and after in {"row", "rows", "preceding"}
    return is_count or (before == "interval" and after in _FIELDS)


def _modifiers_end(texts: list[str], position: int) -> int:
    """Return where the modifiers of a type end that stands here; they must be constants.

    numeric(?, ?) is written as numeric.
    """
    end = position + 1
    if texts[position] in _TYPES and texts[end : end + 2] == ["(", PLACEHOLDER]:
        is_type = texts[max(position - 1, 0)] in {"::", "as"}
        closing = texts.index(")", end) if ")" in texts[end:] else end
        is_type |= texts[closing + 1 : closing + 2] in ([PLACEHOLDER], ["with"], ["without"])
        return closing + 1 if is_type else end
    return end


def explainable(text: str) -> str:
    """Return a text in the form that EXPLAIN (GENERIC_PLAN) accepts.

    pg_stat_statements replaces the constant of `interval '1 day'` and the field of
    `extract(year FROM …)` too, and the grammar takes no parameter there. The result means the same.

    Args:
        text: A server's own text, or a numbered one.

    >>> explainable("SELECT extract($1 FROM at) FROM t WHERE at > now() - interval $2")
    'SELECT pg_catalog.extract($1, at) FROM t WHERE at > now() - $2::interval'
    >>> explainable("SELECT date$1, timestamp(3) with time zone $2, x::date, $3 ::text")
    'SELECT $1::date, $2::timestamp(3) with time zone, x::date, $3 ::text'
    """
    placed = list(_placed(text))
    plain = [token(raw)[1] for _, raw in placed]
    written: list[str] = []
    position = 0
    while position < len(placed):
        blank, raw = placed[position]
        end = _type_end(plain, position)
        if end and _is_parameter(placed, end):
            fields = _fields_end(plain, end + 1)
            named = "".join(b + r for b, r in placed[position:end]).strip()
            named += "".join(b + r for b, r in placed[end + 1 : fields])
            written.append(f"{blank}{placed[end][1]}::{named}")
            position = fields
            continue
        glued = GLUED_PARAMETER.fullmatch(raw)
        if glued and glued[1].lower() in _TYPES and plain[max(position - 1, 0)] != ".":
            written.append(f"{blank}${glued[2]}::{glued[1]}")
        elif _is_extract(placed, plain, position):
            written += [
                f"{blank}pg_catalog.{raw}",
                *map("".join, placed[position + 1 : position + 3]),
            ]
            written.append(",")
            position += 3
        else:
            written.append(blank + raw)
        position += 1
    return "".join(written)


def is_explainable(normalized: str) -> bool:
    """Return whether EXPLAIN takes a statement: a query, not COPY, SET or VACUUM.

    >>> (
    ...     is_explainable("declare ? cursor for select ?"),
    ...     is_explainable("create table a as select ?"),
    ... )
    (True, True)
    >>> is_explainable("copy (select ?) to stdout"), is_explainable("create table a(b int)")
    (False, False)
    """
    verb = normalized.partition(" ")[0].strip("()")
    if verb == "create":
        return _CREATES_ROWS.match(normalized) is not None
    return verb in _QUERIES | {"", "declare", "execute"}


def to_copy(own: str, normalized: str, queryids: Sequence[int] = ()) -> str:
    """Return the text of a statement to copy: EXPLAIN takes it, and its queryids follow.

    Args:
        own: The server's own text; empty if it is unknown or has constants.
        normalized: The normalized text; its numbered form replaces a missing own text.
        queryids: Queryids of its entries; the first MOST_QUERYIDS are written.

    >>> to_copy("SELECT a FROM t WHERE b = $1", "select a from t where b = ?", [42])
    'SELECT a FROM t WHERE b = $1 /* queryid 42 */'
    >>> to_copy("", "select a from t where b = ?")
    'select a from t where b = $1'
    """
    text = explainable(own or numbered(normalized))
    if not queryids:
        return text
    shown = ", ".join(map(str, queryids[:MOST_QUERYIDS])) + ", …" * (len(queryids) > MOST_QUERYIDS)
    return f"{text} /* queryid {shown} */"


def _is_parameter(placed: list[tuple[str, str]], position: int) -> bool:
    return position < len(placed) and re.fullmatch(r"\$[0-9]+", placed[position][1]) is not None


def _is_extract(placed: list[tuple[str, str]], plain: list[str], position: int) -> bool:
    is_call = plain[position : position + 2] == ["extract", "("]
    is_named = plain[max(position - 1, 0)] == "."
    has_field = _is_parameter(placed, position + 2) and plain[position + 3 : position + 4] == [
        "from"
    ]
    return is_call and has_field and not is_named


def _type_end(plain: list[str], position: int) -> int:
    """Return where the name of a type ends that begins here; 0 if none does."""
    if plain[position] not in _TYPES or plain[max(position - 1, 0)] in {"::", ".", "as", "at"}:
        return 0
    end = position + 1
    while end < len(plain) and (plain[end] in _TYPE_PARTS or plain[end] == "("):
        if plain[end] == "(":
            if plain[end + 2 : end + 3] != [")"]:
                return 0
            end += 2
        end += 1
    return end


def _fields_end(plain: list[str], position: int) -> int:
    """Return where the fields of an interval end, as in INTERVAL '1' DAY TO HOUR."""
    while position < len(plain) and plain[position] in _FIELDS:
        position += 1
    return position
