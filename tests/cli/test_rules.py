"""pgiostat rules: a file to begin with, the rules in force, and why a statement falls where."""

import os
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from threading import Event

import pytest

from pgiostat.analysis.rank import By, rank
from pgiostat.postgres.catalog import catalog
from pgiostat.postgres.sampler import Sampler
from pgiostat.postgres.session import connect
from pgiostat.postgres.since_reset import totals_since_reset
from pgiostat.queries.describe import describer
from pgiostat.queries.rules import builtin, load, rule_book
from pgiostat.queries.rules.suggest import (
    CatalogTable,
    ForeignKey,
    Suggestions,
    rules_file,
    suggest,
)
from pgiostat.render.sql import laid_out
from pgiostat.statistics.row_deltas import Basis
from pgiostat.statistics.statement import split_action
from tests.conftest import MakeServer
from tests.support.program import run_program
from tests.support.workloads import client, fill, run

MANIFEST = "SELECT c.id, c.rev FROM parcel c WHERE c.id BETWEEN 1 AND 9 ORDER BY c.id"

JUDGED = """\
manifest  by manifest (preset sync, 16 of 34)  2:c1f0f3d3f0c7d1d6

SELECT @1.id,
       @1.rev
FROM parcel @1
WHERE @1.id BETWEEN ? AND ?
ORDER BY @1.id

statement       select
verb            select
table           parcel
reads           parcel
block           select
  reads         parcel
  projects      id, rev
  carries_only  rev
  mentions      id, rev
  order_by      id
  order_dir     asc
  min_varying   2
  where_range   id

runner-up                category  why not
download-since           download  where_range is id, not "@versions"
manifest-hashed-ordered  manifest  projects_calls is none, not "@hashes"
version-newest           version   newest is none, not "@versions"
version-of-named-table   version   mentions is id, rev, not "@table_names"
manifest-hashed          manifest  projects_calls is none, not "@hashes"
28 more rules match less.
"""


def pgiostat(
    *arguments: str, given: str | None = None, where: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program without a terminal."""
    environment = {**os.environ, "COLUMNS": "120"}
    return run_program("rules", *arguments, environment=environment, stdin=given or "", cwd=where)


def lines(text: str) -> list[str]:
    """Return lines without the blanks that fill a table."""
    return [line.rstrip() for line in text.splitlines()]


def test_a_statement_is_told_its_category_its_features_and_the_runners_up() -> None:
    done = pgiostat("test", MANIFEST, "--preset", "sync")
    assert (done.returncode, done.stderr) == (0, "")
    told = lines(done.stdout)[: len(JUDGED.splitlines())]
    told[0] = re.sub("2:[0-9a-f]{16}", "2:c1f0f3d3f0c7d1d6", told[0])
    assert told == JUDGED.splitlines()


def test_statements_of_a_file_or_a_pipe_are_told_one_by_one(tmp_path: Path) -> None:
    text = "BEGIN; INSERT INTO t VALUES (';');\n-- nothing\n; FETCH 10 FROM parcel_manifest"
    (tmp_path / "some.sql").write_text(text)
    by_file = pgiostat("test", "-f", "some.sql", "--preset", "sync", where=tmp_path)
    by_pipe = pgiostat("test", "-f", "-", "--preset", "sync", given=text)
    assert by_file.stdout == by_pipe.stdout
    told = re.findall(r"^(\w+)  by ([\w-]+) \(preset sync", by_pipe.stdout, re.MULTILINE)
    assert told == [("session", "session"), ("upload", "upload"), ("manifest", "manifest-cursor")]


def test_a_statement_that_no_rule_takes_is_named_after_what_it_does() -> None:
    done = pgiostat("test", "SELECT * FROM sales.orders WHERE day > $1")
    assert lines(done.stdout)[0].startswith(
        "select sales.orders  named after what it does: no rule matches  2:"
    )


def test_a_statement_shows_its_category_under_the_preset_sync() -> None:
    done = pgiostat("test", MANIFEST)
    assert lines(done.stdout)[:2] == [
        "select parcel  named after what it does: no rule matches  2:332f06a25479ea68",
        "With --preset sync: manifest",
    ]


def test_no_constant_of_a_statement_is_shown() -> None:
    done = pgiostat("test", "ALTER ROLE bob PASSWORD 'hunter2' /* hunter2 */")
    assert "hunter2" not in done.stdout.replace("tag        hunter2", "")
    assert "ALTER ROLE bob password ?" in done.stdout


def test_the_rules_in_force_are_shown_in_order_ones_own_first(tmp_path: Path) -> None:
    rule = 'schema = 1\n[[rule]]\nname = "mine"\ncategory = "own"\nwhen = { reads = "x" }\n'
    path = tmp_path / "rules.toml"
    path.write_text(rule)
    told = lines(pgiostat("show", "--rules", str(path), "--preset", "sync").stdout)
    assert told[1].split(maxsplit=3) == ["1", "mine", "own", '{ reads = "x" }']
    assert told[2].split(maxsplit=2)[:2] == ["2", "queue"]
    one = pgiostat("show", "mine", "--rules", str(path))
    assert tomllib.loads(one.stdout) == {
        "rule": [{"name": "mine", "category": "own", "when": {"reads": "x"}}]
    }
    count = len(builtin("general").rules) + 1
    assert lines(one.stdout)[0] == f"# 1 of {count}, {path}"
    assert lines(pgiostat("show", "@hashes").stdout) == [
        'hashes = ["*hash*", "md5", "sha*", "crc*", "digest", "*checksum*"]'
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["show", "nothing"], 1, 'there is no rule "nothing"'),
        (["show", "@nothing"], 1, 'there is no list "@nothing"'),
        (["test"], 2, "no statement, no server and no -f FILE"),
        (
            ["test", "SELECT 1", "-f", "x.sql"],
            2,
            "-f cannot be used together with a statement or a server",
        ),
        (["test", "-f", "/nowhere/x.sql"], 1, 'could not read "/nowhere/x.sql"'),
        (["test", ";"], 1, "the text has no statement"),
        (["test", "SELECT 1", "--rules", "/nowhere"], 1, 'could not read rules file "/nowhere"'),
        (["test", "host=/nowhere port=1"], 1, "could not connect to server"),
        (["test", "hots=here"], 2, "invalid connection string"),
        (["init", "--out", "/nowhere/x.toml"], 1, 'could not write rules file "/nowhere/x.toml"'),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(
    arguments: list[str], status: int, told: str
) -> None:
    done = pgiostat(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(f"pgiostat: error: {told}")


def test_a_rules_file_is_begun_once_and_never_overwritten(tmp_path: Path) -> None:
    first = pgiostat("init", where=tmp_path)
    assert lines(first.stdout) == [
        "wrote rules.toml",
        "Next: pgiostat rules test --rules rules.toml DBNAME",
    ]
    path = tmp_path / "rules.toml"
    assert len(load(path).rules) == len(builtin().rules)
    path.write_text("mine")
    second = pgiostat("init", where=tmp_path)
    assert (second.returncode, path.read_text()) == (1, "mine")
    assert lines(second.stderr)[0] == 'pgiostat: error: rules file "rules.toml" exists already'
    printed = pgiostat("init", "--out", "-", where=tmp_path)
    assert tomllib.loads(printed.stdout) == {"schema": 1, "vocab": {}}


def table(
    name: str, columns: str, keys: str = "id", rows: int | None = 10, *, published: bool = False
) -> CatalogTable:
    """Return a table whose columns could all be versions by their types."""
    listed = tuple(columns.split())
    return CatalogTable("s", name, rows, tuple(keys.split()), listed, listed, published)


def test_a_vocabulary_holds_what_names_and_types_tell() -> None:
    found = suggest(
        [
            table("parcel", "id depot_id rev"),
            table("Van", 'VanId RowVersion "odd', "VanId"),
            table("note", "id updated_at"),
            table("plain", "id weight"),
            table("shared", "id weight", published=True),
            table("audit_log", "id version"),
            table("keyless", "version", ""),
            table("table_version", "table_name version", "table_name"),
            table("big_version", "id version", rows=5_000_000),
        ]
    )
    assert {field.name: list(getattr(found, field.name)) for field in fields(found)} == {
        "synced": ["parcel", "Van", "note", "shared", "big_version"],
        "keys": ["id", "VanId"],
        "versions": ["rev", "RowVersion", "version"],
        "changed": ["updated_at"],
        "caches": ["table_version"],
    }
    text = rules_file(Suggestions(found, is_sync=True), path="x")
    assert tomllib.loads(text)["vocab"] == {
        "synced": ["parcel", "Van", "note", "shared", "big_version"],
        "keys": ["id", "VanId"],
        "versions": ["rev", "RowVersion", "version", "xmin"],
        "changed": ["updated_at"],
        "caches": ["table_version"],
    }


def test_names_with_the_signs_of_globs_mean_themselves() -> None:
    found = suggest([table('odd[1]*"é', "id version")])
    written = tomllib.loads(rules_file(Suggestions(found, is_sync=True), path="x"))
    assert written["vocab"]["synced"] == ['odd[[]1][*]"é']


def test_a_catalog_is_read_but_for_what_is_the_servers_or_an_extensions(database: str) -> None:
    with client(database) as setup:
        setup.execute(
            """CREATE TABLE parcel (id uuid, line int, weight text, rev bigint, born timestamptz,
                                    PRIMARY KEY (line, id)) PARTITION BY LIST (line)"""
        )
        setup.execute("CREATE TABLE parcel_1 PARTITION OF parcel FOR VALUES IN (1)")
        setup.execute(
            """CREATE TABLE parcel_2 PARTITION OF parcel FOR VALUES IN (2) PARTITION BY HASH (id)"""
        )
        setup.execute(
            "CREATE TABLE deep PARTITION OF parcel_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
        )
        setup.execute(
            """CREATE TABLE label (a uuid, b int, FOREIGN KEY (b, a)
                                   REFERENCES parcel (line, id) ON DELETE CASCADE)"""
        )
        setup.execute("CREATE TABLE gone (a int, b xid)")
        setup.execute("ALTER TABLE gone DROP COLUMN a")
        setup.execute("CREATE PUBLICATION p FOR TABLE gone")
        setup.execute("CREATE VIEW table_version AS SELECT 'parcel' AS table_name, 1 AS version")
        setup.execute("CREATE TEMP TABLE mine (id int PRIMARY KEY, version int)")
        setup.execute("ANALYZE gone")
    session = connect(database)
    try:
        found = catalog(session)
    finally:
        session.close()
    assert [(entry.relname, entry.keys, entry.candidates) for entry in found] == [
        ("gone", (), ("b",)),
        ("label", (), ("b",)),
        ("parcel", ("line", "id"), ("line", "rev", "born")),
        ("table_version", (), ("version",)),
    ]
    assert [entry.relname for entry in found if entry.is_view] == ["table_version"]
    assert suggest(found).caches == {}
    assert found[1].foreign_keys == (ForeignKey(("a", "b"), "public", "parcel", cascades=True),)
    assert found[2].partitions == ("deep", "parcel_1", "parcel_2")
    assert (found[0].columns, found[0].published, found[0].reltuples) == (("b",), True, 0)
    assert not found[2].published


def test_a_whole_server_is_told_by_category_the_biggest_unknown_first(
    make_server: MakeServer,
) -> None:
    server = make_server(**{"pg_stat_statements.max": 1000})
    dsn = server.dsn()
    with client(dsn) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        fill(other, "parcel", 2_000)
        run(other, "SELECT max(id) AS most, count(pad) FROM parcel", 3)
        run(other, "INSERT INTO parcel (id) VALUES (-1)", 2)
        asked = "SELECT queryid, calls, shared_blks_read + local_blks_read FROM pg_stat_statements"
        counted = {queryid: (calls, read) for queryid, calls, read in other.execute(asked)}
    found = totals_since_reset(dsn, describer())
    ranking = rank([found.delta], found.names, by=By.STATEMENT)
    ranked = {row.queryid: (row.cost.calls, row.cost.blocks) for row in ranking.rows}
    # What ran later (our own statements) was not counted then.
    assert {queryid: ranked.get(queryid) for queryid in counted if queryid in ranked} == {
        queryid: counts for queryid, counts in counted.items() if queryid in ranked
    }
    assert len(ranked) >= 5
    assert set(found.delta.statements.basis.tolist()) == {Basis.NEW}
    assert found.texts_error is None
    by_category = {row.name: row.cost.calls for row in rank([found.delta], found.names).rows}
    assert by_category["insert parcel"] == 2
    told = lines(pgiostat("test", dsn).stdout)
    assert re.match(rf".+PostgreSQL {server.version.split()[-1]}.*  \d+ statements", told[0])
    assert re.split("  +", told[1]) == [
        "category",
        "share",
        "blocks read",
        "calls",
        "statements",
        "statement that reads most",
    ]
    biggest = next(line for line in told if line.startswith("insert parcel"))
    assert biggest.endswith("insert parcel · (id)")
    begins = next(
        i for i, line in enumerate(told) if line.endswith("statement that matches no rule")
    )
    assert re.split("  +", told[begins].strip()) == [
        "share",
        "blocks read",
        "calls",
        "fingerprint",
        "proposed rule",
        "statement that matches no rule",
    ]
    shown = told[begins + 1 : told.index("", begins)]
    known = rank([found.delta], found.names, by=By.FINGERPRINT).rows
    of_parcel = (row for row in known if split_action(row.action)[1] == "parcel")
    expected = [row.fingerprint for row in of_parcel if row.cost.blocks][:10]
    assert [re.findall("2:[0-9a-f]{16}", line)[0] for line in shown] == expected
    proposed = "\n".join(told[told.index("Proposed rules, for a rules file:") + 1 : -2])
    assert tomllib.loads(proposed) == {
        "rule": [{"name": "parcel", "category": "parcel", "when": {"table": "parcel"}}]
    }


def test_what_is_read_through_a_cursor_is_of_its_querys_category(database: str) -> None:
    with client(database) as other:
        fill(other, "parcel", 3_000)
        other.execute("ALTER TABLE parcel ADD COLUMN rev bigint")
    sampler = Sampler(database, 0.1, describer(rule_book(preset="sync")), Event().wait)
    results = sampler.intervals()
    assert next(results).error is None
    with client(database) as other:
        other.execute("BEGIN")
        other.execute('DECLARE "Page 1" CURSOR FOR SELECT id, rev FROM parcel ORDER BY id')
        fetched = other.execute('FETCH 1000 FROM "Page 1"').fetchall()
        other.execute("COMMIT")
    delta = next(results).delta
    assert delta is not None
    assert len(fetched) == 1000
    rows = rank([delta], sampler.names, by=By.STATEMENT).rows
    told = {row.text.split()[0]: row.category for row in rows if row.database in database}
    assert {verb: told[verb] for verb in ("declare", "fetch")} == {
        "declare": "manifest",
        "fetch": "manifest",
    }
    results.close()  # type: ignore[attr-defined]


def test_a_statement_is_laid_out_or_left_as_it_is() -> None:
    assert laid_out("select a from t @1 where @1.b = ?") == "SELECT a\nFROM t @1\nWHERE @1.b = ?"
    deep = f"select {'(' * 300}?{')' * 300}"
    assert laid_out(deep) == deep
    long = "select " + "a, " * 10_000 + "b"
    assert laid_out(long) == long
    assert "\x1b" not in laid_out('select "\x1b[2J"')
    assert laid_out('select "À" from "@x"') == 'select "À" from "@x"'


def test_a_page_has_the_rules_as_a_table_and_one_as_a_file_has_it() -> None:
    listed = lines(pgiostat("show", "--preset", "sync", "--format", "markdown").stdout)
    assert listed[0] == "**34 rules**, in the order in which they are tried."
    assert [line for line in listed if line.startswith("| 6 |")] == [
        '| 6 | upload | upload | `{ writes = "@written", not = { verb = "foreign key action" } }` |'
    ]
    one = pgiostat("show", "upload", "--format", "markdown")
    text = pgiostat("show", "upload").stdout
    assert one.stdout == f"```toml\n{text}```\n"


def test_a_page_on_a_statement_says_what_text_says_and_nothing_in_it_acts() -> None:
    query = 'SELECT max(rev) AS "[a](http://x/)" FROM t'
    done = pgiostat("test", query, "--preset", "sync", "--format", "markdown")
    assert (done.returncode, done.stderr) == (0, "")
    page = lines(done.stdout)
    assert page[0] == "**version**, by version-newest (preset sync, 9 of 34)."
    assert "| block: newest | rev |" in page
    assert "](http://x/)" not in done.stdout
    losers = [line for line in page if line.startswith("| version-changed |")]
    assert losers == ['| version-changed | version | `newest is rev, not "@changed"` |']


def test_a_page_has_a_section_for_each_statement() -> None:
    done = pgiostat("test", "SELECT 1; SELECT 2", "--format", "markdown")
    assert done.stdout.count("| feature | value |") == 2
    assert pgiostat("test", "SELECT 1", "--format", "csv").returncode == 2
