"""The doctor: each fault on its own, several at once, and real servers."""

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from rich.console import Console

from pgiostat.cli.watch import DOCTOR
from pgiostat.lab.postgres.cluster import Setting
from pgiostat.postgres.doctor import (
    CheckState,
    Facts,
    Finding,
    ForeignObject,
    Override,
    Statements,
    examine,
    findings,
    verdict,
)
from pgiostat.postgres.doctor.releases import release
from pgiostat.render import doctor as render
from tests.conftest import MakeServer
from tests.support.fixes import carried_out, examined, findings_of, mended
from tests.support.program import pgiostat
from tests.support.readings import at
from tests.support.servers import Server
from tests.support.workloads import client

pytestmark = [pytest.mark.ends, pytest.mark.long]

SETTINGS = {
    "shared_preload_libraries": "auto_explain, pg_stat_statements, pg_stat_kcache",
    "pg_stat_statements.max": "5000",
    "pg_stat_statements.track": "top",
    "pg_stat_statements.track_utility": "on",
    "pg_stat_statements.track_planning": "off",
    "compute_query_id": "auto",
    "track_counts": "on",
    "track_activities": "on",
    "track_io_timing": "on",
    "io_method": "sync",
}
STATEMENTS, KCACHE = "pg_stat_statements", "pg_stat_kcache"
BOTH = {STATEMENTS: ("1.12", "1.12"), KCACHE: ("2.3", "2.3")}
RESTART = "-- then restart the server"
PRELOAD = "ALTER SYSTEM SET shared_preload_libraries = "
GOOD = Facts(
    host="db:5432", dbname="app", version="18.6", version_num=180006, user="pgiostat",
    is_superuser=False, reads_all_stats=True, in_recovery=False, started=at(-86_400 * 9),
    now=at(0), extensions=BOTH,
    settings=SETTINGS,
    statements=Statements("public", "1.12", 800, 0, 3, at(-86_400 * 9), 300_000, 4.0),
    clock_ns=30.0, resets={"pg_stat_io": at(-86_400 * 9)},
)  # fmt: skip


def there() -> Statements:
    assert GOOD.statements is not None
    return GOOD.statements


def graver(facts: Facts) -> dict[str, tuple[str, str, str]]:
    """Return what is not ok: state, reason and fix, by aspect."""
    return {
        found.aspect: (found.state.value, found.reason, found.fix)
        for found in findings(facts)
        if found.state is not CheckState.OK
    }


def setting(**changed: str | None) -> Facts:
    """Return the good server with other settings; names with dots are given with __."""
    return replace(GOOD, settings=SETTINGS | {k.replace("__", "."): v for k, v in changed.items()})


def is_ready(found: Sequence[Finding]) -> bool:
    """Return whether a verdict names nothing but what our role may not see."""
    return verdict(found) == "ready" or verdict(found).startswith("ready, not checked: ")


def test_the_verdict_names_what_limits_it() -> None:
    unseen = replace(GOOD, statements=replace(there(), text_bytes=None))
    texts = "texts (pgiostat cannot see the query text file)"
    assert verdict(findings(unseen)) == f"ready, not checked: {texts}"
    clock = "clock (the cost of timing could not be measured)"
    slow = replace(unseen, clock_ns=None, pooled=True)
    assert verdict(findings(slow)) == (
        f"ready, with 1 warning: pooler; not checked: {clock}, {texts}"
    )
    damaged = replace(there(), unread_texts=3, unreadable="a text is damaged")
    some = replace(GOOD, statements=damaged)
    assert verdict(findings(some)) == "ready, with 1 warning: readable"


def test_a_perfect_server_is_ready() -> None:
    assert graver(GOOD) == {}
    assert verdict(findings(GOOD)) == "ready"


PRELOADED = ["preloaded", "pg_stat_kcache"]
PERHAPS = (
    "check shared_preload_libraries as a superuser or a member of pg_monitor; if it does not name"
    " pg_stat_statements, add that and restart the server (on RDS: in the parameter group)"
)
WAITS = "restart the server: the new value is set and takes effect then"


def waiting(value: str | None) -> Facts:
    """Return a server that does not preload it yet, with what waits for a restart."""
    without = setting(shared_preload_libraries="")
    return replace(without, pending={"shared_preload_libraries": value})


FAULTS = [
    (
        setting(shared_preload_libraries='pg_stat_kcache,"it\'s, ""so"""'),
        "preloaded", "error",
        f"""{PRELOAD}'pg_stat_kcache', 'it''s, "so"', 'pg_stat_statements'; {RESTART}""",
    ),
    (setting(shared_preload_libraries=""), PRELOADED, "error",
     f"{PRELOAD}'pg_stat_statements'; {RESTART}"),
    (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "")}, statements=None),
     "extension", "error", "CREATE EXTENSION pg_stat_statements;"),
    (replace(GOOD, extensions={"pg_stat_kcache": ("2.3", "2.3")}, statements=None),
     "extension", "error", "install PostgreSQL's contrib modules"),
    (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "1.10")}),
     "extension", "note", "ALTER EXTENSION pg_stat_statements UPDATE;"),
    (setting(pg_stat_statements__track="none"), "track", "error",
     "ALTER SYSTEM SET pg_stat_statements.track = top; SELECT pg_reload_conf();"),
    (setting(pg_stat_statements__track_utility="off"), "track_utility", "warning",
     "ALTER SYSTEM SET pg_stat_statements.track_utility = on; SELECT pg_reload_conf();"),
    (setting(compute_query_id="off"), "compute_query_id", "error",
     "ALTER SYSTEM SET compute_query_id = on; SELECT pg_reload_conf();"),
    (setting(track_io_timing="off"), "track_io_timing", "warning",
     "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();"),
    (replace(GOOD, clock_ns=1200.0), "clock", "warning",
     "see pg_test_timing and the kernel's clock source"),
    (replace(GOOD, statements=replace(there(), dealloc=500, entries=4700)), "evictions", "warning",
     "ALTER SYSTEM SET pg_stat_statements.max = 10000; -- then restart the server"),
    (replace(GOOD, refused="pg_stat_statements is not preloaded on this server", statements=None,
             settings=SETTINGS | {"shared_preload_libraries": None}, remedy="Add it."),
     ["preloaded", "extension"], "error", "Add it."),
    (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "")}, statements=None,
             settings=SETTINGS | {"shared_preload_libraries": None}),
     ["preloaded", "extension"], "unknown",
     PERHAPS),
    (waiting(None), PRELOADED, "error", WAITS),
    (waiting("auto_explain,pg_stat_statements"), PRELOADED, "error", WAITS),
    (waiting("auto_explain"), PRELOADED, "error",
     f"{PRELOAD}'auto_explain', 'pg_stat_statements'; {RESTART}"),
    (replace(setting(shared_preload_libraries=""),
             sources={"shared_preload_libraries": "command line"}), PRELOADED, "error",
     ("start the server with shared_preload_libraries = 'pg_stat_statements': its command line sets"
      " it")),
    (replace(setting(track_io_timing="off"), sources={"track_io_timing": "client"}),
     "track_io_timing", "warning",
     "remove track_io_timing from the options of the connection (options=, PGOPTIONS)"),
    (setting(track_activities="off"), "track_activities", "warning",
     "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf();"),
    (replace(GOOD, identifies=False), "compute_query_id", "error",
     "ALTER SYSTEM SET compute_query_id = on; SELECT pg_reload_conf();"),
    (setting(track_counts="off"), "track_counts", "error",
     "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();"),
    (replace(setting(track_io_timing="off"),
             overrides=(Override("app", "", "track_io_timing", "off"),)),
     "track_io_timing", "warning", 'ALTER DATABASE "app" RESET track_io_timing;'),
    (replace(setting(track_io_timing="off"),
             overrides=(Override("app", "", "track_io_timing", "off"),
                        Override("", "pgiostat", "track_io_timing", "false"),
                        Override("app", "pgiostat", "work_mem", "1GB"))),
     "track_io_timing", "warning",
     ('ALTER DATABASE "app" RESET track_io_timing;'
      ' ALTER ROLE "pgiostat" RESET track_io_timing;')),
    (replace(GOOD, overrides=(Override("shop", "", "pg_stat_statements.track", "none"),
                              Override("shop", "", "work_mem", "1GB"))),
     "overridden", "warning", 'ALTER DATABASE "shop" RESET pg_stat_statements.track;'),
    (replace(GOOD, overrides=(Override("app", 'a"b', "track_io_timing", "off"),)),
     "overridden", "warning",
     'ALTER ROLE "a""b" IN DATABASE "app" RESET track_io_timing;'),
    (replace(GOOD, statements=replace(there(), text_bytes=2**30)), "texts", "warning", ""),
    (replace(GOOD, statements=replace(there(), text_bytes=None)), "texts", "unknown",
     'GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO "pgiostat";'),
    (replace(GOOD, reads_all_stats=False, statements=replace(there(), hidden=790)),
     "privileges", "error", 'GRANT pg_read_all_stats TO "pgiostat";'),
    (replace(GOOD, statements=replace(there(), unread_texts=700, unreadable="no")),
     "readable", "error", "connect to a database with encoding SQL_ASCII or UTF8"),
    (replace(GOOD, statements=replace(there(), unread_texts=7, unreadable="no")),
     "readable", "warning", "connect to a database with encoding SQL_ASCII or UTF8"),
    (replace(GOOD, statements=replace(there(), unreadable="permission denied for view pg_roles")),
     "readable", "error", ""),
    (replace(setting(compute_query_id="off"), sources={"compute_query_id": "client"}),
     "compute_query_id", "warning",
     "remove compute_query_id from the options of the connection (options=, PGOPTIONS)"),
    (replace(setting(compute_query_id="off"), user="reader", session_user="mon",
             overrides=(Override("", "mon", "compute_query_id", "off"),)),
     "compute_query_id", "warning", 'ALTER ROLE "mon" RESET compute_query_id;'),
    (replace(setting(pg_stat_statements__track="none"),
             overrides=(Override("app", "", "pg_stat_statements.track", "none"),)),
     "track", "warning", 'ALTER DATABASE "app" RESET pg_stat_statements.track;'),
    (replace(GOOD, is_superuser=True), "privileges", "warning",
     ("CREATE ROLE pgiostat LOGIN; GRANT pg_read_all_stats TO pgiostat; -- then \\password"
      " pgiostat")),
    (replace(GOOD, is_superuser=True, has_monitoring_role=True), "privileges", "warning",
     "connect as pgiostat"),
    (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "")}, statements=None,
             elsewhere=("shop",)), "extension", "error", 'connect to "shop"'),
    (replace(GOOD, statements=replace(there(), schema='a "b"', is_schema_open=True)),
     "schema", "note", 'REVOKE CREATE ON SCHEMA "a ""b""" FROM PUBLIC;'),
    (replace(GOOD, statements=replace(there(), untrusted=("bob",))),
     "owner", "warning",
     "install the extension in a database that a superuser owns, and connect there"),
    (replace(GOOD, foreign_objects=(
        ForeignObject("view", "public", "pg_stat_statements_info", "", "mallory"),)),
     "look-alike", "warning",
     'if it is not needed: DROP VIEW "public"."pg_stat_statements_info";'),
    (replace(GOOD, resets={"pg_stat_io": at(-3600)}), "resets", "warning", ""),
    (replace(GOOD, pooled=True), "pooler", "warning", "connect directly to the server"),
    (replace(GOOD, other_pid=True), "pooler", "warning", "connect directly to the server"),
    (replace(GOOD, in_recovery=True), "role", "note", ""),
    (setting(io_method="worker"), "io_method", "note", ""),
    (replace(GOOD, extensions=BOTH | {KCACHE: ("2.3", "")}),
     "pg_stat_kcache", "note", "CREATE EXTENSION pg_stat_kcache;"),
    (setting(shared_preload_libraries="pg_stat_statements"), "pg_stat_kcache", "note",
     f"{PRELOAD}'pg_stat_statements', 'pg_stat_kcache'; {RESTART}"),
    (replace(GOOD, statements=replace(there(), read_ms=900.0)), "reading", "warning", ""),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "aspect", "state", "mend"), FAULTS)
def test_each_fault_is_found_and_no_other(
    facts: Facts, aspect: str | list[str], state: str, mend: str
) -> None:
    found = graver(facts)
    aspects = [aspect] if isinstance(aspect, str) else aspect
    assert list(found) == aspects
    assert (found[aspects[0]][0], found[aspects[0]][2]) == (state, mend)


def test_evictions_are_told_by_the_hour_and_not_of_a_maximum_that_is_not_full() -> None:
    full = replace(GOOD, statements=replace(there(), dealloc=432, entries=4800))
    assert graver(full)["evictions"][1] == (
        "2 deallocations per hour: 432 deallocations in 216 h since the last reset, each of"
        " 5 % of the entries: reads of evicted statements are lost; shorten the interval, or"
    )
    spare = replace(GOOD, statements=replace(there(), dealloc=432, entries=400))
    assert graver(spare) == {}


def test_a_clock_too_quick_to_be_measured_is_no_figure() -> None:
    told = {each.aspect: each.reason for each in findings(replace(GOOD, clock_ns=0.0))}
    assert told["clock"] == "timing costs less than 10 ns per read"


@pytest.mark.parametrize(
    ("facts", "aspect", "mend"),
    [
        (replace(GOOD, reads_all_stats=False), "privileges",
         'GRANT pg_read_all_stats TO "pgiostat"; -- on the primary'),
        (replace(GOOD, extensions=BOTH | {STATEMENTS: ("1.12", "1.10")}), "extension",
         "ALTER EXTENSION pg_stat_statements UPDATE; -- on the primary"),
        (replace(GOOD, overrides=(Override("shop", "", "track_io_timing", "off"),)), "overridden",
         'ALTER DATABASE "shop" RESET track_io_timing; -- on the primary'),
        (setting(track_io_timing="off"), "track_io_timing",
         "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();"),
    ],
)  # fmt: skip
def test_on_a_standby_what_writes_is_for_the_primary(facts: Facts, aspect: str, mend: str) -> None:
    assert graver(replace(facts, in_recovery=True))[aspect][2] == mend


def test_several_faults_are_all_found() -> None:
    facts = replace(
        setting(track_io_timing="off", pg_stat_statements__track="none"),
        reads_all_stats=False,
        pooled=True,
    )
    assert list(graver(facts)) == ["track", "track_io_timing", "privileges", "pooler"]
    assert verdict(findings(facts)) == "not ready: 1 error, 3 warnings"


def test_a_reset_at_the_start_of_a_server_is_nobodys() -> None:
    young = replace(GOOD, started=at(-3600), resets={"pg_stat_database": at(-3590)})
    assert graver(young) == {}
    assert findings(young)[-6] == Finding(
        "resets", CheckState.OK, "none in the last day; the server has been up for 1 h"
    )


def test_before_19_evictions_are_not_told_and_nested_count_twice() -> None:
    facts = replace(
        setting(pg_stat_statements__track="all"),
        statements=replace(there(), dealloc=None, stats_reset=None),
    )
    assert {aspect: state for aspect, (state, _, _) in graver(facts).items()} == {
        "track": "warning", "evictions": "unknown",
    }  # fmt: skip


def test_forms() -> None:
    found = findings(setting(track_io_timing="off"))
    told = json.loads(render.as_json(GOOD, found))
    assert told["verdict"] == "ready, with 1 warning: track_io_timing"
    assert told["findings"] == [
        {"aspect": each.aspect, "state": each.state, "reason": each.reason, "mend": each.fix}
        for each in found
    ]
    page = render.as_markdown(GOOD, found)
    told = "ready, with 1 warning: track_io_timing."
    assert page.startswith(f"**`pgiostat@db:5432/app  PostgreSQL 18.6`**: {told}")


LONG = f"{PRELOAD}'auto_explain', 'pg_cron', 'pgaudit', 'timescaledb', 'pg_stat_statements'"


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_is_cut_from_what_mends_and_no_line_ends_in_blanks(
    width: int, *, is_terminal: bool
) -> None:
    facts = setting(
        shared_preload_libraries="auto_explain, pg_cron, pgaudit, timescaledb",
        track_utility="off",
    )
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=is_terminal, no_color=True)
    for line in render.as_text(facts, findings(facts), width=width):
        console.print(line, soft_wrap=True, highlight=False, markup=False, style="not bold")
    lines = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()).splitlines()
    assert f"    {LONG}; {RESTART}" in lines
    assert [line for line in lines if line != line.rstrip()] == []
    longer = [line for line in lines if len(line) > width]
    assert [line for line in longer if not line.startswith(("    ALTER", "pgiostat"))] == []


def test_findings_as_text() -> None:
    facts = setting(track_io_timing="off")
    found = [each for each in findings(facts) if each.aspect in {"track", "track_io_timing"}]
    assert [line.plain for line in render.as_text(facts, found, width=60)] == [
        "pgiostat doctor  pgiostat@db:5432/app  PostgreSQL 18.6",
        "track           ok      top",
        "track_io_timing warning off: read times are unknown, and so",
        "                        are the reads that the OS page cache",
        "                        served",
        "    ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
        "ready, with 1 warning: track_io_timing",
    ]
    narrow = [line.plain for line in render.as_text(facts, found, width=30)]
    assert narrow[3:5] == ["track_io_timing warning", "  off: read times are unknown,"]


# real servers


def test_a_good_server_and_who_asks(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        for role in ("plain", "watcher"):
            other.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'".encode())
        other.execute("GRANT pg_monitor TO watcher")
        major = other.info.server_version // 10_000
    states = {}
    for role in ("postgres", "watcher", "plain"):
        theirs = make_conninfo(server.dsn(), user=role, password="x")
        asked = server.dsn() if role == "postgres" else theirs
        states[role] = {each.aspect: each.state.value for each in examined(asked)}
    for role, privileges in (("postgres", "warning"), ("watcher", "ok"), ("plain", "error")):
        assert states[role].pop("privileges") == privileges
        assert states[role].pop("clock") in {"ok", "note"}  # this machine's
        assert states[role].pop("texts") == ("ok" if role == "postgres" else "unknown")
        assert states[role].pop("evictions") == ("ok" if major > 13 else "unknown")
        assert states[role].pop("pg_stat_kcache") == "note"
        assert states[role].pop("io_method", "note") == "note"
        assert states[role].pop("schema", "note") == "note"  # before 15 public is open to all
        assert set(states[role].values()) == {"ok"}, states[role]


def test_faults_of_a_server(make_server: MakeServer) -> None:
    spoiled: dict[str, str | int | bool] = {
        "pg_stat_statements.track": "none",
        "pg_stat_statements.track_utility": False,
        "track_io_timing": False,
    }
    server = make_server(**spoiled)
    ended = pgiostat("doctor", server.dsn())
    assert ended.returncode == 1
    assert "CREATE EXTENSION pg_stat_statements;" in ended.stdout
    with client(server.dsn()) as other:
        other.execute("CREATE SCHEMA away")
        other.execute("CREATE EXTENSION pg_stat_statements SCHEMA away")
    found = {each.aspect: each for each in examined(server.dsn())}
    assert found["extension"].state is CheckState.OK
    assert found["extension"].reason.endswith('in schema "away"')
    assert found["track"].state is CheckState.ERROR
    assert found["track_utility"].state is CheckState.WARNING
    assert found["track_io_timing"].state is CheckState.WARNING
    of_release = [each.state for each in release(examine(server.dsn()))]
    ended = pgiostat("doctor", server.dsn())
    assert ended.stdout.splitlines()[-2:] == [
        f"not ready: 1 error, {3 + of_release.count(CheckState.WARNING)} warnings",
        "Next: apply the fixes, then pgiostat doctor again",
    ]
    (other_database,) = findings_of(server.dsn("template1"), "extension")
    assert '"postgres"' in other_database.reason


def watcher(server: Server) -> str:
    """Return how a role connects that may read statistics and nothing else."""
    with client(server.dsn()) as other:
        other.execute("CREATE ROLE watcher LOGIN PASSWORD 'x'")
        other.execute("GRANT pg_monitor TO watcher")
    return make_conninfo(server.dsn(), user="watcher", password="x", passfile="/nowhere")


def test_a_server_that_did_not_preload_it(make_server: MakeServer) -> None:
    server = make_server(shared_preload_libraries="auto_explain")
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    (found,) = findings_of(server.dsn(), "preloaded")
    assert found.fix == f"{PRELOAD}'auto_explain', 'pg_stat_statements'; {RESTART}"
    (extension,) = findings_of(server.dsn(), "extension")
    assert extension.state is CheckState.ERROR
    assert extension.reason == "pg_stat_statements is not preloaded on this server"
    with client(server.dsn()) as other:
        other.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        other.execute("SELECT pg_reload_conf()")
    (found,) = findings_of(server.dsn(), "preloaded")
    assert found.fix == "restart the server: the new value is set and takes effect then"


def test_settings_of_others_and_a_schema_that_is_closed(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE SCHEMA closed")
        other.execute("CREATE EXTENSION pg_stat_statements SCHEMA closed")
        other.execute("CREATE DATABASE shop")
        other.execute("ALTER DATABASE shop SET pg_stat_statements.track = 'none'")
        other.execute("ALTER ROLE postgres IN DATABASE postgres SET track_io_timing = off")
        other.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    found = {each.aspect: each for each in examined(server.dsn())}
    assert found["overridden"].fix == 'ALTER DATABASE "shop" RESET pg_stat_statements.track;'
    assert found["track_io_timing"].fix == (
        'ALTER ROLE "postgres" IN DATABASE "postgres" RESET track_io_timing;'
    )
    assert found["clock"].state is not CheckState.UNKNOWN
    as_plain = make_conninfo(server.dsn(), user="plain", password="plain", passfile="/nowhere")
    (extension,) = findings_of(as_plain, "extension")
    assert (extension.state, extension.reason, extension.fix) == (
        CheckState.ERROR,
        'plain may not use schema "closed", which contains pg_stat_statements',
        'GRANT USAGE ON SCHEMA "closed" TO "plain";',
    )


@pytest.mark.once
@pytest.mark.parametrize("width", [40, 80])
def test_a_statement_is_whole_on_a_terminal_and_in_a_pipe(
    make_server: MakeServer, width: int
) -> None:
    server = make_server(shared_preload_libraries="auto_explain")
    told = f"    {PRELOAD}'auto_explain', 'pg_stat_statements'; {RESTART}"
    piped = pgiostat("doctor", server.dsn(), COLUMNS=str(width)).stdout
    for shown in (piped, on_terminal("doctor", server.dsn(), width=width)):
        assert told in shown.splitlines()
        assert [line for line in shown.splitlines() if line != line.rstrip()] == []


def on_terminal(*arguments: str, width: int) -> str:
    """Return what the program draws on a terminal, without its colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, width))
    with subprocess.Popen(
        [sys.executable, "-m", "pgiostat", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
    ):
        os.close(theirs)
        drawn = b""
        with contextlib.suppress(OSError):  # its other end was closed
            while some := os.read(ours, 65536):
                drawn += some
    os.close(ours)
    return re.sub(r"\x1b\[[\d;]*m", "", drawn.decode())


@pytest.mark.once
def test_strict_takes_warnings_for_errors_and_no_server_is_told(make_server: MakeServer) -> None:
    server = make_server(track_io_timing=False)
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    dsn = watcher(server)
    assert pgiostat("doctor", dsn).returncode == 0
    assert pgiostat("doctor", dsn, "--strict").returncode == 1
    told = json.loads(pgiostat("doctor", dsn, "--format", "json").stdout)
    assert told["verdict"].startswith("ready, with ")
    assert "track_io_timing" in told["verdict"]
    away = pgiostat("doctor", "host=127.0.0.1 port=1 dbname=x")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("pgiostat: error: could not connect")


# What mends it, run as it is printed: it works, and what was found is gone.


@pytest.mark.parametrize("there", ["", "auto_explain", '"auto_explain" , $libdir/auto_explain'])
def test_what_preloads_it_leaves_a_server_that_starts_with_all_libraries(
    make_server: MakeServer, there: str
) -> None:
    server = make_server(shared_preload_libraries=there)
    assert mended(server, "preloaded").state is CheckState.OK
    assert mended(server, "extension").state is CheckState.OK
    with client(server.dsn()) as other:
        if there:
            other.execute("SHOW auto_explain.log_min_duration")
        other.execute("SELECT count(*) FROM pg_stat_statements")
    assert is_ready(examined(watcher(server)))


def test_a_library_that_waits_for_a_restart_is_not_lost_by_another(
    make_server: MakeServer,
) -> None:
    server = make_server(shared_preload_libraries="")
    with client(server.dsn()) as other:
        other.execute("ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'")
    carried_out(server, "SELECT pg_reload_conf();")
    (found,) = findings_of(server.dsn(), "preloaded")
    assert found.fix == f"{PRELOAD}'auto_explain', 'pg_stat_statements'; {RESTART}"
    assert mended(server, "preloaded").state is CheckState.OK


def test_a_value_that_no_reload_has_read_waits_for_a_restart_too(make_server: MakeServer) -> None:
    server = make_server(shared_preload_libraries="")
    (found,) = findings_of(server.dsn(), "preloaded")
    statement, _, _ = found.fix.partition("--")
    carried_out(server, statement)  # without the restart
    assert findings_of(server.dsn(), "preloaded") == [
        Finding(
            "preloaded", CheckState.ERROR,
            "pg_stat_statements is set in shared_preload_libraries, and waits for a restart", WAITS,
        )
    ]  # fmt: skip
    server.restart()
    (found,) = findings_of(server.dsn(), "preloaded")
    assert found.state is CheckState.OK


@pytest.mark.parametrize(
    ("name", "value", "aspect"),
    [
        ("pg_stat_statements.track", "none", "track"),
        ("pg_stat_statements.track_utility", False, "track_utility"),
        ("track_io_timing", False, "track_io_timing"),
        ("track_counts", False, "track_counts"),
        ("track_activities", False, "track_activities"),
    ],
)
def test_what_sets_a_setting_sets_it(
    make_server: MakeServer, name: str, value: Setting, aspect: str
) -> None:
    server = make_server(**{name: value})
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    assert mended(server, aspect).state is CheckState.OK


@pytest.mark.pg(">=14")
def test_identifiers_are_computed_after_what_mends_that_they_are_not(
    make_server: MakeServer,
) -> None:
    server = make_server(compute_query_id=False)
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        # By itself auto is not enough: the library asks for identifiers when it is loaded.
        other.execute("ALTER SYSTEM SET compute_query_id = auto")
    carried_out(server, "SELECT pg_reload_conf();")
    (found,) = findings_of(server.dsn(), "compute_query_id")
    assert found.reason == "auto, but it was off when the server started: no statement is counted"
    carried_out(server, "ALTER SYSTEM SET compute_query_id = off; SELECT pg_reload_conf();")
    assert mended(server, "compute_query_id").state is CheckState.OK
    with client(server.dsn()) as other:
        other.execute("SELECT 1 AS counted")
        counted = "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%AS counted'"
        assert other.execute(counted).fetchone() == (1,)


def test_settings_of_databases_and_roles_end(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        other.execute('CREATE DATABASE "a ""shop"""')
        other.execute('ALTER DATABASE "a ""shop""" SET pg_stat_statements.track = none')
        other.execute("ALTER DATABASE postgres SET track_io_timing = off")
        other.execute("ALTER ROLE postgres SET track_io_timing = off")
        other.execute("ALTER ROLE postgres IN DATABASE postgres SET track_io_timing = off")
    assert mended(server, "track_io_timing").state is CheckState.OK
    assert mended(server, "overridden").reason == "no longer found"


def test_an_old_version_of_the_extension_is_updated(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements VERSION '1.6'")
    assert mended(server, "extension").state is CheckState.OK


def test_rights_are_granted_to_names_that_need_quoting(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute('CREATE SCHEMA "a ""closed"" one"')
        other.execute('CREATE EXTENSION pg_stat_statements SCHEMA "a ""closed"" one"')
        other.execute("""CREATE ROLE "It's a ""role\""" LOGIN PASSWORD 'x'""")
    asks = make_conninfo(server.dsn(), user='It\'s a "role"', password="x", passfile="/nowhere")
    assert mended(server, "extension", asks=asks).state is CheckState.OK
    assert mended(server, "privileges", asks=asks).state is CheckState.OK


@pytest.mark.pg(">=14")
def test_a_larger_maximum_ends_evictions(make_server: MakeServer) -> None:
    server = make_server(**{"pg_stat_statements.max": 100})
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
        for i in range(400):
            other.execute(f"SELECT {', '.join(['1'] * (i % 200 + 1))} AS a{i}".encode())
    (found,) = findings_of(server.dsn(), "evictions")
    assert (found.state, found.fix) == (
        CheckState.WARNING, f"ALTER SYSTEM SET pg_stat_statements.max = 200; {RESTART}",
    )  # fmt: skip
    assert mended(server, "evictions").state is CheckState.OK


def test_a_plain_user_of_a_bare_server_is_told_both_steps(make_server: MakeServer) -> None:
    server = make_server(shared_preload_libraries="")
    with client(server.dsn()) as other:
        other.execute("CREATE ROLE plain LOGIN PASSWORD 'x'")
    asks = make_conninfo(server.dsn(), user="plain", password="x", passfile="/nowhere")
    found = {each.aspect: each for each in examined(asks)}
    assert (found["preloaded"].state, found["preloaded"].fix) == (
        CheckState.UNKNOWN, PERHAPS,
    )  # fmt: skip
    assert (found["extension"].state, found["extension"].fix) == (
        CheckState.ERROR, "CREATE EXTENSION pg_stat_statements;",
    )  # fmt: skip


def test_what_has_the_names_of_the_extension_is_found_and_goes(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
        other.execute("CREATE ROLE mallory LOGIN PASSWORD 'x'")
        other.execute("GRANT CREATE ON SCHEMA public TO mallory")
    theirs = make_conninfo(server.dsn(), user="mallory", password="x", passfile="/nowhere")
    with client(theirs) as other:
        other.execute("CREATE VIEW public.pg_stat_statements_info AS SELECT 0::int8 AS dealloc")
        other.execute(
            "CREATE FUNCTION public.pg_stat_statements(a int, b text) RETURNS int LANGUAGE sql"
            " AS 'SELECT 1'"
        )
    found = findings_of(server.dsn(), "look-alike")
    assert [each.reason.partition(" is not a member")[0] for each in found] == [
        'function "public"."pg_stat_statements"(a integer, b text) of mallory',
        'view "public"."pg_stat_statements_info" of mallory',
    ]
    for each in found:
        carried_out(server, each.fix.removeprefix("if it is not needed: "), by=theirs)
    assert findings_of(server.dsn(), "look-alike") == []


@pytest.mark.once
def test_a_role_that_may_not_see_the_file_of_texts_gets_the_right(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    theirs = watcher(server)
    (found,) = findings_of(theirs, "texts")
    assert found == Finding(
        "texts", CheckState.UNKNOWN, "watcher cannot see the query text file",
        'GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean) TO "watcher";',
    )  # fmt: skip
    carried_out(server, found.fix)
    (found,) = findings_of(theirs, "texts")
    assert found.state is CheckState.OK
    assert found.reason.startswith("the query text file has ")


def test_a_superuser_gets_a_role_that_is_enough(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    (found,) = findings_of(server.dsn(), "privileges")
    assert found.state is CheckState.WARNING
    carried_out(server, found.fix)
    with client(server.dsn()) as other:
        other.execute("ALTER ROLE pgiostat PASSWORD 'x'")
    asks = make_conninfo(server.dsn(), user="pgiostat", password="x", passfile="/nowhere")
    assert findings_of(asks, "privileges") == [
        Finding("privileges", CheckState.OK, "pgiostat has pg_read_all_stats")
    ]


def test_a_schema_that_is_open_to_all_is_closed(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE SCHEMA stats")
        other.execute("GRANT CREATE, USAGE ON SCHEMA stats TO PUBLIC")
        other.execute("CREATE EXTENSION pg_stat_statements SCHEMA stats")
    assert mended(server, "schema") == Finding("schema", CheckState.OK, "no longer found")


def test_functions_that_were_replaced_are_not_run(make_server: MakeServer) -> None:
    server = make_server()
    with client(server.dsn()) as other:
        other.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
        other.execute("CREATE TABLE ran (who text)")
        names = other.execute(
            "SELECT pg_get_function_result(oid) FROM pg_proc WHERE proname = 'pg_stat_statements'"
        ).fetchone()
        assert names is not None
        other.execute("ALTER EXTENSION pg_stat_statements DROP VIEW pg_stat_statements")
        other.execute("DROP VIEW pg_stat_statements")
        definition = other.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'pg_stat_statements'"
        ).fetchone()
        assert definition is not None
        head = definition[0].partition(" LANGUAGE c")[0]
        body = "BEGIN RAISE LOG 'sprung'; RETURN; END"
        other.execute(f"{head} LANGUAGE plpgsql AS $x$ {body} $x$".encode())
    (extension,) = findings_of(server.dsn(), "extension")
    assert (extension.state, extension.reason) == (
        CheckState.ERROR,
        (
            'pg_stat_statements(boolean) in schema "public" is not the function that the extension'
            " installs"
        ),
    )
    done = pgiostat("watch", server.dsn(), "--once")
    assert done.returncode == 1
    assert done.stderr == (
        'pgiostat: error: pg_stat_statements(boolean) in schema "public" is not the function that'
        " the extension installs\n"
        "DETAIL:  It is not a member of the extension, or it is not written in C. pgiostat does not"
        " run it.\n"
        "HINT:  Inspect it with \\df+. A superuser can drop the extension and create it again."
        f" {DOCTOR}\n"
    )


@pytest.mark.once
def test_the_statements_of_the_docs_make_a_bare_server_ready(make_server: MakeServer) -> None:
    server = make_server(shared_preload_libraries="", track_io_timing=False)
    page = Path(__file__).parents[3].joinpath("docs/start/connect.md").read_text("utf-8")
    section = page.split("## Prepare the server")[1].split("\n## ")[0]
    for block in section.split("```sql\n")[1:]:
        for line in block.split("```")[0].splitlines():
            carried_out(server, line)
    asks = make_conninfo(
        server.dsn(), user="pgiostat", password="choose a password", passfile="/nowhere"
    )
    assert is_ready(examined(asks))
