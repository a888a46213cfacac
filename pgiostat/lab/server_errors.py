"""The server's errors during the lab's work, as errors that name the remedy."""

import contextlib
import errno
from collections.abc import Iterator

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres import disk_space
from pgiostat.lab.postgres.cluster import Cluster
from pgiostat.lab.workload.api import SCHEMA

__all__ = ["translate_errors"]


@contextlib.contextmanager
def translate_errors(cluster: Cluster | None = None) -> Iterator[None]:
    """Raise errors of PostgreSQL and of the file system as PgiostatError.

    Args:
        cluster: the server, if it is the lab's own: its log may name the cause.

    Raises:
        PgiostatError: disk-full, lab-forbidden, server-not-running, server-unreachable,
            lab-data-missing, lab-failed.
    """
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise disk_space.full(str(error).split("\n", 1)[0]) from error
    except psycopg.errors.InsufficientPrivilege as error:
        message = str(error).splitlines()[0]
        raise PgiostatError(
            f"the lab lacks a privilege: {message}",
            detail=f'It creates its own schema "{SCHEMA}" and changes nothing else.',
            hint="Another user's lab is in this database: use another one."
            if SCHEMA in message
            else "GRANT CREATE ON DATABASE … TO the user of the connection string.",
            slug="lab-forbidden",
        ) from error
    except psycopg.OperationalError as error:
        raise _lost(error, cluster) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise PgiostatError(
            "the lab's data no longer exist",
            detail=_first_line(error),
            hint="Create them again with: pgiostat lab up",
            slug="lab-data-missing",
        ) from error
    except psycopg.Error as error:
        raise PgiostatError(
            "a statement of the lab failed on its server",
            detail=_first_line(error),
            slug="lab-failed",
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_space.full(f"{error.filename}: {error.strerror}") from error
        raise


def _lost(error: psycopg.OperationalError, cluster: Cluster | None) -> PgiostatError:
    """Return the cause of a lost connection, if the server's log names it."""
    if cluster is not None:
        # A server that ran out of disk space may be up again by now: the log decides.
        log = cluster.log_since_start()
        if full := disk_space.disk_full_error(log, cluster.directory):
            return full
        if not cluster.is_running():
            last = log.strip().rpartition("\n")[2]
            return PgiostatError(
                "the lab's server has stopped",
                detail=f"{_first_line(error)}{f'; last line of its log: {last}' if last else ''}",
                slug="server-not-running",
            )
    return PgiostatError(
        "the lab cannot reach its server", detail=_first_line(error), slug="server-unreachable"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
