"""Tables that a statement touches, and the relations of a database that they are."""

from collections.abc import Callable, Iterable
from functools import lru_cache

from pgiostat.queries.features.command_table import command_table, truncated_tables
from pgiostat.queries.features.main_relation import partitioned_name
from pgiostat.queries.features.walk import Walk, is_created
from pgiostat.queries.fingerprint import outline

__all__ = ["resolver", "tables_of"]

LONGEST_TEXT = 20_000
"""Characters of a statement that are read: the head of a longer one is enough."""


@lru_cache(maxsize=6_000)  # more than the default of pg_stat_statements.max
def tables_of(text: str) -> frozenset[str]:
    """Return the tables that a statement reads or writes, with their schema if the text has it.

    A view is named as a table is, and a table that the statement creates is not named. What a
    function or trigger touches is not in the text.

    Args:
        text: The normalized text.

    >>> sorted(tables_of("with c as (select * from a) select * from c join s.b on true"))
    ['a', 's.b']
    >>> tables_of("truncate t"), tables_of("select ?")
    (frozenset({'t'}), frozenset())
    """
    if not text:
        return frozenset()
    walk = Walk(outline(text[:LONGEST_TEXT], bare_operators=True))
    names = {
        walk.table_name(table)
        for block in walk.found.blocks
        for table in block.tables
        if not is_created(block, table)
    }
    names.update(truncated_tables(walk))
    if not walk.found.blocks:
        names.add(command_table(walk)[1])
    return frozenset(names - {""})


def resolver(
    relations: Iterable[tuple[int, str, str]],
) -> Callable[[Iterable[str]], frozenset[int]]:
    """Return the function that finds the relations of tables that a statement names.

    A name without a schema is that of a table in any schema: the search path is not known. The
    name of a partitioned table is that of its partitions too, where their names show it.

    Args:
        relations: Key, schema and name of each table.

    >>> find = resolver([(1, "public", "orders"), (2, "app", "orders"), (3, "app", "log_p2026_11")])
    >>> sorted(find({"orders"})), sorted(find({"app.log"}))
    ([1, 2], [3])
    """
    by_name: dict[str, set[int]] = {}
    for key, schema, name in relations:
        for known in {name, partitioned_name(name)}:
            by_name.setdefault(known, set()).add(key)
            by_name.setdefault(f"{schema}.{known}", set()).add(key)

    def find(tables: Iterable[str]) -> frozenset[int]:
        return frozenset(key for name in tables for key in by_name.get(name, ()))

    return find
