"""What answers the questions asked of a history: DuckDB, on the files as they are."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from pgiostat.errors import PgiostatError

__all__ = ["DuckDB", "Engine", "Source", "text_of"]

MEMORY_LIMIT = "800MB"

Source = tuple[Sequence[Path], pa.Schema]
"""The files of a table, perhaps none, and the columns that it has all the same."""


class Engine(Protocol):
    """Runs the SQL texts of sql/history, which keep to what all engines understand."""

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        """Return the rows of a query over tables that are files."""

    def instant(self, when: datetime) -> str:
        """Return an instant as the engine writes it."""


def text_of(name: str) -> str:
    """Return an SQL text of sql/history."""
    return files("pgiostat").joinpath("sql", "history", f"{name}.sql").read_text("utf-8")


class DuckDB:
    """DuckDB in this process, in memory; what does not fit is spilled to disk."""

    def __init__(self, memory_limit: str = MEMORY_LIMIT) -> None:
        self._connection = duckdb.connect(":memory:")
        for statement in (
            "SET TimeZone = 'UTC'",
            "SET enable_progress_bar = false",
            f"SET memory_limit = '{memory_limit}'",
        ):
            self._connection.execute(statement)

    def instant(self, when: datetime) -> str:
        """Return a timestamp with time zone."""
        return f"TIMESTAMPTZ '{when.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        """Return the rows of a query.

        Raises PgiostatError history-unreadable for a damaged file, and history-changed if one
        went while it was read: then list the files anew.
        """
        try:
            for name, (paths, schema) in sources.items():
                self._register(name, paths, schema)
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.IOException as error:
            raise _unreadable(error) from None
        except duckdb.InvalidInputException as error:
            raise _unreadable(error) from None

    def _register(self, name: str, paths: Sequence[Path], schema: pa.Schema) -> None:
        if not paths:
            self._connection.register(name, schema.empty_table())
            return
        listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
        self._connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM read_parquet([{listed}],"  # noqa: S608 - file names of our own
            " union_by_name = true, hive_partitioning = false)"
        )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


_NAMED = re.compile(r"['\"]([^'\"]+\.parquet)['\"]")


def _unreadable(error: Exception) -> PgiostatError:
    text = str(error).splitlines()[0]
    found = _NAMED.search(str(error))
    gone = found is not None and not Path(found[1]).exists()
    what = f'"{found[1]}"' if found else "a file"
    if gone:
        return PgiostatError(
            f"{what} of the history went while it was read", slug="history-changed"
        )
    return PgiostatError(
        f"could not read {what} of the history", detail=text, slug="history-unreadable"
    )
