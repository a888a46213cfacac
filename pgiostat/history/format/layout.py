"""The paths of a history, and lists of its files."""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pgiostat.errors import PgiostatError
from pgiostat.history.format.compacted import (
    CompactedFile,
    HotSample,
    SharedBatch,
    _no_day,
    compacted_of,
)
from pgiostat.history.format.covers import cover_of, turn_of, why_no_cover
from pgiostat.history.format.filesystem import (
    LOCAL,
    Filesystem,
    UnreadableError,
    UnsafeFileError,
    kind_of,
    listed,
    read_small,
)

__all__ = ["HistoryFiles", "Layout", "forbidden", "reason_of"]

_NUMBER = re.compile(r"[0-9]+")
_WHOLE_NUMBER = re.compile(r"[0-9]{12,18}")
_ANY_DAY, _ANY_TABLE, _ANY_COVER, _ANY = (
    re.compile(words, re.DOTALL) for words in ("date=.*", r".*\.parquet", r".*\.json", r"[^.].*")
)
"""Names that pgiostat uses: what has such a name is pgiostat's, or an error."""
_DIGITS = 12
_BLOCK = 512
"""Bytes of what stat(2) counts as a block, whatever the file system's own are."""


class HistoryFiles(Protocol):
    """The files of a history, in a directory or in an object store."""

    @property
    def root(self) -> Path | str:
        """Its directory or URI, as messages show it."""

    @property
    def stored(self) -> Filesystem:
        """The file system of its paths."""

    def hot_samples(self) -> list[HotSample]:
        """List committed samples, by collector and number."""

    def compacted_files(self, table: str) -> list[CompactedFile]:
        """List the compacted files of a table, by path."""

    def dimension_files(self, table: str) -> list[Path]:
        """List the files of a dimension table."""

    def covers(self) -> Mapping[tuple[str, int], SharedBatch]:
        """Return shared batches by name and turn; call it after compacted_files."""

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes that each file takes, with the directory of the history it is in."""

    def forget(self) -> None:
        """Drop cached lists."""

    @property
    def without(self) -> set[Path]:
        """Files and directories that are left out of all lists, because they are bad."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a history in a directory.

    Lists raise UnreadableError for a name that is meant to be the history's, where something else
    is under it: a symbolic link, a FIFO, a day that no calendar has.

    Attributes:
        root: The directory; it may be a symbolic link.
        stored: Where its files are.
        without: Files and directories that are left out of all lists, because they are bad.
    """

    root: Path
    stored: Filesystem = LOCAL
    without: set[Path] = field(default_factory=set, compare=False)

    @property
    def format(self) -> Path:
        """The file that says what a directory is."""
        return self.root / "format.json"

    @property
    def tmp(self) -> Path:
        """What is being written; never read."""
        return self.root / "tmp"

    def hot(self, collector: str) -> Path:
        """Return where a collector's samples are committed."""
        return self.root / "hot" / collector

    def sample(self, collector: str, number: int) -> Path:
        """Return the directory of a committed sample."""
        return self.hot(collector) / f"{number:0{_DIGITS}}"

    def compacted(self, table: str, date: str, collector: str, first: int, last: int) -> Path:
        """Return the path of a compacted file."""
        name = f"{first:0{_DIGITS}}-{last:0{_DIGITS}}-{collector}.parquet"
        return self.root / table / f"date={date}" / name

    def lock(self, collector: str) -> Path:
        """Return the file that a collector holds while it runs."""
        return self.root / "lock" / f"{collector}.json"

    def compaction_lock(self, collector: str) -> Path:
        """Return the file that a process holds while it compacts a collector's samples."""
        return self.root / "lock" / f"{collector}.seal"

    def dimension(self, table: str, collector: str) -> Path:
        """Return a collector's file of a dimension table: texts of statements, names."""
        return self.root / "dim" / table / f"{collector}.parquet"

    def cover(self, together: str, turn: int) -> Path:
        """Return the file that tells which samples are compacted together, while they are."""
        return self.root / "cover" / f"{turn:0{_DIGITS}}-{together}.json"

    def covers(self) -> dict[tuple[str, int], SharedBatch]:
        """Return what is being compacted together, by name and turn."""
        found: dict[tuple[str, int], SharedBatch] = {}
        names = self._entries(self.root / "cover", _ANY_COVER, stat.S_IFREG, why_no_cover)
        for path in names:
            # One that is gone by now has no samples left either.
            with contextlib.suppress(FileNotFoundError):
                found[turn_of(path)] = self.cover_in(path)[1]
        return found

    def cover_in(self, path: Path) -> tuple[str, SharedBatch]:
        """Return the day of a cover, and what it covers.

        Raises:
            UnreadableError: It is no cover.
            FileNotFoundError: It is not there any more.
        """
        try:
            return cover_of(read_small(path, root=self.root))
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise UnreadableError(path, reason_of(error)) from None

    def dimension_files(self, table: str) -> list[Path]:
        """List the files of a dimension table."""
        return list(self._entries(self.root / "dim" / table, _ANY_TABLE, stat.S_IFREG))

    def hot_samples(self) -> list[HotSample]:
        """List committed samples, by collector and number."""
        return sorted(
            HotSample(directory.name, int(sample.name), sample)
            for directory in self._entries(self.root / "hot", _ANY, stat.S_IFDIR)
            for sample in self._entries(directory, _NUMBER, stat.S_IFDIR, _no_number)
        )

    def compacted_files(self, table: str) -> list[CompactedFile]:
        """List the compacted files of a table, by path."""
        return [
            compacted
            for day in self.days(table)
            for path in self._entries(day, _ANY_TABLE, stat.S_IFREG, _not_compacted)
            if (compacted := compacted_of(path)) is not None
        ]

    def days(self, table: str) -> list[Path]:
        """List the directories of a table's days."""
        return list(self._entries(self.root / table, _ANY_DAY, stat.S_IFDIR, _no_day))

    def drafts(self) -> list[Path]:
        """List what is being written, or was when a process ended."""
        try:
            return [self.tmp / name for name, _ in listed(self.tmp, self.root)]
        except UnsafeFileError as error:
            raise UnreadableError(error.path, error.sentence) from None

    def records(self) -> list[Path]:
        """List the records of uploads, one for each target."""
        return list(self._entries(self.root / "ship", re.compile(r".*\.jsonl"), stat.S_IFREG))

    def _entries(
        self,
        directory: Path,
        meant: re.Pattern[str],
        kind: int,
        wrong: Callable[[str], str] = lambda _: "",
    ) -> Iterator[Path]:
        """Yield what is in a directory under names that are meant to be ours.

        Args:
            directory: It is below the root; there may be none.
            meant: What such a name looks like.
            kind: What all of them must be, as of stat.S_IFMT.
            wrong: Tells of a name why it is none of ours; empty if it is.
        """
        if directory in self.without:
            return
        for name, found in self._listed(directory):
            path = directory / name
            if not meant.fullmatch(name) or path in self.without:
                continue
            if found != kind:
                raise UnreadableError(path, f"It is {kind_of(found)}, not {kind_of(kind)}.")
            if why := wrong(name):
                raise UnreadableError(path, why)
            yield path

    def _listed(self, directory: Path) -> list[tuple[str, int]]:
        try:
            return listed(directory, self.root)
        except UnsafeFileError as error:
            if error.path in self.without:
                return []
            raise UnreadableError(error.path, error.sentence) from None
        except PermissionError:
            raise forbidden(directory) from None

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes that each file takes on disk, with the directory that it is in."""
        return [
            (str(top), blocks * _BLOCK)
            for top, kind in listed(self.root)
            if kind == stat.S_IFDIR
            for blocks in _blocks(self.root / top, self.root, _DEEPEST)
        ]

    def forget(self) -> None:
        """Do nothing: there is no cache of lists."""


def _not_compacted(name: str) -> str:
    known = compacted_of(Path("date=2000-01-01") / name) is not None
    return "" if known else "Its name is not that of a compacted file."


def _no_number(name: str) -> str:
    return "" if _WHOLE_NUMBER.fullmatch(name) else "Its name is not the number of a sample."


def reason_of(error: Exception) -> str:
    """Return what an error says, as a sentence."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{words}."


_DEEPEST = 4
"""Levels of directories below those of the root: a history has three."""


def _blocks(directory: Path, root: Path, depth: int) -> Iterator[int]:
    """Yield the blocks of each file below a directory."""
    # What is compacted or removed at this moment is not there any more; what is bad is not ours.
    with contextlib.suppress(FileNotFoundError, PermissionError, UnsafeFileError):
        for name, kind in listed(directory, root):
            if kind != stat.S_IFDIR:
                with contextlib.suppress(FileNotFoundError):
                    yield os.lstat(directory / name).st_blocks
            elif depth:
                yield from _blocks(directory / name, root, depth - 1)


def forbidden(place: Path) -> PgiostatError:
    """Return the error that this user may not read a history."""
    return PgiostatError(
        f'could not read the history in "{place}": Permission denied',
        hint="Run this as the user of pgiostat collect, or as a member of its group.",
        slug="history-unreadable",
    )
