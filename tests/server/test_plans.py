"""Generic plans of statements on real servers: nothing is executed, whatever the text is."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgiostat.analysis.plans import NoPlan, StatementPlan
from pgiostat.errors import PgiostatError
from pgiostat.postgres import plans
from pgiostat.postgres.connection import database_beside, reach
from pgiostat.postgres.plans import plan_of
from pgiostat.postgres.sent_sql import plan_prepare
from pgiostat.postgres.session import connect
from pgiostat.postgres.session_settings import PLAN_SETTINGS
from pgiostat.queries.plannable import Plannable
from tests.conftest import MakeServer
from tests.support.servers import Server
from tests.support.workloads import client

pytestmark = pytest.mark.server

SHOP = """
CREATE EXTENSION pg_stat_statements;
CREATE ROLE monitor LOGIN PASSWORD 'm';
GRANT pg_monitor TO monitor;
CREATE ROLE app LOGIN PASSWORD 'a';
CREATE SCHEMA shop AUTHORIZATION app;
ALTER ROLE app SET search_path = shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, client int, pad text);
INSERT INTO shop.orders SELECT i, i % 100, repeat('x', 200) FROM generate_series(1, 5000) AS i;
CREATE INDEX orders_client_id ON shop.orders (client, id);
CREATE TABLE shop.log (at int, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.log_2 PARTITION OF shop.log FOR VALUES FROM (10) TO (20);
GRANT ALL ON ALL TABLES IN SCHEMA shop TO app
"""


class Shop:
    """A server with an application whose statements are planned."""

    def __init__(self, server: Server) -> None:
        self.server = server
        with client(server.dsn()) as admin:
            for statement in SHOP.split(";"):
                admin.execute(statement.encode())
            admin.execute("VACUUM (FREEZE, ANALYZE)")

    def dsn(self, role: str) -> str:
        """Return the connection string of a role."""
        return make_conninfo(self.server.dsn(), user=role, password=role[0])

    def admin(self, *statements: str) -> None:
        """Run statements as superuser."""
        with client(self.server.dsn()) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    def runs(self, text: str, *parameters: object) -> None:
        """Let the application run a statement."""
        with client(self.dsn("app")) as conn:
            conn.execute(text.encode(), parameters)

    def plan(self, part: str, role: str = "monitor") -> StatementPlan | NoPlan:
        """Return the plan of the application's statement with a part of its text."""
        session = connect(self.dsn(role) if role else self.server.dsn())
        try:
            with client(self.server.dsn()) as admin:
                rows = admin.execute(
                    "SELECT s.userid, s.dbid, s.queryid FROM pg_stat_statements AS s"
                    " WHERE strpos(query, %s) > 0 AND s.userid = 'app'::regrole",
                    [part],
                ).fetchall()
            keys = [(int(u), int(d), int(q)) for u, d, q in rows]
            return plan_of(session, keys)
        finally:
            session.close()


@pytest.fixture
def shop(make_server: MakeServer) -> Shop:
    return Shop(make_server(autovacuum="off"))


def _nodes(plan: StatementPlan | NoPlan) -> list[tuple[int, str, str, str]]:
    assert isinstance(plan, StatementPlan), plan
    return [(e.depth, e.node.kind, e.node.relation, e.node.index) for e in plan.nodes]


def test_a_plan_is_generic_and_uses_the_statements_search_path_and_role(shop: Shop) -> None:
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)
    shop.runs("SELECT count(*) FROM orders WHERE pad <> %s", "y")
    read_all = ('GRANT pg_read_all_data TO "monitor";',) if shop.server.major >= 14 else ()
    hidden = shop.plan("SELECT pad FROM orders")
    assert isinstance(hidden, NoPlan)
    assert hidden.reason == 'the server refused it: relation "orders" does not exist'
    assert "monitor may also lack USAGE on these schemas" in hidden.hint
    assert hidden.statements == read_all
    shop.admin("GRANT USAGE ON SCHEMA shop TO monitor")
    denied = shop.plan("SELECT pad FROM orders")
    assert isinstance(denied, NoPlan)
    assert denied.reason == "monitor may not plan it: permission denied for table orders"
    assert denied.statements == ('GRANT SELECT ON "shop"."orders" TO "monitor";', *read_all)
    shop.admin("GRANT app TO monitor")
    found = shop.plan("SELECT pad FROM orders")
    assert _nodes(found) == [(0, "Index Scan", "orders", "orders_pkey")]
    assert isinstance(found, StatementPlan)
    assert (found.role, found.statement_role, found.search_path) == ("app", "app", "shop")
    assert dict(found.settings) == {}
    scanned = shop.plan("SELECT count(*) FROM orders")
    assert isinstance(scanned, StatementPlan)
    assert scanned.marked is not None
    with client(shop.server.dsn()) as admin:
        pages = admin.execute("SELECT relpages FROM pg_class WHERE relname = 'orders'").fetchone()
    assert scanned.marked.blocks == pages[0]  # type: ignore[index]
    assert scanned.marked.node.kind == "Seq Scan"
    assert scanned.shape != found.shape
    assert scanned.shape == shop.plan("SELECT count(*) FROM orders").shape  # type: ignore[union-attr]


@pytest.mark.pg(">= 14")
def test_a_role_that_reads_all_data_plans_with_its_own_rights(shop: Shop) -> None:
    shop.admin("GRANT pg_read_all_data TO monitor")
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)
    shop.runs("UPDATE orders SET pad = %s WHERE id = %s", "x", 7)
    found = shop.plan("SELECT pad FROM orders")
    assert isinstance(found, StatementPlan)
    assert (found.role, found.statement_role, found.search_path) == ("monitor", "app", "shop")
    denied = shop.plan("UPDATE orders")
    assert isinstance(denied, NoPlan)
    assert denied.reason == "monitor may not plan it: permission denied for table orders"
    assert "the right to write, which pg_read_all_data does not include" in denied.hint
    assert denied.statements == ('GRANT "app" TO "monitor";',)


def test_a_statement_that_writes_is_planned_and_not_executed(shop: Shop) -> None:
    shop.admin("GRANT app TO monitor")
    shop.runs("UPDATE orders SET pad = %s WHERE id = %s", "changed", 7)
    shop.admin("UPDATE shop.orders SET pad = 'as it was' WHERE id = 7")
    before = _fingerprint(shop)
    assert _nodes(shop.plan("UPDATE orders")) == [
        (0, "ModifyTable", "orders", ""),
        (1, "Index Scan", "orders", "orders_pkey"),
    ]
    assert _fingerprint(shop) == before


def test_all_partitions_are_shown_although_null_would_prune_them(shop: Shop) -> None:
    shop.admin("GRANT app TO monitor")
    shop.runs("SELECT n FROM log WHERE at = %s", 5)
    found = shop.plan("SELECT n FROM log")
    assert [name for _, _, name, _ in _nodes(found) if name] == ["log_1", "log_2"]


def test_settings_of_the_role_decide_as_for_the_application(shop: Shop) -> None:
    shop.admin("GRANT app TO monitor", "ALTER ROLE app SET enable_indexscan = off")
    shop.admin("ALTER ROLE app SET enable_bitmapscan = off")
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)
    found = shop.plan("SELECT pad FROM orders")
    assert _nodes(found) == [(0, "Seq Scan", "orders", "")]
    assert isinstance(found, StatementPlan)
    assert found.settings == (("enable_bitmapscan", "off"), ("enable_indexscan", "off"))


def test_what_has_no_plan_has_a_reason(shop: Shop) -> None:
    shop.admin("GRANT app TO monitor", "GRANT ALL ON SCHEMA shop TO app")
    shop.runs("CREATE TABLE gone (a int)")
    shop.runs("SELECT a FROM gone WHERE a = %s", 1)
    shop.runs("DROP TABLE gone")
    shop.runs("VACUUM orders")
    refused = shop.plan("SELECT a FROM gone")
    assert isinstance(refused, NoPlan)
    assert refused.reason == 'the server refused it: relation "gone" does not exist'
    assert "search_path = shop" in refused.hint
    assert shop.plan("VACUUM orders") == NoPlan("EXPLAIN does not take this command")
    assert shop.plan("no such text") == NoPlan("it has no entry in pg_stat_statements")
    session = connect(shop.dsn("monitor"))
    assert plan_of(session, [(10, 1, 5)]) == NoPlan(
        "it runs in another database", "Connect to the database of the statement."
    )
    session.close()


def test_a_table_that_is_locked_is_not_waited_for(shop: Shop) -> None:
    shop.admin("GRANT app TO monitor")
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)
    with client(shop.server.dsn()) as admin, admin.transaction():
        admin.execute("LOCK TABLE shop.orders")
        found = shop.plan("SELECT pad FROM orders")
    assert found == NoPlan("the server refused it: canceling statement due to lock timeout")


HOSTILE = [
    "select 1; drop table shop.orders",
    "select 1 /* */; drop table shop.orders --",
    "explain analyze delete from shop.orders",
    "analyze delete from shop.orders",
    "execute x; drop table shop.orders",
    "select $1); drop table shop.orders; --",
    "with x as (delete from shop.orders returning *) select * from x; commit",
    "commit",
    "do $$ begin drop table shop.orders; end $$",
    "select 1 into shop.copied",
    "delete from shop.orders",
    "(select 1) union all (select shop.volatile_trap())",
    "select shop.volatile_trap() where shop.volatile_trap() = 1",
    "select 1 where shop.stable_trap() = 1",
    "select id from shop.orders where id = shop.stable_trap()",
    "select id from shop.orders where id = shop.immutable_trap()",
    "select id from shop.orders where id = shop.slow_trap()",
]

TRAPS = """
CREATE TABLE shop.sprung (by text);
GRANT ALL ON shop.sprung TO PUBLIC;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
"""
TRAP = (
    "CREATE FUNCTION shop.{name}_trap() RETURNS int LANGUAGE plpgsql {name} AS"
    " $$ BEGIN {setup} PERFORM shop.spring('{name}'); RETURN 1; END $$"
)
SPRING = (
    "CREATE FUNCTION shop.spring(by text) RETURNS int LANGUAGE plpgsql VOLATILE AS"
    " $$ BEGIN INSERT INTO shop.sprung VALUES (by); RETURN 1; END $$"
)


@contextmanager
def _unchecked(monkeypatch: pytest.MonkeyPatch, text: str) -> Iterator[None]:
    """Let plan_of send a text as if our lexer had passed it."""
    with monkeypatch.context() as patched:
        passed = Plannable(text, "select", 0)
        patched.setattr(plans, "plannable", lambda _: passed)
        yield


def _set_traps(shop: Shop) -> None:
    shop.admin("GRANT app TO monitor", *filter(str.strip, TRAPS.split(";")))
    shop.admin(SPRING)
    for name in ("volatile", "stable", "immutable"):
        shop.admin(TRAP.format(name=name, setup=""))
    # It tries to end what keeps it from writing.
    shop.admin(
        TRAP.format(
            name="stable", setup="PERFORM set_config('transaction_read_only', 'off', true);"
        ).replace("stable_trap", "writing_trap")
    )
    shop.admin(
        "CREATE FUNCTION shop.slow_trap() RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN 1; END $$"
    )


def _fingerprint(shop: Shop) -> object:
    with client(shop.server.dsn()) as admin:
        return admin.execute(
            "SELECT (SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM shop.orders AS o),"
            " (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class"
            "  WHERE relnamespace = 'shop'::regnamespace),"
            " (SELECT count(*) FROM pg_prepared_statements)"
        ).fetchone()


def test_no_hostile_text_runs_even_where_our_lexer_is_passed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_traps(shop)
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)
    before = _fingerprint(shop)
    outcomes = {}
    for text in (*HOSTILE, "select id from shop.orders where id = shop.writing_trap()"):
        with _unchecked(monkeypatch, text):
            found = shop.plan("SELECT pad FROM orders")
        outcomes[text] = "planned" if isinstance(found, StatementPlan) else found.reason
        assert _fingerprint(shop) == before, text
        with client(shop.server.dsn()) as admin:
            assert admin.execute("SELECT * FROM shop.sprung").fetchall() == [], text
    refused = "the server refused it: "
    for text, outcome in outcomes.items():
        if "; " in text and "do $$" not in text:
            assert outcome.startswith(
                (f"{refused}cannot insert multiple commands", f"{refused}syntax error")
            ), text
        elif text.startswith(("explain", "analyze", "execute", "commit", "do ")):
            assert outcome.startswith(f"{refused}syntax error"), text
    in_read_only = "inside a read-only transaction"
    read_only = f"{refused}cannot execute INSERT in a read-only transaction"
    by_function = {
        name: outcomes[f"select id from shop.orders where id = shop.{name}_trap()"]
        for name in ("stable", "immutable", "writing", "slow")
    }
    assert by_function == {
        "stable": read_only,
        "immutable": read_only,
        "writing": f"{refused}cannot set transaction read-write mode {in_read_only}",
        "slow": f"{refused}canceling statement due to statement timeout",
    }
    assert outcomes["delete from shop.orders"] == "planned"
    assert outcomes["select shop.volatile_trap() where shop.volatile_trap() = 1"] == "planned"


def test_a_session_of_the_plan_takes_one_command_only(server: Server) -> None:
    conn = reach(server.dsn())
    beside = database_beside(conn, "postgres", settings=PLAN_SETTINGS)
    with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
        beside.execute(plan_prepare("select 1; select 2"))
    assert beside.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    conn.close()
    beside.close()


def test_a_superuser_plans_only_where_no_function_of_others_could_run(shop: Shop) -> None:
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)
    assert isinstance(shop.plan("SELECT pad FROM orders", role=""), StatementPlan)
    shop.runs("CREATE FUNCTION shop.theirs() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'")
    found = shop.plan("SELECT pad FROM orders", role="")
    assert isinstance(found, NoPlan)
    assert "may run programs on the server" in found.reason
    assert found.hint == "Connect with a role that is no superuser."


def test_an_error_of_the_server_is_a_reason(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.runs("SELECT pad FROM orders WHERE id = %s", 7)

    def refuse(*_: object, **__: object) -> None:
        raise PgiostatError("it is gone", detail="It was here.", hint="Wait.", slug="x")

    monkeypatch.setattr(plans, "database_beside", refuse)
    assert shop.plan("SELECT pad FROM orders") == NoPlan("it is gone. It was here.", "Wait.")
