"""Metrics of collected servers: reads by category, coverage, and the work of the collector.

Counters begin with the process and never go down. There is a series for each server and category,
never for a statement. Categories of rules have a series each. Of those that are named after what
statements do, the ones that read most have one, and `BusiestCategories` bounds their number.
Unknown values have no series.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.rank import Totals, rank_totals
from pgiostat.analysis.server_reads import coverage, reads_of
from pgiostat.errors import PgiostatError
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import OTHER, OWN, UNREAD, Names, StatementKey
from pgiostat.volume.device.interval import DeviceInterval

__all__ = ["METRICS", "MetricFamily", "Metrics"]


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric, as Prometheus defines it: the name of a counter ends in _total.

    Attributes:
        name: The name.
        meaning: The help text, without a full stop.
        labels: The labels that distinguish its series.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ("server",)

    @property
    def is_counter(self) -> bool:
        """Whether it is a counter, not a gauge."""
        return self.name.endswith("_total")


_CATEGORY = ("server", "category")
_DEVICE = ("server", "device")
METRICS: tuple[MetricFamily, ...] = (
    MetricFamily(
        "pgiostat_category_blocks_read_total",
        "blocks that statements of a category read: not found in shared_buffers",
        _CATEGORY,
    ),
    MetricFamily("pgiostat_category_bytes_read_total", "the same in bytes", _CATEGORY),
    MetricFamily("pgiostat_category_calls_total", "calls of its statements", _CATEGORY),
    MetricFamily("pgiostat_category_exec_seconds_total", "time spent executing them", _CATEGORY),
    MetricFamily(
        "pgiostat_category_read_seconds_total",
        "time spent reading, where track_io_timing is on",
        _CATEGORY,
    ),
    MetricFamily(
        "pgiostat_server_blocks_read_total",
        "blocks read by the server's own count, where that count was complete",
    ),
    MetricFamily(
        "pgiostat_statement_blocks_read_total",
        "blocks of the same intervals that statements explain",
    ),
    MetricFamily(
        "pgiostat_coverage_ratio",
        "share of the server's reads that statements explain, in the newest interval",
    ),
    MetricFamily("pgiostat_evictions_total", "entries of pg_stat_statements that were evicted"),
    MetricFamily(
        "pgiostat_intervals_total",
        "intervals committed to the history, by their most serious flaw",
        ("server", "quality"),
    ),
    MetricFamily(
        "pgiostat_lost_seconds_total",
        "time without statement counts, by the cause",
        ("server", "quality"),
    ),
    MetricFamily("pgiostat_interval_seconds", "measured length of the newest interval"),
    MetricFamily("pgiostat_interval_asked_seconds", "configured length of an interval"),
    MetricFamily(
        "pgiostat_lag_seconds", "length of the newest interval beyond the configured length"
    ),
    MetricFamily(
        "pgiostat_last_interval_timestamp_seconds",
        "end of the newest interval, by the server's clock",
    ),
    MetricFamily("pgiostat_readings_total", "attempted snapshots"),
    MetricFamily(
        "pgiostat_errors_total",
        "failed snapshots and commits, by the name of the error",
        ("server", "error"),
    ),
    MetricFamily("pgiostat_own_seconds_total", "time spent on snapshots"),
    MetricFamily(
        "pgiostat_up", "1 while intervals are read and committed, 0 while an error prevents it"
    ),
    MetricFamily("pgiostat_device_reads_total", "reads completed by the server's device", _DEVICE),
    MetricFamily("pgiostat_device_read_bytes_total", "bytes read by the server's device", _DEVICE),
    MetricFamily(
        "pgiostat_burst_balance_ratio",
        "remaining I/O credits of a gp2 volume, from CloudWatch",
        _DEVICE,
    ),
    MetricFamily(
        "pgiostat_io_balance_ratio",
        "remaining I/O credits of the instance, from CloudWatch",
        _DEVICE,
    ),
    MetricFamily("pgiostat_servers", "collected servers", ()),
    MetricFamily("pgiostat_build_info", "1, with the version", ("version",)),
)
"""All metrics, in the order of the page."""

_GAUGED = {
    "burst_balance": "pgiostat_burst_balance_ratio",
    "io_balance": "pgiostat_io_balance_ratio",
}
_COUNTED = {
    "reads": "pgiostat_device_reads_total",
    "read_bytes": "pgiostat_device_read_bytes_total",
}

LabelValues = tuple[str, tuple[str, ...]]
StatementCounts = Counts
"""The counts of one statement: a matrix of FIELDS with one column."""
MAX_WAITING = 10_000
"""How many statements may wait for their texts."""


@dataclass(slots=True)
class BusiestCategories:
    """The automatic categories that have series of their own: all that were among the busiest.

    A counter must not disappear, and must not move to another series. A category keeps its series
    for the life of the process; what it read before it had one is part of "other".
    """

    busiest: int = 20
    at_most: int = 40
    _blocks: dict[str, int] = field(default_factory=dict)
    _chosen: set[str] = field(default_factory=set)

    def update(self, automatic: Mapping[str, int]) -> None:
        """Add what automatic categories read in an interval, and choose those with series.

        Args:
            automatic: Blocks read, by category.
        """
        for category, blocks in automatic.items():
            self._blocks[category] = self._blocks.get(category, 0) + blocks
        by_reads = sorted(self._blocks, key=lambda category: (-self._blocks[category], category))
        for category in by_reads[: self.busiest]:
            if len(self._chosen) < self.at_most:
                self._chosen.add(category)

    def series_of(self, category: str) -> str:
        """Return the category under which an automatic category is counted: itself, or "other"."""
        return category if category in self._chosen else OTHER


@dataclass(slots=True)
class Metrics:
    """The metrics of one server, from its committed intervals and failures.

    Attributes:
        server: The label of the server.
        interval: The interval of the configuration, in seconds.
        is_up: Returns whether intervals are collected now.
    """

    server: str
    interval: float
    is_up: Callable[[], bool] = lambda: False
    _lock: Lock = field(default_factory=Lock)
    _values: dict[LabelValues, float] = field(default_factory=dict)
    _counts: dict[LabelValues, float] = field(default_factory=dict)
    _waiting: dict[StatementKey, StatementCounts] = field(default_factory=dict)
    _busiest: BusiestCategories = field(default_factory=BusiestCategories)

    def tried(self, error: PgiostatError | None) -> None:
        """Count a snapshot."""
        with self._lock:
            self._count("pgiostat_readings_total", 1)
            if error is not None:
                self._count("pgiostat_errors_total", 1, error.slug)

    def failed(self, error: PgiostatError) -> None:
        """Count an interval that could not be committed, or a failure beside it."""
        with self._lock:
            self._count("pgiostat_errors_total", 1, error.slug)

    def committed(self, delta: Delta, names: Names, devices: Sequence[DeviceInterval]) -> None:
        """Count a committed interval."""
        totals = self._with_texts(Totals.of(delta), names)
        automatic = _automatic(totals, names)
        ranking = rank_totals([(totals, names)])
        reads, seconds = reads_of(delta), delta.seconds or 0.0
        with self._lock:
            rows = ranking.rows
            self._busiest.update({r.name: r.cost.blocks for r in rows if r.name in automatic})
            for row in (*rows, *filter(None, (ranking.rest, ranking.own))):
                category = OWN if row is ranking.own else row.name
                self._add(
                    self._busiest.series_of(category) if category in automatic else category,
                    row.cost,
                )
            self._set("pgiostat_coverage_ratio", coverage(delta.statement_blocks, reads))
            if reads.blocks is not None:
                self._count("pgiostat_server_blocks_read_total", reads.blocks)
                self._count("pgiostat_statement_blocks_read_total", delta.statement_blocks)
            if delta.evicted is not None:
                self._count("pgiostat_evictions_total", delta.evicted)
            self._count("pgiostat_intervals_total", 1, delta.quality.value)
            if delta.lost is not None:
                self._count("pgiostat_lost_seconds_total", delta.lost.seconds, delta.quality.value)
            self._count("pgiostat_own_seconds_total", delta.newer.own_seconds)
            self._set("pgiostat_interval_seconds", seconds)
            self._set("pgiostat_lag_seconds", max(0.0, seconds - self.interval))
            self._set("pgiostat_last_interval_timestamp_seconds", delta.until.timestamp())
            for device in devices:
                for column, name in _COUNTED.items():
                    if (count := getattr(device, column)) is not None:
                        self._count(name, count, device.name)
                for column, name in _GAUGED.items():
                    if (percent := getattr(device, column)) is not None:
                        self._set(name, percent / 100, device.name)

    def _with_texts(self, counted: Totals, names: Names) -> Totals:
        """Return the totals of statements with a known category; keep the rest until it is known.

        A counter never goes down: an amount cannot move from one category to another.
        """
        waits = [
            ids[2] is not None and names.described((ids[0], ids[1], ids[2])).category == UNREAD
            for ids in counted.statements
        ]
        come = [key for key in self._waiting if names.described(key).category != UNREAD]
        columns = [self._waiting.pop(key) for key in come]
        for place in np.flatnonzero(waits).tolist():
            userid, dbid, queryid = counted.statements[place]
            key = (userid, dbid, queryid or 0)
            column = counted.statement_amounts[:, [place]]
            if key in self._waiting:
                self._waiting[key] = self._waiting[key] + column
            elif len(self._waiting) < MAX_WAITING:
                self._waiting[key] = column
            else:
                waits[place] = False  # counted in the category of statements without a text
        there = np.flatnonzero(~np.array(waits, dtype=bool))
        return replace(
            counted,
            statements=[*(counted.statements[place] for place in there.tolist()), *come],
            statement_amounts=np.hstack([counted.statement_amounts[:, there], *columns]),
            statement_uncertain=[False] * (len(there) + len(come)),
        )

    def samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Yield the name, the values of its labels and the value of each series."""
        with self._lock:
            known = [*self._counts.items(), *self._values.items()]
        for (name, labels), value in known:
            yield name, (self.server, *labels), value
        yield "pgiostat_interval_asked_seconds", (self.server,), self.interval
        yield "pgiostat_up", (self.server,), float(self.is_up())

    def _add(self, category: str, cost: ReadCost) -> None:
        amounts: dict[str, float | None] = {
            "blocks_read": cost.blocks,
            "bytes_read": cost.bytes,
            "calls": cost.calls,
            "exec_seconds": None if cost.total_exec_us is None else cost.total_exec_us / 1e6,
            "read_seconds": cost.read_us / 1e6 if cost.timed_blocks else None,
        }
        for what, amount in amounts.items():
            if amount is not None:
                self._count(f"pgiostat_category_{what}_total", amount, category)

    def _count(self, name: str, amount: float, *labels: str) -> None:
        self._counts[name, labels] = self._counts.get((name, labels), 0.0) + amount

    def _set(self, name: str, value: float | None, *labels: str) -> None:
        if value is None:
            self._values.pop((name, labels), None)
        else:
            self._values[name, labels] = value


def _automatic(counted: Totals, names: Names) -> set[str]:
    """Return the categories that are named after what statements do, not by a rule."""
    known = (
        names.described((userid, dbid, queryid))
        for userid, dbid, queryid in counted.statements
        if queryid is not None
    )
    return {each.category for each in known if each.action == each.category}
