"""The facts about a server; None is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Facts", "ForeignObject", "Override", "Statements"]


@dataclass(frozen=True, slots=True)
class Statements:
    """State of pg_stat_statements, and the cost of reading it.

    Attributes:
        hidden: Number of entries of other roles that our role may not see.
        dealloc: None before 1.9, as stats_reset.
        text_bytes: Size of the file of texts; None without the right to see it.
        read_ms: Duration of one snapshot, by our own clock.
        untrusted: Roles that are no superusers and can replace the extension's functions.
        is_schema_open: Whether every role may create objects in the extension's schema.
        unread_texts: Number of unreadable texts of entries that are not hidden.
        unknown: What a server newer than pgiostat has or lacks; empty for a version that it knows.
        unreadable: Why these, or names of databases and roles, could not be read; empty if all
            could.
    """

    schema: str
    version: str
    entries: int
    hidden: int
    dealloc: int | None
    stats_reset: datetime | None
    text_bytes: int | None
    read_ms: float
    untrusted: tuple[str, ...] = ()
    is_schema_open: bool = False
    unread_texts: int = 0
    unreadable: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """An object with the name of one of the extension's that is not a member of it.

    Attributes:
        kind: As DROP names it, in lower case.
        arguments: Arguments of a function as SQL, in parentheses; empty for others.
        owner: None if the role does not exist any more.
    """

    kind: str
    schema: str
    name: str
    arguments: str
    owner: str | None


@dataclass(frozen=True, slots=True)
class Override:
    """A setting that holds for a database, a role, or a role in a database; "" for any."""

    database: str
    role: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A server and our connection to it.

    Attributes:
        extensions: By name (available version, installed version or "").
        elsewhere: Databases that have pg_stat_statements, if this one has not.
        statements: None if it cannot be read; `refused` is the reason and `remedy` the fix.
        clock_ns: Cost of reading the server's clock once, in nanoseconds.
        overrides: Settings of single databases and roles.
        pending: Changed settings that wait for a restart, with the new value; None if we may not
            see it.
        sources: Source of settings that come from the "command line" or the "client" (our own
            connection).
        identifies: Whether the server computes identifiers of statements; None before PostgreSQL 14
            and where it does not show ours.
        has_monitoring_role: Whether a role with the name in README exists.
        provider: Who runs the server as a managed service; empty if nothing shows one.
        session_user: The role that connected, if it is not `user`; settings of roles are its own.
        resets: When views were last reset, by name.
        other_pid: Our server process is not the one that we connected to.
        pooled: The server did not apply our settings.
    """

    host: str
    dbname: str
    version: str
    version_num: int
    user: str
    is_superuser: bool
    reads_all_stats: bool
    in_recovery: bool
    started: datetime
    now: datetime
    extensions: Mapping[str, tuple[str, str]]
    settings: Mapping[str, str | None]
    statements: Statements | None = None
    refused: str = ""
    remedy: str = ""
    overrides: tuple[Override, ...] = ()
    pending: Mapping[str, str | None] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    identifies: bool | None = None
    elsewhere: tuple[str, ...] = ()
    clock_ns: float | None = None
    resets: Mapping[str, datetime] | None = None
    other_pid: bool = False
    pooled: bool = False
    foreign_objects: tuple[ForeignObject, ...] = ()
    has_monitoring_role: bool = False
    session_user: str = ""
    provider: str = ""
