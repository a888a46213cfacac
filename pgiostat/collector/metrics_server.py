"""Serving the metrics over HTTP, in the formats of Prometheus and OpenMetrics."""

import errno
import gzip
import ipaddress
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pgiostat.collector.listener import Answer, Limits, Listener, Request
from pgiostat.collector.metrics import METRICS, Metrics
from pgiostat.errors import PgiostatError, invalid_option
from pgiostat.escape import terminal
from pgiostat.extras import install_hint

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

__all__ = ["PATH", "Address", "MetricsServer", "parse_address"]

HOST = "127.0.0.1"
_ADDRESS = re.compile(
    r"(?:(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[\w.-]+)):)?(?P<port>[0-9]{1,5})"
)
PATH = "/metrics"
FRESH_SECONDS = 1.0
"""How old a page may be: making one takes time from the snapshots."""
GZIP_LEVEL = 1
OPENMETRICS = "application/openmetrics-text"
_METHODS = ("GET", "HEAD")
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the metrics are served."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach it."""
        try:
            return not ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return self.host != "localhost"


def parse_address(text: str) -> Address:
    """Return an address written as [HOST:]PORT.

    >>> parse_address("9187"), parse_address("[::1]:9187")
    (Address(host='127.0.0.1', port=9187), Address(host='::1', port=9187))

    Raises:
        PgiostatError: option-invalid.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535:  # noqa: PLR2004 - the largest there is
        raise invalid_option(
            "invalid address for metrics",
            hint="Write it like 9187, only for this machine, or 0.0.0.0:9187 or [::1]:9187.",
        )
    return Address(found["six"] or found["host"] or HOST, int(found["port"]))


@dataclass(slots=True, eq=False)
class MetricsServer:
    """Serves the metrics of all servers that are collected now, at most one new page a second.

    Attributes:
        servers: Returns their metrics.
        clock: Monotonic seconds.
    """

    servers: Callable[[], Sequence[Metrics]]
    clock: Callable[[], float] = time.monotonic
    _made: dict[tuple[str, bool], tuple[float, Answer]] = field(default_factory=dict)

    def collect(self) -> Iterator["Family"]:
        """Yield families of series, as prometheus_client calls for them."""
        from prometheus_client.metrics_core import (  # noqa: PLC0415 - optional
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
            make = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
            family = make(metric.name, f"{metric.meaning}.", labels=metric.labels)
            for labels, value in sorted(found.get(metric.name, ())):
                family.add_metric([*map(terminal, labels)], value)
            yield family

    def answer(self, request: Request) -> Answer:
        """Return the page, or an error; no text of a request is in either."""
        if request.method not in _METHODS:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(_METHODS)})
        if request.path != PATH:
            return Answer(HTTPStatus.NOT_FOUND, f"The page is {PATH}.\n".encode(), _PLAIN)
        accepted = OPENMETRICS if OPENMETRICS in request.headers.get("accept", "") else ""
        key = accepted, "gzip" in request.headers.get("accept-encoding", "")
        when, answer = self._made.get(key, (-math.inf, None))
        if answer is None or self.clock() - when >= FRESH_SECONDS:
            answer = self._make(*key)
            self._made[key] = self.clock(), answer
        return answer

    def _make(self, accepted: str, is_short: bool) -> Answer:  # noqa: FBT001 - one of a pair
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - optional
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - optional

        registry = CollectorRegistry()
        registry.register(self)
        encoder, content_type = choose_encoder(accepted)
        body, headers = encoder(registry), {"Content-Type": content_type}
        if is_short:
            body, headers["Content-Encoding"] = gzip.compress(body, GZIP_LEVEL), "gzip"
        return Answer(HTTPStatus.OK, body, headers)

    def serve(self, address: Address, limits: Limits | None = None) -> Callable[[], None]:
        """Serve the page from a thread of its own.

        Args:
            address: Where.
            limits: What clients may take.

        Returns:
            A function that ends it.

        Raises:
            PgiostatError: metrics-missing or metrics-address.
        """
        if find_spec("prometheus_client") is None:
            raise PgiostatError(
                "the metrics page needs a package that is not installed",
                detail="--metrics needs the Python package prometheus-client.",
                hint=install_hint("metrics"),
                slug="metrics-missing",
            )
        try:
            listener = Listener(address.host, address.port, self.answer, limits)
        except (OSError, UnicodeError) as error:
            raise _address_error(address, error) from None
        listener.start()
        return listener.end


def _address_error(address: Address, error: OSError | UnicodeError) -> PgiostatError:
    number = getattr(error, "errno", None)
    taken = number == errno.EADDRINUSE
    # The error of an unknown host name has a number that is not the system's.
    known = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None)
    reason = known or "it is not a host name"
    return PgiostatError(
        f"could not serve metrics on {address}: {reason}",
        hint="Another collector may use it: give each one its own port." if taken else None,
        slug="metrics-address",
    )
