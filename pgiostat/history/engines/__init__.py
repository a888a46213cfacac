"""Engines that run the queries on a history: DuckDB in this process, or Spark.

May import `format`.
"""

import re

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.engines.duckdb import DuckDB
from pgiostat.history.engines.engine import Engine, Source, UnreadableError, text_of
from pgiostat.history.format.filesystem import Filesystem
from pgiostat.uris import shown

__all__ = [
    "DUCKDB",
    "DuckDB",
    "Engine",
    "Source",
    "UnreadableError",
    "engine_of",
    "text_of",
]

DUCKDB = "duckdb"
"""The default engine."""
_SPARK = re.compile(r"spark://[^/\s]+:\d+|sc://[^/\s]+(/\S*)?|local(\[([1-9]\d*|\*)\])?")


def engine_of(words: str, stored: Filesystem) -> Engine:
    """Return the engine that words name: duckdb, spark://host:port, sc://host:port, local[N].

    Raises PgiostatError option-invalid for other words, and as Spark does when it cannot be had.
    """
    if words == DUCKDB:
        return DuckDB(stored=stored)
    if not _SPARK.fullmatch(words):
        raise PgiostatError(
            f'invalid value for --engine: "{shown(words)}"',
            hint="It must be duckdb, spark://host:port, sc://host:port or local[N].",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    from pgiostat.history.engines.spark import Spark  # noqa: PLC0415 - it takes seconds, and few ask for it

    return Spark(words, stored)
