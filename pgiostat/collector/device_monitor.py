"""The device beside a server: measured at each interval, with a log line when it changes."""

from collections.abc import Callable
from dataclasses import dataclass

from pgiostat.collector.incidents import IncidentLog
from pgiostat.collector.log import ServerLog
from pgiostat.statistics.snapshot import RESUMED
from pgiostat.volume.device.backend_process import Whereabouts
from pgiostat.volume.device.discover import ELSEWHERE
from pgiostat.volume.device.interval import DeviceInterval
from pgiostat.volume.device.sampler import DeviceSampler

__all__ = ["DeviceMonitor"]


@dataclass(slots=True)
class DeviceMonitor:
    """Measures a server's device and logs what is measured, or why nothing is.

    Attributes:
        sampler: Measures.
        incidents: Logs failures.
        log: The log.
    """

    sampler: DeviceSampler
    incidents: IncidentLog
    log: ServerLog
    _session: int = RESUMED
    _logged: tuple[str, str] = ("", "")

    def measure(
        self, session: int, whereabouts: Callable[[], Whereabouts | None]
    ) -> list[DeviceInterval]:
        """Return intervals of the device that are not acknowledged yet.

        Args:
            session: Number of the connection: a new one may lead to another machine.
            whereabouts: Returns where the server of this connection is.
        """
        if session != self._session:
            where = whereabouts()
            with self.incidents.guard("device"):
                self.sampler.retarget(where)
            self._session = session
        devices: list[DeviceInterval] = []
        with self.incidents.guard("device"):
            devices = self.sampler.poll()
            self._log_change()
        return devices

    def _log_change(self) -> None:
        error = self.sampler.trouble
        if error is not None and self.sampler.is_expected:
            self.incidents.begin_error("device", error)
            return
        self.incidents.end("device")
        slug, what = (
            ("", self.sampler.description) if error is None else (error.slug, error.message)
        )
        # On another machine there is nothing to measure: it has no line.
        if what and slug != ELSEWHERE and (slug, what) != self._logged:
            self._logged = slug, what
            self.log.info(f"device: {'unknown: ' * bool(slug)}{what}")
