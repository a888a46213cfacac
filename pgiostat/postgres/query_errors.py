"""psycopg's exceptions for failed queries as errors of pgiostat."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.escape import identifier
from pgiostat.postgres.driver import dbname_of, user_of
from pgiostat.postgres.dsn import redacted
from pgiostat.postgres.refusal import sentence
from pgiostat.postgres.session_settings import LIMITS_BY_SQLSTATE, STATEMENT_TIMEOUT
from pgiostat.unexpected import unreadable_reply

__all__ = ["explain", "not_preloaded"]

_LOOK_ALIKE = "Another schema has a function of the same name; pgiostat doctor shows it."


@contextmanager
def explain(conn: psycopg.Connection[Any] | None = None) -> Iterator[None]:
    """Turn psycopg's errors into ours: connection-lost, session-limit, extension-…, query-failed.

    Any other exception while an answer is unpacked becomes reply-unreadable.
    """
    try:
        yield
    except psycopg.errors.ObjectNotInPrerequisiteState as error:  # 55000, of many things
        raise (not_preloaded(error) if _is_not_preloaded(error) else _failed(error)) from None
    except psycopg.errors.InsufficientPrivilege as error:  # 42501
        raise _denied(error) from None
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        if error.sqlstate in LIMITS_BY_SQLSTATE:
            raise _over_limit(error, conn) from None
        if error.sqlstate == "57014" and "user request" in str(error):
            raise PgiostatError(
                "a query for statistics was canceled on the server",
                detail=sentence(str(error).splitlines()[0]),
                slug="reading-canceled",
            ) from None
        if error.sqlstate == "57014":  # query_canceled: our statement_timeout
            raise PgiostatError(
                "reading the statistics took too long",
                detail=sentence(str(error).splitlines()[0]),
                hint=f"The limit is {STATEMENT_TIMEOUT}, or behind a pooler that drops our settings"
                " the statement_timeout of the role or the database.",
                slug="reading-timed-out",
            ) from None
        if conn is None or conn.closed or conn.broken or (error.sqlstate or "").startswith("57P"):
            raise PgiostatError(
                "connection to the server was lost",
                detail=sentence(redacted(str(error)).splitlines()[0]) if str(error) else None,
                slug="connection-lost",
            ) from None
        raise _failed(error) from None
    except psycopg.Error as error:
        raise _failed(error) from None
    except Exception as error:  # noqa: BLE001 - damaged bytes fail anywhere
        raise unreadable_reply(error) from None


def _over_limit(error: psycopg.Error, conn: psycopg.Connection[Any] | None) -> PgiostatError:
    """Return the error of a session that the server ended for one of its limits."""
    name = LIMITS_BY_SQLSTATE[error.sqlstate or ""]
    role = "…" if conn is None else identifier(user_of(conn))
    database = "…" if conn is None else identifier(dbname_of(conn))
    return PgiostatError(
        f"the server ended our session because of {name}",
        detail=sentence(str(error).splitlines()[0]),
        hint=f"ALTER ROLE {role} RESET {name}; the database may set it too: ALTER DATABASE"
        f" {database} RESET {name};",
        slug="session-limit",
    )


def _failed(error: psycopg.Error) -> PgiostatError:
    words = str(error).splitlines()
    if isinstance(error, psycopg.errors.AmbiguousFunction):
        hint = _LOOK_ALIKE
    else:
        hint = sentence(error.diag.message_hint or "")
    return PgiostatError(
        "the server could not execute a query for statistics",
        detail=f"{error.sqlstate or 'No SQLSTATE'}: {sentence(words[0]) if words else ''}",
        hint=hint or None,
        slug="query-failed",
    )


def _denied(error: psycopg.Error) -> PgiostatError:
    return PgiostatError(
        "the server denied a query for statistics",
        detail=sentence(str(error).splitlines()[0]),
        hint="A role needs pg_read_all_stats, EXECUTE on the extension's functions, and USAGE on"
        " their schema.",
        slug="privilege-missing",
    )


def _is_not_preloaded(error: psycopg.Error) -> bool:
    """Return whether an error is the library's own: it has both names in any language."""
    return all(name in str(error) for name in ("pg_stat_statements", "shared_preload_libraries"))


def not_preloaded(error: psycopg.Error | None = None) -> PgiostatError:
    """Return the error of a server that has the extension and did not load its library."""
    words = str(error).splitlines()[0] if error else ""
    return PgiostatError(
        "pg_stat_statements is not preloaded on this server",
        detail=sentence(words),
        hint="Add pg_stat_statements to shared_preload_libraries and restart the server "
        "(on RDS: in the parameter group).",
        slug="extension-not-preloaded",
    )
