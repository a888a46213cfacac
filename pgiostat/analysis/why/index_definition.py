"""The columns of an index, from its definition."""

import re
from dataclasses import dataclass

from pgiostat.analysis.why.access import items_of
from pgiostat.statistics.definitions import Definition

__all__ = ["IndexColumns", "index_columns", "quoted", "referencing_columns"]

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_AFTER = re.compile(r"\s+(?:COLLATE\s.*|ASC|DESC|NULLS\s+(?:FIRST|LAST)|\w+_ops.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class IndexColumns:
    """The columns of an index.

    Attributes:
        keys: Its key columns in order; an expression is a key without a plain name.
        included: Columns that it only carries.
        is_partial: Whether it has a predicate.
        method: btree, gin, …
    """

    keys: tuple[str, ...]
    included: tuple[str, ...] = ()
    is_partial: bool = False
    method: str = "btree"


def quoted(name: str) -> str:
    """Return an identifier as SQL has it.

    >>> quoted("orders"), quoted("two words"), quoted('a"b')
    ('orders', '"two words"', '"a""b"')
    """
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def index_columns(index: Definition) -> IndexColumns | None:
    """Return the columns of an index; None if its definition is not known.

    >>> text = 'CREATE INDEX i ON public.t USING btree (a, "b c" DESC, lower(d)) INCLUDE (e)'
    >>> index_columns(Definition(5, "index", 1, 2, "i", text))
    IndexColumns(keys=('a', 'b c', 'lower(d)'), included=('e',), is_partial=False, method='btree')
    """
    head, _, rest = (index.text or "").partition(" USING ")
    if not head or not rest:
        return None
    method, _, rest = rest.partition(" ")
    keys, after = _in_parentheses(rest)
    included: tuple[str, ...] = ()
    if after.startswith(" INCLUDE "):
        names, after = _in_parentheses(after.removeprefix(" INCLUDE "))
        included = tuple(_name(each) for each in items_of(names))
    return IndexColumns(
        tuple(_name(each) for each in items_of(keys)), included, " WHERE " in after, method
    )


def _in_parentheses(text: str) -> tuple[str, str]:
    """Return what the first parentheses hold, and what follows them."""
    depth, is_quoted = 0, False
    for place, char in enumerate(text):
        if char == '"':
            is_quoted = not is_quoted
        elif not is_quoted:
            depth += (char == "(") - (char == ")")
            if char == ")" and not depth:
                return text[1:place], text[place + 1 :]
    return text[1:], ""


def _name(item: str) -> str:
    bare = _AFTER.sub("", item)
    while (shorter := _AFTER.sub("", bare)) != bare:
        bare = shorter
    if bare.startswith('"') and bare.endswith('"') and bare.count('"') == 2:  # noqa: PLR2004
        return bare[1:-1]
    return bare


def referencing_columns(constraint: str) -> tuple[str, ...]:
    """Return the referencing columns of a foreign key.

    >>> referencing_columns('FOREIGN KEY (order_id, "no") REFERENCES public.orders(id, n)')
    ('order_id', 'no')
    """
    listed, _ = _in_parentheses(constraint.removeprefix("FOREIGN KEY "))
    return tuple(_name(each) for each in items_of(listed))
