"""One run: a server of its own, a healthy time, a fault, and a history of both."""

import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self, TypeAlias

import psycopg
from psycopg import sql

from benchmarks.why_systems import SYSTEMS, System
from pgiostat.lab.data import SERVER_SETTINGS, create_database
from pgiostat.lab.faults.fault import FaultTarget, InjectableFault
from pgiostat.lab.faults.incident import WorkloadIncident
from pgiostat.lab.postgres.cluster import Cluster, Setting

__all__ = ["HEALTHY", "Meta", "Times", "run", "template"]

Injected: TypeAlias = tuple[InjectableFault, str, FaultTarget]
"""A fault, its severity, and where it hits the system."""
HEALTHY = "none"
"""The name of a run without a fault."""
OBSERVER = "watcher"
LABEL = "server"
LAST_INTERVAL = 5.5
"""Seconds: an interval is whole in the window in which it begins, so it may end after that."""
SETTINGS: dict[str, Setting] = {
    **SERVER_SETTINGS,
    "shared_buffers": "16MB",
    "work_mem": "64MB",  # nothing spills without a fault
    "autovacuum": False,
    "jit": False,
}


@dataclass(frozen=True, slots=True)
class Times:
    """Lengths in seconds.

    Attributes:
        warm: From the first snapshot to the window before the fault.
        healthy: The window before the fault.
        gap: From the fault to the window after it: no interval is in both.
        fault: The window after the fault.
        settings: The same for a fault that is seen by a setting: these are read once a minute.
    """

    warm: float = 8
    healthy: float = 27
    gap: float = 5.5
    fault: float = 26
    settings: float = 52


@dataclass(slots=True)
class Meta:
    """What is known of a run beside its history.

    Attributes:
        version: The server's version.
        system: Name of the system.
        fault: Name of the fault, or HEALTHY.
        severity: Its severity.
        causes: The names of the cause that are right.
        statement: Part of the text of the victim.
        table: Its table.
        index: Its index.
        windows: Begin and end of the window before and of the one after.
        errors: What went wrong in the load.
    """

    version: str
    system: str
    fault: str
    severity: str = ""
    causes: tuple[str, ...] = ()
    statement: str = ""
    table: str = ""
    index: str = ""
    windows: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, version: str, system: str, injected: Injected | None) -> Self:
        """Return what is known before a run."""
        if injected is None:
            return cls(version, system, HEALTHY)
        fault, severity, target = injected
        return cls(version, system, fault.name, severity).labelled(fault, target)

    def labelled(self, fault: InjectableFault, target: FaultTarget) -> Self:
        """Return it with the truth as it is known now."""
        return replace(
            self,
            causes=tuple(each.value for each in fault.right_causes(target)),
            statement=target.statement,
            table=target.table,
            index=target.index,
        )

    @property
    def name(self) -> str:
        """A name for files."""
        words = (self.version, self.system, self.fault, self.severity)
        return "-".join(word for word in words if word).replace(" ", "_")

    def as_record(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def template(binaries: Path, work: Path, name: str) -> Cluster:
    """Return a stopped server with the data of a system, made if it is not there yet."""
    system = SYSTEMS[name]
    major = Cluster(binaries, work).major
    cluster = Cluster(binaries, work / f"template-{major}-{name}", settings=SETTINGS)
    done = cluster.directory / "complete"
    if done.exists():
        return cluster
    cluster.destroy()
    with cluster:
        create_database(cluster, system.database, system.application)
        system.load(cluster.dsn(system.database))
        password = secrets.token_urlsafe(16)
        with psycopg.connect(cluster.dsn(system.database), autocommit=True) as connection:
            role = sql.Identifier(OBSERVER)
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password))
            )
            connection.execute(sql.SQL("GRANT pg_monitor TO {}").format(role))
            connection.execute("CHECKPOINT")
        with cluster.passfile.open("a", encoding="utf-8") as entries:
            entries.write(f"*:*:*:{OBSERVER}:{password}\n")
    done.touch()
    return cluster


class _Traffic:
    """The load of a system, in a thread that connects again after a restart."""

    def __init__(self, system: System, dsn: str) -> None:
        self.name = ""
        self.errors: list[str] = []
        self._system, self._dsn = system, dsn
        self._stop = Event()
        self._thread = Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._system.work(self._dsn, self._stop, lambda: self.name)
            except psycopg.OperationalError:
                self._stop.wait(0.2)
            except Exception as error:  # noqa: BLE001 - reported with the result
                self.errors.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
                self._stop.wait(1.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)


@contextmanager
def _collector(dsn: str, history: Path) -> Iterator[None]:
    """Collect into a history, by the command that users run."""
    log = history.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pgiostat", "collect", dsn, "--history", str(history)),
                *("--interval", "5s", "--tables-interval", "3s", "--label", LABEL),
                *("--device", "none"),
            ],
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        process.kill()


def _execute(dsn: str, statements: Sequence[str], *, alone: bool = True) -> None:
    with psycopg.connect(dsn, autocommit=alone, application_name="migration") as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _after(seconds: float) -> datetime:
    """Return the time after some seconds."""
    Event().wait(seconds)
    return datetime.now(UTC)


@dataclass(slots=True)
class _Timeline:
    """What happens to a running server: a healthy time, the fault, a time with it."""

    cluster: Cluster
    system: System
    injected: Injected | None
    times: Times
    meta: Meta

    @property
    def _admin(self) -> str:
        return self.cluster.dsn(self.system.database)

    def run(self, history: Path) -> None:
        """Collect all of it into a history."""
        target = self.injected[2] if self.injected else FaultTarget("")
        _execute(self._admin, [*target.prepare, "CHECKPOINT"])
        dsn = self.cluster.dsn(self.system.database, self.system.application)
        observer = self.cluster.dsn(self.system.database, OBSERVER)
        with _Traffic(self.system, dsn) as traffic, _collector(observer, history):
            traffic.name = target.healthy
            begin = _after(self.times.warm)
            if self.injected is None:
                self._passes(begin, self.times.healthy + self.times.fault)
            else:
                self._passes(begin, self.times.healthy)
                _after(LAST_INTERVAL)
                self._with_fault(self.injected[0].on(target), traffic)
            _after(LAST_INTERVAL)
        self.meta.errors = traffic.errors[:5]

    def _passes(self, begin: datetime, seconds: float) -> None:
        """Let the time of a window pass."""
        self.meta.windows.append((begin.isoformat(), _after(seconds).isoformat()))

    def _with_fault(self, incident: WorkloadIncident, traffic: _Traffic) -> None:
        held = None
        if incident.holds_snapshot:
            held = psycopg.connect(self._admin)
            held.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            held.execute("SELECT txid_current()")
        _execute(self._admin, incident.cause, alone=incident.alone)
        if incident.restarts:
            self.cluster.restart()
        traffic.name = incident.traffic
        is_setting = any("ALTER SYSTEM" in each for each in incident.cause)
        seconds = self.times.settings if incident.restarts or is_setting else self.times.fault
        # After a restart the first interval counts, too: it began before.
        before_it = datetime.fromisoformat(self.meta.windows[0][1])
        self._passes(before_it if incident.restarts else _after(self.times.gap), seconds)
        if held is not None:
            held.close()


def run(
    binaries: Path,
    work: Path,
    name: str,
    injected: Injected | None,
    times: Times,
) -> tuple[Meta, Path]:
    """Run a system with a fault, or without one; return what was done, and the history.

    Args:
        binaries: The server's programs.
        work: Directory of templates, of the server, and of the history.
        name: The system.
        injected: The fault with its severity and target.
        times: Lengths.
    """
    system = SYSTEMS[name]
    origin = template(binaries, work, name)
    cluster = Cluster(origin.binaries, work / "server", settings=SETTINGS)
    cluster.destroy()
    cluster.initialise(copy_of=origin)
    history = work / "history"
    shutil.rmtree(history, ignore_errors=True)
    meta = Meta.of(cluster.version, name, injected)
    if injected is None:
        cluster.settings |= {"autovacuum": True}
    try:
        with cluster:
            _Timeline(cluster, system, injected, times, meta).run(history)
            cluster.stop("immediate")
    finally:
        cluster.destroy()
    return meta, history
