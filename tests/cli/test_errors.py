"""What a person is told when it does not work: text and exit status, on real servers."""

import re
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.cli.watch import DOCTOR
from pgiostat.lab.postgres.cluster import free_port
from pgiostat.postgres.session import connect
from tests.conftest import MakeServer
from tests.support.program import pgiostat, watch_once
from tests.support.servers import Server
from tests.support.workloads import client, run

pytestmark = pytest.mark.ends


def test_without_a_server_the_address_and_libpqs_reason_are_named() -> None:
    port = free_port()
    done = watch_once(f"host=127.0.0.1 port={port} user=nobody dbname=app")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == f'pgiostat: error: could not connect to server "127.0.0.1:{port}"'
    assert lines[1].startswith("DETAIL:  ")
    assert "Connection refused" in lines[1]
    assert (
        lines[2]
        == "HINT:  Check that the server is running and accepts connections at this address."
    )
    assert len(lines) == 3


def test_a_wrong_password_is_refused_and_not_shown(server: Server) -> None:
    given = conninfo_to_dict(server.dsn())
    uri = f"postgresql://{given.get('user')}:s3cr3t@{given['host']}:{given['port']}/postgres"
    done = watch_once(uri, PGPASSFILE="/dev/null")
    assert (done.returncode, done.stdout) == (1, "")
    hint = (
        "HINT:  Put the password in ~/.pgpass (mode 0600) or PGPASSWORD, and check the user. If"
        " both are right, the password may have expired (pg_roles.rolvaliduntil): ALTER ROLE"
        f" \"{given['user']}\" VALID UNTIL 'infinity';"
    )
    assert done.stderr.splitlines() == [
        f'pgiostat: error: server "{given["host"]}:{given["port"]}" rejected the password',
        f'DETAIL:  Password authentication failed for user "{given.get("user")}".',
        hint,
    ]


def test_a_missing_database_is_named(server: Server) -> None:
    done = watch_once(server.dsn("no_such"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'pgiostat: error: database "no_such" does not exist',
        "HINT:  List the databases with: psql -l",
    ]


def test_a_malformed_connection_string_is_a_usage_error_without_its_password() -> None:
    done = watch_once("postgresql://app:s3cr3t@db:notaport/app")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pgiostat: error: invalid connection string\nDETAIL:  ")
    assert "s3cr3t" not in done.stderr


def test_an_extension_in_another_database_is_found_there(server: Server, database: str) -> None:
    with server.connect() as setup:
        setup.execute("CREATE DATABASE bare TEMPLATE template0")
    try:
        done = watch_once(server.dsn("bare"))
        there = conninfo_to_dict(database)["dbname"]
        assert (done.returncode, done.stdout) == (1, "")
        lines = done.stderr.splitlines()
        assert lines[0] == (
            'pgiostat: error: pg_stat_statements is not installed in database "bare"'
        )
        assert re.match(r"DETAIL:  It is installed in databases? .* of this server\.$", lines[1])
        assert f'"{there}"' in lines[1]
        assert lines[2] == (
            "HINT:  Connect there (one database shows the statements of all), "
            'or run CREATE EXTENSION pg_stat_statements in "bare". '
            f"{DOCTOR}"
        )
    finally:
        with server.connect() as setup:
            setup.execute("DROP DATABASE bare")


def test_an_extension_that_is_nowhere_is_said_to_be_nowhere(make_server: MakeServer) -> None:
    done = watch_once(make_server().dsn())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'pgiostat: error: pg_stat_statements is not installed in database "postgres"',
        "DETAIL:  No database of this server that this role can connect to has it.",
        f'HINT:  Run CREATE EXTENSION pg_stat_statements in "postgres". {DOCTOR}',
    ]


def test_an_extension_that_is_not_preloaded_is_told_with_the_setting(
    make_server: MakeServer,
) -> None:
    server = make_server(shared_preload_libraries="")
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    done = watch_once(server.dsn())
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "pgiostat: error: pg_stat_statements is not preloaded on this server"
    assert "shared_preload_libraries" in lines[1]
    assert lines[2] == (
        "HINT:  Add pg_stat_statements to shared_preload_libraries and restart the server "
        f"(on RDS: in the parameter group). {DOCTOR}"
    )


def test_without_the_privilege_reads_are_still_counted_and_the_grant_is_named(
    database: str,
) -> None:
    with client(database) as other:
        other.execute("CREATE ROLE unprivileged LOGIN PASSWORD 'x'")
        try:
            stop = Event()
            worker = Thread(target=_read_until, args=(database, stop))
            worker.start()
            dsn = make_conninfo(database, user="unprivileged", password="x")
            done = watch_once(dsn, "--interval", "2")
            stop.set()
            worker.join()
        finally:
            other.execute("DROP ROLE unprivileged")
    assert done.returncode == 0, done.stderr
    assert 'GRANT pg_read_all_stats TO "unprivileged";' in done.stdout
    assert re.search(r"^hidden +>?\d", done.stdout, re.MULTILINE), done.stdout


def _read_until(dsn: str, stop: Event) -> None:
    """Read some blocks again and again."""
    with client(dsn) as other:
        other.execute(
            "CREATE TABLE scanned AS SELECT repeat('x', 900) AS pad FROM generate_series(1, 30000)"
        )
        while not stop.is_set():
            run(other, "SELECT count(*) FROM scanned")


def test_a_server_killed_while_watched_is_waited_for_and_the_gap_is_shown(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
    errors = tmp_path / "stderr"
    command = [sys.executable, "-m", "pgiostat", "watch", server.dsn(), "-i", "0.3", "-n", "6"]
    with (
        errors.open("w") as aside,
        subprocess.Popen(
            [*command, "--format", "json"],
            stdout=subprocess.PIPE,
            stderr=aside,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as watching,
    ):
        assert watching.stdout is not None
        first = watching.stdout.readline()
        server.crash()
        while "connection to the server was lost" not in errors.read_text():
            assert watching.poll() is None, errors.read_text()
            Event().wait(0.05)
        server.start()
        rest, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0, errors.read_text()
    qualities = [
        re.findall(r'"qualities": (\[.*?\])', line)[0] for line in [first, *rest.splitlines()]
    ]
    assert len(qualities) == 6
    assert '["restart", "gap"]' in qualities[:3]
    assert qualities[-1] == '["ok"]'


def test_the_session_is_read_only_and_marked(database: str) -> None:
    session = connect(database)
    try:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.conn.execute("CREATE TABLE written (id int)")
        name = session.conn.execute("SHOW application_name").fetchone()
        assert name == ("pgiostat",)
    finally:
        session.close()


@pytest.mark.parametrize("dsn", ["postgresql://u:sec/ret@h/db", "host=h password=sec ret"])
def test_no_word_of_a_string_that_cannot_be_read_is_shown(dsn: str) -> None:
    done = pgiostat("watch", "--once", dsn)
    assert done.returncode != 0
    assert done.stderr.startswith("pgiostat: error: invalid connection string\n")
    assert "sec" not in done.stderr
    assert "ret" not in done.stderr


@pytest.mark.parametrize(
    ("dsn", "port"),
    [
        ("host=127.0.0.1 port=124111", ""),
        ("host=127.0.0.1 port=54e3 user=app", ""),
        ("host=127.0.0.1 port=0,65536", ""),
        ("postgresql://app:s3cr3t@127.0.0.1:124111/app", ""),
        ("host=127.0.0.1", "124111"),
        ("host=127.0.0.1 password=my port=s3cr3t", ""),
    ],
)
def test_a_wrong_port_is_named_and_not_quoted(dsn: str, port: str) -> None:
    done = pgiostat("doctor", dsn, **({"PGPORT": port} if port else {}))
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            "pgiostat: error: invalid connection string",
            "DETAIL:  The port is not a number from 1 to 65535.",
            'HINT:  Use a URI ("postgresql://user@host:5432/dbname") or keywords '
            '("host=db dbname=app user=pgiostat").'
            + (" It is the value of PGPORT, or of a service file." if port else ""),
        ],
    )
