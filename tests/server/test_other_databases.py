"""Tables and indexes of databases beside the connected one, collected into a history."""

from pathlib import Path
from threading import Event

import psycopg
import pytest
from psycopg import sql

from pgiostat.history.format.layout import Layout
from pgiostat.history.read.history import History
from pgiostat.history.read.windows import Window
from pgiostat.history.write.compaction import compact
from pgiostat.history.write.newest_definitions import newest_definitions
from pgiostat.queries.describe import describer
from tests.conftest import MakeServer
from tests.support.relation_collecting import Collected
from tests.support.servers import Server
from tests.support.workloads import client

TABLE = """
CREATE TABLE {} (id int PRIMARY KEY, n int);
INSERT INTO {} SELECT g, g FROM generate_series(1, 1000) AS g
"""


NOT_READ = (
    'pgiostat: error: database "nowhere", and 1 more: it does not exist, or our role may not'
    " connect to it"
)


def _prepared(server: Server) -> str:
    """Make two more databases with a table each; return the name of the connected one."""
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute(TABLE.format("here", "here").encode())
        for name in ("side", "third"):
            other.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        (dbname,) = other.execute("SELECT current_database()").fetchone() or ("",)
    for name in ("side", "third"):
        with client(_dsn(server, name)) as other:
            other.execute(TABLE.format(name, name).encode())
    for database, table in ((str(dbname), "here"), ("side", "side"), ("third", "third")):
        _until(server, database, "n_tup_ins", table, 1000)
    return str(dbname)


def _dsn(server: Server, database: str) -> str:
    return psycopg.conninfo.make_conninfo(server.dsn(), dbname=database)


def _until(server: Server, database: str, expression: str, table: str, value: int) -> None:
    """Wait until the server has counted: 13 and 14 take half a second to write it down."""
    query = f"SELECT {expression} FROM pg_stat_user_tables WHERE relname = '{table}'"
    for _ in range(100):
        with client(_dsn(server, database)) as other:
            row = other.execute(query.encode()).fetchone()
        if row is not None and (row[0] or 0) >= value:
            return
        Event().wait(0.1)
    pytest.fail(f"{expression} of {table} was never {value}")


def _scans_of(server: Server, database: str, table: str) -> int:
    with client(_dsn(server, database)) as other:
        query = f"SELECT idx_scan FROM pg_stat_user_tables WHERE relname = '{table}'"
        row = other.execute(query.encode()).fetchone()
    return int(row[0] or 0) if row else 0


def _work(server: Server, database: str, table: str) -> None:
    before = _scans_of(server, database, table)
    _look_up(server, database, table)
    _until(server, database, "idx_scan", table, before + 20)


def _look_up(server: Server, database: str, table: str) -> None:
    with client(_dsn(server, database)) as other:
        other.execute("SET enable_seqscan = off")
        for number in range(20):
            other.execute(f"SELECT n FROM {table} WHERE id = {number + 1}".encode())


def _scans(history: Path) -> dict[str, int]:
    """Return index scans by own name, of user indexes."""
    opened = History.open(history)
    try:
        window = Window(opened.servers()[0].since, opened.servers()[0].until, "prod")
        names = opened.names(describer())
        found: dict[str, int] = {}
        (server_id,) = names
        rows = opened.facts("index_stats", window, [server_id]).to_pylist()
        for row in rows:
            known = names[server_id]
            named = known.elsewhere.get((row["dbid"], row["indexrelid"]))
            own = known.index_names.get(row["indexrelid"], "") if named is None else named[4]
            if own.endswith("_pkey"):
                database = known.database(row["dbid"])
                found[f"{database}.{own}"] = found.get(f"{database}.{own}", 0) + row["idx_scan"]
        return found
    finally:
        opened.close()


def test_tables_of_all_databases_are_collected_in_turn(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    here = _prepared(server)
    collected = Collected(server.dsn(), tmp_path / "h", "all")
    for _ in range(4):  # the first read of each database
        collected.step()
    for name, table in ((here, "here"), ("side", "side"), ("third", "third")):
        _work(server, name, table)
    with client(_dsn(server, "side")) as other:
        other.execute("CREATE INDEX side_n ON side (n) WHERE n > 5")
    for _ in range(6):
        collected.step()
    collected.close()
    expected = {f"{here}.here_pkey": 20, "side.side_pkey": 20, "third.third_pkey": 20}
    assert _scans(tmp_path / "h") == expected
    assert collected.errors == []
    assert compact(Layout(tmp_path / "h"), "prod") > 0
    assert _scans(tmp_path / "h") == expected
    definitions = newest_definitions(Layout(tmp_path / "h"), collected.sampler.older.server)  # type: ignore[union-attr]
    assert {
        each.name: each.text for each in definitions.values() if each.name.startswith("side")
    } == {
        "side": "id integer, n integer",
        "side_pkey": "CREATE UNIQUE INDEX side_pkey ON public.side USING btree (id)",
        "side_n": "CREATE INDEX side_n ON public.side USING btree (n) WHERE (n > ?)",
    }


def test_a_database_that_cannot_be_read_is_named_and_costs_no_other(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    _prepared(server)
    with client(server.dsn()) as other:
        other.execute("ALTER DATABASE third ALLOW_CONNECTIONS false")
    collected = Collected(server.dsn(), tmp_path / "h", "side,third,nowhere")
    for _ in range(3):
        collected.step()
    _work(server, "side", "side")
    for _ in range(4):
        collected.step()
    collected.close()
    assert _scans(tmp_path / "h")["side.side_pkey"] == 20
    assert set(collected.errors) == {NOT_READ}


def test_a_restarted_collector_writes_no_definition_twice_and_finds_what_was_dropped(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    here = _prepared(server)
    with client(server.dsn()) as other:
        other.execute("CREATE INDEX here_n ON here (n)")
    first = Collected(server.dsn(), tmp_path / "h", "side")
    for _ in range(2):
        first.step()
    _work(server, here, "here")
    for _ in range(3):
        first.step()
    first.close()
    with client(server.dsn()) as other:
        other.execute("DROP INDEX here_n")
    second = Collected(server.dsn(), tmp_path / "h", "side")
    for _ in range(2):
        second.step()
    _work(server, here, "here")
    for _ in range(3):
        second.step()
    second.close()
    opened = History.open(tmp_path / "h")
    rows = [row for row in opened.dimension("definition") if row["name"].startswith("here")]
    opened.close()
    assert [(row["name"], row["text"]) for row in rows] == [
        ("here_pkey", "CREATE UNIQUE INDEX here_pkey ON public.here USING btree (id)"),
        ("here_n", "CREATE INDEX here_n ON public.here USING btree (n)"),
        ("here", "id integer, n integer"),
        ("here_n", None),
    ]
