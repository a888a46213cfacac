"""The columns of a ranking: CSV header, heading on a screen, value and format of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import OF_RELATIONS, By, Ranking, RankRow, Sort
from pgiostat.analysis.server_reads import PerBlock
from pgiostat.render.document import Value
from pgiostat.statistics.counters import STATEMENTS
from pgiostat.units import format_bytes, format_count, format_ms, format_rate, format_share

__all__ = [
    "KEYS",
    "LEADING",
    "METRICS",
    "OF_TEXTS",
    "SORTED_BY",
    "Key",
    "Metric",
    "in_order",
    "is_of",
    "of_blocks",
    "shown",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a ranking's row.

    Attributes:
        name: The CSV header, with its unit.
        meaning: Its definition.
        heading: Its heading on a screen; empty if it is not shown there.
        shown: Makes text of a value.
        called: Whether only rows that are called have it: statements, not relations.
        known: Whether this server has it; a screen leaves it out otherwise.
        of_blocks: Whether it is known where only blocks are known.
        field: The name of its value in ReadCost; empty if that is its own.
        repeats: Whether it says again what blocks per second say; then it is one of the last
            columns of a screen.
    """

    name: str
    meaning: str
    heading: str = ""
    shown: Callable[[float | None], str] = format_count
    called: bool = False
    known: Callable[[ReadCost], bool] = lambda _: True
    of_blocks: bool = False
    field: str = ""
    repeats: Callable[[PerBlock], bool] = lambda _: False

    def value(self, cost: ReadCost) -> int | float | None:
        """Return its value; None if it is unknown."""
        found: int | float | None = getattr(cost, self.field or self.name)
        return found

    @property
    def title(self) -> str:
        """The words above its column, wherever it has one."""
        return self.heading or self.name


def _rate(name: str, heading: str, meaning: str, field: str, **more: Any) -> Metric:
    """Return a rate of blocks."""
    return Metric(name, meaning, heading, field=field, of_blocks=True, **more)


def _counter(name: str, *, called: bool = False) -> Metric:
    """Return a counter of the server, by its name and meaning in the table of counters."""
    column = STATEMENTS.column(name)
    return Metric(column.name, column.meaning, called=called)


def _traced(cost: ReadCost) -> bool:
    return cost.traced_blocks > 0


_PER_OPERATION = (
    "read operations per second for these blocks, from the operations per block of pg_stat_io;"
    " empty before PostgreSQL 18"
)
_UNTIMED = "time reading; empty if it was not timed (track_io_timing)"
_STORAGE = (
    "share of the traced blocks that came from storage, not from the operating system's cache"
)
_PHYSICAL = "bytes read from storage per second, by pg_stat_kcache; empty without it"
_HITS = "share of block accesses found in shared_buffers"
METRICS = (
    Metric("blocks_read", "shared and local blocks read", of_blocks=True, field="blocks"),
    _rate(
        "blocks_read_per_s", "blocks/s", "shared and local blocks read per second", "blocks_per_s"
    ),
    _rate(
        "read_operations_per_s",
        "read ops/s",
        _PER_OPERATION,
        "operations_per_s",
        known=lambda cost: cost.per_block.counted,
        repeats=lambda per_block: not per_block.is_combined,
    ),
    _rate(
        "bytes_read_per_s",
        "volume/s",
        "the same blocks in bytes per second",
        "bytes_per_s",
        shown=format_bytes,
        repeats=lambda _: True,
    ),
    Metric("read_time_ms", _UNTIMED, field="read_ms"),
    Metric("rd_await_ms", "mean time to read a block, over the timed blocks", "r_await", format_ms),
    Metric("physical_bytes_per_s", _PHYSICAL, "physical/s", format_bytes, known=_traced),
    Metric("physical_share", _STORAGE, known=_traced),
    Metric("reading_sessions", "mean number of sessions that were reading"),
    Metric(
        "blocks_read_per_call",
        "blocks read per call",
        "blocks/call",
        called=True,
        field="blocks_per_call",
    ),
    _counter("calls", called=True),
    Metric("calls_per_s", "calls per second", "calls/s", format_rate, called=True),
    _counter("rows", called=True),
    Metric("hit_ratio", _HITS, "hit", format_share),
    _counter("shared_blks_hit"),
    _counter("shared_blks_read"),
    _counter("local_blks_read"),
    _counter("temp_blks_read"),
    Metric("total_exec_time_ms", "time executing", called=True, field="exec_ms"),
    Metric("mean_exec_time_ms", "mean execution time of a call", called=True, field="mean_exec_ms"),
)


SORTED_BY = {
    Sort.READS: "",
    Sort.TIME: "read_time_ms",
    Sort.TEMP: "temp_blks_read",
    Sort.CALLS: "calls",
    Sort.PER_CALL: "blocks_read_per_call",
}
"""The metric of each order; by reads is the usual one."""


def in_order(per_block: PerBlock, by: By) -> list[Metric]:
    """Return the metrics in the order of a screen: what repeats another comes after all others.

    Of statements the calls come before the times: the text leaves room for few columns.

    Args:
        per_block: Read operations for each block, of all that is shown.
        by: What the rows are.
    """

    def place(metric: Metric) -> tuple[bool, bool, bool]:
        is_later = by in OF_TEXTS and metric.name not in LEADING
        return not metric.heading, metric.repeats(per_block), is_later

    return sorted(METRICS, key=place)


OF_TEXTS = (By.STATEMENT, By.FINGERPRINT)
"""Dimensions with the text of a statement as the name of a row."""
LEADING = ("blocks_read_per_s", "blocks_read_per_call", "calls_per_s", "hit_ratio")
"""Rates of reads and calls, where there is room for few columns."""


UNTIMED = frozenset({"read_time_ms", "rd_await_ms", "reading_sessions"})
"""Numbers that no relation has: the server times reads of statements alone."""


def is_of(metric: Metric, by: By) -> bool:
    """Return whether rows of a dimension can have a number.

    Args:
        metric: The number.
        by: What the rows are.
    """
    return by not in OF_RELATIONS or not (metric.called or metric.name in UNTIMED)


def shown(ranking: Ranking) -> tuple[Metric, ...]:
    """Return the metrics for a screen, of what is known of a ranking.

    The last give way where there is no room; what a ranking is sorted by comes second.
    """
    first, *others = (
        metric
        for metric in in_order(ranking.explained.per_block, ranking.by)
        if (metric.heading or metric.name == SORTED_BY[ranking.sort])
        and is_of(metric, ranking.by)
        and metric.known(ranking.explained)
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


def _part(part: str, what: str) -> Key:
    """Return the column of the blocks read of a part of a relation."""
    name = f"{part}_blks_read"
    meaning = f"blocks of its {what} read"
    return Key(name, meaning, lambda r: dict(r.parts).get(name, 0) if r.parts else None)


_CATEGORY = Key("category", "category of the statement", lambda r: r.category or r.name)
_FINGERPRINT = Key("fingerprint", "statements that differ in constants", lambda r: r.fingerprint)
_TEXT = Key("query", "normalized text", lambda r: r.text or r.name)
_DATABASE = Key("database", "database of the statement", lambda r: r.database)
_USER = Key("user", "role that executed it", lambda r: r.user)

KEYS: dict[By, tuple[Key, ...]] = {
    By.CATEGORY: (_CATEGORY,),
    By.VERB: (Key("verb", "what the statement does", lambda r: r.name),),
    By.TABLE: (Key("table", "table that the statement reads", lambda r: r.name),),
    By.TAG: (Key("tag", "value of the tag in the statement's comments", lambda r: r.name),),
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
    By.HOUR: (Key("hour", "start of the hour", lambda r: r.name),),
    By.DATABASE: (Key("database", "database", lambda r: r.database or r.name),),
    By.USER: (Key("user", "role", lambda r: r.user or r.name),),
    By.RELATION: (
        Key("relation", "table, with its indexes and TOAST", lambda r: r.name),
        _part("heap", "main table"),
        _part("idx", "indexes"),
        _part("toast", "TOAST table"),
        _part("tidx", "TOAST index"),
    ),
    By.INDEX: (
        Key("index", "index with its schema, and its table", lambda r: r.name),
        Key("relation", "its table", lambda r: r.relation),
    ),
}
