"""Disk space: checked before anything is made, and reported as the cause of a failure."""

import errno
import os
import shutil
from pathlib import Path

from pgiostat.errors import PgiostatError

__all__ = ["disk_full_error", "full", "require_space"]

WAL_SEGMENT_BYTES = 16 * 1_048_576
"""Without one more segment a server ends, and its log may have no space for the message."""


def require_space(needed: int, place: Path) -> None:
    """Raise PgiostatError disk-full if fewer bytes are free where a directory is or will be."""
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise full(f"{there} has {free // 10**6} MB free; {needed // 10**6} MB are needed.")


def disk_full_error(log: str, place: Path) -> PgiostatError | None:
    """Return the error of a program that failed because the disk is full, None for another cause.

    The program's log may have had no space for the message: then the free space decides.
    """
    message = os.strerror(errno.ENOSPC)
    found = [line for line in log.splitlines() if message in line]
    if found:
        return full(found[-1].strip())
    if place.exists() and shutil.disk_usage(place).free < WAL_SEGMENT_BYTES:
        return full(f"{place}: {message}")
    return None


def full(detail: str) -> PgiostatError:
    """Return the error of a full disk."""
    return PgiostatError(
        "there is not enough disk space for the data",
        detail=detail,
        hint="Free disk space, or set XDG_CACHE_HOME to a directory with more.",
        slug="disk-full",
    )
