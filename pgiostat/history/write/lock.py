"""The lock of a collector's name: one process at a time writes under it."""

import contextlib
import fcntl
import os
from typing import BinaryIO

from pgiostat.errors import PgiostatError
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import UnsafeFileError, open_regular
from pgiostat.history.format.layout import Layout

__all__ = ["check_free", "lock", "unwritable"]


def lock(layout: Layout, collector: str, disk: Disk) -> BinaryIO:
    """Lock the name of a collector; the system releases the lock of a killed process.

    Args:
        layout: The history.
        collector: The name.
        disk: What opens the file.

    Returns:
        The file that holds the lock until it is closed.

    Raises:
        PgiostatError: collector-running if a process writes under this name, or
            history-unwritable.
    """
    try:
        file = disk.hold(layout.lock(collector))
    except OSError as error:
        raise unwritable(layout, error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _running(layout, collector, file) from None
    except OSError as error:
        file.close()
        raise unwritable(layout, error) from None
    with contextlib.suppress(OSError):  # on a full disk the holder's number stays unknown
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    return file


def check_free(layout: Layout, collector: str) -> None:
    """Check that no process writes under the name of a collector.

    The lock is shared for an instant and never exclusive: a writer keeps it.

    Raises:
        PgiostatError: collector-running.
    """
    try:
        file = open_regular(layout.lock(collector), layout.root)
    except UnsafeFileError as error:
        raise unwritable(layout, error) from None
    except OSError:
        return  # never locked, or not readable for us: then the write will fail
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        raise _running(layout, collector, file) from None
    file.close()


def _running(layout: Layout, collector: str, file: BinaryIO) -> PgiostatError:
    file.seek(0)
    holder = file.read(64).decode("ascii", "replace")
    file.close()
    return PgiostatError(
        f'a collector "{collector}" is already writing to "{layout.root}"',
        detail=f"Its process is {holder}." if holder.isdigit() else None,
        hint="Use another --label for this collector.",
        slug="collector-running",
    )


def unwritable(layout: Layout, error: OSError, hint: str | None = None) -> PgiostatError:
    """Return the error of a history that cannot be written to, to be raised."""
    return PgiostatError(
        f'could not write to the history in "{layout.root}":'
        f" {error.strerror or type(error).__name__}",
        hint=hint,
        slug="history-unwritable",
    )
