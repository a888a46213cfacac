"""The root of a history: make it, check it, and the errors of both."""

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.history.format.durable_io import Disk
from pgiostat.history.format.filesystem import exists, listed, parse_json, read_small
from pgiostat.history.format.layout import Layout, forbidden, reason_of

__all__ = [
    "FORMAT",
    "bad_format",
    "check",
    "check_collector",
    "checked",
    "create",
    "is_free",
    "not_a_history",
]

FORMAT = 1
"""Increases when an older version would misread the files."""

_COLLECTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,62}")


def is_free(root: Path) -> bool:
    """Tell whether a history can be made in a directory: nothing is there but its beginning."""
    # Another collector may be making it at this moment: that is not somebody else's directory.
    try:
        there = {name for name, _ in listed(root)}
    except NotADirectoryError:
        return True
    except PermissionError:
        raise forbidden(root) from None
    return not there - {Layout(root).tmp.name, "lock"}


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
    # This comes first: a directory that another collector finishes now is no longer free.
    free = is_free(root)
    disk.below(root)
    if exists(layout.format):
        return check(root)
    if not free:
        raise not_a_history(root, f'There is no "{layout.format.name}", but there are other files.')
    try:
        disk.make(layout.tmp)
        who = f"{collector}-{os.getpid()}-{threading.get_ident()}"
        draft = layout.tmp / f"{who}-{layout.format.name}"
        disk.write(draft, json.dumps({"format": FORMAT, "pgiostat": version}).encode())
        disk.sync(layout.tmp)
        disk.publish(draft, layout.format)
        disk.sync(root)
        disk.sync(root.parent)
    except OSError as error:
        raise PgiostatError(
            f'could not create a history in "{root}": {error.strerror}', slug="history-unwritable"
        ) from None
    return layout


def check(root: Path) -> Layout:
    """Return the layout of a history that is there.

    Raises PgiostatError history-missing, not-a-history, history-newer, history-unreadable.
    """
    layout = Layout(root)
    try:
        if not root.exists():
            raise PgiostatError(
                f'there is no history in "{root}"',
                hint="pgiostat collect creates one.",
                slug="history-missing",
            )
        checked(root, parse_json(read_small(layout.format, root=root)))
    except FileNotFoundError:
        raise not_a_history(root, f'There is no "{layout.format.name}".') from None
    except PermissionError:
        raise forbidden(root) from None
    except NotADirectoryError:
        raise not_a_history(root, "It is not a directory.") from None
    except (OSError, ValueError, TypeError) as error:
        raise bad_format(layout.format, reason_of(error)) from None
    return layout


def checked(root: Path | str, content: Any) -> None:
    """Look at what format.json tells.

    Raises PgiostatError history-newer, and TypeError if it has no format.
    """
    if not isinstance(content, dict) or "format" not in content:
        raise TypeError('the key "format" is missing')
    found = content["format"]
    if type(found) is not int:
        raise TypeError('the value of "format" is not an integer')
    if found != FORMAT:
        raise PgiostatError(
            f'the history in "{root}" has format {_brief(found)}, but this version reads {FORMAT}',
            detail="It was written by pgiostat"
            f" {_brief(content.get('pgiostat', 'of an unknown version'))}.",
            hint="Use a newer pgiostat.",
            slug="history-newer",
        )


def _brief(value: Any) -> str:
    """Return what somebody else wrote so short that it fits into a line."""
    words = str(value)
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}…"


_LONGEST_WORDS = 40


def bad_format(path: Path | str, why: str) -> PgiostatError:
    """Return the error of a format.json that is damaged, or is no file.

    Args:
        path: Where it is, a path or a URI.
        why: What is wrong with it, a sentence.
    """
    return PgiostatError(
        f'could not read "{path}" of the history',
        detail=f"{why[:1].upper()}{why[1:]}",
        hint="Restore the file, which no option can skip: a history that this version reads has"
        f" {json.dumps({'format': FORMAT})} in it. If it is not a history, name another one.",
        slug="history-unreadable",
    )


def not_a_history(root: Path | str, detail: str) -> PgiostatError:
    """Return the error that something else is there."""
    return PgiostatError(f'"{root}" is not a history', detail=detail, slug="not-a-history")
