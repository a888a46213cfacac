"""The record of verified uploads to an object store, beside the history.

A line for each file, appended when it was verified. A record that is lost costs time: what is there
is compared again. Nothing that is not in every record is removed from a history that has one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pgiostat.history.format.compacted import CompactedFile
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import exists, parse_json, read_small
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.schema import COMPACTED
from pgiostat.history.remote.object_store import Digest

__all__ = ["Record", "Removable", "tables"]

MOST_BYTES = 1 << 30
"""Of a record: five million files."""


def tables() -> tuple[str, ...]:
    """Return the tables with compacted files; samples last, as they complete an interval.

    >>> print(*tables())
    stmt_1h stmt database io relation table_stats index_stats device sample
    """
    first = [name for name in COMPACTED if name != "sample"]
    return ("stmt_1h", *first, "sample")


@dataclass(slots=True)
class Record:
    """The files uploaded to one target."""

    path: Path
    target: str
    files: dict[str, Digest] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout, target: str) -> "Record":
        """Return the record of a target, perhaps empty."""
        name = sha256(target.encode()).hexdigest()[:16]
        record = cls(layout.root / "ship" / f"{name}.jsonl", target)
        if record.path in layout.records():
            record.files = dict(_lines(record.path, layout.root))
        return record

    def note(self, path: str, digest: Digest) -> None:
        """Take note of a file that is there for good."""
        if self.files.get(path) == digest:
            return
        disk = Disk().below(self.path.parent.parent)
        if not exists(self.path):
            disk.make(self.path.parent)
            disk.write(self.path, json.dumps({"to": self.target}).encode() + b"\n")
            disk.sync(self.path.parent)
            disk.sync(self.path.parent.parent)
        line = json.dumps({"path": path, "size": digest.size, "sha256": digest.sha256})
        # First a line's end: the last one may have been cut short.
        disk.append(self.path, f"\n{line}\n".encode())
        self.files[path] = digest


def _lines(path: Path, root: Path) -> Iterator[tuple[str, Digest]]:
    for line in read_small(path, MOST_BYTES, root=root).splitlines():
        try:
            match parse_json(line):
                case {"path": str(name), "size": int(size), "sha256": str(digest)}:
                    yield name, Digest(size, digest)
        except ValueError:
            continue  # an empty one, or one that was cut short


@dataclass(frozen=True, slots=True)
class Removable:
    """Decides which files of an uploaded history may be removed: whole days of a collector.

    Samples and what was counted in them go together, or a count would be without its seconds.
    """

    kept: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, layout: Layout, *records: Record) -> "Removable":
        """Return it from records; without any from all that the history has."""
        found = [record.files for record in records] or [
            dict(_lines(path, layout.root)) for path in layout.records()
        ]
        kept = {
            (file.collector, file.path.parent.name)
            for table in tables()
            for file in layout.compacted_files(table)
            if not all(str(file.path.relative_to(layout.root)) in files for files in found)
        }
        return cls(frozenset(kept))

    def __call__(self, file: CompactedFile) -> bool:
        """Tell whether a file may be removed."""
        return (file.collector, file.path.parent.name) not in self.kept
