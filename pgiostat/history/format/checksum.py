"""Checksums of the files of a history: a damaged file is refused, and never gives another answer.

A Parquet file has the CRC-32 of all its other bytes between its last page and its footer, where no
reader of Parquet looks.  Its metadata names the place that it was written for, so that a copied
or moved file is refused too, and so that a file with an overwritten checksum differs from one of an
earlier version, which has none.  Pages have checksums of their own as well, for readers that fetch
a part of a file from an object store.
"""

import os
from collections.abc import Iterable, Mapping
from io import SEEK_END, BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from zlib import crc32

import pyarrow as pa

__all__ = ["check_content", "check_place", "json_checksum", "tables_beside", "to_parquet"]

PLACE = b"pgiostat.place"
BESIDE = b"pgiostat.tables"
"""Of a sample: the tables that have a file beside it."""
_MARK = b"pgiostat checksum"
_CRC_BYTES = 4
_TRAILER = len(_MARK) + _CRC_BYTES
_TAIL = 8
"""Bytes at the end of a Parquet file: the length of its footer, and its mark."""
_CHUNK = 1 << 20
_DAMAGED = "Its checksum does not match its content: it is damaged."


def to_parquet(
    table: pa.Table, place: PurePosixPath | Path, beside: Iterable[str] = (), **options: Any
) -> memoryview:
    """Return a table as the bytes of a Parquet file with a checksum.

    Args:
        table: The rows.
        place: The path of the file from the root of the history.
        beside: The tables that have a file in the same directory.
        options: Those of pyarrow.parquet.write_table.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - readers need no writer

    sink = BytesIO()
    named = table.replace_schema_metadata(
        {PLACE: place.as_posix(), **({BESIDE: " ".join(sorted(beside))} if beside else {})}
    )
    pq.write_table(named, sink, write_page_checksum=True, **options)
    content = sink.getbuffer()
    footer = int.from_bytes(content[-_TAIL:-4], "little") + _TAIL
    pages, rest = content[:-footer], content[-footer:]
    crc = crc32(rest, crc32(_MARK, crc32(pages)))
    return memoryview(b"".join((pages, _MARK, crc.to_bytes(_CRC_BYTES, "little"), rest)))


def check_content(file: BinaryIO) -> bool:
    """Check the content of a Parquet file against its checksum; return whether it has one.

    Raises:
        ValueError: The file is damaged.
    """
    size = file.seek(0, SEEK_END)
    file.seek(max(size - _TAIL, 0))
    footer = int.from_bytes(file.read(4), "little") + _TAIL
    at = size - footer - _TRAILER
    if at < 0:
        return False
    file.seek(at)
    trailer = file.read(_TRAILER)
    if trailer[: len(_MARK)] != _MARK:
        return False
    crc = crc32(_MARK, _crc_of(file, 0, at, 0))
    if _crc_of(file, at + _TRAILER, size, crc) != int.from_bytes(trailer[-_CRC_BYTES:], "little"):
        raise ValueError(_DAMAGED)
    return True


def _crc_of(file: BinaryIO, begin: int, end: int, crc: int) -> int:
    """Return the CRC-32 of a part of a file, continued from that of what comes before."""
    file.seek(begin)
    left = end - begin
    while left > 0:
        part = file.read(min(_CHUNK, left))
        if not part:
            raise ValueError("It was truncated while it was read.")
        crc = crc32(part, crc)
        left -= len(part)
    return crc


def check_place(path: Path, metadata: Mapping[bytes, bytes] | None, *, has_checksum: bool) -> None:
    """Check that a Parquet file is where it was written for.

    Args:
        path: Where it is.
        metadata: What its footer has beside the schema.
        has_checksum: Whether its content was checked.

    Raises:
        ValueError: It is elsewhere, or it had a checksum and has none any more.
    """
    place = (metadata or {}).get(PLACE)
    if (place is not None) != has_checksum:
        raise ValueError(_DAMAGED)
    if place is None:
        return
    wanted = PurePosixPath(place.decode("utf-8", "replace"))
    if not _is_at(path, wanted):
        raise ValueError(f'It is a copy of "{os.fspath(wanted)[:200]}".')


def tables_beside(metadata: Mapping[bytes, bytes] | None) -> list[str]:
    """Return the tables that have a file beside a Parquet file, from its metadata."""
    return (metadata or {}).get(BESIDE, b"").decode("utf-8", "replace").split()


def _is_at(path: Path, wanted: PurePosixPath) -> bool:
    """Return whether a path ends like another; an upload lengthens names of dim files."""
    parts = wanted.parts
    if parts[:1] == ("dim",):
        return path.parts[-3:-1] == parts[:-1] and path.stem.startswith(wanted.stem)
    return path.parts[-len(parts) :] == parts


def json_checksum(content: bytes) -> str:
    """Return the CRC-32 of some bytes as JSON carries it.

    >>> json_checksum(b"samples")
    '19925777'
    """
    return f"{crc32(content):08x}"
