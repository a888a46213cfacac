"""A history in an object store: `pgiostat ship` uploads it, Arrow reads it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.history.format.compacted import CompactedFile, HotSample, SharedBatch, compacted_of
from pgiostat.history.format.filesystem import SMALL, Filesystem, UnreadableError, parse_json
from pgiostat.history.format.root import bad_format, checked, not_a_history
from pgiostat.history.remote.object_store import ObjectStore

__all__ = ["RemoteLayout"]

FRESH_SECONDS = 10.0
"""Seconds that a listing is cached: successive queries need the same one."""


@dataclass(slots=True)
class RemoteLayout:
    """A history below a URI; paths are those of its file system, and lead nowhere here.

    There are no samples that are not compacted.
    """

    place: ObjectStore
    stored: Filesystem
    clock: Callable[[], float] = time.monotonic
    without: set[Path] = field(default_factory=set)
    _listed: dict[str, tuple[float, dict[str, int]]] = field(default_factory=dict)

    @classmethod
    def open(cls, uri: str) -> "RemoteLayout":
        """Return it. Raises PgiostatError as root.check does, and store-unreachable."""
        place = ObjectStore.of(uri)
        content = place.read("format.json", SMALL)
        if content is None and not place.sizes():
            raise PgiostatError(
                f'there is no history in "{place.uri}"',
                hint="pgiostat ship uploads one.",
                slug="history-missing",
            )
        if content is None:
            raise not_a_history(place.uri, 'There is no "format.json".')
        try:
            checked(place.uri, parse_json(content))
        except (ValueError, TypeError) as error:
            raise bad_format(f"{place.uri}/format.json", f"{error}.") from None
        return cls(place, Filesystem(place.filesystem, uri.partition("://")[0]))

    @property
    def root(self) -> str:
        """Its URI, without parameters."""
        return self.place.uri

    def hot_samples(self) -> list[HotSample]:
        """Return none: samples are uploaded once they are compacted."""
        return []

    def covers(self) -> Mapping[tuple[str, int], SharedBatch]:
        """Return none: no turn is under way."""
        return {}

    def compacted_files(self, table: str) -> list[CompactedFile]:
        """List the compacted files of a table, by path."""
        found: list[CompactedFile] = []
        for path in self._paths(table):
            compacted = compacted_of(path)
            # table/day/file: a key may hold anything else, also a way back.
            if compacted is None or path.parent.parent != Path(self.place.base / table):
                raise UnreadableError(path, "Its name is not that of a compacted file.")
            found.append(compacted)
        return found

    def dimension_files(self, table: str) -> list[Path]:
        """List the files of a dimension table."""
        there = Path(self.place.base / "dim" / table)
        return [path for path in self._paths("dim") if path.parent == there]

    def _paths(self, directory: str) -> list[Path]:
        """List what is meant to be a table's file, and is not left out."""
        paths = (Path(self.place.base / name) for name in sorted(self._sizes(directory)))
        return [path for path in paths if path.suffix == ".parquet" and path not in self.without]

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes of each file, with the directory that it is in."""
        return [
            (Path(name).parts[0], size) for name, size in self._sizes("").items() if "/" in name
        ]

    def forget(self) -> None:
        """Drop cached lists."""
        self._listed.clear()

    def _sizes(self, directory: str) -> dict[str, int]:
        listed = self._listed.get(directory)
        if listed is None or self.clock() - listed[0] >= FRESH_SECONDS:
            listed = self._listed[directory] = self.clock(), self.place.sizes(directory)
        return listed[1]
