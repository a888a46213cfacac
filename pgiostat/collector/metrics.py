"""What is collected, for Prometheus: categories' reads, coverage, and how collecting itself goes.

Counters begin with the process and never go down. There is a series for each server and category,
never for a statement: rules bound their number. What is not known is not there.
"""

import errno
import gzip
import ipaddress
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from importlib.metadata import version
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from pgiostat.analysis.cost import ReadCost
from pgiostat.analysis.ledger import coverage, reads_of
from pgiostat.analysis.rank import Totals, rank_totals
from pgiostat.collector.listener import Answer, Limits, Listener, Request
from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.escape import terminal
from pgiostat.statistics.columnar import Counts
from pgiostat.statistics.delta import Delta
from pgiostat.statistics.names import OWN, UNREAD, Names, StatementKey
from pgiostat.volume.device.interval import DeviceInterval

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

__all__ = ["METRICS", "Address", "MetricFamily", "Metrics", "MetricsServer", "parse_address"]

HOST = "127.0.0.1"
_ADDRESS = re.compile(
    r"(?:(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]+)):)?(?P<port>[0-9]{1,5})"
)
PATH = "/metrics"
FRESH_SECONDS = 1.0
"""How old a page may be: to make one takes time of the readings."""
GZIP_LEVEL = 1
OPENMETRICS = "application/openmetrics-text"
_METHODS = ("GET", "HEAD")
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A name on the page: what it means, and by what its series are told apart.

    Counters' names end in _total, as Prometheus has it.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ("server",)

    @property
    def is_counter(self) -> bool:
        """Whether it is counted, and not read."""
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
        "blocks that the server itself counted, where its count was whole",
    ),
    MetricFamily(
        "pgiostat_statement_blocks_read_total",
        "blocks that statements explain of the same intervals",
    ),
    MetricFamily(
        "pgiostat_coverage_ratio",
        "share of the server's reads that statements explain, in the newest interval",
    ),
    MetricFamily("pgiostat_evictions_total", "entries of pg_stat_statements that were evicted"),
    MetricFamily(
        "pgiostat_intervals_total",
        "intervals committed to the history, by the gravest thing to be known of them",
        ("server", "quality"),
    ),
    MetricFamily(
        "pgiostat_lost_seconds_total",
        "time whose statements could not be counted, by the cause",
        ("server", "quality"),
    ),
    MetricFamily("pgiostat_interval_seconds", "measured length of the newest interval"),
    MetricFamily("pgiostat_interval_asked_seconds", "length that was asked for"),
    MetricFamily("pgiostat_lag_seconds", "how much longer than asked for the newest interval was"),
    MetricFamily(
        "pgiostat_last_interval_timestamp_seconds",
        "when the newest interval ended, by the server's clock",
    ),
    MetricFamily("pgiostat_readings_total", "readings that were tried"),
    MetricFamily(
        "pgiostat_errors_total",
        "readings and writings that failed, by the name of the error",
        ("server", "error"),
    ),
    MetricFamily("pgiostat_own_seconds_total", "time that readings took"),
    MetricFamily("pgiostat_up", "1 while nothing keeps intervals from being read and committed"),
    MetricFamily(
        "pgiostat_device_reads_total", "reads that the server's device completed", _DEVICE
    ),
    MetricFamily("pgiostat_device_read_bytes_total", "bytes that it read", _DEVICE),
    MetricFamily(
        "pgiostat_burst_balance_ratio",
        "what is left of a gp2 volume's I/O credits, by CloudWatch",
        _DEVICE,
    ),
    MetricFamily(
        "pgiostat_io_balance_ratio",
        "what is left of the instance's I/O credits, by CloudWatch",
        _DEVICE,
    ),
    MetricFamily("pgiostat_servers", "servers that are collected", ()),
    MetricFamily("pgiostat_build_info", "1, with the version", ("version",)),
)
"""All that the page has, in its order."""

_GAUGED = {
    "burst_balance": "pgiostat_burst_balance_ratio",
    "io_balance": "pgiostat_io_balance_ratio",
}
_COUNTED = {
    "reads": "pgiostat_device_reads_total",
    "read_bytes": "pgiostat_device_read_bytes_total",
}

LabelValues = tuple[str, tuple[str, ...]]
Column = Counts
"""What one statement counted: a matrix of FIELDS with one column."""
MAX_WAITING = 10_000
"""Statements whose texts are waited for."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page is served."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether others than this machine may reach it."""
        try:
            return not ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return self.host != "localhost"


def parse_address(words: str) -> Address:
    """Return an address written as [HOST:]PORT.

    >>> parse_address("9187"), parse_address("[::1]:9187")
    (Address(host='127.0.0.1', port=9187), Address(host='::1', port=9187))

    Raises PgiostatError option-invalid.
    """
    found = _ADDRESS.fullmatch(words.strip())
    if found is None or int(found["port"]) > 65535:  # noqa: PLR2004 - the largest there is
        raise PgiostatError(
            "invalid address for metrics",
            hint="Write it like 9187, for this machine alone, or 0.0.0.0:9187 or [::1]:9187.",
            slug="option-invalid",
            status=ExitStatus.USAGE,
        )
    return Address(found["six"] or found["host"] or HOST, int(found["port"]))


@dataclass(slots=True)
class Metrics:
    """What one server's recorder tells: of intervals, when they are committed, and of failures."""

    server: str
    interval: float
    is_up: Callable[[], bool] = lambda: False
    _lock: Lock = field(default_factory=Lock)
    _values: dict[LabelValues, float] = field(default_factory=dict)
    _counts: dict[LabelValues, float] = field(default_factory=dict)
    _waiting: dict[StatementKey, "Column"] = field(default_factory=dict)

    def tried(self, error: PgiostatError | None) -> None:
        """Take note of a reading."""
        with self._lock:
            self._count("pgiostat_readings_total", 1)
            if error is not None:
                self._count("pgiostat_errors_total", 1, error.slug)

    def failed(self, error: PgiostatError) -> None:
        """Take note of an interval that could not be committed; the next one has it too."""
        with self._lock:
            self._count("pgiostat_errors_total", 1, error.slug)

    def committed(self, delta: Delta, names: Names, devices: Sequence[DeviceInterval]) -> None:
        """Take note of an interval that was committed."""
        ranking = rank_totals([(self._with_texts(Totals.of(delta), names), names)])
        reads, seconds = reads_of(delta), delta.seconds or 0.0
        with self._lock:
            for row in (*ranking.rows, *filter(None, (ranking.rest, ranking.own))):
                self._add(OWN if row is ranking.own else row.name, row.cost)
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
        """Return what statements with a category counted; the rest waits for its texts.

        A counter cannot go down, so what was added to one category cannot move to another.
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
                waits[place] = False  # of the category of what has no text
        there = np.flatnonzero(~np.array(waits, dtype=bool))
        return replace(
            counted,
            statements=[*(counted.statements[place] for place in there.tolist()), *come],
            statement_amounts=np.hstack([counted.statement_amounts[:, there], *columns]),
            statement_uncertain=[False] * (len(there) + len(come)),
        )

    def samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Yield name, values of its labels, and number, of all that is known now."""
        with self._lock:
            known = [*self._counts.items(), *self._values.items()]
        for (name, labels), value in known:
            yield name, (self.server, *labels), value
        yield "pgiostat_interval_asked_seconds", (self.server,), self.interval
        yield "pgiostat_up", (self.server,), float(self.is_up())

    def _add(self, category: str, cost: ReadCost) -> None:
        told: dict[str, float | None] = {
            "blocks_read": cost.blocks,
            "bytes_read": cost.bytes,
            "calls": cost.calls,
            "exec_seconds": None if cost.total_exec_us is None else cost.total_exec_us / 1e6,
            "read_seconds": cost.read_us / 1e6 if cost.timed_blocks else None,
        }
        for what, amount in told.items():
            if amount is not None:
                self._count(f"pgiostat_category_{what}_total", amount, category)

    def _count(self, name: str, amount: float, *labels: str) -> None:
        self._counts[name, labels] = self._counts.get((name, labels), 0.0) + amount

    def _set(self, name: str, value: float | None, *labels: str) -> None:
        if value is None:
            self._values.pop((name, labels), None)
        else:
            self._values[name, labels] = value


@dataclass(slots=True, eq=False)
class MetricsServer:
    """The page, of all servers that are collected now.

    servers: what is asked for them.  clock: seconds that only grow.  The page is made at most once
    a second, however often it is asked for.
    """

    servers: Callable[[], Sequence[Metrics]]
    clock: Callable[[], float] = time.monotonic
    _made: dict[tuple[str, bool], tuple[float, Answer]] = field(default_factory=dict)

    def collect(self) -> Iterator["Family"]:
        """Yield families of series, as prometheus_client asks for them."""
        from prometheus_client.metrics_core import (  # noqa: PLC0415 - the same
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        found: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        servers = [*self.servers()]
        for server in servers:
            for name, labels, value in server.samples():
                found.setdefault(name, []).append((labels, value))
        found["pgiostat_servers"] = [((), float(len(servers)))]
        found["pgiostat_build_info"] = [((version("pgiostat"),), 1.0)]
        for metric in METRICS:
            kind = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
            family = kind(metric.name, f"{metric.meaning}.", labels=metric.labels)
            for labels, value in sorted(found.get(metric.name, ())):
                family.add_metric([*map(terminal, labels)], value)
            yield family

    def answer(self, request: Request) -> Answer:
        """Return the page, or why there is none; nothing of a request is repeated."""
        if request.method not in _METHODS:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(_METHODS)})
        if request.path != PATH:
            return Answer(HTTPStatus.NOT_FOUND, f"The page is {PATH}.\n".encode(), _PLAIN)
        accepted = OPENMETRICS if OPENMETRICS in request.headers.get("accept", "") else ""
        kind = accepted, "gzip" in request.headers.get("accept-encoding", "")
        when, answer = self._made.get(kind, (-math.inf, None))
        if answer is None or self.clock() - when >= FRESH_SECONDS:
            answer = self._make(*kind)
            self._made[kind] = self.clock(), answer
        return answer

    def _make(self, accepted: str, is_short: bool) -> Answer:  # noqa: FBT001 - one of a pair
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - few ask for a page
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - the same

        registry = CollectorRegistry()
        registry.register(self)
        encoder, content_type = choose_encoder(accepted)
        body, headers = encoder(registry), {"Content-Type": content_type}
        if is_short:
            body, headers["Content-Encoding"] = gzip.compress(body, GZIP_LEVEL), "gzip"
        return Answer(HTTPStatus.OK, body, headers)

    def serve(self, address: Address, limits: Limits | None = None) -> Callable[[], None]:
        """Serve the page from a thread of its own; return what ends that.

        Raises PgiostatError metrics-missing, metrics-address.
        """
        if find_spec("prometheus_client") is None:
            raise PgiostatError(
                "the page for Prometheus needs a package that is not installed",
                detail="--metrics needs the Python package prometheus-client.",
                hint="pip install 'pgiostat[metrics]'",
                slug="metrics-missing",
            )
        try:
            listener = Listener(address.host, address.port, self.answer, limits)
        except (OSError, UnicodeError) as error:
            raise _address(address, error) from None
        listener.start()
        return listener.end


def _address(address: Address, error: OSError | UnicodeError) -> PgiostatError:
    number = getattr(error, "errno", None)
    taken = number == errno.EADDRINUSE
    # Of a name that leads nowhere the number is not the system's.
    told = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None)
    reason = told or "it is no name of a host"
    return PgiostatError(
        f"could not serve metrics on {address}: {reason}",
        hint="Another collector may be there: give each its own port." if taken else None,
        slug="metrics-address",
    )
