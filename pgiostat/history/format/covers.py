"""Covers: which samples several collectors compact together, in a file while they do."""

import json
import re
from pathlib import Path
from typing import Any

from pgiostat.history.format.checksum import json_checksum
from pgiostat.history.format.compacted import SharedBatch, _no_day
from pgiostat.history.format.filesystem import parse_json

__all__ = ["cover_bytes", "cover_of", "turn_of", "why_no_cover"]

_COVER = re.compile(r"([0-9]{12,18})-(\+.+)\.json", re.DOTALL)


def why_no_cover(name: str) -> str:
    """Return why a name is not a cover's; empty if it is."""
    return "" if _COVER.fullmatch(name) else "Its name is not that of a cover."


def turn_of(path: Path) -> tuple[str, int]:
    """Return the name and the turn of a cover; ("", 0) if it is none."""
    found = _COVER.fullmatch(path.name)
    return (found[2], int(found[1])) if found else ("", 0)


def cover_of(content: bytes) -> tuple[str, SharedBatch]:
    """Return the day of a cover, and of each collector the first and the last sample.

    Raises:
        ValueError: These bytes are no cover.

    >>> cover_of(b'{"date": "2026-11-23", "samples": {"db0": [1, 5]}}')
    ('2026-11-23', {'db0': (1, 5)})
    """
    match parse_json(content):
        case {"date": str(date), "samples": dict(samples), **more} if not _no_day(f"date={date}"):
            cover = {who: _span(span) for who, span in samples.items()}
            # A cover of an earlier version has no checksum, and nothing else has another name.
            if more and content != cover_bytes(date, cover):
                raise ValueError("its checksum does not match its content")
            return date, cover
    raise ValueError("it names no day, or no samples")


def cover_bytes(date: str, samples: SharedBatch) -> bytes:
    """Return the content of a cover, with a checksum."""
    content: dict[str, Any] = {"date": date, "samples": {who: [*of] for who, of in samples.items()}}
    return json.dumps(content | {"crc32": json_checksum(json.dumps(content).encode())}).encode()


def _span(content: Any) -> tuple[int, int]:
    if isinstance(content, list) and list(map(type, content)) == [int, int]:
        first, last = content
        if 0 <= first <= last:
            return first, last
    raise ValueError("what it covers is not a range of samples")
