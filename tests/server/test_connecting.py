"""Connecting as libpq decides: which server, which hosts, and what of its answer is shown."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.lab.postgres.cluster import embedded_binaries, free_port
from pgiostat.postgres.connection import database_beside, reach
from pgiostat.postgres.extension import find_extension
from pgiostat.postgres.query_errors import explain
from pgiostat.postgres.refusal import refusal
from pgiostat.postgres.session import connect
from pgiostat.postgres.session_settings import SESSION_SETTINGS
from pgiostat.postgres.snapshot_reader import SnapshotReader
from tests.conftest import MakeServer
from tests.support.program import pgiostat, watch_once
from tests.support.servers import SETTINGS, ClusterServer, Server, Source
from tests.support.standbys import standby_of
from tests.support.workloads import Connection, client

pytestmark = [pytest.mark.ends, pytest.mark.long]

MODES = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]


def psql(dsn: str, query: str) -> str | None:
    """Return what psql prints, None if it does not connect."""
    done = subprocess.run(
        [embedded_binaries() / "psql", "-XAtc", query, dsn],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else None


def port_of(dsn: str) -> str | None:
    """Return the port of the server that we connect to, None if there is none."""
    try:
        conn = reach(dsn)
    except PgiostatError as error:
        return None if "target_session_attrs" in error.message else str(error)
    with closing(conn):
        found = conn.execute(
            "SELECT current_setting('port'), current_setting('default_transaction_read_only'),"
            " current_setting('work_mem')"
        ).fetchone()
    assert found is not None
    assert found[1:] == ("on", "64MB")
    return str(found[0])


@pytest.fixture(scope="module")
def standby(
    source: Source, major: int, binaries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterServer]:
    """Yield a standby of a server; both are only connected to."""
    primary = source.make(major, SETTINGS)
    assert isinstance(primary, ClusterServer)
    with standby_of(primary, binaries, tmp_path_factory.mktemp("pair") / "standby") as made:
        yield made
    primary.destroy()


@pytest.mark.once  # libpq decides
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", ["string", "environment", "service"])
def test_the_server_is_the_one_that_psql_chooses(
    standby: ClusterServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    given: str,
) -> None:
    with client(standby.dsn()) as conn:
        row = conn.execute("SHOW primary_conninfo").fetchone()
    assert row is not None
    primary = conninfo_to_dict(str(row[0]))
    ports = [str(primary["port"]), str(standby.cluster.port)]
    monkeypatch.setenv("PGPASSWORD", str(primary["password"]))
    chosen = []
    dead = str(free_port())
    for order in ([*ports, dead], [dead, *reversed(ports)], ports[:1], ports[1:]):
        where = {
            "host": ",".join(["127.0.0.1"] * len(order)),
            "port": ",".join(order),
            "target_session_attrs": mode,
        }
        dsn = "user=postgres dbname=postgres"
        if given == "string":
            dsn = make_conninfo(dsn, **where)
        elif given == "environment":
            monkeypatch.setenv("PGHOST", where["host"])
            monkeypatch.setenv("PGPORT", where["port"])
            monkeypatch.setenv("PGTARGETSESSIONATTRS", mode)
        else:
            lines = ["[pair]", *(f"{name}={value}" for name, value in where.items())]
            (tmp_path / "services").write_text("\n".join(lines) + "\n")
            monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
            dsn += " service=pair"
        ours, theirs = port_of(dsn), psql(dsn, "SHOW port")
        assert ours == theirs, (order, mode)
        chosen.append(ours)
    # The modes do differ.
    primary_port, standby_port = ports
    assert chosen[0] == (standby_port if "standby" in mode or mode == "read-only" else primary_port)


TRIGGER = """
CREATE TABLE logins (who text, at timestamptz DEFAULT now());
GRANT INSERT ON logins TO public;
CREATE FUNCTION on_login() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO logins (who) VALUES (session_user); END $$;
CREATE EVENT TRIGGER t ON login EXECUTE FUNCTION on_login();
"""
REFUSES = """
CREATE FUNCTION on_login() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'come back on Monday'; END $$;
CREATE EVENT TRIGGER t ON login EXECUTE FUNCTION on_login();
"""


@pytest.mark.pg(">= 17")
def test_a_login_trigger_that_writes_is_passed_and_the_session_is_ours_all_the_same(
    database: str,
) -> None:
    with client(database) as other:
        other.execute(TRIGGER.encode())
        session = connect(database)
        with closing(session):
            assert not session.pooled
            for name, value in SESSION_SETTINGS.items():
                found = session.conn.execute(f"SHOW {name}").fetchone()
                shown = {"pg_catalog,pg_temp": "pg_catalog,pg_temp"}.get(value, value)
                assert found is not None
                assert found[0].replace("ISO, MDY", "ISO").replace(", ", ",") == shown, name
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.conn.execute("INSERT INTO public.logins VALUES ('x')")
        done = watch_once(database, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        verdict, following = pgiostat("doctor", database).stdout.splitlines()[-2:]
        assert (verdict[:5], following[:20]) == ("ready", "Next: pgiostat watch")
        assert other.execute("SELECT count(*) >= 3 FROM logins").fetchone() == (True,)


@pytest.mark.pg(">= 17")
def test_the_servers_reason_is_shown_and_not_its_context(make_server: MakeServer) -> None:
    dsn = make_server().dsn()
    with client(dsn) as other:
        other.execute("CREATE DATABASE app")
    app = make_conninfo(dsn, dbname="app")
    with client(app) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute(REFUSES.encode())
    given = conninfo_to_dict(dsn)
    done = watch_once(app)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            f'pgiostat: error: server "{given["host"]}:{given["port"]}" rejected the connection',
            "DETAIL:  Come back on Monday.",
        ],
    )


def refusing(text: str) -> PgiostatError:
    return refusal({"host": "db"}, text)


def test_of_several_hosts_the_reason_of_the_one_that_answered_is_shown() -> None:
    error = refusing(
        'connection failed: connection to server at "a", port 1 failed: Connection refused\n'
        "\tIs the server running on that host and accepting TCP/IP connections?\n"
        "Multiple connection attempts failed. All failures were:\n"
        '- host: "b", port: 2: connection failed: connection to server at "b", port 2 failed:'
        " FATAL:  no pg_hba.conf entry for host\n"
        "DETAIL:  a line of detail\nCONTEXT:  PL/pgSQL function f() line 1 at RAISE\n"
        '- host: "a", port: 1: connection failed: connection to server at "a", port 1 failed:'
        " Connection refused"
    )
    assert (error.slug, error.detail) == (
        "connection-refused-by-server", "No pg_hba.conf entry for host.",
    )  # fmt: skip


def test_a_reason_in_another_language_is_shown() -> None:
    error = refusing(
        'connection failed: connection to server at "a", port 1 failed: FATAL:  Zu viele Clients\n'
        "KONTEXT:  PL/pgSQL-Funktion f() Zeile 1"
    )
    assert error.detail == "Zu viele Clients."


EXPIRED = (
    "Put the password in ~/.pgpass (mode 0600) or PGPASSWORD, and check the user. If both are"
    ' right, the password may have expired (pg_roles.rolvaliduntil): ALTER ROLE "{}" VALID'
    " UNTIL 'infinity';"
)
LIMITS = {
    "VALID UNTIL '2020-01-01'": (
        "password-wrong",
        'server "SERVER" rejected the password',
        'Password authentication failed for user "refused".',
        EXPIRED.format("refused"),
    ),
    "CONNECTION LIMIT 0": (
        "connections-exhausted",
        'role "refused" has reached its connection limit on server "SERVER"',
        'Too many connections for role "refused".',
        'End some (pg_stat_activity), or: ALTER ROLE "refused" CONNECTION LIMIT -1;',
    ),
    "NOLOGIN": (
        "connection-refused-by-server",
        'role "refused" may not log in to server "SERVER"',
        'Role "refused" is not permitted to log in.',
        'ALTER ROLE "refused" LOGIN;',
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_why_a_role_is_refused_is_told_with_what_mends_it(
    server: Server, database: str, limit: str
) -> None:
    given = conninfo_to_dict(database)
    with client(server.dsn()) as conn:
        conn.execute("DROP ROLE IF EXISTS refused")
        conn.execute("CREATE ROLE refused LOGIN PASSWORD 'x'")
        conn.execute(f"ALTER ROLE refused {limit}".encode())
        try:
            with pytest.raises(PgiostatError) as caught:
                connect(make_conninfo(database, user="refused", password="x"))
        finally:
            conn.execute("DROP ROLE refused")
    error = caught.value
    expected = LIMITS[limit]
    address = f"{given['host']}:{given['port']}"
    assert (error.slug, error.message, error.detail, error.hint) == (
        expected[0], expected[1].replace("SERVER", address), *expected[2:],
    )  # fmt: skip


PATIENCE_SECONDS = 30


@contextmanager
def let_in(dsn: str) -> Iterator[Connection]:
    """Yield a connection, which may need the slot of a client that left.

    A server process answers first, and frees its slot when it ends. No view shows it until then.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                connection = stack.enter_context(client(dsn))
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
        yield connection


def refused(dsn: str, expected: str = "") -> str:
    """Return how a server refuses: as expected once clients that left have freed their slots."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with pytest.raises(PgiostatError) as caught:
            reach(dsn)
        assert caught.value.slug == "connections-exhausted"
        if caught.value.message == expected or not expected or time.monotonic() > deadline:
            return caught.value.message


def test_a_full_database_and_a_full_server_are_told_apart(make_server: MakeServer) -> None:
    server = make_server(max_connections=4, superuser_reserved_connections=1)
    known = conninfo_to_dict(server.dsn())
    address = f'"{known["host"]}:{known["port"]}"'
    reserved = f"server {address} has only reserved connection slots left"
    with let_in(server.dsn()) as conn:
        conn.execute("CREATE ROLE mon LOGIN PASSWORD 'x'")
        conn.execute("CREATE DATABASE little CONNECTION LIMIT 0")
        dsn = make_conninfo(server.dsn(), user="mon", password="x")
        assert refused(make_conninfo(dsn, dbname="little")) == (
            f'database "little" of server {address} has reached its connection limit'
        )
        with let_in(server.dsn()), let_in(server.dsn()):
            assert refused(dsn, reserved) == reserved
            with let_in(server.dsn()):
                assert refused(dsn) == f"server {address} has no connection slot left"


def test_a_name_within_a_reason_is_not_taken_for_the_reason() -> None:
    error = refusing(
        'connection failed: connection to server at "a", port 1 failed: FATAL:  permission denied'
        ' for database "sorry, too many clients already, password authentication failed"'
    )
    assert (error.slug, error.hint) == ("connection-refused-by-server", None)


def test_a_password_that_is_not_there_is_not_called_wrong() -> None:
    error = refusing(
        'connection failed: connection to server at "a", port 1 failed: fe_sendauth: no password'
        " supplied"
    )
    assert (error.slug, error.message) == (
        "password-wrong", 'server "db:5432" requires a password, and none was supplied',
    )  # fmt: skip


@pytest.fixture
def nobodys() -> "socket.socket":
    """Return a port at which nobody is to be connected to."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.once
@pytest.mark.parametrize("by", ["string", "service"])
def test_other_databases_are_looked_at_on_the_server_that_is_connected_to(
    make_server: MakeServer,
    nobodys: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    dsn = make_server().dsn()
    with client(dsn) as other:
        for name in ("app", '"sh%p"', "bare"):
            other.execute(f"CREATE DATABASE {name}".encode())
    for name in ("app", "sh%p"):
        with client(make_conninfo(dsn, dbname=name)) as other:
            other.execute("CREATE EXTENSION pg_stat_statements")
    given = conninfo_to_dict(dsn)
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:*:{given.pop('password', '') or _password(given)}\n")
    passwords.chmod(0o600)
    monkeypatch.delenv("PGPASSFILE", raising=False)
    # What would be connected to without the string.
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(nobodys.getsockname()[1]))
    there = {
        "host": f"127.0.0.1,{given['host']}", "port": f"{free_port()},{given['port']}",
        "user": "postgres", "passfile": str(passwords),
    }  # fmt: skip
    if by == "string":
        string = make_conninfo("", dbname="bare", **there)
    else:
        lines = ["[here]", *(f"{name}={value}" for name, value in there.items())]
        (tmp_path / "services").write_text("\n".join(lines) + "\n")
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        string = "service=here dbname=bare"
    with closing(reach(string)) as conn:
        with pytest.raises(PgiostatError) as raised, explain(conn):
            find_extension(conn)
        assert raised.value.detail == 'It is installed in databases "app", "sh%p" of this server.'
        with closing(database_beside(conn, "app")) as second:
            assert second.info.port == conn.info.port
    nobodys.setblocking(False)
    with nobodys, pytest.raises(BlockingIOError):
        nobodys.accept()


def _password(given: Mapping[str, object]) -> str:
    line = Path(str(given["passfile"])).read_text("utf-8").strip()
    return line.rsplit(":", 1)[-1]


@pytest.mark.pg(">= 14")
def test_a_server_on_an_abstract_socket_is_connected_to(
    make_server: MakeServer, tmp_path: Path
) -> None:
    name = f"@pgiostat-{os.getpid()}"
    made = make_server(unix_socket_directories=name)
    given = conninfo_to_dict(made.dsn())
    dsn = make_conninfo("", **{k: v for k, v in given.items() if k != "host"} | {"host": name})
    with client(make_conninfo(made.dsn(), host="127.0.0.1")) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute("CREATE DATABASE bare")
    done = watch_once(dsn, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["server"]["label"] == f"local:{given['port']}"
    bare = watch_once(make_conninfo(dsn, dbname="bare"))
    assert bare.stderr.splitlines()[1] == (
        'DETAIL:  It is installed in database "postgres" of this server.'
    )
    collected = pgiostat(
        "collect", dsn, "--for", "1s", "-i", "0.3", "--history", str(tmp_path / "h")
    )
    assert collected.returncode == 0, collected.stderr


@pytest.mark.parametrize("schema", ["a%b", "50% ext", "%s", "%(queryids)s", 'q"%"'])
def test_the_extension_may_be_in_any_schema(server: Server, database: str, schema: str) -> None:
    name = '"' + schema.replace('"', '""') + '"'
    with client(database) as other:
        other.execute("DROP EXTENSION pg_stat_statements")
        other.execute(f"CREATE SCHEMA {name}".encode())
        other.execute(f"CREATE EXTENSION pg_stat_statements SCHEMA {name}".encode())
        other.execute("CREATE TABLE t AS SELECT generate_series(1, 5000) AS g")
        session = connect(database)
        with closing(session):
            collector = SnapshotReader(session)
            collector.take()
            other.execute("SELECT count(*) FROM t")
            newer = collector.take()
            rows = newer.statements
            keys = list(zip(rows["userid"].tolist(), rows["dbid"].tolist(),
                            rows["queryid"].tolist(), strict=True))  # fmt: skip
            assert "SELECT count(*) FROM t" in collector.texts(keys).texts.values()
            assert (newer.own_queryid is None) == session.extension.has_info
    doctor = pgiostat("doctor", database)
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert server.major


def slug_of(conn: psycopg.Connection[object], query: str) -> str:
    with pytest.raises(PgiostatError) as raised, explain(conn):
        conn.execute(query.encode())
    return raised.value.slug


def test_what_the_server_answers_is_told_apart(database: str) -> None:
    with closing(reach(database)) as conn, client(database) as other:
        # 55000 is what a library says that was not preloaded, and much else.
        assert slug_of(conn, "SELECT pg_catalog.lastval()") == "query-failed"
        not_preloaded = """DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE =
            'pg_stat_statements muss über »shared_preload_libraries« geladen werden'; END $$"""
        assert slug_of(conn, not_preloaded) == "extension-not-preloaded"
        canceled = "SELECT pg_catalog.pg_cancel_backend(pg_catalog.pg_backend_pid())"
        assert slug_of(conn, f"{canceled}, pg_catalog.pg_sleep(5)") == "reading-canceled"
        conn.execute("SELECT pg_catalog.set_config('statement_timeout', '50ms', false)")
        assert slug_of(conn, "SELECT pg_catalog.pg_sleep(5)") == "reading-timed-out"
        denied = """DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'no'; END $$"""
        assert slug_of(conn, denied) == "privilege-missing"
        other.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])
        assert slug_of(conn, "SELECT 1") == "connection-lost"


def test_functions_of_the_same_name_stop_a_reading_and_doctor_names_them(
    make_server: MakeServer,
) -> None:
    dsn = make_server().dsn()
    planted = ("x bool, y int DEFAULT 1", "VARIADIC bool[]", "text")
    with client(dsn) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        for each in planted:
            other.execute(
                f"CREATE FUNCTION public.pg_stat_statements({each}) RETURNS int"
                " LANGUAGE sql AS 'SELECT 1'".encode()
            )
    with pytest.raises(PgiostatError) as caught, closing(connect(dsn)) as session:
        SnapshotReader(session).take()
    error = caught.value
    assert (error.slug, str(error.detail).partition(":")[0], error.hint) == (
        "query-failed",
        "42725",
        "Another schema has a function of the same name; pgiostat doctor shows it.",
    )
    shown = pgiostat("doctor", dsn).stdout
    assert shown.count('function "public"."pg_stat_statements"(') == len(planted)
