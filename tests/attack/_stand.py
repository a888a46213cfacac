"""Where faults are tried: a server of a version, its other, and a trial of each fault."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.conninfo import make_conninfo

from pgiostat.lab.postgres.cluster import Cluster, Setting
from tests.attack._clock import SkewedClock, binaries_of, clock_library, with_clock
from tests.attack._marked import (
    INTERVAL_SECONDS,
    MARKED,
    TABLE,
    Application,
    Collect,
    Reader,
    Verdict,
    Watch,
    judged,
    until,
)
from tests.attack._proxy import FaultyProxy
from tests.support.servers import INITDB_OPTIONS, SETTINGS, ClusterServer

__all__ = ["FEW", "Needs", "Stand", "Trial", "socket_of", "stand"]

PATIENCE_SECONDS = 75.0
"""How long a reader may take to go on after a fault: it waits up to 30 s between attempts."""
AROUND_SECONDS = 0.8
"""How long the application runs before a fault and after it."""
STOOD: dict[str, Setting] = SETTINGS | {
    "shared_buffers": "2MB",
    "pg_stat_statements.max": 5000,
    "pg_stat_statements.track": "top",
    "checkpoint_timeout": "1h",
}
FEW: dict[str, Setting] = {"pg_stat_statements.max": 100}
"""Settings under which entries are evicted."""
PAST = 300
"""How often the marked statement ran on a server that nobody read."""
COMMON = "common"
"""A database that the other server and the standby have, too."""
ROLES = (
    "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'app'",
    "CREATE ROLE mon LOGIN PASSWORD 'mon'",
    "GRANT pg_monitor TO mon",
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a trial of a fault needs.

    Attributes:
        settings: Of the server, besides the usual.
        extension: Version of pg_stat_statements to begin with, the newest if empty.
        proxy: Whether the readers come through a proxy; "both" if the application does, too.
        beside: What else there is with the same databases and a past of its own, "other" or
            "standby".
        standby: Whether it runs on a standby.
        skewed: Whether the readers go by a clock of their own.
        small_disk: Megabytes of the disk of the history, if it is to have one of its own.
    """

    settings: dict[str, Setting] = field(default_factory=dict)
    extension: str = ""
    proxy: str = ""
    beside: str = ""
    standby: bool = False
    skewed: bool = False
    small_disk: bool = False


class Stand:
    """Servers of one version.

    Attributes:
        server: What is attacked.
        clock: Its clock, None where there is no C compiler.
        readers_clock: The clock of readers that need one.
    """

    def __init__(self, major: int, scratch: Path) -> None:
        self.major = major
        self.scratch = scratch
        scratch.mkdir()
        scratch.chmod(0o755)
        self.clock: SkewedClock | None = None
        self.readers_clock: SkewedClock | None = None
        binaries = Cluster(binaries_of(major), scratch / "unused").binaries
        library = clock_library(scratch)
        if library is not None:
            self.clock = SkewedClock(library, scratch / "server.clock")
            self.readers_clock = SkewedClock(library, scratch / "readers.clock")
            binaries = with_clock(binaries, self.clock, scratch / "bin")
        self._binaries = binaries
        self._copies: dict[str, ClusterServer] = {}
        self._numbers = iter(range(1, 1_000))
        cluster = Cluster(binaries, scratch / "server", settings=STOOD)
        cluster.initialise(options=INITDB_OPTIONS)
        cluster.start()
        self.server = ClusterServer(cluster)
        with self.server.connect() as connection:
            for statement in ROLES:
                connection.execute(statement.encode())
        self.make_database(COMMON, "")

    def close(self) -> None:
        """End and remove all servers."""
        for server in (*self._copies.values(), self.server):
            server.destroy()

    def make_database(self, name: str, extension: str) -> None:
        """Make a database with the marked table and the extension."""
        with self.server.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        with self.server.connect(name) as connection:
            version = f" VERSION '{extension}'" if extension else ""
            connection.execute(f"CREATE EXTENSION pg_stat_statements{version}".encode())
            for statement in TABLE:
                connection.execute(statement.encode())

    def number(self) -> int:
        """Return a number for a trial."""
        return next(self._numbers)

    def mend(self, settings: dict[str, Setting]) -> None:
        """Let the server run with these settings, whatever the last trial left."""
        cluster = self.server.cluster
        wanted = STOOD | settings
        if cluster.settings != wanted or not self.server.is_running():
            self.server.stop()
            cluster.settings = wanted
            self.server.start()

    def other(self) -> ClusterServer:
        """Return another server with the same identifier and databases."""
        if "other" not in self._copies:
            self._copied("other", {})
        return self._copies["other"]

    def standby(self) -> ClusterServer:
        """Return a standby of the server; another one each time."""
        if old := self._copies.pop("standby", None):
            old.destroy()
        password = self.server.cluster.passfile.read_text("utf-8").strip().rpartition(":")[2]
        address = (
            f"host=127.0.0.1 port={self.server.cluster.port} user=postgres password={password}"
        )
        return self._copied("standby", {"primary_conninfo": address})

    def _copied(self, name: str, settings: dict[str, Setting]) -> ClusterServer:
        self.server.stop()
        copy = Cluster(
            self._binaries, self.scratch / f"{name}-{self.number()}", settings=STOOD | settings
        )
        copy.initialise(copy_of=self.server.cluster)
        if settings:
            signal = copy.data / "standby.signal"
            signal.touch()
            owner = copy.data.stat()
            os.chown(signal, owner.st_uid, owner.st_gid)
        self.server.start()
        copy.start()
        self._copies[name] = ClusterServer(copy)
        return self._copies[name]


def socket_of(server: ClusterServer) -> Path:
    """Return the socket that a server listens on."""
    return server.cluster.socket_directory / f".s.PGSQL.{server.cluster.port}"


@contextmanager
def stand(major: int, scratch: Path) -> Iterator[Stand]:
    """Yield the servers of a version."""
    made = Stand(major, scratch / f"stand-{major}")
    try:
        yield made
    finally:
        made.close()


class Trial:
    """The marked statement, both readers, and the server that a fault is done to."""

    def __init__(self, where: Stand, needs: Needs) -> None:
        self.stand = where
        self.needs = needs
        self.ids: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as made:
            self._make(made)
            self._stack = made.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _make(self, made: ExitStack) -> None:
        where, needs = self.stand, self.needs
        where.mend(needs.settings)
        self.server = where.standby() if needs.standby else where.server
        number = where.number()
        self.place = where.scratch / f"trial-{number}"
        self.place.mkdir()
        if needs.beside or needs.standby:
            self.database = COMMON
            self.beside = self._with_a_past() if needs.beside else self.server
        else:
            self.database = f"trial_{number}"
            where.make_database(self.database, needs.extension)
            made.callback(self._drop_database)
        made.callback(self._forget_settings)
        self.proxy: FaultyProxy | None = None
        if needs.proxy:
            self.proxy = FaultyProxy(socket_of(self.server))
            made.callback(self.proxy.close)
        self.application = Application(self.dsn("app", proxied=needs.proxy == "both"))
        made.callback(self.application.stop)
        self.history = self.place / "history"
        if needs.small_disk:
            self.history = made.enter_context(_small_disk(self.place / "disk")) / "history"
        clock = where.readers_clock if needs.skewed else None
        environment = clock.environment if clock else None
        dsn = self.dsn("mon", proxied=bool(needs.proxy))
        self.collect = Collect(dsn, self.place, environment, self.history)
        self.watch = Watch(dsn, self.place, environment)
        for each in self.readers:
            made.callback(each.kill)

    def _with_a_past(self) -> ClusterServer:
        """Return the other server, which has done much before the trial begins."""
        make = self.stand.other if self.needs.beside == "other" else self.stand.standby
        server = make()
        with server.connect(COMMON) as connection:
            # A copy has the statements of what it is a copy of; a standby has its own.
            connection.execute("SELECT pg_stat_statements_reset()")
            for _ in range(PAST):
                connection.execute(MARKED)
        Event().wait(3 * INTERVAL_SECONDS)
        return server

    @property
    def readers(self) -> tuple[Reader, ...]:
        """Both."""
        return self.watch, self.collect

    def dsn(self, user: str, *, database: str = "", proxied: bool = False) -> str:
        """Return the connection string of a role whose password is its name."""
        port = self.proxy.listens_at if proxied and self.proxy else self.server.cluster.port
        return make_conninfo(
            self.server.dsn(database or self.database), user=user, password=user, port=port
        )

    def sql(self, *statements: str, database: str = "") -> list[tuple[Any, ...]]:
        """Run statements as the superuser; return the rows of the last."""
        with self.server.connect(database or self.database) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def wait(self, seconds: float) -> None:
        """Let all go on for a time."""
        Event().wait(seconds)

    def turns(self, count: int, *, of: tuple[Reader, ...] = ()) -> str:
        """Wait for so many intervals of the readers; return who had none."""
        readers = of or self.readers
        before = [each.intervals_so_far() for each in readers]

        def went_on() -> bool:
            return all(
                each.process.poll() is not None or each.intervals_so_far() >= then + count
                for each, then in zip(readers, before, strict=True)
            )

        until(went_on, PATIENCE_SECONDS)
        return ", ".join(
            each.name
            for each, then in zip(readers, before, strict=True)
            if each.intervals_so_far() < then + count
        )

    def begin(self) -> None:
        """Wait until both readers read, and let the application begin."""
        if late := self.turns(1):
            said = "".join(each.err.read_text("utf-8", "replace") for each in self.readers)
            msg = f"{late} did not begin: {said[-600:]}"
            raise RuntimeError(msg)
        self.application.start()
        self.identify()
        self.wait(AROUND_SECONDS)

    def identify(self, database: str = "") -> None:
        """Learn the queryid of the marked statement, which differs from database to database."""
        until(lambda: bool(self._found(database or self.database)), 20)

    def _found(self, database: str) -> set[str]:
        with suppress(psycopg.Error):
            schema = self.sql(
                "SELECT extnamespace::regnamespace::text FROM pg_extension"
                " WHERE extname = 'pg_stat_statements'", database=database,
            )[0][0]  # fmt: skip
            rows = self.sql(
                f"SELECT queryid::text FROM {schema}.pg_stat_statements AS s"
                " JOIN pg_database AS d ON d.oid = s.dbid AND d.datname = current_database()"
                " WHERE query LIKE 'SELECT count(pad) AS marked%'", database=database,
            )  # fmt: skip
            found = {row[0] for row in rows}
            self.ids |= found
            return found
        return set()

    def end(self, *, loses: bool) -> dict[str, Verdict]:
        """End all; return the verdict on each reader."""
        self.wait(AROUND_SECONDS)
        self.identify()
        self.application.stop()
        late = self.turns(2)
        verdicts = {}
        for reader in self.readers:
            wrong = reader.end()
            if not wrong and reader.name in late:
                said = reader.err.read_text("utf-8", "replace")
                wrong = f"no interval within {PATIENCE_SECONDS:g} s of the end: {said[-300:]}"
            if wrong:
                verdicts[reader.name] = Verdict("ended", wrong)
                continue
            figures = reader.figures(frozenset(self.ids))
            verdicts[reader.name] = judged(figures, self.application.executions, loses=loses)
        return verdicts

    def _drop_database(self) -> None:
        with suppress(psycopg.Error):
            self.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)", database="postgres")

    def _forget_settings(self) -> None:
        """Undo what a fault may have left behind."""
        for clock in (self.stand.clock, self.stand.readers_clock):
            if clock is not None:
                clock.set_ahead(0)
        with suppress(psycopg.Error):
            self.sql("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()", database="postgres")


@contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    from tests.support.disks import small_disk  # noqa: PLC0415 - pytest is not needed for the others

    with small_disk(place, 4) as disk:
        yield disk
