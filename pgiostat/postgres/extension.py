"""Find pg_stat_statements and pg_stat_kcache in a database, and check that we can call them."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgiostat.errors import PgiostatError
from pgiostat.escape import identifier
from pgiostat.postgres.connection import database_beside
from pgiostat.postgres.driver import dbname_of, user_of
from pgiostat.postgres.sent_sql import Function, quoted_schema, text_of

__all__ = [
    "NO_KCACHE",
    "Extension",
    "Kcache",
    "check_preloaded",
    "find_extension",
    "find_kcache",
    "with_extension",
]


@dataclass(frozen=True, slots=True)
class Extension:
    """Where pg_stat_statements lives in the connected database, and what its function returns.

    Attributes:
        columns: Names of the arguments and columns of pg_stat_statements(boolean).
        has_info: Whether pg_stat_statements_info() is a member (extension 1.9).
        functions: The functions that we call.
        untrusted: Roles that are no superusers and can put other functions in their place: owners
            of the extension, its functions, its schema, or of a database that owns the schema.
        is_schema_open: Whether every role may create objects in its schema.
    """

    schema: str
    version: str
    columns: frozenset[str]
    has_info: bool
    functions: frozenset[Function] = frozenset()
    untrusted: tuple[str, ...] = ()
    is_schema_open: bool = False


@dataclass(frozen=True, slots=True)
class Kcache:
    """Schema and columns of pg_stat_kcache; missing: why it is not available."""

    schema: str = ""
    columns: frozenset[str] = frozenset()
    missing: str = ""
    functions: frozenset[Function] = frozenset()


NO_KCACHE = Kcache(missing="pg_stat_kcache is not installed")


def find_extension(conn: psycopg.Connection[Any]) -> Extension:
    """Find pg_stat_statements in the connected database.

    Raises:
        PgiostatError: extension-missing, with a DETAIL that names the databases that have it;
            schema-forbidden; extension-replaced; superuser-unsafe.
    """
    row = conn.execute(text_of("extension")).fetchone()
    if row is not None:
        schema, version, is_usable, statements, columns, info, untrusted, *rights = row
        is_schema_open, is_executable = rights
        if not is_usable:
            user = user_of(conn)
            raise PgiostatError(
                f'{user} may not use schema "{schema}", which contains pg_stat_statements',
                hint=f"GRANT USAGE ON SCHEMA {identifier(schema)} TO {identifier(user)};",
                slug="schema-forbidden",
            )
        if statements is None:
            raise _replaced("pg_stat_statements(boolean)", schema)
        if not is_executable:
            raise _not_executable(user_of(conn), schema)
        functions = {(statements, schema, "pg_stat_statements")}
        if info is not None:
            functions.add((info, schema, "pg_stat_statements_info"))
        extension = Extension(
            schema,
            version,
            frozenset(columns or ()),
            info is not None,
            functions=frozenset(functions),
            untrusted=tuple(untrusted or ()),
            is_schema_open=is_schema_open,
        )
        _check_trusted(conn, extension)
        return extension
    here = dbname_of(conn)
    elsewhere = with_extension(conn)
    create = f'run CREATE EXTENSION pg_stat_statements in "{here}".'
    if elsewhere:
        names = ", ".join(f'"{name}"' for name in elsewhere)
        plural = "databases" if len(elsewhere) > 1 else "database"
        detail = f"It is installed in {plural} {names} of this server."
        hint = f"Connect there (one database shows the statements of all), or {create}"
    else:
        detail = "No database of this server that this role can connect to has it."
        hint = create[0].upper() + create[1:]
    raise PgiostatError(
        f'pg_stat_statements is not installed in database "{here}"',
        detail=detail,
        hint=hint,
        slug="extension-missing",
    )


def _check_trusted(conn: psycopg.Connection[Any], extension: Extension) -> None:
    """Refuse, as a superuser, to call functions that another role can replace.

    Names are looked up when a statement arrives, after any check of ours. Whoever owns the schema
    can rename it at that moment and have a function of the same name run with our rights.
    """
    row = conn.execute(text_of("is_superuser")).fetchone()
    if row != (True,) or not extension.untrusted:
        return
    names = " and ".join(f'"{name}"' for name in extension.untrusted)
    raise PgiostatError(
        f'as a superuser, pg_stat_statements in schema "{extension.schema}" is not safe to call',
        detail=f"{names} can put another function in its place, which would run with a superuser's"
        " rights: the owner of the extension, of its schema or of the database.",
        hint="Connect as a role with pg_read_all_stats (CREATE ROLE pgiostat LOGIN; GRANT"
        " pg_read_all_stats TO pgiostat;), or to a database that a superuser owns.",
        slug="superuser-unsafe",
    )


def _replaced(function: str, schema: str) -> PgiostatError:
    """Return why a function of the extension is not called."""
    return PgiostatError(
        f'{function} in schema "{schema}" is not the function that the extension installs',
        detail="It is not a member of the extension, or it is not written in C. "
        "pgiostat does not run it.",
        hint="Inspect it with \\df+. A superuser can drop the extension and create it again.",
        slug="extension-replaced",
    )


def _not_executable(user: str, schema: str) -> PgiostatError:
    return PgiostatError(
        f'{user} may not call the functions of pg_stat_statements in schema "{schema}"',
        hint=f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {identifier(schema)}"
        f" TO {identifier(user)};",
        slug="privilege-missing",
    )


def find_kcache(conn: psycopg.Connection[Any]) -> Kcache:
    """Find pg_stat_kcache in the connected database; it is no error that it is missing."""
    row = conn.execute(text_of("kcache")).fetchone()
    if row is None:
        return NO_KCACHE
    method = conn.execute(text_of("io_method")).fetchone()
    if method is not None and method[0] == "worker":
        return Kcache(missing="io_method is worker: I/O workers read for statements")
    schema, function, columns, is_preloaded, is_executable = row
    if not is_preloaded:
        return Kcache(missing="pg_stat_kcache is not preloaded")
    if not is_executable:
        return Kcache(missing=f"{user_of(conn)} may not call pg_stat_kcache")
    try:
        conn.execute(sql.SQL(text_of("kcache_probe")).format(schema=quoted_schema(schema)))
    except psycopg.Error as error:
        return Kcache(missing=f"pg_stat_kcache does not respond: {str(error).splitlines()[0]}")
    return Kcache(
        schema, frozenset(columns), functions=frozenset({(function, schema, "pg_stat_kcache")})
    )


def with_extension(conn: psycopg.Connection[Any]) -> list[str]:
    """Return other databases with pg_stat_statements, of those that we may connect to."""
    found = []
    for _, name, allowed, _ in conn.execute(text_of("databases")).fetchall():
        if not allowed or name == dbname_of(conn):
            continue
        try:
            other = database_beside(conn, name, connect_timeout=2)
        except PgiostatError:
            continue  # no right to connect there: it cannot be named
        with other:
            if other.execute(text_of("extension")).fetchone() is not None:
                found.append(name)
    return found


def check_preloaded(conn: psycopg.Connection[Any], extension: Extension) -> None:
    """Call the extension once; psycopg raises an error if its library is not preloaded."""
    schema = quoted_schema(extension.schema)
    conn.execute(sql.SQL(text_of("probe")).format(schema=schema))
