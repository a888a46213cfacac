"""DuckDB in this process, on the files as they are."""

import re
import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from pgiostat.errors import PgiostatError
from pgiostat.history.engines.engine import Source, UnreadableError
from pgiostat.history.format.filesystem import LOCAL, Filesystem

__all__ = ["DuckDB"]

MEMORY_LIMIT = "800MB"
BATCH_ROWS = 50_000

_T = TypeVar("_T")


class DuckDB:
    """DuckDB in this process, in memory; what does not fit is spilled to disk."""

    name = "duckdb"

    def __init__(self, memory_limit: str = MEMORY_LIMIT, stored: Filesystem = LOCAL) -> None:
        self._stored = stored
        self._connection = duckdb.connect(":memory:")
        # Made when something is spilled, and removed when closed. Its own choice is below the
        # current directory, which may be anybody's.
        self._spill = Path(tempfile.gettempdir()) / f"pgiostat-{secrets.token_hex(8)}"
        for statement in (
            "SET TimeZone = 'UTC'",
            f"SET memory_limit = '{memory_limit}'",
            f"SET temp_directory = '{_quoted(self._spill)}'",
            *_CLOSED,
        ):
            self._connection.execute(statement)
        # Where a notebook could not draw a bar it cannot be turned off either.
        with suppress(duckdb.InvalidInputException):
            self._connection.execute("SET enable_progress_bar = false")
        self._connection.execute("SET lock_configuration = true")

    def instant(self, when: datetime) -> str:
        """Return a timestamp with time zone."""
        return f"TIMESTAMPTZ '{when.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"

    def bucket(self, step_us: int, column: str = "ts") -> str:
        """Return whole steps since 1970."""
        return f"epoch_us({column}) // {step_us}"

    def ends(self) -> str:
        """Return start plus duration."""
        return "ts + to_microseconds(dur_us)"

    def close(self) -> None:
        """Forget what was read, and remove what was spilled."""
        self._connection.close()

    def query(self, sql: str, sources: Mapping[str, Source]) -> pa.Table:
        """Return the rows of a query.

        Raises PgiostatError history-unreadable for a damaged file, history-changed if one went
        while it was read: then list the files again; memory-short and spill-failed.
        """

        def rows(text: str) -> pa.Table:
            result = self._connection.execute(text)
            with warnings.catch_warnings():
                # A relation would copy no rows, and look into each file once more.
                warnings.simplefilter("ignore", UserWarning)
                return result.to_arrow_table()

        return self._answered(sql, sources, rows)

    def stream(self, sql: str, sources: Mapping[str, Source]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query that orders them; raises as query does."""

        def first(text: str) -> tuple[pa.RecordBatch, Iterator[pa.RecordBatch]]:
            batches = iter(self._connection.sql(text).to_arrow_reader(BATCH_ROWS))
            return next(batches, None), batches

        batch, batches = self._answered(sql, sources, first)
        if batch is not None:
            yield batch
        with self._translating_errors(sources, sql):
            yield from batches

    def _answered(self, sql: str, sources: Mapping[str, Source], ask: Callable[[str], _T]) -> _T:
        """Return what is answered to a text with its sources, or say which cannot be read."""
        with self._translating_errors(sources, sql):
            return ask(self._with_sources(sql, sources))

    def _with_sources(self, sql: str, sources: Mapping[str, Source]) -> str:
        """Return a text with its sources as CTEs: DuckDB would bind a view a second time."""
        tables = [f"{name} AS ({self._table(name, source)})" for name, source in sources.items()]
        return f"WITH {', '.join(tables)}\n{sql}" if tables else sql

    def _table(self, name: str, source: Source) -> str:
        if isinstance(source, pa.Table):
            self._connection.register(f"arrow_{name}", source)
            return f"SELECT * FROM arrow_{name}"  # noqa: S608 - a name of our own
        paths, schema = source
        typed = (f"CAST(NULL AS {_SQL_TYPES[f.type]}) AS {f.name}" for f in schema)
        nothing = f"SELECT {', '.join(typed)} WHERE false"
        if not paths:
            return nothing
        if self._stored.is_remote:
            return self._remote(name, paths, schema)
        # Columns are those of the first file: the newest has all, if any has.
        listed = ", ".join(f"'{_literal(path)}'" for path in reversed(paths))
        # A column that came later is missing from older files, perhaps from all of them.  Where all
        # have the same, to say so by leaving the union out would take four times the memory.
        return (
            f"{nothing} UNION ALL BY NAME SELECT * FROM read_parquet([{listed}],"  # noqa: S608 - file names of our own
            " union_by_name = true, hive_partitioning = false)"
        )

    def _remote(self, name: str, paths: Sequence[Path], schema: pa.Schema) -> str:
        """Return files of an object store, read by Arrow: only a query's columns and rows."""
        from pyarrow.dataset import (  # noqa: PLC0415 - only for these
            ParquetFileFormat,
            ParquetFragmentScanOptions,
            dataset,
        )

        checked = ParquetFragmentScanOptions(page_checksum_verification=True)
        self._connection.register(
            f"arrow_{name}",
            dataset(
                [str(path) for path in paths],
                schema=schema,
                format=ParquetFileFormat(default_fragment_scan_options=checked),
                filesystem=self._stored.filesystem,
            ),
        )
        return f"SELECT * FROM arrow_{name}"  # noqa: S608 - a name of our own

    @contextmanager
    def _translating_errors(self, sources: Mapping[str, Source], sql: str) -> Iterator[None]:
        """Say in our words which file cannot be read."""
        try:
            yield
        except _OURS:
            raise
        except duckdb.OutOfMemoryException as error:
            raise PgiostatError(
                "there is not enough memory, or temporary disk space, for this query",
                detail=str(error).splitlines()[0],
                hint=f"A shorter time window or one server (--label) needs less. What does not fit"
                f" into memory goes to {self._spill.parent}; TMPDIR names another directory.",
                slug="memory-short",
            ) from None
        except (duckdb.Error, RuntimeError) as error:
            if str(self._spill) in str(error):
                raise PgiostatError(
                    f'could not write temporary files to "{self._spill.parent}"',
                    detail=str(error).splitlines()[0],
                    hint="Free disk space there, or set TMPDIR to another directory.",
                    slug="spill-failed",
                ) from None
            found = None if self._stored.is_remote else _NAMED.search(str(error))
            named = Path(found[1]) if found else None
            path = named if named in _paths(sources) else self._culprit(sources, sql)
            detail = str(error).splitlines()[0]
            raise UnreadableError(path, detail, gone=self._stored.is_missing(path)) from None

    def _culprit(self, sources: Mapping[str, Source], sql: str) -> Path | None:
        """Return the first file that is to blame: not every error names one.

        It cannot be read to its end, or alone makes the query fail, as by a sum that overflows.
        """
        files = [
            (name, path, source[1])
            for name, source in sources.items()
            if not isinstance(source, pa.Table)
            for path in source[0]
        ]
        none = {n: s if isinstance(s, pa.Table) else ((), s[1]) for n, s in sources.items()}
        for _, path, schema in files:
            one = self._table("suspect", ([path], schema))
            if self._fails(f"SELECT bit_xor(hash(f)) FROM ({one}) AS f"):  # noqa: S608 - our own text
                return path
        for name, path, schema in files:
            if self._fails(self._with_sources(sql, {**none, name: ([path], schema)})):
                return path
        return None

    def _fails(self, sql: str) -> bool:
        try:
            self._connection.execute(sql).fetchall()
        except (duckdb.Error, RuntimeError):
            return True
        return False


_CLOSED = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",
)
"""No code is fetched or loaded, no secret is read, and no variable of ours is a table."""

_OURS = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.InterruptException,
)
"""What no file is to blame for."""

_SQL_TYPES = {
    pa.int64(): "BIGINT",
    pa.int8(): "TINYINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _literal(path: Path) -> str:
    """Return a path that DuckDB would read as a pattern.

    >>> print(_literal(Path("/srv/[eu]/it's *.parquet")))
    /srv/[[]eu]/it''s [*].parquet
    """
    return re.sub(r"([*?\[])", r"[\1]", _quoted(path))


def _paths(sources: Mapping[str, Source]) -> set[Path]:
    return {p for each in sources.values() if not isinstance(each, pa.Table) for p in each[0]}


_NAMED = re.compile(r"['\"]([^'\"]+\.parquet)['\"]")
