"""Where the files of a history are, and how their names tell what they cover."""

import contextlib
import json
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.checksum import json_checksum
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import (
    LOCAL,
    Filesystem,
    UnreadableError,
    UnsafeFileError,
    exists,
    kind_of,
    listed,
    parse_json,
    read_small,
)
from pgiostat.history.format.sealed import (
    CompactedFile,
    HotSample,
    SharedBatch,
    _no_day,
    compacted_of,
)

__all__ = [
    "FORMAT",
    "HistoryFiles",
    "Layout",
    "bad_format",
    "check",
    "check_collector",
    "checked",
    "cover_bytes",
    "cover_of",
    "create",
    "is_free",
    "not_a_history",
    "turn_of",
]

FORMAT = 1
"""Rises when an older reader would misread what is written."""

_COLLECTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,62}")
_COVER = re.compile(r"([0-9]{12,18})-(\+.+)\.json", re.DOTALL)
_NUMBER = re.compile(r"[0-9]+")
_WHOLE_NUMBER = re.compile(r"[0-9]{12,18}")
_ANY_DAY, _ANY_TABLE, _ANY_COVER, _ANY = (
    re.compile(words, re.DOTALL) for words in ("date=.*", r".*\.parquet", r".*\.json", r"[^.].*")
)
"""Names that are meant to be ours: what is under them is ours, or is told to be bad."""
_DIGITS = 12
_BLOCK = 512
"""Bytes of what stat(2) counts as a block, whatever the file system's own are."""


class HistoryFiles(Protocol):
    """What readers ask of a history, wherever it is."""

    @property
    def root(self) -> Path | str:
        """Where it is, as it is told."""

    @property
    def stored(self) -> Filesystem:
        """What its paths lead to."""

    def hot_samples(self) -> list[HotSample]:
        """List committed samples, by collector and number."""

    def compacted_files(self, table: str) -> list[CompactedFile]:
        """List the sealed files of a table, by path."""

    def dimension_files(self, table: str) -> list[Path]:
        """List the files of what was told once."""

    def covers(self) -> Mapping[tuple[str, int], SharedBatch]:
        """Return what is being sealed together, by name and turn; asked after sealed_files."""

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes that each file takes, with the directory of the history it is in."""

    def forget(self) -> None:
        """List anew what is asked for next."""

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
        """Return the path of a sealed file."""
        name = f"{first:0{_DIGITS}}-{last:0{_DIGITS}}-{collector}.parquet"
        return self.root / table / f"date={date}" / name

    def lock(self, collector: str) -> Path:
        """Return the file that a collector holds while it runs."""
        return self.root / "lock" / f"{collector}.json"

    def compaction_lock(self, collector: str) -> Path:
        """Return the file that a process holds while it seals a collector's samples."""
        return self.root / "lock" / f"{collector}.seal"

    def dimension(self, table: str, collector: str) -> Path:
        """Return the file of what a collector told once: texts of statements, names."""
        return self.root / "dim" / table / f"{collector}.parquet"

    def cover(self, together: str, turn: int) -> Path:
        """Return the file that tells which samples are sealed together, while they are."""
        return self.root / "cover" / f"{turn:0{_DIGITS}}-{together}.json"

    def covers(self) -> dict[tuple[str, int], SharedBatch]:
        """Return what is being sealed together, by name and turn."""
        found: dict[tuple[str, int], SharedBatch] = {}
        names = self._entries(self.root / "cover", _ANY_COVER, stat.S_IFREG, _no_cover)
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
            raise UnreadableError(path, _why(error)) from None

    def dimension_files(self, table: str) -> list[Path]:
        """List the files of what was told once."""
        return list(self._entries(self.root / "dim" / table, _ANY_TABLE, stat.S_IFREG))

    def hot_samples(self) -> list[HotSample]:
        """List committed samples, by collector and number."""
        return sorted(
            HotSample(directory.name, int(sample.name), sample)
            for directory in self._entries(self.root / "hot", _ANY, stat.S_IFDIR)
            for sample in self._entries(directory, _NUMBER, stat.S_IFDIR, _no_number)
        )

    def compacted_files(self, table: str) -> list[CompactedFile]:
        """List the sealed files of a table, by path."""
        return [
            sealed
            for day in self.days(table)
            for path in self._entries(day, _ANY_TABLE, stat.S_IFREG, _no_sealed)
            if (sealed := compacted_of(path)) is not None
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
        """List the records of what was shipped, one for each target."""
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
            raise _forbidden(directory) from None

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes that each file takes on disk, with the directory that it is in."""
        return [
            (str(top), blocks * _BLOCK)
            for top, kind in listed(self.root)
            if kind == stat.S_IFDIR
            for blocks in _blocks(self.root / top, self.root, _DEEPEST)
        ]

    def forget(self) -> None:
        """Do nothing: a directory is listed whenever it is asked for."""


def _no_sealed(name: str) -> str:
    known = compacted_of(Path("date=2000-01-01") / name) is not None
    return "" if known else "Its name is none of a sealed file."


def _no_number(name: str) -> str:
    return "" if _WHOLE_NUMBER.fullmatch(name) else "Its name is no number of a sample."


def _no_cover(name: str) -> str:
    return "" if _COVER.fullmatch(name) else "Its name is none of a cover."


def _why(error: Exception) -> str:
    """Return what an error says, as a sentence."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{words}."


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
    raise ValueError("it tells no day, or no samples")


def cover_bytes(date: str, samples: SharedBatch) -> bytes:
    """Return the content of a cover, with a checksum."""
    content: dict[str, Any] = {"date": date, "samples": {who: [*of] for who, of in samples.items()}}
    return json.dumps(content | {"crc32": json_checksum(json.dumps(content).encode())}).encode()


def _span(content: Any) -> tuple[int, int]:
    if isinstance(content, list) and list(map(type, content)) == [int, int]:
        first, last = content
        if 0 <= first <= last:
            return first, last
    raise ValueError("what it covers is no span of samples")


_DEEPEST = 4
"""Levels of directories below those of the root: a history has three."""


def _blocks(directory: Path, root: Path, depth: int) -> Iterator[int]:
    """Yield the blocks of each file below a directory."""
    # What is sealed or removed at this moment is not there any more; what is bad is not ours.
    with contextlib.suppress(FileNotFoundError, PermissionError, UnsafeFileError):
        for name, kind in listed(directory, root):
            if kind != stat.S_IFDIR:
                with contextlib.suppress(FileNotFoundError):
                    yield os.lstat(directory / name).st_blocks
            elif depth:
                yield from _blocks(directory / name, root, depth - 1)


def is_free(root: Path) -> bool:
    """Tell whether a history can be made in a directory: nothing is there but its beginning."""
    # Another collector may be making it at this moment: that is not somebody else's directory.
    try:
        there = {name for name, _ in listed(root)}
    except NotADirectoryError:
        return True
    except PermissionError:
        raise _forbidden(root) from None
    return not there - {Layout(root).tmp.name, "lock"}


def _forbidden(place: Path) -> PgiostatError:
    return PgiostatError(
        f'could not read the history in "{place}": Permission denied',
        hint="Read it as the user who collects, or as one of a group that may.",
        slug="history-unreadable",
    )


def check_collector(name: str) -> None:
    """Raise PgiostatError option-invalid for a name that cannot be part of a file's."""
    if not _COLLECTOR.fullmatch(name):
        raise PgiostatError(
            f'invalid label: "{name}"',
            hint="Letters, digits, _ and . only, a letter or digit first, at most 63.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )


def create(root: Path, collector: str, disk: Disk, *, version: str) -> Layout:
    """Return a history's layout; make the history if there is nothing yet but its beginning.

    Raises PgiostatError as check does, and history-unwritable.
    """
    layout = Layout(root)
    # Asked first: what another collector has finished meanwhile is no longer free.
    free = is_free(root)
    disk.below(root)
    if exists(layout.format):
        return check(root)
    if not free:
        raise not_a_history(root, f'There is no "{layout.format.name}", but there are other files.')
    try:
        disk.make(layout.tmp)
        who = f"{collector}-{os.getpid()}-{threading.get_ident()}"
        draft = layout.tmp / f"{who}-{layout.format.name}"
        disk.write(draft, json.dumps({"format": FORMAT, "pgiostat": version}).encode())
        disk.sync(layout.tmp)
        disk.publish(draft, layout.format)
        disk.sync(root)
        disk.sync(root.parent)
    except OSError as error:
        raise PgiostatError(
            f'could not make a history in "{root}": {error.strerror}', slug="history-unwritable"
        ) from None
    return layout


def check(root: Path) -> Layout:
    """Return the layout of a history that is there.

    Raises PgiostatError history-missing, not-a-history, history-newer, history-unreadable.
    """
    layout = Layout(root)
    try:
        if not root.exists():
            raise PgiostatError(
                f'there is no history in "{root}"',
                hint="pgiostat collect makes one.",
                slug="history-missing",
            )
        checked(root, parse_json(read_small(layout.format, root=root)))
    except FileNotFoundError:
        raise not_a_history(root, f'There is no "{layout.format.name}".') from None
    except PermissionError:
        raise _forbidden(root) from None
    except NotADirectoryError:
        raise not_a_history(root, "It is no directory.") from None
    except (OSError, ValueError, TypeError) as error:
        raise bad_format(layout.format, _why(error)) from None
    return layout


def checked(root: Path | str, content: Any) -> None:
    """Look at what format.json tells.

    Raises PgiostatError history-newer, and TypeError if it has no format.
    """
    if not isinstance(content, dict) or "format" not in content:
        raise TypeError('the key "format" is missing')
    found = content["format"]
    if type(found) is not int:
        raise TypeError('the value of "format" is not an integer')
    if found != FORMAT:
        raise PgiostatError(
            f'the history in "{root}" has format {_brief(found)}, and this version reads {FORMAT}',
            detail="It was written by pgiostat"
            f" {_brief(content.get('pgiostat', 'of an unknown version'))}.",
            hint="Use a newer pgiostat.",
            slug="history-newer",
        )


def _brief(value: Any) -> str:
    """Return what somebody else wrote so short that it fits into a line."""
    words = str(value)
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}…"


_LONGEST_WORDS = 40


def bad_format(path: Path | str, why: str) -> PgiostatError:
    """Return the error of a format.json that is damaged, or is no file.

    Args:
        path: Where it is, a path or a URI.
        why: What is wrong with it, a sentence.
    """
    return PgiostatError(
        f'could not read "{path}" of the history',
        detail=f"{why[:1].upper()}{why[1:]}",
        hint="Restore the file, which no option leaves out: a history that this version reads has"
        f" {json.dumps({'format': FORMAT})} in it. If the directory is no history, name another.",
        slug="history-unreadable",
    )


def not_a_history(root: Path | str, detail: str) -> PgiostatError:
    """Return the error that something else is there."""
    return PgiostatError(f'"{root}" is not a history', detail=detail, slug="not-a-history")
