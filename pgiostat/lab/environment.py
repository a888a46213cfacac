"""Environments of the lab: named servers with the sync system's data.

An environment is a PostgreSQL from a package, in a directory of the lab's; or a schema in a
database of another server.  It runs until it is taken down.

A clone is a copy of the files of another environment, which is stopped meanwhile: both begin with
the same pages, statistics and counters, down to the byte.  (CREATE DATABASE ... TEMPLATE would
leave the clone within the same server, with one cache for both; a base backup would have WAL to
replay.) The copy is dropped from the operating system's cache: a restored volume is cold.
"""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import psycopg

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.lab.data import (
    SERVER_SETTINGS,
    create_database,
    drop_from_page_cache,
    dsns_of,
    is_loaded,
    load_data,
    required_bytes,
    unload_data,
)
from pgiostat.lab.postgres import disk_space
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.lab.server_errors import translate_errors
from pgiostat.lab.workload import schema
from pgiostat.lab.workload.schema import DataSize
from pgiostat.postgres.dsn import check_dsn

__all__ = ["SETTINGS", "SIZE", "Environment", "Lab", "lab_directory"]

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")

SIZE = DataSize(clients=40, rows=1_000, tables=(*schema.TABLES, "note"), payload=190)
"""An experiment adds the last table."""

SETTINGS: dict[str, Setting] = {
    **SERVER_SETTINGS,
    "shared_buffers": "24MB",  # less than half of the data
    "checkpoint_timeout": "1d",
    # Background work would read at another moment in each run.
    "autovacuum": False,
    "jit": False,
}


def lab_directory() -> Path:
    """Return the directory of the environments, below the user's cache."""
    return platformdirs.user_cache_path("pgiostat") / "lab"


@dataclass(frozen=True, slots=True)
class Environment:
    """A server with the data.

    Attributes:
        place: the directory of the lab's own server.
        dsn: of another server; empty for the lab's own.
        origin: the environment that this one is a clone of.
    """

    name: str
    place: Path
    size: DataSize
    dsn: str = field(default="", repr=False)
    origin: str = ""

    @property
    def cluster(self) -> Cluster:
        """The lab's own server."""
        return Cluster(embedded_binaries(), self.place, settings=SETTINGS)

    def is_running(self) -> bool:
        """Return whether another server answers, or the postmaster of the lab's own runs."""
        if not self.dsn:
            return self.cluster.is_running()
        try:
            with psycopg.connect(self.dsn, connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def dsns(self) -> tuple[str, str]:
        """Return the connection strings of the sync API and of the observer.

        Raises:
            PgiostatError: server-not-running.
        """
        if self.dsn:
            return self.dsn, self.dsn
        cluster = self.cluster
        if not cluster.attach():
            raise PgiostatError(
                f'environment "{self.name}" is not running',
                hint=f"Start it with: pgiostat lab up {self.name}",
                slug="server-not-running",
            )
        return dsns_of(cluster)


class Lab:
    """The environments below a directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or lab_directory()

    def environments(self) -> list[Environment]:
        """Return all environments, by name."""
        return [self._read(path) for path in sorted(self.root.glob("*.json"))]

    def get(self, name: str) -> Environment:
        """Return an environment.

        Raises:
            PgiostatError: environment-unknown, environment-invalid, environment-unreadable.
        """
        path = self._record(name)
        if not path.exists():
            there = ", ".join(each.name for each in self.environments())
            raise PgiostatError(
                f'there is no environment "{name}"',
                hint=f"Environments: {there}." if there else "Create one with: pgiostat lab up",
                slug="environment-unknown",
                status=ExitStatus.USAGE,
            )
        return self._read(path)

    def up(
        self, name: str, size: DataSize, dsn: str = "", progress: schema.Progress | None = None
    ) -> Environment:
        """Make an environment, on the lab's own server or on another one, or start an existing one.

        Raises:
            PgiostatError: environment-invalid, dsn-invalid, lab-schema-foreign, lab-forbidden,
                disk-full, and the cluster's.
        """
        if self._record(name).exists():
            there = self.get(name)
            if dsn and dsn != there.dsn:
                raise _invalid(f'environment "{name}" already exists', "Choose another name.")
            if not there.dsn and not there.cluster.is_running():
                there.cluster.start(outlives=True)
            with translate_errors():
                if there.dsn and not is_loaded(there.dsn, there.size):
                    load_data(there.dsn, there.size, progress)
            return there
        if dsn:
            check_dsn(dsn)
        made = Environment(name, self.root / name, size, dsn)
        if dsn:
            with translate_errors():
                load_data(dsn, size, progress)
        else:
            _build(made, progress)
        self._write(made)
        return made

    def clone(self, source: str, target: str) -> Environment:
        """Make an environment with the files of another one, which is stopped meanwhile.

        Raises:
            PgiostatError: environment-unknown, environment-invalid, environment-busy, disk-full.
        """
        origin = self.get(source)
        if origin.dsn:
            raise _invalid(
                f'environment "{source}" cannot be cloned',
                "The lab does not run its server and cannot copy the files.",
            )
        if self._record(target).exists():
            raise _invalid(f'environment "{target}" already exists', "Choose another name.")
        made = Environment(target, self.root / target, origin.size, origin=source)
        server, copy = origin.cluster, made.cluster
        runs = server.attach()
        if runs:
            with translate_errors(server):
                _refuse_if_in_use(source, server)
        server.stop()
        try:
            with translate_errors(copy):
                copy.destroy()
                copy.initialise(copy_of=server)
                drop_from_page_cache(copy.data)
        finally:
            if runs:
                server.start(outlives=True)
        try:
            with translate_errors(copy):
                copy.start(outlives=True)
        except BaseException:
            copy.destroy()
            raise
        self._write(made)
        return made

    def down(self, name: str, *, remove: bool = False) -> Environment:
        """Stop an environment; remove its data as well, or the lab's schema on another server."""
        there = self.get(name)
        if not there.dsn:
            there.cluster.stop()
            if remove:
                there.cluster.destroy()
        elif remove:
            with translate_errors():
                unload_data(there.dsn)
        if remove:
            self._record(name).unlink()
        return there

    def _record(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise _invalid(
                f'invalid name of an environment: "{name}"',
                "Use lower-case letters, digits and _, with a letter first.",
            )
        return self.root / f"{name}.json"

    def _write(self, made: Environment) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        record = {"size": asdict(made.size), "dsn": made.dsn, "origin": made.origin}
        path = self._record(made.name)
        draft = path.with_suffix(".draft")
        draft.touch(0o600)  # a connection string may contain a password
        draft.write_text(json.dumps(record) + "\n", "utf-8")
        draft.rename(path)

    def _read(self, path: Path) -> Environment:
        try:
            record: dict[str, Any] = json.loads(path.read_text("utf-8"))
            size = DataSize.from_record(record["size"])
            place = self.root / path.stem
            return Environment(path.stem, place, size, record["dsn"], record["origin"])
        except (ValueError, KeyError, TypeError) as error:
            raise PgiostatError(
                f'could not read the description of environment "{path.stem}": "{path}"',
                detail=f"{type(error).__name__}: {error}.",
                hint="Remove it and the directory next to it, and create the environment again.",
                slug="environment-unreadable",
            ) from None


def _build(made: Environment, progress: schema.Progress | None) -> None:
    disk_space.require_space(required_bytes(made.size), made.place)
    cluster = made.cluster
    cluster.destroy()  # the rest of one that was interrupted
    try:
        with translate_errors(cluster), cluster:
            create_database(cluster)
            load_data(dsns_of(cluster)[0], made.size, progress)
            cluster.stop()
        with translate_errors(cluster):
            cluster.start(outlives=True)
    except BaseException:
        cluster.destroy()
        raise


def _refuse_if_in_use(name: str, server: Cluster) -> None:
    """Raise PgiostatError environment-busy if a client is connected to a server."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        found = connection.execute(
            "SELECT DISTINCT coalesce(nullif(application_name, ''), usename) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1"
        ).fetchall()
    if found:
        raise PgiostatError(
            f'environment "{name}" is in use',
            detail=f"Connected are: {', '.join(str(who) for (who,) in found)}.",
            hint="Its server stops while it is copied: disconnect these first.",
            slug="environment-busy",
        )


def _invalid(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="environment-invalid", status=ExitStatus.USAGE)
