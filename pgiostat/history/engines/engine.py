"""The interface of an engine: SQL texts over tables that are files."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Protocol, TypeAlias

import pyarrow as pa

from pgiostat.history.format.filesystem import UnreadableError

__all__ = ["Engine", "Source", "UnreadableError", "text_of"]

Source: TypeAlias = tuple[Sequence[Path], pa.Schema] | pa.Table
"""The files of a table, perhaps none, with the columns that it has all the same; or its rows."""


class Engine(Protocol):
    """Runs the SQL texts of sql/history, which keep to what all engines understand.

    The three expressions are what no two engines write alike; all else is the same text for all.
    """

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        """Return the rows of a query over tables that are files."""

    def stream(self, sql: str, sources: Mapping[str, Source]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query that orders them, in batches of bounded size.

        All files have been read when the first batch is there.
        """

    def instant(self, when: datetime) -> str:
        """Return an instant as the engine writes it."""

    def bucket(self, step_us: int, column: str = "ts") -> str:
        """Return an expression: how many such steps a time is after 1970."""

    def ends(self) -> str:
        """Return an expression: when the interval of `ts` and `dur_us` ends."""

    def close(self) -> None:
        """Release the caches and remove spilled files; no query can follow."""


def text_of(name: str) -> str:
    """Return an SQL text of sql/history."""
    return files("pgiostat.history").joinpath("sql", f"{name}.sql").read_text("utf-8")
