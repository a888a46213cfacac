"""The few operations on files by which a history changes, each durable in itself.

All that a writer does goes through a Disk, so that a test can cut its power after any of them.
"""

import os
import shutil
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """The file system."""

    def make(self, directory: Path) -> None:
        """Make a directory and those above it; its name is durable when its parent is synced."""
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Write a new file and wait until its content is on the medium."""
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def append(self, path: Path, content: bytes) -> None:
        """Write to the end of a file and wait until it is on the medium."""
        with path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def settle(self, path: Path) -> None:
        """Wait until a file that another has written is on the medium, with its name."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.sync(path.parent)

    def sync(self, directory: Path) -> None:
        """Wait until the names in a directory are on the medium."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory another name: whole, or not at all."""
        source.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file or a directory with all that is in it, if it is there."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
