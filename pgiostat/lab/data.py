"""The sync system's data on a server: database, roles, schema, rows and version cache."""

import os
import secrets
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.cluster import Cluster, Setting
from pgiostat.lab.workload import schema, version_cache
from pgiostat.lab.workload.api import SCHEMA, connected
from pgiostat.lab.workload.schema import DataSize

__all__ = [
    "DBNAME",
    "SERVER_SETTINGS",
    "create_database",
    "drop_from_page_cache",
    "dsns_of",
    "is_loaded",
    "load_data",
    "required_bytes",
    "unload_data",
]

DBNAME = "sync"
SERVER_SETTINGS: dict[str, Setting] = {
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": True,
    "max_connections": 20,
    "max_parallel_workers_per_gather": 0,
    "maintenance_work_mem": "64MB",
    "max_wal_size": "2GB",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "fsync": False,  # the data can be made again
    "full_page_writes": False,
}
"""Of each server with these data."""
SCHEMA_COMMENT = "pgiostat's lab; made and dropped by it"
"""Marks a schema as the lab's."""
BYTES_PER_ROW = 420
"""With its index entry, the copy for an experiment's run, and WAL."""
MIN_BYTES = 400_000_000


def required_bytes(size: DataSize) -> int:
    """Return an upper limit of the disk space, in bytes, that data of a size take."""
    return MIN_BYTES + size.total * BYTES_PER_ROW


def create_database(
    cluster: Cluster, database: str = DBNAME, application: str = schema.WRITER
) -> None:
    """Create the database, the roles and their entries in the password file, where missing.

    Args:
        cluster: The running server.
        database: Its name.
        application: The role of the application.
    """
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [database])
        if found.fetchone() is None:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
    if f":{schema.READER}:" in cluster.passfile.read_text("utf-8"):
        return
    password = secrets.token_urlsafe(24)
    schema.create(cluster.dsn(database), password, application)
    with psycopg.connect(cluster.dsn(database), autocommit=True) as connection:
        connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(database), sql.Identifier(application)
            )
        )
    with cluster.passfile.open("a", encoding="utf-8") as entries:
        for role in (application, schema.READER):
            entries.write(f"*:*:*:{role}:{password}\n")


def dsns_of(
    cluster: Cluster, database: str = DBNAME, application: str = schema.WRITER
) -> tuple[str, str]:
    """Return the connection strings of the application and of the observer."""
    return cluster.dsn(database, application), cluster.dsn(database, schema.READER)


def is_loaded(dsn: str, size: DataSize) -> bool:
    """Return whether the lab's schema holds all data of a size."""
    return schema.is_loaded(_in_schema(dsn), size)


def load_data(dsn: str, size: DataSize, progress: schema.Progress | None = None) -> None:
    """Replace the lab's schema with all tables, rows and the cache; nothing else is touched.

    Raises:
        PgiostatError: lab-schema-foreign, if a schema of that name is not the lab's.
    """
    unload_data(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA {} IS {}").format(
                sql.Identifier(SCHEMA), sql.Literal(SCHEMA_COMMENT)
            )
        )
    schema.load(_in_schema(dsn), size, progress=progress, grantee="")
    with connected(dsn) as connection:
        version_cache.create(connection)
        version_cache.fill(connection, size.tables)
        connection.execute(f"VACUUM (FREEZE, ANALYZE) {version_cache.CACHE_TABLE}".encode())


def unload_data(dsn: str) -> None:
    """Drop the lab's schema, if it exists.

    Raises:
        PgiostatError: lab-schema-foreign, if a schema of that name is not the lab's.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
            [SCHEMA],
        ).fetchone()
        if row is None:
            return
        if row[0] != SCHEMA_COMMENT:
            raise PgiostatError(
                f'schema "{SCHEMA}" is not the lab\'s',
                detail="Its comment is not the one that the lab sets on its schemas.",
                hint="Use another database, or drop that schema.",
                slug="lab-schema-foreign",
            )
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(SCHEMA)))


def drop_from_page_cache(directory: Path) -> None:
    """Drop a directory's files from the operating system's cache, where that is possible."""
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


def _in_schema(dsn: str) -> str:
    """Return a connection string for sessions with the lab's schema alone on the search path."""
    return make_conninfo(dsn, options=f"-c search_path={SCHEMA}")
