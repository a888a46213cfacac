"""What tables and indexes counted since they were last read: data only."""

from dataclasses import dataclass
from datetime import datetime

from pgiostat.statistics.definitions import Definition
from pgiostat.statistics.row_deltas import RowDeltas

__all__ = ["RelationChanges", "RelationInterval"]


@dataclass(frozen=True, eq=False)
class RelationInterval:
    """What tables and indexes of one database counted between two reads.

    Attributes:
        dbid: The database.
        since: When it began, by the server's clock.
        seconds: Its length in seconds.
        tables: Rows of pg_stat_all_tables with changes; sizes and times are as of its end.
        indexes: The same of pg_stat_all_indexes.
        own_seconds: How long the read took, in seconds.
    """

    dbid: int
    since: datetime
    seconds: float
    tables: RowDeltas
    indexes: RowDeltas
    own_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RelationChanges:
    """What is new of tables and indexes at the end of an interval of statements.

    Attributes:
        intervals: What they counted since their last read, by database.
        definitions: Definitions that are new, changed or dropped.
    """

    intervals: tuple[RelationInterval, ...] = ()
    definitions: tuple[Definition, ...] = ()
