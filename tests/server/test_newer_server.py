"""A server that is newer than pgiostat, with a column more and one less."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from pgiostat.analysis.notices import notices
from pgiostat.analysis.rank import rank
from pgiostat.errors import PgiostatError
from pgiostat.postgres.doctor import examine, findings
from pgiostat.statistics.capabilities import capabilities
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import Names
from pgiostat.statistics.newest_version import COLUMNS, NEWEST_MAJOR
from tests.conftest import MakeServer
from tests.support.servers import MATRIX, Server
from tests.support.workloads import client, collecting

pytestmark = pytest.mark.ends

VERSION = """
ALTER FUNCTION pg_catalog.current_setting(text) RENAME TO current_setting_of_old;
CREATE FUNCTION pg_catalog.current_setting(text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE $1 WHEN 'server_version' THEN '20.0' WHEN 'server_version_num' THEN '200000'
           ELSE pg_catalog.current_setting_of_old($1) END $$;
"""
RENAME = """
UPDATE pg_catalog.pg_proc SET proargnames = array_replace(proargnames, '{}', '{}')
 WHERE proname = 'pg_stat_statements'
"""


@contextmanager
def newer(server: Server, *renamed: tuple[str, str]) -> Iterator[str]:
    """Let a server say that it is version 20, and rename columns of pg_stat_statements."""
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute("SET allow_system_table_mods = on")
        for before, after in renamed:
            other.execute(RENAME.format(before, after).encode())
        other.execute(VERSION)
    yield server.dsn()


@pytest.mark.pg(">= 17")
def test_a_newer_server_is_read_and_what_differs_is_named(make_server: MakeServer) -> None:
    with newer(make_server(), ("local_blk_read_time", "local_blk_read_us")) as dsn:
        with collecting(dsn) as collector, client(dsn) as other:
            older = collector.take()
            other.execute("SELECT count(*) FROM pg_class")
            other.execute("SELECT count(*) FROM pg_class")
            delta = diff(older, collector.take())
        snapshot = delta.newer
        assert snapshot.server.version_num == 200_000
        assert "local_blk_read_time" not in snapshot.statements
        assert snapshot.io is not None
        unknown = snapshot.server.unknown
        assert unknown.startswith(
            "PostgreSQL 20.0 is newer than 19, the newest version that pgiostat knows: "
            "pg_stat_statements has local_blk_read_us, which is not read; pg_stat_statements lacks "
        )
        assert "local_blk_read_time" in unknown
        assert delta.statements.total("calls") >= 2
        ranking = rank([delta], Names())
        assert ("server-newer", f"{unknown}.") in {
            (each.slug, each.text) for each in notices(delta, ranking)
        }
        missing = {each.name: each.missing for each in capabilities(snapshot)}
        assert missing["known_version"] == unknown
        assert missing["local_read_times"].startswith("needs pg_stat_statements 1.11")
        found = {each.aspect: each for each in findings(examine(dsn))}
        assert (found["version"].state.value, found["version"].reason) == ("note", unknown)


@pytest.mark.pg(">= 17")
def test_a_column_without_which_nothing_is_known_is_an_error(make_server: MakeServer) -> None:
    with (
        newer(make_server(), ("shared_blks_read", "shared_blocks_read")) as dsn,
        pytest.raises(PgiostatError) as raised,
        collecting(dsn) as collector,
    ):
        collector.take()
    assert raised.value.report() == (
        "pgiostat: error: pgiostat cannot read pg_stat_statements of PostgreSQL 20.0\n"
        "DETAIL:  It lacks shared_blks_read.\n"
        "HINT:  Update pgiostat."
    )


@pytest.mark.pg(f">= {NEWEST_MAJOR}")
def test_the_columns_of_the_newest_version_are_its_columns(database: str, server: Server) -> None:
    assert server.major == NEWEST_MAJOR == max(MATRIX)
    with psycopg.connect(database) as conn:
        found = {
            view: {
                name
                for (name,) in conn.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                    [view],
                )
            }
            for view in ("pg_stat_database", "pg_stat_io")
        }
        (names,) = conn.execute(
            "SELECT proargnames FROM pg_proc WHERE proname = 'pg_stat_statements'"
        ).fetchone() or ([],)
    assert {**found, "pg_stat_statements": set(names)} == {
        view: set(columns) for view, columns in COLUMNS.items()
    }
