"""Cached categories: a file in the user's cache, so that a report starts at once.

A category follows from a text, who ran it, the rules and our own code.  All of these are in the
cache key: a category found here is the one that would be found again.
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
from pgiostat.statistics.names import Describe, IfSync, Statement
from pgiostat.statistics.preset import FixedPreset

__all__ = ["cached_categories", "digest", "found_before"]

MOST_FILES = 4
MOST_CATEGORIES = 100_000
MOST_BYTES = 64 << 20
_SHORTEST = 3
"""Items of an entry without a category under the preset sync."""


def digest(rules: bytes, version: int) -> str:
    """Return the name of the cache for a file of rules and a version of the code."""
    return blake2b(b"%d\0%b" % (version, rules), digest_size=16).hexdigest()


@contextmanager
def cached_categories(
    make: Callable[[], Describe], directory: Path, key: str, fixed: FixedPreset | None = None
) -> Iterator[Describe]:
    """Yield what describes statements with categories that were found before.

    Args:
        make: Called when a category is not in the cache.
        directory: Where the cache is.
        key: A digest of rules and code. New categories are saved at the end; if that fails, none.
        fixed: The preset, where an option or a rules file fixes it.
    """
    describe = cache(make)
    path = directory / f"{key}.json"
    known = _load(path)
    found: dict[str, list[str]] = {}

    def from_memory(text: str | bytes, *, user: str, database: str, queryid: int) -> Statement:
        if isinstance(text, bytes) or text.startswith(("declare", "fetch", "move", "close")):
            return describe()(text, user=user, database=database, queryid=queryid)
        text_key = f"{user}\0{database}\0{queryid}\0{text}".encode("utf-8", "surrogatepass")
        number = blake2b(text_key, digest_size=12).hexdigest()
        entry = known.get(number) or found.get(number)
        if entry is None:
            statement = describe()(text, user=user, database=database, queryid=queryid)
            found[number] = entry = _entry(statement)
        category, action, table, *if_sync = entry
        under_sync = IfSync(if_sync[0], frozenset(if_sync[1:])) if if_sync else None
        return Statement(
            text, "", category, action=action, table_read=table, if_sync=under_sync, fixed=fixed
        )

    yield from_memory
    if found:
        with contextlib.suppress(OSError):
            _save(path, known | found)


def found_before(directory: Path) -> set[str]:
    """Return the categories that the last reports found, under either preset.

    Args:
        directory: Where the cache is.
    """
    by_age = _by_age(directory)
    known = _load(by_age[-1]) if by_age else {}
    return {category for entry in known.values() for category in (entry[0], *entry[3:4])}


def _entry(statement: Statement) -> list[str]:
    """Return what is kept of a statement: its category, its action, the table that it reads.

    Where the preset sync may come into force, its category and tables under that preset follow.
    """
    entry = [statement.category, statement.action, statement.table_read]
    if statement.if_sync is not None:
        entry += [statement.if_sync.category, *sorted(statement.if_sync.tables)]
    return entry


def _load(path: Path) -> dict[str, list[str]]:
    """Return the categories in a file; none of them if it is damaged."""
    try:
        crc, _, content = read_small(path, MOST_BYTES).partition(b"\n")
        known = parse_json(content) if crc == json_checksum(content).encode() else None
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict) or len(known) > MOST_CATEGORIES:
        return {}
    return known if all(map(_is_entry, known.values())) else {}


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= _SHORTEST
        and all(type(item) is str for item in value)
    )


def _save(path: Path, categories: dict[str, list[str]]) -> None:
    disk = Disk().below(path.parent)
    disk.make(path.parent)
    draft = path.with_suffix(f".{os.getpid()}")
    content = json.dumps(categories).encode()
    disk.write(draft, json_checksum(content).encode() + b"\n" + content)
    disk.publish(draft, path)
    by_age = _by_age(path.parent)
    for old in by_age[:-MOST_FILES]:
        disk.remove(old)


def _by_age(directory: Path) -> list[Path]:
    """Return the files of a cache, the newest last."""
    there = [directory / name for name, kind in listed(directory) if kind == stat.S_IFREG]
    kept = (file for file in there if file.suffix == ".json")
    return sorted(kept, key=lambda file: file.lstat().st_mtime)
