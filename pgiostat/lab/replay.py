"""Traffic sent to environments: to several at once, in one order, at the trace's pace or faster."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier, BrokenBarrierError
from threading import Event as Flag
from time import monotonic

from pgiostat.errors import PgiostatError
from pgiostat.lab.environment import translate_errors
from pgiostat.lab.workload import version_cache
from pgiostat.lab.workload.api import Api, Rows, connected
from pgiostat.lab.workload.client import Clients, Skipping
from pgiostat.lab.workload.resume import Newest, resume
from pgiostat.lab.workload.trace import Event, Operation, Trace

__all__ = ["ReplayTarget", "Sent", "Setup", "replay"]

Done = Callable[[int], None]
"""Told how many events have been sent to all."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the sync system is set up.

    tables: those it has.  off: requests that are not sent.  cache: of versions, if there is one.
    """

    tables: tuple[str, ...]
    off: frozenset[Operation] = frozenset()
    cache: version_cache.Design | None = None
    skipping: Skipping = field(default_factory=Skipping)


@dataclass(frozen=True, slots=True)
class ReplayTarget:
    """Where traffic is sent to."""

    name: str
    dsn: str = field(repr=False)
    setup: Setup


@dataclass(slots=True)
class Sent:
    """What was sent to one target.

    requests: by operation.  looked: versions that all rows were looked at for.  late: by how many
    seconds each event was behind the trace's time; none where it is replayed as fast as it goes.
    captured: the requests, as a trace.
    """

    name: str
    events: int = 0
    seconds: float = 0.0
    requests: Counter[Operation] = field(default_factory=Counter)
    looked: int = 0
    late: list[float] = field(default_factory=list)
    captured: list[Event] = field(default_factory=list)


class Sender:
    """Sends events to one target, one after the other; newest: as of Clients."""

    def __init__(
        self,
        target: ReplayTarget,
        trace: Trace,
        connection: version_cache.Connection,
        newest: Newest | None = None,
    ) -> None:
        self.sent = Sent(target.name)
        self._at = 0.0
        self._api = Api(connection, trace.size, target.setup.off, target.setup.cache, self._heard)
        setup = target.setup
        self._clients = Clients(self._api, setup.tables, setup.skipping, newest)

    def _heard(self, operation: Operation, client: int, table: str, rows: Rows) -> None:
        self.sent.requests[operation] += 1
        self.sent.captured.append(Event(self._at, client, operation, table, rows))

    def send(self, event: Event) -> None:
        """Send what an event asks for."""
        self._at = event.at
        self._clients.happens(event)
        self.sent.events += 1
        self.sent.looked = self._api.looked

    def forget(self) -> None:
        """Count from here on."""
        self.sent = Sent(self.sent.name)
        self._api.looked = 0


def replay(
    trace: Trace,
    targets: Sequence[ReplayTarget],
    *,
    speed: float = 1.0,
    stop: Flag | None = None,
    done: Done | None = None,
) -> list[Sent]:
    """Send a trace to all targets at once, each on a connection of its own, in the trace's order.

    speed: how many times faster than the trace tells; 0 for as fast as each target answers.
    Raises PgiostatError when a target cannot be reached or is lost; the others end as well.
    """
    ending, ready = stop or Flag(), Barrier(len(targets))
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        sending = [
            pool.submit(
                _replay, trace, target,
                speed=speed, ready=ready, stop=ending, done=None if n else done,
            )
            for n, target in enumerate(targets)
        ]  # fmt: skip
        failed: PgiostatError | None = None
        found = []
        for future in sending:
            try:
                found.append(future.result())
            except PgiostatError as error:
                failed = failed or error
    if failed is not None:
        raise failed
    return found


def _replay(
    trace: Trace,
    target: ReplayTarget,
    *,
    speed: float,
    ready: Barrier,
    stop: Flag,
    done: Done | None,
) -> Sent:
    try:
        with translate_errors(), connected(target.dsn) as connection:
            newest = resume(connection, trace.size.tables, target.setup.cache)
            sender = Sender(target, trace, connection, newest)
            ready.wait()
            began = monotonic()
            for event in trace.events:
                if speed:
                    due = began + event.at / speed
                    stop.wait(max(0.0, due - monotonic()))
                    sender.sent.late.append(max(0.0, monotonic() - due))
                if stop.is_set():
                    break
                sender.send(event)
                if done is not None:
                    done(sender.sent.events)
            sender.sent.seconds = monotonic() - began
            return sender.sent
    except BrokenBarrierError:
        return Sent(target.name)  # another cannot begin, and says why
    except BaseException as error:
        stop.set()
        ready.abort()
        if isinstance(error, PgiostatError):
            error.message = f'environment "{target.name}": {error.message}'
        raise
