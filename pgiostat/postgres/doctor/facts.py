"""What a doctor knows of a server; None is what could not be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Facts", "ForeignObject", "Override", "Statements"]


@dataclass(frozen=True, slots=True)
class Statements:
    """What pg_stat_statements tells of itself, and what reading it costs.

    hidden: entries of others that our role may not see.  dealloc, stats_reset: None before 1.9.
    text_bytes: of the file of texts, None without the right to see it.  read_ms: of one reading,
    by our own clock.  untrusted: roles that are no superusers and can replace the extension's
    functions.  is_schema_open: whether every role may create objects in the extension's schema.
    unread_texts: of entries that are not hidden; how many texts could not be read.  unreadable: why
    these, or names of databases and roles, could not be read; empty if all could.
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


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """An object with the name of one of the extension's that is not a member of it.

    kind: as DROP names it, in lower case.  arguments: those of a function as SQL, in parentheses;
    empty for others.  owner: None if the role is not there any more.
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

    extensions: (version that could be installed, that is installed or "") by name, of those there
    are.  elsewhere: databases that have pg_stat_statements, if this one has not.  statements: None
    if it cannot be read, because of `refused`, which `remedy` mends.  clock_ns: to ask the server's
    clock once.  overrides: settings of single databases and roles.  pending: settings that were
    changed and wait for a restart, with the value that waits, None if we may not see it.  sources:
    where settings are from, "command line" or "client" (our own connection), of those that are.
    identifies: whether the server computes identifiers of statements, None before PostgreSQL 14 and
    where it does not show ours.
    has_monitoring_role: whether there is a role with the name of README's.
    session_user: the role that connected, where that is not `user`: settings of roles are its own.
    resets: when views were last reset, by name.  other_pid: our server process is not the one we
    connected to.  pooled: our settings were not taken.
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
