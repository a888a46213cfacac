"""The words of SQL, by their role in normalization."""

__all__ = [
    "AFTER_OPERAND",
    "CONSTANTS",
    "ENDS_ITEM",
    "EXPECTS",
    "EXPECTS_AFTER_OPERAND",
    "GLUED",
    "KEEPS_CONSTANT",
    "KEYWORDS",
    "NEEDS_QUOTES",
    "NEVER_BARE",
    "OPERAND_KEYWORDS",
    "SIGNS",
    "STARTS_OPERAND",
    "STARTS_QUERY",
    "words",
]


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# src/include/parser/kwlist.h: reserved words and those that may name a type or function.
# They can be neither a table's name nor its alias, and need quotes as identifiers.
_RESERVED = words(
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
_LEADING = words("insert update delete merge set values by overriding ordinality")
KEYWORDS = _RESERVED | _LEADING
# Words that quote_identifier() quotes although they may name a column.
_COLUMN_NAMES = words(
    """between bigint bit boolean char character coalesce dec decimal exists extract float
    greatest grouping inout int integer interval json json_array json_arrayagg json_exists
    json_object json_objectagg json_query json_scalar json_serialize json_table json_value least
    merge_action national nchar none normalize nullif numeric out overlay position precision
    real row setof smallint substring time timestamp treat trim values varchar xmlattributes
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
    xmltable"""
)
NEEDS_QUOTES = KEYWORDS | _COLUMN_NAMES
# After these an operand follows, so that + and - are signs and ? is a placeholder.
EXPECTS = words(
    """all and any as both by case collate default distinct do else except fetch for from having
    ilike in intersect into is join leading like limit not offset on only or placing
    returning select set similar some symmetric asymmetric then to trailing union using values
    variadic when where with"""
)
# Words that may name a column, but not after an operand: there an operand follows them. INTERVAL
# is none of them, for a number never follows it: interval - 1 is a column less one.
EXPECTS_AFTER_OPERAND = words(
    """between cache cost escape first increment maxvalue minvalue next restart return start
    statistics value"""
)
# Keywords that are, or end, an operand.
OPERAND_KEYWORDS = words(
    """current_catalog current_date current_role current_schema current_time current_timestamp
    current_user end isnull localtime localtimestamp notnull session_user system_user
    user"""
)
# Words that start an operand: a ? between an operand and one of these is an operator.
STARTS_OPERAND = frozenset({"array", "case", "cast", "not", "null", "true", "false"})
CONSTANTS = frozenset({"true", "false", "null"})
# After these, true, false and null are part of the grammar (IS NULL, SET NOT NULL).
KEEPS_CONSTANT = frozenset({"is", "not", "default", "set", "nulls", "as"})
# What cannot be a column alias without AS (BareColLabel in gram.y).
NEVER_BARE = words(
    """char character day filter hour minute month over precision second varying within without
    year zone"""
)
# These connect what precedes with a name that is no alias: OVER w, AT TIME ZONE column.
AFTER_OPERAND = frozenset({"at", "over", "zone"})
# Words that a string may follow without a blank: of date'2026-11-30' the server makes date$1, of
# n'text' n$1.
GLUED = (
    KEYWORDS
    | _COLUMN_NAMES
    | words(
        """box bytea cidr date inet json jsonb line lseg money n path point polygon regclass
        regtype text timestamptz timetz tsquery tsvector uuid xml"""
    )
)
# What may follow an item of a select list.
ENDS_ITEM = words(
    """, ) from into where group having order limit offset fetch for window union intersect
    except returning on with"""
) | {""}
SIGNS = frozenset({"+", "-"})
STARTS_QUERY = words("select with values table insert update delete merge")
