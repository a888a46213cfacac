"""An interval between two snapshots: the changes of each row, and the quality of the whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

import numpy as np

from pgiostat.statistics.columnar import Mask
from pgiostat.statistics.relation_changes import RelationChanges
from pgiostat.statistics.row_deltas import RowDeltas
from pgiostat.statistics.snapshot import Server, Settings, Snapshot

__all__ = ["INCOMPARABLE", "LOST", "Delta", "Earlier", "Lost", "Quality"]

EVICTED_SHARE = 20
EVICTED_AT_LEAST = 10
"""One eviction drops max(10, 5 % of pg_stat_statements.max) entries (pg_stat_statements.c)."""


class Quality(StrEnum):
    """The flaws of an interval, which qualify its numbers.

    Attributes:
        OK: Nothing happened to the counters.
        FIRST: The first snapshot: nothing to subtract, no length.
        OTHER_SERVER: Another server answered at the address; the reads between are lost.
        BASELINE_LOST: The older snapshot was damaged; the reads of statements are lost.
        EXTENSION_CHANGED: pg_stat_statements was updated or created again.
        PRIVILEGES_CHANGED: pg_read_all_stats was granted or revoked.
        RESTART: The server was restarted.
        RESET: Statistics were reset.
        CLOCK_JUMP: The server's clock was set.
        GAP: More than twice as long as expected.
        EVICTING: Entries of pg_stat_statements were evicted.
    """

    OK = "ok"
    FIRST = "first"
    OTHER_SERVER = "other server"
    BASELINE_LOST = "baseline lost"
    EXTENSION_CHANGED = "extension changed"
    PRIVILEGES_CHANGED = "privileges changed"
    RESTART = "restart"
    RESET = "reset"
    CLOCK_JUMP = "clock jump"
    GAP = "gap"
    EVICTING = "evicting"


INCOMPARABLE = (
    Quality.OTHER_SERVER,
    Quality.BASELINE_LOST,
    Quality.EXTENSION_CHANGED,
    Quality.PRIVILEGES_CHANGED,
)
"""Why all reads of statements in an interval are lost."""

LOST = (*INCOMPARABLE, Quality.RESTART, Quality.RESET)
"""Why the reads of statements in an interval, or in its first part, are lost."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A time without counts of statements: an interval, or its part before a reset.

    Attributes:
        since: When it began, by the server's clock.
        seconds: Its length in seconds; the longest possible if the time of a reset is unknown.
        server: The server with the lost reads.
    """

    since: datetime
    seconds: float
    server: Server


@dataclass(frozen=True, slots=True)
class Earlier:
    """Blocks that one count had before an interval, and that settled at once in it.

    Attributes:
        blocks: Blocks that the server counted and no statement did; negative the other way round.
        catalogs: Those of them that are of the catalogs.
        since: When the first of them were counted, by the server's clock; None if unknown.
        until: When the last of them were counted.
    """

    blocks: int
    catalogs: int = 0
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, eq=False)
class Delta:
    """An interval: the difference of two snapshots.

    Attributes:
        older: The snapshot at its start; None in the first interval.
        newer: The snapshot at its end.
        seconds: Measured length in seconds; None in the first interval.
        qualities: Its flaws; (Quality.OK,) without any.
        statements: Rows of pg_stat_statements with changes.
        databases: The same of pg_stat_database.
        io: The same of pg_stat_io; None before PostgreSQL 16.
        relations: The same of pg_statio_all_tables.
        appeared: Entries of pg_stat_statements that are new.
        vanished: Entries that disappeared.
        dealloc: Number of evictions; None before version 1.9 of the extension.
        unknown: Number of rows with amounts of no known interval; these are not counted.
        in_transit: Blocks of the server's count that statements count in other intervals, negative
            the other way round; None if unknown.
        settled_catalogs: Blocks of the catalogs that no statement counts; None if unknown.
        earlier: Blocks of earlier intervals that settled at once in this one; None without any.
        recent_causes: Counts of possible causes of losses, this interval among them, by their name
            in ServerReads.
        failures: Transactions that failed or were cancelled; None if unknown.
        held: Cursors WITH HOLD that were declared and that no statement counts; None if unknown.
        untracked: Whether a statement may have turned tracking off.
        lost: The time without counts of statements; qualities has the cause.
        discarded: Whether the server discarded all cumulative statistics.
        relation_changes: What is new of tables and indexes; None if they were not read.

    in_transit, settled_catalogs, earlier, recent_causes, failures, held, untracked and
    relation_changes need texts, further queries or the intervals before: `Sampler` sets them,
    `diff` does not.
    """

    older: Snapshot | None
    newer: Snapshot
    seconds: float | None
    qualities: tuple[Quality, ...]
    statements: RowDeltas
    databases: RowDeltas
    io: RowDeltas | None
    relations: RowDeltas
    appeared: int
    vanished: int
    dealloc: int | None
    unknown: int
    in_transit: int | None = None
    settled_catalogs: int | None = None
    earlier: Earlier | None = None
    recent_causes: Mapping[str, int | None] = field(default_factory=dict)
    failures: int | None = None
    held: int | None = None
    untracked: bool = False
    lost: Lost | None = None
    discarded: bool = False
    relation_changes: RelationChanges | None = None

    @property
    def quality(self) -> Quality:
        """The most serious of its qualities."""
        return self.qualities[0]

    @property
    def settings(self) -> Settings:
        """The settings that decide what the numbers mean."""
        return self.newer.settings

    @property
    def since(self) -> datetime | None:
        """When the interval began, by the server's clock."""
        return self.older.taken_at if self.older else None

    @property
    def until(self) -> datetime:
        """When it ended."""
        return self.newer.taken_at

    @property
    def lost_seconds(self) -> float | None:
        """Seconds without counts of its statements; None without any."""
        return None if self.lost is None else self.lost.seconds

    @property
    def evicted(self) -> int | None:
        """At least how many entries were evicted; None if that is not known.

        Before extension 1.9 only entries that did not come back can be counted.
        """
        if self.dealloc is None or self.settings.max_statements is None:
            return self.vanished if Quality.EVICTING in self.qualities else None
        each = max(EVICTED_AT_LEAST, self.settings.max_statements // EVICTED_SHARE)
        return self.dealloc * each

    @property
    def is_complete(self) -> bool:
        """Whether the server's own counters were counted from end to end."""
        lost = {Quality.FIRST, Quality.OTHER_SERVER, Quality.RESTART, Quality.RESET}
        return not lost.intersection(self.qualities)

    @cached_property
    def toplevel(self) -> Mask:
        """Which statement rows count in totals: nested ones are in their callers' rows too."""
        flags = self.statements.rows.get("toplevel")
        return np.ones(len(self.statements), dtype=bool) if flags is None else flags.astype(bool)

    @property
    def statement_blocks(self) -> int:
        """Shared and local blocks read by statements that clients sent."""
        rows = self.statements.rows
        blocks = rows["shared_blks_read"] + rows["local_blks_read"]
        return int(blocks[self.toplevel].sum())
