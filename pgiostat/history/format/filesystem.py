"""The file system of a history, and the safe opening of files that others may have made.

A directory may come from somebody else, or lie where others can write. This module and
`pgiostat.history.format.durable_io` alone touch the files of a history: a symbolic link below its
root is not followed, nothing but a regular file is opened, and a small file is read up to a limit.
"""

import contextlib
import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pgiostat.errors import PgiostatError

if TYPE_CHECKING:
    import pyarrow.fs

__all__ = [
    "LOCAL",
    "SMALL",
    "Filesystem",
    "UnreadableError",
    "UnsafeFileError",
    "check_regular",
    "exists",
    "kind_of",
    "listed",
    "open_regular",
    "parent_of",
    "parse_json",
    "read_small",
]

SMALL = 1 << 20
"""Bytes of the largest small file that is read whole: format.json, a cover, a record's line."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a regular file",
}


class UnsafeFileError(OSError):
    """A file or directory is not what the history has there; strerror names it and says why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EINVAL, f'"{path}" {why}', os.fspath(path))

    def __str__(self) -> str:
        """Return the text without the number of the error."""
        return str(self.strerror)

    @property
    def path(self) -> Path:
        """Which it is."""
        return Path(self.filename)

    @property
    def sentence(self) -> str:
        """What it is instead."""
        return f"{self.strerror}."


class UnreadableError(PgiostatError):
    """A file of the history could not be read.

    Attributes:
        path: Which file, where it is known.
    """

    def __init__(self, path: Path | None, detail: str, *, gone: bool = False) -> None:
        self.path = path
        what = f'"{path}"' if path else "a file"
        if gone:
            message = f"{what} of the history was removed while it was read"
            super().__init__(message, slug="history-changed")
        else:
            super().__init__(
                f"could not read {what} of the history",
                detail=detail,
                hint="--skip-bad skips it and reports that." if path else None,
                slug="history-unreadable",
            )

    def for_writers(self) -> PgiostatError:
        """Return the error as it is for a command that leaves nothing out."""
        return PgiostatError(
            self.message,
            detail=self.detail,
            hint="Find out what created it; then remove it, or move it away.",
            slug=self.slug,
        )


@contextlib.contextmanager
def parent_of(path: Path, root: Path | None = None) -> Iterator[int]:
    """Open the directory of a path; yield its descriptor.

    Operations relative to the descriptor stay in that directory, whatever another process renames
    meanwhile.

    Args:
        path: A file or a directory.
        root: Where the history begins. It may be a symbolic link; no directory below it may.

    Raises:
        UnsafeFileError: A component between the root and the path is not a directory.
        OSError: The directory cannot be opened.
    """
    base = path.parent
    inner: tuple[str, ...] = ()
    if root is not None and path != root and path.is_relative_to(root):
        base, inner = root, path.relative_to(root).parts[:-1]
    descriptor = os.open(base, _DIRECTORY)
    try:
        for depth, name in enumerate(inner, 1):
            deeper = _open_directory(name, descriptor, base.joinpath(*inner[:depth]))
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def _open_directory(name: str, parent: int | None, path: Path) -> int:
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            kind = kind_of(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            raise UnsafeFileError(path, f"is {kind}, not a directory") from None
        raise


def kind_of(mode: int) -> str:
    """Return what a file is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def exists(path: Path) -> bool:
    """Tell whether anything is there, also a symbolic link that leads nowhere."""
    return os.path.lexists(path)


def check_regular(path: Path) -> os.stat_result:
    """Return the status of a regular file.

    Raises:
        UnsafeFileError: Something else is there.
        OSError: Nothing is there, or it cannot be reached.
    """
    return _only_regular(path, os.lstat(path))


def open_regular(path: Path, root: Path | None = None) -> BinaryIO:
    """Open a regular file for reading; never wait for another process.

    Raises:
        UnsafeFileError: A symbolic link, a FIFO, a device, a directory is there.
        OSError: Nothing is there, or it cannot be read.
    """
    with parent_of(path, root) as parent:
        # To open a device may act on it.
        before = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        _only_regular(path, before)
        try:
            descriptor = os.open(path.name, _READ, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnsafeFileError(path, "is a symbolic link, not a regular file") from None
            raise
    try:
        _only_regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _only_regular(path: Path, status: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError(path, f"is {kind_of(status.st_mode)}, not a regular file")
    return status


def read_small(path: Path, limit: int = SMALL, *, root: Path | None = None) -> bytes:
    """Return the content of a regular file up to a size.

    Raises:
        UnsafeFileError: It is larger, or not a regular file.
        OSError: It cannot be read.
    """
    with open_regular(path, root) as file:
        # It may grow while it is read.
        is_small = os.fstat(file.fileno()).st_size <= limit
        content = file.read(limit + 1) if is_small else b""
    if not is_small or len(content) > limit:
        raise UnsafeFileError(path, f"has more than {limit:,} bytes")
    return content


def listed(directory: Path, root: Path | None = None) -> list[tuple[str, int]]:
    """List a directory: names in order, each with its kind as of stat.S_IFMT.

    A directory that is not there has no names.

    Raises:
        UnsafeFileError: The directory is a symbolic link, or no directory.
        OSError: It cannot be read.
    """
    try:
        if root is None or directory == root:
            descriptor = os.open(directory, _DIRECTORY)
        else:
            with parent_of(directory, root) as parent:
                descriptor = _open_directory(directory.name, parent, directory)
    except FileNotFoundError:
        return []
    try:
        with os.scandir(descriptor) as entries:
            return sorted(_kinds(entries, descriptor))
    finally:
        os.close(descriptor)


def _kinds(entries: Iterable[os.DirEntry[str]], directory: int) -> Iterator[tuple[str, int]]:
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield entry.name, stat.S_IFREG
        elif entry.is_dir(follow_symlinks=False):
            yield entry.name, stat.S_IFDIR
        else:
            with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                mode = os.stat(entry.name, dir_fd=directory, follow_symlinks=False).st_mode
                yield entry.name, stat.S_IFMT(mode)


def parse_json(content: bytes | str) -> Any:
    """Return what JSON holds; stricter than Python's own parser.

    Raises:
        ValueError: It is no JSON, has a key twice, a number that no JSON has, or is too deep.
    """
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


@dataclass(frozen=True, slots=True)
class Filesystem:
    """Where the paths of a history lead.

    filesystem: what reads them; None for those of this machine.  scheme: how others name it.
    """

    filesystem: "pyarrow.fs.FileSystem | None" = None
    scheme: str = "file"

    @property
    def is_remote(self) -> bool:
        """Whether files are not this machine's own."""
        return self.filesystem is not None

    def is_missing(self, path: Path | None) -> bool:
        """Tell whether a file is not there any more."""
        if path is None:
            return False
        if self.filesystem is None:
            return not exists(path)
        from pyarrow.fs import FileType  # noqa: PLC0415 - only for an object store

        kind = self.filesystem.get_file_info(str(path)).type
        return bool(kind == FileType.NotFound)

    def uri(self, path: Path) -> str:
        r"""Return a path as Hadoop's file systems name it, for Spark, which reads it as a pattern.

        >>> from pathlib import Path
        >>> Filesystem(scheme="s3").uri(Path("bucket/prod/stmt/a.parquet"))
        's3a://bucket/prod/stmt/a.parquet'
        >>> Filesystem().uri(Path("/var/lib/pg io/a.parquet"))
        'file:///var/lib/pg io/a.parquet'
        >>> print(Filesystem().uri(Path("/srv/[eu] {1}/a.parquet")))
        file:///srv/\[eu\] \{1\}/a.parquet
        """
        if self.scheme == "file":
            path = path.absolute()
        literal = re.sub(r"([\[\]{}*?\\,])", r"\\\1", str(path))
        return f"{_HADOOP.get(self.scheme, self.scheme)}://{literal}"


_HADOOP = {"s3": "s3a", "gcs": "gs"}

LOCAL = Filesystem()
