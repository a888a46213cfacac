"""Find names in SQL that the server would look up by its search_path.

PostgreSQL's own parser (libpg_query) takes the text apart: nothing here knows our statements.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import postgast

from pgiostat.postgres.sent_sql import SentSql
from pgiostat.statistics import counters

__all__ = ["servers", "unqualified"]

_KINDS = {
    "AEXPR_IN": "IN",
    "AEXPR_LIKE": "LIKE",
    "AEXPR_ILIKE": "ILIKE",
    "AEXPR_SIMILAR": "SIMILAR",
    "AEXPR_BETWEEN": "BETWEEN",
    "AEXPR_NOT_BETWEEN": "NOT_BETWEEN",
    "AEXPR_BETWEEN_SYM": "BETWEEN_SYM",
    "AEXPR_NOT_BETWEEN_SYM": "NOT_BETWEEN_SYM",
    "AEXPR_DISTINCT": "DISTINCT",
    "AEXPR_NOT_DISTINCT": "NOT_DISTINCT",
    "AEXPR_NULLIF": "NULLIF",
}
"""Expressions whose operator the grammar writes without a schema."""


def unqualified(text: str) -> list[str]:
    """Return what is looked up by name in a text, in its order; empty if nothing is."""
    found: list[str] = []
    for statement in postgast.parse(text).stmts:
        found += _names(statement.stmt, frozenset())
    return found


def _names(node: Any, ctes: frozenset[str]) -> Iterator[str]:
    """Yield the names below a node that are not qualified; ctes are no relations."""
    name = node.DESCRIPTOR.name
    with_clause = getattr(node, "with_clause", None)
    if with_clause is not None and with_clause.ctes:
        ctes |= {each.common_table_expr.ctename for each in with_clause.ctes}
    check = _CHECKS.get(name)
    if check is not None:
        yield from check(node, ctes)
    for field, value in node.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        for each in value if _is_repeated(value) else [value]:
            yield from _names(each, ctes)


def _is_repeated(value: Any) -> bool:
    return not hasattr(value, "ListFields")


def _strings(nodes: Sequence[Any]) -> list[str]:
    return [each.string.sval for each in nodes]


def _qualified(names: Sequence[str]) -> bool:
    return len(names) > 1 and names[0] != "pg_temp"


def _function(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.funcname)
    if not _qualified(names):
        yield f"function {'.'.join(names)}"


def _expression(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.name)
    kind = type(node).DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[node.kind].name
    if kind in _KINDS:
        yield f"operator {names[-1]} of {_KINDS[kind]}"
    elif names and not _qualified(names):
        yield f"operator {names[0]}"


def _sublink(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.oper_name)
    if node.HasField("testexpr") and not names:
        yield "operator = of IN (SELECT)"
    elif names and not _qualified(names):
        yield f"operator {names[0]}"


def _type(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.names)
    if names and not _qualified(names):
        yield f"type {names[0]}"


def _relation(node: Any, ctes: frozenset[str]) -> Iterator[str]:
    if not node.schemaname and node.relname not in ctes:
        yield f"relation {node.relname}"


def _join(node: Any, _: frozenset[str]) -> Iterator[str]:
    if node.using_clause:
        yield "operator = of USING"
    if node.is_natural:
        yield "operator = of NATURAL"


def _case(node: Any, _: frozenset[str]) -> Iterator[str]:
    if node.HasField("arg"):
        yield "operator = of CASE"


def _collation(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.collname)
    if not _qualified(names):
        yield f"collation {names[0]}"


def _sort(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.use_op)
    if names and not _qualified(names):
        yield f"operator {names[0]}"


def _indirection(node: Any, _: frozenset[str]) -> Iterator[str]:
    # A field that a row has not is a function of that row, looked up by name.
    for each in node.indirection:
        if each.HasField("string"):
            yield f"field {each.string.sval} of an expression"


def _sample(node: Any, _: frozenset[str]) -> Iterator[str]:
    names = _strings(node.method)
    if not _qualified(names):
        yield f"function {names[0]}"


_CHECKS = {
    "FuncCall": _function,
    "A_Expr": _expression,
    "SubLink": _sublink,
    "TypeName": _type,
    "RangeVar": _relation,
    "JoinExpr": _join,
    "CaseExpr": _case,
    "CollateClause": _collation,
    "SortBy": _sort,
    "A_Indirection": _indirection,
    "RangeTableSample": _sample,
}


PG_STAT_STATEMENTS = frozenset(
    name for column in counters.STATEMENTS.columns for name in (column.name, *column.older)
)
KCACHE = frozenset(
    name for column in counters.KCACHE.columns for name in (column.name, *column.older)
)


def servers() -> Iterator[tuple[str, SentSql]]:
    """Yield the statements for each kind of server, by what it has."""
    for major in (13, 14, 16, 18):
        for version, columns in {
            "1.8": PG_STAT_STATEMENTS - {"toplevel", "stats_since"},
            "newest": PG_STAT_STATEMENTS,
        }.items():
            for kcache in ("", 'k"c%'):
                yield (
                    f"{major}, extension {version}, kcache {kcache!r}",
                    SentSql(
                        version_num=major * 10000,
                        schema='we"ird %s schema',
                        columns=columns,
                        has_info=version == "newest",
                        functions=[(16400, 'we"ird %s schema', "pg_stat_statements")],
                        kcache_schema=kcache,
                        kcache_columns=KCACHE,
                    ),
                )
