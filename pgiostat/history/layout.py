"""Where the files of a history are, and how their names tell what they cover."""

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.disk import Disk
from pgiostat.stored import HERE, Stored

__all__ = [
    "FORMAT",
    "Cover",
    "HotSample",
    "Layout",
    "Readable",
    "Sealed",
    "check",
    "check_collector",
    "checked",
    "create",
    "day_of",
    "history_of",
    "is_free",
    "is_shared",
    "not_a_history",
    "sealed_of",
    "together",
]

FORMAT = 1
"""Rises when an older reader would misread what is written."""

_COLLECTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,62}")
_SEALED = re.compile(r"(\d+)-(\d+)-(\+?[A-Za-z0-9_.]+)\.parquet")
_TOGETHER = "+"
"""Begins the name of what several collectors sealed together: no collector's begins so."""
_DIGITS = 12
_BLOCK = 512
"""Bytes of what stat(2) counts as a block, whatever the file system's own are."""


@dataclass(frozen=True, slots=True, order=True)
class HotSample:
    """A committed sample that may not be sealed yet."""

    collector: str
    number: int
    directory: Path


Cover: TypeAlias = Mapping[str, tuple[int, int]]
"""Of each collector the first and the last sample that are sealed together."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed file, with the samples it covers: first and last are part of it.

    Of several collectors that seal together, collector is their common name, and first and last are
    the number of the turn: its cover tells the samples, until they are removed.
    """

    collector: str
    first: int
    last: int
    path: Path

    @property
    def day(self) -> datetime:
        """When its day begins, by UTC: that of its rows, but for those of files.LATE."""
        return day_of(self.path.parent)

    @property
    def is_shared(self) -> bool:
        """Whether several collectors sealed it together."""
        return is_shared(self.collector)

    def covers(self, sample: HotSample, covers: Mapping[tuple[str, int], Cover]) -> bool:
        """Tell whether a sample is in the file; covers: of turns that are not over."""
        if not self.is_shared:
            return sample.collector == self.collector and self.first <= sample.number <= self.last
        span = covers.get((self.collector, self.first), {}).get(sample.collector)
        return span is not None and span[0] <= sample.number <= span[1]


class Readable(Protocol):
    """What readers ask of a history, wherever it is."""

    @property
    def root(self) -> Path | str:
        """Where it is, as it is told."""

    @property
    def stored(self) -> Stored:
        """What its paths lead to."""

    def hot_samples(self) -> list[HotSample]:
        """List committed samples, by collector and number."""

    def sealed_files(self, table: str) -> list[Sealed]:
        """List the sealed files of a table, by path."""

    def told_files(self, table: str) -> list[Path]:
        """List the files of what was told once."""

    def covers(self) -> Mapping[tuple[str, int], Cover]:
        """Return what is being sealed together, by name and turn; asked after sealed_files."""

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes that each file takes, with the directory of the history it is in."""

    def forget(self) -> None:
        """List anew what is asked for next."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a history in a directory."""

    root: Path
    stored: Stored = HERE

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

    def cover(self, together: str, turn: int) -> Path:
        """Return the file that tells which samples are sealed together, while they are."""
        return self.root / "cover" / f"{turn:0{_DIGITS}}-{together}.json"

    def covers(self) -> dict[tuple[str, int], Cover]:
        """Return what is being sealed together, by name and turn."""
        found: dict[tuple[str, int], Cover] = {}
        for path in _children(self.root / "cover"):
            turn, dash, together = path.stem.partition("-")
            # One that is gone by now has no samples left either.
            with contextlib.suppress(FileNotFoundError):
                if dash and turn.isdigit():
                    told = json.loads(path.read_bytes())["samples"]
                    found[together, int(turn)] = {who: (a, b) for who, (a, b) in told.items()}
        return found

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
        return [
            sealed
            for date in _children(self.root / table)
            for path in _children(date)
            if (sealed := sealed_of(path)) is not None
        ]

    def sizes(self) -> list[tuple[str, int]]:
        """Return the bytes that each file takes on disk, with the directory that it is in."""
        found = []
        for directory, _, names in os.walk(self.root):
            inner = Path(directory).relative_to(self.root).parts
            for name in names if inner else ():
                # One that is sealed or removed at this moment is not there any more.
                with contextlib.suppress(FileNotFoundError):
                    found.append((inner[0], Path(directory, name).stat().st_blocks * _BLOCK))
        return found

    def forget(self) -> None:
        """Do nothing: a directory is listed whenever it is asked for."""


def sealed_of(path: Path) -> Sealed | None:
    """Return a sealed file by its path; None if it is none."""
    match = _SEALED.fullmatch(path.name)
    if match is None:
        return None
    first, last, collector = match.groups()
    return Sealed(collector, int(first), int(last), path)


def together(name: str, root: Path) -> str:
    """Return the name under which collectors of this machine seal together in a directory.

    One label may be the first of two fleets, one after the other: what both seal may come together
    in an object store.

    >>> re.sub("[0-9a-f]{8}$", "…", together("db0", Path("/var/lib/pgiostat")))
    '+db0.…'
    """
    return f"{_TOGETHER}{name}.{history_of(root)[:8]}"


def history_of(root: Path) -> str:
    """Return which history it is of all that there are: of this machine, in this directory."""
    return sha256(f"{socket.gethostname()}\0{root.resolve()}".encode()).hexdigest()[:16]


def is_shared(name: str) -> bool:
    """Tell whether several collectors seal under a name."""
    return name.startswith(_TOGETHER)


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
        raise not_a_history(root, f'There is no "{layout.format.name}", but there are other files.')
    try:
        is_new = not root.exists()
        disk.make(layout.tmp)
        if is_new:
            # Texts of statements are nobody else's; who may read them is for its owner to widen.
            root.chmod(0o700)
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
        checked(root, told)
    except FileNotFoundError:
        raise not_a_history(root, f'There is no "{layout.format.name}".') from None
    except PermissionError:
        raise _forbidden(root) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise not_a_history(root, f'"{layout.format.name}" cannot be read: {error}.') from None
    return layout


def checked(root: Path | str, told: Any) -> None:
    """Look at what format.json tells.

    Raises PgiostatError history-newer, and KeyError or TypeError if it tells no format.
    """
    found = told["format"]
    if found != FORMAT:
        raise PgiostatError(
            f'the history in "{root}" has format {found}, and this version reads {FORMAT}',
            detail=f"It was written by pgiostat {told.get('pgiostat', 'of an unknown version')}.",
            hint="Use a newer pgiostat.",
            slug="history-newer",
        )


def not_a_history(root: Path | str, detail: str) -> PgiostatError:
    """Return the error that something else is there."""
    return PgiostatError(f'"{root}" is not a history', detail=detail, slug="not-a-history")
