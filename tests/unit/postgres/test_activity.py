"""Statements in flight: how long, what they wait for, and what can be told of their reads."""

import threading
from dataclasses import replace
from threading import Event

import pytest

from pgiostat.postgres.activity import Backend, InFlight, Running
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.sent_sql import text_of
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.queries.describe import describer
from pgiostat.render.text import in_flight
from pgiostat.statistics.names import Names, Statement
from tests.conftest import MakeServer
from tests.support.readings import at
from tests.support.workloads import client, collecting, fill

NAMES = Names(
    {(10, 5, 7): Statement("select max(rev) from t", "1:a", "version")}, {5: "app"}, {10: "api"}
)
BACKEND = Backend(41, 10, 5, 7, at(0), 12.5, "IO:DataFileRead", "select max(rev) from t", 8192)


def nobody(userid: int, dbid: int, text: str) -> bool:  # noqa: ARG001 - an IsOwn
    return False


def test_a_statement_is_named_as_its_entry_is_and_what_it_hands_over_is_its_own() -> None:
    look = InFlight(describer())
    first = look.look([BACKEND], NAMES, nobody)
    shown = Running(
        41, "api", "app", 12.5, "IO:DataFileRead", "version", "select max(rev) from t", None
    )
    assert first == (shown,)
    later = replace(BACKEND, seconds=14.5, read_bytes=3 * 8192)
    assert look.look([later], NAMES, nobody) == (replace(shown, seconds=14.5, read_bytes=2 * 8192),)
    # The backend's next statement begins anew.
    other = replace(later, query_start=at(20), seconds=1.0, read_bytes=9 * 8192)
    assert look.look([other], NAMES, nobody) == (replace(shown, seconds=1.0),)


def test_a_text_that_is_not_known_is_normalized_and_our_own_is_left_out() -> None:
    seen = [
        replace(BACKEND, queryid=None, text="delete from t where secret = 'x'", read_bytes=None),
        replace(BACKEND, queryid=None, text=text_of("roles")),
        replace(BACKEND, userid=11, queryid=None, text=text_of("roles")),
    ]
    own = Own(10, 5, texts=frozenset({text_of("roles")}))
    found, other = InFlight(describer()).look(seen, Names(), own.is_running)
    assert (other.user, other.category) == (
        "oid 11",
        "catalog queries",
    )  # the mark alone proves nothing
    assert (found.text, found.user, found.read_bytes) == (
        "delete from t where secret = ?",
        "oid 10",
        None,
    )


def test_the_longest_are_shown_and_the_others_counted() -> None:
    running = InFlight(describer()).look([replace(BACKEND, pid=n) for n in range(5)], NAMES, nobody)
    lines = [line.plain for line in in_flight(running, 60)]
    assert lines == [
        *["in flight  12.5 s  version  IO:DataFileRead  t · max(rev)"] * 3,
        "in flight  2 more",
    ]


def test_what_a_server_is_at_work_on(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        fill(setup, "big", 3000)
        major = setup.info.server_version // 10000
    with client(server.dsn()) as other, collecting(server.dsn()) as collector:
        pid = other.info.backend_pid
        waiting = threading.Thread(
            target=lambda: _cancelled(other, "SELECT pg_sleep(60), max(pad) FROM big WHERE id = 7")
        )
        waiting.start()
        try:
            for _ in range(100):
                if found := collector.running(0.2):
                    break
                threading.Event().wait(0.05)
        finally:
            other.cancel()
            waiting.join()
    (backend,) = found
    assert backend.pid == pid
    assert backend.text == "SELECT pg_sleep(60), max(pad) FROM big WHERE id = 7"
    assert backend.seconds >= 0.2
    assert (backend.read_bytes is None) == (major < 18)
    assert (backend.queryid is None) == (major < 14)


def _cancelled(connection: object, statement: str) -> None:
    with pytest.raises(Exception, match="cancel"):
        connection.execute(statement)  # type: ignore[attr-defined]


def test_a_wait_is_shown_in_the_words_of_the_server(make_server: MakeServer) -> None:
    """VACUUM waits for a page that a cursor has pinned; the type of that event changed in 19."""
    server = make_server()
    with client(server.dsn()) as reader, client(server.dsn()) as vacuuming:
        reader.execute("CREATE EXTENSION pg_stat_statements")
        reader.execute("CREATE TABLE pinned AS SELECT generate_series(1, 9)")
        reader.execute("BEGIN")
        reader.execute("DECLARE c CURSOR FOR SELECT * FROM pinned")
        reader.execute("FETCH 1 FROM c")
        thread = threading.Thread(target=vacuuming.execute, args=["VACUUM (FREEZE) pinned"])
        thread.start()
        try:
            with collecting(server.dsn()) as collector:
                shown = _vacuum_that_waits(collector)
        finally:
            reader.execute("ROLLBACK")
            thread.join()
        is_renamed = reader.info.server_version >= 190000
    assert shown == ("Buffer:BufferCleanup" if is_renamed else "BufferPin:BufferPin")


def _vacuum_that_waits(collector: SnapshotReader) -> str:
    """Return what VACUUM waits for once it waits for a page."""
    for _ in range(600):
        for each in collector.running(0.0):
            if each.text.startswith("VACUUM") and "Buffer" in (each.waits_for or ""):
                return str(each.waits_for)
        Event().wait(0.05)
    pytest.fail("VACUUM does not wait")
