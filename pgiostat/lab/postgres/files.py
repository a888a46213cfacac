"""The files of a cluster: directories, ownership, settings, log."""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.account import Account

__all__ = ["ClusterFiles", "Setting", "last_lines", "reachable_directory", "shared_directory"]

Setting = str | int | bool

_SHARED_DIRECTORY = Path("/var/lib/pgiostat")
_SOCKET_NAME = ".s.PGSQL.65535"
# sun_path holds 108 bytes on Linux and 104 on macOS and the BSDs, with the closing NUL.
_SOCKET_PATH_LIMIT = 103
_LAST_LINES = 12


class ClusterFiles:
    """The files below a cluster's directory.

    Attributes:
        account: the server's user, who owns them.
        data: PostgreSQL's data directory.
        unfinished: the data directory while it is created.
        log: the server's log.
        passfile: the superuser's password, for libpq's passfile; not readable by the server.
        password_argument: the same password while initdb reads it.
    """

    def __init__(self, directory: Path, account: Account) -> None:
        self.directory = directory
        self.account = account
        self.data = directory / "data"
        self.unfinished = directory / "data.unfinished"
        self.log = directory / "server.log"
        self.passfile = directory / "passfile"
        self.password_argument = directory / "initdb.password"

    def is_initialised(self) -> bool:
        """Return whether there is a data directory."""
        return (self.data / "PG_VERSION").exists()

    def create_directory(self) -> None:
        """Create the directory, private to the server's user.

        Raises:
            PgiostatError: directory-not-empty, directory-not-writable.
        """
        _make_directory(self.directory)
        if any(self.directory.iterdir()):
            raise PgiostatError(
                f'directory "{self.directory}" is not empty',
                slug="directory-not-empty",
                hint="Name a directory that does not exist yet.",
            )
        self.directory.chmod(0o700)
        self.account.take_ownership(self.directory)

    def remove(self) -> None:
        """Remove the cluster's files; the passfile goes last, because it marks them as its own."""
        if not self.passfile.exists():
            return
        for directory in (self.data, self.unfinished, self.directory / "socket"):
            if directory.exists():
                shutil.rmtree(directory)
        for file in (self.log, self.password_argument, self.passfile):
            file.unlink(missing_ok=True)

    def write_private(self, path: Path, text: str, *, server_reads: bool = True) -> None:
        """Replace a private file, which the server's user or the current user owns."""
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            if server_reads:
                self.account.take_ownership(file.fileno())
            file.write(text)

    def write_settings(self, settings: Mapping[str, Setting], port: int, sockets: Path) -> None:
        """Write the part of the configuration that each start replaces.

        Raises:
            PgiostatError: bad-setting.
        """
        written: dict[str, Setting] = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": f'"{sockets}"',
            "lc_messages": "C",  # the start looks for English messages in the log
            **settings,
        }
        text = "".join(f"{name} = {_quoted(name, value)}\n" for name, value in written.items())
        self.write_private(self.data / "pgiostat.conf", text)

    def make_socket_directory(self) -> Path:
        """Return a new private directory for the Unix socket, elsewhere if its path is too long.

        Raises:
            PgiostatError: socket-path-too-long.
        """
        inside = self.directory / "socket"
        if len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_LIMIT:
            if inside.exists():
                shutil.rmtree(inside)  # a lock file in it may name an unrelated process
            inside.mkdir(0o700)
            self.account.take_ownership(inside)
            return inside
        for place in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - mkdtemp's is private
            if len(os.fsencode(place)) <= _SOCKET_PATH_LIMIT // 2 and self.account.can_enter(place):
                outside = Path(tempfile.mkdtemp(prefix="pgiostat-", dir=place))
                self.account.take_ownership(outside)
                return outside
        raise PgiostatError(
            f'no place for the socket of a server in "{self.directory}"',
            slug="socket-path-too-long",
            detail=f"The path of a Unix socket has at most {_SOCKET_PATH_LIMIT} bytes.",
            hint="Name a directory with a shorter path.",
        )

    def postmaster_lines(self) -> list[str]:
        """Return the lines of postmaster.pid, empty without the file.

        The first is the process id, the fourth the port, the fifth the directory of the socket, and
        the eighth the status.
        """
        try:
            return (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def open_log(self) -> BinaryIO:
        """Open the log, for appending."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return os.fdopen(os.open(self.log, flags, 0o600), "ab")

    def log_size(self) -> int:
        """Return the length of the log in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def read_log(self, since: int = 0) -> str:
        """Return the log from a position in bytes."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode("utf-8", "replace")


def reachable_directory(directory: Path, account: Account) -> tuple[Path, str]:
    """Return a directory for a cluster that an account can enter.

    Returns:
        The directory itself, or a substitute in the shared directory; and a sentence about the
        substitute, empty without one.
    """
    if not account.name:
        return directory, ""
    above = next(parent for parent in directory.parents if parent.exists())
    # Where a file is in the way, the creation of the directory reports it.
    if account.can_enter(above) or not above.is_dir():
        return directory, ""
    identity = hashlib.sha256(str(directory).encode()).hexdigest()
    place = shared_directory() / f"{directory.name}-{identity[:12]}"
    return place, f"Its data is in {place}, because {account.name} cannot reach {directory}."


def shared_directory() -> Path:
    """Return root's directory for files that the server's user must reach.

    Raises:
        PgiostatError: unsafe-directory, directory-not-writable.
    """
    _make_directory(_SHARED_DIRECTORY)
    found = _SHARED_DIRECTORY.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise PgiostatError(
            f'"{_SHARED_DIRECTORY}" is not a directory that only root can write to',
            slug="unsafe-directory",
        )
    _SHARED_DIRECTORY.chmod(0o755)  # independent of the umask
    return _SHARED_DIRECTORY


def last_lines(text: str) -> str:
    """Return the end of a program's output, short enough for an error message."""
    return "\n".join(text.rstrip().splitlines()[-_LAST_LINES:])


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PgiostatError(
            f'could not create the directory "{directory}"',
            slug="directory-not-writable",
            detail=f"The system reports: {error.strerror}.",
        ) from error


def _quoted(name: str, value: Setting) -> str:
    r"""Return a value in the syntax of postgresql.conf.

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
