"""Names of compacted files, and the samples that they cover."""

import contextlib
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "CompactedFile",
    "HotSample",
    "SharedBatch",
    "compacted_of",
    "day_of",
    "history_of",
    "is_shared",
    "together",
]


_COMPACTED = re.compile(r"([0-9]{12,18})-([0-9]{12,18})-(\+?[A-Za-z0-9_.]+)\.parquet")
_DAY = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})")
_YEARS = range(1970, 9999)
"""Of days: a span from the last day that Python knows would end after it."""
_TOGETHER = "+"
"""Begins the name of what several collectors compacted together: no collector's begins so."""


@dataclass(frozen=True, slots=True, order=True)
class HotSample:
    """A committed sample that may not be compacted yet."""

    collector: str
    number: int
    directory: Path


SharedBatch: TypeAlias = Mapping[str, tuple[int, int]]
"""Of each collector the first and the last sample that are compacted together."""


@dataclass(frozen=True, slots=True)
class CompactedFile:
    """A compacted file, with the samples it covers: first and last are part of it.

    Of a shared batch, collector is the common name, and first and last are the number of the turn:
    its cover lists the samples, until they are removed.
    """

    collector: str
    first: int
    last: int
    path: Path

    @property
    def day(self) -> datetime:
        """When its day begins, by UTC: that of its rows, but for those of file_index.LATE."""
        return day_of(self.path.parent)

    @property
    def is_shared(self) -> bool:
        """Whether several collectors compacted it together."""
        return is_shared(self.collector)

    def covers(self, sample: HotSample, covers: Mapping[tuple[str, int], SharedBatch]) -> bool:
        """Tell whether a sample is in the file; covers: of turns that are not over."""
        if not self.is_shared:
            return sample.collector == self.collector and self.first <= sample.number <= self.last
        span = covers.get((self.collector, self.first), {}).get(sample.collector)
        return span is not None and span[0] <= sample.number <= span[1]


def compacted_of(path: Path) -> CompactedFile | None:
    """Return a compacted file by its path; None if it is none."""
    match = _COMPACTED.fullmatch(path.name)
    if match is None or _no_day(path.parent.name):
        return None
    first, last, collector = match.groups()
    return (
        CompactedFile(collector, int(first), int(last), path) if int(first) <= int(last) else None
    )


def _no_day(name: str) -> str:
    found = _DAY.fullmatch(name)
    with contextlib.suppress(ValueError):
        if found and datetime.fromisoformat(found[1]).year in _YEARS:
            return ""
    return "Its name is not that of a day."


def together(name: str, root: Path) -> str:
    """Return the name under which collectors of this machine compact together in a directory.

    One label may be the first of two fleets, one after the other: the files of both may meet in an
    object store.

    >>> re.sub("[0-9a-f]{8}$", "…", together("db0", Path("/var/lib/pgiostat")))
    '+db0.…'
    """
    return f"{_TOGETHER}{name}.{history_of(root)[:8]}"


def history_of(root: Path) -> str:
    """Return which history it is of all that there are: of this machine, in this directory."""
    return sha256(f"{socket.gethostname()}\0{root.resolve()}".encode()).hexdigest()[:16]


def is_shared(name: str) -> bool:
    """Tell whether several collectors compact under a name."""
    return name.startswith(_TOGETHER)


def day_of(directory: Path) -> datetime:
    """Return when the day of a directory date=YYYY-MM-DD begins.

    >>> print(day_of(Path("stmt/date=2026-11-23")))
    2026-11-23 00:00:00+00:00
    """
    return datetime.fromisoformat(directory.name.removeprefix("date=")).replace(tzinfo=UTC)
