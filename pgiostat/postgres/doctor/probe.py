"""Read the facts of a server, each by its own query: a refused one costs one fact."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Event
from typing import Any, TypeVar

import numpy as np
import psycopg

from pgiostat.errors import PgiostatError
from pgiostat.postgres.connection import is_pooled, reach
from pgiostat.postgres.doctor.facts import Facts, ForeignObject, Override, Statements
from pgiostat.postgres.driver import dbname_of
from pgiostat.postgres.extension import with_extension
from pgiostat.postgres.query_errors import explain, not_preloaded
from pgiostat.postgres.sent_sql import (
    CLOCK_ROWS,
    DOCTOR_SETTINGS,
    RESET_VIEWS,
    clock_query,
    doctor_query,
    resets_query,
    text_of,
)
from pgiostat.postgres.session import session_on
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.statistics.snapshot import Snapshot

__all__ = ["examine"]

SNAPSHOTS = 3
TEXTS_TRIED = 5_000
CLOCK_ROUNDS = 5
FRESH_SECONDS = 0.6
"""Before 15 the server writes a file of statistics on request if it is older than 0.5 s."""
_PG_14, _PG_15, _PG_16 = 140000, 150000, 160000
FROM_RESTART = ("shared_preload_libraries", "pg_stat_statements.max")
"""Settings of our fixes that take effect with a restart, which may come without a reload."""
TEXTS_FILE = "pg_stat_tmp/pgss_query_texts.stat"
_REASONS_OF_SERVER = ("query-failed", "privilege-missing")
_T = TypeVar("_T")
Connection = psycopg.Connection[Any]


def examine(
    dsn: str,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[float], object] | None = None,
) -> Facts:
    """Return what can be known of a server.

    clock: seconds.  wait: how to.
    Raises PgiostatError as connection.connect does for a server that cannot be reached at all.
    """
    conn = reach(dsn)
    try:
        with explain(conn):
            facts = _first(conn)
            facts = replace(
                facts,
                resets=_resets(conn),
                clock_ns=_tried(lambda: _clock_ns(conn)),
                identifies=_identifies(conn, facts),
                pooled=is_pooled(conn),
                foreign_objects=_foreign_objects(conn),
            )
            if not facts.extensions.get("pg_stat_statements", ("", ""))[1]:
                return replace(facts, elsewhere=tuple(with_extension(conn)))
        try:
            # It would answer with an ERROR, which its log keeps.
            if facts.settings.get("pg_stat_statements.max") is None:
                raise not_preloaded()
            return replace(facts, statements=_statements(conn, clock, wait or Event().wait))
        except PgiostatError as error:
            reason = error.detail and error.slug in _REASONS_OF_SERVER
            detail = f" ({error.detail})" if reason else ""
            return replace(facts, refused=error.message + detail, remedy=error.hint or "")
    finally:
        conn.close()


def _first(conn: Connection) -> Facts:
    row = conn.execute(doctor_query()).fetchone()
    if row is None:
        raise PgiostatError("the server sent no row", slug="query-failed")
    user, is_superuser, reads_all, has_role, session_user, sees_files, *rest = row
    in_recovery, pid, started, now, extensions, overrides, pending, sources, *rest = rest
    provider, values = rest
    settings = dict(zip(DOCTOR_SETTINGS, values, strict=True))
    info = conn.info
    return Facts(
        host=f"{info.host or 'local'}:{info.port}",
        dbname=dbname_of(conn),
        version=(info.parameter_status("server_version") or "?").split(" ")[0],
        version_num=info.server_version,
        user=user,
        is_superuser=bool(is_superuser),
        reads_all_stats=bool(reads_all),
        has_monitoring_role=has_role,
        session_user=session_user,
        provider=provider,
        in_recovery=in_recovery,
        started=started,
        now=now,
        extensions={
            name: (default, installed or "") for name, default, installed in extensions or ()
        },
        settings=settings,
        other_pid=pid != info.backend_pid,
        overrides=tuple(Override(*each) for each in overrides or ()),
        pending=_waiting(conn, pending or (), settings, is_visible=bool(sees_files)),
        sources=dict(sources or ()),
    )


def _tried(ask: Callable[[], _T]) -> _T | None:
    """Return an answer, or None where the server refuses it."""
    try:
        return ask()
    except (psycopg.ProgrammingError, psycopg.errors.InsufficientPrivilege):
        return None


def _waiting(
    conn: Connection,
    pending: Sequence[str],
    settings: Mapping[str, str | None],
    *,
    is_visible: bool,
) -> dict[str, str | None]:
    """Return the values that wait for a restart; few roles may read them.

    Args:
        pending: Names that the server marks: it does when it reads its files, so at a reload.
        settings: The values in effect.
        is_visible: Whether our role may read the server's files of settings.
    """
    values: dict[str, str | None] = dict.fromkeys(pending)
    if is_visible:
        query, parameters = text_of("doctor_pending"), {"names": [*pending, *FROM_RESTART]}
        found = _tried(lambda: conn.execute(query, parameters).fetchall()) or ()
        values |= {
            name: value for name, value in found if name in values or value != settings.get(name)
        }
    return values


def _identifies(conn: Connection, facts: Facts) -> bool | None:
    """Return whether our own question has an identifier."""
    if facts.version_num < _PG_14 or facts.settings.get("track_activities") != "on":
        return None
    row = _tried(lambda: conn.execute(text_of("doctor_identified")).fetchone())
    return None if row is None else row[0]


def _foreign_objects(conn: Connection) -> tuple[ForeignObject, ...]:
    """Return what has the name of one of the extension's objects, and is none of them."""
    return tuple(ForeignObject(*row) for row in conn.execute(text_of("doctor_objects")).fetchall())


def _resets(conn: Connection) -> dict[str, datetime]:
    found = {}
    for view in RESET_VIEWS:
        if view == "pg_stat_io" and conn.info.server_version < _PG_16:
            continue
        query = resets_query(view)
        row = _tried(lambda query=query: conn.execute(query).fetchone())  # type: ignore[misc]
        if row is not None and row[0] is not None:
            found[view] = row[0]
    return found


def _clock_ns(conn: Connection) -> float:
    """Return the cost of reading the server's clock once, in nanoseconds.

    The idea is pg_test_timing's. EXPLAIN with TIMING reads the clock twice for each row, and the
    server reports the duration. Noise is positive as often as negative.
    """

    def took(*, timing: bool) -> float:
        row = conn.execute(clock_query(timing=timing)).fetchone()
        if row is None:
            raise PgiostatError("the server sent no row", slug="query-failed")
        return float(row[0][0]["Execution Time"])

    took(timing=True)  # the first one plans
    differences = [took(timing=True) - took(timing=False) for _ in range(CLOCK_ROUNDS)]
    return max(statistics.median(differences) * 1e6 / (2 * CLOCK_ROWS), 0.0)


def _statements(
    conn: Connection, clock: Callable[[], float], wait: Callable[[float], object]
) -> Statements:
    session = session_on(conn)
    collector = SnapshotReader(session)
    collector.take()  # the first prepares
    times = []
    for _ in range(SNAPSHOTS):
        if conn.info.server_version < _PG_15:
            wait(FRESH_SECONDS)
        began = clock()
        snapshot = collector.take()
        times.append((clock() - began) * 1000)
    unread, why = _unreadable(collector, snapshot)
    return Statements(
        schema=session.extension.schema,
        version=session.extension.version,
        entries=len(snapshot.statements),
        hidden=int(snapshot.statements["masked"].sum()),
        dealloc=snapshot.markers.dealloc,
        stats_reset=snapshot.markers.statements_reset,
        text_bytes=_text_bytes(conn),
        read_ms=statistics.median(times),
        untrusted=session.extension.untrusted,
        is_schema_open=session.extension.is_schema_open,
        unread_texts=unread,
        unreadable=why,
        unknown=session.server.unknown,
    )


def _text_bytes(conn: Connection) -> int | None:
    """Return the size of the file of texts, None if our role may not read it."""
    if conn.execute(text_of("doctor_stat_file")).fetchone() != (True,):
        return None
    size = _tried(lambda: conn.execute(text_of("doctor_texts"), {"path": TEXTS_FILE}).fetchone())
    return size[0] if size else None


def _unreadable(collector: SnapshotReader, snapshot: Snapshot) -> tuple[int, str]:
    """Return how many texts could not be read, and why they or names could not."""
    rows = snapshot.statements
    visible = np.flatnonzero(~rows["masked"])[:TEXTS_TRIED]
    key = (rows[name][visible].tolist() for name in ("userid", "dbid", "queryid"))
    keys = list(zip(*key, strict=True))
    try:
        collector.databases()
        collector.roles()
        lost = collector.texts(keys).unreadable
    except PgiostatError as error:
        reason = f"{error.message}: {error.detail}" if error.detail else error.message
        return len(keys) if error.slug == "texts-unreadable" else 0, reason.rstrip(".")
    return len(lost), next(iter(lost.values()), "").rstrip(".")
