"""Does a server run on this machine?  It does if our backend process is in our /proc.

An address proves nothing: behind a tunnel, a forwarded port or a pooler 127.0.0.1 may be anywhere.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["BackendProcess", "Whereabouts", "find"]

PROC = Path("/proc")
_TOLERANCE = timedelta(seconds=5)
"""The kernel has the start of a process in hundredths of a second, but the start of the machine in
whole seconds, and that moves when the clock is set."""
_STARTTIME = 19
"""Field 22 of /proc/PID/stat, counted from the one behind the name: proc_pid_stat(5)."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a server runs, by its own account.

    Attributes:
        pid: Of our backend process, in the server's namespace.
        port: Our end of the connection, as the server sees it; None for a Unix socket.
        data_directory: None if our role may not read the setting.
    """

    host: str
    pid: int
    backend_start: datetime
    user: str
    database: str
    port: int | None
    data_directory: str | None


@dataclass(frozen=True, slots=True)
class BackendProcess:
    """Our backend process by its number here; contained: it has another one in a container."""

    pid: int
    contained: bool


def find(there: Whereabouts, proc: Path = PROC) -> BackendProcess | None:
    """Return our backend process; None if it does not run here, or is not visible."""
    try:
        booted = _booted(proc)
    except (OSError, ValueError):
        return None
    others = (int(path.name) for path in _listed(proc) if path.name.isdigit())
    for pid in (there.pid, *others):
        found = _matching(there, pid, proc, booted)
        if found is not None:
            return found
    return None


def _listed(proc: Path) -> Iterator[Path]:
    try:
        yield from proc.iterdir()
    except OSError:
        return


def _matching(there: Whereabouts, pid: int, proc: Path, booted: datetime) -> BackendProcess | None:
    """Return a process if it is our backend process."""
    place = proc / str(pid)
    try:
        numbers = _numbers((place / "status").read_text("utf-8", "replace"))
        if (numbers or [pid])[-1] != there.pid:
            return None
        title = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        stat = (place / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        ticks = int(stat[_STARTTIME])
    except (OSError, ValueError, IndexError):
        return None
    # PostgreSQL shows the client in the title of a process: init_ps_display (ps_status.c).
    ours = "[local]" if there.port is None else f"({there.port})"
    began = booted + timedelta(seconds=ticks / os.sysconf("SC_CLK_TCK"))
    if f" {there.user} {there.database} " not in title or ours not in title:
        return None
    if abs(began - there.backend_start) > _TOLERANCE:
        return None
    return BackendProcess(pid, len(numbers) > 1)


def _numbers(status: str) -> list[int]:
    """Return the pid of a process in each namespace, ours first: NSpid, since Linux 4.1."""
    line = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
    return [int(number) for number in line.split()[1:]]


def _booted(proc: Path) -> datetime:
    lines = (proc / "stat").read_text("ascii", "replace").splitlines()
    line = next((line for line in lines if line.startswith("btime ")), "")
    return datetime.fromtimestamp(int(line.removeprefix("btime ")), UTC)
