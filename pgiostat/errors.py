"""Errors in PostgreSQL's form: a message, a DETAIL, a HINT; and the exit statuses."""

from collections.abc import Iterable
from enum import IntEnum
from typing import TypeVar

from pgiostat.escape import line

__all__ = ["ExitStatus", "PgiostatError", "choice", "invalid_option"]


class ExitStatus(IntEnum):
    """How a command ends; documented in docs/errors.md."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    NOTHING_TO_REPORT = 3
    INTERRUPTED = 130


class PgiostatError(Exception):
    """An error, in the manner of PostgreSQL's message style.

    Attributes:
        message: Lower case, no full stop.
        slug: A stable name for programs and for docs/errors.md.
        detail: Sentences with facts, or None.
        hint: Sentences with what to do, or None.
        status: Exit status of a command that ends with it.

    Names in the texts are as they are: `report` makes them safe for a terminal.

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
        # A traceback shows it as it is here.
        super().__init__(line(message))
        self.message = message
        self.detail = detail
        self.hint = hint
        self.slug = slug
        self.status = status
        # What a traceback in a notebook shows below the message.
        for note in self._notes():
            self.add_note(note)

    def report(self) -> str:
        """Return the error as a command prints it.

        Returns:
            Lines for standard error: message, DETAIL, HINT. Nothing in them acts on a terminal.
        """
        return "\n".join([f"pgiostat: error: {line(self.message)}", *self._notes()])

    def _notes(self) -> list[str]:
        """Return DETAIL and HINT, if there are any, each in a line."""
        named = (("DETAIL", self.detail), ("HINT", self.hint))
        return [f"{name}:  {line(text)}" for name, text in named if text]


def invalid_option(
    message: str, *, hint: str | None = None, detail: str | None = None
) -> PgiostatError:
    """Return the error for an option's value that cannot be used, to be raised."""
    return PgiostatError(
        message, hint=hint, detail=detail, slug="option-invalid", status=ExitStatus.USAGE
    )


Choice = TypeVar("Choice", bound=str)


def choice(what: str, value: str, allowed: Iterable[Choice]) -> Choice:
    """Return a value that is one of a few.

    Raises PgiostatError option-invalid, with what is allowed.
    """
    there = {str(each): each for each in allowed}
    if value not in there:
        raise invalid_option(
            f'invalid value for {what}: "{value}"', hint=f"Allowed are {', '.join(there)}."
        )
    return there[value]
