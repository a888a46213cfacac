"""What an environment's data have become: a replay writes, and the next one has to know what."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from psycopg.rows import scalar_row

from pgiostat.lab.workload import version_cache

__all__ = ["Newest", "resume"]

Newest: TypeAlias = Mapping[tuple[int, str], int]
"""The newest version of each client's tables."""
WRITTEN = "replayed"
"""A table that is there once something was sent; a clone has it too."""


def resume(
    connection: version_cache.Connection, tables: Sequence[str], design: version_cache.Design | None
) -> Newest:
    """Return what is there before more is sent; nothing if it is what was loaded.

    The cache is filled for a design, and else emptied: uploads that do not tell it would leave it
    behind.  What is there is found by reading all of it, but for the first time.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        known = cursor.execute("SELECT to_regclass(%s)", [WRITTEN]).fetchone()
    newest: dict[tuple[int, str], int] = {}
    if known is None:
        connection.execute(f"CREATE TABLE {WRITTEN} AS SELECT now() AS since".encode())
    else:
        version_cache.fill(connection, tables)
        newest = version_cache.known(connection)
    if design is None:
        version_cache.clear(connection)
    return newest
