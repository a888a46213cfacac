"""Operators that a text names with their schema: OPERATOR(pg_catalog.=)."""

from pgiostat.queries.fingerprint.tokens import TokenKind, token

__all__ = ["without_schemas"]


def without_schemas(raws: list[str]) -> list[str]:
    """Return tokens with the operator alone in place of OPERATOR(schema.operator).

    >>> without_schemas(["a", "OPERATOR", "(", "pg_catalog", ".", "<=", ")", "b"])
    ['a', '<=', 'b']
    >>> without_schemas(["operator", "(", "a", ")"])
    ['operator', '(', 'a', ')']
    """
    if not any(raw.lower() == "operator" for raw in raws):
        return raws
    found: list[str] = []
    position = 0
    while position < len(raws):
        end = _end(raws, position)
        found.append(raws[end - 1] if end else raws[position])
        position = end + 1 if end else position + 1
    return found


def _end(raws: list[str], position: int) -> int:
    """Return where OPERATOR(schema.operator) closes; 0 if it does not start at a position."""
    if raws[position].lower() != "operator" or raws[position + 1 : position + 2] != ["("]:
        return 0
    inner = position + 2
    while raws[inner + 1 : inner + 2] == ["."]:
        inner += 2
    is_operator = inner < len(raws) and token(raws[inner])[0] is TokenKind.OPERATOR
    return inner + 1 if is_operator and raws[inner + 1 : inner + 2] == [")"] else 0
