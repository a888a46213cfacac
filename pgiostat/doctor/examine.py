"""Read what a doctor wants to know: each fact on its own, so that one that is refused costs one."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from pgiostat.collector import SETTINGS, Collector
from pgiostat.doctor.facts import Facts, Statements
from pgiostat.errors import PgiostatError
from pgiostat.server import connect, explain, is_pooled, reach, text_of, with_extension

__all__ = ["examine"]

READINGS = 3
CLOCK_CALLS = 100_000
TEXTS_FILE = "pg_stat_tmp/pgss_query_texts.stat"
_RESETS = {
    "pg_stat_database": "SELECT max(stats_reset) FROM pg_catalog.pg_stat_database",
    "pg_stat_bgwriter": "SELECT stats_reset FROM pg_catalog.pg_stat_bgwriter",
    "pg_stat_io": "SELECT max(stats_reset) FROM pg_catalog.pg_stat_io",
}
_ASKED = (*SETTINGS, "shared_preload_libraries", "track_activities", "io_workers")

_T = TypeVar("_T")
Connection = psycopg.Connection[Any]


def examine(dsn: str, clock: Callable[[], float] = time.perf_counter) -> Facts:
    """Return what can be known of a server.

    Raises PgiostatError as server.connect does for a server that cannot be reached at all.
    """
    conn = reach(dsn)
    try:
        with explain(conn):
            facts = _first(conn)
            facts = replace(
                facts,
                resets=_resets(conn),
                clock_ns=_tried(lambda: _clock_ns(conn, clock)),
                pooled=is_pooled(conn),
            )
            if not facts.extensions.get("pg_stat_statements", ("", ""))[1]:
                return replace(facts, elsewhere=tuple(with_extension(conn, dsn)))
    finally:
        conn.close()
    try:
        return replace(facts, statements=_statements(dsn, clock))
    except PgiostatError as error:
        return replace(facts, refused=error.message)


def _first(conn: Connection) -> Facts:
    settings = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {name} IN (SELECT s.name FROM pg_catalog.pg_settings AS s)"
                " THEN current_setting({name}, true) END").format(name=sql.Literal(name))
        for name in _ASKED
    )  # fmt: skip
    row = conn.execute(sql.SQL(text_of("doctor")).format(settings=settings)).fetchone()
    if row is None:
        raise PgiostatError("the server sent no row", slug="query-failed")
    user, is_superuser, reads_all, in_recovery, pid, started, now, extensions, values = row
    info = conn.info
    return Facts(
        host=f"{info.host or 'local'}:{info.port}",
        dbname=info.dbname,
        version=(info.parameter_status("server_version") or "?").split(" ")[0],
        version_num=info.server_version,
        user=user,
        is_superuser=bool(is_superuser),
        reads_all_stats=bool(reads_all),
        in_recovery=in_recovery,
        started=started,
        now=now,
        extensions={
            name: (default, installed or "") for name, default, installed in extensions or ()
        },
        settings=dict(zip(_ASKED, values, strict=True)),
        other_pid=pid != info.backend_pid,
    )


def _tried(ask: Callable[[], _T]) -> _T | None:
    """Return an answer, or None where the server refuses it."""
    try:
        return ask()
    except (psycopg.ProgrammingError, psycopg.errors.InsufficientPrivilege):
        return None


def _resets(conn: Connection) -> dict[str, datetime]:
    found = {}
    for view, question in _RESETS.items():
        row = _tried(lambda asked=question: conn.execute(asked.encode()).fetchone())  # type: ignore[misc]
        if row is not None and row[0] is not None:
            found[view] = row[0]
    return found


def _clock_ns(conn: Connection, clock: Callable[[], float]) -> float:
    """Return what it takes to ask the server's clock, in ns: with a call of a function, so at most.

    The idea is pg_test_timing's.
    """

    def took(what: sql.SQL) -> float:
        asked = sql.SQL(
            "SELECT /* pgiostat */ count({what}) FROM generate_series(1, {calls}) AS n"
        ).format(what=what, calls=CLOCK_CALLS)
        times = []
        for _ in range(READINGS):
            began = clock()
            conn.execute(asked)
            times.append(clock() - began)
        return min(times)

    return max(took(sql.SQL("clock_timestamp()")) - took(sql.SQL("n")), 0.0) / CLOCK_CALLS * 1e9


def _statements(dsn: str, clock: Callable[[], float]) -> Statements:
    session = connect(dsn)
    try:
        collector = Collector(session)
        collector.take()  # the first prepares
        times = []
        for _ in range(READINGS):
            began = clock()
            reading = collector.take()
            times.append((clock() - began) * 1000)
        size = _tried(lambda: session.conn.execute(
            "SELECT size FROM pg_stat_file(%s, true)", (TEXTS_FILE,)
        ).fetchone())  # fmt: skip
        return Statements(
            schema=session.extension.schema,
            version=session.extension.version,
            entries=len(reading.statements),
            hidden=int(reading.statements["masked"].sum()),
            dealloc=reading.markers.dealloc,
            stats_reset=reading.markers.statements_reset,
            text_bytes=size[0] if size else None,
            read_ms=statistics.median(times),
        )
    finally:
        session.close()
