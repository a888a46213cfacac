"""All SQL that we send: each name in it is qualified, and our own entries are known by it."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from psycopg import sql

from pgiostat import counters
from pgiostat.collect import learn
from pgiostat.describe import describer
from pgiostat.names import OWN, Names
from pgiostat.sent_sql import Own, SentSql, quoted_schema, text_of
from tests.sql_names import unqualified
from tests.workloads import client, collecting

PG_STAT_STATEMENTS = frozenset(
    name for column in counters.STATEMENTS.columns for name in (column.name, *column.older)
)
KCACHE = frozenset(
    name for column in counters.KCACHE.columns for name in (column.name, *column.older)
)


def servers() -> Iterator[tuple[str, SentSql]]:
    """Yield the statements for each kind of server, by what it has."""
    for major in (13, 14, 16, 18):
        for version, columns in {
            "1.8": PG_STAT_STATEMENTS - {"toplevel", "stats_since"},
            "newest": PG_STAT_STATEMENTS,
        }.items():
            for kcache in ("", 'k"c%'):
                yield (
                    f"{major}, extension {version}, kcache {kcache!r}",
                    SentSql(
                        version_num=major * 10000,
                        schema='we"ird %s schema',
                        columns=columns,
                        has_info=version == "newest",
                        kcache_schema=kcache,
                        kcache_columns=KCACHE,
                    ),
                )


def test_every_statement_is_qualified() -> None:
    names = set()
    for server, sent in servers():
        for name, text in sent.by_name():
            # As psycopg sends it: numbered parameters, one % for two where there are any.
            sendable = re.sub(r"%\(\w+\)s", "$1", text).replace("%%", "%")
            assert unqualified(sendable) == [], f"{name} for {server}: {sendable}"
            names.add(name)
    assert sorted(names) == [
        "catalog",
        "databases",
        "doctor",
        "doctor_clock (timing off)",
        "doctor_clock (timing on)",
        "doctor_identified",
        "doctor_objects",
        "doctor_pending",
        "doctor_resets (pg_stat_bgwriter)",
        "doctor_resets (pg_stat_database)",
        "doctor_resets (pg_stat_io)",
        "doctor_texts",
        "extension",
        "guard",
        "io_method",
        "is_superuser",
        "kcache",
        "kcache_probe",
        "limits",
        "own",
        "pooled",
        "probe",
        "reading",
        "reading_without_statements",
        "relations",
        "roles",
        "running",
        "server",
        "statement_rows",
        "texts",
        "timeout",
        "whereabouts",
    ]


def test_each_text_in_the_directory_is_one_of_them() -> None:
    """A statement that is in no list would be parsed by no test."""
    known = {name.split(" ")[0] for _, sent in servers() for name, _ in sent.by_name()}
    parts = {"doctor_setting", "running_read", "view_packed", "statements_rows"}
    stored = {
        each.name.removesuffix(".sql")
        for each in files("pgiostat").joinpath("sql").iterdir()
        if each.name.endswith(".sql")
    }
    assert stored - parts == known - {"reading_without_statements", "statement_rows"}


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
        learn(names, describer(), collector.texts(list(keys)), collector.own)
    texts = {known.text: known.category for known in names.statements.values()}
    assert texts["select count(*) from pg_class where relname > ?"] != OWN
    reading = [category for text, category in texts.items() if "pg_stat_get_blocks_fetched" in text]
    assert set(reading) == {OWN}
