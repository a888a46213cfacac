"""Where the files of a history are, and how their names tell what they cover."""

import json
import os
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.disk import Disk

__all__ = [
    "FORMAT",
    "HotSample",
    "Layout",
    "Sealed",
    "check",
    "check_collector",
    "create",
    "day_of",
    "is_free",
]

FORMAT = 1
"""Rises when an older reader would misread what is written."""

_COLLECTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,62}")
_SEALED = re.compile(r"(\d+)-(\d+)-([A-Za-z0-9_.]+)\.parquet")
_DIGITS = 12


@dataclass(frozen=True, slots=True, order=True)
class HotSample:
    """A committed sample that may not be sealed yet."""

    collector: str
    number: int
    directory: Path


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed file, with the samples it covers: first and last are part of it."""

    collector: str
    first: int
    last: int
    path: Path

    @property
    def day(self) -> datetime:
        """When its day begins, by UTC: that of its rows, but for those of files.LATE."""
        return day_of(self.path.parent)

    def covers(self, sample: HotSample) -> bool:
        """Tell whether a sample is in the file."""
        return sample.collector == self.collector and self.first <= sample.number <= self.last


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a history."""

    root: Path

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

    def sealed(self, table: str, date: str, collector: str, first: int, last: int) -> Path:
        """Return the path of a sealed file."""
        name = f"{first:0{_DIGITS}}-{last:0{_DIGITS}}-{collector}.parquet"
        return self.root / table / f"date={date}" / name

    def lock(self, collector: str) -> Path:
        """Return the file that a collector holds while it runs."""
        return self.root / "lock" / f"{collector}.json"

    def sealing(self, collector: str) -> Path:
        """Return the file that a process holds while it seals a collector's samples."""
        return self.root / "lock" / f"{collector}.seal"

    def told(self, table: str, collector: str) -> Path:
        """Return the file of what a collector told once: texts of statements, names."""
        return self.root / "dim" / table / f"{collector}.parquet"

    def told_files(self, table: str) -> list[Path]:
        """List the files of what was told once."""
        return _children(self.root / "dim" / table)

    def hot_samples(self) -> list[HotSample]:
        """List committed samples, by collector and number."""
        return sorted(
            HotSample(directory.name, int(sample.name), sample)
            for directory in _children(self.root / "hot")
            for sample in _children(directory)
            if sample.name.isdigit()
        )

    def sealed_files(self, table: str) -> list[Sealed]:
        """List the sealed files of a table, by path."""
        found: list[Sealed] = []
        for date in _children(self.root / table):
            for path in _children(date):
                match = _SEALED.fullmatch(path.name)
                if match:
                    first, last, collector = match.groups()
                    found.append(Sealed(collector, int(first), int(last), path))
        return found


def day_of(directory: Path) -> datetime:
    """Return when the day of a directory date=YYYY-MM-DD begins.

    >>> print(day_of(Path("stmt/date=2026-11-23")))
    2026-11-23 00:00:00+00:00
    """
    return datetime.fromisoformat(directory.name.removeprefix("date=")).replace(tzinfo=UTC)


def is_free(root: Path) -> bool:
    """Tell whether a history can be made in a directory: nothing is there but its beginning."""
    # Another collector may be making it at this moment: that is not somebody else's directory.
    return not {child.name for child in _children(root)} - {Layout(root).tmp.name, "lock"}


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        raise _forbidden(directory) from None


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
    if layout.format.exists():
        return check(root)
    if not free:
        raise _not_a_history(
            root, f'There is no "{layout.format.name}", but there are other files.'
        )
    try:
        disk.make(layout.tmp)
        who = f"{collector}-{os.getpid()}-{threading.get_ident()}"
        draft = layout.tmp / f"{who}-{layout.format.name}"
        disk.write(draft, json.dumps({"format": FORMAT, "pgiostat": version}).encode())
        disk.sync(layout.tmp)
        disk.rename(draft, layout.format)
        disk.sync(root)
        disk.sync(root.parent)
    except OSError as error:
        raise PgiostatError(
            f'could not make a history in "{root}": {error.strerror}', slug="history-unwritable"
        ) from None
    return layout


def check(root: Path) -> Layout:
    """Return the layout of a history that is there.

    Raises PgiostatError history-missing, not-a-history, history-newer.
    """
    layout = Layout(root)
    try:
        if not root.exists():
            raise PgiostatError(
                f'there is no history in "{root}"',
                hint="pgiostat collect makes one.",
                slug="history-missing",
            )
        told: Any = json.loads(layout.format.read_text("utf-8"))
        found = told["format"]
    except FileNotFoundError:
        raise _not_a_history(root, f'There is no "{layout.format.name}".') from None
    except PermissionError:
        raise _forbidden(root) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_a_history(root, f'"{layout.format.name}" cannot be read: {error}.') from None
    if found != FORMAT:
        raise PgiostatError(
            f'the history in "{root}" has format {found}, and this version reads {FORMAT}',
            detail=f"It was written by pgiostat {told.get('pgiostat', 'of an unknown version')}.",
            hint="Use a newer pgiostat.",
            slug="history-newer",
        )
    return layout


def _not_a_history(root: Path, detail: str) -> PgiostatError:
    return PgiostatError(f'"{root}" is not a history', detail=detail, slug="not-a-history")
