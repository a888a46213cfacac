"""What doctor asks for, and what it does not: nothing of it is an error in the server's log."""

import json
import re
from collections.abc import Callable
from contextlib import closing

import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.postgres.doctor import CheckState, Finding, examine, findings, verdict
from pgiostat.postgres.session import connect
from pgiostat.postgres.snapshot_reader import SnapshotReader
from tests.conftest import MakeServer
from tests.support.program import pgiostat, watch_once
from tests.support.servers import ClusterServer, Server
from tests.support.workloads import Connection, client

pytestmark = pytest.mark.ends

HINT = "pgiostat doctor, with the same connection string, lists everything that is missing."
WRONG = re.compile(r"\b(?:ERROR|FATAL|PANIC):")


def arranged(make_server: MakeServer, **settings: str) -> tuple[Server, str]:
    """Return a server and the connection string of README's role."""
    server = make_server(**settings)
    with client(server.dsn()) as other:
        other.execute("CREATE ROLE mon LOGIN PASSWORD 'x'")
        other.execute("GRANT pg_read_all_stats TO mon")
    return server, make_conninfo(server.dsn(), user="mon", password="x", passfile="/nowhere")


def log_of(server: Server) -> list[str]:
    assert isinstance(server, ClusterServer)
    return server.cluster.log.read_text("utf-8", "replace").splitlines()


def bare(_: Connection) -> None:
    """Leave the server without the extension."""


def installed(other: Connection) -> None:
    other.execute("CREATE EXTENSION pg_stat_statements")


def elsewhere(other: Connection) -> None:
    other.execute("CREATE DATABASE closed")
    other.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    other.execute("CREATE DATABASE open")


def waiting(other: Connection) -> None:
    installed(other)
    other.execute("ALTER SYSTEM SET max_connections = 31")
    other.execute("SELECT pg_reload_conf()")


def not_executable(other: Connection) -> None:
    installed(other)
    other.execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC")


def not_usable(other: Connection) -> None:
    other.execute("CREATE SCHEMA apart")
    other.execute("CREATE EXTENSION pg_stat_statements SCHEMA apart")


def no_identifier(other: Connection) -> None:
    installed(other)
    other.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC")


@pytest.mark.usefixtures("binaries")  # the log is a file of a server of our own
@pytest.mark.parametrize(
    "arrange",
    [bare, installed, elsewhere, waiting, not_executable, not_usable, no_identifier],
)
@pytest.mark.parametrize(
    "libraries", ["pg_stat_statements", pytest.param("", marks=pytest.mark.once)]
)
def test_doctor_leaves_no_error_in_the_servers_log(
    make_server: MakeServer, arrange: Callable[[Connection], None], libraries: str
) -> None:
    server, dsn = arranged(make_server, shared_preload_libraries=libraries)
    with client(server.dsn()) as other:
        arrange(other)
    before = len(log_of(server))
    done = pgiostat("doctor", dsn, "--format", "json")
    assert [line for line in log_of(server)[before:] if WRONG.search(line)] == []
    told = json.loads(done.stdout)
    ready = arrange in {installed, waiting, no_identifier} and bool(libraries)
    states = {each["aspect"]: each["state"] for each in told["findings"]}
    assert ("error" not in states.values(), done.returncode) == (ready, 0 if ready else 1)


def aspect(dsn: str, name: str) -> list[Finding]:
    return [each for each in findings(examine(dsn)) if each.aspect == name]


@pytest.mark.pg(">= 14")
def test_a_role_that_was_taken_hides_our_own_statement_and_nothing_is_blamed_for_it(
    make_server: MakeServer,
) -> None:
    server, dsn = arranged(make_server)
    with client(server.dsn()) as other:
        installed(other)
        other.execute("CREATE ROLE reader")
        other.execute("GRANT reader TO mon")
        other.execute("SELECT 1")
    taken = make_conninfo(dsn, options="-c role=reader")
    assert aspect(taken, "compute_query_id") == [Finding("compute_query_id", CheckState.OK, "auto")]
    found = findings(examine(taken))
    assert [each.aspect for each in found if each.state is CheckState.ERROR] == ["privileges"]
    assert verdict(found).startswith("not ready: 1 error")


@pytest.mark.pg(">= 14")
@pytest.mark.parametrize("who", ["ROLE mon", "DATABASE postgres", "ROLE mon IN DATABASE postgres"])
def test_a_setting_of_a_role_or_database_is_not_the_servers(
    make_server: MakeServer, who: str
) -> None:
    server, dsn = arranged(make_server)
    with client(server.dsn()) as other:
        installed(other)
        other.execute(f"ALTER {who} SET compute_query_id = off".encode())
        other.execute(f"ALTER {who} SET pg_stat_statements.track = 'none'".encode())
    for name in ("compute_query_id", "track"):
        (found,) = aspect(dsn, name)
        assert found.state is CheckState.WARNING
        assert "others may have another value" in found.reason
        assert found.fix.startswith("ALTER ROLE" if "ROLE" in who else "ALTER DATABASE")


def test_doctor_does_not_say_ready_while_texts_cannot_be_read(make_server: MakeServer) -> None:
    server, dsn = arranged(make_server)
    with client(server.dsn()) as other:
        installed(other)
        other.execute("CREATE DATABASE west TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with client(make_conninfo(server.dsn(), dbname="west", client_encoding="LATIN1")) as west:
        west.execute("SELECT 1 AS straße".encode("latin-1"))
    with closing(connect(dsn)) as session:
        collector = SnapshotReader(session)
        rows = collector.take().statements
        keys = list(zip(*(rows[n].tolist() for n in ("userid", "dbid", "queryid")), strict=True))
        try:
            is_readable = not collector.texts(keys).unreadable
        except PgiostatError:
            is_readable = False
    found = findings(examine(dsn))
    assert (any(each.aspect == "readable" for each in found)) is not is_readable
    told = verdict(found)
    assert (told.startswith("ready") and "readable" not in told) is is_readable


@pytest.mark.once
@pytest.mark.parametrize(
    ("arrange", "libraries", "slug"),
    [
        (bare, "pg_stat_statements", "is not installed in database"),
        (installed, "", "is not preloaded on this server"),
        (not_executable, "pg_stat_statements", "may not call the functions"),
        (not_usable, "pg_stat_statements", "may not use schema"),
    ],
)
def test_watch_on_a_server_that_is_not_ready_points_to_doctor(
    make_server: MakeServer, arrange: Callable[[Connection], None], libraries: str, slug: str
) -> None:
    server, dsn = arranged(make_server, shared_preload_libraries=libraries)
    with client(server.dsn()) as other:
        arrange(other)
    done = watch_once(dsn)
    lines = done.stderr.splitlines()
    assert (done.returncode, slug in lines[0]) == (1, True)
    assert lines[-1].startswith("HINT:  ")
    assert lines[-1].endswith(HINT)
    # Doctor itself does not send to itself.
    assert HINT not in pgiostat("doctor", dsn).stdout
