"""Runs queries on the files of a history, and lists them again when one disappears meanwhile."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from pgiostat.history.engines import DuckDB, Engine, Source, UnreadableError
from pgiostat.history.format.file_index import Listing
from pgiostat.history.format.layout import HistoryFiles
from pgiostat.history.format.schema import SCHEMAS
from pgiostat.history.format.validation import Validator
from pgiostat.history.read.plan import Query, Sources

__all__ = ["QueryRunner"]

ATTEMPTS = 10
"""How often files are listed again while a collector compacts or removes them."""

_T = TypeVar("_T")


@dataclass(slots=True)
class QueryRunner:
    """The files of a history and the engine that reads them.

    Attributes:
        layout: The files.
        engine: What runs the queries.
        skip_bad: Leave out files that cannot be read, and note them in left_out.
        left_out: Files that could not be read.
    """

    layout: HistoryFiles
    engine: Engine = field(default_factory=DuckDB)
    skip_bad: bool = False
    left_out: set[Path] = field(default_factory=set)
    _sound: Validator = field(init=False)

    def __post_init__(self) -> None:
        # One set: what is left out is in no list of the layout's either.
        self.layout.without.update(self.left_out)
        self.left_out = self.layout.without
        self._sound = Validator(self.layout.stored)

    def close(self) -> None:
        """Release what the engine holds; no query can run afterwards."""
        self.engine.close()

    def query(self, query: Query) -> pa.Table:
        """Return the rows of a query.

        Raises:
            UnreadableError: A file cannot be read, and skip_bad is off.
        """
        return self.with_listing(lambda listing: self.run(query, listing))

    def run(self, query: Query, listing: Listing) -> pa.Table:
        """Return the rows of a query on files as they are listed now; nothing is tried again."""
        return self.engine.query(query.sql, self._checked(listing, query.sources))

    def stream(self, sql: str, sources: Sources) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query that orders them, in batches; at least one, perhaps empty."""

        def begin(listing: Listing) -> tuple[pa.RecordBatch, Iterator[pa.RecordBatch]]:
            batches = iter(self.engine.stream(sql, self._checked(listing, sources)))
            return next(batches, None), batches

        first, rest = self.with_listing(begin)
        if first is None:
            first = self.with_listing(
                lambda listing: self.engine.query(sql, self._checked(listing, sources))
            )
        yield first
        yield from rest

    def dimension(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a dimension table, name or statement, in the order of its files."""
        columns = [name for name in SCHEMAS[table].names if name != "first_seen"]

        def read(listing: Listing) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = []
            for path in listing.dimension_files(table):
                values = self._sound.columns(path, SCHEMAS[table], columns)
                rows += [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
            return rows

        return self.with_listing(read)

    def consistent(self, ask: Callable[[], _T]) -> _T:
        """Return the answer of several queries, repeated if a file was left out meanwhile.

        Otherwise the earlier answers would include that file and the later ones would not.
        """
        while True:
            before = set(self.left_out)
            answer = ask()
            if before == self.left_out:
                return answer

    def with_listing(self, read: Callable[[Listing], _T]) -> _T:
        """Return the result of a function on the listing; files are listed again if one disappears.

        Raises:
            UnreadableError: A file cannot be read, and skip_bad is off.
        """
        gone = 0
        while True:
            try:
                return read(Listing(self.layout, self.left_out))
            except UnreadableError as error:
                if error.slug == "history-changed" and gone < ATTEMPTS:
                    gone += 1
                    self.layout.forget()
                elif self.skip_bad and error.path and error.path not in self.left_out:
                    self.left_out.add(error.path)
                elif error.slug == "history-changed" and error.path is not None:
                    why = "It is missing, but other files of the history refer to it."
                    raise UnreadableError(error.path, why) from None
                else:
                    raise

    def _checked(self, listing: Listing, sources: Sources) -> Mapping[str, Source]:
        """Return sources; the header and footer of each file are checked first."""
        found = sources(listing)
        for source in found.values():
            if not isinstance(source, pa.Table):
                self._sound.check(*source)
        return found
