"""The few file operations that change a history, each durable in itself.

All that a writer does goes through a Disk, so that a test can cut its power after any of them. No
operation follows a symbolic link below the history's root, and none changes a file that another
name leads to: who may write there cannot make us change what is elsewhere.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from pgiostat.history.format.filesystem import UnsafeFileError, kind_of, open_regular, parent_of

__all__ = ["Disk", "open_to_others"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_THERE = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OWNER_FILE, _OWNER_DIRECTORY = 0o600, 0o700
_WRITERS = stat.S_IWGRP | stat.S_IWOTH
_READERS_FILE, _READERS_DIRECTORY = 0o044, 0o055


class Disk:
    """The file system, below the root of a history."""

    _root: Path | None = None

    def below(self, root: Path) -> Self:
        """Let no operation follow a symbolic link below a root; return itself."""
        self._root = root
        return self

    @contextlib.contextmanager
    def _in(self, path: Path) -> Iterator[int]:
        with parent_of(path, self._root) as parent:
            yield parent

    def _mode(self, owner: int, readers: int) -> int:
        """Return the permissions of a new file: others may read it if they may read the root."""
        if self._root is None:
            return owner
        with contextlib.suppress(FileNotFoundError):
            return owner | (self._root.stat().st_mode & readers)
        return owner

    def make(self, directory: Path) -> None:
        """Make a directory and those above it; its name is durable when its parent is synced."""
        root = self._root
        if root is None or not directory.is_relative_to(root):
            directory.mkdir(parents=True, exist_ok=True)
            return
        # Texts of statements are nobody else's; who may read them is for the owner to widen.
        root.mkdir(mode=_OWNER_DIRECTORY, parents=True, exist_ok=True)
        made = root
        for name in directory.relative_to(root).parts:
            made = made / name
            with self._in(made) as parent:
                try:
                    mode = self._mode(_OWNER_DIRECTORY, _READERS_DIRECTORY)
                    os.mkdir(name, mode, dir_fd=parent)
                except FileExistsError:
                    there = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
                    if not stat.S_ISDIR(there):
                        kind = kind_of(there)
                        raise UnsafeFileError(made, f"is {kind}, not a directory") from None

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Write a new file and wait until its content is on the medium.

        What is there under that name is removed, not written into: it may be a link.
        """
        mode = self._mode(_OWNER_FILE, _READERS_FILE)
        with self._in(path) as parent:
            try:
                descriptor = os.open(path.name, _NEW, mode, dir_fd=parent)
            except FileExistsError:
                os.unlink(path.name, dir_fd=parent)
                descriptor = os.open(path.name, _NEW, mode, dir_fd=parent)
        _put(descriptor, content)

    def append(self, path: Path, content: bytes) -> None:
        """Write to the end of a file and wait until it is on the medium."""
        _put(self._open(path, os.O_WRONLY | os.O_APPEND), content)

    def hold(self, path: Path) -> BinaryIO:
        """Open a file to be locked, and make it and its directory if there is none."""
        self.make(path.parent)
        return os.fdopen(self._open(path, os.O_RDWR), "r+b", buffering=0)

    def _open(self, path: Path, how: int) -> int:
        """Open a regular file that has no other name."""
        mode = self._mode(_OWNER_FILE, _READERS_FILE)
        with self._in(path) as parent:
            with contextlib.suppress(FileNotFoundError):
                _ours(path, os.stat(path.name, dir_fd=parent, follow_symlinks=False))
            descriptor = os.open(path.name, how | _THERE, mode, dir_fd=parent)
        try:
            _ours(path, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def fsync_file(self, path: Path) -> None:
        """Wait until a file that another has written is on the medium, with its name."""
        with open_regular(path, self._root) as file:
            os.fsync(file.fileno())
        self.sync(path.parent)

    def sync(self, directory: Path) -> None:
        """Wait until the names in a directory are on the medium."""
        with self._in(directory / "x") as descriptor:
            os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory another name: whole, or not at all."""
        with self._in(source) as before, self._in(target) as after:
            os.rename(source.name, target.name, src_dir_fd=before, dst_dir_fd=after)

    def publish(self, draft: Path, target: Path) -> None:
        """Rename a draft to its final name; a rename that was done but reported an error counts.

        A network file system may repeat a request after a lost answer, and then report an error for
        what the first request did.

        Args:
            draft: What to rename.
            target: Its new name.

        Raises:
            OSError: The draft does not have its new name, or that cannot be found out.
        """
        with self._in(draft) as parent:
            before = os.stat(draft.name, dir_fd=parent, follow_symlinks=False)
        try:
            self.rename(draft, target)
        except OSError:
            if not self._has_moved(before, draft, target):
                raise

    def _has_moved(self, before: os.stat_result, draft: Path, target: Path) -> bool:
        """Return whether what the draft was is under its new name now, and there alone."""
        try:
            with self._in(target) as parent:
                after = os.stat(target.name, dir_fd=parent, follow_symlinks=False)
        except OSError:
            return False
        if (after.st_dev, after.st_ino) != (before.st_dev, before.st_ino):
            return False
        try:
            with self._in(draft) as parent:
                os.stat(draft.name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def remove(self, path: Path) -> None:
        """Remove a file or a directory with all that is in it, if it is there.

        Of a symbolic link the link itself is removed, also where it replaces a directory while
        what is in that is being removed.
        """
        with contextlib.suppress(FileNotFoundError), self._in(path) as parent:
            there = os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode
            if stat.S_ISDIR(there):
                shutil.rmtree(path.name, dir_fd=parent)
            else:
                os.unlink(path.name, dir_fd=parent)

    def remove_empty(self, directory: Path) -> None:
        """Remove a directory; raises OSError if it is not empty, or none."""
        with self._in(directory) as parent:
            os.rmdir(directory.name, dir_fd=parent)


def _put(descriptor: int, content: bytes | memoryview) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _ours(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError(path, "is not a regular file")
    if status.st_nlink > 1:
        raise UnsafeFileError(path, "has another name: it may belong to another user")


def open_to_others(root: Path) -> str:
    """Return why others can change a history, in words; empty if they cannot.

    Others are all but the user who runs this, and root. Who may write to the directory above can
    put another one in its place, unless that is as /tmp is.
    """
    try:
        there, above = root.stat(), root.absolute().parent.stat()
    except OSError:
        return ""
    if there.st_uid not in {os.geteuid(), 0}:
        return f"it belongs to user {there.st_uid}"
    if there.st_mode & _WRITERS:
        return f"its permissions are {stat.S_IMODE(there.st_mode):04o}"
    if above.st_mode & _WRITERS and not above.st_mode & stat.S_ISVTX:
        return f"the permissions of the directory above it are {stat.S_IMODE(above.st_mode):04o}"
    return ""
