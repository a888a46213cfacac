"""The service: collects from all servers until a signal or the end of its time."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from logging import Logger
from pathlib import Path
from threading import Event

import pyarrow as pa

from pgiostat.collector.fleet import Fleet, servers
from pgiostat.collector.log import (
    SERVICE_LABEL,
    ServerLog,
    error_line,
    server_log,
    status_line,
)
from pgiostat.collector.metrics_server import PATH, Address, MetricsServer
from pgiostat.collector.systemd import notify
from pgiostat.collector.targets import Plan
from pgiostat.errors import ExitStatus
from pgiostat.signals import Wake, on_sighup, stop_on_signals
from pgiostat.statistics.names import Describe
from pgiostat.unexpected import as_error

__all__ = ["run"]

STATUS_SECONDS = 10.0
OPEN_PAGE = "the metrics page has no password, and other machines can read it"
_M_ARENA_MAX = -8
"""mallopt(3), of glibc."""


def run(
    plan: Plan,
    root: Path,
    logger: Logger,
    *,
    ends: float | None = None,
    page: Address | None = None,
    describe: Describe | None = None,
    reread: Callable[[], Plan] | None = None,
) -> ExitStatus:
    """Collect from all servers until the time is over or a signal comes.

    Args:
        plan: The servers.
        root: The directory of the history.
        logger: The collector's logger.
        ends: After how many seconds to end; None for never.
        page: Where to serve metrics; None for nowhere.
        describe: Describes statements by category, for metrics.
        reread: Returns the plan of the configuration file at SIGHUP; None without a file.

    Returns:
        ERROR if no signal ended it and a server could not be collected to the end.

    Raises:
        PgiostatError: Metrics cannot be served.
    """
    _keep_little()
    wake = Wake()
    log = server_log(logger, SERVICE_LABEL)
    fleet = Fleet(root, logger, wake, ends, describe if page else None)
    end_page = MetricsServer(fleet.metrics).serve(page) if page else None
    stop, hangups = Event(), list[bool]()

    def hang_up() -> None:
        hangups.append(True)

    with (
        wake.by_signals(),
        stop_on_signals(stop),
        on_sighup(hang_up),
        status_line(logger, fleet.status),
    ):
        log.info(f"collecting {servers(len(plan.targets))} into {root}")
        if page:
            log.info(f"metrics on http://{page}{PATH}")
            if page.is_open:
                log.warning(OPEN_PAGE)
        fleet.follow(plan)
        notify("READY=1")
        while not stop.is_set():
            wake.wait(STATUS_SECONDS)
            if hangups:
                hangups.clear()
                plan = _reread(plan, reread, fleet, log)
            fleet.reap()
            if fleet.is_over:
                break
            notify(f"STATUS={fleet.status()}")
        notify("STOPPING=1")
        if stop.is_set():
            log.info("stopping after one more snapshot of each server")
        fleet.end()
        if end_page:
            end_page()
    return ExitStatus.ERROR if fleet.failed and not stop.is_set() else ExitStatus.DONE


def _keep_little() -> None:
    """Let neither Arrow nor malloc keep freed memory for each thread."""
    pa.set_memory_pool(pa.system_memory_pool())
    # All threads share one arena, where the C library has that option.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _reread(plan: Plan, reread: Callable[[], Plan] | None, fleet: Fleet, log: ServerLog) -> Plan:
    """Follow the plan of the file as it is now and return it; continue as before if it is wrong."""
    if reread is None:
        log.info("SIGHUP: there is no configuration file to reload")
        return plan
    try:
        new = reread()
    except Exception as raised:  # noqa: BLE001 - servers continue as before
        error = as_error(raised)
        log.warning(f"SIGHUP: nothing changed: {error_line(error)}")
        return plan
    changes = [*fleet.changes(new)]
    if new.keep != plan.keep:
        changes.append("retention changed")
    what = "; ".join(changes) or "nothing changed"
    log.info(f"SIGHUP: collecting {servers(len(new.targets))}: {what}")
    if new.history != plan.history:
        root = new.history or "the default"
        log.warning(f"the history changes to {root} at the next start")
    fleet.follow(new)
    return new
