"""Settings of a role, a database, a server or the environment do not change what is read."""

import json
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.postgres import connection as connecting
from pgiostat.postgres.connection import database_beside, reach
from pgiostat.postgres.sampler import Sampler
from pgiostat.postgres.session import connect
from pgiostat.queries.describe import describer
from tests.conftest import MakeServer
from tests.support.program import pgiostat, watch_once
from tests.support.servers import Server
from tests.support.workloads import client, collecting

pytestmark = pytest.mark.ends

SETTINGS = [
    ("datestyle", "'German'"),
    ("datestyle", "'SQL, DMY'"),
    ("intervalstyle", "'sql_standard'"),
    ("client_encoding", "'SQL_ASCII'"),
    ("client_encoding", "'LATIN1'"),
    ("bytea_output", "'escape'"),
    ("standard_conforming_strings", "off"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_deferrable", "on"),
    ("extra_float_digits", "'-15'"),
    ("row_security", "off"),
    ("search_path", "'nowhere'"),
    ("role", "'nobody'"),
    ("quote_all_identifiers", "on"),
    ("default_transaction_read_only", "off"),
    ("statement_timeout", "'1ms'"),
    ("lock_timeout", "'1ms'"),
    ("client_min_messages", "'debug5'"),
    ("exit_on_error", "on"),
    ("local_preload_libraries", "'nosuch'"),
]
_ALWAYS_CONFORMS = 19


@pytest.fixture(scope="module")
def role(server: Server) -> str:
    """Return how a role of these tests connects; it stays, for roles are of the whole server."""
    with client(server.dsn()) as conn:
        conn.execute("DROP ROLE IF EXISTS nobody")
        conn.execute("CREATE ROLE nobody")
        conn.execute("DROP ROLE IF EXISTS settled")
        conn.execute("CREATE ROLE settled LOGIN PASSWORD 'x'")
        conn.execute("GRANT pg_monitor TO settled")
        conn.execute("GRANT nobody TO settled")
    return make_conninfo(server.dsn(), user="settled", password="x", passfile="/nowhere")


@pytest.mark.parametrize(("name", "value"), SETTINGS, ids=[" ".join(each) for each in SETTINGS])
def test_a_setting_of_our_role_changes_nothing(
    server: Server, role: str, database: str, name: str, value: str
) -> None:
    if name == "standard_conforming_strings" and server.major >= _ALWAYS_CONFORMS:
        pytest.skip(f"PostgreSQL {server.major} refuses it")
    dbname = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with client(server.dsn()) as conn:
        conn.execute(f"ALTER ROLE settled IN DATABASE {dbname} SET {name} = {value}".encode())
    dsn = make_conninfo(role, dbname=str(dbname))
    with collecting(dsn) as collector, client(database) as other:
        first = collector.take()
        other.execute("SELECT count(*) FROM pg_catalog.pg_class")
        second = collector.take()
        assert (second.taken_at - first.taken_at).total_seconds() > 0
        assert second.server.user == "settled"
        assert second.statements["masked"].sum() == 0
        assert collector.running(0.0) == []
        assert collector.whereabouts() is not None
        assert "settled" in collector.roles().values()


@pytest.mark.once
def test_doctor_is_told_the_same_whatever_our_role_has_set(
    server: Server, role: str, database: str
) -> None:
    dbname = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with client(server.dsn()) as conn:
        for name, value in SETTINGS:
            conn.execute(f"ALTER ROLE settled IN DATABASE {dbname} SET {name} = {value}".encode())
    done = pgiostat("doctor", make_conninfo(role, dbname=str(dbname)), "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["server"]["user"]) == (0, "settled")


@pytest.mark.once
@pytest.mark.parametrize(
    "environment",
    [
        {"PGDATESTYLE": "German"},
        {"PGCLIENTENCODING": "SQL_ASCII"},
        {"PGCLIENTENCODING": "LATIN1"},
        {"PGTZ": "Asia/Kathmandu"},
        {"PGOPTIONS": "-c datestyle=German -c search_path=nowhere"},
    ],
    ids=lambda each: " ".join(f"{name}={value}" for name, value in each.items()),
)
def test_a_setting_of_the_environment_changes_nothing(
    database: str, environment: dict[str, str]
) -> None:
    for command in ("doctor", "watch"):
        arguments = ["--once", "--interval", "0.2"] if command == "watch" else []
        done = pgiostat(command, database, *arguments, "--format", "json", **environment)
        assert (done.returncode, done.stderr) == (0, "")


def test_limits_of_a_session_end(make_server: MakeServer) -> None:
    server = make_server()
    limits = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
    with client(server.dsn()) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        for name, since in limits.items():
            if conn.info.server_version >= since:
                conn.execute(f"ALTER SYSTEM SET {name} = '200ms'".encode())
        conn.execute("SELECT pg_reload_conf()")
        conn.execute("SELECT pg_sleep(0.1)")
    waits = iter([0.5, 0.5])

    def wait(_: float) -> bool:
        with client(server.dsn()) as other:
            other.execute("SET idle_in_transaction_session_timeout = 0")
            seconds = next(waits, None)
            if seconds is None:
                return True
            for _ in range(5):
                other.execute("SELECT pg_sleep(0.1)")
        return False

    results = list(Sampler(server.dsn(), 0.5, describer(), wait).intervals())
    assert [(result.error, result.delta is not None) for result in results] == [(None, True)] * 3


LIMITS = {
    "idle_session_timeout": 14,
    "transaction_timeout": 17,
    "idle_in_transaction_session_timeout": 13,
    "statement_timeout": 13,
    "lock_timeout": 13,
}


@pytest.fixture
def limited(server: Server, role: str, database: str) -> str:
    """Return how a role connects whose sessions have all limits there are, of 1 ms each."""
    dbname = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    with client(server.dsn()) as conn:
        for name, since in LIMITS.items():
            if server.major >= since:
                set_it = f"ALTER ROLE settled IN DATABASE {dbname} SET {name} = '1ms'"
                conn.execute(set_it.encode())
    return make_conninfo(role, dbname=dbname)


def test_a_limit_that_ends_a_session_before_our_first_statement_ends_nothing(
    server: Server, limited: str
) -> None:
    expected = [("lock_timeout", "1000"), ("statement_timeout", "10000")]
    expected += [(name, "0") for name in list(LIMITS)[:2] if server.major >= LIMITS[name]]
    expected += [("idle_in_transaction_session_timeout", "10000")]
    for _ in range(5):
        with closing(connect(limited)) as session:
            found = session.conn.execute(
                "SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY (%s)",
                [list(LIMITS)],
            ).fetchall()
            assert sorted(found) == sorted(expected)
            with closing(database_beside(session.conn, "postgres")) as other:
                assert other.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("attributes", ["any", "primary"])
def test_every_command_works_under_limits_of_a_millisecond(
    limited: str, tmp_path: Path, attributes: str
) -> None:
    dsn, history = make_conninfo(limited, target_session_attrs=attributes), f"--history={tmp_path}"
    for command in (
        ["watch", dsn, "--interval=0.2", "--count=1", "--format=csv"],
        ["collect", dsn, "--check", history],
        ["collect", dsn, "--for=1s", "--interval=0.2s", history],
        ["doctor", dsn],
        ["rules", "test", dsn],
    ):
        done = pgiostat(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "trying again" not in done.stderr


@pytest.mark.pg(">=17")
def test_a_limit_that_cannot_be_ended_is_named_with_what_resets_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that drops start-up options."""
    monkeypatch.setattr(connecting, "SESSION_LIMITS", {})
    with pytest.raises(PgiostatError) as caught:
        connect(make_conninfo(database, options="-c transaction_timeout=1ms"))
    dbname = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    hint = (
        'ALTER ROLE "postgres" RESET transaction_timeout; the database may set it too:'
        f' ALTER DATABASE "{dbname}" RESET transaction_timeout;'
    )
    assert caught.value.report().splitlines() == [
        "pgiostat: error: the server ended our session because of transaction_timeout",
        "DETAIL:  Terminating connection due to transaction timeout.",
        f"HINT:  {hint}",
    ]
    assert caught.value.slug == "session-limit"


def test_a_database_without_an_encoding_is_read_like_any_other(make_server: MakeServer) -> None:
    """SQL_ASCII is what initdb makes without a locale: the server converts nothing there."""
    server = make_server()
    with client(server.dsn()) as conn:
        conn.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        conn.execute("CREATE ROLE \"日本\" LOGIN PASSWORD 'x'")
    dsn = server.dsn("ascii")
    with client(dsn) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        conn.execute(b'CREATE TABLE "caf\xe9" (id int PRIMARY KEY, row_version int8)')
        conn.execute(b'CREATE ROLE "na\xefve"')
    done = watch_once(dsn)
    assert (done.returncode, done.stderr) == (0, "")
    with client(server.dsn()) as conn:
        conn.execute('CREATE DATABASE "日本" TEMPLATE ascii')
    done = pgiostat("doctor", server.dsn("日本"), "--format", "json")
    assert json.loads(done.stdout)["server"]["dbname"] == "日本"
    with collecting(dsn) as collector:
        roles = set(collector.roles().values())
        assert {"日本", "na\N{REPLACEMENT CHARACTER}ve"} <= roles
        collector.take()
        with client(dsn) as conn:
            conn.execute(b'SELECT count(*) FROM "caf\xe9"')
        rows = collector.take().statements
        keys = zip(*(rows[n].tolist() for n in ("userid", "dbid", "queryid")), strict=True)
        texts = collector.texts(list(keys)).texts.values()
        assert 'SELECT count(*) FROM "caf\N{REPLACEMENT CHARACTER}"' in texts
    for command in (["doctor"], ["rules", "test"]):
        done = pgiostat(*command, dsn)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.once
def test_collecting_and_writing_rules_work_without_an_encoding(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    with client(server.dsn()) as conn:
        conn.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    dsn = server.dsn("ascii")
    with client(dsn) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        conn.execute(b'CREATE TABLE "caf\xe9" (id int PRIMARY KEY, row_version int8)')
    history = str(tmp_path / "h")
    done = pgiostat("collect", dsn, "--label", "x", "--history", history, "--for", "1s",
                    "--interval", "0.5s")  # fmt: skip
    assert done.returncode == 0
    assert " committed in " in done.stderr
    done = pgiostat("rules", "init", dsn, "--out", str(tmp_path / "rules.toml"))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_session_asks_for_its_own_role_unless_the_string_names_one(
    server: Server, role: str, database: str
) -> None:
    dsn = make_conninfo(role, dbname=str(psycopg.conninfo.conninfo_to_dict(database)["dbname"]))
    with client(server.dsn()) as conn:
        conn.execute("ALTER ROLE settled SET role = 'nobody'")
    try:
        session = connect(dsn)
        assert session.server.user == "settled"
        session.close()
        with reach(f"{dsn} options='-c role=nobody'") as conn:
            assert conn.execute("SELECT current_user::text").fetchone() == ("nobody",)
    finally:
        with client(server.dsn()) as conn:
            conn.execute("ALTER ROLE settled RESET role")
