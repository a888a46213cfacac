"""Cached categories: a file in the user's cache, so that a report starts at once.

A category follows from a text, its user and database, the rules and our own code.  All of these are
part of the name of a cached category, so that it is what the code would determine again.
"""

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path

from pgiostat.history.format.checksum import json_checksum
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import listed, parse_json, read_small
from pgiostat.statistics.names import Describe, Statement

__all__ = ["cached_categories", "digest"]

MOST_FILES = 4
MOST_CATEGORIES = 100_000
MOST_BYTES = 64 << 20


def digest(rules: bytes, version: int) -> str:
    """Return the name of the cache for a file of rules and a version of the code."""
    return blake2b(b"%d\0%b" % (version, rules), digest_size=16).hexdigest()


@contextmanager
def cached_categories(
    make: Callable[[], Describe], directory: Path, whose: str
) -> Iterator[Describe]:
    """Yield what describes statements with categories that were found before.

    make: called when something was not.  whose: a digest.  What is found anew is kept at the end;
    where that fails, nothing is.
    """
    describe = cache(make)
    path = directory / f"{whose}.json"
    known = _load(path)
    found: dict[str, str] = {}

    def from_memory(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        if isinstance(text, bytes) or text.startswith(("declare", "fetch", "move", "close")):
            return describe()(text, user=user, database=database, queryid=queryid)
        asked = f"{user}\0{database}\0{queryid}\0{text}".encode("utf-8", "surrogatepass")
        key = blake2b(asked, digest_size=12).hexdigest()
        category = known.get(key) or found.get(key)
        if category is None:
            statement = describe()(text, user=user, database=database, queryid=queryid)
            found[key] = category = statement.category
        return Statement(text, "", category)

    yield from_memory
    if found:
        with contextlib.suppress(OSError):
            _save(path, known | found)


def _load(path: Path) -> dict[str, str]:
    """Return the categories in a file; none of them if it is damaged."""
    try:
        crc, _, told = read_small(path, MOST_BYTES).partition(b"\n")
        known = parse_json(told) if crc == json_checksum(told).encode() else None
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict) or len(known) > MOST_CATEGORIES:
        return {}
    return known if all(type(value) is str for value in known.values()) else {}


def _save(path: Path, categories: dict[str, str]) -> None:
    disk = Disk().below(path.parent)
    disk.make(path.parent)
    draft = path.with_suffix(f".{os.getpid()}")
    told = json.dumps(categories).encode()
    disk.write(draft, json_checksum(told).encode() + b"\n" + told)
    disk.publish(draft, path)
    there = [path.parent / name for name, kind in listed(path.parent) if kind == stat.S_IFREG]
    kept = (file for file in there if file.suffix == path.suffix)
    by_age = sorted(kept, key=lambda file: file.lstat().st_mtime)
    for old in by_age[:-MOST_FILES]:
        disk.remove(old)
