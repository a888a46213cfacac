"""Checks that a Parquet file matches its place in a history, before its rows are read.

A file may come from somebody else. A few kilobytes can say that they hold a billion rows, or a
text of gigabytes; a column that is missing would be read as NULL, and a sum as zero.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa

from pgiostat.history.format.checksum import check_content, check_place, tables_beside
from pgiostat.history.format.filesystem import (
    LOCAL,
    Filesystem,
    UnreadableError,
    UnsafeFileError,
    exists,
    open_regular,
)
from pgiostat.history.format.schema import LATER, LONG, NAMES, STATEMENT_TEXTS

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Validator"]

MOST_COLUMNS = 200
MOST_FOOTER = 16 << 20
FREE_ROWS, ROWS_PER_BYTE = 100_000, 8
"""Rows that any file may have, and how many more for each of its bytes."""
FREE_BYTES, BYTES_PER_BYTE = 64 << 20, 200
"""The same of the bytes that its columns take when they are not compressed."""
FREE_TEXT, TEXT_PER_ROW = 1 << 20, 200
"""The same of labels, of names of PostgreSQL's and of qualities."""
MOST_NAME = 1 << 10
"""Bytes of one text in a column that is not in LONG: PostgreSQL's names have 63."""
TEXT_ENCODINGS = frozenset({"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"})
"""In these a text is written out once; DELTA_BYTE_ARRAY repeats a long one for one byte."""
_BEGIN = _END = b"PAR1"
_TAIL = 8
"""Bytes at the end of a Parquet file: the length of its footer, and its mark."""

Status = tuple[int, int, int, int]


@dataclass(slots=True)
class Validator:
    """Checks the files of a history, each once.

    Files of an object store are checked where they are read as a whole: to look into all others
    would be a request for each.

    Attributes:
        stored: Where the files are.
    """

    stored: Filesystem = LOCAL
    _known: dict[Path, Status] = field(default_factory=dict)
    _alike: dict[int, "pq.ParquetSchema"] = field(default_factory=dict)

    def check(self, paths: Collection[Path], schema: pa.Schema) -> None:
        """See that files can be files of a table.

        Raises:
            UnreadableError: One cannot, or is not there any more.
        """
        if self.stored.is_remote:
            return
        for path in paths:
            with _telling(path), open_regular(path) as file:
                there = os.fstat(file.fileno())
                status = (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns)
                if self._known.get(path) != status:
                    metadata = self._metadata(file, path, schema)
                    if texts := _texts(metadata):
                        _read(file, metadata, texts)
                    for table in tables_beside(metadata.metadata):
                        beside = path.with_name(f"{table}.parquet")
                        if not exists(beside):
                            raise UnreadableError(beside, "", gone=True)
                    self._known[path] = status

    def columns(self, path: Path, schema: pa.Schema, names: Sequence[str]) -> list[list[Any]]:
        """Return columns of a file as lists; one that an older file lacks is unknown.

        Raises:
            UnreadableError: It is no file of the table, or is not there any more.
        """
        with _telling(path), self._opened(path) as file:
            found = _read(file, self._metadata(file, path, schema), names)
            there = set(found.column_names)
            unknown: list[Any] = [None] * found.num_rows
            return [_listed(found[name]) if name in there else unknown for name in names]

    def table(self, path: Path, schema: pa.Schema) -> pa.Table:
        """Return the rows of a file; raises as columns does."""
        with _telling(path), self._opened(path) as file:
            found = _read(file, self._metadata(file, path, schema))
            return pa.table([_decoded(c) for c in found.columns], names=found.column_names).cast(
                pa.schema([_field(found, schema, name) for name in found.column_names])
            )

    def rows(self, path: Path, schema: pa.Schema) -> int:
        """Return how many rows a file has; raises as columns does."""
        with _telling(path), self._opened(path) as file:
            return int(self._metadata(file, path, schema).num_rows)

    def _opened(self, path: Path) -> BinaryIO:
        if self.stored.filesystem is None:
            return open_regular(path)
        found: BinaryIO = self.stored.filesystem.open_input_file(str(path))
        return found

    def _metadata(self, file: BinaryIO, path: Path, schema: pa.Schema) -> "pq.FileMetaData":
        """Return a file's metadata if it is plausible.

        Raises:
            ValueError: It is not.
        """
        # DuckDB reads without Python meanwhile, so this import costs no time.
        import pyarrow.parquet as pq  # noqa: PLC0415

        size = _framed(file)
        has_checksum = check_content(file)
        file.seek(0)
        metadata = pq.read_metadata(file)
        _bounded(metadata, size)
        if schema not in (STATEMENT_TEXTS, NAMES):
            _brief(metadata, schema)
        alike = self._alike.get(id(schema))
        if alike is None or not metadata.schema.equals(alike):
            _typed(metadata.schema.to_arrow_schema(), schema)
            self._alike[id(schema)] = metadata.schema
        _encoded(metadata)
        check_place(path, metadata.metadata, has_checksum=has_checksum)
        return metadata


def _texts(metadata: "pq.FileMetaData") -> list[str]:
    """Return the text columns of a file, also those that are not in the schema of its table."""
    columns = (metadata.schema.column(number) for number in range(metadata.num_columns))
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _read(
    file: BinaryIO, metadata: "pq.FileMetaData", names: Sequence[str] | None = None
) -> pa.Table:
    """Return columns of a file; texts as numbers in a dictionary, of which one may be long.

    Raises:
        ValueError: A text is too long, or all would be too long, were each of them written out.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with pq.ParquetFile(file, metadata=metadata, read_dictionary=_texts(metadata)) as found:
        rows = found.read(None if names is None else list(names))
    whole = sum(
        _length(name, chunk)
        for name, column in zip(rows.column_names, rows.columns, strict=True)
        for chunk in column.chunks
    )
    if whole > FREE_BYTES + BYTES_PER_BYTE * size:
        raise ValueError(f"Its texts would have {whole:,} bytes.")
    return rows


def _length(name: str, chunk: pa.Array) -> int:
    """Return how many bytes the texts of a chunk have.

    Raises:
        ValueError: One is longer than a text of its column can be.
    """
    if not pa.types.is_dictionary(chunk.type):
        return 0
    lengths = _lengths(chunk.dictionary)
    longest = int(lengths.max(initial=0))
    if name not in LONG and longest > MOST_NAME:
        raise ValueError(f"Its column {name[:80]} has a text of {longest:,} bytes.")
    indices = chunk.indices.drop_null().to_numpy()
    return int(np.bincount(indices, minlength=len(lengths)) @ lengths)


def _lengths(texts: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the bytes of each text, without a copy of any."""
    if texts.type not in (pa.string(), pa.binary()):
        raise ValueError(f"Its texts are of type {texts.type}.")
    offsets = texts.buffers()[1]
    if not len(texts) or offsets is None:
        return np.zeros(0, np.int64)
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return bounds[1:].astype(np.int64) - bounds[:-1]


def _listed(column: pa.ChunkedArray) -> list[Any]:
    """Return values; of equal texts in a chunk there is one."""
    found: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            texts = chunk.dictionary.to_pylist()
            places = chunk.indices.to_pylist()
            found += [None if place is None else texts[place] for place in places]
        else:
            found += chunk.to_pylist()
    return found


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], pa.string())


def _field(found: pa.Table, schema: pa.Schema, name: str) -> pa.Field:
    place = schema.get_field_index(name)
    return found.schema.field(name) if place < 0 else schema.field(place)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Say of which file something is wrong."""
    try:
        yield
    except FileNotFoundError:
        raise UnreadableError(path, "", gone=True) from None
    except UnsafeFileError as error:
        raise UnreadableError(error.path, error.sentence) from None
    except (OSError, ValueError, OverflowError, RuntimeError, pa.ArrowException) as error:
        lines = str(error).splitlines()
        raise UnreadableError(path, lines[0] if lines else type(error).__name__) from None


def _framed(file: BinaryIO) -> int:
    """Return the size of a file that begins and ends as Parquet does."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    begin = file.read(len(_BEGIN))
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    if begin != _BEGIN or tail[-len(_END) :] != _END:
        raise ValueError("It is not a Parquet file.")
    footer = int.from_bytes(tail[: -len(_END)], "little")
    if footer > MOST_FOOTER:
        raise ValueError(f"Its footer would have {footer:,} bytes.")
    file.seek(0)
    return size


def _bounded(metadata: "pq.FileMetaData", size: int) -> None:
    """See that a file has no more rows and bytes than one of its size can have."""
    if metadata.num_columns > MOST_COLUMNS:
        raise ValueError(f"It has {metadata.num_columns:,} columns.")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    for rows in (metadata.num_rows, sum(group.num_rows for group in groups)):
        if not 0 <= rows <= FREE_ROWS + ROWS_PER_BYTE * size:
            raise ValueError(f"It claims to hold {rows:,} rows in {size:,} bytes.")
    whole = sum(group.total_byte_size for group in groups)
    if not 0 <= whole <= FREE_BYTES + BYTES_PER_BYTE * size:
        raise ValueError(f"It claims to hold {whole:,} bytes in {size:,}.")


def _brief(metadata: "pq.FileMetaData", schema: pa.Schema) -> None:
    """See that no text of a table is long that has none but labels and names of PostgreSQL's."""
    texts = {field.name for field in schema if field.type == pa.string()}
    if not texts:
        return
    columns = [n for n in range(metadata.num_columns) if metadata.schema.column(n).path in texts]
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        most = FREE_TEXT + TEXT_PER_ROW * group.num_rows
        for place in columns:
            if (size := group.column(place).total_uncompressed_size) > most:
                raise ValueError(f"Its texts have {size:,} bytes in {group.num_rows:,} rows.")


def _encoded(metadata: "pq.FileMetaData") -> None:
    """See that no text column of a file says that it is in an encoding that repeats long texts."""
    texts = set(_texts(metadata))
    places = [n for n in range(metadata.num_columns) if metadata.schema.column(n).path in texts]
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in places:
            column = group.column(place)
            if odd := set(column.encodings) - TEXT_ENCODINGS:
                name = column.path_in_schema[:80]
                raise ValueError(f"Its column {name} is encoded as {min(odd)}.")


def _typed(found: pa.Schema, schema: pa.Schema) -> None:
    """See that a file has the columns of a table: more may have come since, or may be missing."""
    fields = {each.name: each for each in found}
    if len(fields) < len(found.names):
        raise ValueError("It has a column twice.")
    for wanted in schema:
        there = fields.get(wanted.name)
        if there is None:
            if wanted.name not in LATER:
                raise ValueError(f"It has no column {wanted.name}.")
        elif there.type != wanted.type:
            kind = str(there.type)[:80]
            raise ValueError(f"Its column {wanted.name} is of type {kind}, not {wanted.type}.")
        elif there.nullable and not wanted.nullable:
            raise ValueError(f"Its column {wanted.name} may be NULL.")
    for name in fields.keys() - set(schema.names):
        kind = fields[name].type
        if not pa.types.is_primitive(kind) and kind != pa.string():
            raise ValueError(f"Its column {name[:80]} is of type {str(kind)[:80]}.")
