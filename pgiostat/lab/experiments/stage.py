"""The servers that experiments run on."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from pgiostat.errors import PgiostatError
from pgiostat.lab.data import (
    create_database,
    drop_from_page_cache,
    dsns_of,
    is_loaded,
    load_data,
    required_bytes,
    unload_data,
)
from pgiostat.lab.environment import SETTINGS
from pgiostat.lab.postgres import disk_space
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.lab.server_errors import translate_errors
from pgiostat.lab.workload import schema
from pgiostat.lab.workload.api import SCHEMA, connected
from pgiostat.lab.workload.schema import DataSize
from pgiostat.postgres.dsn import check_dsn
from pgiostat.postgres.session import connect

__all__ = ["Stage"]


class Stage:
    """Copies of one stopped server, or a schema on another server.

    Args:
        root: the directory of the lab's own servers.
        size: of the data.
        dsn: of another server.
        settings: of the lab's own servers, beside those of all environments.
    """

    def __init__(
        self,
        root: Path,
        size: DataSize,
        dsn: str = "",
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        if dsn:
            check_dsn(dsn)
        self.size = size
        self._root, self._dsn = root, dsn
        configured = SETTINGS | dict(settings or {})
        self._origin = Cluster(embedded_binaries(), root / "made", settings=configured)
        self._copy = Cluster(embedded_binaries(), root / "run", settings=configured)

    @property
    def log(self) -> Path:
        """The log of a run's server."""
        return self._copy.log

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Exclude other experiments here: they would remove the data of these.

        Raises:
            PgiostatError: lab-running, and as pgiostat.postgres.session.connect does.
        """
        with ExitStack() as held:
            if self._dsn:
                # A server that pgiostat cannot read is refused before anything is made.
                held.enter_context(closing(connect(self._dsn).conn))
                guard = held.enter_context(connected(self._dsn))
                free = guard.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [SCHEMA])
                if free.fetchone() != (True,):
                    raise _running(f'database "{guard.info.dbname}"')
            else:
                self._root.mkdir(parents=True, exist_ok=True)
                file = held.enter_context((self._root / "lock").open("ab"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise _running(f'"{self._root}"') from None
            yield

    def prepare(self, progress: schema.Progress | None = None) -> None:
        """Make the data that all runs begin with, if they do not exist."""
        if self._dsn:
            return
        self._copy.destroy()
        if not self._origin.is_initialised():
            disk_space.require_space(required_bytes(self.size), self._origin.directory)
        with translate_errors(self._origin), self._origin:
            create_database(self._origin)
            dsn, _ = dsns_of(self._origin)
            if not is_loaded(dsn, self.size):
                load_data(dsn, self.size, progress)

    def remove(self) -> None:
        """Stop the servers, and remove all that was made."""
        if self._dsn:
            with translate_errors():
                unload_data(self._dsn)
            return
        self._copy.destroy()
        self._origin.destroy()

    @contextmanager
    def fresh(self) -> Iterator[tuple[str, str]]:
        """Yield connection strings to the original data, of the sync API and of the observer."""
        if self._dsn:
            with translate_errors():
                load_data(self._dsn, self.size)
            yield self._dsn, self._dsn
            return
        self._copy.destroy()
        with translate_errors(self._copy):
            self._copy.initialise(copy_of=self._origin)
            drop_from_page_cache(self._copy.data)
        try:
            with translate_errors(self._copy), self._copy:
                yield dsns_of(self._copy)
        finally:
            self._copy.destroy()


def _running(where: str) -> PgiostatError:
    return PgiostatError(
        f"other experiments are running in {where}",
        hint="Wait until they end, or stop them.",
        slug="lab-running",
    )
