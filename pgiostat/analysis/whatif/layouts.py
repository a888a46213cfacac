"""A supposed index or order of rows, as the command line writes it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pgiostat.errors import PgiostatError, invalid_option

__all__ = ["SupposedLayout", "parse_layouts"]

_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_TABLE = rf"{_NAME}(?:\.{_NAME})?"
_LIST = rf"\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*"
_INDEX = re.compile(rf"\s*({_TABLE})\s*\({_LIST}\)(?:\s*INCLUDE\s*\({_LIST}\))?\s*", re.IGNORECASE)
_CLUSTER = re.compile(rf"\s*({_TABLE})\s*:\s*({_NAME})\s*")
_NAMES = re.compile(_NAME)


@dataclass(frozen=True, slots=True)
class SupposedLayout:
    """An index that is supposed, or rows in the order of an index.

    Attributes:
        option: The option of the command line, with its value.
        table: Schema and name of the table, or its name alone.
        columns: The key columns of a new index, in order.
        included: Columns that it carries.
        index: The index of the order; empty for a new index.
    """

    option: str
    table: tuple[str, ...]
    columns: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    index: str = ""


def parse_layouts(indexes: Sequence[str], clusters: Sequence[str]) -> list[SupposedLayout]:
    """Return the layouts of a command line.

    Args:
        indexes: TABLE(COLUMN, …), each of an index.
        clusters: TABLE:INDEX, each of an order.

    Raises:
        PgiostatError: option-invalid.

    >>> (index, order) = parse_layouts(['s.Orders (a, "B c") include (d)'], ["orders:orders_pkey"])
    >>> index.table, index.columns, index.included
    (('s', 'orders'), ('a', 'B c'), ('d',))
    >>> order.table, order.index
    (('orders',), 'orders_pkey')
    """
    return [*map(_index, indexes), *map(_cluster, clusters)]


def _index(text: str) -> SupposedLayout:
    found = _INDEX.fullmatch(text)
    if found is None:
        raise _invalid("index", text, "--index 'orders(customer_id, created_at)'")
    columns, included = _names(found[2]), _names(found[3] or "")
    if len({*columns, *included}) < len(columns) + len(included):
        raise invalid_option(f'invalid value for --index: "{text}"', hint="Name each column once.")
    return SupposedLayout(f"--index {text.strip()}", _names(found[1]), columns, included)


def _cluster(text: str) -> SupposedLayout:
    found = _CLUSTER.fullmatch(text)
    if found is None:
        raise _invalid("cluster", text, "--cluster orders:orders_pkey")
    return SupposedLayout(f"--cluster {text.strip()}", _names(found[1]), index=_names(found[2])[0])


def _invalid(option: str, text: str, example: str) -> PgiostatError:
    what = "a table and its columns" if option == "index" else "a table and one of its indexes"
    return invalid_option(
        f'invalid value for --{option}: "{text}"', hint=f"Write {what}: {example}."
    )


def _names(text: str) -> tuple[str, ...]:
    """Return identifiers as the server has them: in lower case unless quoted."""
    return tuple(
        each[1:-1].replace('""', '"') if each.startswith('"') else each.lower()
        for each in _NAMES.findall(text)
    )
