"""Errors as PostgreSQL words them: a message, a DETAIL, a HINT; and the exit statuses."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import TypeVar

__all__ = ["ExitStatus", "PgiostatError", "choice"]


class ExitStatus(IntEnum):
    """How a command ends; documented in docs/errors.md."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    NOTHING_TO_REPORT = 3
    INTERRUPTED = 130


class PgiostatError(Exception):
    """What went wrong, in the manner of PostgreSQL's message style.

    message: lower case, no full stop.  detail, hint: sentences.  slug: a stable name for
    programs and for docs/errors.md.  status: how a command that meets it ends.

    >>> print(PgiostatError("no such thing", hint="Make one.", slug="no-such-thing").report())
    pgiostat: error: no such thing
    HINT:  Make one.
    """

    def __init__(
        self,
        message: str,
        *,
        slug: str,
        detail: str | None = None,
        hint: str | None = None,
        status: ExitStatus = ExitStatus.ERROR,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint
        self.slug = slug
        self.status = status
        # What a traceback in a notebook shows below the message.
        for told in (detail and f"DETAIL:  {detail}", hint and f"HINT:  {hint}"):
            if told:
                self.add_note(told)

    def report(self) -> str:
        """Return the lines for standard error."""
        lines = [f"pgiostat: error: {self.message}"]
        if self.detail:
            lines.append(f"DETAIL:  {self.detail}")
        if self.hint:
            lines.append(f"HINT:  {self.hint}")
        return "\n".join(lines)


Choice = TypeVar("Choice", bound=StrEnum)


def choice(what: str, value: str, allowed: Iterable[Choice]) -> Choice:
    """Return a value that is one of a few.

    Raises PgiostatError option-invalid, with what is allowed.
    """
    there = {str(each): each for each in allowed}
    if value not in there:
        raise PgiostatError(
            f'invalid value for {what}: "{value}"',
            hint=f"Allowed are {', '.join(there)}.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    return there[value]
