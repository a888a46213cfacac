"""The state of an environment's data after earlier replays, which the next one continues from."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from psycopg.rows import scalar_row

from pgiostat.lab.workload import version_cache

__all__ = ["Newest", "resume"]

Newest: TypeAlias = Mapping[tuple[int, str], int]
"""The newest version of each client's tables."""
WRITTEN = "replayed"
"""A table that the first replay makes; a clone has it too."""


def resume(
    connection: version_cache.Connection, tables: Sequence[str], design: version_cache.Design | None
) -> Newest:
    """Return the newest versions before a replay; nothing if the data are as they were loaded.

    After an earlier replay this reads all rows.  The cache is filled, or emptied without a design:
    uploads would not update it.
    """
    with connection.cursor(row_factory=scalar_row) as cursor:
        marker = cursor.execute("SELECT to_regclass(%s)", [WRITTEN]).fetchone()
    newest: dict[tuple[int, str], int] = {}
    if marker is None:
        connection.execute(f"CREATE TABLE {WRITTEN} AS SELECT now() AS since".encode())
    else:
        version_cache.fill(connection, tables)
        newest = version_cache.cached_versions(connection)
    if design is None:
        version_cache.clear(connection)
    return newest
