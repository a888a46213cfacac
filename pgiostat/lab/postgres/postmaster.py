"""The server's main process: started, found, signalled and waited for."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.files import ClusterFiles, last_lines
from pgiostat.lab.postgres.processes import processes, wait_until

__all__ = ["Postmaster", "ShutdownMode"]

ShutdownMode = Literal["smart", "fast", "immediate"]

_SIGNALS: dict[ShutdownMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
# It holds the read end of a pipe and wakes when this process, which holds the write end, ends
# in any way.
_WATCHDOG = 'read -r _; exec "$0" stop -D "$1" -m fast -W -s'


class Postmaster:
    """The postmaster on a data directory, a child of this process or of another one.

    Args:
        files: of its cluster.
        binaries: the directory of postgres and pg_ctl.
    """

    def __init__(self, files: ClusterFiles, binaries: Path) -> None:
        self._files = files
        self._binaries = binaries
        self._child: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when it does not run."""
        return self.child_pid if self._child else self.pid_in_file()

    @property
    def child_pid(self) -> int | None:
        """The process id of a child, None without a child that runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    def pid_in_file(self) -> int | None:
        """Return the process id in postmaster.pid, None if it is that of another program now."""
        first = next(iter(self._files.postmaster_lines()), "")
        process = processes().get(int(first)) if first.isdecimal() else None
        return int(first) if process and str(self._files.data) in process.command else None

    def is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        lines = self._files.postmaster_lines()
        return len(lines) > 7 and lines[7].strip() == "ready"  # noqa: PLR2004 - the eighth line

    def spawn(self, *, watched: bool) -> None:
        """Start the process.

        Args:
            watched: a second process stops the server when this process ends.
        """
        # Nothing runs on this data directory, so a process with the number in the file is an
        # unrelated one.  PostgreSQL cannot know that, and would refuse to start.
        (self._files.data / "postmaster.pid").unlink(missing_ok=True)
        popen = self._files.account.popen
        with self._files.open_log() as log:
            self._child = popen([self._binaries / "postgres", "-D", self._files.data], output=log)
        if watched:
            self._watchdog = popen(
                ["/bin/sh", "-c", _WATCHDOG, self._binaries / "pg_ctl", self._files.data],
                stdin=subprocess.PIPE,
            )

    def end(self, mode: ShutdownMode, timeout: float) -> bool:
        """Signal the process and wait for its end; return whether it ended within the timeout."""
        pid = self.pid
        if pid is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, _SIGNALS[mode])
        return self._wait_for_end(pid, timeout)

    def kill(self, timeout: float) -> None:
        """Kill the process and all its children with SIGKILL, and wait for their end."""
        postmaster = self.pid
        if postmaster is None:
            return
        children = [pid for pid, process in processes().items() if process.parent == postmaster]
        # The postmaster first: it would treat the death of a child as that child's crash.
        for pid in (postmaster, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in (postmaster, *children):
            self._wait_for_end(pid, timeout)

    def kill_backend(self, pid: int, timeout: float) -> None:
        """Kill one child with SIGKILL, and wait until the server has recovered or ended.

        Raises:
            PgiostatError: not-a-backend, server-did-not-start.
        """
        postmaster, process = self.pid, processes().get(pid)
        if postmaster is None or process is None or process.parent != postmaster:
            raise PgiostatError(
                f"process {pid} does not belong to this server", slug="not-a-backend"
            )
        since = self._files.log_size()

        def recovered() -> bool:
            log = self._files.read_log(since)
            return "ready to accept connections" in log or self.pid is None

        os.kill(pid, signal.SIGKILL)
        if not wait_until(recovered, time.monotonic() + timeout, 0.01):
            raise PgiostatError(
                "PostgreSQL did not recover from a killed process",
                slug="server-did-not-start",
                detail=last_lines(self._files.read_log(since)),
            )

    def detach(self) -> None:
        """Leave the server to itself; from now on it is found by its data directory."""
        if self._child is not None:
            self._child.returncode = 0  # no warning about a child that runs on
        self._child = None

    def release(self) -> None:
        """Forget a process that has ended, and end its watchdog."""
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.communicate()
        self._child = self._watchdog = None

    def _wait_for_end(self, pid: int, timeout: float) -> bool:
        if self._child and self._child.pid == pid:
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
            return True
        return wait_until(lambda: pid not in processes(), time.monotonic() + timeout, 0.02)
