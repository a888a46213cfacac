"""Environments of the lab: servers with the sync system's data, each with a name of its own.

One is a PostgreSQL from a package, in a directory of the lab's; or a schema of its own in a
database that somebody else runs.  It stays up until it is taken down.

A clone is a copy of the files of the other one, which is stopped meanwhile: so both begin with
the same pages, statistics and counters, down to the byte.  (CREATE DATABASE ... TEMPLATE would
leave the clone within the same server, with one cache for both; a base backup would have WAL to
replay.) What was copied is dropped from the operating system's cache: a restored volume is cold.
"""

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgiostat.errors import ExitStatus, PgiostatError
from pgiostat.lab.postgres import disk_space
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries
from pgiostat.lab.workload import schema, version_cache
from pgiostat.lab.workload.api import SCHEMA, connected
from pgiostat.lab.workload.schema import DataSize
from pgiostat.postgres.dsn import check_dsn

__all__ = [
    "SETTINGS",
    "SIZE",
    "Environment",
    "Lab",
    "cold",
    "lab_directory",
    "load_data",
    "translate_errors",
]

DBNAME = "sync"
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
MARK = "pgiostat's lab; made and dropped by it"

SIZE = DataSize(clients=40, rows=1_000, tables=(*schema.TABLES, "note"), payload=190)
"""The last table is the one that an experiment adds."""

SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": True,
    "shared_buffers": "24MB",  # less than half of the data
    "max_connections": 20,
    "max_parallel_workers_per_gather": 0,
    "maintenance_work_mem": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "1d",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "fsync": False,  # a lab's data can be made again
    "full_page_writes": False,
    # What comes by on its own would read at another moment in each run.
    "autovacuum": False,
    "jit": False,
}


def lab_directory() -> Path:
    """Return where environments are, below the user's cache."""
    return platformdirs.user_cache_path("pgiostat") / "lab"


@dataclass(frozen=True, slots=True)
class Environment:
    """A server with the data.  dsn: somebody else's server; origin: of which it is a clone."""

    name: str
    place: Path
    size: DataSize
    dsn: str = field(default="", repr=False)
    origin: str = ""

    @property
    def cluster(self) -> Cluster:
        """The server, if it is ours."""
        return Cluster(embedded_binaries(), self.place, settings=SETTINGS)

    def is_running(self) -> bool:
        """Tell whether it answers, or its postmaster is there."""
        if not self.dsn:
            return self.cluster.is_running()
        try:
            with psycopg.connect(self.dsn, connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def dsns(self) -> tuple[str, str]:
        """Return the connection strings of the sync API and of who watches.

        Raises PgiostatError server-not-running.
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
        return cluster.dsn(DBNAME, schema.WRITER), cluster.dsn(DBNAME, schema.READER)


class Lab:
    """The environments below a directory."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or lab_directory()

    def environments(self) -> list[Environment]:
        """Return all, by name."""
        return [self._read(path) for path in sorted(self.root.glob("*.json"))]

    def get(self, name: str) -> Environment:
        """Return one.  Raises PgiostatError environment-unknown, with those that there are."""
        path = self._describe(name)
        if not path.exists():
            there = ", ".join(each.name for each in self.environments())
            raise PgiostatError(
                f'there is no environment "{name}"',
                hint=f"There are: {there}." if there else "Make one with: pgiostat lab up",
                slug="environment-unknown",
                status=ExitStatus.USAGE,
            )
        return self._read(path)

    def up(
        self, name: str, size: DataSize, dsn: str = "", progress: schema.Progress | None = None
    ) -> Environment:
        """Make an environment, or start the one that there is.

        Raises PgiostatError: environment-invalid, dsn-invalid, lab-schema-foreign, lab-forbidden,
        disk-full, and the cluster's.
        """
        if self._describe(name).exists():
            there = self.get(name)
            if dsn and dsn != there.dsn:
                raise _invalid(f'there is an environment "{name}" already', "Choose another name.")
            if not there.dsn and not there.cluster.is_running():
                there.cluster.start(outlives=True)
            with translate_errors():
                if there.dsn and not schema.is_loaded(inside(there.dsn), there.size):
                    load_data(there.dsn, there.size, progress)
            return there
        if dsn:
            check_dsn(dsn)
        made = Environment(name, self.root / name, size, dsn)
        if dsn:
            with translate_errors():
                load_data(dsn, size, progress)
        else:
            self._build(made, progress)
        self._write(made)
        return made

    def _build(self, made: Environment, progress: schema.Progress | None) -> None:
        disk_space.require_space(bytes_of(made.size), made.place)
        cluster = made.cluster
        cluster.destroy()  # what is left of one whose making was cut short
        try:
            with translate_errors(cluster), cluster:
                checkpoint(cluster)
                load_data(cluster.dsn(DBNAME, schema.WRITER), made.size, progress)
                cluster.stop()
            with translate_errors(cluster):
                cluster.start(outlives=True)
        except BaseException:
            cluster.destroy()
            raise

    def clone(self, source: str, target: str) -> Environment:
        """Make an environment with the files of another one, which is stopped meanwhile.

        Raises PgiostatError: environment-unknown, environment-invalid, environment-busy, disk-full.
        """
        origin = self.get(source)
        if origin.dsn:
            raise _invalid(
                f'environment "{source}" cannot be cloned',
                "Its server is not the lab's: its files are nobody's to copy.",
            )
        if self._describe(target).exists():
            raise _invalid(f'there is an environment "{target}" already', "Choose another name.")
        made = Environment(target, self.root / target, origin.size, origin=source)
        server, copy = origin.cluster, made.cluster
        runs = server.attach()
        if runs:
            with translate_errors(server):
                _alone(source, server)
        server.stop()
        try:
            with translate_errors(copy):
                copy.destroy()
                copy.initialise(copy_of=server)
                cold(copy.data)
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
        """Stop an environment; remove: its data too, and in somebody else's database the schema."""
        there = self.get(name)
        if not there.dsn:
            there.cluster.stop()
            if remove:
                there.cluster.destroy()
        elif remove:
            with translate_errors():
                unload_data(there.dsn)
        if remove:
            self._describe(name).unlink()
        return there

    def _describe(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise _invalid(
                f'"{name}" is no name for an environment',
                "It is made of small letters, digits and _, and begins with a letter.",
            )
        return self.root / f"{name}.json"

    def _write(self, made: Environment) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        told = {"size": asdict(made.size), "dsn": made.dsn, "origin": made.origin}
        path = self._describe(made.name)
        draft = path.with_suffix(".draft")
        draft.touch(0o600)  # a connection string may hold a password
        draft.write_text(json.dumps(told) + "\n", "utf-8")
        draft.rename(path)

    def _read(self, path: Path) -> Environment:
        try:
            told: dict[str, Any] = json.loads(path.read_text("utf-8"))
            size = DataSize(**(told["size"] | {"tables": tuple(told["size"]["tables"])}))
            return Environment(path.stem, self.root / path.stem, size, told["dsn"], told["origin"])
        except (ValueError, KeyError, TypeError) as error:
            raise PgiostatError(
                f'"{path}" does not tell what environment "{path.stem}" is',
                detail=f"{type(error).__name__}: {error}.",
                hint="Remove it, and the directory beside it, and make the environment anew.",
                slug="environment-unreadable",
            ) from None


def checkpoint(cluster: Cluster) -> None:
    """Make the database, the roles and their entries in the password file, where missing."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DBNAME])
        if found.fetchone() is None:
            connection.execute(f'CREATE DATABASE "{DBNAME}"'.encode())
    if f":{schema.READER}:" in cluster.passfile.read_text("utf-8"):
        return
    password = secrets.token_urlsafe(24)
    schema.create(cluster.dsn(DBNAME), password)
    with psycopg.connect(cluster.dsn(DBNAME), autocommit=True) as connection:
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(DBNAME), sql.Identifier(schema.WRITER)
            )
        )
    with cluster.passfile.open("a", encoding="utf-8") as entries:
        for role in (schema.WRITER, schema.READER):
            entries.write(f"*:*:*:{role}:{password}\n")


def inside(dsn: str) -> str:
    """Return a connection string whose sessions see the lab's schema alone."""
    return make_conninfo(dsn, options=f"-c search_path={SCHEMA}")


def _alone(name: str, server: Cluster) -> None:
    """Raise PgiostatError environment-busy if somebody works with a server."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        found = connection.execute(
            "SELECT DISTINCT coalesce(nullif(application_name, ''), usename) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1"
        ).fetchall()
    if found:
        raise PgiostatError(
            f'environment "{name}" is in use',
            detail=f"Connected are: {', '.join(str(who) for (who,) in found)}.",
            hint="It would be stopped while it is copied: end these first.",
            slug="environment-busy",
        )


def load_data(dsn: str, size: DataSize, progress: schema.Progress | None = None) -> None:
    """Make the schema with all tables, rows and the cache anew; nothing else is touched.

    Raises PgiostatError lab-schema-foreign if there is a schema of that name that is not the lab's.
    """
    unload_data(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(SCHEMA), sql.Literal(MARK))
        )
    schema.load(inside(dsn), size, progress=progress, grantee="")
    with connected(dsn) as connection:
        version_cache.create(connection)
        version_cache.fill(connection, size.tables)
        connection.execute(f"VACUUM (FREEZE, ANALYZE) {version_cache.CACHE_TABLE}".encode())


def unload_data(dsn: str) -> None:
    """Drop the schema, if it is the lab's."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
            [SCHEMA],
        ).fetchone()
        if row is None:
            return
        if row[0] != MARK:
            raise PgiostatError(
                f'schema "{SCHEMA}" is not the lab\'s',
                detail="Its comment is not the one that the lab gives to what it makes.",
                hint="Use another database, or drop that schema yourself.",
                slug="lab-schema-foreign",
            )
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(SCHEMA)))


BYTES_PER_ROW = 420
"""With its entry in the index, the copy that a run is made on, and WAL."""
LEAST_BYTES = 400_000_000


def bytes_of(size: DataSize) -> int:
    """Return how much room an environment takes at most."""
    return LEAST_BYTES + size.total * BYTES_PER_ROW


@contextlib.contextmanager
def translate_errors(cluster: Cluster | None = None) -> Iterator[None]:
    """Tell what keeps the lab from its work as what to do about it."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise disk_space.full(str(error).split("\n", 1)[0]) from error
    except psycopg.errors.InsufficientPrivilege as error:
        said = str(error).splitlines()[0]
        raise PgiostatError(
            f"the lab may not do what it needs: {said}",
            detail=f'It makes a schema "{SCHEMA}" of its own, and touches nothing else.',
            hint="Another user's lab is in this database: use another one."
            if SCHEMA in said
            else "GRANT CREATE ON DATABASE … TO the user of the connection string.",
            slug="lab-forbidden",
        ) from error
    except psycopg.OperationalError as error:
        # One that ran out of room may be up again, or about to be, when it is looked after.
        if cluster is not None and (
            full := disk_space.disk_full_error(cluster.last_words(), cluster.directory)
        ):
            raise full from error
        if cluster is not None and not cluster.is_running():
            last = cluster.last_words().strip().rpartition("\n")[2]
            raise PgiostatError(
                "the lab's server has ended",
                detail=f"{_first_line(error)}{f'; it said last: {last}' if last else ''}",
                slug="server-not-running",
            ) from error
        raise PgiostatError(
            "the lab cannot reach its server", detail=_first_line(error), slug="server-unreachable"
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise PgiostatError(
            "the lab's data are not there any more",
            detail=_first_line(error),
            hint="Make them anew with: pgiostat lab up",
            slug="lab-data-missing",
        ) from error
    except psycopg.Error as error:
        raise PgiostatError(
            "the lab's server does not do what it is asked to",
            detail=_first_line(error),
            slug="lab-failed",
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_space.full(f"{error.filename}: {error.strerror}") from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def cold(directory: Path) -> None:
    """Drop the files of a directory from the operating system's cache, where it can be asked to."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def _invalid(message: str, hint: str) -> PgiostatError:
    return PgiostatError(message, hint=hint, slug="environment-invalid", status=ExitStatus.USAGE)
