"""A snapshot on disk: what the next interval is subtracted from, also after a restart."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar, cast, get_args, get_type_hints
from zlib import crc32

import numpy as np
import pyarrow as pa

from pgiostat.history.format.filesystem import parse_json
from pgiostat.statistics.columnar import Array, Rows
from pgiostat.statistics.counter_table import CounterTable
from pgiostat.statistics.counters import DATABASES, IO, RELATIONS, STATEMENTS, TABLES
from pgiostat.statistics.snapshot import RESUMED, Markers, Server, Settings, Snapshot

__all__ = ["MOST_BYTES", "dump", "load"]

_TABLES = {table.name: table for table in TABLES}
_TABLE_OF = {"statements": STATEMENTS, "databases": DATABASES, "io": IO, "relations": RELATIONS}
_PARTS = tuple(_TABLE_OF)
_MOMENTARY = frozenset({"oldest_transaction"})
"""Marks that no later interval needs. Without them earlier versions can read the bytes."""
_CODEC = "zstd"
_SIZE_BYTES, _CRC_BYTES = 8, 4
_MARK = b"pgiostat"
MOST_BYTES = 1 << 30
"""Of a snapshot, compressed or not: that of a million statements has a quarter of it."""
FREE_BYTES, BYTES_PER_BYTE = 64 << 20, 200
"""Bytes allowed for any snapshot, and the number of further bytes per compressed byte."""
_NOT_A_SNAPSHOT = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pa.ArrowException,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What readers of archives, arrays and JSON raise for bytes that are none."""


def dump(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes: a JSON header in an archive of numpy arrays, compressed."""
    markers = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(snapshot.markers).items()
        if name not in _MOMENTARY
    }
    header: dict[str, Any] = {
        "server": asdict(snapshot.server),
        "started_at": snapshot.started_at.isoformat(),
        "taken_at": snapshot.taken_at.isoformat(),
        "clock": snapshot.clock,
        "settings": dict(snapshot.settings.values),
        "markers": markers,
        "own_queryid": snapshot.own_queryid,
        "tables": {},
    }
    arrays: dict[str, Any] = {}
    for part in _PARTS:
        rows: Rows | None = getattr(snapshot, part)
        if rows is None:
            continue
        header["tables"][part] = {"table": rows.table.name, "counters": rows.counter_names}
        arrays[f"{part}/"] = rows.counters
        arrays |= {f"{part}/{name}": array for name, array in rows.attributes.items()}
    buffer = io.BytesIO()
    np.savez(buffer, header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **arrays)
    content = buffer.getvalue()
    packed: bytes = pa.compress(content, codec=_CODEC, asbytes=True)
    sized = len(content).to_bytes(_SIZE_BYTES, "big") + packed
    return _MARK + crc32(sized).to_bytes(_CRC_BYTES, "big") + sized


def load(content: bytes) -> Snapshot:
    """Return a snapshot from its bytes.

    They may be damaged or written by another program: everything is checked.

    Raises:
        ValueError: These bytes are not a snapshot.
    """
    try:
        return _snapshot(_arrays(_checked(content)))
    except _NOT_A_SNAPSHOT as error:
        raise ValueError(f"these bytes are not a snapshot: {error}") from None


def _checked(content: bytes) -> bytes:
    """Return what follows a checksum.

    Snapshots of earlier versions have none: they begin with a size, and that with a zero.
    """
    begin = len(_MARK) + _CRC_BYTES
    if not content.startswith(_MARK):
        return content
    if crc32(content[begin:]) != int.from_bytes(content[len(_MARK) : begin], "big"):
        raise ValueError("their checksum does not match")
    return content[begin:]


def _arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays of an archive, which has no more bytes than it says."""
    size = int.from_bytes(content[:_SIZE_BYTES], "big")
    if size > min(MOST_BYTES, FREE_BYTES + BYTES_PER_BYTE * len(content)):
        raise ValueError(f"{len(content):,} bytes would become {size:,}")
    packed = content[_SIZE_BYTES:]
    unpacked = pa.decompress(packed, decompressed_size=size, codec=_CODEC, asbytes=True)
    with zipfile.ZipFile(io.BytesIO(unpacked)) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("an array is compressed once more")
    with np.load(io.BytesIO(unpacked), allow_pickle=False) as found:
        return dict(found)


def _snapshot(arrays: dict[str, Array]) -> Snapshot:
    header = parse_json(arrays.pop("header").tobytes())
    markers = header["markers"] | {
        name: None if header["markers"][name] is None else _instant(header["markers"][name])
        for name in ("start_time", "bgwriter_reset", "statements_reset")
    }
    parts: dict[str, Rows | None] = dict.fromkeys(_PARTS)
    for part, stored in header["tables"].items():
        parts[part] = _rows(part, stored, arrays)
    if any(parts[part] is None for part in _PARTS if part != "io"):
        raise ValueError("a table is missing")
    return Snapshot(
        server=_typed(Server(**header["server"])),
        session=RESUMED,
        started_at=_instant(header["started_at"]),
        taken_at=_instant(header["taken_at"]),
        clock=float(header["clock"]),
        settings=Settings(_settings(header["settings"])),
        markers=_typed(Markers(**markers)),
        own_queryid=_number(header["own_queryid"]),
        **parts,  # type: ignore[arg-type]
    )


def _rows(part: str, stored: Mapping[str, Any], arrays: Mapping[str, Array]) -> Rows:
    table, names = _TABLES[stored["table"]], stored["counters"]
    if table is not _TABLE_OF[part]:
        raise ValueError(f"{part} are not of {table.name}")
    counters = arrays[f"{part}/"]
    attributes = {
        name.removeprefix(f"{part}/"): array
        for name, array in arrays.items()
        if name.startswith(f"{part}/") and name != f"{part}/"
    }
    kinds = {column.name: np.dtype(column.kind.kept).kind for column in table.columns}
    n = counters.shape[-1]
    if (
        counters.dtype != np.int64
        or counters.shape != (len(names), n)
        or any(type(name) is not str for name in names)
        or any(array.shape != (n,) for array in attributes.values())
        or any(array.dtype.kind != kinds.get(name, "b") for name, array in attributes.items())
        or not _needed(table) <= {*attributes, *names}
    ):
        raise ValueError(f"{part} are not rows of {table.name}")
    return Rows(table, attributes, names, counters)


def _needed(table: CounterTable) -> set[str]:
    """Return the columns of a table that every server has; 18 has no op_bytes."""
    return {column.name for column in table.columns if not column.since} - {"op_bytes"}


_Data = TypeVar("_Data", Server, Markers)


def _typed(data: _Data) -> _Data:
    """Return data of which every value is of its field's type."""
    for name, wanted in get_type_hints(type(data)).items():
        value = getattr(data, name)
        if type(value) not in (get_args(wanted) or (wanted,)):
            raise ValueError(f"{name} is of type {type(value).__name__}")
    return data


def _settings(stored: Any) -> dict[str, str | None]:
    if not isinstance(stored, dict) or any(
        type(v) not in {str, type(None)} for v in stored.values()
    ):
        raise ValueError("settings are not text")
    return stored


def _number(stored: Any) -> int | None:
    if type(stored) not in {int, type(None)}:
        raise ValueError("a queryid is a number")
    return cast("int | None", stored)


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant has no zone")
    return found
