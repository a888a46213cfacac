"""A PostgreSQL cluster made from a directory of binaries, which ends with this process.

    with Cluster(embedded_binaries(), Path("lab"), settings={"shared_buffers": "16MB"}) as cluster:
        psycopg.connect(cluster.dsn())

It requires a password for every connection: a superuser without one would be open to all users of
the machine.  It stops when its owner leaves the context, exits, is interrupted or is killed.

The user `nobody` runs root's cluster (see `account`).  Files that nobody cannot reach, because they
lie below a closed directory such as /root, are placed under /var/lib/pgiostat, and that directory
stays closed; ``Cluster.notes`` names the new places.
"""

import atexit
import contextlib
import functools
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.account import server_account
from pgiostat.lab.postgres.binaries import embedded_binaries, reachable_binaries, server_version
from pgiostat.lab.postgres.disk_space import disk_full_error
from pgiostat.lab.postgres.files import ClusterFiles, Setting, last_lines, reachable_directory
from pgiostat.lab.postgres.initdb import create_data
from pgiostat.lab.postgres.postmaster import Postmaster, ShutdownMode
from pgiostat.lab.postgres.processes import pause, wait_until

__all__ = ["Cluster", "Setting", "ShutdownMode", "embedded_binaries", "free_port"]

# Below the range from which kernels take the ports of outgoing connections: any client may take a
# port of that range while the server restarts.
_PORTS = range(20000, 32000)
_TIMEOUT_SECONDS = 60.0


class Cluster:
    """A data directory, the server on it, and what is needed to reach it.

    Args:
        binaries: the directory of postgres, initdb and pg_ctl.
        directory: for the files of the cluster alone; created if missing.
        settings: written to the server's configuration at each start.
        port: by default a free one.

    Attributes:
        binaries, directory: where they really are, which may be another place.
        files: below the directory; data, log and passfile are the most used of them.
        notes: sentences on what differs from the arguments.
        settings: a change takes effect at the next start.
        user: the account that the server runs as, None if it is the current one.
    """

    def __init__(
        self,
        binaries: Path,
        directory: Path,
        *,
        settings: Mapping[str, Setting] | None = None,
        port: int | None = None,
    ) -> None:
        self._account = account = server_account()
        runs_as = account.name and f"The server runs as the user {account.name}, not as root."
        self.binaries, copied = reachable_binaries(binaries.absolute(), account)
        self.directory, moved = reachable_directory(directory.resolve(), account)
        self.notes = [note for note in (runs_as, copied, moved) if note]
        self.user = account.name or None
        self.files = ClusterFiles(self.directory, account)
        self.data = self.files.data
        self.log = self.files.log
        self.passfile = self.files.passfile
        self.settings: dict[str, Setting] = dict(settings or {})
        self.port = port
        self._port_is_fixed = port is not None
        self._postmaster = Postmaster(self.files, self.binaries)
        self._socket_directory: Path | None = None
        self._owner = os.getpid()
        self._log_start = 0

    def __enter__(self) -> Self:
        if not self.is_initialised():
            self.initialise()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After an error there is no wait for a checkpoint, which may be what failed: the WAL has
        # all that is committed.
        self.stop("immediate" if isinstance(error, Exception) else "fast")

    def __repr__(self) -> str:
        return f"Cluster({self.version!r}, {str(self.directory)!r}, port={self.port})"

    @functools.cached_property
    def version(self) -> str:
        """The server's version as it names it, such as 18.4."""
        return server_version(self.binaries, self._account)

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        return self._postmaster.pid

    @property
    def socket_directory(self) -> Path:
        """Where the Unix socket of the running server is."""
        if not self._socket_directory:
            raise _not_running(self)
        return self._socket_directory

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """Return a libpq connection string that is complete by itself.

        The password is in the passfile that it names.  The empty password overrides PGPASSWORD of
        the environment, and sslmode PGSSLMODE.
        """
        if self.port is None:
            raise _not_running(self)
        return make_conninfo(
            host="127.0.0.1",
            port=self.port,
            dbname=dbname,
            user=user,
            password="",
            passfile=str(self.passfile),
            sslmode="disable",
        )

    def is_initialised(self) -> bool:
        """Return whether there is a data directory."""
        return self.files.is_initialised()

    def is_running(self) -> bool:
        """Return whether a postmaster runs on the data directory, whoever started it."""
        return self.pid is not None

    def initialise(self, *, copy_of: "Cluster | None" = None, options: Sequence[str] = ()) -> None:
        """Create the data directory with initdb or, which is quicker, as a copy.

        Args:
            copy_of: the origin; the copy has its system identifier and its password.
            options: further arguments of initdb.
        """
        create_data(self.files, self.binaries, copy_of.files if copy_of else None, options)

    def start(self, *, outlives: bool = False) -> None:
        """Start the server and return when it accepts connections; do nothing if it runs already.

        Args:
            outlives: the server runs on when this process ends, until it is stopped.

        Raises:
            PgiostatError: cluster-missing, server-running, server-did-not-start, disk-full,
                bad-setting, socket-path-too-long, no-free-port.
        """
        if self._postmaster.child_pid:
            return
        if not self.is_initialised():
            raise PgiostatError(
                f'there is no cluster in "{self.directory}"', slug="cluster-missing"
            )
        if pid := self._postmaster.pid_in_file():
            raise PgiostatError(
                f'a server is running in "{self.directory}"',
                slug="server-running",
                detail=f"It was started by another process; its postmaster is process {pid}.",
                hint="Use that server, stop it, or name another directory.",
            )
        self._release()
        atexit.register(self._stop_at_exit)
        try:
            self._start_until_ready(time.monotonic() + _TIMEOUT_SECONDS, watched=not outlives)
        except BaseException:
            self._stop_at_exit()
            raise
        if outlives:
            atexit.unregister(self._stop_at_exit)
            self._postmaster.detach()
        # A restart keeps the port: callers have connection strings.
        self._port_is_fixed = True

    def attach(self) -> bool:
        """Find the address of a server that another process started; return whether it runs."""
        if not self.is_running():
            return False
        lines = self.files.postmaster_lines()
        self.port, self._socket_directory = int(lines[3]), Path(lines[4])
        self._port_is_fixed = True
        return True

    def stop(self, mode: ShutdownMode = "fast", *, timeout: float = _TIMEOUT_SECONDS) -> None:
        """Stop the server, whoever started it; do nothing if it does not run."""
        if not self._postmaster.end(mode, timeout):
            raise PgiostatError(
                f"PostgreSQL did not stop within {timeout:g} s",
                slug="server-did-not-stop",
                detail=last_lines(self.files.read_log()),
                hint=f"Mode {mode} may wait for clients; immediate waits for none.",
            )
        self._release()

    def restart(self, mode: ShutdownMode = "fast") -> None:
        """Stop and start; the port stays."""
        self.stop(mode)
        self.start()

    def kill_backend(self, pid: int) -> None:
        """Kill one process of the server with SIGKILL, and wait until the server has recovered."""
        self._postmaster.kill_backend(pid, _TIMEOUT_SECONDS)

    def kill_postmaster(self) -> None:
        """Kill all processes of the server with SIGKILL: a crash.  Its files stay as they were."""
        if not self.is_running():
            raise _not_running(self)
        self._postmaster.kill(_TIMEOUT_SECONDS)
        self._release()

    def destroy(self) -> None:
        """Stop the server and remove the files of the cluster, and no others."""
        self.stop("immediate")
        self.files.remove()
        with contextlib.suppress(OSError):  # other files may be in it
            self.directory.rmdir()

    def log_since_start(self) -> str:
        """Return the server's log from its last start on."""
        return self.files.read_log(self._log_start)

    def _start_until_ready(self, deadline: float, *, watched: bool) -> None:
        while (log := self._start_once(deadline, watched=watched)) is not None:
            port_was_taken = not self._port_is_fixed and "could not bind" in log
            # The processes of a killed server may need a moment to notice.
            transient = port_was_taken or "is still in use" in log
            if not transient or time.monotonic() > deadline:
                raise disk_full_error(log, self.directory) or PgiostatError(
                    f"PostgreSQL {self.version} did not start",
                    slug="server-did-not-start",
                    detail=last_lines(log),
                    hint=f'Its log is "{self.log}".',
                )
            if port_was_taken:
                self.port = None
            pause(0.05)

    def _start_once(self, deadline: float, *, watched: bool) -> str | None:
        """Return None when the server is ready, else its log until it gave up."""
        if self.port is None:
            self.port = free_port()
        self._socket_directory = self.files.make_socket_directory()
        self.files.write_settings(self.settings, self.port, self._socket_directory)
        self._log_start = self.files.log_size()
        server = self._postmaster
        server.spawn(watched=watched)
        if not wait_until(lambda: not server.child_pid or server.is_ready(), deadline, 0.01):
            self.stop("immediate")
        elif server.child_pid:
            return None
        self._release()
        return self.log_since_start()

    def _stop_at_exit(self) -> None:
        if os.getpid() != self._owner:
            return  # a forked child exits; the server is its parent's
        try:
            self.stop(timeout=20)
        except PgiostatError:
            self.stop("immediate", timeout=10)

    def _release(self) -> None:
        """Release what belonged to a server that has ended."""
        atexit.unregister(self._stop_at_exit)
        self._postmaster.release()
        if self._socket_directory and self._socket_directory.parent != self.directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
        self._socket_directory = None


def _not_running(cluster: Cluster) -> PgiostatError:
    return PgiostatError(
        f'the server in "{cluster.directory}" is not running', slug="server-not-running"
    )


def free_port() -> int:
    """Return a TCP port that nothing listens on, and that a restart finds free again.

    Raises:
        PgiostatError: no-free-port.
    """
    for _ in range(200):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise PgiostatError("no free port was found for the server", slug="no-free-port")
