"""Unexpected errors: named by their type and place, never by their message.

The message of an exception may quote anything: a connection string, a statement, a row. A type and
a line of source code hold no secret, and a fix needs no more.
"""

import errno
import os
import traceback
from hashlib import blake2b
from pathlib import Path

from pgiostat.errors import PgiostatError

__all__ = [
    "PASSING",
    "UNEXPECTED",
    "as_error",
    "has_descriptors",
    "is_out_of_descriptors",
    "too_many_files",
    "unreadable_reply",
]

UNEXPECTED = "unexpected-error"
PASSING = frozenset({UNEXPECTED, "too-many-files", "out-of-memory"})
"""Errors after which an attempt is repeated: the next one may succeed."""
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_NO_DESCRIPTOR_MESSAGE = os.strerror(errno.EMFILE)
"""Libraries pass on the system's message without its number."""
_PACKAGE = Path(__file__).parent
_REPORT = "Report it with this reference; docs/errors.md describes how."


def as_error(error: Exception) -> PgiostatError:
    """Return any exception as a PgiostatError.

    Args:
        error: The exception. A PgiostatError stays as it is, unless no descriptor was left.

    Returns:
        too-many-files, out-of-memory, extra-missing, or unexpected-error with a reference: the same
        fault at the same place has the same reference everywhere.
    """
    if isinstance(error, PgiostatError):
        text = " ".join(filter(None, (error.message, error.detail)))
        return too_many_files(text) if _NO_DESCRIPTOR_MESSAGE in text else error
    # Without a descriptor an import fails as if the module were not there.
    lacks = isinstance(error, ImportError) and not has_descriptors()
    if lacks or is_out_of_descriptors(error):
        return too_many_files()
    if isinstance(error, ModuleNotFoundError):
        from pgiostat.extras import extra_missing  # noqa: PLC0415 - every start imports this module

        if missing := extra_missing(error):
            return missing
    if isinstance(error, MemoryError):
        return PgiostatError(
            "out of memory",
            detail=f"It occurred in {_place(error)}.",
            slug="out-of-memory",
        )
    return PgiostatError(
        f"unexpected error {_reference(error)}",
        detail=f"{_type(error)} in {_place(error)}.",
        hint=f"This is a bug in pgiostat. {_REPORT}",
        slug="unexpected-error",
    )


def unreadable_reply(error: Exception) -> PgiostatError:
    """Return the error of an invalid answer of the server.

    Args:
        error: The exception of the code that unpacked the answer.
    """
    if isinstance(error, PgiostatError | MemoryError) or is_out_of_descriptors(error):
        return as_error(error)
    return PgiostatError(
        "the server's reply could not be read",
        detail=f"{_type(error)} in {_place(error)}, reference {_reference(error)}.",
        hint="The reply was damaged in transit, or pgiostat does not understand this server."
        f" If it persists: {_REPORT[0].lower()}{_REPORT[1:]}",
        slug="reply-unreadable",
    )


def too_many_files(message: str = "") -> PgiostatError:
    """Return the error of a process without a free file descriptor.

    Args:
        message: What failed for that reason.
    """
    return PgiostatError(
        "too many open files",
        detail=f"{message[:1].upper()}{message[1:]}"
        if message
        else "This process or the system has no free file descriptor.",
        hint="Raise the limit: ulimit -n in a shell, LimitNOFILE= in a systemd unit.",
        slug="too-many-files",
    )


def is_out_of_descriptors(error: Exception) -> bool:
    """Return whether an exception is for want of a file descriptor."""
    return isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR


def has_descriptors() -> bool:
    """Return whether this process can open one more file."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in _NO_DESCRIPTOR
    return True


def _type(error: Exception) -> str:
    """Return the type of an exception, with the name of the system's error."""
    of = type(error)
    name = of.__qualname__
    if of.__module__ != "builtins":
        name = f"{of.__module__}.{name}"
    number = error.errno if isinstance(error, OSError) else None
    code = "" if number is None else errno.errorcode.get(number, "")
    return f"{name} {code}".rstrip()


def _place(error: Exception) -> str:
    """Return the innermost line of the package, and the line of a library below it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [n for n, frame in enumerate(frames) if _is_ours(frame)]
    if not frames:
        return "an unknown place"
    if not ours:
        return _line(frames[-1])
    place = _line(frames[ours[-1]])
    return place if ours[-1] == len(frames) - 1 else f"{place}, at {_line(frames[-1])}"


def _reference(error: Exception) -> str:
    lines = [_line(f) for f in traceback.extract_tb(error.__traceback__) if _is_ours(f)]
    return blake2b("\n".join([_type(error), *lines[-3:]]).encode(), digest_size=4).hexdigest()


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return Path(frame.filename).is_relative_to(_PACKAGE)


def _line(frame: traceback.FrameSummary) -> str:
    """Return a line of source code, without the directory of the installation."""
    path = Path(frame.filename)
    short = path.relative_to(_PACKAGE.parent) if _is_ours(frame) else Path(*path.parts[-2:])
    return f"{short.as_posix()}:{frame.lineno} ({frame.name})"
