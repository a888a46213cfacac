"""A reading on disk: what the next interval is subtracted from, also after a restart."""

import io
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from pgiostat.counters import TABLES
from pgiostat.rows import Rows
from pgiostat.snapshot import RESUMED, Markers, Server, Settings, Snapshot

__all__ = ["dump", "load"]

_TABLES = {table.name: table for table in TABLES}
_PARTS = ("statements", "databases", "io", "relations")
_CODEC = "zstd"


def dump(snapshot: Snapshot) -> bytes:
    """Return a reading as bytes: a JSON header in an archive of numpy arrays, compressed."""
    markers = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(snapshot.markers).items()
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
    return len(content).to_bytes(8, "big") + packed


def load(content: bytes) -> Snapshot:
    """Return a reading from its bytes; raises ValueError or OSError if these are no reading."""
    size = int.from_bytes(content[:8], "big")
    unpacked = pa.decompress(content[8:], decompressed_size=size, codec=_CODEC, asbytes=True)
    with np.load(io.BytesIO(unpacked), allow_pickle=False) as archive:
        arrays = dict(archive)
    header = json.loads(arrays.pop("header").tobytes())
    markers = header["markers"] | {
        name: None if header["markers"][name] is None else _instant(header["markers"][name])
        for name in ("start_time", "bgwriter_reset", "statements_reset")
    }
    parts: dict[str, Rows | None] = dict.fromkeys(_PARTS)
    for part, told in header["tables"].items():
        attributes = {
            name.removeprefix(f"{part}/"): array
            for name, array in arrays.items()
            if name.startswith(f"{part}/") and name != f"{part}/"
        }
        parts[part] = Rows(_TABLES[told["table"]], attributes, told["counters"], arrays[f"{part}/"])
    return Snapshot(
        server=Server(**header["server"]),
        session=RESUMED,
        started_at=_instant(header["started_at"]),
        taken_at=_instant(header["taken_at"]),
        clock=header["clock"],
        settings=Settings(header["settings"]),
        markers=Markers(**markers),
        own_queryid=header["own_queryid"],
        **parts,  # type: ignore[arg-type]
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
