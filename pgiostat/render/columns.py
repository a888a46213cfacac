"""The columns of a ranking, each once: CSV header, heading on a screen, value and its format."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import By, Ranking, RankRow, Sort
from pgiostat.statistics.counters import STATEMENTS
from pgiostat.units import (
    format_bytes,
    format_count,
    format_ms,
    format_share,
)

__all__ = [
    "KEYS",
    "METRICS",
    "SORTED_BY",
    "Key",
    "Metric",
    "of_blocks",
    "shown",
    "whole_of",
]

Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a ranking's row.

    name: CSV header, its unit in it.  heading: on a screen, empty if not shown there.  called: of
    what is called.  told: whether this server tells it; what it does not is not on a screen.
    of_blocks: known where nothing but blocks is.
    """

    name: str
    meaning: str
    value: Callable[[ReadCost], int | float | None]
    heading: str = ""
    shown: Callable[[float | None], str] = format_count
    called: bool = False
    told: Callable[[ReadCost], bool] = lambda _: True
    of_blocks: bool = False

    @property
    def title(self) -> str:
        """What it is called above its column, wherever it has one."""
        return self.heading or self.name


def _counter(name: str, *, called: bool = False) -> Metric:
    """Return a counter of the server, by its name and meaning in the table of counters."""
    column = STATEMENTS.column(name)
    return Metric(column.name, column.meaning, attrgetter(column.name), called=called)


METRICS = (
    Metric("blocks_read", "shared and local blocks read", lambda c: c.blocks, of_blocks=True),
    Metric(
        "blocks_read_per_s",
        "the same a second",
        lambda c: c.blocks_per_s,
        "blocks/s",
        of_blocks=True,
    ),
    Metric(
        "read_operations_per_s",
        "read operations a second that these blocks took, by what pg_stat_io counts of operations"
        " for each block; empty before PostgreSQL 18",
        lambda c: c.operations_per_s,
        "reads/s",
        told=lambda c: c.per_block.counted,
        of_blocks=True,
    ),
    Metric(
        "bytes_read_per_s",
        "the same in bytes a second",
        lambda c: c.bytes_per_s,
        "volume/s",
        format_bytes,
        of_blocks=True,
    ),
    Metric(
        "read_time_ms",
        "time spent reading; empty if it was not timed (track_io_timing)",
        lambda c: c.read_ms,
    ),
    Metric(
        "rd_await_ms",
        "time to read one block, over the timed ones",
        lambda c: c.rd_await_ms,
        "rd_await",
        format_ms,
    ),
    Metric(
        "physical_bytes_per_s",
        "bytes read from storage a second, by pg_stat_kcache; empty without it",
        lambda c: c.physical_bytes_per_s,
        "physical/s",
        format_bytes,
        told=lambda c: c.traced_blocks > 0,
    ),
    Metric(
        "physical_share",
        "share of the traced blocks that storage gave, not the operating system's cache",
        lambda c: c.physical_share,
        told=lambda c: c.traced_blocks > 0,
    ),
    Metric(
        "reading_sessions",
        "how many sessions were reading on average",
        lambda c: c.reading_sessions,
    ),
    Metric(
        "blocks_read_per_call",
        "blocks read by one call",
        lambda c: c.blocks_per_call,
        "blocks/call",
        called=True,
    ),
    _counter("calls", called=True),
    Metric("calls_per_s", "the same a second", lambda c: c.calls_per_s, "calls/s", called=True),
    _counter("rows", called=True),
    Metric(
        "hit_ratio",
        "share of block accesses that shared_buffers answered",
        lambda c: c.hit_ratio,
        "hit",
        format_share,
    ),
    _counter("shared_blks_hit"),
    _counter("shared_blks_read"),
    _counter("local_blks_read"),
    _counter("temp_blks_read"),
    Metric("total_exec_time_ms", "time spent executing", lambda c: c.exec_ms, called=True),
    Metric("mean_exec_time_ms", "mean time of a call", lambda c: c.mean_exec_ms, called=True),
)


SORTED_BY = {
    Sort.READS: "", Sort.TIME: "read_time_ms", Sort.TEMP: "temp_blks_read", Sort.CALLS: "calls",
    Sort.PER_CALL: "blocks_read_per_call",
}  # fmt: skip
"""The metric of each order; by reads is the usual one."""


def whole_of(by: By) -> str:
    """Return what all rows together are of: relations are told of one database alone."""
    return "database" if by is By.RELATION else "server"


def shown(ranking: Ranking) -> tuple[Metric, ...]:
    """Return the metrics for a screen, of what is known of a ranking.

    The last give way where there is no room; what a ranking is sorted by comes second.
    """
    first, *others = (
        metric
        for metric in METRICS
        if (metric.heading or metric.name == SORTED_BY[ranking.sort])
        and not (metric.called and ranking.by is By.RELATION)
        and metric.told(ranking.explained)
    )
    return (first, *sorted(others, key=lambda metric: metric.name != SORTED_BY[ranking.sort]))


def of_blocks(ranking: Ranking, blocks: int | None) -> dict[str, int | float | None]:
    """Return the metrics, by name, that are known of blocks that no statement read."""
    cost = None if blocks is None else ranking.cost_of(blocks)
    return {
        metric.name: None if cost is None else metric.value(cost)
        for metric in METRICS
        if metric.of_blocks
    }


@dataclass(frozen=True, slots=True)
class Key:
    """A column that says what a row is."""

    name: str
    meaning: str
    value: Callable[[RankRow], Value]


_CATEGORY = Key("category", "kind of query", lambda r: r.category or r.name)
_FINGERPRINT = Key("fingerprint", "statements that differ in constants", lambda r: r.fingerprint)
_TEXT = Key("query", "normalized text", lambda r: r.text or r.name)
_DATABASE = Key("database", "where it ran", lambda r: r.database)
_USER = Key("user", "role that ran it", lambda r: r.user)

KEYS: dict[By, tuple[Key, ...]] = {
    By.CATEGORY: (_CATEGORY,),
    By.FINGERPRINT: (_FINGERPRINT, _CATEGORY, _TEXT),
    By.STATEMENT: (
        Key("queryid", "the server's hash of the statement", lambda r: r.queryid),
        _DATABASE,
        _USER,
        _FINGERPRINT,
        _CATEGORY,
        _TEXT,
    ),
    By.SERVER: (Key("server", "label of the server", lambda r: r.name),),
    By.HOUR: (Key("hour", "when the hour begins", lambda r: r.name),),
    By.DATABASE: (Key("database", "database", lambda r: r.database or r.name),),
    By.USER: (Key("user", "role", lambda r: r.user or r.name),),
    By.RELATION: (
        Key("relation", "table, with its indexes and TOAST", lambda r: r.name),
        *(
            Key(
                f"{part}_blks_read",
                f"blocks of its {what} read",
                lambda r, part=part: (
                    dict(r.parts).get(f"{part}_blks_read", 0)  # type: ignore[misc]
                    if r.parts
                    else None
                ),
            )
            for part, what in (
                ("heap", "main table"),
                ("idx", "indexes"),
                ("toast", "TOAST table"),
                ("tidx", "TOAST index"),
            )
        ),
    ),
}
