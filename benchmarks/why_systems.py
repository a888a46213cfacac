"""The systems that faults are injected into: two of the lab, and two that no rule was tuned on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

from benchmarks import why_desk, why_sensors
from pgiostat.lab.data import DBNAME
from pgiostat.lab.faults.fault import FaultTargets
from pgiostat.lab.workload import faults as sync_faults
from pgiostat.lab.workload import load as sync
from pgiostat.lab.workload import schema
from pgiostat.lab.workload.shop import faults as shop_faults
from pgiostat.lab.workload.shop import model, pages, rows

__all__ = ["SYSTEMS", "System"]

Work = Callable[[str, Event, Callable[[], str]], object]


@dataclass(frozen=True, slots=True)
class System:
    """An application.

    Attributes:
        database: The name of its database.
        application: Its role.
        load: Makes tables and rows; the argument is a superuser's connection string.
        work: Sends the traffic that a function names, until an event.
        targets: Where faults hit it.
    """

    database: str
    application: str
    load: Callable[[str], object]
    work: Work
    targets: FaultTargets


def _sync_work(dsn: str, stop: Event, traffic: Callable[[], str]) -> int:
    return sync.run(dsn, stop, traffic=traffic)


def _shop_work(dsn: str, stop: Event, traffic: Callable[[], str]) -> int:
    return pages.run(dsn, stop, traffic=traffic)


SYSTEMS: Mapping[str, System] = {
    "sync": System(DBNAME, schema.WRITER, schema.load, _sync_work, sync_faults.TARGETS),
    "shop": System(model.SHOP, model.SHOP, rows.load, _shop_work, shop_faults.TARGETS),
    "desk": System(why_desk.NAME, why_desk.NAME, why_desk.load, why_desk.work, why_desk.TARGETS),
    "sensors": System(
        why_sensors.NAME,
        why_sensors.NAME,
        why_sensors.load,
        why_sensors.work,
        why_sensors.TARGETS,
    ),
}
