"""Texts of databases in other encodings, damaged ones, and names that change: on real servers."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgiostat.analysis.rank import By, rank
from pgiostat.errors import PgiostatError
from pgiostat.postgres.sampler import Sampler
from pgiostat.postgres.snapshot_reader import SnapshotReader
from pgiostat.postgres.texts import TextBatch
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import rule_book
from pgiostat.statistics.names import UNREADABLE, Names
from tests.conftest import MakeServer
from tests.support.servers import ClusterServer, Server
from tests.support.workloads import client, collecting, fill, run

pytestmark = pytest.mark.ends

ENCODINGS = {"u8": "UTF8", "l1": "LATIN1", "jp": "EUC_JP", "ascii": "SQL_ASCII"}
THROUGH = [
    "l1",
    *(pytest.param(name, marks=pytest.mark.once) for name in ("postgres", "u8", "jp", "ascii")),
]


def make_databases(server: Server, *names: str) -> None:
    """Make databases named after their encodings, with pg_stat_statements in each."""
    with server.connect() as setup:
        setup.execute("CREATE EXTENSION pg_stat_statements")
        for name in names:
            setup.execute(
                sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(
                    sql.Identifier(name), ENCODINGS[name]
                )
            )
    for name in names:
        with server.connect(name) as setup:
            setup.execute("CREATE EXTENSION pg_stat_statements")


def send(
    server: Server, database: str, text: bytes, encoding: str = "UTF8", user: str = ""
) -> None:
    """Run a statement as these bytes."""
    dsn = server.dsn(database) + f" client_encoding={encoding}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        if user:
            connection.pgconn.exec_(f'SET SESSION AUTHORIZATION "{user}"'.encode())
        assert connection.pgconn.exec_(text).error_message == b""


def texts_of(collector: SnapshotReader) -> tuple[set[str], TextBatch]:
    """Return the texts that select, as the collector has them."""
    rows = collector.take().statements
    columns = (rows[name].tolist() for name in ("userid", "dbid", "queryid"))
    batch = collector.texts(list(zip(*columns, strict=True)))
    return {text for text in batch.texts.values() if text.startswith("SELECT $1 AS")}, batch


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    made = make_server()
    make_databases(made, "u8", "l1", "jp", "ascii")
    with made.connect() as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
    return made


ALL = {"SELECT $1 AS größe", "SELECT $1 AS 名前", "SELECT $1 AS 表", "SELECT $1 AS ascii, $2"}


@pytest.mark.parametrize("through", THROUGH)
def test_texts_of_all_encodings_are_read_through_any_database(server: Server, through: str) -> None:
    send(server, "l1", "SELECT 1 AS größe".encode())
    send(server, "u8", "SELECT 1 AS 名前".encode())
    send(server, "jp", "SELECT 1 AS 表".encode())
    send(server, "u8", b"SELECT 1 AS ascii, 2")
    with collecting(server.dsn(through)) as collector:
        found, batch = texts_of(collector)
    assert (found, batch.unreadable, batch.error) == (ALL, {}, None)


@pytest.mark.parametrize("through", THROUGH)
def test_bytes_of_a_database_without_an_encoding_cost_no_other_text(
    server: Server, through: str
) -> None:
    send(server, "ascii", "SELECT 1 AS größe".encode("latin-1"), "SQL_ASCII")
    send(server, "ascii", "SELECT 1 AS 名前, 2".encode(), "SQL_ASCII")
    send(server, "u8", "SELECT 1 AS 表".encode())
    with collecting(server.dsn(through)) as collector:
        found, batch = texts_of(collector)
    lossy = "SELECT $1 AS gr\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e"
    assert (found, batch.unreadable, batch.error) == (
        {lossy, "SELECT $1 AS 名前, $2", "SELECT $1 AS 表"}, {}, None,
    )  # fmt: skip


def test_where_no_database_can_the_texts_of_other_roles_are_read(make_server: MakeServer) -> None:
    server = make_server()
    make_databases(server)
    with server.connect() as setup:
        setup.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        setup.execute("CREATE ROLE api; CREATE ROLE web; CREATE ROLE reader LOGIN PASSWORD 'x'")
        setup.execute("GRANT pg_read_all_stats TO reader")
        setup.execute("SELECT pg_stat_statements_reset()")
    send(server, "bytes", b"SELECT 1 AS gr\xf6\xdfe", "SQL_ASCII", user="api")
    send(server, "bytes", b"SELECT 1 AS ascii, 2", "SQL_ASCII", user="api")
    send(server, "postgres", "SELECT 1 AS 表".encode(), user="web")
    with collecting(server.dsn()) as collector:
        found, batch = texts_of(collector)
        (api,) = (oid for oid, name in collector.roles().items() if name == "api")
    assert found == {"SELECT $1 AS 表"}
    assert batch.error is not None
    assert batch.error.slug == "texts-unreadable"
    assert {key[0] for key in batch.unreadable} >= {api}
    assert {why for why in batch.unreadable.values() if "0xf6" in why}
    # Who may not work under other roles reads none of them, and counters all the same.
    dsn = server.dsn() + " user=reader password=x"
    with collecting(dsn) as collector:
        with pytest.raises(PgiostatError) as raised:
            texts_of(collector)
        assert raised.value.slug == "texts-unreadable"
        assert "0xf6" in (raised.value.detail or "")
        assert "SQL_ASCII" in (raised.value.hint or "")
        assert len(collector.take().statements)


@pytest.mark.pg(">= 14")
def test_where_nothing_else_can_a_sessions_own_text_is_taken(make_server: MakeServer) -> None:
    server = make_server()
    make_databases(server)
    with server.connect() as setup:
        setup.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        setup.execute("CREATE ROLE reader LOGIN PASSWORD 'x'; GRANT pg_read_all_stats TO reader")
    send(server, "bytes", b"SELECT 1 AS gr\xf6\xdfe", "SQL_ASCII")
    sent = ("SELECT 12345 AS größe, 2", "SELECT 1; SELECT 2, 3", f"SELECT 1, 2, 3, '{'x' * 2_000}'")
    others = [psycopg.connect(server.dsn(), autocommit=True) for _ in sent]
    try:
        for connection, text in zip(others, sent, strict=True):
            assert connection.pgconn.exec_(text.encode()).error_message == b""
        with collecting(server.dsn() + " user=reader password=x") as collector:
            rows = collector.take().statements
            columns = (rows[name].tolist() for name in ("userid", "dbid", "queryid"))
            batch = collector.texts(list(zip(*columns, strict=True)))
    finally:
        for connection in others:
            connection.close()
    texts = set(batch.texts.values())
    assert sent[0] in texts
    # Of several statements, and of what was cut off, nobody knows what an entry is of.
    assert not {text for text in texts if ";" in text or "xxx" in text}
    assert batch.error is not None
    assert batch.unreadable


def damage(server: Server, old: bytes, new: bytes) -> None:
    """Change bytes of the file of texts."""
    assert isinstance(server, ClusterServer)
    (path,) = Path(server.cluster.directory).rglob("pgss_query_texts.stat")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new) if new else content[: content.index(old)])


def test_a_text_file_that_was_cut_costs_the_texts_that_it_lost(make_server: MakeServer) -> None:
    server = make_server()
    make_databases(server)
    with server.connect() as setup:
        setup.execute("CREATE ROLE api; CREATE ROLE web")
    send(server, "postgres", b"SELECT 1 AS ascii, 2", user="web")
    send(server, "postgres", b"SELECT 1 AS lost", user="api")
    damage(server, b"SELECT $1 AS lost", b"")
    with collecting(server.dsn()) as collector:
        found, batch = texts_of(collector)
        (api,) = (oid for oid, name in collector.roles().items() if name == "api")
    assert found == {"SELECT $1 AS ascii, $2"}
    assert api in {key[0] for key in batch.unreadable}


def test_a_damaged_text_costs_those_of_its_role_alone(make_server: MakeServer) -> None:
    server = make_server()
    make_databases(server)
    with server.connect() as setup:
        setup.execute("CREATE ROLE api; CREATE ROLE web")
    send(server, "postgres", b"SELECT 1 AS damaged", user="api")
    send(server, "postgres", b"SELECT 1 AS ascii, 2", user="web")
    damage(server, b"AS damaged", b"AS \xffamaged")
    with collecting(server.dsn()) as collector:
        found, batch = texts_of(collector)
    assert found == {"SELECT $1 AS ascii, $2"}
    assert batch.error is not None
    assert batch.unreadable


def test_a_reason_is_shown_and_the_numbers_are_corrected_when_the_text_comes(
    make_server: MakeServer,
) -> None:
    server = make_server()
    make_databases(server)
    with server.connect() as setup:
        setup.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with client(server.dsn()) as other:
        fill(other, "t", 40_000)  # 21 MB, of shared buffers of 16 MB
    now = [0.0]
    turns = 0

    def wait(_seconds: float) -> bool:
        nonlocal turns
        turns += 1
        now[0] += 70.0
        if turns == 1:
            send(server, "bytes", b"SELECT 1 AS gr\xf6\xdfe", "SQL_ASCII")
            with client(server.dsn()) as other:
                run(other, "SELECT sum(id) FROM t WHERE pad <> 'y'")
        if turns == 3:
            with server.connect() as setup:
                setup.execute("CREATE DATABASE through ENCODING 'SQL_ASCII' LOCALE 'C'"
                              " TEMPLATE template0")  # fmt: skip
            with server.connect("through") as setup:
                setup.execute("CREATE EXTENSION pg_stat_statements")
        return turns == 5

    sampler = Sampler(server.dsn(), 70.0, describer(), wait, clock=lambda: now[0])
    found = []
    for result in sampler.intervals():
        assert result.delta is not None
        found.append(result.delta)
        if len(found) == 2:
            before = rank([found[1]], sampler.names)
            shown = [row for row in before.rows if row.category == UNREADABLE]
            assert shown
            assert shown[0].cost.blocks > 1_000
            by_statement = rank([found[1]], sampler.names, by=By.STATEMENT).rows
            assert by_statement[0].name.startswith("(not readable: ")
            assert "0xf6" in by_statement[0].name
    # The same interval, ranked again.
    after = rank([found[1]], sampler.names, by=By.STATEMENT).rows[0]
    assert after.text == "select sum(id) from t where pad <> ?"
    assert after.cost.blocks == by_statement[0].cost.blocks
    assert UNREADABLE not in [row.category for row in rank([found[1]], sampler.names).rows]


# names that change


RULES = """
schema = 1

[[rule]]
name = "user"
category = "of web"
when = { user = "web" }

[[rule]]
name = "database"
category = "of shop"
when = { database = "shop" }
"""


@dataclass
class Renaming:
    """A server on which two roles, two databases and two tables swap their names at a turn."""

    server: Server
    swap_at: int
    ends_at: int
    now: float = 0.0
    turns: int = 0

    def make(self) -> None:
        make_databases(self.server)
        with self.server.connect() as setup:
            setup.execute("CREATE ROLE api SUPERUSER; CREATE ROLE web SUPERUSER")
            for name in ("app", "shop"):
                setup.execute(f"CREATE DATABASE {name}".encode())
        for database, table in (("postgres", "one"), ("postgres", "two"), ("app", "t"),
                                ("shop", "t")):  # fmt: skip
            with client(self.server.dsn(database)) as other:
                fill(other, table, 3_000)

    def work(self) -> None:
        for user, table in (("api", "one"), ("web", "two")):
            with client(self.server.dsn()) as other:
                other.execute(f'SET SESSION AUTHORIZATION "{user}"'.encode())
                run(other, f"SELECT count(*) FROM {table} WHERE pad <> 'y'")
        for name in ("app", "shop"):
            with client(self.server.dsn(name)) as other:
                run(other, "SELECT count(*) FROM t WHERE pad <> 'z'")

    def swap(self) -> None:
        with self.server.connect() as setup:
            for kind, a, b in (("ROLE", "api", "web"), ("DATABASE", "app", "shop"),
                               ("TABLE", "one", "two")):  # fmt: skip
                for before, after in ((a, "swap"), (b, a), ("swap", b)):
                    setup.execute(f"ALTER {kind} {before} RENAME TO {after}".encode())

    def wait(self, seconds: float) -> bool:
        self.turns += 1
        self.now += seconds
        self.work()
        if self.turns == self.swap_at:
            self.swap()
        return self.turns == self.ends_at


def oids(names: Names) -> list[int]:
    """Return the oids that bear the names which are swapped; 0 of what is not known yet."""
    found = {name: oid for oid, (_, _, name, part) in names.relations.items() if part == "heap"}
    for each in (names.roles, names.databases):
        found |= {name: oid for oid, name in each.items()}
    return [found.get(name, 0) for name in ("api", "web", "app", "shop", "one", "two")]


def categories(names: Names) -> dict[int, set[str]]:
    """Return the categories of what counts rows, by the oid of its role and of its database."""
    found: dict[int, set[str]] = {}
    for (userid, dbid, _), known in names.statements.items():
        if known.text.startswith("select count(*) from"):
            found.setdefault(userid, set()).add(known.category)
            found.setdefault(dbid, set()).add(known.category)
    return found


def test_swapped_names_are_followed_with_their_rules(
    make_server: MakeServer, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    world = Renaming(make_server(), swap_at=3, ends_at=7)
    world.make()
    describe = describer(rule_book(rules))
    sampler = Sampler(world.server.dsn(), 30.0, describe, world.wait, clock=lambda: world.now)
    seen: list[tuple[list[int], dict[int, set[str]]]] = []
    for result in sampler.intervals():
        assert (result.error, result.texts_error) == (None, None)
        if result.delta is not None and result.delta.seconds is not None:
            seen.append((oids(sampler.names), categories(sampler.names)))
    (before, old), (after, new) = seen[1], seen[-1]
    api, web, app, shop, one, two = before
    # Until 14 the server tells of relations half a second later, and these turns take no time.
    known = 6 if world.server.major >= 15 else 4
    assert after[:known] == [web, api, shop, app, two, one][:known]
    assert (old[web], old[shop]) == ({"of web"}, {"of shop"})
    assert (new[api], new[app]) == ({"of web"}, {"of shop"})
    assert not {"of web", "of shop"} & (old[api] | old[app] | new[web] | new[shop])
    # What was looked at within a minute: the swap was at 90 s.
    when = next(30 * (n + 1) for n, (found, _) in enumerate(seen) if found[:4] == after[:4])
    assert when <= 150


def test_what_was_dropped_and_made_again_is_told_apart(make_server: MakeServer) -> None:
    server = make_server()
    make_databases(server)
    turns = 0

    def make() -> None:
        with server.connect() as setup:
            setup.execute("CREATE ROLE api SUPERUSER")
            setup.execute("CREATE DATABASE app")

    def wait(_seconds: float) -> bool:
        nonlocal turns
        turns += 1
        if turns == 2:
            with server.connect() as setup:
                setup.execute("DROP DATABASE app")
                setup.execute("DROP ROLE api")
            make()
        send(server, "app", b"SELECT 1 AS ascii, 2", user="api")
        return turns == 4

    make()
    now = iter(range(0, 10**6, 10))
    sampler = Sampler(server.dsn(), 30.0, describer(), wait, clock=lambda: float(next(now)))
    deltas = [result.delta for result in sampler.intervals() if result.delta is not None]
    for by, name in ((By.DATABASE, "app"), (By.USER, "api")):
        rows = [row.name for row in rank(deltas, sampler.names, by=by).rows]
        found = [each for each in rows if each.startswith(f"{name} (oid ")]
        assert (len(found), len(set(found)), name in rows) == (2, 2, False)
