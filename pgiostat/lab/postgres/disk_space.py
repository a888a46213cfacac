"""Room on disk: asked for before anything is made, and told as what it is when it ran out."""

import errno
import os
import shutil
from pathlib import Path

from pgiostat.errors import PgiostatError

__all__ = ["disk_full_error", "full", "require_space"]

LEAST_LEFT = 16 * 1_048_576
"""A segment of WAL: a server that cannot have one more ends, and may have no room to say why."""


def require_space(needed: int, place: Path) -> None:
    """Raise PgiostatError disk-full if there are not so many bytes where a directory will be."""
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise full(f"{there} has {free // 10**6} MB left; {needed // 10**6} MB are needed.")


def disk_full_error(said: str, place: Path) -> PgiostatError | None:
    """Return what to raise if a program that writes to a place failed for want of room, or None.

    said: by the program, last of all.  Its log may be where the room has run out: then what is left
    tells.
    """
    reason = os.strerror(errno.ENOSPC)
    found = [line for line in said.splitlines() if reason in line]
    if found:
        return full(found[-1].strip())
    if place.exists() and shutil.disk_usage(place).free < LEAST_LEFT:
        return full(f"{place}: {reason}")
    return None


def full(detail: str) -> PgiostatError:
    """Return the error of a full disk."""
    return PgiostatError(
        "there is not enough room for the data",
        detail=detail,
        hint="Make room, or set XDG_CACHE_HOME to a directory that has it.",
        slug="disk-full",
    )
