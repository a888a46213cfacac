"""The tables behind views and partitions, by the names that statements give them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["BaseRow", "bases_of"]

BaseRow: TypeAlias = tuple[str, str, str, str]
"""Schema and name of a relation, and of a table behind it."""


def bases_of(rows: Iterable[BaseRow]) -> dict[str, str]:
    """Return the table behind each name; a view of several tables is left out.

    A name without a schema is one of any schema, if all relations of that name have equally named
    tables behind them.

    >>> bases_of([("public", "v", "public", "t"), ("s", "p", "s", "t"), ("s", "t", "s", "t")])
    {'s.p': 's.t', 'v': 't', 'p': 't'}
    >>> bases_of([("public", "v", "public", "a"), ("public", "v", "public", "b")])
    {}
    >>> bases_of([("public", "v", "public", "a"), ("s", "v", "s", "v")])
    {}
    """
    behind: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for schema, name, *base in rows:
        behind[schema, name].add((base[0], base[1]))
    found: dict[str, str] = {}
    by_name: dict[str, set[str]] = defaultdict(set)
    for (schema, name), bases in sorted(behind.items()):
        single = next(iter(bases)) if len(bases) == 1 else (schema, name)
        by_name[name].add(single[1])
        if single != (schema, name) and schema != "public":
            found[f"{schema}.{name}"] = ".".join(single).removeprefix("public.")
    for name, names in sorted(by_name.items(), reverse=True):
        if len(names) == 1 and names != {name}:
            found[name] = next(iter(names))
    return found
