"""Measuring a server's device beside its snapshots, in a thread that delays no snapshot."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from pgiostat.clock import Backoff
from pgiostat.errors import PgiostatError
from pgiostat.volume.device.backend_process import Whereabouts
from pgiostat.volume.device.discover import ELSEWHERE, DeviceOption
from pgiostat.volume.device.interval import DeviceInterval, DeviceSource

__all__ = ["DeviceSampler"]

PATIENCE_SECONDS = 0.1
"""How long a snapshot waits for the device, which answers in a millisecond or hangs."""
END_SECONDS = 1.0
RETRY = Backoff(first=60.0, longest=60.0)
MAX_WAITING = 1_200
"""Intervals kept while nothing can be written: less than a day of minutes, for file_index.LATE."""

Choose = Callable[[DeviceOption, Whereabouts | None], DeviceSource | None]


@dataclass(slots=True)
class DeviceSampler:
    """Measures the device of one server.

    Attributes:
        option: The device, as the user chose it.
        choose: Finds the source of its counters; None for no device.
        clock: Monotonic seconds.
        trouble: Why nothing is measured, or why the newest measurement failed.
    """

    option: DeviceOption
    choose: Choose
    clock: Callable[[], float]
    trouble: PgiostatError | None = None
    _where: Whereabouts | None = None
    _is_new: bool = False
    _source: DeviceSource | None = None
    _is_found: bool = False
    _due: float = 0.0
    _waiting: list[DeviceInterval] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _wanted: Event = field(default_factory=Event)
    _idle: Event = field(default_factory=Event)
    _stop: bool = False
    _thread: Thread | None = None

    def retarget(self, where: Whereabouts | None) -> None:
        """Find the device of the server of a new connection, and measure it from now on.

        Args:
            where: Where the server is, by its own answer; None without an answer.
        """
        with self._lock:
            self._where, self._is_new = where, True
        if self._thread is None:
            self._idle.set()
            self._thread = Thread(target=self._work, name="device", daemon=True)
            self._thread.start()

    def poll(self) -> list[DeviceInterval]:
        """Start a measurement, and return the intervals to be written; wait for no slow device."""
        source = self._source
        # While nothing can be written, the counters of the kernel continue to add up.
        wanted = not self._waiting or source is None or source.every is not None
        if wanted and self._idle.is_set():
            self._idle.clear()
            self._wanted.set()
            if source is None or source.every is None:
                self._idle.wait(PATIENCE_SECONDS)
        with self._lock:
            return list(self._waiting)

    def acknowledge(self, count: int) -> None:
        """Drop the first intervals: they are written."""
        with self._lock:
            del self._waiting[:count]

    def end(self) -> None:
        """End the thread; one that hangs is left behind."""
        self._stop = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    @property
    def description(self) -> str:
        """The device and the source of its counters; empty if nothing is measured."""
        source = self._source
        return "" if source is None else source.description

    @property
    def is_expected(self) -> bool:
        """Whether a failure is an incident: the device was named, or was measured before."""
        return self.option.by_name or self._source is not None

    # in the thread

    def _work(self) -> None:
        while self._wanted.wait() and not self._stop:
            self._wanted.clear()
            try:
                self._measure()
            except PgiostatError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - snapshots continue, and the log has it
                detail = f"{type(error).__name__}: {error}"
                message = "the device cannot be read"
                self._failed(PgiostatError(message, detail=detail, slug="device-missing"))
            self._idle.set()

    def _failed(self, error: PgiostatError) -> None:
        self.trouble = error
        self._due = max(self._due, self.clock() + RETRY.delay(1))

    def _measure(self) -> None:
        self._find()
        source = self._source
        if source is None or self.clock() < self._due:
            return
        if source.every is not None:
            self._due = self.clock() + source.every
        new = source.poll()
        self.trouble = None
        with self._lock:
            self._waiting = [*self._waiting, *new][-MAX_WAITING:]

    def _find(self) -> None:
        """Find the source after a new connection, or after a failure when a retry is due."""
        with self._lock:
            where, is_new, self._is_new = self._where, self._is_new, False
        if not is_new and (self._is_found or self.clock() < self._due):
            return
        self._is_found, before = False, self._source
        try:
            source = self.choose(self.option, where)
        except PgiostatError as error:
            self._source = None
            # Only a new connection may lead to another machine.
            self._is_found = error.slug == ELSEWHERE
            raise
        self._is_found = True
        # The source of the same device stays: a new one would repeat intervals.
        if before is None or source is None or before.description != source.description:
            self._source, self._due, self.trouble = source, 0.0, None
