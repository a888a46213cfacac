"""Which tables and indexes are read, and how often."""

from dataclasses import dataclass

from pgiostat.errors import invalid_option
from pgiostat.timespec import duration, written

__all__ = ["CONNECTED", "DatabaseChoice", "RelationOptions", "database_choice", "relation_options"]

ALL = "all"
OFF = "off"
SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class DatabaseChoice:
    """Databases with tables and indexes that are read, beside the connected one.

    Attributes:
        is_all: Whether all that we may connect to are read.
        names: Otherwise their names.
    """

    is_all: bool = False
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.is_all or bool(self.names)

    def includes(self, name: str) -> bool:
        """Return whether a database is read."""
        return self.is_all or name in self.names


CONNECTED = DatabaseChoice()
"""The connected database alone."""


@dataclass(frozen=True, slots=True)
class RelationOptions:
    """Which tables and indexes are read, and how often.

    Attributes:
        every: Seconds between reads; None if they are not read.
        databases: Databases that are read beside the connected one.
    """

    every: float | None
    databases: DatabaseChoice = CONNECTED


def relation_options(every: str, databases: str | None = None) -> RelationOptions:
    """Return the options of a command or of a configuration file.

    Args:
        every: A duration, or "off".
        databases: "all", or names with commas between them; None for the connected one alone.

    Raises:
        PgiostatError: time-invalid, or option-invalid if the interval is too short or too long, if
            a name is empty, or if databases are named and nothing is read.

    >>> relation_options("10s", "app, audit").databases.names
    ('app', 'audit')
    """
    chosen = database_choice(databases)
    if every == OFF:
        if chosen:
            raise invalid_option(
                "databases are named, but tables and indexes are not read",
                hint="--databases needs an interval in --tables-interval.",
            )
        return RelationOptions(None)
    seconds = duration(every)
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise invalid_option(
            f'invalid interval of tables and indexes: "{every}"',
            hint=f"It must be from {written(SHORTEST_SECONDS)} to {written(LONGEST_SECONDS)}, or"
            f' "{OFF}".',
        )
    return RelationOptions(seconds, chosen)


def database_choice(text: str | None) -> DatabaseChoice:
    """Return the databases of an option.

    Args:
        text: "all", or names with commas between them; None for the connected one alone.

    Raises:
        PgiostatError: option-invalid for an empty name.
    """
    if text is None:
        return CONNECTED
    if text == ALL:
        return DatabaseChoice(is_all=True)
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise invalid_option(
            "a name of a database is empty",
            hint=f'Write names with commas between them, or "{ALL}".',
        )
    return DatabaseChoice(names=names)
