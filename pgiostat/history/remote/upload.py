"""Uploads compacted files to an object store: whole, verified, and once.

The target is laid out as the history is. Texts and names go first and samples last: an interval is
there when its sample is, and then so is all else of it. Several histories may go to one target:
names of compacted files hold their collectors', and texts and names, which grow, are in files of
each history.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.history.format.checksum import check_content
from pgiostat.history.format.compacted import history_of
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import (
    SMALL,
    UnreadableError,
    UnsafeFileError,
    parse_json,
    read_small,
)
from pgiostat.history.format.layout import Layout
from pgiostat.history.format.root import checked, not_a_history
from pgiostat.history.format.schema import DIMENSIONS
from pgiostat.history.remote.manifest import Record, Removable, tables
from pgiostat.history.remote.object_store import MOST_BYTES, ObjectStore, digest_of
from pgiostat.history.write.retention import Keep, retain

__all__ = ["UploadResult", "upload"]

Progress = Callable[[str, float], None]


@dataclass(slots=True)
class UploadResult:
    """What one turn did.

    files, bytes: uploaded.  there: files that existed already.  removed: from the history.
    strange: paths under which the target has something else, of somebody else.
    """

    files: int = 0
    bytes: int = 0
    there: int = 0
    removed: int = 0
    strange: tuple[str, ...] = ()


def upload(
    layout: Layout,
    to: str,
    *,
    keep: timedelta | None = None,
    clock: datetime,
    progress: Progress = lambda _part, _share: None,
) -> UploadResult:
    """Upload compacted files to a target; remove files older than keep that are there.

    progress: gets the file at work, and the share that is done.  Raises PgiostatError
    store-unreachable, store-unwritable, not-a-history, history-newer, ship-within, ship-running,
    history-unwritable; uploaded files stay, and the next run continues.
    """
    place = ObjectStore.of(to)
    if place.directory is not None:
        within = place.directory.resolve()
        if within == layout.root.resolve() or layout.root.resolve() in within.parents:
            raise PgiostatError(
                f'"{place.uri}" is inside the history that it would upload', slug="ship-within"
            )
    try:
        with _only(layout, place):
            return _Upload(layout, place, Record.of(layout, place.uri), progress).done(keep, clock)
    except UnreadableError as error:
        raise error.for_writers() from None
    except OSError as error:
        raise PgiostatError(
            f'could not write the record of uploads in "{layout.root}": {error.strerror}',
            slug="history-unwritable",
        ) from None


@contextmanager
def _only(layout: Layout, place: ObjectStore) -> Iterator[None]:
    """Let no other process ship the same to the same; the system ends it with the process."""
    name = sha256(place.uri.encode()).hexdigest()[:16]
    path = layout.root / "lock" / f"{name}.ship"
    with Disk().below(layout.root).hold(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PgiostatError(
                f'"{layout.root}" is already being uploaded to "{place.uri}"', slug="ship-running"
            ) from None
        yield


@dataclass
class _Upload:
    layout: Layout
    place: ObjectStore
    record: Record
    progress: Progress

    @cached_property
    def _history(self) -> str:
        """The id of this history among those that are uploaded to the target."""
        return history_of(self.layout.root)

    @property
    def _ours(self) -> str:
        """What our drafts' names begin with: after a crash they are known by it."""
        return f"tmp/{self._history}-"

    def _name(self, path: Path) -> str:
        """Return what a file is called there, from its root."""
        name = path.relative_to(self.layout.root)
        if name.parts[0] != "dim":
            return str(name)
        return str(name.with_name(f"{name.stem}-{self._history}{name.suffix}"))

    def done(self, keep: timedelta | None, clock: datetime) -> UploadResult:
        there = self.place.sizes()
        self._prepare(there)
        outcome = UploadResult()
        strange: list[str] = []
        files = self._files()
        for number, path in enumerate(files):
            name = self._name(path)
            self.progress(name, number / len(files))
            content = self._content(path)
            if content is None:
                continue  # removed at this moment
            found = self._put(name, content, there.get(name))
            if found is None:
                strange.append(name)
            elif found:
                outcome.files += 1
                outcome.bytes += len(content)
                there[name] = len(content)
            else:
                outcome.there += 1
        outcome.strange = tuple(strange)
        if keep is not None:
            outcome.removed = self._remove(keep, there, clock)
        return outcome

    def _content(self, path: Path) -> bytes | None:
        """Return the content of a file of the history; None if it is not there any more.

        Raises:
            UnreadableError: It is too large, damaged, or not a regular file.
        """
        try:
            content = read_small(path, MOST_BYTES, root=self.layout.root)
            # A damaged file must not become the only copy.
            check_content(BytesIO(content))
        except FileNotFoundError:
            return None
        except UnsafeFileError as error:
            raise UnreadableError(error.path, error.sentence) from None
        except ValueError as error:
            raise UnreadableError(path, str(error)) from None
        return content

    def _files(self) -> list[Path]:
        """List the files, texts and names first; they are older than what is compacted by then."""
        compacted = [file.path for table in tables() for file in self.layout.compacted_files(table)]
        return [
            *(path for table in DIMENSIONS for path in self.layout.dimension_files(table)),
            *compacted,
        ]

    def _prepare(self, there: dict[str, int]) -> None:
        """See that the target is a history, or is to become one; remove what we left half done."""
        path = self.layout.format.name
        content = self.place.read(path, SMALL)
        if content is not None:
            try:
                checked(self.place.uri, parse_json(content))
            except (ValueError, KeyError, TypeError) as error:
                raise not_a_history(self.place.uri, f'"{path}" cannot be read: {error}.') from None
        elif any(not name.startswith("tmp/") for name in there):
            raise not_a_history(self.place.uri, f'There is no "{path}", but there are other files.')
        for name in there:
            if name.startswith(self._ours):
                self.place.remove(name)
        if content is None:
            self._put_verified(path, read_small(self.layout.format, root=self.layout.root))

    def _put_verified(self, name: str, content: bytes) -> None:
        self.place.put_verified(content, name, f"{self._ours}{name.replace('/', '+')}")

    def _put(self, name: str, content: bytes, size: int | None) -> bool | None:
        """Bring a file; False if it is there already, None if something else is."""
        digest = digest_of(content)
        known = self.record.files.get(name)
        if known == digest and size == digest.size:
            return False
        if size is not None and known is None:
            # The record was lost, or somebody else's is there.
            other = self.place.read(name, digest.size) if size == digest.size else b""
            if other is not None and digest_of(other) == digest:
                self.record.note(name, digest)
                return False
            if other is not None and not name.startswith("dim/"):
                return None  # a file of texts and names is ours, as it was before it grew
        self._put_verified(name, content)
        self.record.note(name, digest)
        return True

    def _remove(self, keep: timedelta, there: dict[str, int], clock: datetime) -> int:
        """Remove what is over and verified: it is there now, as large as what was compared."""
        verified = {
            name: digest
            for name, digest in self.record.files.items()
            if there.get(name) == digest.size
        }
        may = Removable.of(self.layout, Record(self.record.path, self.record.target, verified))
        others = Removable.of(self.layout)
        return sum(
            retain(
                self.layout,
                collector,
                Keep(keep, keep),
                clock=clock,
                may=lambda file: may(file) and others(file),
            )
            for collector in sorted({f.collector for f in self.layout.compacted_files("sample")})
        )
