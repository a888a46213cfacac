"""Measuring a server's device beside its readings: in a thread of its own, waited for by nobody."""

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
"""How long a reading waits for one of the device, which is there in a millisecond or hangs."""
END_SECONDS = 1.0
RETRY = Backoff(first=60.0, longest=60.0)
MAX_WAITING = 1_200
"""Times that wait while nothing can be written: less than a day of minutes, for file_index.LATE."""

Choose = Callable[[DeviceOption, Whereabouts | None], DeviceSource | None]


@dataclass(slots=True)
class DeviceSampler:
    """Measures the device of one server.

    asked: which one, and by whom.  choose: finds who tells.  trouble: why nothing is measured, or
    why the last look failed.
    """

    option: DeviceOption
    choose: Choose
    clock: Callable[[], float]
    trouble: PgiostatError | None = None
    _there: Whereabouts | None = None
    _new: bool = False
    _source: DeviceSource | None = None
    _found: bool = False
    _due: float = 0.0
    _waiting: list[DeviceInterval] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _turn: Event = field(default_factory=Event)
    _idle: Event = field(default_factory=Event)
    _stop: bool = False
    _thread: Thread | None = None

    def retarget(self, there: Whereabouts | None) -> None:
        """Measure the device of a server that answers from somewhere, perhaps anew."""
        with self._lock:
            self._there, self._new = there, True
        if self._thread is None:
            self._idle.set()
            self._thread = Thread(target=self._work, name="device", daemon=True)
            self._thread.start()

    def poll(self) -> list[DeviceInterval]:
        """Ask for a look, and return what waits to be written; whoever hangs is not waited for."""
        source = self._source
        # While nothing can be written, what a kernel counts goes on adding up by itself.
        wanted = not self._waiting or source is None or source.every is not None
        if wanted and self._idle.is_set():
            self._idle.clear()
            self._turn.set()
            if source is None or source.every is None:
                self._idle.wait(PATIENCE_SECONDS)
        with self._lock:
            return list(self._waiting)

    def acknowledge(self, count: int) -> None:
        """Forget the first of what waited."""
        with self._lock:
            del self._waiting[:count]

    def end(self) -> None:
        """End the thread; one that hangs is left behind."""
        self._stop = True
        self._turn.set()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    @property
    def description(self) -> str:
        """What is measured, and by whom; empty if nothing is."""
        source = self._source
        return "" if source is None else source.description

    @property
    def is_expected(self) -> bool:
        """Whether trouble is somebody's to mend: a device was named, or was measured before."""
        return self.option.by_name or self._source is not None

    # in the thread

    def _work(self) -> None:
        while self._turn.wait() and not self._stop:
            self._turn.clear()
            try:
                self._look()
            except PgiostatError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - readings go on, and this is not unheard
                words = f"{type(error).__name__}: {error}"
                wrong = "the device cannot be read"
                self._failed(PgiostatError(wrong, detail=words, slug="device-missing"))
            self._idle.set()

    def _failed(self, error: PgiostatError) -> None:
        self.trouble = error
        self._due = max(self._due, self.clock() + RETRY.delay(1))

    def _look(self) -> None:
        self._find()
        source = self._source
        if source is None or self.clock() < self._due:
            return
        if source.every is not None:
            self._due = self.clock() + source.every
        found = source.poll()
        self.trouble = None
        with self._lock:
            self._waiting = [*self._waiting, *found][-MAX_WAITING:]

    def _find(self) -> None:
        """Find who tells, if a server is new, or it could not be found and may be by now."""
        with self._lock:
            there, new, self._new = self._there, self._new, False
        if not new and (self._found or self.clock() < self._due):
            return
        self._found, before = False, self._source
        try:
            source = self.choose(self.option, there)
        except PgiostatError as error:
            self._source = None
            # Only a new connection may lead to another machine.
            self._found = error.slug == ELSEWHERE
            raise
        self._found = True
        # The same device goes on: what it told is not told again.
        if before is None or source is None or before.description != source.description:
            self._source, self._due, self.trouble = source, 0.0, None
