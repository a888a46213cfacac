"""What is known of a statement in two windows: its counts, its tables, and the server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pgiostat.analysis.relation_activity import IndexActivity, TableActivity
from pgiostat.analysis.why.access import Column, TableAccess
from pgiostat.statistics.definitions import Definition
from pgiostat.units import per_second

__all__ = [
    "Neighbour",
    "ServerFacts",
    "SettingChange",
    "StatementEvidence",
    "Step",
    "TableEvidence",
    "Usage",
]

Step = tuple[int, int, int]
"""Calls, blocks read and blocks touched in a step of a window."""


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a statement counted in a window.

    Attributes:
        seconds: Length of the window, as measured.
        calls: Calls.
        rows: Rows returned or written.
        read: Blocks read.
        touched: Blocks read or found in shared_buffers.
        temp: Blocks of spill files read.
        steps: The same in steps, for the spread.
    """

    seconds: float
    calls: int = 0
    rows: int = 0
    read: int = 0
    touched: int = 0
    temp: int = 0
    steps: tuple[Step, ...] = ()

    @property
    def calls_per_s(self) -> float:
        """Calls per second."""
        return per_second(self.calls, self.seconds) or 0.0

    @property
    def read_per_s(self) -> float:
        """Blocks read per second."""
        return per_second(self.read, self.seconds) or 0.0

    @property
    def touched_per_s(self) -> float:
        """Blocks touched per second."""
        return per_second(self.touched, self.seconds) or 0.0

    @property
    def touched_per_call(self) -> float | None:
        """Blocks touched per call; None without a call."""
        return _ratio(self.touched, self.calls)

    @property
    def read_per_call(self) -> float | None:
        """Blocks read per call; None without a call."""
        return _ratio(self.read, self.calls)

    @property
    def rows_per_call(self) -> float | None:
        """Rows per call; None without a call."""
        return _ratio(self.rows, self.calls)

    @property
    def temp_per_call(self) -> float | None:
        """Blocks of spill files read per call; None without a call."""
        return _ratio(self.temp, self.calls)

    @property
    def miss_share(self) -> float | None:
        """Share of the touched blocks that were read; None if none was touched."""
        return _ratio(self.read, self.touched)


@dataclass(frozen=True, slots=True)
class TableEvidence:
    """A table of a statement.

    Attributes:
        name: Its name, as shown.
        before: What it did in the window before.
        after: What it did in the window after.
        whole: What it did from the start of the window before to the end of the one after.
        partition_of: The partitioned table, if it is one of its partitions.
        foreign_key: The foreign key by which it references a table of the statement, if only that
            connects them.
        foreign_key_columns: Its columns.
        index_names: Names of its indexes by oid.
        indexes_before: Definitions at the end of the window before; None if they were not recorded.
        indexes_after: Definitions at the end of the window after.
        shared_with: Other statements that use it.
        columns: Its columns; empty if they are not known.
        accesses: How the statement accesses it, by the blocks of its text.
        updated: Columns that UPDATE statements set; None if their texts are not known.
        sql_name: Its name as SQL has it.
    """

    name: str
    before: TableActivity
    after: TableActivity
    whole: TableActivity
    partition_of: str = ""
    foreign_key: str = ""
    foreign_key_columns: tuple[str, ...] = ()
    index_names: dict[int, str] = field(default_factory=dict)
    indexes_before: tuple[Definition, ...] | None = None
    indexes_after: tuple[Definition, ...] = ()
    shared_with: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    accesses: tuple[TableAccess, ...] = ()
    updated: frozenset[str] | None = None
    sql_name: str = ""

    @property
    def pages(self) -> int:
        """Blocks of the table alone, as of its last VACUUM or ANALYZE."""
        return self.after.relpages or self.before.relpages or self.whole.relpages

    def index_pairs(self) -> Iterator[tuple[IndexActivity | None, IndexActivity]]:
        """Yield each index that counted anything after, with what it counted before."""
        known = {each.indexrelid: each for each in self.before.indexes}
        for index in self.after.indexes:
            yield known.get(index.indexrelid), index

    def index_name(self, oid: int) -> str:
        """Return the name of an index."""
        return self.index_names.get(oid, f"oid {oid}")


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that changed between the windows; None is not set."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What concerns the server as a whole.

    Attributes:
        buffers: Size of shared_buffers in blocks; None if unknown.
        started: When the server started, if that was after the window before began.
        settings: Settings that changed.
        work_mem: work_mem in the window after; empty if unknown.
        outside_share: Share of the server's reads after that no statement counts; None if unknown.
        vacuumed: Tables that were vacuumed or analyzed automatically in the window after.
    """

    buffers: int | None = None
    started: datetime | None = None
    settings: tuple[SettingChange, ...] = ()
    work_mem: str = ""
    outside_share: float | None = None
    vacuumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another statement of the server.

    Attributes:
        key: Its fingerprint.
        name: Its text, as shown.
        before: What it counted in the window before.
        after: What it counted in the window after.
        tables: The tables that its text names; none if they are not known.
    """

    key: str
    name: str
    before: Usage
    after: Usage
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementEvidence:
    """All that the causes are decided by.

    Attributes:
        key: Fingerprint of the statement.
        name: Its text, as shown.
        category: Its category.
        verb: What it does: select, delete, …
        before: What it counted in the window before.
        after: What it counted in the window after.
        tables: The tables that its text names, their partitions, and those that reference them.
        neighbours: The other statements of the server.
        server: What concerns the server as a whole.
        is_alone: Whether there is no window before.
        compares_tables: Whether tables were counted in the window before, too.
    """

    key: str
    name: str
    category: str
    verb: str
    before: Usage
    after: Usage
    tables: tuple[TableEvidence, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    server: ServerFacts = ServerFacts()
    is_alone: bool = False
    compares_tables: bool = True

    @property
    def own_tables(self) -> tuple[TableEvidence, ...]:
        """The tables that the text names, and their partitions."""
        return tuple(each for each in self.tables if not each.foreign_key)

    def per_call(
        self, table: TableEvidence, count: Callable[[TableActivity], float]
    ) -> tuple[float, float]:
        """Return a count of a table per call of the statement, before and after.

        Others may use the table too: it is an upper bound.
        """
        before, after = (
            (per_second(count(activity), activity.seconds) or 0.0) / usage.calls_per_s
            if usage.calls
            else 0.0
            for activity, usage in ((table.before, self.before), (table.after, self.after))
        )
        return before, after

    def seq_scans_per_call(self, table: TableEvidence) -> tuple[float, float]:
        """Return sequential scans of a table per call of the statement, before and after."""
        return self.per_call(table, lambda each: each.count("seq_scan"))

    @property
    def touched_growth_per_s(self) -> float:
        """Blocks touched per second after, less those before."""
        return self.after.touched_per_s - self.before.touched_per_s
