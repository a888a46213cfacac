"""All SQL that we send: each name in it is qualified, and our own entries are known by it."""

import re
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgiostat.errors import PgiostatError
from pgiostat.postgres.connection import reach
from pgiostat.postgres.doctor import examine, findings
from pgiostat.postgres.driver import Connection
from pgiostat.postgres.name_reader import add_names
from pgiostat.postgres.own_statements import Own
from pgiostat.postgres.sent_sql import quoted_schema, text_of
from pgiostat.postgres.session import connect
from pgiostat.queries.describe import describer
from pgiostat.statistics.delta import Quality
from pgiostat.statistics.difference import diff
from pgiostat.statistics.names import OWN, Names
from tests.conftest import MakeServer
from tests.support.sql_names import servers, unqualified
from tests.support.workloads import client, collecting

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_every_statement_is_qualified() -> None:
    names = set()
    for server, sent in servers():
        for name, text in sent.by_name():
            # As psycopg sends it: numbered parameters, one % for two where there are any.
            sendable = re.sub(r"%\(\w+\)s", "$1", text).replace("%%", "%")
            assert unqualified(sendable) == [], f"{name} for {server}: {sendable}"
            names.add(name)
    assert sorted(names) == [
        "activity_texts",
        "all_relation_stats",
        "as_role",
        "base_tables",
        "catalog",
        "columns",
        "databases",
        "definitions",
        "doctor",
        "doctor_clock (timing off)",
        "doctor_clock (timing on)",
        "doctor_identified",
        "doctor_objects",
        "doctor_pending",
        "doctor_resets (pg_stat_bgwriter)",
        "doctor_resets (pg_stat_database)",
        "doctor_resets (pg_stat_io)",
        "doctor_stat_file",
        "doctor_texts",
        "extension",
        "foreign_keys",
        "guard",
        "io_method",
        "is_superuser",
        "kcache",
        "kcache_probe",
        "limits",
        "own",
        "partitions",
        "plan_relations",
        "plan_set",
        "plan_settings",
        "plan_target",
        "pooled",
        "probe",
        "relation_stats",
        "relations",
        "roles",
        "running",
        "server",
        "session",
        "settings",
        "snapshot",
        "snapshot_without_statements",
        "statement_rows",
        "system_identifier",
        "texts",
        "timeout",
        "whereabouts",
    ]


def test_each_text_in_the_directory_is_one_of_them() -> None:
    """A statement that is in no list would be parsed by no test."""
    known = {name.split(" ")[0] for _, sent in servers() for name, _ in sent.by_name()}
    parts = {
        "doctor_setting",
        "index_stats_source",
        "running_read",
        "statements_rows",
        "table_stats_source",
        "view_packed",
    }
    stored = {
        each.name.removesuffix(".sql")
        for each in files("pgiostat.postgres").joinpath("sql").iterdir()
        if each.name.endswith(".sql")
    }
    composed = {"all_relation_stats", "snapshot_without_statements", "statement_rows"}
    assert stored - parts == known - composed


UNQUALIFIED = [
    ("SELECT format('%I', x) FROM pg_catalog.pg_class", ["function format"]),
    ("SELECT a = b FROM s.t", ["operator ="]),
    ("SELECT a OPERATOR(pg_catalog.=) b FROM t", ["relation t"]),
    ("SELECT a::int8 FROM s.t", ["type int8"]),
    ("SELECT a::int FROM s.t", []),  # the grammar's own name of pg_catalog.int4
    ("SELECT a::text[] FROM s.t", ["type text"]),
    ("SELECT CAST(a AS text) FROM s.t", ["type text"]),
    ("SELECT text 'x'", ["type text"]),
    ("SELECT a IN (1, 2) FROM s.t", ["operator = of IN"]),
    ("SELECT a IN (SELECT b FROM s.u) FROM s.t", ["operator = of IN (SELECT)"]),
    ("SELECT a = ANY (b) FROM s.t", ["operator ="]),
    ("SELECT a OPERATOR(pg_catalog.=) ANY (b) FROM s.t", []),
    ("SELECT a LIKE 'x' FROM s.t", ["operator ~~ of LIKE"]),
    ("SELECT a ILIKE 'x' FROM s.t", ["operator ~~* of ILIKE"]),
    ("SELECT a SIMILAR TO 'x' FROM s.t", ["operator ~ of SIMILAR"]),
    ("SELECT a BETWEEN 1 AND 2 FROM s.t", ["operator BETWEEN of BETWEEN"]),
    ("SELECT a IS DISTINCT FROM b FROM s.t", ["operator = of DISTINCT"]),
    ("SELECT a IS NOT DISTINCT FROM b FROM s.t", ["operator = of NOT_DISTINCT"]),
    ("SELECT NULLIF(a, b) FROM s.t", ["operator = of NULLIF"]),
    ("SELECT CASE a WHEN 1 THEN 2 END FROM s.t", ["operator = of CASE"]),
    ("SELECT CASE WHEN a IS NULL THEN 2 END FROM s.t", []),
    ("SELECT 1 FROM s.t JOIN s.u USING (a)", ["operator = of USING"]),
    ("SELECT 1 FROM s.t NATURAL JOIN s.u", ["operator = of NATURAL"]),
    ("SELECT a COLLATE x FROM s.t", ["collation x"]),
    ('SELECT a COLLATE pg_catalog."C" FROM s.t', []),
    ("SELECT a FROM s.t ORDER BY a USING <", ["operator <"]),
    ("SELECT (t).f FROM s.t", ["field f of an expression"]),
    ("SELECT t.f FROM s.t", []),
    ("SELECT extract(epoch FROM a) FROM s.t", []),  # the grammar's own pg_catalog.extract
    ("SELECT 1 FROM unnest(ARRAY[1])", ["function unnest"]),
    ("WITH c AS (SELECT 1) SELECT 1 FROM c", []),
    ("SELECT 1 FROM c, (WITH c AS (SELECT 1) SELECT 1 FROM c) AS d", ["relation c"]),
    ("SELECT s.f(VARIADIC a) FROM s.t", []),
    ("SELECT 1 WHERE (1, 2) = (3, 4)", ["operator ="]),
    ("SELECT 1 FROM s.t TABLESAMPLE system (1)", ["function system"]),
    ("SELECT pg_temp.f()", ["function pg_temp.f"]),
]


@pytest.mark.parametrize(("text", "found"), UNQUALIFIED)
def test_a_name_that_is_not_qualified_is_found(text: str, found: list[str]) -> None:
    assert unqualified(text) == found


def test_a_schema_with_a_percent_sign_is_sent_as_it_is() -> None:
    plain = quoted_schema('50% "off"').as_string()
    doubled = quoted_schema('50% "off"', has_parameters=True).as_string()
    assert (plain, doubled) == ('"50% ""off"""', '"50%% ""off"""')
    assert sql.SQL("{}").format(quoted_schema("a%b", has_parameters=True)).as_string() == '"a%%b"'


def test_the_mark_of_others_hides_nothing() -> None:
    sent = next(iter(servers()))[1]
    own = Own.of(10, 5, sent)
    ours = text_of("roles")
    cases: list[tuple[int, int, str | bytes, bool]] = [
        (10, 5, ours, True),
        (10, 5, ours.replace("/* pgiostat */", ""), False),
        (11, 5, ours, False),
        (10, 6, ours, False),
        (10, 5, "SELECT /* pgiostat */ count(v) FROM big WHERE g > $1", False),
        (10, 5, ours.encode(), True),
    ]
    for userid, dbid, text, is_ours in cases:
        assert own.includes(userid, dbid, text) is is_ours, (userid, dbid, text)


def test_in_flight_only_what_we_sent_is_ours() -> None:
    own = Own.of(10, 5, next(iter(servers()))[1])
    ours = text_of("limits").replace("%(work_mem)s", "$1")
    assert own.is_running(10, 5, ours)
    assert own.is_running(10, 5, ours[:120])  # cut off by track_activity_query_size
    assert own.is_running(10, 5, text_of("pooled").replace("%(work_mem)s", "$1"))
    assert not own.is_running(10, 5, ours[:50])
    assert not own.is_running(11, 5, ours)
    hidden = ours.rpartition("'0'")[0] + r"'\' AND (SELECT pg_sleep(6) IS NULL) --'"
    assert not own.is_running(10, 5, hidden)


def test_an_application_under_our_role_with_our_mark_is_ranked(database: str) -> None:
    marked = "SELECT /* pgiostat */ count(*) FROM pg_class WHERE relname > 'a'"
    with client(database) as other, collecting(database) as collector:
        collector.take()
        other.execute(marked)
        collector.take()
        rows = collector.take().statements
        rows = rows.take(rows["dbid"] == collector.session.server.dbid)
        keys = zip(*(rows[n].tolist() for n in ("userid", "dbid", "queryid")), strict=True)
        names = Names()
        add_names(names, describer(), collector.texts(list(keys)).texts, collector.own)
    texts = {known.text: known.category for known in names.statements.values()}
    assert texts["select count(*) from pg_class where relname > ?"] != OWN
    reading = [category for text, category in texts.items() if "pg_stat_get_blocks_fetched" in text]
    assert set(reading) == {OWN}


PLANTED = """
CREATE FUNCTION public.pg_stat_statements({arguments}) RETURNS SETOF record LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'sprung'; END $$
"""


@pytest.fixture
def theirs(make_server: MakeServer) -> tuple[str, str, str]:
    """Return how to connect to somebody's database: as superuser, its owner, and for monitoring."""
    server = make_server()
    with client(server.dsn()) as conn:
        for role in ("owner", "mon"):
            conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'".encode())
        conn.execute("GRANT pg_read_all_stats TO mon")
        conn.execute("CREATE DATABASE app OWNER owner")
    with client(server.dsn("app")) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        if server.major < 15:  # where the owner of a database owns public from then on
            conn.execute("ALTER SCHEMA public OWNER TO owner")
    as_role = partial(make_conninfo, server.dsn("app"), password="x", passfile="/nowhere")
    return server.dsn("app"), as_role(user="owner"), as_role(user="mon")


def test_a_superuser_does_not_call_what_a_databases_owner_can_replace(
    theirs: tuple[str, str, str],
) -> None:
    superuser, _, mon = theirs
    with pytest.raises(PgiostatError) as refused:
        connect(superuser)
    assert refused.value.report() == (
        'pgiostat: error: as a superuser, pg_stat_statements in schema "public" is not safe to'
        " call\n"
        'DETAIL:  "owner" can put another function in its place, which would run with a'
        " superuser's rights: the owner of the extension, of its schema or of the database.\n"
        "HINT:  Connect as a role with pg_read_all_stats (CREATE ROLE pgiostat LOGIN; GRANT"
        " pg_read_all_stats TO pgiostat;), or to a database that a superuser owns."
    )
    with client(superuser) as conn:
        conn.execute("GRANT postgres TO mon")  # whoever takes a superuser's role has its rights
    with pytest.raises(PgiostatError, match="as a superuser"):
        connect(f"{mon} options='-c role=postgres'")
    with collecting(mon) as collector:
        assert len(collector.take().statements) > 0
    found = {each.aspect: each for each in findings(examine(mon, wait=lambda _: None))}
    assert found["owner"].reason.startswith('"owner" can replace pg_stat_statements\'s functions')


def test_a_schema_that_is_renamed_under_a_session_is_followed(
    theirs: tuple[str, str, str],
) -> None:
    _, owner, mon = theirs
    with collecting(mon) as collector, client(owner) as conn:
        older = collector.take()
        conn.execute("ALTER SCHEMA public RENAME TO away")
        conn.execute("CREATE SCHEMA public")
        conn.execute(PLANTED.format(arguments="showtext boolean").encode())
        delta = diff(older, collector.take())
        rows = delta.newer.statements
        keys = zip(*(rows[n].tolist() for n in ("userid", "dbid", "queryid")), strict=True)
        assert collector.texts(list(keys)).texts
        assert (collector.session.extension.schema, delta.qualities) == ("away", (Quality.OK,))


@pytest.mark.parametrize("how", ["ALTER EXTENSION pg_stat_statements SET SCHEMA other", "again"])
def test_a_function_that_waits_for_the_extension_to_move_does_not_run(
    make_server: MakeServer, how: str
) -> None:
    """Any role that may create functions there can plant one of the same name beforehand."""
    server = make_server()
    with client(server.dsn()) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")
        conn.execute("CREATE SCHEMA other")
        conn.execute(PLANTED.format(arguments="anyelement").encode())
        with collecting(server.dsn()) as collector:
            collector.take()
            if how == "again":
                conn.execute("DROP EXTENSION pg_stat_statements")
                conn.execute("CREATE EXTENSION pg_stat_statements SCHEMA other")
            else:
                conn.execute(how.encode())
            assert len(collector.take().statements) > 0
            assert collector.session.extension.schema == "other"


@pytest.mark.once
def test_the_name_of_a_database_does_not_end_our_options(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as conn:
        conn.execute("CREATE ROLE mon LOGIN PASSWORD 'x'")
        conn.execute('CREATE DATABASE "unsupported startup parameter" CONNECTION LIMIT 0')
    dsn = make_conninfo(
        server.dsn("unsupported startup parameter"), user="mon", password="x", passfile="/nowhere"
    )
    tried: list[Mapping[str, Any]] = []
    connecting = Connection.connect
    with pytest.MonkeyPatch.context() as patch:

        def noted(**given: Any) -> Any:
            tried.append(given)
            return connecting(**given)

        patch.setattr(Connection, "connect", noted)
        with pytest.raises(PgiostatError, match="has reached its connection limit"):
            reach(dsn)
    assert ["search_path" in each["options"] for each in tried] == [True]


NAMED = r"has_function_privilege\(\s*'([^'(]+)\(([^')]*)\)'"


def test_a_function_that_is_named_in_a_string_has_qualified_types() -> None:
    """The server reads such a string as a name, by the search path like any other."""
    named = {
        part
        for _, sent in servers()
        for _, text in sent.by_name()
        for function, types in re.findall(NAMED, text)
        for part in (function, *filter(None, types.split(",")))
    }
    assert "pg_catalog.pg_stat_file" in named
    assert {part for part in named if not part.startswith("pg_catalog.")} == set()
