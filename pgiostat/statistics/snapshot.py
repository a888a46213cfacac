"""A snapshot of a server: columns of counters and a few marks; data only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pgiostat.statistics.columnar import Rows
from pgiostat.statistics.keyed import Keyed

__all__ = ["MAX_COUNTED", "RESUMED", "Markers", "Server", "Settings", "Snapshot"]


RESUMED = 0
"""The session of a snapshot of another process: its clock is not to be compared."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a snapshot: all that stays the same during a connection.

    A clone has the same system_identifier, and a standby too: the address is part of identity.

    Attributes:
        kcache_missing: Why physical reads are not reported; empty if they are.
        unknown: What a server that is newer than pgiostat has or lacks, as a sentence; empty for
            the versions that pgiostat knows.
    """

    label: str
    host: str
    port: int
    dbname: str
    dbid: int
    user: str
    userid: int
    system_identifier: int
    address: str
    version: str
    version_num: int
    extension_version: str
    kcache_missing: str = "pg_stat_kcache is not installed"
    unknown: str = ""

    @property
    def identity(self) -> tuple[int, str, int]:
        """What must be equal in two comparable snapshots."""
        return (self.system_identifier, self.address, self.port)


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings that decide what its numbers mean; None where it has none such."""

    values: Mapping[str, str | None]

    def is_on(self, name: str) -> bool:
        """Whether a boolean setting is on."""
        return self.values.get(name) == "on"

    def integer(self, name: str) -> int | None:
        """Return a setting that is a plain number, or None."""
        value = self.values.get(name)
        return int(value) if value is not None and value.lstrip("-").isdigit() else None

    @property
    def block_size(self) -> int:
        """Bytes of a block; every server has the setting."""
        return self.integer("block_size") or 8192

    @property
    def track_io_timing(self) -> bool:
        """Whether reads are timed, by the setting of our own session."""
        return self.is_on("track_io_timing")

    @property
    def track(self) -> str | None:
        """pg_stat_statements.track: none, top or all."""
        return self.values.get("pg_stat_statements.track")

    @property
    def max_statements(self) -> int | None:
        """pg_stat_statements.max."""
        return self.integer("pg_stat_statements.max")


@dataclass(frozen=True, slots=True)
class Markers:
    """Marks that change when counters restart; None where the server has no such mark.

    Attributes:
        oldest_transaction: When the oldest transaction of a client began that still runs; None if
            there is none, or if it is hidden. A transaction's reads are counted when it ends.
    """

    start_time: datetime
    in_recovery: bool
    bgwriter_reset: datetime | None
    statements_reset: datetime | None
    dealloc: int | None
    oldest_transaction: datetime | None = None


MAX_COUNTED = 1 << 53
"""No counter comes to this: microseconds of 285 years, or blocks of 64 exabytes."""
_BLOCK_SIZES = tuple(1 << power for power in range(10, 16))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What one query of the server's counters returned.

    Attributes:
        server: What stays the same of the server during a connection.
        session: A number that changes with the connection.
        started_at: The server's clock before pg_stat_statements was read.
        taken_at: The server's clock afterwards.
        clock: Our own monotonic clock, in seconds.
        settings: Settings of the server that decide what its numbers mean.
        markers: Times and counts that change when counters start again.
        statements: Rows of pg_stat_statements.
        databases: Rows of pg_stat_database.
        io: Rows of pg_stat_io; None before PostgreSQL 16.
        relations: Rows of pg_statio_all_tables.
        own_queryid: queryid of this query itself, where a reset leaves no other mark.
        own_seconds: How long the query took, in seconds.
    """

    server: Server
    session: int
    started_at: datetime
    taken_at: datetime
    clock: float
    settings: Settings
    markers: Markers
    statements: Rows
    databases: Rows
    io: Rows | None
    relations: Rows
    own_queryid: int | None = None
    own_seconds: float = 0.0

    def check(self) -> None:
        """Check that a server can have sent this: one damaged answer would spoil a history.

        Raises:
            ValueError: A counter or the block size is outside of what a server reaches.
        """
        if self.settings.block_size not in _BLOCK_SIZES:
            raise ValueError("an impossible block size")
        for rows in (self.statements, self.databases, self.io, self.relations):
            if rows is None or not rows.counters.size:
                continue
            if rows.counters.max() >= MAX_COUNTED or rows.counters.min() <= -MAX_COUNTED:
                raise ValueError(f"an impossible counter of {rows.table.name}")

    @cached_property
    def has_toplevel(self) -> bool:
        """Whether nested statements can be distinguished from those that clients sent."""
        return "toplevel" in self.statements

    @cached_property
    def masked(self) -> bool:
        """Whether statements of others are hidden from our role."""
        return bool(self.statements["masked"].any())

    @property
    def living(self) -> set[tuple[int, int, int]]:
        """The statements that have an entry: (userid, dbid, queryid)."""
        rows = self.statements
        ids = (rows[name].tolist() for name in ("userid", "dbid", "queryid"))
        return set(zip(*ids, strict=True))

    @cached_property
    def keyed(self) -> Keyed:
        """The statements by their key, computed once: each snapshot is compared twice."""
        return Keyed.of_statements(self.statements)

    @cached_property
    def keyed_databases(self) -> Keyed:
        """The rows of pg_stat_database by their key."""
        return Keyed.of_view(self.databases)

    @cached_property
    def keyed_io(self) -> Keyed | None:
        """The rows of pg_stat_io by their key; None before PostgreSQL 16."""
        return None if self.io is None else Keyed.of_view(self.io)

    @cached_property
    def keyed_relations(self) -> Keyed:
        """The relations by their key."""
        return Keyed.of_view(self.relations)
